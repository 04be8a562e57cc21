//! Owns the questions that a source of facts answers, whatever it is: which devices, what is at a path.
//!
//! Paths are relative to the source's root, without a leading `/`. Keeps nothing between two questions.

use bstr::{BString, ByteSlice};

use super::live::Sysfs;
use super::{Facts, recorded};
use crate::ids::{DevNum, DevPath, IfIndex, NodeKind};
use crate::properties::Properties;
use crate::recording::Recording;

/// A device as its source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: DevPath,
    /// What the tree keeps.
    pub facts: Facts,
    /// The `uevent` file.
    pub properties: Properties,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: BString,
    pub(super) kind: Kind,
}

/// A source made ready.
#[derive(Debug)]
pub(super) enum Reading<'s> {
    Live(&'s Sysfs),
    Recording(&'s Recording),
}

impl Reading<'_> {
    /// Every device, parents first.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(Found)) {
        match self {
            Reading::Live(sysfs) => sysfs.scan(visit),
            Reading::Recording(recording) => recorded::scan(recording, visit),
        }
    }

    /// The device at a path.
    pub(super) fn device(&self, path: &DevPath) -> Option<Found> {
        match self {
            Reading::Live(sysfs) => sysfs.device(path),
            Reading::Recording(recording) => recorded::device(recording, path),
        }
    }

    /// The first 4,096 bytes of a regular file; a link at the end of the path is not followed.
    pub(super) fn read(&self, path: &[u8]) -> Option<BString> {
        match self {
            Reading::Live(sysfs) => sysfs.read(path),
            Reading::Recording(recording) => recorded::read(recording, path),
        }
    }

    /// The target of a link.
    pub(super) fn link(&self, path: &[u8]) -> Option<BString> {
        match self {
            Reading::Live(sysfs) => sysfs.link(path),
            Reading::Recording(recording) => recorded::link(recording, path),
        }
    }

    /// Kind and permission bits of what is at a path, links followed.
    pub(super) fn mode(&self, path: &[u8]) -> Option<u32> {
        match self {
            Reading::Live(sysfs) => sysfs.mode(path),
            Reading::Recording(recording) => recorded::mode(recording, path),
        }
    }

    /// What is in a directory, in no order.
    pub(super) fn list(&self, path: &[u8]) -> Vec<Entry> {
        match self {
            Reading::Live(sysfs) => sysfs.list(path),
            Reading::Recording(recording) => recorded::list(recording, path),
        }
    }
}

/// The facts in a `uevent` file.
pub(super) fn facts(subsystem: Option<BString>, properties: &Properties) -> Facts {
    let number = |key: &str| properties.get(key)?.to_str().ok()?.parse::<u32>().ok();
    let is_block = subsystem.as_ref().is_some_and(|s| s == "block");
    let kind = if is_block { NodeKind::Block } else { NodeKind::Char };
    let devnum = number("MAJOR").zip(number("MINOR")).map(|(major, minor)| DevNum { kind, major, minor });
    Facts { subsystem, devnum, ifindex: number("IFINDEX").and_then(IfIndex::new) }
}
