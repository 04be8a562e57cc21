//! What rules see of earlier events: lines for a device that has a record, by hand, and asked of the machine's udev.
//!
//! Not of tags: systemd-udevd's rules see those that they gave in this event, as here, and those of `udevadm test` all that the
//! device ever had. tests/twice asks the daemon.

use std::collections::BTreeSet;

use nameplate::ids::Action::{self, Add, Change, Remove};
use nameplate::ids::Tag;
use nameplate::store::record::Record;

use super::effects::Device::Partition;
use super::machine::Machine;
use super::run::{Case, Facts, compare, file, numbered};

/// The record of the partition.
pub(crate) const RECORD: &str =
    "S:old/link\nS:older\nI:12345\nE:ID_OLD=old\nE:ID_BUS=usb\nG:t_old\nG:t_sticky\nQ:t_old\nV:1\n";

/// Lines, and what they leave when the device comes or changes, and when it goes.
const CASES: &[(&str, &str, &str)] = &[
    (r#"ENV{ID_OLD}=="old", ENV{@}="1""#, "", "1"),
    (r#"SYMLINK=="old/link", ENV{@}="1""#, "", "1"),
    (r#"SYMLINK!="old/*", ENV{@}="1""#, "1", ""),
    (r#"IMPORT{db}="ID_BUS", ENV{@}="$env{ID_BUS}""#, "usb", ""),
    (r#"IMPORT{db}!="ID_BUS", ENV{@}="1""#, "", "1"),
    (r#"IMPORT{db}="NOTHING", ENV{@}="1""#, "", ""),
    // the kernel's own count as recorded
    (r#"IMPORT{db}="MAJOR", ENV{@}="1""#, "1", ""),
    (r#"ENV{DEVLINKS}=="*/dev/old/link*", ENV{@}="1""#, "", "1"),
    (r#"ENV{TAGS}=="*:t_old:*", ENV{TAGS}=="*:t_sticky:*", ENV{@}="1""#, "1", "1"),
    (r#"ENV{@}="$env{CURRENT_TAGS}""#, "", ":t_old:"),
];

/// Lines, and which tags the device has behind a change of it: all, current.
const TAGS: &[(&str, &str, &str)] = &[
    ("ENV{A}=\"1\"", ":t_old:t_sticky:", ""),
    ("TAG+=\"new\"", ":new:t_old:t_sticky:", ":new:"),
    ("TAG-=\"t_old\"", ":t_old:t_sticky:", ""),
    ("TAG+=\"t_old\"\nTAG-=\"t_old\"", ":t_old:t_sticky:", ""),
    ("TAG=\"new\"", ":new:", ":new:"),
    ("TAG+=\"t_old\"\nTAG=\"new\"\nTAG==\"t_old\", TAG+=\"never\"", ":new:", ":new:"),
    ("TAG=\"\"", "", ""),
];

/// The cases for an action.
pub(crate) fn cases(action: Action) -> Vec<Case> {
    let expected = |case: &(&'static str, &'static str, &'static str)| match action {
        Remove => case.2,
        _ => case.1,
    };
    numbered(CASES.iter().map(|case| (Partition, case.0.to_owned(), expected(case))))
}

/// The cases of tags, each with both lists in order.
pub(crate) fn tags() -> impl Iterator<Item = (&'static str, [String; 2])> {
    TAGS.iter().map(|(text, all, current)| (*text, [all, current].map(|tags| sorted(tags))))
}

/// A list of tags in order: udev has none.
pub(crate) fn sorted(tags: &str) -> String {
    let mut names: Vec<&str> = tags.split(':').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn earlier_events() {
    let machine = Machine::new();
    let (record, problems) = Record::parse(RECORD.as_bytes());
    assert!(problems.is_empty());
    for action in [Add, Change, Remove] {
        let cases = cases(action);
        let plan = machine.after(&record, Partition, action, &file(&cases, Partition, "")).0;
        compare(&cases, Partition, "", &Facts::of(&plan));
    }
    let names = |tags: &BTreeSet<Tag>| tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ");
    for (text, expected) in tags() {
        let record = machine.after(&record, Partition, Change, text).0.record(Some(&record));
        assert_eq!([names(&record.tags), names(&record.current_tags)], expected, "{text}");
    }
}
