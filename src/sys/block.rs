//! Owns the requests to block devices: reading the partition table again, setting a disk read-only.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

mod ioctl {
    // BLKROSET and BLKRRPART of linux/fs.h are older than the encoding of sizes
    nix::ioctl_write_ptr_bad!(set_read_only, 0x125d, libc::c_int);
    nix::ioctl_none_bad!(reread_partitions, 0x125f);
}

/// Makes the kernel read the partition table of a disk again (`BLKRRPART`). Errors: `EBUSY` if a partition is in use, `EINVAL`
/// for what has no partitions.
pub fn reread_partitions(disk: impl AsFd) -> Result<(), Errno> {
    let fd = disk.as_fd().as_raw_fd();
    // SAFETY: the request takes no argument, and the descriptor is open as long as `disk` is borrowed
    unsafe { ioctl::reread_partitions(fd) }.map(drop)
}

/// Makes a disk refuse writers (`BLKROSET`). Errors: the kernel's; `EACCES` without CAP_SYS_ADMIN.
pub fn set_read_only(disk: impl AsFd) -> Result<(), Errno> {
    let (fd, yes): (_, libc::c_int) = (disk.as_fd().as_raw_fd(), 1);
    // SAFETY: the request reads one int, which lives until the call is over
    unsafe { ioctl::set_read_only(fd, &raw const yes) }.map(drop)
}
