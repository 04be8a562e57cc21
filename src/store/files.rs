//! Owns the directory of records, one file for each device, named by its id.
//!
//! A file is written under a temporary name and renamed over, and not at all if it would say the same; so a reader sees
//! a whole record and a `kill -9` leaves the old one. Nothing is forced to the medium: the directory is on a tmpfs.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{io, os::fd::OwnedFd};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::record::{Problem, Record};
use crate::ids::DeviceId;
use crate::sys::fs::{Durability, list, open_dir, read_file, write_whole};

/// Temporary names begin with this; no device id does.
const TEMPORARY: &[u8] = b".#";
/// No record is longer; udev's longest are about 10 KiB.
const RECORD_MAX: usize = 1 << 20;

/// A record could not be read, written or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't {doing} the record of {id}: {errno}")]
pub struct RecordError {
    /// `read`, `write`, `delete`.
    pub doing: &'static str,
    /// The device.
    pub id: DeviceId,
    /// What the kernel said. `EINVAL`: the id can't be a file name.
    pub errno: Errno,
}

/// What [`RecordDir::write`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The file says something new.
    Written,
    /// It said so already.
    Unchanged,
}

/// What [`RecordDir::list`] found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Records that could be read, ordered by device.
    pub records: Vec<(DeviceId, Record)>,
    /// Lines that could not.
    pub problems: Vec<(DeviceId, Problem)>,
    /// Files that could not.
    pub errors: Vec<RecordError>,
}

/// An open directory of records.
#[derive(Debug)]
pub struct RecordDir {
    dir: OwnedFd,
    temporaries: AtomicU64,
    present: Mutex<Present>,
}

/// Which files there may be, once that is known: most devices have no record, and to ask the kernel for each would cost
/// more than all else that is done for them.
#[derive(Debug, Default)]
struct Present {
    hasher: RandomState,
    /// Hashes of the names; two that are alike cost a look at a file that is not there. `None`: nothing is known.
    names: Option<HashSet<u64>>,
}

impl Present {
    fn may_hold(&self, name: &[u8]) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(&self.hasher.hash_one(name)))
    }

    fn insert(&mut self, name: &[u8]) {
        let hash = self.hasher.hash_one(name);
        self.names.as_mut().map(|names| names.insert(hash));
    }

    /// Call it when the file has gone. Another whose hash is the same is then looked for no more: one in 2⁶⁴.
    fn remove(&mut self, name: &[u8]) {
        let hash = self.hasher.hash_one(name);
        self.names.as_mut().map(|names| names.remove(&hash));
    }
}

impl RecordDir {
    /// Opens `dir`, making it and its parents where they are missing.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: open_dir(dir)?, temporaries: AtomicU64::new(0), present: Mutex::default() })
    }

    /// Opens `dir` for reading, if it is there: it may be another program's.
    pub fn open_existing(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: open_dir(dir)?, temporaries: AtomicU64::new(0), present: Mutex::default() })
    }

    /// The record of `id` and what could not be read of it; `None` if there is no file. An empty file is an empty record.
    pub fn read(&self, id: &DeviceId) -> Result<Option<(Record, Vec<Problem>)>, RecordError> {
        let name = file_name(id, "read")?;
        if !self.present().may_hold(&name) {
            return Ok(None);
        }
        match read_file(&self.dir, &name, RECORD_MAX) {
            Ok(text) => Ok(Some(Record::parse(&text))),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(RecordError { doing: "read", id: id.clone(), errno }),
        }
    }

    /// Writes the record of `id` (mode 0644 less the umask, sticky if it persists).
    pub fn write(&self, id: &DeviceId, record: &Record) -> Result<Written, RecordError> {
        let name = file_name(id, "write")?;
        let text = record.to_bytes();
        if !record.persist
            && self.present().may_hold(&name)
            && read_file(&self.dir, &name, text.len()).is_ok_and(|there| there == text)
        {
            return Ok(Written::Unchanged);
        }
        self.put_text(id, &name, &text, record.persist).map(|()| Written::Written)
    }

    /// Writes the record of `id`, whatever is there.
    pub fn put(&self, id: &DeviceId, record: &Record) -> Result<(), RecordError> {
        self.put_text(id, &file_name(id, "write")?, &record.to_bytes(), record.persist)
    }

    fn put_text(&self, id: &DeviceId, name: &[u8], text: &[u8], persist: bool) -> Result<(), RecordError> {
        self.present().insert(name);
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        // no longer than any id may be: the id itself is left out
        let temporary = [TEMPORARY, format!("{}-{number}", std::process::id()).as_bytes()].concat();
        let mode = Mode::from_bits_truncate(if persist { 0o1644 } else { 0o644 });
        write_whole(&self.dir, name, &temporary, text, mode, Durability::Running)
            .map_err(|errno| RecordError { doing: "write", id: id.clone(), errno })
    }

    /// Deletes the record of `id`; false if there was none.
    pub fn delete(&self, id: &DeviceId) -> Result<bool, RecordError> {
        let name = file_name(id, "delete")?;
        if !self.present().may_hold(&name) {
            return Ok(false);
        }
        match unlinkat(&self.dir, name.as_slice(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                self.present().remove(&name);
                Ok(true)
            }
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(RecordError { doing: "delete", id: id.clone(), errno }),
        }
    }

    /// All records. Files whose name is no device id are skipped.
    pub fn list(&self) -> io::Result<Listing> {
        Ok(self.read_all(&list(&self.dir)?))
    }

    /// The same for who alone writes here from now on: what is not there now is not looked for again.
    pub fn take_over(&self) -> io::Result<Listing> {
        let names = list(&self.dir)?;
        let listing = self.read_all(&names);
        let mut present = self.present();
        present.names = Some(names.iter().map(|name| present.hasher.hash_one(name.as_slice())).collect());
        Ok(listing)
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self, names: &[BString]) -> Listing {
        let mut ids: Vec<DeviceId> = names.iter().filter_map(|name| DeviceId::parse(name).ok()).collect();
        ids.sort();
        let mut out = Listing::default();
        for id in ids {
            match self.read(&id) {
                Ok(Some((record, problems))) => {
                    out.problems.extend(problems.into_iter().map(|problem| (id.clone(), problem)));
                    out.records.push((id, record));
                }
                Ok(None) => {}
                Err(error) => out.errors.push(error),
            }
        }
        out
    }

    /// Deletes what killed runs left under temporary names; returns how many files that were. Call it at start.
    pub fn clean(&self) -> io::Result<usize> {
        let names = list(&self.dir)?;
        let left = names.iter().filter(|name| name.starts_with(TEMPORARY));
        Ok(left
            .filter(|name| unlinkat(&self.dir, name.as_bytes(), UnlinkatFlags::NoRemoveDir).is_ok())
            .count())
    }
}

