//! Owns reading a mounted sysfs (or a directory that looks like one): the walk, attributes, links, directories.
//!
//! Every path is looked up beneath the root's descriptor and can't leave it, whatever links say. Reads are bounded, of
//! regular files only, and never wait. Never writes.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use bstr::{BString, ByteSlice};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::source::{Entry, Found, Kind, facts};
use crate::ids::DevPath;
use crate::properties::Properties;

/// Most bytes that are read of an attribute: what the kernel's `show` functions may fill.
pub(super) const ATTRIBUTE_MAX: usize = 4096;
/// Deeper than any device of any machine; ends a walk through a made-up tree.
const DEPTH_MAX: usize = 64;
/// From so many subdirectories on, several threads read a directory.
const CROWD: usize = 256;
/// So many devices go from a reading thread to the visiting one at once, so that neither wakes the other for each.
const BATCH: usize = 64;
/// More threads would only wait for the kernel's locks.
const THREADS_MAX: usize = 4;
/// The group that every device has and that never holds one.
const POWER: &[u8] = b"power";

/// An open sysfs.
#[derive(Debug, Default)]
pub(super) struct Sysfs {
    path: PathBuf,
    /// `None` when there is no such directory: then nothing is there.
    root: Option<OwnedFd>,
}

impl Sysfs {
    /// Opens a directory; one that is not there is a sysfs with nothing in it.
    pub(super) fn open(path: &Path) -> Self {
        let root = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok();
        Self { path: path.into(), root }
    }

    /// Opens `path` (relative to the root). Links on the way are followed as long as they stay inside.
    fn open_beneath(&self, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        let root = self.root.as_ref().ok_or(Errno::ENOENT)?;
        let flags = flags | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        for _ in 0..8 {
            match openat2(root, path, OpenHow::new().flags(flags).resolve(resolve)) {
                // A rename somewhere made the kernel unsure about a `..`.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // An old kernel, or a container's filter that does not know the call.
                Err(Errno::ENOSYS | Errno::EPERM) => return self.open_checked(path, flags),
                other => return other,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The same without `openat2`: looks first where the path leads. Enough for sysfs, which strangers can't change.
    fn open_checked(&self, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        let full = self.path.join(OsStr::from_bytes(path));
        let (directory, last) = match (full.parent(), full.file_name()) {
            (Some(directory), Some(last)) if flags.contains(OFlag::O_NOFOLLOW) => (directory, Some(last)),
            _ => (full.as_path(), None),
        };
        let real = directory.canonicalize().map_err(|_| Errno::ENOENT)?;
        let root = self.path.canonicalize().map_err(|_| Errno::ENOENT)?;
        if !real.starts_with(root) {
            return Err(Errno::EXDEV);
        }
        let real = last.map_or_else(|| real.clone(), |last| real.join(last));
        open(&real, flags, Mode::empty())
    }

    /// A regular file's first bytes.
    pub(super) fn read(&self, path: &[u8]) -> Option<BString> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW;
        let file = self.open_beneath(path, flags).ok()?;
        let is_file = fstat(&file).is_ok_and(|stat| type_of(&stat) == SFlag::S_IFREG);
        if is_file { read_bounded(&file) } else { None }
    }

    /// Where a link points to, as it stands in the link.
    pub(super) fn link(&self, path: &[u8]) -> Option<BString> {
        let link = self.open_beneath(path, OFlag::O_PATH | OFlag::O_NOFOLLOW).ok()?;
        let target = readlinkat(&link, "").ok()?;
        Some(target.into_vec().into())
    }

    /// Kind and permission bits of what the path leads to.
    pub(super) fn mode(&self, path: &[u8]) -> Option<u32> {
        let file = self.open_beneath(path, OFlag::O_PATH).ok()?;
        fstat(&file).ok().map(|stat| stat.st_mode)
    }

    /// What is in a directory, in no order.
    pub(super) fn list(&self, path: &[u8]) -> Vec<Entry> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
        let directory = self.open_beneath(path, flags).and_then(Dir::from_fd);
        directory.map(|mut directory| entries(&mut directory)).unwrap_or_default()
    }

    /// The device at `path`; `None` when the directory has no `uevent` file.
    pub(super) fn device(&self, path: &DevPath) -> Option<Found> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = self.open_beneath(path.relative(), flags).ok()?;
        device_in(directory.as_fd(), b".", path.as_bytes())
    }

