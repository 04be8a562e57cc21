//! The records of the device database.

use nameplate::ids::{LinkName, Tag};
use nameplate::properties::Properties;
use nameplate::store::record::Record;

/// Reads the input as a record, and makes a record of its pieces: each is written and read again as the same.
pub fn check(data: &[u8]) {
    let (record, problems) = Record::parse(data);
    let lines = data.split(|&b| b == b'\n').count();
    assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)), "{problems:?}");
    round_trip(record);
    round_trip(made_of(data));
}

/// A record whose parts are whatever the types let through.
fn made_of(data: &[u8]) -> Record {
    let mut record = Record::default();
    for (at, piece) in data.split(|&b| b == 0).enumerate() {
        match at % 4 {
            0 => drop(record.properties.set_line(piece)),
            1 => record.links.extend(LinkName::new(piece)),
            2 => record.tags.extend(Tag::new(piece)),
            _ => record.node = LinkName::new(piece).ok().or(record.node),
        }
    }
    record
}

/// What is kept is all but the temporary properties, each in a line of its own.
fn round_trip(mut record: Record) {
    let text = record.to_bytes();
    if text.is_empty() {
        // nothing is said of the device
        assert!(!record.says_something() || lasting(&record.properties).is_empty());
        return;
    }
    record.properties = lasting(&record.properties);
    let parts = usize::from(record.node.is_some())
        + record.links.len()
        + usize::from(record.priority != 0)
        + usize::from(record.init_usec.is_some())
        + record.properties.len()
        + record.tags.len()
        + record.current_tags.len();
    assert!(text.ends_with(b"V:1\n"));
    assert_eq!(text.iter().filter(|&&b| b == b'\n').count(), parts + 1, "a line is forged");
    assert_eq!(Record::parse(&text), (record, Vec::new()));
}

fn lasting(properties: &Properties) -> Properties {
    properties.iter().filter(|(key, _)| !key.starts_with(b".")).collect()
}
