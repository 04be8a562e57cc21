//! Owns what is done to disks as such: the lock on whole disks, and making them read-only.
//!
//! Who repartitions or formats a disk holds the lock (`flock(2)`), and the device manager looks at the disk only while it
//! has a shared lock of its own. The contract is systemd's, <https://systemd.io/BLOCK_DEVICE_LOCKING>.
//!
//! Never waits for a lock.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::node::NodeDir;
use crate::ids::{DevNum, LinkName};
use crate::sys::block::set_read_only;

/// What became of the question for a lock.
#[derive(Debug)]
pub enum DiskLock {
    /// Ours until it is dropped.
    Held(Flock<OwnedFd>),
    /// There is nothing to be locked: no node, no medium, another device's node.
    Nothing,
    /// Somebody has it for himself.
    Busy,
}

/// True for disks that are never locked: those made of others, where the lock is on what they are made of.
pub fn is_never_locked(sysname: &[u8]) -> bool {
    [&b"dm-"[..], b"md", b"drbd"].iter().any(|prefix| sysname.starts_with(prefix))
}

/// True for disks that are not made read-only on the kernel's command line's account: made of others, or filled by users.
pub fn stays_writable(sysname: &[u8]) -> bool {
    is_never_locked(sysname) || [&b"loop"[..], b"nbd", b"zram"].iter().any(|name| sysname.starts_with(name))
}

/// Makes the disk of that node refuse writers.
pub fn make_read_only(nodes: &NodeDir, node: &LinkName, number: DevNum) -> Result<(), String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = nodes.open_node(node, number, flags).map_err(|error| error.to_string())?;
    set_read_only(file).map_err(|error| error.to_string())
}

/// Asks for a shared lock on the disk of that node.
pub fn lock(nodes: &NodeDir, node: &LinkName, number: DevNum) -> DiskLock {
    // O_NONBLOCK: a drive without a medium opens, and the kernel does not wait for it
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = nodes.open_node(node, number, flags) else { return DiskLock::Nothing };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(lock) => DiskLock::Held(lock),
        Err((_, Errno::EWOULDBLOCK)) => DiskLock::Busy,
        Err((_, error)) => {
            tracing::debug!(%error, "{node} takes no locks");
            DiskLock::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_made_of_others_are_not_locked() {
        for (name, never) in
            [("dm-0", true), ("md127", true), ("drbd1", true), ("sda", false), ("nvme0n1", false)]
        {
            assert_eq!(is_never_locked(name.as_bytes()), never, "{name}");
            assert_eq!(stays_writable(name.as_bytes()), never, "{name}");
        }
        for name in ["loop0", "nbd3", "zram0"] {
            assert!(stays_writable(name.as_bytes()) && !is_never_locked(name.as_bytes()), "{name}");
        }
    }
}
