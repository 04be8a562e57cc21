//! Owns the trie of patterns while a database is built, and writing it as the bytes of `hwdb.bin`.
//!
//! Never reads a source: `compile` gives it one property of one pattern at a time, in the order of the sources.

use super::reader::{CHILD, HEADER, NODE, SIGNATURE, VALUE, VALUE_WITH_SOURCE};
use super::strings::{Strings, as_index};

/// Whether each property of the database says which file and line it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// It does: what `systemd-hwdb update` writes. Among the values of one key the one that is later in the sources wins.
    Named,
    /// It does not: what `udevadm hwdb --update` writes.
    Left,
}

/// The version of systemd that the format is that of; readers do not look at it.
const TOOL_VERSION: u64 = 257;

/// Where a property comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'s> {
    /// The file's name.
    pub(super) file: &'s [u8],
    /// The file's number in the order of files, from 1.
    pub(super) priority: u16,
    /// The line, from 1.
    pub(super) line: u32,
}

#[derive(Debug)]
pub(super) struct Trie {
    sources: Sources,
    strings: Strings,
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    prefix: u32,
    /// Ordered by byte.
    children: Vec<(u8, u32)>,
    /// Ordered by key.
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    key: u32,
    value: u32,
    file: u32,
    line: u32,
    priority: u16,
}

impl Trie {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, strings: Strings::new(), nodes: vec![Node::default()] }
    }

    /// Gives `pattern` a property; a later one of the same key replaces it. No text may have a NUL. `None`: four gigabytes
    /// are full.
    pub(super) fn insert(
        &mut self,
        pattern: &[u8],
        key: &[u8],
        value: &[u8],
        place: Place<'_>,
    ) -> Option<()> {
        let mut at = 0;
        let mut rest = pattern;
        loop {
            let prefix = self.strings.get(self.nodes.get(as_index(at))?.prefix);
            let common = prefix.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < prefix.len() {
                self.split(at, common)?;
            }
            let Some((&byte, after)) = rest.get(common..)?.split_first() else {
                return self.put(at, key, value, place);
            };
            let children = &self.nodes.get(as_index(at))?.children;
            match children.binary_search_by_key(&byte, |(byte, _)| *byte) {
                Ok(child) => (at, rest) = (children.get(child)?.1, after),
                Err(slot) => {
                    let prefix = self.strings.add(after)?;
                    let new = u32::try_from(self.nodes.len()).ok()?;
                    self.nodes.push(Node { prefix, ..Node::default() });
                    self.nodes.get_mut(as_index(at))?.children.insert(slot, (byte, new));
                    return self.put(new, key, value, place);
                }
            }
        }
    }

    /// Cuts the prefix of a node after `common` bytes: what is behind becomes its only child.
    fn split(&mut self, at: u32, common: usize) -> Option<()> {
        let old = self.nodes.get(as_index(at))?.clone();
        let prefix = self.strings.get(old.prefix);
        let (byte, front) = (*prefix.get(common)?, prefix.get(..common)?.to_vec());
        let behind = old.prefix.checked_add(u32::try_from(common).ok()?)?.checked_add(1)?;
        let front = self.strings.add(&front)?;
        let new = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node { prefix: behind, ..old });
        *self.nodes.get_mut(as_index(at))? =
            Node { prefix: front, children: vec![(byte, new)], values: Vec::new() };
        Some(())
    }

    fn put(&mut self, at: u32, key: &[u8], value: &[u8], place: Place<'_>) -> Option<()> {
        let key = self.strings.add(key)?;
        let value = self.strings.add(value)?;
        let file = match self.sources {
            Sources::Named => self.strings.add(place.file)?,
            Sources::Left => 0,
        };
        let new = Value { key, value, file, line: place.line, priority: place.priority };
        let values = &mut self.nodes.get_mut(as_index(at))?.values;
        let strings = &self.strings;
        match values.binary_search_by(|old| strings.get(old.key).cmp(strings.get(key))) {
            Ok(slot) => *values.get_mut(slot)? = new,
            Err(slot) => values.insert(slot, new),
        }
        Some(())
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let value_size = match self.sources {
            Sources::Named => VALUE_WITH_SOURCE,
            Sources::Left => VALUE,
        };
        let nodes_size = self.nodes.iter().map(|node| {
            NODE + CHILD * as_number(node.children.len()) + value_size * as_number(node.values.len())
        });
        let nodes_size: u64 = nodes_size.sum();
        let mut writer = Writer { trie: self, strings_at: HEADER + nodes_size, out: Vec::new() };
        writer.out.resize(usize::try_from(HEADER).unwrap_or(0), 0);
        let root = writer.node(0);
        let mut out = writer.out;
        out.extend_from_slice(self.strings.bytes());
        let numbers = [
            TOOL_VERSION,
            as_number(out.len()),
            HEADER,
            NODE,
            CHILD,
            value_size,
            root,
            nodes_size,
            as_number(self.strings.bytes().len()),
        ];
        let header = SIGNATURE.iter().copied().chain(numbers.iter().flat_map(|number| number.to_le_bytes()));
        out.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        out
    }
}

fn as_number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

struct Writer<'t> {
    trie: &'t Trie,
    strings_at: u64,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// Writes a node behind its children; where it is. Goes as deep as the longest pattern that was put in.
    fn node(&mut self, at: u32) -> u64 {
        let trie = self.trie;
        let Some(node) = trie.nodes.get(as_index(at)) else { return 0 };
        let children: Vec<(u8, u64)> =
            node.children.iter().map(|(byte, child)| (*byte, self.node(*child))).collect();
        let offset = as_number(self.out.len());
        self.string(node.prefix);
        // at most one child for each byte but NUL: 255
        self.number(as_number(node.children.len()));
        self.number(as_number(node.values.len()));
        for (byte, child) in children {
            self.number(u64::from(byte));
            self.number(child);
        }
        for value in &node.values {
            self.string(value.key);
            self.string(value.value);
            if trie.sources == Sources::Named {
                self.string(value.file);
                self.number(u64::from(value.line) | u64::from(value.priority) << 32);
            }
        }
        offset
    }

    fn string(&mut self, offset: u32) {
        self.number(self.strings_at + u64::from(offset));
    }

    fn number(&mut self, number: u64) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }
}
