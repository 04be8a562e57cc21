//! Owns `Properties`: the `KEY=VALUE` facts of a device, ordered by key so that every output is the same each time; and
//! the order in which they were set, which is that of udev's records.
//!
//! Keys and values are bytes. Never knows where a value came from: provenance is the plan's.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use bstr::{BStr, BString, ByteSlice};

/// Why a property can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// No key, or a key with `=`, white space or a control byte.
    #[error("`{0}` is no property name")]
    Key(BString),
    /// A value with a NUL or a newline, which would forge another line of the record; or of gigabytes.
    #[error("the value of `{0}` has a NUL or a newline, or no end")]
    Value(BString),
    /// A `KEY=VALUE` text without `=`.
    #[error("no `=` in `{0}`")]
    NoEquals(BString),
}

/// Properties that say what the device and the event are: nothing that a user writes sets them.
pub const READ_ONLY: &[&str] = &[
    "ACTION",
    "DEVLINKS",
    "DEVNAME",
    "DEVPATH",
    "DEVTYPE",
    "DRIVER",
    "IFINDEX",
    "MAJOR",
    "MINOR",
    "SEQNUM",
    "SUBSYSTEM",
    "TAGS",
];

/// An ordered map of properties. Keys that begin with `.` live only as long as the event.
///
/// All of it lies in two allocations: each event copies its properties several times, and the start keeps those of all
/// devices for a moment. Two are equal that say the same, in whatever order it was set.
#[derive(Clone, Default)]
pub struct Properties {
    /// Keys and values in turn, ordered by key, with nothing in between.
    text: Vec<u8>,
    /// Where each key and its value lie.
    parts: Vec<Part>,
    /// The turn of the next key that is set.
    next: u32,
}

/// Where a key and its value end in the text, and when the key was set: the greater, the later.
#[derive(Debug, Clone, Copy)]
struct Part {
    key: u32,
    value: u32,
    turn: u32,
}

/// Positions in a text of [`TEXT_MAX`] bytes.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn wide(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// No properties are longer together.
const TEXT_MAX: usize = 1 << 31;

impl Properties {
    /// No properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`, if it is set.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&BStr> {
        let at = self.find(key.as_ref()).ok()?;
        Some(self.part(self.value_at(at)))
    }

    /// Sets `key`; a bad key or value is refused and changes nothing. An empty value is kept as empty. One that was set
    /// keeps its turn.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), PropertyError> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.is_empty() || key.iter().any(|&b| b == b'=' || b.is_ascii_control() || b.is_ascii_whitespace())
        {
            return Err(PropertyError::Key(key.into()));
        }
        let is_too_long = key.len().saturating_add(value.len()) > TEXT_MAX.saturating_sub(self.text.len());
        if is_too_long || value.iter().any(|&b| b == 0 || b == b'\n') {
            return Err(PropertyError::Value(key.into()));
        }
        match self.find(key) {
            Ok(at) => self.splice(at, self.value_at(at), value),
            Err(at) => {
                let start = self.start(at);
                let end = start + key.len();
                self.text.splice(start..start, key.iter().copied());
                self.shift(at, key.len(), 0);
                let (turn, key) = (self.next_turn(), narrow(end));
                self.parts.insert(at, Part { key, value: key, turn });
                self.splice(at, end..end, value);
            }
        }
        Ok(())
    }

    /// The same, and what was set before counts as set now.
    pub fn set_last(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), PropertyError> {
        let key = key.as_ref();
        self.set(key, value)?;
        let turn = self.next_turn();
        if let Some(part) = self.find(key).ok().and_then(|at| self.parts.get_mut(at)) {
            part.turn = turn;
        }
        Ok(())
    }

    /// Sets a property from `KEY=VALUE`; the first `=` splits.
    pub fn set_line(&mut self, line: &[u8]) -> Result<(), PropertyError> {
        let (key, value) = line.split_once_str(b"=").ok_or_else(|| PropertyError::NoEquals(line.into()))?;
        self.set(key, value)
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Option<BString> {
        let at = self.find(key.as_ref()).ok()?;
        let value = self.part(self.value_at(at)).to_owned();
        let (start, end) = (self.start(at), wide(self.parts.remove(at).value));
        self.text.drain(start..end);
        self.shift(at, 0, end - start);
        Some(value)
    }

    /// All properties, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, &BStr)> {
        (0..self.len()).map(|at| self.pair(at))
    }

    /// For each property of [`Properties::iter`] a number: the greater, the later it was set first.
    pub fn turns(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().map(|part| part.turn)
    }

    /// All properties in the order in which they were set first.
    pub fn in_order(&self) -> impl Iterator<Item = (&BStr, &BStr)> {
        let mut order: Vec<(u32, usize)> = self.turns().zip(0..).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, at)| self.pair(at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Where the property of that key stands, or would.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let at = low.midpoint(high);
            match self.part(self.start(at)..self.value_at(at).start).as_bytes().cmp(key) {
                Ordering::Less => low = at + 1,
                Ordering::Equal => return Ok(at),
                Ordering::Greater => high = at,
            }
        }
        Err(low)
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.parts.get(before)).map_or(0, |part| wide(part.value))
    }

    fn value_at(&self, at: usize) -> Range<usize> {
        self.parts.get(at).map_or(0..0, |part| wide(part.key)..wide(part.value))
    }

    fn pair(&self, at: usize) -> (&BStr, &BStr) {
        let value = self.value_at(at);
        (self.part(self.start(at)..value.start), self.part(value))
    }

    fn next_turn(&mut self) -> u32 {
        let turn = self.next;
        self.next = turn.saturating_add(1);
        turn
    }

    fn part(&self, range: Range<usize>) -> &BStr {
        self.text.get(range).unwrap_or_default().as_bstr()
    }

    /// Puts another value in the place of the one that lies at `old`.
    fn splice(&mut self, at: usize, old: Range<usize>, value: &[u8]) {
        let removed = old.len();
        self.text.splice(old, value.iter().copied());
        if let Some(part) = self.parts.get_mut(at) {
            part.value = narrow(wide(part.value) + value.len() - removed);
        }
        self.shift(at + 1, value.len(), removed);
    }

    /// Bytes came before the property `from` and went; it and those behind it have moved.
    fn shift(&mut self, from: usize, came: usize, went: usize) {
        for part in self.parts.iter_mut().skip(from) {
            part.key = narrow(wide(part.key) + came - went);
            part.value = narrow(wide(part.value) + came - went);
        }
    }
}

impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        let ends = |part: &Part| (part.key, part.value);
        self.text == other.text && self.parts.iter().map(ends).eq(other.parts.iter().map(ends))
    }
}

impl Eq for Properties {}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, V)> for Properties {
    /// Collects pairs; those that [`Properties::set`] refuses are left out.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut out = Self::new();
        for (key, value) in pairs {
            let _refused = out.set(key, value);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_equals_splits_and_order_is_by_key() {
        let mut p = Properties::new();
        p.set_line(b"ID_FS_LABEL=a=b").unwrap();
        p.set_line(b"ACTION=\xff").unwrap();
        let all: Vec<_> = p.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        assert_eq!(all, [(b"ACTION".to_vec(), b"\xff".to_vec()), (b"ID_FS_LABEL".to_vec(), b"a=b".to_vec())]);
    }

    #[test]
    fn the_order_of_setting() {
        let mut p = Properties::new();
        let order =
            |p: &Properties| p.in_order().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        for line in ["Z=1", "A=1", "M=1", "A=22"] {
            p.set_line(line.as_bytes()).unwrap();
        }
        assert_eq!(order(&p), "Z=1 A=22 M=1");
        p.remove("Z");
        p.set("Z", "3").unwrap();
        assert_eq!(order(&p), "A=22 M=1 Z=3");
        p.set_last("A", "4").unwrap();
        assert_eq!(order(&p), "M=1 Z=3 A=4");
        assert!(p.set_last("M", "\n").is_err());
        assert_eq!(order(&p), "M=1 Z=3 A=4");
        assert_eq!(p, p.in_order().collect::<Vec<_>>().into_iter().rev().collect());
    }

    proptest! {
        /// What an ordered map does.
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec(("[ab]{1,2}", prop::option::of("[xy]{0,3}")), 0..20)) {
            let (mut real, mut model) = (Properties::new(), BTreeMap::new());
            for (key, value) in steps {
                match value {
                    Some(value) => {
                        real.set(&key, &value).unwrap();
                        model.insert(key, value);
                    }
                    None => {
                        let removed = real.remove(&key).map(|value| value.to_string());
                        prop_assert_eq!(removed, model.remove(&key));
                    }
                }
                let all: Vec<_> = real.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
                let expected: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                prop_assert_eq!(all, expected);
                prop_assert_eq!(real.len(), model.len());
                for key in ["a", "ab", "b", "bb"] {
                    prop_assert_eq!(real.get(key).map(|v| v.to_string()), model.get(key).cloned());
                }
                let again: Properties = model.iter().collect();
                prop_assert_eq!(&again, &real);
            }
        }
    }

    #[test]
    fn bad_ones_are_refused() {
        let mut p = Properties::new();
        for (key, value) in
            [("", "x"), ("A=B", "x"), ("A B", "x"), ("A\n", "x"), ("A", "x\nE:EVIL=1"), ("A", "\0")]
        {
            assert!(p.set(key, value).is_err(), "{key:?}={value:?}");
        }
        assert_eq!(p.set_line(b"nothing"), Err(PropertyError::NoEquals("nothing".into())));
        assert!(p.is_empty());
    }
}
