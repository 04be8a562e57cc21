//! Tests of the evaluator: tables of one-line cases over a small machine. Expected values are written by hand.

mod deeds;
mod limits;
mod observed;
mod random;

use super::testing::{
    DISK, Machine, NET, Scripted, TTY, USB, act, append, compile, condition, fixed, group, import, is,
    is_not, link, mode, observed, outcome, parent, program, property, run, summary, symlink_as_udev, tag,
    template, when, write_attr,
};
use super::{Job, evaluate};
use crate::ids::Action;
use crate::rules::compile::Skip;
use crate::rules::ir::{
    Access, Bounds, Builtin, Command, Effect, Import, ListOp, Mode, Principal, StepKind, StringEscape, Test,
};
use crate::rules::template::Limit;
use crate::rules::trace::{Applied, Observer, On, Seen, StepTrace, Trace, Unobserved};

/// Each case: a device, rules, and the summary of what comes out.
fn check(cases: Vec<(&str, Vec<Vec<StepKind>>, &str)>) {
    let machine = Machine::new();
    for (at, (path, rules, expected)) in cases.into_iter().enumerate() {
        let shown = format!("case {at}: {rules:?}");
        assert_eq!(summary(&outcome(&machine, Action::Add, path, rules)), expected, "{shown}");
    }
}

/// A rule of one condition that says whether it held.
fn held(condition: StepKind) -> Vec<Vec<StepKind>> {
    vec![vec![condition, tag(ListOp::Add, "yes")]]
}

#[test]
fn every_condition() {
    let range = |min, max| Test::Range(Box::new(Bounds { min, max }));
    let yes = vec![
        is("kernel", "ttyUSB[0-9]"),
        is_not("kernel", "sd*"),
        is("subsystem", "tty|net"),
        is("driver", ""),
        is("devtype", ""),
        is("devpath", "/devices/*/ttyUSB0"),
        is("action", "add|change"),
        is_not("action", "remove"),
        is_not("tag", "x"),
        is("name", ""),
        is_not("link", "gps"),
        is("attr.label", " two  words"),
        is("attr.label", " two  words "),
        is("attr.power/control", "auto"),
        is("attr.[net/eth0]mtu", "1500"),
        is("attr.../../../bInterfaceNumber", "00"),
        when("attr.size", range(Some(16), Some(16))),
        when("attr.size", Test::Exists(true)),
        when("attr.nothing", Test::Exists(false)),
        when("attr.empty", Test::Exists(true)),
        is("attr.empty", ""),
        is("property.DEVNAME", "ttyUSB0"),
        is("property.NOTHING", ""),
        when("property.NOTHING", Test::Exists(false)),
        when("property.MAJOR", range(Some(100), None)),
        is("sysctl.kernel.hostname", "box"),
        is("sysctl.nothing", ""),
        is("const.arch", "arm64"),
        when("file./bin/sh", Test::Exists(true)),
        when("file./bin/sh", Test::Mode(0o111)),
        when("file./nothing", Test::Exists(false)),
        when("file.power/control", Test::Exists(true)),
        when("file.[net/eth0]mtu", Test::Exists(true)),
        is("result", ""),
        parent(&[("subsystem", "usb"), ("attr.idVendor", "1546")]),
        parent(&[("driver", "cdc_acm"), ("devtype", "usb_interface")]),
        parent(&[("kernel", "1-2"), ("tag", "seat")]),
        parent(&[("property.ID_OF", "1-2"), ("devpath", "*/usb1/1-2")]),
        parent(&[("kernel", "ttyUSB0"), ("subsystem", "tty")]),
        program("/bin/quiet", true),
        program("/bin/false", false),
        program("", false),
    ];
    let no = vec![
        is("kernel", "sd*"),
        is("subsystem", "usb"),
        is("action", "remove"),
        is("tag", "*"),
        is("attr.nothing", "*"),
        is_not("attr.nothing", "x"),
        is("attr.label", "two"),
        is("attr.label", " two  words  "),
        when("attr.empty", Test::Exists(false)),
        when("attr.label", range(None, None)),
        when("attr.nothing", range(None, None)),
        when("attr.size", range(Some(17), None)),
        is("attr.[net/eth9]mtu", "1500"),
        when("property.NOTHING", Test::Exists(true)),
        when("file./bin/sh", Test::Mode(0o022)),
        // two devices on the way up have one each, none has both
        parent(&[("subsystem", "tty"), ("attr.idVendor", "1546")]),
        parent(&[("attr.serial", "hub"), ("attr.idVendor", "1546")]),
        program("/bin/false", true),
        program("/bin/quiet", false),
    ];
    let cases = yes.into_iter().map(|c| (TTY, held(c), "tag yes@1"));
    check(cases.chain(no.into_iter().map(|c| (TTY, held(c), ""))).collect());
}

