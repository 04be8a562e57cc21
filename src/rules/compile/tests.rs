//! The index changes the cost of an evaluation and never its outcome: checked against an evaluation without it, and by
//! counting what is still tested and read.

mod cost;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::Compiled;
use crate::diag::SourceFile;
use crate::ids::Action;
use crate::rules::eval::testing::{DISK, Machine, NET, Scripted, TTY, USB, summary};
use crate::rules::eval::{Outcome, evaluate};
use crate::rules::ir::{Rule, RuleFile};
use crate::rules::toml::{AccountFiles, Known};
use crate::rules::trace::{Observer, Seen, Unobserved};

/// The rules of a text; its name says which language it is.
fn rules(name: &str, text: &str) -> Compiled {
    let source = SourceFile::new(Path::new(name), text.as_bytes());
    let accounts = AccountFiles::default();
    let known = Known { accounts: &accounts, builtins: &["path_id", "usb_id"] };
    let rules = if name.ends_with(".toml") {
        crate::rules::toml::parse(&source, &known).rules
    } else {
        crate::rules::udev::parse(&source, text.as_bytes(), &known).rules
    };
    Compiled::new(&[Arc::new(RuleFile { source, rules })])
}

/// Is shown every rule, which are then taken without the index.
struct NoIndex;

impl Observer for NoIndex {
    const EVERY_RULE: bool = true;
}

/// Counts what is tested.
#[derive(Debug, Default)]
struct Counts {
    lines: Vec<u32>,
    conditions: usize,
}

impl Observer for Counts {
    fn rule(&mut self, rule: &Rule) {
        self.lines.push(rule.place.line);
    }
    fn condition(&mut self, _: &Seen<'_>) {
        self.conditions += 1;
    }
}

thread_local! {
    static MACHINE: Machine = Machine::new();
}

/// An evaluation with everything that it did: the outcome, what was asked of programs, what was written.
fn run<O: Observer>(
    machine: &Machine,
    rules: &Compiled,
    action: Action,
    path: &str,
    observer: &mut O,
) -> (Outcome, Vec<String>) {
    let mut host = Scripted::new(machine);
    let outcome = evaluate(rules, &machine.facts(action, path), &mut host, observer);
    (outcome, host.log)
}

/// The lines that are looked at.
fn lines(rules: &Compiled, action: Action, path: &str) -> Vec<u32> {
    let mut counts = Counts::default();
    MACHINE.with(|machine| run(machine, rules, action, path, &mut counts));
    counts.lines
}

#[test]
fn a_line_that_cannot_match_is_not_looked_at() {
    // the event is `add` of ttyUSB0 in tty
    for (line, expected) in [
        ("ACTION==\"add\"", true),
        ("ACTION==\"a*\"", true),
        ("ACTION==\"change|add\"", true),
        ("ACTION!=\"remove\"", true),
        ("ACTION==\"change\"", false),
        ("ACTION!=\"add\"", false),
        ("ACTION!=\"remove\", ACTION!=\"add\"", false),
        ("SUBSYSTEM==\"tty\"", true),
        ("SUBSYSTEM==\"t*|block\"", true),
        ("SUBSYSTEM==i\"TTY\"", true),
        ("SUBSYSTEM!=\"block\"", true),
        ("SUBSYSTEM==\"usb\"", false),
        ("SUBSYSTEM==\"t*\", SUBSYSTEM!=\"tty\"", false),
        ("SUBSYSTEM==\"\"", false),
        ("KERNEL==\"ttyUSB[0-9]\"", true),
        ("KERNEL==\"*USB0\"", true),
        ("KERNEL==\"ttyUSB\"", false),
        ("KERNEL==\"ttyUSB0x\"", false),
        ("KERNEL==\"sd*|ttyS*|ttyUSB1\"", false),
        ("KERNEL!=\"tty*\"", false),
        ("DEVPATH==\"/devices/pci0/usb1/*\"", true),
        ("DEVPATH==\"*/usb2/*\"", false),
        ("ENV{DEVTYPE}==\"\"", true),
        ("ENV{DEVTYPE}==\"usb_device\"", false),
        ("ENV{DEVTYPE}!=\"disk\"", true),
        // what a rule may have set is asked in its turn
        ("ENV{A}==\"1\"", true),
        ("TAG==\"x\"", true),
    ] {
        let looked =
            !lines(&rules("t.rules", &format!("{line}, ENV{{X}}=\"1\"\n")), Action::Add, TTY).is_empty();
        assert_eq!(looked, expected, "{line}");
    }
    // by the kind of device
    for (effect, path, action, expected) in [
        ("SYMLINK+=\"a\"", TTY, Action::Add, true),
        ("SYMLINK+=\"a\"", TTY, Action::Remove, false),
        ("SYMLINK+=\"a\"", NET, Action::Add, false),
        ("MODE=\"0600\"", "/devices/pci0", Action::Add, false),
        ("NAME=\"lan0\"", NET, Action::Add, true),
        ("NAME=\"lan0\"", TTY, Action::Add, false),
        ("NAME=\"lan0\", SYMLINK+=\"a\"", TTY, Action::Add, true),
        ("GOTO=\"end\"\nLABEL=\"end\"", "/devices/pci0", Action::Remove, true),
    ] {
        let rules = rules("t.rules", &format!("KERNEL==\"*\", {effect}\n"));
        assert_eq!(!lines(&rules, action, path).is_empty(), expected, "{effect} {path}");
    }
}

