//! Owns a device as libudev's programs see it: the kernel's facts and the record of whichever device manager runs, with the
//! properties in the order in which those programs print them.
//!
//! Reads `/sys` and `/run/udev/data`, and writes nothing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::device_arg::below_dev;
use crate::device::{Device, Facts, Reader, Source, Tree};
use crate::ids::{DevNum, DevPath, DeviceId, LinkName, NodeKind, Tag, sysnum};
use crate::roots::Roots;
use crate::store::record::Record;

/// The devices of a system and what its device manager knows of them.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) roots: Roots,
    tree: Tree,
}

/// What was read first, which is what decides the order of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The `uevent` file, then the subsystem: as when a device is looked up by its node, or only its properties are asked.
    FileFirst,
    /// The subsystem, then the `uevent` file: as when a device is looked up by its path and shown whole.
    SubsystemFirst,
}

/// One device.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) device: Device,
    /// Lines of the `uevent` file, in order.
    file: Vec<(BString, BString)>,
    /// What the device manager has written; `None` for a device that it has not handled.
    pub(super) record: Option<Record>,
    /// The keys of the record's properties, in order.
    keys: Vec<BString>,
    /// The device directory.
    dev: PathBuf,
}

impl Machine {
    pub(super) fn new(context: &Context) -> Self {
        let roots = context.roots.clone();
        Self { tree: Tree::new(Source::Live(roots.sys.clone())), roots }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// A directory of the device manager's.
    pub(super) fn run(&self, name: &str) -> PathBuf {
        self.roots.run.join("udev").join(name)
    }

    /// The device at a path of sysfs: below `devices`, or any directory elsewhere. `None` if nothing is there.
    pub(super) fn load(&self, path: &DevPath) -> Option<Known> {
        let subsystem = implied(path.as_bytes());
        let device = if subsystem.is_none() && path.as_bytes().starts_with(b"/devices") {
            self.tree.load(path)?
        } else {
            self.sys(path.relative()).is_dir().then_some(())?;
            let facts = Facts { subsystem: subsystem.map(Into::into), ..Facts::default() };
            self.tree.add(path, &facts).into_device()
        };
        Some(self.known(device))
    }

    /// What is known of a device of the tree.
    pub(super) fn known(&self, device: Device) -> Known {
        let reader = Reader::new(&self.tree);
        let text = reader.attribute(&device, b"uevent").unwrap_or_default();
        let file = text.lines().filter_map(|line| line.split_once_str(b"="));
        let file = file.map(|(key, value)| (key.into(), value.into())).collect();
        let mut known = Known { device, file, record: None, keys: Vec::new(), dev: self.roots.dev.clone() };
        if let Some(text) = known.id().and_then(|id| fs::read(self.data(&id)).ok()) {
            known.record = Some(Record::parse(&text).0);
            known.keys = keys(&text);
        }
        known
    }

    /// The record's file.
    pub(super) fn data(&self, id: &[u8]) -> PathBuf {
        self.run("data").join(OsStr::from_bytes(id))
    }

    pub(super) fn sys(&self, below: &[u8]) -> PathBuf {
        self.roots.sys.join(OsStr::from_bytes(below))
    }
}

/// The subsystem of what has no link to one: it is known by where it is.
fn implied(path: &[u8]) -> Option<&'static str> {
    let below = |top: &[u8]| path.strip_prefix(top).is_some_and(|rest| rest.starts_with(b"/"));
    match path {
        _ if below(b"/module") => Some("module"),
        _ if !below(b"/devices") && (path.contains_str(b"/drivers/") || path.ends_with(b"/drivers")) => {
            Some("drivers")
        }
        _ if below(b"/class") || below(b"/bus") || below(b"/subsystem") => Some("subsystem"),
        _ => None,
    }
}

/// The keys of a record's properties, in order.
fn keys(text: &[u8]) -> Vec<BString> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(b"E:"));
    let mut seen = BTreeSet::new();
    let keys = lines.filter_map(|line| Some(BString::from(line.split_once_str(b"=")?.0)));
    keys.filter(|key| seen.insert(key.clone())).collect()
}

impl Known {
    /// The name under which the device manager keeps what it knows of the device.
    pub(super) fn id(&self) -> Option<BString> {
        let id = self.device.id()?;
        let path = self.device.devpath();
        let whole = path.as_bytes();
        let driver = whole.split_once_str(b"/drivers/");
        let driver = driver.or_else(|| Some((whole.strip_suffix(b"/drivers")?, &b"drivers"[..])));
        match (&id, driver) {
            (DeviceId::Named { subsystem, .. }, Some((bus, name))) if subsystem == "drivers" => {
                let bus = bus.rsplit(|&b| b == b'/').next().unwrap_or_default();
                Some(bstr::concat([&b"+drivers:"[..], bus, b":", name]).into())
            }
            _ => Some(id.to_bytes()),
        }
    }

    pub(super) fn devpath(&self) -> DevPath {
        self.device.devpath()
    }

    /// The directory in sysfs.
    pub(super) fn syspath(&self, machine: &Machine) -> PathBuf {
        machine.sys(self.devpath().relative())
    }

