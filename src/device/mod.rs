//! Owns the tree of devices: counted nodes, parents held by their children, attributes read when somebody asks.
//!
//! The model is the kernel's own. A node is counted and holds its parent; the parent finds its children without holding
//! them; the registry holds one reference to each live node. Looking up is `get` and may fail, dropping the handle is
//! `put`. A removed node stays valid for its holders and says that it is gone; it never comes back: the same path added
//! again makes a new node. Coming and going have two steps each: create, then announce (visible in the indexes);
//! unannounce, then drop. Children leave before their parents.
//!
//! Never decides anything and never writes to a device.

mod live;
#[cfg(test)]
mod model;
mod node;
mod order;
mod reader;
mod recorded;
mod registry;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bstr::BString;

pub use self::node::Device;
pub use self::reader::Reader;
pub use self::source::Found;

use self::live::Sysfs;
use self::node::{Node, Number, Shared};
use self::registry::{Registry, prefixes};
use self::source::Reading;
use crate::ids::{DevNum, DevPath, DeviceId, IfIndex};
use crate::properties::Properties;
use crate::recording::Recording;

/// Where facts about devices are read from.
#[derive(Debug)]
pub enum Source {
    /// A mounted sysfs (or a tree that looks like one): the directory that holds `devices/`.
    Live(PathBuf),
    /// A recording of another machine.
    Recording(Recording),
}

/// What the tree keeps of a device beside its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Subsystem, `None` for a device without one.
    pub subsystem: Option<BString>,
    /// Number of its node.
    pub devnum: Option<DevNum>,
    /// Index of the network interface; not kept of a device that has a node as well (the kernel has none).
    pub ifindex: Option<IfIndex>,
}

/// All devices of one machine. Shared between threads; every method takes `&self`.
#[derive(Debug)]
pub struct Tree {
    source: Source,
    /// Open for a live source, with nothing in it for a recording.
    sysfs: Sysfs,
    shared: Arc<Shared>,
    registry: RwLock<Registry>,
}

/// What [`Tree::add`] found.
#[derive(Debug, Clone)]
pub enum Added {
    /// A node that was not there.
    Created(Device),
    /// The path had a live node, whose facts are now the given ones.
    Known(Device),
}

impl Added {
    /// The device, new or not.
    pub fn into_device(self) -> Device {
        match self {
            Added::Created(device) | Added::Known(device) => device,
        }
    }
}

/// Counts for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Nodes in the tree.
    pub live: usize,
    /// Removed nodes that somebody still holds.
    pub gone_but_held: usize,
    /// Heap bytes of the tree: nodes, names and indexes.
    pub bytes: usize,
}

impl Tree {
    /// An empty tree over a source. A directory that is not there is a source without devices.
    pub fn new(source: Source) -> Self {
        let sysfs = match &source {
            Source::Live(path) => Sysfs::open(path),
            Source::Recording(_) => Sysfs::default(),
        };
        Self { source, sysfs, shared: Arc::default(), registry: RwLock::default() }
    }

    /// Where facts are read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Reads the whole source and adds what is not there yet; all live devices, parents first.
    pub fn walk(&self) -> Vec<Device> {
        self.walk_with(|_, _| {});
        self.devices()
    }

    /// Reads the whole source, adds what is not there yet, and hands each device on with its `uevent` file, parents
    /// first, so that nobody has to read that file again.
    pub fn walk_with(&self, mut visit: impl FnMut(&Device, Properties)) {
        self.scan(|found| {
            let device = self.enter(&found.path, &found.facts).into_device();
            visit(&device, found.properties);
        });
    }

    /// Reads the whole source and changes nothing: what a resync compares with the tree. Parents first.
    pub fn scan(&self, mut visit: impl FnMut(Found)) {
        self.reading().scan(&mut visit);
    }

    /// Adds one device (and, as plain nodes, ancestors that the source has and the tree does not).
    pub fn add(&self, path: &DevPath, facts: &Facts) -> Added {
        // a device that is known has been asked for its ancestors already
        if self.get(path).is_some() {
            return self.enter(path, facts);
        }
        for ancestor in self.unknown_ancestors(path) {
            if let Some(found) = self.reading().device(&ancestor) {
                self.enter(&ancestor, &found.facts);
            }
        }
        self.enter(path, facts)
    }

    /// Adds one device by reading its facts from the source; `None` if the source has no such device.
    pub fn load(&self, path: &DevPath) -> Option<Device> {
        let found = self.reading().device(path)?;
        Some(self.add(path, &found.facts).into_device())
    }

