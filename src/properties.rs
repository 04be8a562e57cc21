//! Owns `Properties`: the `KEY=VALUE` facts of a device, ordered by key so that every output is the same each time.
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
    /// A value with a NUL or a newline: it would forge another line of the record.
    #[error("the value of `{0}` has a NUL or a newline")]
    Value(BString),
    /// A `KEY=VALUE` text without `=`.
    #[error("no `=` in `{0}`")]
    NoEquals(BString),
}

/// An ordered map of properties. Keys that begin with `.` live only as long as the event.
///
/// All of it lies in two allocations: each event copies its properties several times, and the start keeps those of all
/// devices for a moment.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Keys and values in turn, ordered by key, with nothing in between.
    text: Vec<u8>,
    /// Where each key and its value end.
    ends: Vec<(usize, usize)>,
}

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

    /// Sets `key`; a bad key or value is refused and changes nothing. An empty value is kept as empty.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), PropertyError> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.is_empty() || key.iter().any(|&b| b == b'=' || b.is_ascii_control() || b.is_ascii_whitespace())
        {
            return Err(PropertyError::Key(key.into()));
        }
        if value.iter().any(|&b| b == 0 || b == b'\n') {
            return Err(PropertyError::Value(key.into()));
        }
        match self.find(key) {
            Ok(at) => self.splice(at, self.value_at(at), value),
            Err(at) => {
                let start = self.start(at);
                let end = start + key.len();
                self.text.splice(start..start, key.iter().copied());
                self.shift(at, key.len(), 0);
                self.ends.insert(at, (end, end));
                self.splice(at, end..end, value);
            }
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
        let (start, (_, end)) = (self.start(at), self.ends.remove(at));
        self.text.drain(start..end);
        self.shift(at, 0, end - start);
        Some(value)
    }

    /// All properties, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, &BStr)> {
        (0..self.len()).map(|at| {
            let value = self.value_at(at);
            (self.part(self.start(at)..value.start), self.part(value))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
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
        at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, end)| *end)
    }

    fn value_at(&self, at: usize) -> Range<usize> {
        self.ends.get(at).map_or(0..0, |(key, value)| *key..*value)
    }

    fn part(&self, range: Range<usize>) -> &BStr {
        self.text.get(range).unwrap_or_default().as_bstr()
    }

    /// Puts another value in the place of the one that lies at `old`.
    fn splice(&mut self, at: usize, old: Range<usize>, value: &[u8]) {
        let removed = old.len();
        self.text.splice(old, value.iter().copied());
        if let Some((_, end)) = self.ends.get_mut(at) {
            *end = *end + value.len() - removed;
        }
        self.shift(at + 1, value.len(), removed);
    }

    /// Bytes came before the property `from` and went; it and those behind it have moved.
    fn shift(&mut self, from: usize, came: usize, went: usize) {
        for (key, value) in self.ends.iter_mut().skip(from) {
            (*key, *value) = (*key + came - went, *value + came - went);
        }
    }
}

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
