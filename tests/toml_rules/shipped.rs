//! The shipped rules: right, without warnings, and their own tests hold on their recording.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nameplate::decide::{Dry, Event, EventHost, Plan, Records, SkippedPrograms, Surroundings, decide};
use nameplate::device::{Reader, Source, Tree};
use nameplate::diag::Severity;
use nameplate::ids::{DeviceId, SeqNum};
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::convert::AnyAccount;
use nameplate::rules::lint::lint;
use nameplate::rules::load::{Loaded, load};
use nameplate::rules::toml::{Known, RuleTest};
use nameplate::rules::trace::Unobserved;
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

use super::show::diagnostics;

#[derive(Debug)]
struct NoRecords;

impl Records for NoRecords {
    fn record(&self, _: &DeviceId) -> Option<Record> {
        None
    }
}

fn shipped(dir: &str) -> Loaded {
    let known = Known { accounts: &AnyAccount, builtins: nameplate::builtin::NAMES };
    load(&[Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)], &known)
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
    let globals = nameplate::decide::Globals::default();
    let around = Surroundings {
        tree: &tree,
        roots: &roots,
        records: &NoRecords,
        accounts: &AnyAccount,
        shared: &nameplate::builtin::Shared::new(&roots),
        others: None,
        globals: &globals,
    };
    let until = Instant::now() + Duration::from_secs(600);
    let skipped = SkippedPrograms::default();
    let mut host = EventHost::new(around, &event, until, Dry::new(&skipped, &numbers));
    decide(rules, &event, &roots, &mut host, &mut Unobserved)
}

#[test]
fn the_shipped_rules_are_right_and_do_what_their_tests_say() {
    for (dir, files, tests) in [("rules", 30, 90), ("rules/examples", 3, 8)] {
        let loaded = shipped(dir);
        assert!(loaded.files.len() >= files && loaded.tests.len() >= tests, "{dir}");
        check(&loaded);
    }
}

fn check(loaded: &Loaded) {
    assert_eq!(diagnostics(&loaded.diagnostics), "");
    let odd = lint(&loaded.files).into_iter().map(|finding| finding.diagnostic);
    let odd: Vec<_> = odd.filter(|one| one.severity > Severity::Note).collect();
    assert_eq!(diagnostics(&odd), "");
    let rules = Compiled::new(&loaded.files);
    for test in &loaded.tests {
        let plan = plan(test, &rules);
        if let Some(expected) = &test.links {
            let links: BTreeSet<String> = plan.links.iter().map(|link| link.name.to_string()).collect();
            assert_eq!(links, expected.value.iter().cloned().collect(), "{}", test.place);
        }
        for (key, value) in &test.properties {
            let all = plan.all_properties();
            assert_eq!(all.get(key).unwrap_or_default(), value.value.as_str(), "{}: {key}", test.place);
        }
    }
}
