//! Owns the database of devices as one thing: their records, and where libudev programs read it the index of tags.
//!
//! Two layouts. **udev's**, `/run/udev`: as systemd 257 writes it, so that libudev programs, a udevd and an initramfs read it and
//! leave theirs. **Our own**, for who is not the device manager: records alone, with the names of nodes.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::files::{Listing, RecordDir, RecordError, Written};
use super::record::Record;
use super::tags::{TagError, TagIndex};
use crate::ids::{DeviceId, Tag};

/// The database could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The index of tags.
    #[error(transparent)]
    Tag(#[from] TagError),
}

/// The open database.
#[derive(Debug)]
pub struct Database {
    records: RecordDir,
    tags: Option<TagIndex>,
}

impl Database {
    /// Our own layout: records in `dir/data`.
    pub fn own(dir: &Path) -> io::Result<Self> {
        Ok(Self { records: RecordDir::open(&dir.join("data"))?, tags: None })
    }

    /// udev's layout below `dir` (`/run/udev`).
    pub fn udev(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            records: RecordDir::open(&dir.join("data"))?,
            tags: Some(TagIndex::open(&dir.join("tags"))?),
        })
    }

    /// The records.
    pub fn records(&self) -> &RecordDir {
        &self.records
    }

    /// Whether `record` of `id` is kept in a file. In udev's layout every device that has a number or an index is, even if
    /// there is nothing to say.
    pub fn keeps(&self, id: &DeviceId, record: &Record) -> bool {
        let counted = self.tags.is_some() && !matches!(id, DeviceId::Named { .. });
        counted || record.says_something()
    }

    /// Makes `record` what is known of `id`; deletes what was known if this is not kept. In our own layout a device that was
    /// handled and has a time has a file too, if an empty one: its programs have run.
    pub fn write(&self, id: &DeviceId, record: &Record) -> Result<(), DatabaseError> {
        let was_handled = self.tags.is_none() && record.init_usec.is_some();
        if !was_handled && !self.keeps(id, record) {
            return self.delete(id);
        }
        let Some(index) = &self.tags else {
            self.records.write(id, record)?;
            return Ok(());
        };
        // readers of udev's skip the node's line, but it is not theirs
        let written = match &record.node {
            Some(_) => self.records.write(id, &Record { node: None, ..record.clone() })?,
            None => self.records.write(id, record)?,
        };
        if written == Written::Written {
            record.tags.iter().try_for_each(|tag| index.add(tag, id))?;
        }
        Ok(())
    }

    /// Puts another record in the place of that of `id`, which has the same tags.
    pub fn mark(&self, id: &DeviceId, record: &Record) -> Result<(), DatabaseError> {
        Ok(self.records.put(id, record)?)
    }

    /// Nothing is known of `id` from now on.
    pub fn delete(&self, id: &DeviceId) -> Result<(), DatabaseError> {
        if let Some(index) = &self.tags
            && let Ok(Some((record, _))) = self.records.read(id)
        {
            record.tags.iter().try_for_each(|tag| index.remove(tag, id))?;
        }
        self.records.delete(id)?;
        Ok(())
    }

    /// All records, for who alone writes here from now on; puts right what a killed run left: files under temporary names,
    /// entries of the index that no record bears out.
    pub fn take_over(&self) -> io::Result<Listing> {
        self.records.clean()?;
        let listing = self.records.take_over()?;
        if let Some(index) = &self.tags {
            let borne_out: BTreeSet<(&Tag, &DeviceId)> = listing
                .records
                .iter()
                .flat_map(|(id, record)| record.tags.iter().map(move |tag| (tag, id)))
                .collect();
            let there = index.list()?;
            for (tag, id) in there.iter().filter(|(tag, id)| !borne_out.contains(&(tag, id))) {
                index.remove(tag, id).map_err(|error| io::Error::other(error.to_string()))?;
            }
            let there: BTreeSet<(&Tag, &DeviceId)> = there.iter().map(|(tag, id)| (tag, id)).collect();
            for (tag, id) in borne_out.difference(&there) {
                index.add(tag, id).map_err(|error| io::Error::other(error.to_string()))?;
            }
        }
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LinkName;

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text.as_bytes()).unwrap()
    }

    fn tags(names: &[&str]) -> BTreeSet<Tag> {
        names.iter().map(|name| Tag::new(name.as_bytes()).unwrap()).collect()
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut out = Vec::new();
        for sub in ["data", "tags/a", "tags/b"] {
            let there = std::fs::read_dir(dir.join(sub)).into_iter().flatten().flatten();
            out.extend(there.map(|e| format!("{sub}/{}", e.file_name().to_str().unwrap())));
        }
        out.sort();
        out
    }

    #[test]
    fn udevs_layout() {
        let temp = tempfile::tempdir().unwrap();
        let database = Database::udev(temp.path()).unwrap();
        let nothing = Record { init_usec: Some(5), node: None, ..Record::default() };
        let node = Some(LinkName::new(b"sda").unwrap());
        let tagged = Record { tags: tags(&["a", "b"]), node, init_usec: Some(5), ..Record::default() };
        for one in ["c1:3", "n1", "+usb:1-1"] {
            database.write(&id(one), &nothing).unwrap();
        }
        database.write(&id("b8:0"), &tagged).unwrap();
        assert_eq!(files(temp.path()), ["data/b8:0", "data/c1:3", "data/n1", "tags/a/b8:0", "tags/b/b8:0"]);
        assert_eq!(std::fs::read(temp.path().join("data/c1:3")).unwrap(), b"");
        let text = std::fs::read_to_string(temp.path().join("data/b8:0")).unwrap();
        assert_eq!(text, "I:5\nG:a\nG:b\nV:1\n");
        database.delete(&id("b8:0")).unwrap();
        assert_eq!(files(temp.path()), ["data/c1:3", "data/n1"]);
    }

    #[test]
    fn the_index_is_put_right() {
        let temp = tempfile::tempdir().unwrap();
        let database = Database::udev(temp.path()).unwrap();
        std::fs::write(temp.path().join("data/b8:0"), "G:a\nV:1\n").unwrap();
        std::fs::create_dir(temp.path().join("tags/b")).unwrap();
        std::fs::write(temp.path().join("tags/b/b8:0"), "").unwrap();
        std::fs::write(temp.path().join("data/.#7-0"), "half").unwrap();
        assert_eq!(database.take_over().unwrap().records.len(), 1);
        assert_eq!(files(temp.path()), ["data/b8:0", "tags/a/b8:0"]);
    }

    #[test]
    fn our_own_layout_has_nodes_and_no_tags() {
        let temp = tempfile::tempdir().unwrap();
        let database = Database::own(temp.path()).unwrap();
        let node = Some(LinkName::new(b"sda").unwrap());
        database.write(&id("b8:0"), &Record { node, tags: tags(&["a"]), ..Record::default() }).unwrap();
        database.write(&id("c1:3"), &Record { init_usec: Some(1), ..Record::default() }).unwrap();
        database
            .write(&id("c1:5"), &Record { node: LinkName::new(b"zero").ok(), ..Record::default() })
            .unwrap();
        assert_eq!(files(temp.path()), ["data/b8:0", "data/c1:3"]);
        let text = |name: &str| std::fs::read_to_string(temp.path().join("data").join(name)).unwrap();
        assert_eq!((text("b8:0").as_str(), text("c1:3").as_str()), ("N:sda\nG:a\nV:1\n", ""));
    }
}
