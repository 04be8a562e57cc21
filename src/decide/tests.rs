//! Tests of the step from an event to its plan, with the real host and the dry one, on a machine below a directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bstr::BString;

use super::{
    Change, Dry, Effects, Event, EventHost, Live, NoDeeds, Permissions, Plan, ProgramRunner, Records,
    SkippedPrograms, Surroundings, Unwriting, decide, difference,
};
use crate::device::Reader;
use crate::diag::SourceFile;
use crate::ids::{Action, DevPath, DeviceId, SeqNum, Tag};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::eval::testing::{
    Machine, NET, TTY, USB, act, append, compile, group, import, is, link, mode, parent, pattern, program,
    property, run, tag, template, write_attr,
};
use crate::rules::host::ProgramOutput;
use crate::rules::ir::{Builtin, Command, Effect, Import, ListOp, RuleFile, StepKind};
use crate::rules::toml::{AccountFiles, Known as KnownNames};
use crate::rules::trace::Unobserved;
use crate::store::index::Indexes;
use crate::store::record::Record;
use crate::uevent::Uevent;

#[derive(Debug, Default)]
struct Known(BTreeMap<DeviceId, Record>);

impl Records for Known {
    fn record(&self, id: &DeviceId) -> Option<Record> {
        self.0.get(id).cloned()
    }
}

/// Remembers what it was asked to run; prints `R=1`.
#[derive(Debug, Default)]
struct Ran(Mutex<Vec<Vec<BString>>>);

impl ProgramRunner for Ran {
    fn run(&self, argv: &[BString], _: &Properties, _: Instant, _: usize) -> ProgramOutput {
        self.0.lock().unwrap().push(argv.to_vec());
        ProgramOutput { success: true, stdout: "R=1\n".into(), failure: None }
    }
}

/// A machine with all that decisions need around it.
struct Bench {
    machine: Machine,
    roots: Roots,
    records: Known,
    ran: Ran,
    numbers: Indexes,
    accounts: AccountFiles,
    shared: crate::builtin::Shared,
    globals: super::Globals,
}

impl Bench {
    fn new() -> Self {
        let machine = Machine::new();
        let roots = Roots::below(machine.dir.path());
        let numbers = Indexes::new(&roots.state());
        let accounts = AccountFiles::parse("root:x:0:0::\n", "dialout:x:20:\nvideo:x:44:\n");
        let shared = crate::builtin::Shared::new(&roots);
        let globals = super::Globals::default();
        Self {
            machine,
            roots,
            records: Known::default(),
            ran: Ran::default(),
            numbers,
            accounts,
            shared,
            globals,
        }
    }

    fn uevent(&self, action: Action, path: &str) -> Uevent {
        let device = self.machine.device(path);
        let properties = (*Reader::new(&self.machine.tree).uevent(&device)).clone();
        Uevent::from_facts(action, device.devpath(), device.subsystem().unwrap(), SeqNum(7), properties)
    }

    fn plan<E: Effects>(
        &self,
        uevent: &Uevent,
        rules: &Compiled,
        record: Option<&Record>,
        effects: E,
    ) -> Plan {
        let device = self.machine.tree.get(&uevent.devpath);
        let event = Event { uevent, device: device.as_ref(), record };
        let around = Surroundings {
            tree: &self.machine.tree,
            roots: &self.roots,
            records: &self.records,
            others: None,
            accounts: &self.accounts,
            shared: &self.shared,
            globals: &self.globals,
        };
        let mut host = EventHost::new(around, &event, Instant::now() + Duration::from_secs(60), effects);
        decide(rules, &event, &self.roots, &mut host, &mut Unobserved)
    }

    fn live(&self) -> Live<'_> {
        Live { programs: &self.ran, numbers: &self.numbers, deeds: &NoDeeds }
    }

    fn add(&self, path: &str, rules: Vec<Vec<StepKind>>) -> Plan {
        self.plan(&self.uevent(Action::Add, path), &compile(rules), None, self.live())
    }
}

fn tags(names: &[&str]) -> std::collections::BTreeSet<Tag> {
    names.iter().map(|name| Tag::new(name.as_bytes()).unwrap()).collect()
}

