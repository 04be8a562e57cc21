//! Owns one node of the tree and the counted handle to it.
//!
//! A node holds its parent and knows its own name only; its path is put together when somebody asks. Its facts may be
//! replaced, its place may not: a node that has left never returns. Never reads a source.

use std::fmt;
use std::iter;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bstr::{BStr, BString, ByteSlice};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::Facts;
use crate::ids::{self, DevNum, DevPath, DeviceId, IfIndex};

/// What the names of nodes without a parent are relative to.
const TOP: &[u8] = b"/devices/";
/// Bytes of the two counters in front of what an `Arc` holds.
const ARC_COUNTERS: usize = 2 * size_of::<usize>();

/// What all nodes of one tree share, with or without a place in it: subsystem names and counters.
#[derive(Debug, Default)]
pub(super) struct Shared {
    subsystems: RwLock<Subsystems>,
    /// Nodes that exist, in the tree or held.
    nodes: AtomicUsize,
    /// Heap bytes of those nodes.
    bytes: AtomicUsize,
}

impl Shared {
    /// Nodes that exist and their heap bytes.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.nodes.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Heap bytes of the table of subsystem names.
    pub(super) fn names_bytes(&self) -> usize {
        let table = self.subsystems.read().unwrap_or_else(PoisonError::into_inner);
        table.names.capacity() * size_of::<Box<[u8]>>()
            + table.names.iter().map(|n| n.len()).sum::<usize>()
            + table.index.allocation_size()
    }

    /// The number of a subsystem name that some node has or had.
    pub(super) fn find_subsystem(&self, name: &[u8]) -> Option<SubsystemId> {
        self.subsystems.read().unwrap_or_else(PoisonError::into_inner).find(name)
    }

    /// The number of a subsystem name, given now if it is new; `None` after 65,535 different names.
    fn intern(&self, name: &[u8]) -> Option<SubsystemId> {
        if let Some(known) = self.find_subsystem(name) {
            return Some(known);
        }
        self.subsystems.write().unwrap_or_else(PoisonError::into_inner).add(name)
    }

    fn subsystem_name(&self, id: SubsystemId) -> Option<BString> {
        let table = self.subsystems.read().unwrap_or_else(PoisonError::into_inner);
        table.names.get(usize::from(id.0)).map(|name| BString::from(name.to_vec()))
    }
}

/// A subsystem's place in [`Shared`]: there are about a hundred names for all devices of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SubsystemId(u16);

#[derive(Debug, Default)]
struct Subsystems {
    names: Vec<Box<[u8]>>,
    index: HashTable<u16>,
    hasher: DefaultHashBuilder,
}

impl Subsystems {
    fn find(&self, name: &[u8]) -> Option<SubsystemId> {
        let is_it = |&id: &u16| self.names.get(usize::from(id)).is_some_and(|n| **n == *name);
        self.index.find(self.hasher.hash_one(name), is_it).copied().map(SubsystemId)
    }

    fn add(&mut self, name: &[u8]) -> Option<SubsystemId> {
        if let Some(known) = self.find(name) {
            return Some(known);
        }
        let id = u16::try_from(self.names.len()).ok()?;
        self.names.push(name.into());
        let (names, hasher) = (&self.names, &self.hasher);
        let rehash = |&id: &u16| hasher.hash_one(names.get(usize::from(id)).map_or(&[][..], |n| n));
        self.index.insert_unique(hasher.hash_one(name), id, rehash);
        Some(SubsystemId(id))
    }
}

/// A device's number, of one kind or the other: no device of the kernel has a node and is a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Number {
    None,
    Node(DevNum),
    Net(IfIndex),
}

/// A node's place in the registry, counted from 1 so that "none" costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) NonZeroU32);

