//! Owns the reader of `hwdb.bin`: header, trie and the search for a modalias in it.
//!
//! The file begins with a header of 64-bit little-endian numbers, then has the nodes of a radix trie over the patterns of
//! all records, then the strings. A node has a prefix that all patterns below it share, children by the next byte, and the
//! properties of the pattern that ends there. Patterns are globs: where one of `*?[` comes next, everything below it is
//! tried one by one. Each property says from which file and line it is, so that the later of two wins.
//!
//! Nothing in the file is believed: every offset is checked, and no search takes more steps than a sound file could ask for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bstr::BString;

use super::pages::{Bytes, View};
use crate::text::{Case, Pattern};

/// What the file begins with.
pub(super) const SIGNATURE: &[u8; 8] = b"KSLPHHRH";
/// Bytes of the header, of a node, of a child's entry, and of a property's entry without and with its source.
pub(super) const HEADER: u64 = 80;
pub(super) const NODE: u64 = 24;
pub(super) const CHILD: u64 = 16;
pub(super) const VALUE: u64 = 16;
pub(super) const VALUE_WITH_SOURCE: u64 = 32;

/// The longest pattern: systemd's reader takes none of 2,048 bytes or more.
const PATTERN_MAX: usize = 2048;
/// The longest key or value.
const TEXT_MAX: usize = 64 * 1024;

/// Why the database gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum HwdbError {
    /// It can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is no hardware database, or one that was damaged.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What went wrong inside a file whose name the caller knows.
#[derive(Debug)]
enum Fault {
    Read(io::Error),
    Damaged(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Damaged("something of it is beyond its end"),
            io::ErrorKind::InvalidData => Fault::Damaged("a text in it is too long"),
            _ => Fault::Read(error),
        }
    }
}

/// A hardware database that can be asked.
#[derive(Debug)]
pub struct Hwdb {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
}

/// What the header says of the rest.
#[derive(Debug, Clone, Copy)]
struct Header {
    node: u64,
    child: u64,
    value: u64,
    root: u64,
}

impl Hwdb {
    /// Opens the database at `path`. Only its header is read; later questions read what they need.
    pub fn open(path: &Path) -> Result<Self, HwdbError> {
        let failed = |source| HwdbError::Read { path: path.into(), source };
        let bytes = File::open(path).and_then(Bytes::file).map_err(failed)?;
        Self::over(path, bytes)
    }

    /// The first of `paths` that is there; `None` if none is.
    pub fn open_first(paths: &[PathBuf]) -> Result<Option<Self>, HwdbError> {
        for path in paths {
            match Self::open(path) {
                Err(HwdbError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => return other.map(Some),
            }
        }
        Ok(None)
    }

    /// A database in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, HwdbError> {
        Self::over(Path::new("(memory)"), Bytes::Memory(bytes))
    }

    fn over(path: &Path, bytes: Bytes) -> Result<Self, HwdbError> {
        let header = header(&bytes).map_err(|fault| named(path, fault))?;
        Ok(Self { path: path.into(), bytes, header })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All properties of the records that match `modalias`, in the order in which they were found: of several values of one
    /// key the one that is later in the sources, and in a database that does not say where from, the one found last.
    pub fn query(&self, modalias: &[u8]) -> Result<Vec<(BString, BString)>, HwdbError> {
        let mut search = Search {
            view: self.bytes.view(),
            header: self.header,
            steps: self.bytes.length() / VALUE,
            found: Vec::new(),
        };
        match search.run(modalias) {
            Ok(()) => Ok(search.found.into_iter().map(|found| (found.key, found.value)).collect()),
            Err(fault) => Err(named(&self.path, fault)),
        }
    }
}

fn named(path: &Path, fault: Fault) -> HwdbError {
    let path = path.to_owned();
    match fault {
        Fault::Read(source) => HwdbError::Read { path, source },
        Fault::Damaged(what) => HwdbError::Damaged { path, what },
    }
}

fn header(bytes: &Bytes) -> Result<Header, Fault> {
    let mut view = bytes.view();
    let mut signature = [0; 8];
    let length = bytes.length();
    if length < HEADER {
        return Err(Fault::Damaged("it is too short to be a hardware database"));
    }
    view.read(0, &mut signature)?;
    if signature != *SIGNATURE {
        return Err(Fault::Damaged("it is no hardware database"));
    }
    // signature, version of the tool, then these
    let [size, head, node, child, value, root, nodes, strings] = numbers(&mut view, 16)?;
    if size != length {
        return Err(Fault::Damaged("its length is not what it says: it was cut off or written over"));
    }
    if node < NODE || child < CHILD || value < VALUE {
        return Err(Fault::Damaged("its entries are too small"));
    }
    if head.checked_add(nodes).and_then(|sum| sum.checked_add(strings)).is_none_or(|sum| sum > length) {
        return Err(Fault::Damaged("its parts are longer than the file"));
    }
    Ok(Header { node, child, value, root })
}

/// `N` numbers from `offset` on.
fn numbers<const N: usize>(view: &mut View<'_>, offset: u64) -> Result<[u64; N], Fault> {
    let mut out = [0; N];
    let mut bytes = [0; 8];
    let mut at = offset;
    for number in &mut out {
        view.read(at, &mut bytes)?;
        *number = u64::from_le_bytes(bytes);
        at = beyond(at, 8, 1)?;
    }
    Ok(out)
}

/// `offset + size * count`, checked.
fn beyond(offset: u64, size: u64, count: u64) -> Result<u64, Fault> {
    let sum = size.checked_mul(count).and_then(|bytes| offset.checked_add(bytes));
    sum.ok_or(Fault::Damaged("something of it is beyond its end"))
}

/// A node as the file has it.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where the prefix is; 0 for none.
    prefix: u64,
    children: u8,
    values: u64,
    /// Where its children's entries are, and after them its properties.
    after: u64,
}