    /// Every device, parents first.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(Found)) {
        let mut disks: Vec<BString> = self.list(b"class/block").into_iter().map(|entry| entry.name).collect();
        disks.sort();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        if let Ok(top) = self.open_beneath(b"devices", flags) {
            Walk { disks: &disks, path: b"/devices".to_vec(), visit }.list(top, 0);
        }
    }
}

/// A walk through `devices/`. Looks into a directory only if a device may be further down: on a machine with thousands
/// of disks most of the time would go into their attribute groups.
struct Walk<'v> {
    /// The names of all disks and partitions, sorted; empty where nobody keeps such a list.
    disks: &'v [BString],
    /// Where the walk is.
    path: Vec<u8>,
    visit: &'v mut dyn FnMut(Found),
}

impl Walk<'_> {
    /// Visits what is below an open directory.
    fn list(&mut self, directory: OwnedFd, depth: usize) {
        let Ok(mut directory) = Dir::from_fd(directory) else { return };
        let mut names = entries(&mut directory);
        names.retain(|entry| entry.kind == Kind::Directory && entry.name != POWER);
        if names.len() < CROWD {
            self.enter_all(directory.as_fd(), &names, depth);
        } else {
            self.share(directory.as_fd(), &names, depth);
        }
    }

    fn enter_all(&mut self, directory: BorrowedFd<'_>, names: &[Entry], depth: usize) {
        for entry in names {
            let before = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(&entry.name);
            self.enter(directory, &entry.name, depth + 1);
            self.path.truncate(before);
        }
    }

    /// Reads a crowded directory with a thread for each processor. All of one subdirectory is read by one thread in
    /// order, so a parent still comes before its children; visits happen here, on the caller's thread.
    fn share(&mut self, directory: BorrowedFd<'_>, names: &[Entry], depth: usize) {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
        let (sender, receiver) = mpsc::sync_channel::<Vec<Found>>(2 * threads);
        let (disks, path) = (self.disks, self.path.as_slice());
        let unread = thread::scope(|scope| {
            let mut unread = Vec::new();
            for part in names.chunks(names.len().div_ceil(threads).max(1)) {
                let sender = sender.clone();
                let read = move || {
                    let mut batch = Vec::with_capacity(BATCH);
                    let mut send = |found| {
                        batch.push(found);
                        if batch.len() == BATCH {
                            // A send fails only when the receiver has gone, and that outlives the scope.
                            drop(sender.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))));
                        }
                    };
                    Walk { disks, path: path.to_vec(), visit: &mut send }.enter_all(directory, part, depth);
                    drop(sender.send(batch));
                };
                if thread::Builder::new().name("walk".into()).spawn_scoped(scope, read).is_err() {
                    unread.push(part);
                }
            }
            drop(sender);
            receiver.iter().flatten().for_each(&mut self.visit);
            unread
        });
        // No thread could be had for these.
        for part in unread {
            self.enter_all(directory, part, depth);
        }
    }

    /// Visits a directory's device, if it is one's, and what is below it.
    fn enter(&mut self, parent: BorrowedFd<'_>, name: &[u8], depth: usize) {
        let found = device_in(parent, name, &self.path);
        let is_block = found.as_ref().and_then(|f| f.facts.subsystem.as_ref()).is_some_and(|s| s == "block");
        if let Some(found) = found {
            (self.visit)(found);
        }
        let is_bare = is_block && has_no_partitions(self.disks, name);
        if is_bare || depth >= DEPTH_MAX || is_leaf(parent, name) {
            return;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if let Ok(directory) = openat(parent, name, flags, Mode::empty()) {
            self.list(directory, depth);
        }
    }
}

