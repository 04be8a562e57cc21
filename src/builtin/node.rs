//! Owns opening the node of the event's device to ask it something: checked to be that device, and never waited for.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use super::Context;
use crate::device::Source;
use crate::ids::{DevNum, LinkName, NodeKind};
use crate::sys::fs::{Symlinks, is_kind, open_beneath, open_dir, reopen};

/// The name of the device's node, relative to the device directory: as the kernel says it, since the property of that name
/// has the directory in front. `None`: it has none.
pub(super) fn node_name(context: &Context<'_>) -> Option<LinkName> {
    let uevent = context.reader.uevent(context.device);
    LinkName::new(uevent.get("DEVNAME")?).ok()
}

/// Opens the event node of an input device for reading. Errors: the kernel's; `ENODEV` for a node that is not there or
/// another device's, and for a device that is not of this machine.
pub(super) fn event_node(context: &Context<'_>) -> Result<OwnedFd, Errno> {
    let live = matches!(context.reader.tree().source(), Source::Live(root) if *root == context.roots.sys);
    let (Some(name), Some(number), true) = (node_name(context), context.device.devnum(), live) else {
        return Err(Errno::ENODEV);
    };
    let look = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let file = open_beneath(open_dir(&context.roots.dev)?, name.as_bytes(), look, Symlinks::Refused)?;
    let stat = fstat(&file)?;
    let found = DevNum {
        kind: NodeKind::Char,
        major: u32::try_from(nix::sys::stat::major(stat.st_rdev)).map_err(|_| Errno::ENODEV)?,
        minor: u32::try_from(nix::sys::stat::minor(stat.st_rdev)).map_err(|_| Errno::ENODEV)?,
    };
    match is_kind(&stat, libc::S_IFCHR) && found == number {
        true => reopen(&file, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY),
        false => Err(Errno::ENODEV),
    }
}
