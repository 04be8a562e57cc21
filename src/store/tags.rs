//! Owns the index of tags: `tags/TAG/ID`, an empty file for each tag that a device has ever had, by which libudev programs
//! find the devices of a tag.
//!
//! Never says which of them are current: that is the record's.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use bstr::ByteSlice;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::ids::{DeviceId, Tag};
use crate::sys::fs::{Symlinks, list, open_beneath, open_dir};

/// The index of tags could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't {doing} the tag `{tag}` of {id}: {errno}")]
pub struct TagError {
    /// `write`, `delete`.
    pub doing: &'static str,
    /// The tag.
    pub tag: Tag,
    /// The device.
    pub id: DeviceId,
    /// What the kernel said.
    pub errno: Errno,
}

/// The open directory of tags.
#[derive(Debug)]
pub struct TagIndex {
    dir: OwnedFd,
}

impl TagIndex {
    /// Opens `dir`, making it and its parents where they are missing.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: open_dir(dir)? })
    }

    /// Enters a device under a tag; nothing happens if it is there.
    pub fn add(&self, tag: &Tag, id: &DeviceId) -> Result<(), TagError> {
        let fail = |errno| TagError { doing: "write", tag: tag.clone(), id: id.clone(), errno };
        match self.touch(tag, id) {
            Err(Errno::ENOENT) => {
                let made = mkdirat(&self.dir, tag.as_str(), Mode::from_bits_truncate(0o755));
                made.or_else(|errno| if errno == Errno::EEXIST { Ok(()) } else { Err(errno) })
                    .map_err(fail)?;
                self.touch(tag, id).map_err(fail)
            }
            other => other.map_err(fail),
        }
    }

    fn touch(&self, tag: &Tag, id: &DeviceId) -> Result<(), Errno> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let path = [tag.as_str().as_bytes(), b"/", &id.to_bytes()].concat();
        match nix::fcntl::openat(&self.dir, path.as_slice(), flags, Mode::from_bits_truncate(0o444)) {
            Ok(_) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Takes a device out of a tag; a tag without devices goes.
    pub fn remove(&self, tag: &Tag, id: &DeviceId) -> Result<(), TagError> {
        let path = [tag.as_str().as_bytes(), b"/", &id.to_bytes()].concat();
        match unlinkat(&self.dir, path.as_slice(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {
                // others may be in it
                let _not_empty = unlinkat(&self.dir, tag.as_str(), UnlinkatFlags::RemoveDir);
                Ok(())
            }
            Err(errno) => Err(TagError { doing: "delete", tag: tag.clone(), id: id.clone(), errno }),
        }
    }

    /// Every entry: tag and device, in order. What is no tag or no device id is skipped.
    pub fn list(&self) -> io::Result<Vec<(Tag, DeviceId)>> {
        let mut out = Vec::new();
        for tag in list(&self.dir)?.iter().filter_map(|name| Tag::new(name).ok()) {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let Ok(dir) = open_beneath(&self.dir, tag.as_str().as_bytes(), flags, Symlinks::Refused) else {
                continue;
            };
            let ids = list(&dir)?
                .iter()
                .filter_map(|name| DeviceId::parse(name.as_bytes()).ok())
                .collect::<Vec<_>>();
            out.extend(ids.into_iter().map(|id| (tag.clone(), id)));
        }
        out.sort();
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn devices_come_and_go_under_their_tags() {
        let temp = tempfile::tempdir().unwrap();
        let index = TagIndex::open(&temp.path().join("tags")).unwrap();
        let tag = |name: &str| Tag::new(name.as_bytes()).unwrap();
        let id = |text: &str| DeviceId::parse(text.as_bytes()).unwrap();
        for (t, i) in [("systemd", "b8:1"), ("systemd", "n3"), ("seat", "+usb:1-1"), ("systemd", "b8:1")] {
            index.add(&tag(t), &id(i)).unwrap();
        }
        let at = |name: &str| temp.path().join("tags").join(name);
        let mode = std::fs::metadata(at("systemd/b8:1")).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode & !0o444, std::fs::read(at("seat/+usb:1-1")).unwrap()), (0, vec![]));
        std::fs::write(at("README"), "").unwrap();
        let all: Vec<String> = index.list().unwrap().iter().map(|(t, i)| format!("{t} {i}")).collect();
        assert_eq!(all, ["seat +usb:1-1", "systemd b8:1", "systemd n3"]);
        index.remove(&tag("systemd"), &id("b8:1")).unwrap();
        index.remove(&tag("seat"), &id("+usb:1-1")).unwrap();
        index.remove(&tag("seat"), &id("+usb:1-1")).unwrap();
        assert!(!at("seat").exists() && at("systemd/n3").exists());
    }
}
