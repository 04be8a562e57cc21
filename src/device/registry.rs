//! Owns the places of live nodes and the indexes over them: by path, by number, by subsystem and name, by parent.
//!
//! Holds one reference to each live node. The indexes hold places, not names or paths: a look-up hashes what it is asked
//! for and compares with the nodes. Works under the tree's lock and never reads a source.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::Facts;
use super::node::{Key, Node, Number, Shared, SubsystemId, packed};
use crate::ids::DevPath;

/// One place: free, or a live node with its links to brothers and children.
#[derive(Debug)]
struct Slot {
    node: Option<Arc<Node>>,
    first_child: Option<Key>,
    /// The next brother; in a free place, the next free place.
    next: Option<Key>,
    previous: Option<Key>,
}

#[derive(Debug, Default)]
struct Slots {
    places: Vec<Slot>,
    free: Option<Key>,
}

impl Slots {
    fn get(&self, key: Key) -> Option<&Slot> {
        self.places.get(index(key))
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Slot> {
        self.places.get_mut(index(key))
    }

    fn node(&self, key: Key) -> Option<&Arc<Node>> {
        self.get(key)?.node.as_ref()
    }

    /// Takes a free place, or makes one. Grows by an eighth: doubling would waste up to half a node's budget.
    fn put(&mut self, node: Arc<Node>) -> Option<Key> {
        let slot = Slot { node: Some(node), first_child: None, next: None, previous: None };
        if let Some(key) = self.free {
            let place = self.get_mut(key)?;
            let freed = std::mem::replace(place, slot);
            self.free = freed.next;
            return Some(key);
        }
        if self.places.len() == self.places.capacity() {
            self.places.reserve_exact((self.places.len() / 8).max(32));
        }
        self.places.push(slot);
        u32::try_from(self.places.len()).ok().and_then(NonZeroU32::new).map(Key)
    }

    fn take(&mut self, key: Key) -> Option<Arc<Node>> {
        let free = self.free;
        let slot = self.get_mut(key)?;
        let node = slot.node.take()?;
        *slot = Slot { node: None, first_child: None, next: free, previous: None };
        self.free = Some(key);
        Some(node)
    }
}

fn index(Key(number): Key) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX) - 1
}

/// All live nodes.
#[derive(Debug, Default)]
pub(super) struct Registry {
    slots: Slots,
    first_top: Option<Key>,
    by_path: HashTable<Key>,
    by_number: HashTable<Key>,
    by_name: HashTable<Key>,
    /// Directories that lie between a node and its parent (`net` of `…/net/eth0`), by the hash of their path, with the
    /// number of nodes below. A device that appears at one of them late has to take these nodes over.
    gaps: HashMap<u32, u32>,
    hasher: DefaultHashBuilder,
    live: usize,
}