#[test]
fn no_rule_sets_the_devtype() {
    // The index is asked before any rule runs.
    for (name, text) in [
        ("t.rules", "ENV{DEVTYPE}=\"x\"\nIMPORT{parent}=\"DEVTYPE\"\nENV{DEVTYPE}==\"x\", ENV{A}=\"1\"\n"),
        (
            "t.toml",
            "[[rule]]\nproperty.DEVTYPE = \"x\"\n[[rule]]\nmatch.devtype = \"x\"\nproperty.A = \"1\"\n",
        ),
    ] {
        let rules = rules(name, text);
        MACHINE.with(|machine| {
            let (outcome, _) = run(machine, &rules, Action::Add, TTY, &mut NoIndex);
            assert_eq!(summary(&outcome), "", "{name}");
        });
    }
}

/// `before`, then so many lines of vendors and products, then `after`. The adapter's pair stands in the middle.
fn list(before: &str, line: &str, count: usize, after: &str) -> String {
    let mut text = before.to_owned();
    for n in 0..count {
        let (vendor, product) = match n == count / 2 {
            true => ("1546".to_owned(), "01a7".to_owned()),
            false => (format!("{:04x}", 0x2000 + n / 4), format!("{n:04x}")),
        };
        let line = line.replace("VENDOR", &vendor).replace("PRODUCT", &product);
        let _never_fails = writeln!(text, "{line}");
    }
    text + after
}

const PARENTS: &str = "ATTRS{idVendor}==\"VENDOR\", ATTRS{idProduct}==\"PRODUCT\", ENV{HIT}=\"$id\"";

#[test]
fn what_a_list_passes_by_still_counts() {
    // The line before the list finds a parent; lines of the list that find none leave none.
    let before = "KERNELS==\"1-2:1.0\", ENV{BEFORE}=\"$id\"\n";
    let after = "ENV{AFTER}=\"<$id>\"\n";
    let own = "ATTR{size}==\"PRODUCT\", ENV{HIT}=\"1\"";
    let guarded = "ENV{NONE}==\"1\", ATTRS{idProduct}==\"PRODUCT\", ENV{HIT}=\"1\"";
    let other = "SUBSYSTEM==\"block\", ATTRS{idProduct}==\"PRODUCT\", ENV{HIT}=\"1\"";
    let node = "ATTRS{idVendor}==\"VENDOR\", OWNER=\"$id\"";
    for (name, line, path, expected) in [
        ("found and lost again", PARENTS, TTY, "AFTER=<>@42; BEFORE=1-2:1.0@1; HIT=1-2@22"),
        ("never gets to the parents", own, TTY, "AFTER=<1-2:1.0>@42; BEFORE=1-2:1.0@1"),
        ("fails before the parents", guarded, TTY, "AFTER=<1-2:1.0>@42; BEFORE=1-2:1.0@1"),
        ("can't match", other, TTY, "AFTER=<1-2:1.0>@42; BEFORE=1-2:1.0@1"),
        ("has nothing to do", node, "/devices/pci0/usb1/1-2/1-2:1.0", "AFTER=<1-2:1.0>@42; BEFORE=1-2:1.0@1"),
    ] {
        let rules = rules("t.rules", &list(before, line, 40, after));
        assert_eq!(rules.runs.len(), 1, "{name}");
        MACHINE.with(|machine| {
            let (outcome, _) = run(machine, &rules, Action::Add, path, &mut Unobserved);
            assert_eq!(summary(&outcome), expected, "{name}");
            assert_eq!(outcome, run(machine, &rules, Action::Add, path, &mut NoIndex).0, "{name}");
        });
    }
}

