//! Owns the directory that links live in: making one, leading it elsewhere, removing it, all beneath one open descriptor.
//!
//! In the device directory a link's target is relative, as short as it can be (`../../sda1`), the form that udev uses; in
//! any other directory it is the node's absolute path, as a relative one would break when the directory is moved.
//!
//! Nothing is replaced or removed but a symbolic link whose text is exactly what this module writes for a node that the
//! caller names as its own. Anything else under the name is a [`Refusal`]: a value, since it is somebody's right to have
//! a file there. Who may have which name is decided elsewhere.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{fstat, fstatat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::node::device_number;
use crate::ids::{DevNum, LinkName};
use crate::sys::fs::{Symlinks, list, make_dirs_beneath, open_beneath, open_dir, read_link};

/// Names under which a link is made before it is renamed over another begin with this.
const TEMPORARY: &[u8] = b".nameplate-";
/// How often a change is tried again when somebody else changes the same directory at the same time.
const TRIES: usize = 16;

/// A link could not be looked at or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't {doing} link `{link}`: {errno}")]
pub struct LinkError {
    /// `make`, `replace`, `remove`, `read`.
    pub doing: &'static str,
    /// Which one.
    pub link: LinkName,
    /// What the kernel said.
    pub errno: Errno,
}

/// Why a name is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A file, a directory or a device node has the name.
    #[error("something that is no link has this name")]
    NotALink,
    /// A link that is not ours has the name.
    #[error("a link to `{0}` has this name, and it is not ours")]
    ForeignLink(BString),
    /// A directory on the way is a link or a file.
    #[error("a directory of this name is a link or a file")]
    Parent,
}

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A symbolic link with this text.
    Link(BString),
    /// Something that is no link.
    Other,
    /// Its directory is a link or a file.
    Parent,
}

/// What [`LinkFarm::place`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// The link was not there and is now.
    Created,
    /// The link led to another node of ours.
    Replaced,
    /// The link was there; nothing done.
    AlreadyThere,
    /// Not ours; nothing done.
    Refused(Refusal),
}

/// What [`LinkFarm::remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// The link is gone, and directories that it left empty.
    Removed,
    /// There was none.
    Nothing,
    /// Not ours; nothing done.
    Refused(Refusal),
}

/// The directory that links live in.
#[derive(Debug)]
pub struct LinkFarm {
    root: OwnedFd,
    /// The device directory, if the links live elsewhere.
    devices: Option<BString>,
    temporaries: AtomicU64,
}

/// A link's directory: the root itself or one below it.
enum Place<'f> {
    Root(BorrowedFd<'f>),
    Below(OwnedFd),
}

impl AsFd for Place<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Place::Root(fd) => *fd,
            Place::Below(fd) => fd.as_fd(),
        }
    }
}

