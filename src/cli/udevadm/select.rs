//! Owns which devices are meant when none is named: the filters of `info` and `trigger`, and the order of what they leave.
//!
//! Filters of one kind are alternatives, filters of different kinds all have to be met; attributes all have to match.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BString, ByteSlice};

use super::Refused;
use super::device::{Known, Machine, Order};
use super::locate::{self, Below};
use crate::cli::context::Context;
use crate::device::Reader;
use crate::ids::{DevPath, DeviceId};
use crate::text::{Case, Pattern};

/// The filters as typed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Filters {
    /// Devices of this subsystem (a glob)
    #[arg(long, value_name = "SUBSYSTEM")]
    pub(super) subsystem_match: Vec<OsString>,
    /// Leave out devices of this subsystem (a glob)
    #[arg(long, value_name = "SUBSYSTEM")]
    pub(super) subsystem_nomatch: Vec<OsString>,
    /// Devices that have this attribute (with a value like this glob)
    #[arg(long, value_name = "FILE[=VALUE]")]
    pub(super) attr_match: Vec<OsString>,
    /// Leave out devices that have this attribute (with a value like this glob)
    #[arg(long, value_name = "FILE[=VALUE]")]
    pub(super) attr_nomatch: Vec<OsString>,
    /// Devices with a property like this (globs on both sides)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) property_match: Vec<OsString>,
    /// Devices with this tag
    #[arg(long, value_name = "TAG")]
    pub(super) tag_match: Vec<OsString>,
    /// Devices of this kernel name (a glob)
    #[arg(long, value_name = "NAME")]
    pub(super) sysname_match: Vec<OsString>,
    /// The device of this node, and what is below it
    #[arg(long, value_name = "NAME")]
    pub(super) name_match: Vec<OsString>,
    /// This device, and what is below it
    #[arg(long, value_name = "NAME")]
    pub(super) parent_match: Vec<OsString>,
    /// Devices that the device manager has handled
    #[arg(long, overrides_with = "initialized_nomatch")]
    pub(super) initialized_match: bool,
    /// Devices that the device manager has not handled yet
    #[arg(long, overrides_with = "initialized_match")]
    pub(super) initialized_nomatch: bool,
}

/// What kind of entries of sysfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Devices,
    Subsystems,
    All,
}

/// What several `--property-match` ask for: `info` and `trigger` do not agree on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of them is enough.
    Any,
    /// All of them.
    All,
}

impl Filters {
    /// Refuses a tag without a name.
    pub(super) fn tags_are_names(&self) -> Result<(), Refused> {
        match self.tag_match.iter().any(|tag| tag.is_empty()) {
            true => Err(Refused::new("Failed to scan devices: Invalid argument")),
            false => Ok(()),
        }
    }

    /// The devices that `--name-match` and `--parent-match` name.
    pub(super) fn tops(&self, context: &Context, machine: &Machine) -> Result<Vec<DevPath>, Refused> {
        let names = self.name_match.iter().map(|name| (name, Below::Dev));
        let parents = self.parent_match.iter().map(|name| (name, Below::Sys));
        names
            .chain(parents)
            .map(|(name, below)| {
                // whole paths of either kind first
                let found = locate::find(context, machine, name, Below::Nothing);
                let found = found.or_else(|_| locate::find(context, machine, name, below));
                found.map(|known| known.devpath()).map_err(|_| {
                    let name = name.to_string_lossy();
                    Refused::new(format!("Failed to open the device '{name}': No such device"))
                })
            })
            .collect()
    }

    /// Entries that meet all filters, in udev's order. `tops`: only these and what is below; empty: all.
    pub(super) fn select(
        &self,
        machine: &Machine,
        kind: Kind,
        tops: &[DevPath],
        properties: Wanted,
    ) -> Vec<Known> {
        let tests = Tests::new(self, properties);
        let is_below = |path: &DevPath| {
            tops.is_empty() || tops.iter().any(|top| top == path || top.is_ancestor_of(path))
        };
        let mut found = match kind {
            Kind::Subsystems => subsystems(machine),
            _ if !self.tag_match.is_empty() => self.tagged(machine),
            Kind::Devices => devices(machine, tops),
            Kind::All => devices(machine, tops).into_iter().chain(subsystems(machine)).collect(),
        };
        found.retain(|known| is_below(&known.devpath()) && tests.are_met(machine, known));
        found.sort_by(order);
        found.dedup_by_key(|known| known.devpath());
        found
    }

