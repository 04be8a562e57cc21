//! Owns what btrfs is asked (`<linux/btrfs.h>`): are all devices of a file system there, and on which device is it?

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

/// The head of `struct btrfs_ioctl_fs_info_args`, and room for the rest.
#[repr(C)]
struct FsInformation {
    max_id: u64,
    num_devices: u64,
    rest: [u64; 126],
}

/// `struct btrfs_ioctl_dev_info_args`.
#[repr(C)]
struct DeviceInformation {
    devid: u64,
    between: [u64; 383],
    path: [u8; 1024],
}

/// The path of the device of a btrfs that a file or directory is on. `Ok(None)`: it is on several. Errors: the kernel's;
/// `ENOTTY` for another file system.
pub fn device_of(file: impl AsFd) -> Result<Option<Vec<u8>>, Errno> {
    let fd = file.as_fd().as_raw_fd();
    let mut all = FsInformation { max_id: 0, num_devices: 0, rest: [0; 126] };
    let request = nix::request_code_read!(0x94, 31, size_of::<FsInformation>());
    // SAFETY: the request fills one btrfs_ioctl_fs_info_args (1024 bytes), and the descriptor is borrowed
    let result = unsafe { libc::ioctl(fd, request, &raw mut all) };
    Errno::result(result)?;
    if all.num_devices != 1 {
        return Ok(None);
    }
    // numbers of devices that were removed are not given again
    for devid in 1..=all.max_id {
        let mut one = Box::new(DeviceInformation { devid, between: [0; 383], path: [0; 1024] });
        let request = nix::request_code_readwrite!(0x94, 30, size_of::<DeviceInformation>());
        // SAFETY: the request reads and fills one btrfs_ioctl_dev_info_args (4096 bytes), and the descriptor is borrowed
        let result = unsafe { libc::ioctl(fd, request, &raw mut *one) };
        match Errno::result(result) {
            Ok(_) => return Ok(Some(one.path.iter().copied().take_while(|byte| *byte != 0).collect())),
            Err(Errno::ENODEV) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::ENODEV)
}

const _: () = assert!(size_of::<FsInformation>() == 1024 && size_of::<DeviceInformation>() == 4096);