/// What may change while the node is in the tree.
#[derive(Debug)]
pub(super) struct State {
    pub(super) number: Number,
    pub(super) subsystem: Option<SubsystemId>,
    /// The place in the registry; `None` before the node is announced and after it has left.
    pub(super) key: Option<Key>,
    pub(super) gone: bool,
}

/// A name relative to the parent: most fit in the node itself and cost no allocation of their own.
enum Name {
    Short { len: u8, bytes: [u8; Name::SHORT] },
    Long(Box<[u8]>),
}

impl Name {
    const SHORT: usize = 22;

    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(name);
                Name::Short { len, bytes }
            }
            _ => Name::Long(name.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Name::Long(bytes) => bytes,
        }
    }

    fn heap(&self) -> usize {
        match self {
            Name::Short { .. } => 0,
            Name::Long(bytes) => bytes.len(),
        }
    }
}

pub(super) struct Node {
    parent: Option<Arc<Node>>,
    shared: Arc<Shared>,
    name: Name,
    state: Mutex<State>,
}

impl Node {
    /// Makes a node at `path`, below `parent`, which has to be an ancestor of it. Not in the tree yet.
    pub(super) fn new(
        shared: &Arc<Shared>,
        parent: Option<Arc<Node>>,
        path: &DevPath,
        facts: &Facts,
    ) -> Arc<Self> {
        let name = match &parent {
            Some(parent) => path.as_bytes().get(parent.path_len() + 1..).unwrap_or_default(),
            None => path.as_bytes().strip_prefix(TOP).unwrap_or(path.as_bytes()),
        };
        let (number, subsystem) = packed(shared, facts);
        let state = Mutex::new(State { number, subsystem, key: None, gone: false });
        let node = Self { parent, shared: Arc::clone(shared), name: Name::new(name), state };
        shared.nodes.fetch_add(1, Ordering::Relaxed);
        shared.bytes.fetch_add(node.heap(), Ordering::Relaxed);
        Arc::new(node)
    }

    fn heap(&self) -> usize {
        size_of::<Self>() + ARC_COUNTERS + self.name.heap()
    }

