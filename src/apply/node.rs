//! Owns the permissions of device nodes: owner, group and mode, set through a descriptor that was checked to be the node.
//!
//! Only what differs is written. A node that is not there, or another device's under the same name, is a value.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::ids::{DevNum, LinkName, NodeKind};
use crate::sys::fs::{Symlinks, open_beneath, open_dir, reopen, set_mode, touch};
use crate::sys::xattr;

/// What a node should have; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// User id.
    pub owner: Option<u32>,
    /// Group id.
    pub group: Option<u32>,
    /// The low twelve bits of the mode.
    pub mode: Option<u32>,
}

/// What a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has {
    /// User id.
    pub owner: u32,
    /// Group id.
    pub group: u32,
    /// The low twelve bits of the mode.
    pub mode: u32,
}

/// What [`NodeDir::set`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeChange {
    /// It was as it should be.
    Unchanged,
    /// It had `before` and has `after`.
    Changed {
        /// Before.
        before: Has,
        /// Now.
        after: Has,
    },
    /// There is no node of this name.
    Missing,
    /// What has the name is not the node of this device, but of that one, if it is one at all.
    Another(Option<DevNum>),
}

/// A node could not be looked at or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't {doing} node `{node}`: {errno}")]
pub struct NodeError {
    /// `open`, `change the owner of`, `change the mode of`, `set the time of`, `set the label of`.
    pub doing: &'static str,
    /// The node.
    pub node: LinkName,
    /// What the kernel said.
    pub errno: Errno,
}

/// The open device directory.
#[derive(Debug)]
pub struct NodeDir {
    dir: OwnedFd,
}

impl NodeDir {
    /// Opens the device directory.
    pub fn open(devices: &Path) -> io::Result<Self> {
        Ok(Self { dir: open_dir(devices)? })
    }

    /// Opens the node of device `number`, checked to be it before anything is asked of the driver. Errors: the kernel's;
    /// `ENOENT` for a node that is not there or another device's.
    pub fn open_node(&self, node: &LinkName, number: DevNum, flags: OFlag) -> Result<OwnedFd, NodeError> {
        let fail = |errno| NodeError { doing: "open", node: node.clone(), errno };
        let look = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let file = open_beneath(&self.dir, node.as_bytes(), look, Symlinks::Refused).map_err(fail)?;
        if device_number(&fstat(&file).map_err(fail)?) != Some(number) {
            return Err(fail(Errno::ENOENT));
        }
        if flags.contains(OFlag::O_PATH) { Ok(file) } else { reopen(&file, flags).map_err(fail) }
    }

    /// Gives the node of device `number` what `want` says. Its time is that of the last event, whatever changes.
    pub fn set(&self, node: &LinkName, number: DevNum, want: &Permissions) -> Result<NodeChange, NodeError> {
        self.set_checked(node, want, |found| found == Some(number))
    }

    /// Gives a node that is there before its device what `want` says, whatever number it has.
    pub fn set_static(&self, node: &LinkName, want: &Permissions) -> Result<NodeChange, NodeError> {
        self.set_checked(node, want, |found| found.is_some())
    }

    /// Sets a security label (the extended attribute `name`) of the node of device `number`; false if it is not there.
    pub fn set_label(
        &self,
        node: &LinkName,
        number: DevNum,
        name: &CStr,
        label: &[u8],
    ) -> Result<bool, NodeError> {
        let Ok(file) = self.open_node(node, number, OFlag::O_PATH) else { return Ok(false) };
        let failed = |errno| NodeError { doing: "set the label of", node: node.clone(), errno };
        xattr::set(&file, name, label).map(|()| true).map_err(failed)
    }