impl LinkFarm {
    /// Opens `dir`, which must exist, for links to nodes in `devices` (`/dev`). Targets are relative if both are the same
    /// directory.
    pub fn open(dir: &Path, devices: &Path) -> io::Result<Self> {
        let root = open_dir(dir)?;
        let here = fstat(&root)?;
        let same = open_dir(devices)
            .and_then(fstat)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino));
        let devices = if same { None } else { Some(std::path::absolute(devices)?) };
        let devices = devices.map(|path| path.into_os_string().into_vec().into());
        Ok(Self { root, devices, temporaries: AtomicU64::new(0) })
    }

    /// The text of a link to `node`.
    pub fn target(&self, link: &LinkName, node: &LinkName) -> BString {
        match &self.devices {
            Some(devices) => bstr::join("/", [devices.as_bytes(), node.as_bytes()]).into(),
            None => relative(link.as_bytes(), node.as_bytes()),
        }
    }

    /// The node that a link with this text leads to, if the text is one that [`LinkFarm::target`] gives.
    pub fn node(&self, link: &LinkName, target: &[u8]) -> Option<LinkName> {
        let node = match &self.devices {
            Some(devices) => target.strip_prefix(devices.as_bytes())?.strip_prefix(b"/")?.to_vec(),
            None => resolve(link.as_bytes(), target)?,
        };
        let node = LinkName::new(&node).ok()?;
        (self.target(link, &node) == target).then_some(node)
    }

    /// What is under `link` now.
    pub fn look(&self, link: &LinkName) -> Result<Found, LinkError> {
        match self.parent(link) {
            Ok(dir) => look_at(&dir, base(link)),
            Err(Errno::ENOENT) => Ok(Found::Nothing),
            Err(Errno::ELOOP | Errno::ENOTDIR) => Ok(Found::Parent),
            Err(errno) => Err(errno),
        }
        .map_err(failed("read", link))
    }

    /// The device number of what `link` leads to; `None` if that is not there or no device.
    pub fn leads_to(&self, link: &LinkName) -> Option<DevNum> {
        let dir = self.parent(link).ok()?;
        device_number(&fstatat(dir, base(link), AtFlags::empty()).ok()?)
    }

    /// Makes `link` lead to `node`. `ours` says of a node whether a link that leads to it so far is ours to change.
    pub fn place(
        &self,
        link: &LinkName,
        node: &LinkName,
        ours: impl Fn(&LinkName) -> bool,
    ) -> Result<Placed, LinkError> {
        let target = self.target(link, node);
        for _ in 0..TRIES {
            let dir = match self.make_parent(link) {
                Ok(dir) => dir,
                Err(Errno::ELOOP | Errno::ENOTDIR) => return Ok(Placed::Refused(Refusal::Parent)),
                // somebody removed a directory that was empty
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(failed("make", link)(errno)),
            };
            // no look before: making a link fails where anything is, so that nothing can get in between
            match symlinkat(target.as_bytes(), dir.as_fd(), base(link)) {
                Ok(()) => return Ok(Placed::Created),
                Err(Errno::ENOENT) => continue,
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(failed("make", link)(errno)),
            }
            match look_at(&dir, base(link)).map_err(failed("read", link))? {
                Found::Nothing => {}
                Found::Link(there) if there == target => return Ok(Placed::AlreadyThere),
                Found::Link(there) if self.node(link, &there).is_none_or(|node| !ours(&node)) => {
                    return Ok(Placed::Refused(Refusal::ForeignLink(there)));
                }
                Found::Link(_) => match self.rename_over(&dir, base(link), &target) {
                    Ok(()) => return Ok(Placed::Replaced),
                    Err(Errno::ENOENT | Errno::EEXIST | Errno::EISDIR) => {}
                    Err(errno) => return Err(failed("replace", link)(errno)),
                },
                Found::Other | Found::Parent => return Ok(Placed::Refused(Refusal::NotALink)),
            }
        }
        Err(failed("make", link)(Errno::EBUSY))
    }

    /// Removes `link` if it leads to a node that is `ours`, and the directories that it leaves empty.
    pub fn remove(&self, link: &LinkName, ours: impl Fn(&LinkName) -> bool) -> Result<Removed, LinkError> {
        let dir = match self.parent(link) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) => return Ok(Removed::Nothing),
            Err(Errno::ELOOP | Errno::ENOTDIR) => return Ok(Removed::Refused(Refusal::Parent)),
            Err(errno) => return Err(failed("remove", link)(errno)),
        };
        match look_at(&dir, base(link)).map_err(failed("read", link))? {
            Found::Nothing => return Ok(Removed::Nothing),
            Found::Link(there) if self.node(link, &there).is_some_and(|node| ours(&node)) => {}
            Found::Link(there) => return Ok(Removed::Refused(Refusal::ForeignLink(there))),
            Found::Other | Found::Parent => return Ok(Removed::Refused(Refusal::NotALink)),
        }
        match unlinkat(&dir, base(link), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Ok(Removed::Nothing),
            Err(errno) => return Err(failed("remove", link)(errno)),
        }
        drop(dir);
        self.remove_empty(parent_path(link));
        Ok(Removed::Removed)
    }

    /// Removes what a run that was killed left in directory `dir` (`""`: the root itself): links under a temporary name, and
    /// `dir` and its parents where they are empty. Returns how many links there were.
    pub fn tidy(&self, dir: &[u8]) -> usize {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let path: &[u8] = if dir.is_empty() { b"." } else { dir };
        let opened = open_beneath(&self.root, path, flags, Symlinks::Refused);
        let removed = opened.map_or(0, |opened| remove_temporaries(&opened));
        self.remove_empty(dir);
        removed
    }

    fn parent(&self, link: &LinkName) -> Result<Place<'_>, Errno> {
        match parent_path(link) {
            b"" => Ok(Place::Root(self.root.as_fd())),
            path => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
                open_beneath(&self.root, path, flags, Symlinks::Refused).map(Place::Below)
            }
        }
    }

    fn make_parent(&self, link: &LinkName) -> Result<Place<'_>, Errno> {
        match parent_path(link) {
            b"" => Ok(Place::Root(self.root.as_fd())),
            path => make_dirs_beneath(&self.root, path).map(Place::Below),
        }
    }

    fn rename_over(&self, dir: &Place<'_>, name: &[u8], target: &[u8]) -> Result<(), Errno> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = [TEMPORARY, format!("{}-{number}", std::process::id()).as_bytes()].concat();
        symlinkat(target, dir.as_fd(), temporary.as_slice())?;
        let done = renameat(dir.as_fd(), temporary.as_slice(), dir.as_fd(), name);
        if done.is_err() {
            let _gone_or_not = unlinkat(dir.as_fd(), temporary.as_slice(), UnlinkatFlags::NoRemoveDir);
        }
        done
    }

    /// Removes `path` and its parents as long as they are empty.
    fn remove_empty(&self, mut path: &[u8]) {
        while !path.is_empty() {
            let (above, name) = path.rsplit_once_str(b"/").unwrap_or((b"", path));
            let removed = if above.is_empty() {
                unlinkat(&self.root, name, UnlinkatFlags::RemoveDir)
            } else {
                open_beneath(&self.root, above, OFlag::O_PATH | OFlag::O_DIRECTORY, Symlinks::Refused)
                    .and_then(|dir| unlinkat(dir, name, UnlinkatFlags::RemoveDir))
            };
            // a killed run may have made or removed the upper ones only
            if !matches!(removed, Ok(()) | Err(Errno::ENOENT)) {
                return;
            }
            path = above;
        }
    }
}