    pub(super) fn parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref()
    }

    /// The name relative to the parent; begins with `/` only for a path outside `/devices`.
    pub(super) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// The last component of the name.
    pub(super) fn last(&self) -> &[u8] {
        self.name().rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node, then its parents up to the top.
    fn way_up(&self) -> impl Iterator<Item = &Node> {
        iter::successors(Some(self), |node| node.parent.as_deref())
    }

    fn path_len(&self) -> usize {
        let names: usize = self.way_up().map(|node| node.name().len() + 1).sum();
        let top = if self.top_name().starts_with(b"/") { 0 } else { TOP.len() };
        names - 1 + top
    }

    fn top_name(&self) -> &[u8] {
        self.way_up().last().map_or(&[], Node::name)
    }

    /// Puts the whole path into `out`, in place of what is there.
    pub(super) fn write_path(&self, out: &mut Vec<u8>) {
        let mut nodes: Vec<&Node> = self.way_up().collect();
        nodes.reverse();
        out.clear();
        for (depth, node) in nodes.into_iter().enumerate() {
            match depth {
                0 if node.name().starts_with(b"/") => {}
                0 => out.extend_from_slice(TOP),
                _ => out.push(b'/'),
            }
            out.extend_from_slice(node.name());
        }
    }

    /// True when `path` is this node's. Compares from the end, so that other nodes are told apart soon.
    pub(super) fn is_at(&self, path: &[u8]) -> bool {
        let mut rest = path;
        for node in self.way_up() {
            let Some(before) = rest.strip_suffix(node.name()) else { return false };
            rest = match node.parent {
                Some(_) => match before.strip_suffix(b"/") {
                    Some(before) => before,
                    None => return false,
                },
                None => before,
            };
        }
        rest == if self.top_name().starts_with(b"/") { &b""[..] } else { TOP }
    }

    pub(super) fn facts(&self) -> Facts {
        let State { number, subsystem, .. } = *self.state();
        let (devnum, ifindex) = match number {
            Number::None => (None, None),
            Number::Node(devnum) => (Some(devnum), None),
            Number::Net(ifindex) => (None, Some(ifindex)),
        };
        Facts { subsystem: subsystem.and_then(|id| self.shared.subsystem_name(id)), devnum, ifindex }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.nodes.fetch_sub(1, Ordering::Relaxed);
        self.shared.bytes.fetch_sub(self.heap(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = Vec::new();
        self.write_path(&mut path);
        fmt::Debug::fmt(BStr::new(&path), f)
    }
}

/// Facts in the form a node keeps.
pub(super) fn packed(shared: &Shared, facts: &Facts) -> (Number, Option<SubsystemId>) {
    let number = match (facts.devnum, facts.ifindex) {
        (Some(devnum), _) => Number::Node(devnum),
        (None, Some(ifindex)) => Number::Net(ifindex),
        (None, None) => Number::None,
    };
    (number, facts.subsystem.as_ref().and_then(|name| shared.intern(name)))
}

/// A counted handle to a node (`get`); dropping it is `put`. Valid after the device has gone.
#[derive(Clone)]
pub struct Device(pub(super) Arc<Node>);

impl Device {
    /// The path below `/sys`, with leading `/`. A device that has gone keeps the path it had.
    pub fn devpath(&self) -> DevPath {
        let mut path = Vec::new();
        self.0.write_path(&mut path);
        // INVARIANT: a node's path is a suffix-wise split of the `DevPath` it was made with, so it is one again.
        DevPath::of_checked_parts(path)
    }

    /// Kernel name, `!` as `/`.
    pub fn sysname(&self) -> BString {
        ids::sysname(self.0.last())
    }

    /// The nearest device above, gone or not.
    pub fn parent(&self) -> Option<Device> {
        self.0.parent().map(|node| Device(Arc::clone(node)))
    }

    /// The device itself, then its parents up to the root.
    pub fn chain(&self) -> impl Iterator<Item = Device> + use<> {
        iter::successors(Some(self.clone()), Device::parent)
    }

    /// The subsystem's name.
    pub fn subsystem(&self) -> Option<BString> {
        let subsystem = self.0.state().subsystem?;
        self.0.shared.subsystem_name(subsystem)
    }

    /// True when the device has that subsystem; copies nothing.
    pub fn is_in(&self, subsystem: &[u8]) -> bool {
        let id = self.0.state().subsystem;
        id.is_some() && id == self.0.shared.find_subsystem(subsystem)
    }

    /// The number of the device's node.
    pub fn devnum(&self) -> Option<DevNum> {
        match self.0.state().number {
            Number::Node(devnum) => Some(devnum),
            _ => None,
        }
    }

    /// The index of the network interface.
    pub fn ifindex(&self) -> Option<IfIndex> {
        match self.0.state().number {
            Number::Net(ifindex) => Some(ifindex),
            _ => None,
        }
    }

    /// All that the tree keeps of the device beside its path.
    pub fn facts(&self) -> Facts {
        self.0.facts()
    }

    /// The name under which the device's record is kept. `None` only for a device without subsystem, number and index.
    pub fn id(&self) -> Option<DeviceId> {
        let State { number, subsystem, .. } = *self.0.state();
        match number {
            Number::Node(devnum) => Some(DeviceId::Node(devnum)),
            Number::Net(ifindex) => Some(DeviceId::Net(ifindex)),
            Number::None => {
                let subsystem = self.0.shared.subsystem_name(subsystem?)?;
                Some(DeviceId::Named { subsystem, name: self.0.last().as_bstr().to_owned() })
            }
        }
    }

    /// True once the device has been removed; it never comes back.
    pub fn is_gone(&self) -> bool {
        self.0.state().gone
    }

    /// True when both are handles to the same node (not: to nodes at the same path).
    pub fn same_as(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