    fn set_checked(
        &self,
        node: &LinkName,
        want: &Permissions,
        is_it: impl FnOnce(Option<DevNum>) -> bool,
    ) -> Result<NodeChange, NodeError> {
        let fail = |doing| move |errno| NodeError { doing, node: node.clone(), errno };
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let file = match open_beneath(&self.dir, node.as_bytes(), flags, Symlinks::Refused) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(NodeChange::Missing),
            Err(Errno::ENOTDIR | Errno::ELOOP) => return Ok(NodeChange::Another(None)),
            Err(errno) => return Err(fail("open")(errno)),
        };
        let stat = fstat(&file).map_err(fail("open"))?;
        let found = device_number(&stat);
        if !is_it(found) {
            return Ok(NodeChange::Another(found));
        }
        let before = Has { owner: stat.st_uid, group: stat.st_gid, mode: stat.st_mode & 0o7777 };
        let after = Has {
            owner: want.owner.unwrap_or(before.owner),
            group: want.group.unwrap_or(before.group),
            mode: want.mode.map_or(before.mode, |mode| mode & 0o7777),
        };
        touch(&file).map_err(fail("set the time of"))?;
        if before == after {
            return Ok(NodeChange::Unchanged);
        }
        let mut mode = before.mode;
        let mut change_mode = |to: u32| {
            if mode == to {
                return Ok(());
            }
            mode = to;
            set_mode(&file, to).map_err(fail("change the mode of"))
        };
        if (before.owner, before.group) != (after.owner, after.group) {
            // at no time may the new owner do what only the old one may, or the other way round
            change_mode(before.mode & after.mode)?;
            let ids = (Uid::from_raw(after.owner), Gid::from_raw(after.group));
            fchownat(&file, c"", Some(ids.0), Some(ids.1), AtFlags::AT_EMPTY_PATH)
                .map_err(fail("change the owner of"))?;
        }
        change_mode(after.mode)?;
        Ok(NodeChange::Changed { before, after })
    }
}

/// The number of a device node; `None` for anything else.
pub fn device_number(stat: &FileStat) -> Option<DevNum> {
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFBLK => NodeKind::Block,
        libc::S_IFCHR => NodeKind::Char,
        _ => return None,
    };
    Some(DevNum { kind, major: libc::major(stat.st_rdev), minor: libc::minor(stat.st_rdev) })
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::{Mode, SFlag, mknod};

    use super::*;
    use crate::skipping::skip;

    fn name(text: &str) -> LinkName {
        LinkName::new(text.as_bytes()).unwrap()
    }

    const NULL: DevNum = DevNum { kind: NodeKind::Char, major: 1, minor: 3 };

    /// A directory with the node `sub/null`; `None` where nodes can't be made.
    fn nodes() -> Option<(tempfile::TempDir, NodeDir)> {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("sub")).unwrap();
        let made = mknod(
            &temp.path().join("sub/null"),
            SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o600),
            libc::makedev(1, 3),
        );
        let dir = NodeDir::open(temp.path()).unwrap();
        made.is_ok().then_some((temp, dir))
    }

    #[test]
    fn only_what_differs_is_written() {
        let Some((_temp, dir)) = nodes() else {
            return skip("making nodes needs root");
        };
        let set = |owner, group, mode| {
            dir.set(&name("sub/null"), NULL, &Permissions { owner, group, mode }).unwrap()
        };
        let has = |owner, group, mode| Has { owner, group, mode };
        let start = has(0, 0, 0o600);
        assert_eq!(set(None, None, None), NodeChange::Unchanged);
        let cases = [
            (None, None, Some(0o660), has(0, 0, 0o660)),
            (None, Some(7), None, has(0, 7, 0o660)),
            (Some(1), None, Some(0o4755), has(1, 7, 0o4755)),
            (Some(0), Some(0), Some(0o600), has(0, 0, 0o600)),
        ];
        let mut before = start;
        for (owner, group, mode, after) in cases {
            assert_eq!(set(owner, group, mode), NodeChange::Changed { before, after });
            assert_eq!(set(owner, group, mode), NodeChange::Unchanged);
            before = after;
        }
    }

    #[test]
    fn another_or_none() {
        let Some((temp, dir)) = nodes() else {
            return skip("making nodes needs root");
        };
        std::fs::write(temp.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("sub/null", temp.path().join("link")).unwrap();
        std::os::unix::fs::symlink("sub", temp.path().join("way")).unwrap();
        let block = DevNum { kind: NodeKind::Block, ..NULL };
        let cases = [
            ("none", NULL, NodeChange::Missing),
            ("none/x", NULL, NodeChange::Missing),
            ("file", NULL, NodeChange::Another(None)),
            ("file/x", NULL, NodeChange::Another(None)),
            ("link", NULL, NodeChange::Another(None)),
            ("way/null", NULL, NodeChange::Another(None)),
            ("sub/null", block, NodeChange::Another(Some(NULL))),
            ("sub/null", DevNum { minor: 5, ..NULL }, NodeChange::Another(Some(NULL))),
        ];
        let want = Permissions { mode: Some(0o777), ..Permissions::default() };
        for (node, number, expected) in cases {
            assert_eq!(dir.set(&name(node), number, &want), Ok(expected), "{node}");
        }
    }
}