#[test]
fn a_later_rule_sees_what_an_earlier_one_set() {
    check(vec![
        (TTY, vec![vec![property("A", "1")], vec![is("property.A", "1"), link("x")]], "link x@2; A=1@1"),
        (TTY, vec![vec![property("A", "1")], vec![is_not("property.A", "1"), link("x")]], "A=1@1"),
        (
            TTY,
            vec![vec![property(".T", "1")], vec![is("property..T", "1"), link("x$env{.T}")]],
            "link x1@2; .T=1@1",
        ),
        (
            TTY,
            vec![vec![tag(ListOp::Add, "a")], vec![is("tag", "a"), tag(ListOp::Remove, "a"), link("x")]],
            "link x@2",
        ),
        (TTY, vec![vec![link("gps")], vec![is("link", "g*"), link("more")]], "link gps@1; link more@2"),
        (
            NET,
            vec![vec![act(Effect::Name(template("lan0")))], vec![is("name", "lan0"), property("A", "$name")]],
            "name lan0@1; A=lan0@2",
        ),
        (
            TTY,
            vec![vec![write_attr("power/control", "on")], vec![is("attr.power/control", "on"), link("x")]],
            "link x@2",
        ),
        (
            TTY,
            vec![vec![program("/bin/words", true)], vec![is("result", "one*"), link("x$result{2}")]],
            "link xtwo@2",
        ),
        (
            TTY,
            vec![vec![parent(&[("attr.serial", "A*")]), link("x")], vec![property("A", "$id $attr{serial}")]],
            "link x@1; A=1-2 A50285BI@2",
        ),
        (
            TTY,
            vec![
                vec![parent(&[("driver", "cdc_acm")]), property("A", "$driver")],
                vec![parent(&[("kernel", "no")]), link("x")],
                vec![property("B", "[$id]")],
            ],
            "A=cdc_acm@1; B=[]@3",
        ),
    ]);
}

#[test]
fn parents_one_after_the_other() {
    let both = |second: &[(&str, &str)]| {
        vec![vec![parent(&[("attr.idVendor", "1546")]), parent(second), link("on-$id")]]
    };
    check(vec![
        (TTY, both(&[("subsystem", "pci"), ("attr.vendor", "0x8086")]), "link on-pci0@1"),
        (TTY, both(&[("subsystem", "nvme")]), ""),
        // the walk begins at the device itself each time
        (TTY, both(&[("kernel", "ttyUSB0")]), "link on-ttyUSB0@1"),
    ]);
}

#[test]
fn substitutions() {
    let value = |text: &str| vec![vec![parent(&[("kernel", "1-2")]), property("A", text)]];
    let cases = [
        ("$devnode", "/dev/ttyUSB0"),
        ("%k-%n", "ttyUSB0-0"),
        ("$attr{label}|", " two  words|"),
        ("$attr{odd}", "a_b_c"),
        ("$attr{product}", "u-blox 7"),
        ("$attr{[net/eth0]mtu}", "1500"),
        ("[$attr{nothing}]", "[]"),
        ("$env{MAJOR}:%m", "188:0"),
        ("$id$driver", "1-2"),
        ("%p", TTY),
        ("$root $sys", "/dev /sys"),
        ("$name", "ttyUSB0"),
        ("100%%", "100%"),
        ("$result.", "."),
    ];
    let expected: Vec<String> = cases.iter().map(|(_, e)| format!("A={e}@1")).collect();
    check(cases.iter().zip(&expected).map(|((text, _), e)| (TTY, value(text), e.as_str())).collect());
    check(vec![
        (&format!("{USB}/1-2:1.0"), vec![vec![property("A", "$parent $major")]], "A=bus/usb/001/002 0@1"),
        (TTY, vec![vec![link("a"), link("b"), property("A", "$links")]], "link a@1; link b@1; A=a b@1"),
    ]);
}

