//! Owns the tree of devices: counted nodes, parents held by their children, attributes read when somebody asks.
//!
//! Never decides anything and never writes to a device.

use std::num::NonZeroU32;
use std::path::PathBuf;

use bstr::BString;

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
    /// Index of the network interface.
    pub ifindex: Option<IfIndex>,
}

/// All devices of one machine. Shared between threads; every method takes `&self`.
#[derive(Debug)]
pub struct Tree {}

/// A counted handle to a node (`get`); dropping it is `put`. Valid after the device has gone.
#[derive(Debug, Clone)]
pub struct Device {}

/// What [`Tree::add`] found.
#[derive(Debug, Clone)]
pub enum Added {
    /// A node that was not there.
    Created(Device),
    /// The path had a live node, whose facts are now the given ones.
    Known(Device),
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

#[allow(missing_docs, unused_variables)]
impl Tree {
    pub fn new(source: Source) -> Self {
        unimplemented!()
    }
    pub fn source(&self) -> &Source {
        unimplemented!()
    }
    /// Reads the whole source and adds what is not there yet; all live devices, parents first.
    pub fn walk(&self) -> Vec<Device> {
        unimplemented!()
    }
    /// Adds one device (and, as plain nodes, ancestors that the source has and the tree does not).
    pub fn add(&self, path: &DevPath, facts: &Facts) -> Added {
        unimplemented!()
    }
    /// Adds one device by reading its facts from the source; `None` if the source has no such device.
    pub fn load(&self, path: &DevPath) -> Option<Device> {
        unimplemented!()
    }
    /// Takes a device out; its handles stay valid and say `is_gone`. Its live descendants leave first.
    pub fn remove(&self, path: &DevPath) -> Option<Device> {
        unimplemented!()
    }
    /// The kernel's `move`: the device and all below it get new paths. The old node goes, new nodes come.
    pub fn rename(&self, old: &DevPath, new: &DevPath, facts: &Facts) -> Device {
        unimplemented!()
    }
    pub fn get(&self, path: &DevPath) -> Option<Device> {
        unimplemented!()
    }
    pub fn by_id(&self, id: &DeviceId) -> Option<Device> {
        unimplemented!()
    }
    pub fn children(&self, device: &Device) -> Vec<Device> {
        unimplemented!()
    }
    /// All live devices, parents before children, siblings by name.
    pub fn devices(&self) -> Vec<Device> {
        unimplemented!()
    }
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
}

#[allow(missing_docs, unused_variables)]
impl Device {
    pub fn devpath(&self) -> DevPath {
        unimplemented!()
    }
    /// Kernel name, `!` as `/`.
    pub fn sysname(&self) -> BString {
        unimplemented!()
    }
    pub fn parent(&self) -> Option<Device> {
        unimplemented!()
    }
    /// The device itself, then its parents up to the root.
    pub fn chain(&self) -> impl Iterator<Item = Device> {
        std::iter::empty()
    }
    pub fn subsystem(&self) -> Option<BString> {
        unimplemented!()
    }
    pub fn devnum(&self) -> Option<DevNum> {
        unimplemented!()
    }
    pub fn ifindex(&self) -> Option<NonZeroU32> {
        unimplemented!()
    }
    /// `None` only for a device without subsystem, number and index.
    pub fn id(&self) -> Option<DeviceId> {
        unimplemented!()
    }
    pub fn is_gone(&self) -> bool {
        unimplemented!()
    }
    pub fn same_as(&self, other: &Device) -> bool {
        unimplemented!()
    }
}

/// Reads attributes for one event: each at most once. Belongs to one thread; drop it when the event ends.
#[derive(Debug)]
pub struct Reader<'t> {
    _tree: &'t Tree,
}

#[allow(missing_docs, unused_variables)]
impl<'t> Reader<'t> {
    pub fn new(tree: &'t Tree) -> Self {
        unimplemented!()
    }
    pub fn tree(&self) -> &'t Tree {
        unimplemented!()
    }
    /// The attribute's bytes as read (trailing newline included), `None` if absent, unreadable or a directory.
    /// `driver`, `subsystem` and `module` give the last component of the link. At most 4,096 bytes.
    /// The name may hold `/` and `..`, but never leads out of the source.
    pub fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString> {
        unimplemented!()
    }
    /// The `uevent` file as properties; what [`Reader::put_uevent`] gave first.
    pub fn uevent(&self, device: &Device) -> std::rc::Rc<Properties> {
        unimplemented!()
    }
    /// The properties that came with the event, in place of the `uevent` file.
    pub fn put_uevent(&self, device: &Device, properties: Properties) {
        unimplemented!()
    }
    /// A value that later reads see in place of the source's (what a dry run "wrote").
    pub fn overlay(&self, device: &Device, name: &[u8], value: &[u8]) {
        unimplemented!()
    }
    pub fn driver(&self, device: &Device) -> Option<BString> {
        unimplemented!()
    }
    /// Names of the attributes in the device's directory, sorted; for `info --attributes`.
    pub fn attribute_names(&self, device: &Device) -> Vec<BString> {
        unimplemented!()
    }
    /// Entries of a directory below the device (`""`: its own), sorted; directories and links included.
    pub fn entries(&self, device: &Device, below: &[u8]) -> Vec<BString> {
        unimplemented!()
    }
    /// The device of `[subsystem/kernel]`.
    pub fn find(&self, subsystem: &[u8], sysname: &[u8]) -> Option<Device> {
        unimplemented!()
    }
    /// True when something of that name is there: attribute, link or directory.
    pub fn exists(&self, device: &Device, name: &[u8]) -> Option<u32> {
        unimplemented!()
    }
    /// Where a source has real files: the absolute path of an attribute, for the writer.
    pub fn path(&self, device: &Device, name: &[u8]) -> Option<PathBuf> {
        unimplemented!()
    }
}
