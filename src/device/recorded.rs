//! Owns looking into a recording as if it were a mounted sysfs: the same questions, the same answers.
//!
//! A recording has devices, their attributes and links; directories are made up from the names. Never leads above the
//! recording's root.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::live::ATTRIBUTE_MAX;
use super::source::{Entry, Found, Kind, facts};
use crate::ids::DevPath;
use crate::recording::{RecordedDevice, Recording};

/// As many links as the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// What is at a path.
enum Thing {
    File(BString),
    Link(BString),
    Directory,
}

/// Every device, parents first.
pub(super) fn scan(recording: &Recording, visit: &mut dyn FnMut(Found)) {
    recording.devices().for_each(|recorded| visit(found(recorded)));
}

/// The device at a path.
pub(super) fn device(recording: &Recording, path: &DevPath) -> Option<Found> {
    recording.device(path.as_bytes()).map(found)
}

/// A file's first bytes.
pub(super) fn read(recording: &Recording, path: &[u8]) -> Option<BString> {
    match thing(recording, &resolve(recording, path, false)?)? {
        Thing::File(mut bytes) => {
            bytes.truncate(ATTRIBUTE_MAX);
            Some(bytes)
        }
        _ => None,
    }
}

/// The target of a link.
pub(super) fn link(recording: &Recording, path: &[u8]) -> Option<BString> {
    match thing(recording, &resolve(recording, path, false)?)? {
        Thing::Link(target) => Some(target),
        _ => None,
    }
}

/// Kind and permission bits (`stat(2)`): recordings have no permissions, so those that sysfs usually has.
pub(super) fn mode(recording: &Recording, path: &[u8]) -> Option<u32> {
    match thing(recording, &resolve(recording, path, true)?)? {
        Thing::File(_) => Some(0o100_644),
        Thing::Directory => Some(0o040_755),
        // A link that leads out of what was recorded.
        Thing::Link(_) => Some(0o120_777),
    }
}

/// What is in a directory.
pub(super) fn list(recording: &Recording, path: &[u8]) -> Vec<Entry> {
    let Some(path) = resolve(recording, path, true) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let mut prefix = path.clone();
    prefix.push(b'/');
    for device in recording.below(&prefix) {
        names.extend(device.path.as_bytes().get(prefix.len()..).and_then(first_component));
    }
    if let Some((device, rest)) = nearest(recording, &path) {
        if rest.is_empty() {
            names.extend(
                [&b"uevent"[..]].into_iter().chain(device.subsystem.as_ref().map(|_| &b"subsystem"[..])),
            );
        }
        let inside = if rest.is_empty() { Vec::new() } else { [rest, b"/"].concat() };
        for name in device.attributes.keys().chain(device.links.keys()) {
            names.extend(name.strip_prefix(inside.as_slice()).and_then(first_component));
        }
    }
    names.into_iter().map(|name| entry(recording, &prefix, name)).collect()
}

fn entry(recording: &Recording, prefix: &[u8], name: &[u8]) -> Entry {
    let kind = match thing(recording, &[prefix, name].concat()) {
        Some(Thing::File(_)) => Kind::File,
        Some(Thing::Link(_)) => Kind::Link,
        Some(Thing::Directory) => Kind::Directory,
        None => Kind::Other,
    };
    Entry { name: name.into(), kind }
}

fn found(recorded: &RecordedDevice) -> Found {
    Found {
        path: recorded.path.clone(),
        facts: facts(recorded.subsystem.clone(), &recorded.kernel),
        properties: recorded.kernel.clone(),
    }
}

fn first_component(path: &[u8]) -> Option<&[u8]> {
    path.split(|&b| b == b'/').next().filter(|name| !name.is_empty())
}

/// The device at or above an absolute path, and what of the path is left.
fn nearest<'r, 'p>(recording: &'r Recording, path: &'p [u8]) -> Option<(&'r RecordedDevice, &'p [u8])> {
    let ends = std::iter::once(path.len())
        .chain(path.iter().enumerate().rev().filter(|(_, b)| **b == b'/').map(|(at, _)| at));
    ends.into_iter().find_map(|end| {
        let (device, rest) = path.split_at_checked(end)?;
        Some((recording.device(device)?, rest.strip_prefix(b"/").unwrap_or(rest)))
    })
}

/// What is at an absolute path without `..` and links on the way.
fn thing(recording: &Recording, path: &[u8]) -> Option<Thing> {
    if let Some((device, rest)) = nearest(recording, path) {
        if let Some(bytes) = device.attributes.get(rest.as_bstr()) {
            return Some(Thing::File(bytes.clone()));
        }
        if let Some(target) = device.links.get(rest.as_bstr()) {
            return Some(Thing::Link(target.clone()));
        }
        match (rest, &device.subsystem) {
            (b"", _) => return Some(Thing::Directory),
            (b"uevent", _) => return Some(Thing::File(device.uevent())),
            // Where it points to was not recorded; only the last component is ever used.
            (b"subsystem", Some(name)) => return Some(Thing::Link(name.clone())),
            _ => {}
        }
        let inside = [rest, b"/"].concat();
        if device.attributes.keys().chain(device.links.keys()).any(|name| name.starts_with(&inside)) {
            return Some(Thing::Directory);
        }
    }
    let inside = [path, b"/"].concat();
    recording.below(&inside).next().map(|_| Thing::Directory)
}

/// Follows `..` and links; an absolute path. `None` if it leads above the root or round in circles.
fn resolve(recording: &Recording, path: &[u8], follow_last: bool) -> Option<Vec<u8>> {
    let mut left: Vec<Vec<u8>> = components(path);
    let mut at = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == b".." {
            let end = at.iter().rposition(|&b| b == b'/')?;
            at.truncate(end);
            continue;
        }
        let here = at.len();
        at.push(b'/');
        at.extend_from_slice(&part);
        if left.is_empty() && !follow_last {
            break;
        }
        match thing(recording, &at) {
            Some(Thing::Link(target)) if !left.is_empty() || lands(recording, &at, &target) => {
                links += 1;
                if links > LINKS_MAX || target.starts_with(b"/") {
                    return None;
                }
                at.truncate(here);
                left.extend(components(&target));
            }
            Some(Thing::Directory) => {}
            // Only a directory can have something after it.
            _ if left.is_empty() => {}
            _ => return None,
        }
    }
    Some(at)
}

/// True when a link's target was recorded.
fn lands(recording: &Recording, link: &[u8], target: &[u8]) -> bool {
    let mut at = link.to_vec();
    let parts = [b"..".to_vec()].into_iter().chain(components(target).into_iter().rev());
    for part in parts {
        if part == b".." {
            at.truncate(at.iter().rposition(|&b| b == b'/').unwrap_or(0));
        } else {
            at.push(b'/');
            at.extend_from_slice(&part);
        }
    }
    thing(recording, &at).is_some()
}

/// The components of a path, last first: the form of a stack.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/').rev().filter(|p| !p.is_empty() && *p != b".").map(<[u8]>::to_vec).collect()
}