#[test]
fn effects_inside_of_a_list_are_seen_by_its_next_lines() {
    let mut text = String::from("ENV{A}=\"0\"\n");
    // 0 leads to 1, 1 to 2 …; a line for 0 at the end comes too late
    for n in 0..20 {
        let _never_fails = writeln!(text, "ENV{{A}}==\"{n}\", ENV{{A}}=\"{}\", ENV{{S{n}}}=\"1\"", n + 1);
    }
    text += "ENV{A}==\"0\", ENV{LATE}=\"1\"\nENV{A}==\"20\", ENV{END}=\"1\"\n";
    let rules = rules("t.rules", &text);
    MACHINE.with(|machine| {
        let (outcome, _) = run(machine, &rules, Action::Add, TTY, &mut Unobserved);
        assert_eq!(outcome.properties.get("A").unwrap(), "20");
        assert!(outcome.properties.get("END").is_some() && outcome.properties.get("LATE").is_none());
        assert!((0..20).all(|n| outcome.properties.get(format!("S{n}")).is_some()));
    });
}

#[test]
fn a_jump_may_lead_into_a_list() {
    let hit = "ATTRS{idVendor}==\"1546\", ENV{N}=\"1\"\n";
    let lines =
        list("KERNEL==\"tty*\", GOTO=\"in\"\n", "ATTRS{idVendor}==\"VENDOR\", ENV{HIT}=\"1\"", 20, "");
    let text = format!("{lines}LABEL=\"in\"\n{hit}{}", hit.replace("1546", "9999").repeat(9));
    MACHINE.with(|machine| {
        let (outcome, _) = run(machine, &rules("t.rules", &text), Action::Add, TTY, &mut Unobserved);
        assert_eq!(summary(&outcome), "N=1@23");
    });
}

/// A key with a value, in the words of TOML.
type Pair = (&'static str, &'static str);

/// A line of either language.
#[derive(Debug, Clone, Default)]
struct Line {
    own: Vec<Pair>,
    up: Vec<Pair>,
    does: Vec<Pair>,
    /// How many labels further it jumps (udev only).
    goto: Option<usize>,
    label: bool,
}

const OWN: &[(&str, &[&str])] = &[
    ("action", &["add", "change|add", "remove", "!remove", "!add"]),
    ("kernel", &["ttyUSB0", "tty*", "1-2", "sda|eth0", "!sda", "*0"]),
    ("subsystem", &["tty", "usb", "block|net", "!tty", "u*", ""]),
    ("devpath", &["*/usb1/*", "/devices/virtual/*", "!*tty*"]),
    ("devtype", &["disk", "usb_device", "", "!disk"]),
    ("property.A", &["1", "2", "", "1|2", "!1", "?*"]),
    ("property.B", &["1", "1-2", "", "5"]),
    ("attr.size", &["0x10", "2000", "1500", "2000|0x10", "!2000", "*", "0x10 "]),
    ("attr.idVendor", &["1546", "1547", "*"]),
    ("tag", &["x", "!x"]),
];
const UP: &[(&str, &[&str])] = &[
    ("kernel", &["1-2", "tty*", "usb1", "sda", "!1-2"]),
    ("subsystem", &["usb", "pci", "usb-serial|tty", "!tty"]),
    ("driver", &["cdc_acm", "", "!cdc_acm"]),
    ("attr.idVendor", &["1546", "1547", "1546|9999", "*", "!1546"]),
    ("attr.idProduct", &["01a7", "01a8", ""]),
    ("attr.size", &["0x10", "2000", "0x10"]),
    ("tag", &["seat", "x"]),
];
const DOES: &[(&str, &[&str])] = &[
    ("link", &["a", "b", "l$id", "s$attr{idVendor}"]),
    ("property.A", &["1", "2", "$id"]),
    ("property.B", &["1", "$driver", "$attr{size}"]),
    ("tag", &["x", "y"]),
    ("mode", &["0600"]),
    ("name", &["lan0"]),
    ("write.attr.size", &["2000", "0x10"]),
    ("run", &["/bin/x"]),
    // A program that succeeds, one that fails: conditions that act.
    ("program", &["/bin/words", "/bin/none"]),
    ("import", &["path_id", "usb_id"]),
];

