//! Owns `Properties`: the `KEY=VALUE` facts of a device, ordered by key so that every output is the same each time.
//!
//! Keys and values are bytes. Never knows where a value came from: provenance is the plan's.

use std::collections::BTreeMap;

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(BTreeMap<BString, BString>);

impl Properties {
    /// No properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`, if it is set.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&BStr> {
        self.0.get(BStr::new(key.as_ref())).map(|v| v.as_bstr())
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
        self.0.insert(key.into(), value.into());
        Ok(())
    }

    /// Sets a property from `KEY=VALUE`; the first `=` splits.
    pub fn set_line(&mut self, line: &[u8]) -> Result<(), PropertyError> {
        let (key, value) = line.split_once_str(b"=").ok_or_else(|| PropertyError::NoEquals(line.into()))?;
        self.set(key, value)
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Option<BString> {
        self.0.remove(BStr::new(key.as_ref()))
    }

    /// All properties, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, &BStr)> {
        self.0.iter().map(|(k, v)| (k.as_bstr(), v.as_bstr()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