fn remove_temporaries(dir: &OwnedFd) -> usize {
    let left = list(dir).unwrap_or_default().into_iter().filter(|name| name.starts_with(TEMPORARY));
    left.filter(|name| read_link(dir, name).is_ok())
        .filter(|name| unlinkat(dir, name.as_bytes(), UnlinkatFlags::NoRemoveDir).is_ok())
        .count()
}

/// The directory of `link`, relative to the root; empty for the root itself.
pub fn parent_path(link: &LinkName) -> &[u8] {
    link.as_bytes().rsplit_once_str(b"/").map_or(b"", |(dir, _)| dir)
}

fn base(link: &LinkName) -> &[u8] {
    link.as_bytes().rsplit_str(b"/").next().unwrap_or_default()
}

fn failed(doing: &'static str, link: &LinkName) -> impl Fn(Errno) -> LinkError {
    let link = link.clone();
    move |errno| LinkError { doing, link: link.clone(), errno }
}

fn look_at(dir: impl AsFd, name: &[u8]) -> Result<Found, Errno> {
    match read_link(dir, name) {
        Ok(target) => Ok(Found::Link(target)),
        Err(Errno::ENOENT) => Ok(Found::Nothing),
        Err(Errno::EINVAL) => Ok(Found::Other),
        Err(errno) => Err(errno),
    }
}

/// The shortest way from the directory of `link` to `node`, both relative to one directory.
fn relative(link: &[u8], node: &[u8]) -> BString {
    let mut ups: Vec<&[u8]> = link.split_str(b"/").collect();
    ups.pop();
    let downs: Vec<&[u8]> = node.split_str(b"/").collect();
    // the node's own name is never shared: a directory can't be a node
    let shared = ups.iter().zip(downs.iter().take(downs.len().saturating_sub(1)));
    let shared = shared.take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(&b".."[..], ups.len() - shared);
    bstr::join("/", up.chain(downs.into_iter().skip(shared))).into()
}