#[test]
fn link_names() {
    let escape = |how| act(Effect::StringEscape(how));
    let udev = |text| symlink_as_udev(ListOp::Add, text);
    check(vec![
        (TTY, vec![vec![link("gps")]], "link gps@1"),
        (TTY, vec![vec![link("a/b/c")]], "link a/b/c@1"),
        (TTY, vec![vec![link("l-$attr{label}")]], "link l-two_words@1"),
        (TTY, vec![vec![link("l-$attr{odd}")]], "link l-a_b_c@1"),
        (TTY, vec![vec![link("my link")]], "link my_link@1"),
        (TTY, vec![vec![link("l-$attr{up}")]], "!bad-link@1"),
        (TTY, vec![vec![link("$attr{up}")]], "!bad-link@1"),
        (TTY, vec![vec![link("/etc/passwd")]], "!bad-link@1"),
        (TTY, vec![vec![link("by-path/$env{ID_PATH}")]], "!bad-link@1"),
        (TTY, vec![vec![link("$env{ID_BUS}/x")]], "!bad-link@1"),
        (TTY, vec![vec![link("")]], "!bad-link@1"),
        (
            TTY,
            vec![vec![link("good"), link("../bad"), link("fine")]],
            "link fine@1; link good@1; !bad-link@1",
        ),
        // the node itself is no link
        (TTY, vec![vec![link("ttyUSB0")]], ""),
        (TTY, vec![vec![program("/bin/words", true), link("$result")]], "link one_two_three@1"),
        (
            TTY,
            vec![vec![program("/bin/words", true), udev("$result")]],
            "link one@1; link three@1; link two@1",
        ),
        (TTY, vec![vec![udev("a l-$attr{label}  b")]], "link a@1; link b@1; link l-two_words@1"),
        (TTY, vec![vec![escape(StringEscape::Replace), udev("a b")]], "link a_b@1"),
        (
            TTY,
            vec![vec![escape(StringEscape::None), udev("x$attr{label}")]],
            "link two@1; link words@1; link x@1",
        ),
        (TTY, vec![vec![escape(StringEscape::Replace)], vec![udev("a b")]], "link a@2; link b@2"),
        (TTY, vec![vec![udev("a b")], vec![symlink_as_udev(ListOp::Remove, "a")]], "link b@1"),
        (TTY, vec![vec![udev("a b")], vec![symlink_as_udev(ListOp::Set, "c")]], "link c@2"),
        (TTY, vec![vec![udev("a")], vec![symlink_as_udev(ListOp::Set, "")]], ""),
        // the first rule that asks is the one to show
        (TTY, vec![vec![link("a")], vec![link("a")]], "link a@1"),
        (NET, vec![vec![link("lan"), tag(ListOp::Add, "t")]], "tag t@1"),
    ]);
}