/// Where a property comes from: the greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The number of its file in the order of files; 0 in databases that do not have it.
    priority: u16,
    /// Where the file's name is: in databases without numbers, names come in the order of files.
    name: u64,
    line: u32,
}

#[derive(Debug)]
struct Match {
    key: BString,
    value: BString,
    rank: Option<Rank>,
}

/// One question.
#[derive(Debug)]
struct Search<'b> {
    view: View<'b>,
    header: Header,
    /// How many nodes and properties may still be looked at. A sound file has less of them than it has room for, and each
    /// is looked at once; a damaged one may lead in circles.
    steps: u64,
    found: Vec<Match>,
}

/// What is to be done next among globs.
#[derive(Debug)]
enum Task {
    /// Look at the node at this offset, whose pattern is the first so many bytes of the buffer and one more.
    Enter { offset: u64, before: usize, byte: u8 },
    /// All below the node was looked at: now itself, whose pattern are the first so many bytes.
    Leave { node: Node, length: usize },
}

impl Search<'_> {
    fn run(&mut self, modalias: &[u8]) -> Result<(), Fault> {
        let mut node = self.node(self.header.root)?;
        let mut rest = modalias;
        loop {
            let prefix = self.prefix(&node)?;
            for (at, &byte) in prefix.iter().enumerate() {
                if is_glob(byte) {
                    let pattern = prefix.get(at..).unwrap_or_default().to_vec();
                    return self.below(node, pattern, rest.get(at..).unwrap_or_default());
                }
                if rest.get(at) != Some(&byte) {
                    return Ok(());
                }
            }
            rest = rest.get(prefix.len()..).unwrap_or_default();
            for glob in *b"*?[" {
                if let Some(offset) = self.child(&node, glob)? {
                    let child = self.node(offset)?;
                    let mut pattern = vec![glob];
                    pattern.extend(self.prefix(&child)?);
                    self.below(child, pattern, rest)?;
                }
            }
            let Some((&next, after)) = rest.split_first() else { return self.values(&node) };
            // a glob byte in the modalias itself leads to the nodes that were just looked at
            let Some(offset) = self.child(&node, next)? else { return Ok(()) };
            node = self.node(offset)?;
            rest = after;
        }
    }

    /// Tries every pattern at and below `top`, whose own pattern is `pattern`; children before their parent.
    fn below(&mut self, top: Node, mut pattern: Vec<u8>, value: &[u8]) -> Result<(), Fault> {
        let mut tasks = Vec::new();
        self.push(top, pattern.len(), &mut tasks)?;
        while let Some(task) = tasks.pop() {
            match task {
                Task::Enter { offset, before, byte } => {
                    pattern.truncate(before);
                    pattern.push(byte);
                    let node = self.node(offset)?;
                    if node.prefix != 0 {
                        self.view.string(node.prefix, PATTERN_MAX, &mut pattern)?;
                    }
                    if pattern.len() > PATTERN_MAX {
                        return Err(Fault::Damaged("a pattern in it is too long"));
                    }
                    self.push(node, pattern.len(), &mut tasks)?;
                }
                Task::Leave { node, length } => {
                    pattern.truncate(length);
                    if node.values > 0 && Pattern::single(&pattern, Case::Sensitive).matches(value) {
                        self.values(&node)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a node on the pile: first its children, in their order, then itself.
    fn push(&mut self, node: Node, length: usize, tasks: &mut Vec<Task>) -> Result<(), Fault> {
        tasks.push(Task::Leave { node, length });
        for at in (0..node.children).rev() {
            let (byte, offset) = self.entry(&node, at)?;
            tasks.push(Task::Enter { offset, before: length, byte });
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Fault> {
        self.steps = self.steps.checked_sub(1).ok_or(Fault::Damaged("its nodes lead in circles"))?;
        Ok(())
    }

    fn node(&mut self, offset: u64) -> Result<Node, Fault> {
        self.step()?;
        let [prefix, children, values] = numbers(&mut self.view, offset)?;
        let [children, ..] = children.to_le_bytes();
        Ok(Node { prefix, children, values, after: beyond(offset, self.header.node, 1)? })
    }

    fn prefix(&mut self, node: &Node) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        if node.prefix != 0 {
            self.view.string(node.prefix, PATTERN_MAX, &mut out)?;
        }
        Ok(out)
    }

    /// The byte and the offset of a node's child.
    fn entry(&mut self, node: &Node, at: u8) -> Result<(u8, u64), Fault> {
        let [byte, offset] = numbers(&mut self.view, beyond(node.after, self.header.child, u64::from(at))?)?;
        let [byte, ..] = byte.to_le_bytes();
        Ok((byte, offset))
    }

    /// The offset of the child for `byte`: children are ordered.
    fn child(&mut self, node: &Node, byte: u8) -> Result<Option<u64>, Fault> {
        let (mut low, mut high) = (0, node.children);
        while low < high {
            let at = low.midpoint(high);
            let (found, offset) = self.entry(node, at)?;
            match found.cmp(&byte) {
                std::cmp::Ordering::Equal => return Ok(Some(offset)),
                std::cmp::Ordering::Less => low = at + 1,
                std::cmp::Ordering::Greater => high = at,
            }
        }
        Ok(None)
    }

    /// Takes the properties of a pattern that matches.
    fn values(&mut self, node: &Node) -> Result<(), Fault> {
        let first = beyond(node.after, self.header.child, u64::from(node.children))?;
        for at in 0..node.values {
            self.step()?;
            self.value(beyond(first, self.header.value, at)?)?;
        }
        Ok(())
    }

    fn value(&mut self, offset: u64) -> Result<(), Fault> {
        let [key_at, value_at] = numbers(&mut self.view, offset)?;
        let mut key = Vec::new();
        self.view.string(key_at, TEXT_MAX, &mut key)?;
        // Other first bytes are kept free for what may come.
        let Some(key) = key.strip_prefix(b" ") else { return Ok(()) };
        let rank = match self.header.value >= VALUE_WITH_SOURCE {
            true => Some(self.rank(beyond(offset, VALUE, 1)?)?),
            false => None,
        };
        let old = self.found.iter_mut().find(|found| found.key == key);
        if old.as_ref().is_some_and(|old| is_lower(rank, old.rank)) {
            return Ok(());
        }
        let mut value = Vec::new();
        self.view.string(value_at, TEXT_MAX, &mut value)?;
        let found = Match { key: key.into(), value: value.into(), rank };
        match old {
            Some(old) => *old = found,
            None => self.found.push(found),
        }
        Ok(())
    }

    fn rank(&mut self, offset: u64) -> Result<Rank, Fault> {
        let [name, place] = numbers(&mut self.view, offset)?;
        let [l0, l1, l2, l3, p0, p1, ..] = place.to_le_bytes();
        Ok(Rank { priority: u16::from_le_bytes([p0, p1]), name, line: u32::from_le_bytes([l0, l1, l2, l3]) })
    }
}

/// True when `new` comes before `old` in the sources.
fn is_lower(new: Option<Rank>, old: Option<Rank>) -> bool {
    let (Some(new), Some(old)) = (new, old) else { return false };
    match new.priority {
        0 => (new.name, new.line) < (old.name, old.line),
        _ => (new.priority, new.line) < (old.priority, old.line),
    }
}

fn is_glob(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[')
}