impl Line {
    fn udev(&self, at: usize) -> String {
        let key = |word: &str, plural: &str| match word.split_once('.').unwrap_or((word, "")) {
            ("devtype", _) => "ENV{DEVTYPE}".to_owned(),
            ("property", name) => format!("ENV{{{name}}}"),
            ("attr", name) => format!("ATTR{plural}{{{name}}}"),
            (word, _) => format!("{}{plural}", word.to_uppercase()),
        };
        let asks = |(word, value): &Pair, plural: &str| match value.strip_prefix('!') {
            Some(value) => format!("{}!=\"{value}\"", key(word, plural)),
            None => format!("{}==\"{value}\"", key(word, plural)),
        };
        let does = |(word, value): &Pair| match *word {
            "link" => format!("SYMLINK+=\"{value}\""),
            "tag" => format!("TAG+=\"{value}\""),
            "run" => format!("RUN+=\"{value} $id\""),
            "write.attr.size" => format!("ATTR{{size}}=\"{value}\""),
            "program" => format!("PROGRAM==\"{value}\""),
            "import" => format!("IMPORT{{builtin}}==\"{value}\""),
            word => format!("{}=\"{value}\"", key(word, "")),
        };
        let label = self.label.then(|| format!("LABEL=\"l{at}\""));
        let own = self.own.iter().map(|pair| asks(pair, ""));
        let all = own.chain(self.up.iter().map(|pair| asks(pair, "S"))).chain(self.does.iter().map(does));
        all.chain(label).collect::<Vec<_>>().join(", ")
    }

    fn toml(&self) -> String {
        let asks = |pairs: &[Pair]| {
            let one = |(word, value): &Pair| match value.strip_prefix('!') {
                Some(value) => format!("{word} = {{ not = \"{value}\" }}"),
                None => format!("{word} = \"{value}\""),
            };
            pairs.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let mut text = String::from("[[rule]]\n");
        for (table, pairs) in [("match", &self.own), ("parent", &self.up)] {
            if !pairs.is_empty() {
                let _never_fails = writeln!(text, "{table} = {{ {} }}", asks(pairs));
            }
        }
        for (word, value) in &self.does {
            let _never_fails = match *word {
                "program" => writeln!(text, "property.D = \"{value}\""),
                "import" => writeln!(text, "import = {{ builtin = \"{value}\" }}"),
                "run" => writeln!(text, "run = [[\"{value}\", \"$id\"]]"),
                word => writeln!(text, "{word} = \"{value}\""),
            };
        }
        text
    }
}

type Table = &'static [(&'static str, &'static [&'static str])];

/// Some of the keys of a table, in its order.
fn keys(table: Table, most: usize) -> impl Strategy<Value = Vec<(&'static str, &'static [&'static str])>> {
    prop::sample::subsequence(table, 0..=most)
}

/// A value for each of some keys.
fn pairs(keys: Vec<(&'static str, &'static [&'static str])>) -> impl Strategy<Value = Vec<Pair>> {
    let one = |(key, values): (&'static str, &'static [&'static str])| {
        prop::sample::select(values).prop_map(move |value| (key, value))
    };
    keys.into_iter().map(one).collect::<Vec<_>>()
}

/// One to some lines that ask the same keys.
fn block() -> impl Strategy<Value = Vec<Line>> {
    let count = prop_oneof![2 => 1_usize..3, 3 => 8_usize..16];
    (keys(OWN, 3), keys(UP, 3), count).prop_flat_map(|(own, up, count)| {
        let does = keys(DOES, 2).prop_flat_map(pairs);
        let goto = prop::option::weighted(0.15, 0_usize..3);
        let line = (pairs(own), pairs(up), does, goto, prop::bool::weighted(0.2))
            .prop_map(|(own, up, does, goto, label)| Line { own, up, does, goto, label });
        prop::collection::vec(line, count)
    })
}

fn udev_text(lines: &[Line]) -> String {
    let labels: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| line.label).map(|(at, _)| at).collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let mut parts = line.udev(at);
        if let Some(goto) = line.goto {
            let later: Vec<_> = labels.iter().filter(|label| **label > at).collect();
            if let Some(to) = later.get(goto).or(later.last()) {
                let _never_fails =
                    write!(parts, "{}GOTO=\"l{to}\"", if parts.is_empty() { "" } else { ", " });
            }
        }
        let _never_fails = writeln!(text, "{parts}");
    }
    text
}

fn same(name: &str, text: &str, action: Action, path: &str) -> Result<(), TestCaseError> {
    let rules = rules(name, text);
    MACHINE.with(|machine| {
        let with = run(machine, &rules, action, path, &mut Unobserved);
        let without = run(machine, &rules, action, path, &mut NoIndex);
        prop_assert_eq!(with, without, "{}", text);
        Ok(())
    })
}

const PATHS: &[&str] = &[TTY, DISK, NET, USB, "/devices/pci0", "/devices/pci0/usb1/1-2/1-2:1.0"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_the_index_and_without_it_comes_out_the_same(
        blocks in prop::collection::vec(block(), 1..5),
        action in prop::sample::select(&[Action::Add, Action::Add, Action::Change, Action::Remove][..]),
        path in prop::sample::select(PATHS),
    ) {
        let lines = blocks.concat();
        same("t.rules", &udev_text(&lines), action, path)?;
        let toml: String = lines.iter().map(Line::toml).collect();
        same("t.toml", &toml, action, path)?;
    }
}