#[test]
fn owners_modes_names() {
    let owner = |name: &str| act(Effect::Owner(Principal::Template(template(name))));
    let mode_of = |text: &str| act(Effect::Mode(Mode::Template(template(text))));
    let name = |text: &str| act(Effect::Name(template(text)));
    check(vec![
        (TTY, vec![vec![group("dialout", 20), mode(0o664)]], "group dialout=20@1; mode 0664@1"),
        (TTY, vec![vec![act(Effect::Owner(Principal::Id(1000)))]], "owner 1000=1000@1"),
        (TTY, vec![vec![owner("u%n")]], "!unknown-user@1"),
        (TTY, vec![vec![property("N", "7"), owner("u$env{N}")]], "owner u7=1007@1; N=7@1"),
        (
            TTY,
            vec![vec![act(Effect::Group(Principal::Template(template("$env{SUBSYSTEM}tty"))))]],
            "group tty=5@1",
        ),
        (TTY, vec![vec![mode_of("066%n")]], "mode 0660@1"),
        (TTY, vec![vec![mode_of("9%n")]], "!bad-mode@1"),
        (TTY, vec![vec![mode_of("1777%n")]], "!bad-mode@1"),
        (TTY, vec![vec![mode_of("")]], "!bad-mode@1"),
        (TTY, vec![vec![mode(0o600)], vec![mode(0o666)]], "mode 0666@2"),
        (NET, vec![vec![name("lan0")], vec![name("lan1")]], "name lan1@2"),
        (NET, vec![vec![name("a b:c/d")]], "name a_b_c_d@1"),
        (NET, vec![vec![name("abcdefghijklmnop")]], "!bad-name@1"),
        (NET, vec![vec![name("")]], "!bad-name@1"),
        (NET, vec![vec![name("..")]], "!bad-name@1"),
        (TTY, vec![vec![name("lan0"), tag(ListOp::Add, "t")]], "tag t@1"),
    ]);
}

#[test]
fn properties_and_tags() {
    check(vec![
        (TTY, vec![vec![property("A", "x")], vec![append("A", "y")]], "A=x y@2"),
        (TTY, vec![vec![append("A", "y")]], "A=y@1"),
        (TTY, vec![vec![property("A", "x")], vec![append("A", "")]], "A=x@1"),
        (TTY, vec![vec![property("A", "x")], vec![property("A", "")]], ""),
        (
            TTY,
            vec![vec![property("A", "x\nE:EVIL=1"), property("B", "\0"), property("C", "ok")]],
            "C=ok@1; !bad-property@1; !bad-property@1",
        ),
        (
            TTY,
            vec![vec![tag(ListOp::Add, "a"), tag(ListOp::Add, "b c"), tag(ListOp::Add, "")]],
            "tag a@1; !bad-tag@1; !bad-tag@1",
        ),
        (TTY, vec![vec![tag(ListOp::Add, "a")], vec![tag(ListOp::Set, "b")]], "tag b@2"),
        (
            TTY,
            vec![vec![act(Effect::Access(Access::ActiveUser))]],
            "tag uaccess@1; run Builtin { name: \"uaccess\", arguments: [] }@1",
        ),
        (
            TTY,
            vec![
                vec![act(Effect::Start(template("a.service")))],
                vec![act(Effect::Start(template("b@%k.service")))],
                vec![act(Effect::Start(template("a.service")))],
            ],
            "SYSTEMD_WANTS=a.service b@ttyUSB0.service@3; tag systemd@1",
        ),
        (TTY, vec![vec![act(Effect::Start(template("a b")))]], "!bad-unit@1"),
        (TTY, vec![vec![act(Effect::Priority(5))], vec![act(Effect::Priority(-5))]], "priority -5@2"),
        (TTY, vec![vec![act(Effect::Watch(true))], vec![act(Effect::Watch(false))]], "watch false@2"),
        (
            TTY,
            vec![vec![act(Effect::StringEscape(StringEscape::Replace)), property("A", "a/b c")]],
            "A=a_b_c@1",
        ),
    ]);
    let machine = Machine::new();
    let out =
        outcome(&machine, Action::Add, TTY, vec![vec![tag(ListOp::Add, "a"), tag(ListOp::Remove, "a")]]);
    assert!(out.dropped_tags.iter().any(|tag| tag.as_str() == "a"), "it stays in the set of all tags");
}