    /// What the device manager has put under the tags, which may be anything of sysfs.
    fn tagged(&self, machine: &Machine) -> Vec<Known> {
        let entries = self
            .tag_match
            .iter()
            .flat_map(|tag| fs::read_dir(machine.run("tags").join(tag)).into_iter().flatten().flatten());
        let ids = entries.filter_map(|entry| DeviceId::parse(entry.file_name().as_bytes()).ok());
        ids.filter_map(|id| locate::by_id(machine, &id)).collect()
    }
}

/// The same with all devices above each, in udev's order.
pub(super) fn with_parents(machine: &Machine, mut found: Vec<Known>) -> Vec<Known> {
    let above = found.iter().flat_map(|known| known.device.chain().skip(1));
    let above: Vec<Known> =
        above.filter(|device| device.subsystem().is_some()).map(|device| machine.known(device)).collect();
    found.extend(above);
    found.sort_by(order);
    found.dedup_by_key(|known| known.devpath());
    found
}

/// Devices; of what is below `tops` and elsewhere in sysfs, all directories.
fn devices(machine: &Machine, tops: &[DevPath]) -> Vec<Known> {
    let mut found = Vec::new();
    for device in machine.tree().walk() {
        // what was looked up elsewhere is in the tree too
        if device.devpath().as_bytes().starts_with(b"/devices/") && device.subsystem().is_some() {
            found.push(machine.known(device));
        }
    }
    for top in tops.iter().filter(|top| !top.as_bytes().starts_with(b"/devices/")) {
        let mut paths = Vec::new();
        directories(&machine.sys(top.relative()), top.as_bytes(), &mut paths);
        let loaded = paths.iter().filter_map(|path| machine.load(&DevPath::new(path).ok()?));
        found.extend(loaded.filter(|known| known.subsystem().is_some()));
    }
    found
}

/// A directory and all below it, links not followed.
fn directories(dir: &Path, path: &[u8], out: &mut Vec<Vec<u8>>) {
    out.push(path.to_owned());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            directories(&entry.path(), &[path, b"/", entry.file_name().as_bytes()].concat(), out);
        }
    }
}

/// Buses, drivers and modules.
fn subsystems(machine: &Machine) -> Vec<Known> {
    let entries = |below: &str| -> Vec<BString> {
        let read = fs::read_dir(machine.sys(below.as_bytes())).into_iter().flatten().flatten();
        read.map(|entry| [below.as_bytes(), b"/", entry.file_name().as_bytes()].concat().into()).collect()
    };
    let buses = entries("bus");
    let directories: Vec<BString> =
        buses.iter().map(|bus| bstr::concat([bus.as_slice(), b"/drivers"]).into()).collect();
    let mut paths: Vec<BString> = entries("module").into_iter().chain(buses).collect();
    for directory in directories {
        let drivers = entries(&directory.to_string());
        // the directory counts as what its drivers are below
        paths.extend((!drivers.is_empty()).then_some(directory));
        paths.extend(drivers);
    }
    let load = |path: BString| machine.load(&DevPath::new(&[b"/", path.as_slice()].concat()).ok()?);
    paths.into_iter().filter_map(load).collect()
}

/// The filters made ready.
struct Tests {
    subsystems: (Vec<Pattern>, Vec<Pattern>),
    attributes: (Vec<Attribute>, Vec<Attribute>),
    properties: (Wanted, Vec<Property>),
    tags: Vec<BString>,
    names: Vec<Pattern>,
    initialized: Option<bool>,
}

type Attribute = (BString, Option<Pattern>);
type Property = (Pattern, Option<Pattern>);

fn pattern(text: &[u8]) -> Pattern {
    Pattern::single(text, Case::Sensitive)
}

fn patterns(texts: &[OsString]) -> Vec<Pattern> {
    texts.iter().map(|text| pattern(text.as_bytes())).collect()
}

fn pair(text: &OsString) -> (BString, Option<Pattern>) {
    match text.as_bytes().split_once_str(b"=") {
        Some((key, value)) => (key.into(), Some(pattern(value))),
        None => (text.as_bytes().into(), None),
    }
}