fn file_name(id: &DeviceId, doing: &'static str) -> Result<Vec<u8>, RecordError> {
    let name = id.to_bytes();
    if name.contains(&b'/') || name.contains(&0) {
        return Err(RecordError { doing, id: id.clone(), errno: Errno::EINVAL });
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::ids::LinkName;

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text.as_bytes()).unwrap()
    }

    fn record(priority: i32) -> Record {
        Record { links: [LinkName::new(b"x").unwrap()].into(), priority, ..Record::default() }
    }

    #[test]
    fn write_read_delete() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RecordDir::open(&temp.path().join("nameplate/data")).unwrap();
        let path = temp.path().join("nameplate/data/b8:1");
        assert_eq!(dir.read(&id("b8:1")), Ok(None));
        assert_eq!(dir.write(&id("b8:1"), &record(1)), Ok(Written::Written));
        assert_eq!(std::fs::read(&path).unwrap(), b"S:x\nL:1\nV:1\n");
        let inode = std::fs::metadata(&path).unwrap().ino();
        assert_eq!(dir.write(&id("b8:1"), &record(1)), Ok(Written::Unchanged));
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(dir.write(&id("b8:1"), &record(0)), Ok(Written::Written));
        assert_eq!(dir.read(&id("b8:1")), Ok(Some((record(0), vec![]))));
        assert_eq!((dir.delete(&id("b8:1")), dir.delete(&id("b8:1"))), (Ok(true), Ok(false)));
    }

    #[test]
    fn bad_files_cost_themselves_alone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RecordDir::open(temp.path()).unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::write(at("+usb:1-1"), "S:../x\nI:7\nV:1\n").unwrap();
        std::fs::write(at("n3"), "").unwrap();
        std::fs::write(at("README"), "no device").unwrap();
        std::fs::write(at(".#12-0"), "half a rec").unwrap();
        std::fs::create_dir(at("b8:0")).unwrap();
        symlink("/etc/passwd", at("c1:3")).unwrap();
        let listing = dir.list().unwrap();
        let ids: Vec<String> = listing.records.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, ["n3", "+usb:1-1"]);
        assert_eq!(listing.records[1].1.init_usec, Some(7));
        assert_eq!(listing.problems.iter().map(|(_, p)| p.line).collect::<Vec<_>>(), [1]);
        assert_eq!(listing.errors.len(), 2);
        assert_eq!((dir.clean().unwrap(), at(".#12-0").exists()), (1, false));
    }

    #[test]
    fn who_alone_writes_knows_what_is_there() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RecordDir::open(temp.path()).unwrap();
        let record_in = |name: &str| std::fs::write(temp.path().join(name), "S:x\nL:1\nV:1\n").unwrap();
        record_in("b8:1");
        std::fs::create_dir(temp.path().join("b8:9")).unwrap();
        let listing = dir.take_over().unwrap();
        assert_eq!((listing.records.len(), listing.errors.len()), (1, 1));
        assert_eq!(dir.write(&id("b8:1"), &record(1)), Ok(Written::Unchanged));
        assert!(dir.read(&id("b8:9")).is_err());
        // what nobody else may put there is not looked for
        record_in("b8:2");
        assert_eq!((dir.read(&id("b8:2")), dir.delete(&id("b8:2"))), (Ok(None), Ok(false)));
        assert_eq!(dir.write(&id("b8:2"), &record(1)), Ok(Written::Written));
        assert_eq!(dir.read(&id("b8:2")), Ok(Some((record(1), vec![]))));
        assert_eq!(dir.write(&id("b8:2"), &record(1)), Ok(Written::Unchanged));
        assert_eq!((dir.delete(&id("b8:2")), dir.read(&id("b8:2"))), (Ok(true), Ok(None)));
    }

    #[test]
    fn ids_that_are_no_file_names() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RecordDir::open(temp.path()).unwrap();
        let bad = DeviceId::Named { subsystem: "../x".into(), name: "y".into() };
        assert_eq!(dir.write(&bad, &record(0)).unwrap_err().errno, Errno::EINVAL);
        let long = DeviceId::Named { subsystem: "x".repeat(300).into(), name: "y".into() };
        assert_eq!(dir.write(&long, &record(0)).unwrap_err().errno, Errno::ENAMETOOLONG);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}
