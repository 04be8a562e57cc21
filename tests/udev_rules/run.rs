//! The cases of `effects`, carried out: here, and by the machine's udev.

use nameplate::decide::Plan;
use nameplate::ids::Action;
use nameplate::rules::compile::Skip;
use nameplate::rules::trace::StepTrace;

use super::corners::{DONE, FOLDED, HOLDS};
use super::effects::{CONDITIONS, Device, LINES, NEWER, NODES, RUNS, VALUES};
use super::limits::limits;
use super::links::LINKS;
use super::machine::Machine;

/// A case as lines with a name of its own, and what has to come out.
pub(crate) struct Case {
    pub(crate) device: Device,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) expected: String,
}

/// What a run left: properties, links and current tags.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) links: Vec<String>,
    pub(crate) tags: Vec<String>,
}

impl Facts {
    pub(crate) fn of(plan: &Plan) -> Self {
        let property = |p: &nameplate::decide::PlannedProperty| (p.key.to_string(), p.value.to_string());
        Self {
            properties: plan.properties.iter().map(property).collect(),
            links: plan.links.iter().map(|link| link.name.to_string()).collect(),
            tags: plan.tags.iter().map(|tag| tag.tag.to_string()).collect(),
        }
    }

    /// What is about one case, with `@` for its name.
    pub(crate) fn about(&self, name: &str) -> String {
        let mut out: Vec<String> =
            self.properties.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect();
        for (word, all) in [("link", &self.links), ("tag", &self.tags)] {
            let mut own: Vec<&String> = all.iter().filter(|one| one.contains(name)).collect();
            own.sort();
            out.extend(own.iter().map(|one| format!("{word} {}", one.replace(name, "@"))));
        }
        out.join("; ")
    }
}

/// Rows as cases with names of their own.
pub(crate) fn numbered<'r>(rows: impl Iterator<Item = Row<'r>>) -> Vec<Case> {
    let named = |(number, (device, text, expected)): (usize, Row<'_>)| named(device, number, &text, expected);
    rows.enumerate().map(named).collect()
}

fn named(device: Device, number: usize, text: &str, expected: &str) -> Case {
    let name = format!("C{number:03}");
    Case { device, text: text.replace('@', &name), expected: expected.into(), name }
}

/// A device, lines, and what they leave.
pub(crate) type Row<'r> = (Device, String, &'r str);

/// Conditions as lines that say whether they held.
fn asked<'r>(conditions: &'r [(Device, &'r str, bool)]) -> impl Iterator<Item = Row<'r>> {
    let line = |condition: &str| format!("{condition}, ENV{{@}}=\"1\"");
    conditions.iter().map(move |(device, text, holds)| (*device, line(text), if *holds { "1" } else { "" }))
}

fn done<'r>(lines: &'r [(Device, &'r str, &'r str)]) -> impl Iterator<Item = Row<'r>> {
    lines.iter().map(|(device, text, expected)| (*device, (*text).to_owned(), *expected))
}

/// The cases in which systemd 252 and later agree: two files.
pub(crate) fn files() -> [Vec<Case>; 2] {
    [common(), numbered(asked(HOLDS).chain(done(DONE)))]
}

fn common() -> Vec<Case> {
    let limits = limits();
    let lines = done(LINES);
    let limits = limits.iter().map(|(device, text, expected)| (*device, text.clone(), expected.as_str()));
    let conditions = asked(CONDITIONS);
    let values =
        VALUES.iter().map(|(device, value, expected)| (*device, format!("ENV{{@}}=\"{value}\""), *expected));
    // Conditions first: lines give links, tags and a parent.
    numbered(conditions.chain(values).chain(lines).chain(limits))
}

fn newer() -> Vec<Case> {
    numbered(asked(FOLDED).chain(done(NEWER)).chain(done(LINKS)))
}

/// One file with all cases of a device.
pub(crate) fn file(cases: &[Case], device: Device, dir: &str) -> String {
    let own = cases.iter().filter(|case| case.device == device);
    own.map(|case| case.text.replace("<dir>", dir) + "\n").collect()
}