impl Tests {
    fn new(filters: &Filters, wanted: Wanted) -> Self {
        let attributes = |texts: &[OsString]| texts.iter().map(pair).collect();
        let properties = filters.property_match.iter().map(pair);
        let either = filters.initialized_match || filters.initialized_nomatch;
        Self {
            subsystems: (patterns(&filters.subsystem_match), patterns(&filters.subsystem_nomatch)),
            attributes: (attributes(&filters.attr_match), attributes(&filters.attr_nomatch)),
            properties: (wanted, properties.map(|(key, value)| (pattern(&key), value)).collect()),
            tags: filters.tag_match.iter().map(|tag| tag.as_bytes().into()).collect(),
            names: patterns(&filters.sysname_match),
            initialized: either.then_some(filters.initialized_match),
        }
    }

    fn are_met(&self, machine: &Machine, known: &Known) -> bool {
        let any = |patterns: &[Pattern], text: &[u8]| patterns.iter().any(|p| p.matches(text));
        let (wanted, unwanted) = &self.subsystems;
        let subsystem = known.subsystem().unwrap_or_default();
        (wanted.is_empty() || any(wanted, &subsystem))
            && !any(unwanted, &subsystem)
            && (self.names.is_empty() || any(&self.names, &known.device.sysname()))
            && self.initialized.is_none_or(|wanted| wanted == known.is_initialized())
            && (self.tags.is_empty()
                || self.tags.iter().any(|tag| known.tags().any(|t| t.as_str().as_bytes() == tag.as_bytes())))
            && self.attributes_match(machine, known)
            && self.properties_match(machine, known)
    }

    fn attributes_match(&self, machine: &Machine, known: &Known) -> bool {
        let (wanted, unwanted) = &self.attributes;
        if wanted.is_empty() && unwanted.is_empty() {
            return true;
        }
        let reader = Reader::new(machine.tree());
        let has = |(name, value): &Attribute| {
            let found = reader.attribute(&known.device, name);
            found.is_some_and(|found| {
                value
                    .as_ref()
                    .is_none_or(|value| value.matches(found.trim_end_with(|c| "\n\r\t ".contains(c))))
            })
        };
        wanted.iter().all(has) && !unwanted.iter().any(has)
    }

    fn properties_match(&self, machine: &Machine, known: &Known) -> bool {
        let (wanted, patterns) = &self.properties;
        if patterns.is_empty() {
            return true;
        }
        let properties = known.properties(machine, Order::FileFirst);
        // a key alone asks for a property that has no value, and there is none
        let has = |(key, value): &Property| {
            let Some(value) = value else { return false };
            properties.iter().any(|(k, v)| key.matches(k) && value.matches(v))
        };
        match wanted {
            Wanted::Any => patterns.iter().any(has),
            Wanted::All => patterns.iter().all(has),
        }
    }
}

/// By path, but for: a sound card's control node behind the card's other nodes, since who waits for it expects them all;
/// and `md` and `dm` behind everything that they may be made of.
pub(super) fn order(a: &Known, b: &Known) -> Ordering {
    let (a, b) = (a.devpath(), b.devpath());
    let (a, b) = (a.as_bytes(), b.as_bytes());
    controls(a, b).unwrap_or_else(|| {
        let layered = |path: &[u8]| path.contains_str(b"/block/md") || path.contains_str(b"/block/dm-");
        layered(a).cmp(&layered(b)).then_with(|| a.split(|&c| c == b'/').cmp(b.split(|&c| c == b'/')))
    })
}

/// The order of two nodes of one sound card, if that is what they are and one of them is its control.
fn controls(a: &[u8], b: &[u8]) -> Option<Ordering> {
    let at = a.find(b"/sound/card")?;
    let card = |path: &[u8]| path.get(at + 11..)?.find_byte(b'/').map(|len| at + 11 + len);
    let (end_a, end_b) = (card(a)?, card(b)?);
    if a.get(..end_a) != b.get(..end_b) {
        return None;
    }
    let is_control =
        |path: &[u8], end: usize| path.get(end..).is_some_and(|rest| rest.starts_with(b"/controlC"));
    match (is_control(a, end_a), is_control(b, end_b)) {
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        _ => None,
    }
}