    pub(super) fn subsystem(&self) -> Option<BString> {
        self.device.subsystem()
    }

    /// The bus of a driver, which its id has.
    pub(super) fn driver_subsystem(&self) -> Option<BString> {
        let is_driver = self.subsystem().is_some_and(|name| name == "drivers");
        let id = self.id().filter(|_| is_driver)?;
        id.splitn_str(3, b":").nth(1).map(BString::from)
    }

    pub(super) fn driver(&self, machine: &Machine) -> Option<BString> {
        Reader::new(machine.tree()).driver(&self.device)
    }

    /// A line of the `uevent` file.
    pub(super) fn fact(&self, key: &str) -> Option<&BString> {
        self.file.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The node, below the device directory.
    pub(super) fn node(&self) -> Option<&[u8]> {
        let name = self.fact("DEVNAME")?;
        self.device.devnum().map(|_| below_dev(name).unwrap_or(name))
    }

    /// The node with the device directory.
    pub(super) fn node_path(&self) -> Option<PathBuf> {
        self.node().map(|name| self.dev.join(OsStr::from_bytes(name)))
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &LinkName> {
        self.record.iter().flat_map(|record| &record.links)
    }

    /// Every tag that the device has had.
    pub(super) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.record.iter().flat_map(|record| &record.tags)
    }

    /// The device as the kernel knows it.
    pub(super) fn without_record(mut self) -> Self {
        self.record = None;
        self
    }

    /// True for a device that has a number of its own: a node's or an interface's.
    pub(super) fn has_number(&self) -> bool {
        self.device.devnum().is_some() || self.device.ifindex().is_some()
    }

    /// True when the device manager has handled the device.
    pub(super) fn is_initialized(&self) -> bool {
        self.record.is_some()
    }

    /// All properties. A device of no subsystem has none, since the device manager has no name to keep it under.
    pub(super) fn properties(&self, machine: &Machine, order: Order) -> Vec<(BString, BString)> {
        let mut out = List::default();
        if self.subsystem().is_none() {
            return out.0;
        }
        out.put("DEVPATH", self.devpath().as_bytes());
        let subsystem = self.subsystem();
        let put_subsystem = |out: &mut List| {
            subsystem.iter().for_each(|name| out.put("SUBSYSTEM", name));
        };
        if order == Order::SubsystemFirst {
            put_subsystem(&mut out);
        }
        self.put_file(&mut out);
        put_subsystem(&mut out);
        let driver = (order == Order::SubsystemFirst).then(|| self.driver(machine)).flatten();
        // what is shown of a node before its driver has been read from the record
        let late = self.device.devnum().is_some();
        if !late {
            driver.iter().for_each(|name| out.put("DRIVER", name));
        }
        self.put_record(&mut out);
        driver.iter().for_each(|name| out.put("DRIVER", name));
        self.put_names(&mut out);
        out.0
    }

    fn put_file(&self, out: &mut List) {
        for (key, value) in self.file.iter().filter(|(key, _)| key != "MAJOR" && key != "MINOR") {
            match (key.as_slice(), self.node_path()) {
                (b"DEVNAME", Some(path)) => out.put("DEVNAME", path.as_os_str().as_bytes()),
                _ => out.put(key, value),
            }
        }
        for key in ["MAJOR", "MINOR"] {
            self.fact(key).into_iter().for_each(|value| out.put(key, value));
        }
    }

    fn put_record(&self, out: &mut List) {
        let Some(record) = &self.record else { return };
        if let Some(usec) = record.init_usec {
            out.put("USEC_INITIALIZED", usec.to_string().as_bytes());
        }
        for key in &self.keys {
            if let Some(value) = record.properties.get(key) {
                out.put(key, value);
            }
        }
    }

    fn put_names(&self, out: &mut List) {
        let Some(record) = &self.record else { return };
        let links: Vec<_> = record.links.iter().map(|link| self.link_path(link)).collect();
        if !links.is_empty() {
            out.put("DEVLINKS", bstr::join(" ", links.iter().map(|path| path.as_os_str().as_bytes())));
        }
        for (key, tags) in [("TAGS", &record.tags), ("CURRENT_TAGS", &record.current_tags)] {
            Tag::list(tags).into_iter().for_each(|list| out.put(key, list));
        }
    }

    /// A link with the device directory.
    pub(super) fn link_path(&self, link: &LinkName) -> PathBuf {
        self.dev.join(OsStr::from_bytes(link.as_bytes()))
    }

    /// The number behind the name, if it ends in one.
    pub(super) fn sysnum(&self) -> Option<BString> {
        let name = self.device.sysname();
        let digits = sysnum(&name);
        (!digits.is_empty()).then(|| digits.into())
    }
}

/// Properties in the order in which they were first put in; the last value counts.
#[derive(Debug, Default)]
struct List(Vec<(BString, BString)>);

impl List {
    fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), BString::from(value.as_ref()));
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key.into(), value)),
        }
    }
}

/// The letter of a node's kind.
pub(super) fn kind_letter(devnum: DevNum) -> char {
    if devnum.kind == NodeKind::Block { 'b' } else { 'c' }
}

/// The bytes of a path.
pub(super) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