/// Fails with all that came out otherwise.
pub(crate) fn compare(cases: &[Case], device: Device, dir: &str, facts: &Facts) {
    let mut wrong = String::new();
    for case in cases.iter().filter(|case| case.device == device) {
        let found = facts.about(&case.name);
        let expected = case.expected.replace("<dir>", dir);
        if found != expected {
            wrong += &format!("\n{}\n  found    {found:?}\n  expected {expected:?}", case.text);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is run at the end.
fn run(plan: &Plan) -> Vec<String> {
    plan.run.iter().map(|given| given.value.to_string()).collect()
}

/// Owner, group and permissions of the node.
fn node(plan: &Plan) -> String {
    let node = plan.node.as_ref().unwrap();
    let id = |account: &Option<nameplate::decide::Sourced<nameplate::rules::eval::Account>>| {
        account.as_ref().map_or("-".into(), |account| account.value.id.to_string())
    };
    let mode = node.mode.as_ref().map_or("-".into(), |mode| format!("{:o}", mode.value));
    format!("{} {} {mode}", id(&node.owner), id(&node.group))
}

#[test]
fn runs_and_nodes() {
    let machine = Machine::new();
    for (text, expected) in RUNS {
        assert_eq!(run(&machine.plan(Device::Partition, Action::Add, text)), *expected, "{text}");
    }
    for (text, expected) in NODES {
        assert_eq!(node(&machine.plan(Device::Partition, Action::Add, text)), *expected, "{text}");
    }
}

#[test]
fn whether_writers_are_watched_can_be_final() {
    let machine = Machine::new();
    for (text, expected) in [
        ("OPTIONS+=\"watch\"", Some(true)),
        ("OPTIONS+=\"watch\", OPTIONS+=\"nowatch\"", Some(false)),
        ("OPTIONS:=\"watch\"\nOPTIONS+=\"nowatch\"", Some(true)),
        ("OPTIONS:=\"nowatch\"\nOPTIONS:=\"watch\"", Some(false)),
        ("OPTIONS=\"watch\"\nOPTIONS=\"nowatch\"", Some(false)),
        ("OPTIONS+=\"link_priority=3\"", None),
    ] {
        let watch = machine.plan(Device::Partition, Action::Add, text).watch;
        assert_eq!(watch.map(|given| given.value), expected, "{text}");
    }
}

#[test]
fn the_last_priority_counts_and_none_is_final() {
    let machine = Machine::new();
    for (text, expected) in [
        ("ENV{A}=\"1\"", 0),
        ("OPTIONS+=\"link_priority=3\"\nOPTIONS+=\"link_priority=-7\"", -7),
        ("OPTIONS:=\"link_priority=3\"\nOPTIONS+=\"link_priority=4\"", 4),
    ] {
        assert_eq!(machine.plan(Device::Partition, Action::Add, text).priority, expected, "{text}");
    }
    assert_eq!(machine.plan(Device::Lo, Action::Add, "OPTIONS+=\"link_priority=3\"").priority, 0);
}

#[test]
fn explain_shows_jumps_and_what_they_skip() {
    let text = "GOTO=\"end\"\nENV{A}=\"1\"\nSUBSYSTEM==\"usb\", ENV{A}=\"2\"\nLABEL=\"end\"\nENV{B}=\"1\"";
    let (_, trace) = Machine::new().explain(Device::Partition, Action::Add, text);
    let skipped: Vec<Option<Skip>> = trace.rules.iter().map(|rule| rule.skipped).collect();
    assert_eq!(skipped, [None, Some(Skip::Jumped), Some(Skip::Jumped), None]);
    let jump = |step: &StepTrace| matches!(step, StepTrace::Effect { what, .. } if what == "goto");
    assert!(trace.rules[0].steps.iter().any(jump));
}

#[test]
fn a_removal_has_neither_links_nor_permissions() {
    let machine = Machine::new();
    let text = "ACTION==\"remove\", SYMLINK+=\"a\"\nMODE=\"0600\", ENV{A}=\"1\"\nKERNEL==\"loop*\", GOTO=\"x\"\nENV{B}=\"1\"\nLABEL=\"x\"\nRUN+=\"/bin/a\"\n";
    let plan = machine.plan(Device::Partition, Action::Remove, text);
    assert!(plan.links.is_empty() && plan.node.is_none());
    let set: Vec<String> =
        plan.properties.iter().map(|p| p.key.to_string()).filter(|key| key.len() == 1).collect();
    assert_eq!((set, run(&plan)), (vec!["A".to_owned()], vec!["/bin/a".to_owned()]));
}

#[test]
fn a_removal_sees_what_the_device_has() {
    let machine = Machine::new();
    let cases = [
        ("TAG==\"tag_of_before\", ENV{X}=\"1\"", true, false),
        ("TAGS==\"tag_of_before\", ENV{X}=\"1\"", true, false),
        ("TAG-=\"tag_of_before\"\nTAG!=\"tag_of_before\", ENV{X}=\"1\"", true, true),
        ("TAG=\"\"\nTAG!=\"tag_of_before\", ENV{X}=\"1\"", true, true),
        ("SYMLINK==\"of_before\", ENV{X}=\"1\"", true, false),
        ("ENV{KEPT}==\"yes\", ENV{X}=\"1\"", true, false),
        ("ENV{X}=\"$links\"", true, false),
        ("ENV{DEVLINKS}==\"/dev/of_before\", ENV{X}=\"1\"", true, false),
        ("ENV{CURRENT_TAGS}==\":tag_of_before:\", ENV{X}=\"1\"", true, false),
        ("ENV{TAGS}==\":tag_of_before:\", ENV{X}=\"1\"", true, true),
        // nothing is left to import: it is all there
        ("IMPORT{db}==\"KEPT\", ENV{X}=\"1\"", false, true),
        ("IMPORT{db}!=\"KEPT\", ENV{X}=\"1\"", true, false),
    ];
    for (text, removed, added) in cases {
        for (action, expected) in [(Action::Remove, removed), (Action::Add, added)] {
            let plan = machine.plan(Device::Partition, action, text);
            assert_eq!(plan.properties.iter().any(|p| p.key == "X"), expected, "{text} {action:?}");
        }
    }
}

#[test]
fn together() {
    let machine = Machine::new();
    let dir = machine.dir.path().to_str().unwrap();
    for cases in files() {
        for device in [Device::Partition, Device::Lo] {
            let plan = machine.plan(device, Action::Add, &file(&cases, device, dir));
            compare(&cases, device, dir, &Facts::of(&plan));
        }
    }
}

#[test]
fn each_alone() {
    let machine = Machine::new();
    let dir = machine.dir.path().to_str().unwrap();
    // What another case brings is not there.
    let needs = ["FACT_", "FACT}==", "NAME==\"xyz\""];
    for case in files().into_iter().flatten().chain(newer()) {
        if needs.iter().any(|text| case.text.contains(text)) {
            continue;
        }
        let plan = machine.plan(case.device, Action::Add, &case.text.replace("<dir>", dir));
        let device = case.device;
        compare(&[case], device, dir, &Facts::of(&plan));
    }
}