#[test]
fn the_json_object() {
    let bench = Bench::new();
    let plan = bench.add(
        TTY,
        vec![
            vec![link("gps"), act(Effect::Priority(3)), group("dialout", 20)],
            vec![property("ID_X", "y"), property(".T", "t"), tag(ListOp::Add, "seat"), link("../x")],
            vec![run(ListOp::Add, &["/bin/logger", "hi"]), write_attr("power/control", "on")],
        ],
    );
    let dev = bench.roots.dev.join("ttyUSB0");
    let found = serde_json::to_value(&plan).unwrap();
    let expected = serde_json::json!({
        "devpath": TTY,
        "action": "add",
        "node": { "name": "ttyUSB0", "owner": null, "group": "dialout", "mode": "0660" },
        "links": [{ "name": "gps", "priority": 3, "from": "t.toml:1" }],
        "properties": {
            "ACTION": { "value": "add", "from": "kernel" },
            "DEVNAME": { "value": dev.to_str().unwrap(), "from": "kernel" },
            "DEVPATH": { "value": TTY, "from": "kernel" },
            "ID_X": { "value": "y", "from": "t.toml:2" },
            "MAJOR": { "value": "188", "from": "kernel" },
            "MINOR": { "value": "0", "from": "kernel" },
            "SEQNUM": { "value": "7", "from": "kernel" },
            "SUBSYSTEM": { "value": "tty", "from": "kernel" },
        },
        "tags": ["seat"],
        "netif": null,
        "run": [{ "program": ["/bin/logger", "hi"], "from": "t.toml:3" }],
        "writes": [{ "devpath": TTY, "attribute": "power/control", "value": "on", "from": "t.toml:3" }],
        "diagnostics": [{
            "severity": "warning",
            "code": "bad-link",
            "message": "`../x` can't be a link: a `.` or `..` component: the name would leave its directory",
            "file": "t.toml",
            "line": 2,
            "column": 1,
            "hint": null,
        }],
    });
    assert_eq!(found, expected);
}

#[test]
fn the_text_lists_effects_in_their_order() {
    let bench = Bench::new();
    let plan = bench.add(
        TTY,
        vec![vec![
            run(ListOp::Add, &["/bin/x", "a b"]),
            property("A", "\x1b[2J"),
            link("gps"),
            mode(0o600),
            act(Effect::Watch(true)),
        ]],
    );
    let text = plan.to_string();
    let words: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(words[..4], ["add", "node", "mode", "link"]);
    assert_eq!(words[words.len() - 2..], ["watch", "run"]);
    assert!(text.contains("  mode     0600  (t.toml:1)\n"), "{text}");
    assert!(text.contains("(c188:0)"), "{text}");
    assert!(text.contains("run      \"/bin/x\" \"a b\"  (t.toml:1)"), "{text}");
    assert!(
        text.contains("A=\\u{1b}[2J") && !text.contains('\x1b'),
        "no control bytes reach a terminal: {text}"
    );
}

#[test]
fn permissions_of_a_node() {
    let bench = Bench::new();
    let mode_of = |devmode: &str, rules| {
        let mut uevent = bench.uevent(Action::Add, TTY);
        if !devmode.is_empty() {
            uevent.properties.set("DEVMODE", devmode).unwrap();
        }
        let plan = bench.plan(&uevent, &compile(rules), None, bench.live());
        plan.node.unwrap().mode.map(|mode| (mode.value, mode.from.to_string()))
    };
    let some = |mode, from: &str| Some((mode, from.to_owned()));
    assert_eq!(mode_of("", vec![]), None);
    assert_eq!(mode_of("0666", vec![]), some(0o666, "kernel"));
    assert_eq!(mode_of("", vec![vec![], vec![group("tty", 5)]]), some(0o660, "t.toml:2"));
    assert_eq!(mode_of("", vec![vec![group("root", 0)]]), None);
    assert_eq!(mode_of("0666", vec![vec![group("tty", 5)]]), some(0o666, "kernel"));
    assert_eq!(mode_of("0666", vec![vec![mode(0o600), group("tty", 5)]]), some(0o600, "t.toml:1"));
}

#[test]
fn a_removal_sees_the_record_and_claims_nothing() {
    let bench = Bench::new();
    let record = Record {
        properties: [("ID_SERIAL", "s1"), ("MAJOR", "999")].into_iter().collect(),
        tags: tags(&["old"]),
        ..Record::default()
    };
    let rules = compile(vec![
        vec![link("gps"), mode(0o600)],
        vec![
            is("property.ID_SERIAL", "s?"),
            is("action", "remove"),
            run(ListOp::Add, &["/bin/x", "$env{ID_SERIAL}"]),
        ],
        vec![property("A", "1"), link("x")],
    ]);
    let plan = bench.plan(&bench.uevent(Action::Remove, TTY), &rules, Some(&record), bench.live());
    assert_eq!((plan.links.len(), plan.node, plan.run.len()), (0, None, 1));
    let from = |key: &str| plan.properties.iter().find(|p| p.key == key).map(|p| p.from.to_string()).unwrap();
    assert_eq!([from("ID_SERIAL"), from("MAJOR"), from("A")], ["record", "kernel", "t.toml:3"]);
    // on every other event a rule has to import what it wants to keep
    let rules = compile(vec![vec![is("property.ID_SERIAL", "s?"), property("B", "1")]]);
    let plan = bench.plan(&bench.uevent(Action::Change, TTY), &rules, Some(&record), bench.live());
    assert_eq!(plan.properties.iter().filter(|p| p.key == "B" || p.key == "ID_SERIAL").count(), 0);
}

