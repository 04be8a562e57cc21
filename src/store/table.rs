//! Owns a table whose entries are found by key and by a small number, so that others can refer to an entry in four bytes.
//!
//! Each key is stored once. Numbers of removed entries are given again; never keep one across a removal.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// An entry that carries its own key.
pub(super) trait Keyed {
    type Key: Hash + Eq;
    fn key(&self) -> &Self::Key;
}

/// Entries by key and by number.
pub(super) struct Table<T> {
    index: HashTable<u32>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    hasher: RandomState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), free: Vec::new(), hasher: RandomState::new() }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.index.len()).finish_non_exhaustive()
    }
}

impl<T: Keyed> Table<T> {
    /// The number of `key`'s entry.
    pub(super) fn find(&self, key: &T::Key) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&at| self.get(at).is_some_and(|e| e.key() == key)).copied()
    }

    /// Puts `entry` in; an entry of the same key is replaced under its number.
    pub(super) fn insert(&mut self, entry: T) -> u32 {
        if let Some(at) = self.find(entry.key()) {
            if let Some(slot) = self.get_mut(at) {
                *slot = entry;
            }
            return at;
        }
        let hash = self.hasher.hash_one(entry.key());
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // an eighth at a time, not double: tables of tens of thousands of entries stay for months
                    self.slots.reserve_exact(self.slots.len() / 8 + 8);
                }
                self.slots.push(None);
                // 2^32 entries would need more than 200 GB
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = Some(entry);
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, at, |&at| rehash(slots, hasher, at));
        at
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let entry = self.slots.get_mut(at as usize)?.take()?;
        let hash = self.hasher.hash_one(entry.key());
        let (slots, hasher) = (&self.slots, &self.hasher);
        if let Entry::Occupied(found) =
            self.index.entry(hash, |&other| other == at, |&at| rehash(slots, hasher, at))
        {
            found.remove();
        }
        self.free.push(at);
        Some(entry)
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.slots.get_mut(at as usize)?.as_mut()
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

fn rehash<T: Keyed>(slots: &[Option<T>], hasher: &RandomState, at: u32) -> u64 {
    slots.get(at as usize).and_then(Option::as_ref).map_or(0, |entry| hasher.hash_one(entry.key()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word(String, u8);

    impl Keyed for Word {
        type Key = String;
        fn key(&self) -> &String {
            &self.0
        }
    }

    #[test]
    fn numbers_stay_and_are_given_again_after_removal() {
        let mut table = Table::default();
        let numbers: Vec<u32> = (0..100).map(|n| table.insert(Word(format!("w{n}"), n))).collect();
        assert_eq!(table.insert(Word("w7".into(), 200)), numbers[7]);
        assert_eq!(table.get(numbers[7]).unwrap().1, 200);
        assert_eq!(table.remove(numbers[50]).unwrap().0, "w50");
        assert_eq!((table.find(&"w50".into()), table.len()), (None, 99));
        assert_eq!(table.insert(Word("new".into(), 1)), numbers[50]);
        assert_eq!(table.find(&"w99".into()), Some(numbers[99]));
        assert!(table.remove(1000).is_none());
        assert_eq!(table.iter().count(), 100);
    }
}
