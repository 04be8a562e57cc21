//! Messages of libudev's monitors.

use nameplate::ids::Tag;
use nameplate::uevent::monitor;

use super::uevent;

/// What can be read can be written, and read again as the same.
pub fn check(data: &[u8]) {
    let Ok(parsed) = monitor::decode(data) else { return };
    uevent::facts(&parsed.uevent);
    let tags = parsed.uevent.properties.get("TAGS").map(|tags| tags.to_vec()).unwrap_or_default();
    let tags: Vec<Tag> = tags.split(|&b| b == b':').filter_map(|tag| Tag::new(tag).ok()).collect();
    let message = monitor::encode(&parsed.uevent, &tags);
    let again = monitor::decode(&message);
    assert_eq!(again.map(|again| (again.uevent, again.dropped)), Ok((parsed.uevent, Vec::new())));
}