#[test]
fn the_record_of_a_plan() {
    let bench = Bench::new();
    let old = Record { tags: tags(&["old", "both"]), init_usec: Some(42), ..Record::default() };
    let rules = compile(vec![vec![
        link("gps"),
        act(Effect::Priority(-1)),
        property("A", "1"),
        property(".T", "1"),
        tag(ListOp::Add, "both"),
        tag(ListOp::Add, "brief"),
        tag(ListOp::Remove, "brief"),
    ]]);
    let plan = bench.plan(&bench.uevent(Action::Add, TTY), &rules, Some(&old), bench.live());
    let record = plan.record(Some(&old));
    let links: Vec<String> = record.links.iter().map(ToString::to_string).collect();
    assert_eq!((links, record.priority, record.init_usec), (vec!["gps".to_owned()], -1, Some(42)));
    assert_eq!(record.properties, [("A", "1")].into_iter().collect());
    assert_eq!((record.tags, record.current_tags), (tags(&["both", "brief", "old"]), tags(&["both"])));
}

#[test]
fn only_the_difference_is_a_change() {
    let bench = Bench::new();
    let uevent = bench.uevent(Action::Change, TTY);
    let plan = |rules| bench.plan(&uevent, &compile(rules), None, bench.live());
    let before =
        plan(vec![vec![link("a"), link("b"), property("P", "1"), property("Q", "1"), tag(ListOp::Add, "t")]]);
    let record = before.record(None);
    let node = Permissions { uid: 0, gid: 0, mode: 0o600 };
    assert!(difference(&record, Some(node), &before).is_empty());
    let after = plan(vec![vec![
        link("b"),
        link("c"),
        property("P", "2"),
        property("R", "1"),
        tag(ListOp::Add, "u"),
        group("dialout", 20),
        run(ListOp::Add, &["/bin/never"]),
    ]]);
    let shown: Vec<String> =
        difference(&record, Some(node), &after).changes.iter().map(Change::to_string).collect();
    assert_eq!(
        shown,
        [
            "- link a",
            "~ node 0:0 0600 -> 0:20 0660",
            "+ link c (priority 0, t.toml:1)",
            "~ property P: 1 -> 2",
            "- property Q=1",
            "+ property R=1",
            "- tag t",
            "+ tag u",
        ]
    );
    // a new priority alone counts where there are links
    let moved = plan(vec![vec![
        link("a"),
        link("b"),
        property("P", "1"),
        property("Q", "1"),
        tag(ListOp::Add, "t"),
        act(Effect::Priority(5)),
    ]]);
    assert_eq!(difference(&record, None, &moved).changes, [Change::Priority { old: 0, new: 5 }]);
}

