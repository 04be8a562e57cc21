//! The shipped rules: right, without warnings, and their own tests hold on their recording.

use std::path::Path;
use std::time::{Duration, Instant};

use nameplate::decide::{Dry, Event, EventHost, Plan, Records, SkippedPrograms, Surroundings, decide};
use nameplate::device::{Reader, Source, Tree};
use nameplate::ids::{DeviceId, SeqNum};
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::lint::lint;
use nameplate::rules::load::{Loaded, load};
use nameplate::rules::toml::{AccountFiles, Known, RuleTest};
use nameplate::rules::trace::Unobserved;
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

use super::show::{diagnostics, known};

#[derive(Debug)]
struct NoRecords;

impl Records for NoRecords {
    fn record(&self, _: &DeviceId) -> Option<Record> {
        None
    }
}

fn shipped() -> Loaded {
    let known = Known { builtins: nameplate::builtin::NAMES, ..known() };
    load(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")], &known)
}

/// What the rules make of a test's device.
fn plan(test: &RuleTest, rules: &Compiled) -> Plan {
    let file = test.place.file.path.parent().unwrap().join(&test.device.value);
    let recording = Recording::parse(&std::fs::read(&file).unwrap()).unwrap();
    let tree = Tree::new(Source::Recording(recording));
    tree.walk();
    let device = tree.get(&test.path.value).expect("the recording has the device");
    let empty = tempfile::tempdir().unwrap();
    let roots = Roots::below(empty.path());
    let numbers = Indexes::new(&roots.state());
    let properties = (*Reader::new(&tree).uevent(&device)).clone();
    let subsystem = device.subsystem().unwrap();
    let uevent = Uevent::from_facts(test.action, device.devpath(), subsystem, SeqNum(1), properties);
    let event = Event { uevent: &uevent, device: Some(&device), record: None };
    let around = Surroundings {
        tree: &tree,
        roots: &roots,
        records: &NoRecords,
        accounts: &AccountFiles::default(),
        shared: &nameplate::builtin::Shared::new(&roots),
    };
    let until = Instant::now() + Duration::from_secs(600);
    let skipped = SkippedPrograms::default();
    let mut host = EventHost::new(around, &event, until, Dry::new(&skipped, &numbers));
    decide(rules, &event, &roots, &mut host, &mut Unobserved)
}

#[test]
fn the_shipped_rules_are_right_and_do_what_their_tests_say() {
    let loaded = shipped();
    assert_eq!(diagnostics(&loaded.diagnostics), "");
    let odd: Vec<_> = lint(&loaded.files).into_iter().map(|finding| finding.diagnostic).collect();
    assert_eq!(diagnostics(&odd), "");
    assert!(loaded.files.len() >= 3 && loaded.tests.len() >= 8);
    let rules = Compiled::new(&loaded.files);
    for test in &loaded.tests {
        let plan = plan(test, &rules);
        let mut links: Vec<String> = plan.links.iter().map(|link| link.name.to_string()).collect();
        links.sort();
        let mut expected = test.links.clone().expect("each of them says which links").value;
        expected.sort();
        assert_eq!(links, expected, "{}", test.place);
        for (key, value) in &test.properties {
            assert_eq!(
                plan.all_properties().get(key).unwrap(),
                value.value.as_str(),
                "{}: {key}",
                test.place
            );
        }
    }
}