#[test]
fn imports() {
    let builtin = |name: &str| {
        Import::Builtin(Box::new(Builtin { name: name.into(), arguments: Command::Argv(vec![]) }))
    };
    let lines = crate::rules::ir::Command::Argv(vec![template("/bin/lines")]);
    let then = |what: Import| vec![vec![import(what), link("x")]];
    check(vec![
        (TTY, then(builtin("path_id")), "link x@1; ID_PATH=pci-0-usb-0:2@1"),
        (TTY, then(builtin("usb_id")), ""),
        // ACTION is the event's, whatever a program prints
        (TTY, then(Import::Program(lines)), "link x@1; .T=t@1; P1=a@1; P2=b c@1"),
        (TTY, then(Import::File(template("/etc/facts"))), "link x@1; F=1@1"),
        (TTY, then(Import::File(template("/etc/none"))), ""),
        (TTY, then(Import::File(template("/etc/secret"))), "!import-failed@1"),
        (TTY, then(Import::Db(template("OLD"))), "link x@1; OLD=kept@1"),
        (TTY, then(Import::Db(template("NEW"))), ""),
        (TTY, then(Import::CommandLine(template("quiet"))), "link x@1; quiet=1@1"),
        (TTY, then(Import::CommandLine(template("loud"))), ""),
        (TTY, then(Import::Parent(super::testing::pattern("ID_*"))), "link x@1; ID_OF=ttyUSB0@1"),
        (
            "/devices/pci0",
            vec![vec![import(Import::Parent(super::testing::pattern("*"))), tag(ListOp::Add, "t")]],
            "",
        ),
    ]);
}

#[test]
fn numbers() {
    let index = |by: &str| act(Effect::Index { pool: "cam".into(), by: template(by) });
    check(vec![
        (TTY, vec![vec![index("%k"), link("cam/$index")]], "link cam/0@1"),
        (
            TTY,
            vec![
                vec![index("a"), link("a$index")],
                vec![index("b"), link("b$index")],
                vec![index("a"), link("c$index")],
            ],
            "link a0@1; link b1@2; link c0@3",
        ),
        // a number belongs to its rule, and to a device with an identity
        (TTY, vec![vec![index("a"), link("a$index")], vec![link("b$index")]], "link a0@1; !no-index@2"),
        (
            TTY,
            vec![vec![act(Effect::Index { pool: "lost".into(), by: template("a") }), link("a$index")]],
            "link a0@1; !index-lost@1",
        ),
        (TTY, vec![vec![index("$env{NONE}"), link("a$index")]], "!no-index@1; !no-index@1"),
    ]);
}

#[test]
fn final_holds_against_later_rules_only() {
    check(vec![
        (TTY, vec![vec![fixed(link("a")), fixed(link("b"))], vec![link("c")]], "link a@1; link b@1"),
        (
            TTY,
            vec![vec![fixed(mode(0o600))], vec![mode(0o666), group("tty", 5)]],
            "group tty=5@2; mode 0600@1",
        ),
        (TTY, vec![vec![mode(0o666)], vec![fixed(mode(0o600))], vec![mode(0o640)]], "mode 0600@2"),
        (
            TTY,
            vec![vec![fixed(property("A", "1"))], vec![property("A", "2"), property("B", "2")]],
            "A=1@1; B=2@2",
        ),
        (
            TTY,
            vec![
                vec![fixed(tag(ListOp::Add, "a")), tag(ListOp::Add, "b")],
                vec![tag(ListOp::Remove, "a"), tag(ListOp::Remove, "b")],
            ],
            "tag a@1",
        ),
        (
            TTY,
            vec![vec![fixed(tag(ListOp::Add, "a")), tag(ListOp::Add, "b")], vec![tag(ListOp::Set, "c")]],
            "tag a@1; tag c@2",
        ),
        (TTY, vec![vec![fixed(act(Effect::Priority(9)))], vec![act(Effect::Priority(1))]], "priority 9@1"),
        (TTY, vec![vec![fixed(act(Effect::Watch(true)))], vec![act(Effect::Watch(false))]], "watch true@1"),
    ]);
}