#[test]
fn a_dry_run_writes_and_runs_nothing_but_sees_what_it_would_write() {
    let bench = Bench::new();
    let rules = || {
        compile(vec![
            vec![write_attr("power/control", "on"), write_attr("q/*/x", "2")],
            vec![is("attr.power/control", "on"), is("attr.q/one/x", "2"), link("seen")],
            vec![act(Effect::WriteSysctl { name: template("kernel.x").into(), value: template("5") })],
            vec![is("sysctl.kernel/x", "5"), link("sysctl")],
            vec![act(Effect::Index { pool: "p".into(), by: template("%k") }), link("n$index")],
            vec![program("helper --x", true), link("ran")],
        ])
    };
    let sysctl = bench.roots.proc.join("sys/kernel");
    fs::create_dir_all(&sysctl).unwrap();
    fs::write(sysctl.join("x"), "1\n").unwrap();
    let control = bench.roots.sys.join(TTY.trim_start_matches('/')).join("power/control");
    let uevent = bench.uevent(Action::Add, TTY);
    let links = |plan: &Plan| plan.links.iter().map(|link| link.name.to_string()).collect::<Vec<_>>();

    let skipped = SkippedPrograms::default();
    let dry = bench.plan(&uevent, &rules(), None, Dry::new(&skipped, &bench.numbers));
    assert_eq!(links(&dry), ["n0", "seen", "sysctl"]);
    assert_eq!(dry.writes.len(), 3);
    assert_eq!(fs::read_to_string(&control).unwrap(), "auto\n");
    assert_eq!(fs::read_to_string(sysctl.join("x")).unwrap(), "1\n");
    assert!(!bench.roots.state().exists());
    assert_eq!(skipped.asked(), 1);

    let replanned = bench.plan(&uevent, &rules(), None, Unwriting::new(&skipped, &bench.numbers));
    assert_eq!(replanned, dry);
    assert_eq!(bench.numbers.would_be(b"p", b"other"), 1, "the number is given");
    assert_eq!(fs::read_to_string(&control).unwrap(), "auto\n");

    let asked = bench.plan(&uevent, &rules(), None, Dry::new(&bench.ran, &bench.numbers));
    assert_eq!(links(&asked), ["n0", "ran", "seen", "sysctl"]);
    let helper = bench.roots.helper_dir().join("helper");
    assert_eq!(*bench.ran.0.lock().unwrap(), [[BString::from(helper.to_str().unwrap()), "--x".into()]]);

    let live = bench.plan(&uevent, &rules(), None, bench.live());
    assert_eq!(links(&live), ["n0", "ran", "seen", "sysctl"]);
    assert!(fs::read_to_string(&control).unwrap().starts_with("on"));
    assert!(fs::read_to_string(sysctl.join("x")).unwrap().starts_with('5'));
    assert!(bench.roots.state().exists());
    assert_eq!(bench.numbers.would_be(b"p", b"other"), 1);
}

#[test]
fn what_the_host_knows() {
    let mut bench = Bench::new();
    let usb = bench.machine.device(USB).id().unwrap();
    let known = Record {
        properties: [("ID_SERIAL", "of the parent")].into_iter().collect(),
        tags: tags(&["seat", "past"]),
        current_tags: tags(&["seat"]),
        ..Record::default()
    };
    bench.records.0.insert(usb, known);
    fs::create_dir_all(&bench.roots.proc).unwrap();
    fs::create_dir_all(&bench.roots.etc).unwrap();
    fs::write(bench.roots.proc.join("cmdline"), "ro gps=yes\n").unwrap();
    let facts = bench.roots.etc.join("facts");
    fs::write(&facts, "F=1\n").unwrap();
    let builtin = |name: &str| {
        import(Import::Builtin(Box::new(Builtin { name: name.into(), arguments: Command::Argv(vec![]) })))
    };
    let interface = format!("{USB}/1-2:1.0");
    let dialout = crate::rules::ir::Principal::Template(template("dialout$env{X}"));
    let yes = vec![
        (TTY, parent(&[("property.ID_SERIAL", "of*"), ("property.MAJOR", "189"), ("tag", "seat")])),
        (&interface, import(Import::Parent(pattern("ID_*")))),
        (TTY, import(Import::CommandLine(template("gps")))),
        (TTY, import(Import::File(template(facts.to_str().unwrap())))),
        (TTY, import(Import::Db(template("OLD")))),
        (TTY, builtin("usb_id")),
    ];
    let no = vec![
        (TTY, parent(&[("tag", "past")])),
        (TTY, builtin("nothing")),
        (NET, builtin("usb_id")),
        (TTY, is("sysctl.../cmdline", "?*")),
        (TTY, import(Import::File(template(bench.roots.etc.to_str().unwrap())))),
    ];
    let old = Record { properties: [("OLD", "1")].into_iter().collect(), ..Record::default() };
    let holds = |path: &str, step: StepKind| {
        let rules = compile(vec![vec![step, property("YES", "1")]]);
        let plan = bench.plan(&bench.uevent(Action::Add, path), &rules, Some(&old), bench.live());
        plan.properties.iter().any(|property| property.key == "YES")
    };
    for (path, step) in yes {
        assert!(holds(path, step.clone()), "{path} {step:?}");
    }
    for (path, step) in no {
        assert!(!holds(path, step.clone()), "{path} {step:?}");
    }
    let plan = bench.add(TTY, vec![vec![act(Effect::Group(dialout))]]);
    assert_eq!(plan.node.unwrap().group.unwrap().value.id, 20);
}