/// Where a relative `target` in the directory of `link` leads to, by its text alone; `None` if out of the root.
fn resolve(link: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = link.split_str(b"/").collect();
    parts.pop();
    for part in target.split_str(b"/") {
        match part {
            b".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn name(text: &str) -> LinkName {
        LinkName::new(text.as_bytes()).unwrap()
    }

    fn farm() -> (tempfile::TempDir, LinkFarm) {
        let dir = tempfile::tempdir().unwrap();
        let farm = LinkFarm::open(dir.path(), dir.path()).unwrap();
        (dir, farm)
    }

    fn none(_: &LinkName) -> bool {
        false
    }

    fn text(dir: &tempfile::TempDir, link: &str) -> PathBuf {
        std::fs::read_link(dir.path().join(link)).unwrap()
    }

    #[test]
    fn targets() {
        let (_dir, here) = farm();
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let elsewhere = LinkFarm::open(dir.path(), other.path()).unwrap();
        let cases = [
            ("gps", "ttyUSB0", "ttyUSB0"),
            ("disk/by-id/x", "sda1", "../../sda1"),
            ("input/by-path/x", "input/event3", "../event3"),
            ("snd/x", "snd/pcmC0D0p", "pcmC0D0p"),
            ("a/b/c", "a/x/y", "../x/y"),
            ("a", "b/c", "b/c"),
            ("sda1/x", "sda1", "../sda1"),
        ];
        for (link, node, expected) in cases {
            let (link, node) = (name(link), name(node));
            assert_eq!(here.target(&link, &node), expected);
            assert_eq!(here.node(&link, expected.as_bytes()), Some(node.clone()), "{expected}");
            let far = elsewhere.target(&link, &node);
            assert_eq!(far, [other.path().to_str().unwrap(), "/", &node.to_string()].concat());
            assert_eq!(elsewhere.node(&link, &far), Some(node));
        }
    }

    #[test]
    fn only_our_own_text_is_known_again() {
        let (dir, here) = farm();
        let absolute = dir.path().join("sda").into_os_string().into_vec();
        let foreign: [&[u8]; 8] = [
            b"../../../etc/passwd",
            b"/etc/passwd",
            b"./sda",
            b"../b/../../sda",
            b"",
            b"..",
            b"../../",
            &absolute,
        ];
        for target in foreign {
            assert_eq!(here.node(&name("a/b"), target), None, "{}", target.as_bstr());
        }
    }

    #[test]
    fn make_lead_elsewhere_remove() {
        let (dir, farm) = farm();
        let (link, a, b) = (name("by/path/x"), name("sda"), name("sdb"));
        assert_eq!(farm.look(&link), Ok(Found::Nothing));
        assert_eq!(farm.place(&link, &a, none), Ok(Placed::Created));
        assert_eq!(farm.place(&link, &a, none), Ok(Placed::AlreadyThere));
        assert_eq!(text(&dir, "by/path/x"), PathBuf::from("../../sda"));
        assert_eq!(farm.place(&link, &b, |n| *n == a), Ok(Placed::Replaced));
        assert_eq!(text(&dir, "by/path/x"), PathBuf::from("../../sdb"));
        assert_eq!(std::fs::read_dir(dir.path().join("by/path")).unwrap().count(), 1);
        let foreign = Refusal::ForeignLink("../../sdb".into());
        assert_eq!(farm.remove(&link, |n| *n == a), Ok(Removed::Refused(foreign)));
        std::fs::write(dir.path().join("by/kept"), "").unwrap();
        assert_eq!(farm.remove(&link, |n| *n == b), Ok(Removed::Removed));
        assert_eq!(farm.remove(&link, |n| *n == b), Ok(Removed::Nothing));
        assert!(!dir.path().join("by/path").exists());
        assert!(dir.path().join("by/kept").exists());
    }

    #[test]
    fn what_is_not_ours_stays() {
        let (dir, farm) = farm();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "precious").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        symlink("sda", at("link")).unwrap();
        symlink("none", at("dangling")).unwrap();
        symlink("dir", at("way")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), at("out")).unwrap();
        let refused = [
            ("file", Refusal::NotALink),
            ("dir", Refusal::NotALink),
            ("link", Refusal::ForeignLink("sda".into())),
            ("dangling", Refusal::ForeignLink("none".into())),
            ("way/x", Refusal::Parent),
            ("out/x", Refusal::Parent),
            ("file/x", Refusal::Parent),
        ];
        let ours = name("sdb");
        for (link, why) in refused {
            assert_eq!(
                farm.place(&name(link), &ours, |n| *n == ours),
                Ok(Placed::Refused(why.clone())),
                "{link}"
            );
            assert_eq!(farm.remove(&name(link), |n| *n == ours), Ok(Removed::Refused(why)), "{link}");
        }
        assert_eq!(std::fs::read(at("file")).unwrap(), b"precious");
        assert_eq!(text(&dir, "link"), PathBuf::from("sda"));
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(at("dir")).unwrap().count(), 0);
    }

    #[test]
    fn longest_and_odd_names() {
        let (dir, farm) = farm();
        let long = "x".repeat(255);
        let deep = [long.as_str(); 10].join("/");
        let odd = [long.as_str(), &deep, "ü ß*?$(x)`", "a\\x2fb", "-rf"].map(name).to_vec();
        let odd = [odd, vec![LinkName::new(b"\xff\xfe").unwrap()]].concat();
        let node = name("sda");
        for link in &odd {
            assert_eq!(farm.place(link, &node, none), Ok(Placed::Created), "{link}");
            assert_eq!(farm.place(link, &name("sdb"), |n| *n == node), Ok(Placed::Replaced));
            assert_eq!(farm.remove(link, |n| *n == name("sdb")), Ok(Removed::Removed), "{link}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_goes() {
        let (dir, farm) = farm();
        std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
        std::fs::write(dir.path().join(".nameplate-file"), "not a link").unwrap();
        std::fs::create_dir_all(dir.path().join("empty/er")).unwrap();
        for at in [".nameplate-12-0", "d/e/.nameplate-12-1", "d/e/.nameplate-13-0"] {
            symlink("sda", dir.path().join(at)).unwrap();
        }
        let counts = [&b""[..], b"d/e", b"d", b"none", b"empty/er/est"].map(|at| farm.tidy(at));
        assert_eq!(counts, [1, 2, 0, 0, 0]);
        assert!(!dir.path().join("d").exists() && !dir.path().join("empty").exists());
        assert!(dir.path().join(".nameplate-file").exists());
    }
}
