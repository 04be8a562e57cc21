//! Owns events as subscribers see them: the kernel's uevent, and what became of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::control::protocol::{EventEntry, EventSource, text};
use super::engine::Handled;
use crate::machine;
use crate::properties::Properties;
use crate::uevent::Uevent;

/// An event as it came from `source`.
pub(super) fn heard_event(source: EventSource, uevent: &Uevent) -> EventEntry {
    EventEntry { source, properties: shown(&uevent.properties), ..frame(uevent) }
}

/// An event that was carried through.
pub(super) fn handled_event(uevent: &Uevent, handled: &Handled) -> EventEntry {
    let plan = &handled.plan;
    EventEntry {
        source: EventSource::Handled,
        // an interface may have another name by now
        devpath: text(plan.event.devpath.as_bytes()),
        properties: shown(&plan.all_properties()),
        links: plan.links.iter().map(|link| text(link.name.as_bytes())).collect(),
        tags: plan.tags.iter().map(|planned| planned.tag.to_string()).collect(),
        ..frame(uevent)
    }
}

fn frame(uevent: &Uevent) -> EventEntry {
    EventEntry {
        action: uevent.action.to_string(),
        devpath: text(uevent.devpath.as_bytes()),
        subsystem: Some(text(&uevent.subsystem)).filter(|subsystem| !subsystem.is_empty()),
        devtype: uevent.devtype().map(text),
        seqnum: Some(uevent.seqnum.0).filter(|number| *number != 0),
        usec: machine::uptime_usec().unwrap_or_default(),
        node: uevent.devname().map(text),
        ..EventEntry::default()
    }
}

fn shown(properties: &Properties) -> BTreeMap<String, String> {
    properties.iter().map(|(key, value)| (text(key), text(value))).collect()
}

/// Bytes as a path.
pub(super) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