#[test]
fn interfaces_are_named_when_they_come() {
    let bench = Bench::new();
    let rules = || compile(vec![vec![act(Effect::Name(template("lan0")))]]);
    let plan = |action| bench.plan(&bench.uevent(action, NET), &rules(), None, bench.live());
    let netif = plan(Action::Add).netif.unwrap();
    assert_eq!((netif.index.get(), netif.old, netif.name), (7, "eth0".into(), "lan0".into()));
    assert_eq!(plan(Action::Change).netif, None);
    let same = compile(vec![vec![act(Effect::Name(template("eth0")))]]);
    assert_eq!(bench.plan(&bench.uevent(Action::Add, NET), &same, None, bench.live()).netif, None);
}

#[test]
fn an_event_of_a_device_that_nobody_knows() {
    let bench = Bench::new();
    let devpath = DevPath::new(b"/devices/gone/ttyUSB9").unwrap();
    let properties = [("MAJOR", "188"), ("MINOR", "9"), ("DEVNAME", "ttyUSB9")].into_iter().collect();
    let uevent = Uevent::from_facts(Action::Remove, devpath, "tty".into(), SeqNum(9), properties);
    let rules = compile(vec![vec![append("A", "%k-%n")], vec![is("attr.x", "*"), property("B", "1")]]);
    let plan = bench.plan(&uevent, &rules, None, bench.live());
    assert_eq!(plan.event.id.unwrap().to_string(), "c188:9");
    assert_eq!(plan.properties.iter().find(|p| p.key == "A").unwrap().value, "ttyUSB9-9");
    assert!(!plan.properties.iter().any(|p| p.key == "B"));
}

/// The rules of a TOML text.
fn toml(bench: &Bench, text: &str) -> Compiled {
    let source = SourceFile::new(Path::new("50-lab.toml"), text.as_bytes());
    let known = KnownNames { accounts: &bench.accounts, builtins: crate::builtin::NAMES };
    let parsed = crate::rules::toml::parse(&source, &known);
    assert_eq!(parsed.diagnostics, []);
    Compiled::new(&[Arc::new(RuleFile { source, rules: parsed.rules })])
}

#[test]
fn from_text_to_plan() {
    let bench = Bench::new();
    let rules = toml(
        &bench,
        r#"
[[rule]]
about    = "GPS receiver on the mast"
match    = { subsystem = "tty" }
parent   = { subsystem = "usb", attr.idVendor = "1546", attr.serial = "A50285BI" }
link     = ["gps", "gps-$attr{serial}"]
group    = "dialout"
mode     = "0664"
priority = 10
tag      = "gps"

[[rule]]
match    = { subsystem = "tty", attr.size = { min = 10, max = 20 }, property.ID_BUS = { not = "usb" } }
parent   = [ { driver = "cdc_acm" }, { subsystem = "pci", attr.vendor = "0x8086" } ]
index    = { by = "$devpath" }
link     = "small/$index"
property = { SMALL = "yes" }
run      = [["/usr/bin/logger", "small $devnode"]]

[[rule]]
match    = { subsystem = "tty", property.SMALL = "yes", tag = "gps" }
start    = "gps@%k.service"
access   = "active-user"
"#,
    );
    let skipped = SkippedPrograms::default();
    let plan = bench.plan(&bench.uevent(Action::Add, TTY), &rules, None, Dry::new(&skipped, &bench.numbers));
    let found = serde_json::to_value(&plan).unwrap();
    let links: Vec<_> = found["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["name"].as_str().unwrap(), l["from"].as_str().unwrap()))
        .collect();
    assert_eq!(
        links,
        [("gps", "50-lab.toml:6"), ("gps-A50285BI", "50-lab.toml:6"), ("small/0", "50-lab.toml:16")]
    );
    assert_eq!(found["node"]["group"], "dialout");
    assert_eq!(found["node"]["mode"], "0664");
    assert_eq!(found["links"][0]["priority"], 10);
    assert_eq!(found["properties"]["SMALL"], serde_json::json!({ "value": "yes", "from": "50-lab.toml:17" }));
    assert_eq!(found["properties"]["SYSTEMD_WANTS"]["value"], "gps@ttyUSB0.service");
    assert_eq!(found["tags"], serde_json::json!(["gps", "systemd", "uaccess"]));
    assert_eq!(found["diagnostics"], serde_json::json!([]));
    let dev = bench.roots.dev.join("ttyUSB0");
    assert_eq!(found["run"][0]["program"][1], format!("small {}", dev.display()));
    assert_eq!(found["run"][1]["builtin"], "uaccess");
}