#[test]
fn removals_and_other_devices_cost_nothing() {
    #[derive(Default)]
    struct Looked(Vec<u32>);
    impl Observer for Looked {
        fn rule(&mut self, rule: &crate::rules::ir::Rule) {
            self.0.push(rule.place.line);
        }
    }
    let rules = || {
        vec![
            vec![is("subsystem", "tty"), link("a")],
            vec![is("subsystem", "block|net"), property("A", "1")],
            vec![link("b"), mode(0o600)],
            vec![is("action", "remove"), property("B", "1")],
            vec![is("subsystem", "t*"), property("C", "1")],
            vec![property("D", "1"), is("subsystem", "block"), property("E", "1")],
            vec![act(Effect::Name(template("lan0")))],
            vec![parent(&[("subsystem", "usb")]), program("/bin/words", true)],
        ]
    };
    let machine = Machine::new();
    for (action, path, expected) in [
        (Action::Add, TTY, &[1, 3, 5, 6, 8][..]),
        (Action::Remove, TTY, &[4, 5, 6, 8]),
        (Action::Add, DISK, &[2, 3, 6, 8]),
        (Action::Add, NET, &[2, 6, 7, 8]),
        (Action::Change, "/devices/pci0", &[6, 8]),
    ] {
        let mut looked = Looked::default();
        let out = observed(&machine, action, path, rules(), &mut looked);
        assert_eq!(looked.0, expected, "{action} {path}");
        // An observer that is shown every rule changes nothing.
        assert_eq!(observed(&machine, action, path, rules(), &mut Trace::default()), out, "{action} {path}");
    }
}

#[test]
fn a_device_that_has_gone() {
    let machine = Machine::new();
    let facts = super::EventFacts { device: None, ..machine.facts(Action::Remove, TTY) };
    let rules = compile(vec![
        vec![is("attr.size", "*"), property("A", "1")],
        vec![parent(&[("kernel", "1-2")]), property("B", "1")],
        vec![is("kernel", "ttyUSB0"), parent(&[("kernel", "ttyUSB*")]), property("C", "$id$attr{size}")],
    ]);
    let out = evaluate(&rules, &facts, &mut Scripted::new(&machine), &mut Unobserved);
    assert_eq!(summary(&out), "C=ttyUSB0@3");
}

#[test]
fn a_bang_in_a_name_is_a_slash() {
    let machine = Machine::new();
    let devpath = crate::ids::DevPath::new(b"/devices/x/cciss!c0d0").unwrap();
    let facts = super::EventFacts { devpath, device: None, ..machine.facts(Action::Add, TTY) };
    let rules = compile(vec![
        vec![is("kernel", "cciss/c0d*"), property("A", "$kernel $number")],
        vec![is("kernel", "cciss!c0d0"), property("B", "1")],
        vec![parent(&[("kernel", "cciss/c0d0")]), property("C", "$id")],
        vec![is("devpath", "*/cciss!c0d0"), property("D", "1")],
    ]);
    let out = evaluate(&rules, &facts, &mut Scripted::new(&machine), &mut Unobserved);
    assert_eq!(summary(&out), "A=cciss/c0d0 0@1; C=cciss/c0d0@3; D=1@4");
}

#[test]
fn the_table_of_codes_is_whole() {
    let machine = Machine::new();
    let text = |text: &str| Principal::Template(template(text));
    let refused = vec![
        (TTY, link("$index")),
        (TTY, act(Effect::Index { pool: "lost".into(), by: template("a") })),
        (TTY, act(Effect::Mode(Mode::Template(template(&"0".repeat(512)).within(Limit::Value))))),
        (TTY, link("..")),
        (TTY, tag(ListOp::Add, "a b")),
        (TTY, property("A", "\n")),
        (NET, act(Effect::Name(template(".")))),
        (TTY, act(Effect::Owner(text("nobody-%k")))),
        (TTY, act(Effect::Group(text("nobody-%k")))),
        (TTY, act(Effect::Mode(Mode::Template(template("%k"))))),
        (TTY, act(Effect::Start(template("")))),
        (TTY, run(ListOp::Add, &[""])),
        (TTY, act(Effect::WriteSysctl { name: template("x").into(), value: template("1") })),
        (TTY, import(Import::File(template("/etc/secret")))),
    ];
    let seen: Vec<&str> = refused
        .into_iter()
        .map(|(path, step)| {
            let out = outcome(&machine, Action::Add, path, vec![vec![step, link("x"), property("P", "")]]);
            out.diagnostics.first().unwrap().code
        })
        .collect();
    assert_eq!(seen, super::CODES.map(|(code, _)| code));
}
