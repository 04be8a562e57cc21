//! Owns the one request of `/dev/btrfs-control` that is asked (`<linux/btrfs.h>`): are all devices of a file system there?

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; 4088],
}

/// Tells the kernel of the btrfs device `path` and asks whether the file system is complete. Errors: the kernel's;
/// `ENAMETOOLONG`.
pub fn is_ready(control: impl AsFd, path: &[u8]) -> Result<bool, Errno> {
    let mut arguments = Box::new(VolumeArguments { fd: 0, name: [0; 4088] });
    // the last byte stays NUL
    if path.len() >= arguments.name.len() || path.contains(&0) {
        return Err(Errno::ENAMETOOLONG);
    }
    arguments.name.iter_mut().zip(path).for_each(|(to, from)| *to = *from);
    let request = nix::request_code_read!(0x94, 39, size_of::<VolumeArguments>());
    // SAFETY: the request reads one btrfs_ioctl_vol_args where the pointer leads, and the descriptor is borrowed
    let result = unsafe { libc::ioctl(control.as_fd().as_raw_fd(), request, &raw mut *arguments) };
    Errno::result(result).map(|answer| answer == 0)
}