    /// Takes a device out; its handles stay valid and say `is_gone`. Its live descendants leave first.
    pub fn remove(&self, path: &DevPath) -> Option<Device> {
        // The guard of this statement ends before the last references are dropped.
        let left = self.write().take_out_at(path);
        left.last().cloned().map(Device)
    }

    /// The kernel's `move`: the device and all below it get new paths. The old nodes go, new nodes come; what was live
    /// at the new path goes too.
    pub fn rename(&self, old: &DevPath, new: &DevPath, facts: &Facts) -> Device {
        let mut registry = self.write();
        let moved = registry.take_out_at(old);
        let replaced = registry.take_out_at(new);
        let (device, _) = registry.put(&self.shared, new, facts);
        // Parents first; the device itself comes last of those that left.
        for node in moved.iter().rev().skip(1) {
            let below = Device(Arc::clone(node)).devpath();
            let rest = below.as_bytes().get(old.as_bytes().len()..).unwrap_or_default();
            if let Ok(path) = DevPath::new(&[new.as_bytes(), rest].concat()) {
                registry.put(&self.shared, &path, &node.facts());
            }
        }
        // The last references to many nodes may be dropped here: not while others wait for the lock.
        drop(registry);
        drop((moved, replaced));
        Device(device)
    }

    /// The live device at a path.
    pub fn get(&self, path: &DevPath) -> Option<Device> {
        self.read().by_path(path.as_bytes()).cloned().map(Device)
    }

    /// The live device of an id.
    pub fn by_id(&self, id: &DeviceId) -> Option<Device> {
        let registry = self.read();
        let node = match id {
            DeviceId::Node(devnum) => registry.by_number(Number::Node(*devnum)),
            DeviceId::Net(index) => registry.by_number(Number::Net(*index)),
            DeviceId::Named { subsystem, name } => registry
                .by_name(self.shared.find_subsystem(subsystem)?, name)
                .find(|node| node.state().number == Number::None),
        };
        node.cloned().map(Device)
    }

    /// The live device of that subsystem and sysfs file name (`!` where the kernel's name has `/`).
    pub fn find(&self, subsystem: &[u8], file_name: &[u8]) -> Option<Device> {
        let subsystem = self.shared.find_subsystem(subsystem)?;
        self.read().by_name(subsystem, file_name).next().cloned().map(Device)
    }

    /// The live devices right below a device, by name. None for a device that has gone.
    pub fn children(&self, device: &Device) -> Vec<Device> {
        sorted(self.read().children(Some(&device.0)))
    }

    /// All live devices, parents before children, siblings by name.
    pub fn devices(&self) -> Vec<Device> {
        let registry = self.read();
        let mut out = Vec::with_capacity(registry.live());
        let mut left = sorted(registry.children(None));
        left.reverse();
        while let Some(device) = left.pop() {
            left.extend(sorted(registry.children(Some(&device.0))).into_iter().rev());
            out.push(device);
        }
        out
    }

    /// How many nodes there are, and what they cost.
    pub fn stats(&self) -> Stats {
        let registry = self.read();
        let (nodes, bytes) = self.shared.counts();
        let live = registry.live();
        Stats {
            live,
            gone_but_held: nodes.saturating_sub(live),
            bytes: bytes + registry.bytes() + self.shared.names_bytes(),
        }
    }

    /// Ancestors of a path that are not in the tree, from the top down.
    fn unknown_ancestors(&self, path: &DevPath) -> Vec<DevPath> {
        let registry = self.read();
        let unknown = prefixes(path.as_bytes())
            .take_while(|prefix| *prefix != b"/devices" && registry.by_path(prefix).is_none());
        let mut out: Vec<DevPath> = unknown.filter_map(|prefix| DevPath::new(prefix).ok()).collect();
        out.reverse();
        out
    }

    /// Adds a device whose ancestors are known.
    fn enter(&self, path: &DevPath, facts: &Facts) -> Added {
        match self.write().put(&self.shared, path, facts) {
            (node, true) => Added::Created(Device(node)),
            (node, false) => Added::Known(Device(node)),
        }
    }

    fn reading(&self) -> Reading<'_> {
        match &self.source {
            Source::Recording(recording) => Reading::Recording(recording),
            Source::Live(_) => Reading::Live(&self.sysfs),
        }
    }

    fn live_root(&self) -> Option<&Path> {
        match &self.source {
            Source::Live(path) => Some(path),
            Source::Recording(_) => None,
        }
    }

    // A worker that panics while it holds the lock costs its event: every change is whole before anything can panic.
    fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sorted<'r>(nodes: impl Iterator<Item = &'r Arc<Node>>) -> Vec<Device> {
    let mut out: Vec<Device> = nodes.cloned().map(Device).collect();
    out.sort_by(|a, b| a.0.name().cmp(b.0.name()));
    out
}
