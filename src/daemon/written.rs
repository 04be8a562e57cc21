//! Owns what follows when a writer has closed a node: the kernel is asked for a `change` event of the device; for a whole
//! disk it is first asked to read the partitions again, and says then itself what has changed. Never knows who is watched or
//! how fast writers come: that is `watch`.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::sys::block::reread_partitions;

/// The seventh number of a disk's or partition's `stat` file (Documentation/block/stat.rst).
pub(super) fn sectors_written(device: &Path) -> Option<u64> {
    std::fs::read_to_string(device.join("stat")).ok()?.split_whitespace().nth(6)?.parse().ok()
}

/// A device whose node somebody has written to.
pub(super) struct Written {
    /// Its directory in sysfs.
    pub(super) device: PathBuf,
    /// Its node.
    pub(super) node: PathBuf,
    /// Somebody has.
    pub(super) sure: Arc<AtomicBool>,
    /// What is counted for the programs of its rules.
    pub(super) own: Arc<AtomicU32>,
    /// Sectors written before: somebody has if they are more by now.
    pub(super) before: Option<u64>,
}

impl Written {
    /// Whether somebody has written: what he wrote is counted once it is on its way to the disk.
    pub(super) fn is_sure(&self) -> bool {
        if self.sure.load(Ordering::SeqCst) {
            return true;
        }
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        if let Ok(disk) = OpenOptions::new().read(true).custom_flags(flags).open(&self.node) {
            let _counted_later = disk.sync_all();
        }
        self.sure.load(Ordering::SeqCst)
            || self
                .before
                .is_some_and(|before| sectors_written(&self.device).is_some_and(|now| now != before))
    }

    /// Asks the kernel for the events.
    pub(super) fn ask(&self) {
        let is_read = self.is_whole_disk() && self.reread();
        let partitions = self.partitions();
        if is_read && !partitions.is_empty() {
            // the kernel says what became of the disk and of each partition; of a disk that has none any more it says nothing
            return;
        }
        change(&self.device);
        partitions.iter().for_each(|partition| change(partition));
    }

    /// Disks made by the device mapper have no partitions of the kernel's.
    fn is_whole_disk(&self) -> bool {
        let is_block =
            std::fs::read_link(self.device.join("subsystem")).is_ok_and(|to| to.ends_with("block"));
        let is_mapped = self.device.file_name().is_some_and(|name| name.as_bytes().starts_with(b"dm-"));
        is_block && !is_mapped && !self.device.join("partition").exists()
    }

    fn partitions(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.device).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.join("partition").exists()).collect()
    }

    /// Makes the kernel read the partitions again; false if it can't, or if somebody has the disk for himself.
    fn reread(&self) -> bool {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let Ok(disk) = OpenOptions::new().read(true).custom_flags(flags).open(&self.node) else {
            return false;
        };
        match Flock::lock(disk, FlockArg::LockExclusiveNonblock) {
            Ok(disk) => reread_partitions(&*disk).is_ok(),
            Err(_) => false,
        }
    }
}

fn change(device: &Path) {
    if let Err(error) = std::fs::write(device.join("uevent"), "change") {
        tracing::debug!(device = %device.display(), %error, "no change event after a writer");
    }
}