impl Registry {
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Heap bytes of places and indexes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.places.capacity() * size_of::<Slot>()
            + self.by_path.allocation_size()
            + self.by_number.allocation_size()
            + self.by_name.allocation_size()
            + self.gaps.allocation_size()
    }

    pub(super) fn by_path(&self, path: &[u8]) -> Option<&Arc<Node>> {
        let is_it = |&key: &Key| self.slots.node(key).is_some_and(|node| node.is_at(path));
        self.by_path.find(self.hasher.hash_one(path), is_it).and_then(|&key| self.slots.node(key))
    }

    /// The node of that device number or interface index.
    pub(super) fn by_number(&self, number: Number) -> Option<&Arc<Node>> {
        let is_it = |&key: &Key| self.slots.node(key).is_some_and(|node| node.state().number == number);
        self.by_number.find(self.hasher.hash_one(number), is_it).and_then(|&key| self.slots.node(key))
    }

    /// The nodes of that subsystem and sysfs file name: one, if the kernel made the tree.
    pub(super) fn by_name(&self, subsystem: SubsystemId, last: &[u8]) -> impl Iterator<Item = &Arc<Node>> {
        let same_hash = self.by_name.iter_hash(self.hasher.hash_one((subsystem, last)));
        let nodes = same_hash.filter_map(|&key| self.slots.node(key));
        nodes.filter(move |node| node.last() == last && node.state().subsystem == Some(subsystem))
    }

    /// The nearest live node above `path`.
    pub(super) fn nearest_above(&self, path: &[u8]) -> Option<&Arc<Node>> {
        prefixes(path).find_map(|prefix| self.by_path(prefix))
    }

    /// Children of a node (`None`: the nodes without a parent), in no order.
    pub(super) fn children(&self, parent: Option<&Node>) -> impl Iterator<Item = &Arc<Node>> {
        let first = match parent {
            Some(node) => node.state().key.and_then(|key| self.slots.get(key)).and_then(|s| s.first_child),
            None => self.first_top,
        };
        let next = |slot: &&Slot| slot.next.and_then(|key| self.slots.get(key));
        std::iter::successors(first.and_then(|key| self.slots.get(key)), next)
            .filter_map(|slot| slot.node.as_ref())
    }

    /// The node at a path with the given facts, and whether it was made now.
    pub(super) fn put(&mut self, shared: &Arc<Shared>, path: &DevPath, facts: &Facts) -> (Arc<Node>, bool) {
        match self.by_path(path.as_bytes()).cloned() {
            Some(node) => {
                self.update(shared, &node, facts);
                (node, false)
            }
            None => (self.create(shared, path, facts), true),
        }
    }

    /// Makes a node at a path that has none and announces it.
    fn create(&mut self, shared: &Arc<Shared>, path: &DevPath, facts: &Facts) -> Arc<Node> {
        let parent = self.nearest_above(path.as_bytes()).cloned();
        let moved = self.take_below_gap(parent.as_deref(), path);
        let node = Node::new(shared, parent, path, facts);
        self.announce(&node);
        for (path, facts) in moved {
            self.create(shared, &path, &facts);
        }
        node
    }

    /// Takes out the nodes that hang from `parent` but lie below `path`, where a device appears now.
    fn take_below_gap(&mut self, parent: Option<&Node>, path: &DevPath) -> Vec<(DevPath, Facts)> {
        if !self.gaps.contains_key(&self.gap(path.as_bytes())) {
            return Vec::new();
        }
        let below = |node: &&Arc<Node>| path.is_ancestor_of(&path_of(node));
        let heads: Vec<Arc<Node>> = self.children(parent).filter(below).cloned().collect();
        let mut moved = Vec::new();
        for head in heads {
            moved.extend(self.take_out(&head).iter().rev().map(|node| (path_of(node), node.facts())));
        }
        moved
    }

    /// Replaces a live node's facts.
    fn update(&mut self, shared: &Shared, node: &Node, facts: &Facts) {
        let (number, subsystem) = packed(shared, facts);
        let state = node.state();
        let Some(key) = state.key else { return };
        if (state.number, state.subsystem) == (number, subsystem) {
            return;
        }
        drop(state);
        self.unindex_facts(key, node);
        let mut state = node.state();
        (state.number, state.subsystem) = (number, subsystem);
        drop(state);
        self.index_facts(key, node);
    }

    /// Takes the node at a path and all below it out, children first; the nodes in that order.
    pub(super) fn take_out_at(&mut self, path: &DevPath) -> Vec<Arc<Node>> {
        let node = self.by_path(path.as_bytes()).cloned();
        node.map(|node| self.take_out(&node)).unwrap_or_default()
    }

    fn take_out(&mut self, node: &Arc<Node>) -> Vec<Arc<Node>> {
        let mut out = Vec::new();
        let Some(top) = node.state().key else { return out };
        loop {
            let mut lowest = top;
            while let Some(child) = self.slots.get(lowest).and_then(|slot| slot.first_child) {
                lowest = child;
            }
            out.extend(self.unannounce(lowest));
            if lowest == top {
                return out;
            }
        }
    }

    /// Makes a node visible: from here on it can be found.
    fn announce(&mut self, node: &Arc<Node>) {
        // More than 2^32 nodes do not fit in memory; a node without a place stays invisible.
        let Some(key) = self.slots.put(Arc::clone(node)) else { return };
        node.state().key = Some(key);
        self.link(key, node);
        let mut path = Vec::new();
        node.write_path(&mut path);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |&key: &Key| {
            let mut path = Vec::new();
            if let Some(node) = slots.node(key) {
                node.write_path(&mut path);
            }
            hasher.hash_one(path.as_slice())
        };
        self.by_path.insert_unique(hasher.hash_one(path.as_slice()), key, rehash);
        for gap in self.gaps_of(node, &path) {
            *self.gaps.entry(gap).or_insert(0) += 1;
        }
        self.index_facts(key, node);
        self.live += 1;
    }

    /// Makes a node without children invisible and drops the registry's reference to it.
    fn unannounce(&mut self, key: Key) -> Option<Arc<Node>> {
        let node = Arc::clone(self.slots.node(key)?);
        self.unindex_facts(key, &node);
        let mut path = Vec::new();
        node.write_path(&mut path);
        for gap in self.gaps_of(&node, &path) {
            if let Entry::Occupied(mut count) = self.gaps.entry(gap) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        forget(&mut self.by_path, self.hasher.hash_one(path.as_slice()), key);
        self.unlink(key, &node);
        self.slots.take(key);
        self.live -= 1;
        let mut state = node.state();
        state.key = None;
        state.gone = true;
        drop(state);
        Some(node)
    }

    fn first_of(&mut self, parent: Option<&Arc<Node>>) -> Option<&mut Option<Key>> {
        match parent {
            None => Some(&mut self.first_top),
            Some(parent) => {
                let key = parent.state().key?;
                self.slots.get_mut(key).map(|slot| &mut slot.first_child)
            }
        }
    }

    fn link(&mut self, key: Key, node: &Node) {
        let second = self.first_of(node.parent()).and_then(|first| first.replace(key));
        if let Some(slot) = self.slots.get_mut(key) {
            slot.next = second;
        }
        if let Some(slot) = second.and_then(|key| self.slots.get_mut(key)) {
            slot.previous = Some(key);
        }
    }

    fn unlink(&mut self, key: Key, node: &Node) {
        let Some(slot) = self.slots.get(key) else { return };
        let (next, previous) = (slot.next, slot.previous);
        match previous.and_then(|key| self.slots.get_mut(key)) {
            Some(slot) => slot.next = next,
            None => {
                if let Some(first) = self.first_of(node.parent()) {
                    *first = next;
                }
            }
        }
        if let Some(slot) = next.and_then(|key| self.slots.get_mut(key)) {
            slot.previous = previous;
        }
    }

    fn index_facts(&mut self, key: Key, node: &Node) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        if let Some(hash) = number_hash(hasher, node) {
            let rehash = |&key: &Key| slots.node(key).and_then(|n| number_hash(hasher, n)).unwrap_or(0);
            self.by_number.insert_unique(hash, key, rehash);
        }
        if let Some(hash) = name_hash(hasher, node) {
            let rehash = |&key: &Key| slots.node(key).and_then(|n| name_hash(hasher, n)).unwrap_or(0);
            self.by_name.insert_unique(hash, key, rehash);
        }
    }

    fn unindex_facts(&mut self, key: Key, node: &Node) {
        if let Some(hash) = number_hash(&self.hasher, node) {
            forget(&mut self.by_number, hash, key);
        }
        if let Some(hash) = name_hash(&self.hasher, node) {
            forget(&mut self.by_name, hash, key);
        }
    }

    /// 32 bits are enough: a false hit costs a look at the brothers, nothing else.
    fn gap(&self, path: &[u8]) -> u32 {
        u32::try_from(self.hasher.hash_one(path) >> 32).unwrap_or_default()
    }

    /// The directories between a node and its parent.
    fn gaps_of(&self, node: &Node, path: &[u8]) -> Vec<u32> {
        let directories = node.name().iter().skip(1).filter(|&&b| b == b'/').count();
        prefixes(path).take(directories).map(|prefix| self.gap(prefix)).collect()
    }
}

/// The paths above `path`, longest first.
pub(super) fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| above(path)).skip(1)
}

fn above(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().rposition(|&b| b == b'/')?;
    path.get(..at).filter(|rest| !rest.is_empty())
}

fn path_of(node: &Arc<Node>) -> DevPath {
    super::Device(Arc::clone(node)).devpath()
}

fn number_hash(hasher: &DefaultHashBuilder, node: &Node) -> Option<u64> {
    let number = node.state().number;
    (number != Number::None).then(|| hasher.hash_one(number))
}

fn name_hash(hasher: &DefaultHashBuilder, node: &Node) -> Option<u64> {
    let subsystem = node.state().subsystem?;
    Some(hasher.hash_one((subsystem, node.last())))
}

fn forget(table: &mut HashTable<Key>, hash: u64, key: Key) {
    if let Ok(entry) = table.find_entry(hash, |&other| other == key) {
        entry.remove();
    }
}