/// True when nothing but the group `power` can be below a directory. Its link count is two more than the number of
/// directories in it; file systems that keep no such count (btrfs) say 1.
fn is_leaf(parent: BorrowedFd<'_>, name: &[u8]) -> bool {
    match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| stat.st_nlink) {
        Ok(2) => true,
        Ok(3) => {
            let power = [name, b"/", POWER].concat();
            fstatat(parent, power.as_slice(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
        }
        _ => false,
    }
}

/// True for a block device that is in the sorted list while no partition of it is. Partitions are the only devices below
/// a disk, and the kernel names them after it: `sda1`, and with a `p` between two digits `nvme0n1p1`.
fn has_no_partitions(disks: &[BString], name: &[u8]) -> bool {
    if disks.binary_search_by(|disk| disk.as_slice().cmp(name)).is_err() {
        return false;
    }
    let separator: &[u8] = if name.last().is_some_and(u8::is_ascii_digit) { b"p" } else { b"" };
    let prefix = [name, separator].concat();
    let from = disks.partition_point(|disk| disk.as_slice() <= name);
    let longer = disks.iter().skip(from).take_while(|disk| disk.starts_with(name));
    !longer.into_iter().any(|disk| {
        disk.strip_prefix(prefix.as_slice()).and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
    })
}

/// Reads the device of a directory; `None` if there is no `uevent` file.
fn device_in(parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Option<Found> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let uevent = match openat(parent, [name, b"/uevent"].concat().as_slice(), flags, Mode::empty()) {
        Ok(file) => read_bounded(&file).unwrap_or_default(),
        // Some are for root only; that there is a device is known all the same.
        Err(Errno::EACCES) => BString::default(),
        Err(_) => return None,
    };
    let target = readlinkat(parent, [name, b"/subsystem"].concat().as_slice()).ok();
    let subsystem = target.as_ref().and_then(|target| last_component(target.as_bytes())).map(BString::from);
    let mut properties = Properties::new();
    for line in uevent.lines() {
        let _not_a_property = properties.set_line(line);
    }
    let facts = facts(subsystem, &properties);
    Some(Found { path: DevPath::new(path).ok()?, facts, properties })
}

/// The last component of a path or a link's target.
pub(super) fn last_component(path: &[u8]) -> Option<&[u8]> {
    path.rsplit(|&b| b == b'/').find(|part| !part.is_empty())
}

fn read_bounded(file: &OwnedFd) -> Option<BString> {
    let mut buffer = [0; ATTRIBUTE_MAX];
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let room_len = room.len();
        match nix::unistd::read(file, room) {
            // Sysfs gives all it has at once: what is short is the end.
            Ok(n) if n < room_len => {
                filled += n;
                break;
            }
            Ok(n) => filled += n,
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    buffer.get(..filled).map(|bytes| bytes.as_bstr().to_owned())
}

fn entries(directory: &mut Dir) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut unknown = Vec::new();
    for entry in directory.iter().flatten() {
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            Some(Type::Directory) => Kind::Directory,
            Some(Type::Symlink) => Kind::Link,
            Some(Type::File) => Kind::File,
            Some(_) => Kind::Other,
            None => {
                unknown.push(out.len());
                Kind::Other
            }
        };
        out.push(Entry { name: name.into(), kind });
    }
    // Not on sysfs: file systems that do not keep types in directories.
    for at in unknown {
        if let Some(entry) = out.get_mut(at)
            && let Ok(stat) = fstatat(&*directory, entry.name.as_slice(), AtFlags::AT_SYMLINK_NOFOLLOW)
        {
            entry.kind = kind_of(type_of(&stat));
        }
    }
    out
}

fn type_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn kind_of(format: SFlag) -> Kind {
    match format {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFLNK => Kind::Link,
        SFlag::S_IFREG => Kind::File,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions() {
        let cases = [
            ("sda", false),
            ("sdb", true),
            ("nvme0n1", false),
            ("loop1", true),
            ("loop10", true),
            ("mmcblk0", true),
            // Not in the list: nothing is known.
            ("sdc", false),
        ];
        let mut disks: Vec<BString> = [
            "sda",
            "sda1",
            "sdb",
            "sdaa",
            "nvme0n1",
            "nvme0n1p2",
            "loop1",
            "loop10",
            "mmcblk0",
            "mmcblk0boot0",
        ]
        .map(BString::from)
        .into();
        disks.sort();
        for (name, expected) in cases {
            assert_eq!(has_no_partitions(&disks, name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_crowd_is_read_whole_and_parents_first() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..3 * CROWD {
            for file in [format!("d{n}/uevent"), format!("d{n}/x/c/uevent")] {
                let file = dir.path().join("devices").join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, format!("N={n}\n")).unwrap();
            }
        }
        let mut seen = std::collections::HashSet::new();
        Sysfs::open(dir.path()).scan(&mut |found| {
            if let Some(parent) = found.path.as_bytes().strip_suffix(b"/x/c") {
                assert!(seen.contains(parent.as_bstr()));
            }
            assert!(seen.insert(found.path.as_bytes().as_bstr().to_owned()));
        });
        assert_eq!(seen.len(), 6 * CROWD);
    }
}
