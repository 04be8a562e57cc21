//! Owns opening device nodes and the calls that ask a drive or a driver what it is: SCSI commands, IDENTIFY data, and the
//! drivers' own records of a loop device, a camera, a flash chip.
//!
//! Every call only reads. Structures are those of the kernel's headers, taken apart by offset; no bit is interpreted here.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat, major, minor};

use super::fs::{Symlinks, open_beneath};

/// Numbers of the calls, as a filter of system calls sees them (`linux/fs.h`, `linux/cdrom.h`, `scsi/sg.h` …).
pub mod number {
    /// `SG_IO`.
    pub const SG_IO: u32 = 0x2285;
    /// `HDIO_GET_IDENTITY`.
    pub const HDIO_GET_IDENTITY: u32 = 0x030d;
    /// `VIDIOC_QUERYCAP`.
    pub const VIDIOC_QUERYCAP: u32 = 0x8068_5600;
    /// `MEMGETINFO`.
    pub const MEMGETINFO: u32 = 0x8020_4d01;
    /// `LOOP_GET_STATUS64`.
    pub const LOOP_GET_STATUS64: u32 = 0x4c05;
    /// `CDROM_GET_CAPABILITY`.
    pub const CDROM_GET_CAPABILITY: u32 = 0x5331;
    /// `CDROM_DRIVE_STATUS`.
    pub const CDROM_DRIVE_STATUS: u32 = 0x5326;
    /// `CDROM_MEDIA_CHANGED`.
    pub const CDROM_MEDIA_CHANGED: u32 = 0x5325;
}

/// Opens the node `name` below the device directory for reading, without waiting for a medium, if it is that of the device
/// with these numbers. Errors: the kernel's; `ENODEV` when what has the name is another device, or none.
pub fn open_node(dir: impl AsFd, name: &[u8], block: bool, number: (u64, u64)) -> Result<OwnedFd, Errno> {
    let found = open_beneath(dir, name, OFlag::O_PATH | OFlag::O_NOFOLLOW, Symlinks::Refused)?;
    let stat = fstat(&found)?;
    let kind = if block { libc::S_IFBLK } else { libc::S_IFCHR };
    if stat.st_mode & libc::S_IFMT != kind || (major(stat.st_rdev), minor(stat.st_rdev)) != number {
        return Err(Errno::ENODEV);
    }
    // nothing can be put in the place of what has been looked at
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    open(
        path.as_str(),
        OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
}

/// What a SCSI command gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Data that came.
    pub data: Vec<u8>,
    /// SCSI status; 0 is good, 2 says that there is sense data.
    pub status: u8,
    /// The host adapter's and the driver's status; 0 is good.
    pub transport: u32,
    /// Sense data; empty if there is none.
    pub sense: Vec<u8>,
}

/// `struct sg_io_hdr` of `scsi/sg.h`.
#[repr(C)]
struct SgIoHeader {
    interface_id: libc::c_int,
    direction: libc::c_int,
    command_len: libc::c_uchar,
    sense_max: libc::c_uchar,
    segments: libc::c_ushort,
    data_len: libc::c_uint,
    data: *mut libc::c_void,
    command: *const libc::c_uchar,
    sense: *mut libc::c_uchar,
    timeout: libc::c_uint,
    flags: libc::c_uint,
    pack_id: libc::c_int,
    user: *mut libc::c_void,
    status: libc::c_uchar,
    masked_status: libc::c_uchar,
    message_status: libc::c_uchar,
    sense_len: libc::c_uchar,
    host_status: libc::c_ushort,
    driver_status: libc::c_ushort,
    residue: libc::c_int,
    duration: libc::c_uint,
    info: libc::c_uint,
}

/// Sends the SCSI command `command` (at most 16 bytes) and reads at most `room` bytes, within `timeout` milliseconds.
/// Error: the kernel's, `EPERM` for a command that it lets only privileged processes send.
pub fn scsi(device: impl AsFd, command: &[u8], room: u16, timeout: u32) -> Result<Reply, Errno> {
    /// `SG_DXFER_NONE`, `SG_DXFER_FROM_DEV`.
    const NO_DATA: libc::c_int = -1;
    const FROM_DEVICE: libc::c_int = -3;
    let command_len = u8::try_from(command.len()).ok().filter(|len| *len <= 16).ok_or(Errno::EINVAL)?;
    let mut data = vec![0u8; usize::from(room)];
    let mut sense = [0u8; 64];
    let mut header = SgIoHeader {
        interface_id: libc::c_int::from(b'S'),
        direction: if room == 0 { NO_DATA } else { FROM_DEVICE },
        command_len,
        sense_max: 64,
        segments: 0,
        data_len: room.into(),
        data: data.as_mut_ptr().cast(),
        command: command.as_ptr(),
        sense: sense.as_mut_ptr(),
        timeout,
        flags: 0,
        pack_id: 0,
        user: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        message_status: 0,
        sense_len: 0,
        host_status: 0,
        driver_status: 0,
        residue: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header has the kernel's layout; its three places are alive and as long as it says
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), number::SG_IO.into(), &raw mut header) };
    Errno::result(result)?;
    let missing = usize::try_from(header.residue).unwrap_or(0);
    data.truncate(data.len().saturating_sub(missing));
    Ok(Reply {
        data,
        status: header.status,
        // 8: the driver's word for "there is sense data", which is no failure of the transport
        transport: u32::from(header.host_status) << 16 | u32::from(header.driver_status & !0x08),
        sense: sense.get(..usize::from(header.sense_len)).unwrap_or_default().to_vec(),
    })
}

/// Fills `N` bytes by a call that writes a structure of that size.
fn structure<const N: usize>(device: impl AsFd, number: u32) -> Result<[u8; N], Errno> {
    // as any structure that a call may write
    #[repr(C, align(8))]
    struct Aligned<const N: usize>([u8; N]);
    let mut place = Aligned([0; N]);
    // SAFETY: each caller gives the size of the structure that the call of this number writes
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), number.into(), place.0.as_mut_ptr()) };
    Errno::result(result).map(|_| place.0)
}

/// IDENTIFY (PACKET) DEVICE data as the driver keeps it, 512 bytes (`HDIO_GET_IDENTITY`).
pub fn identity(device: impl AsFd) -> Result<[u8; 512], Errno> {
    structure(device, number::HDIO_GET_IDENTITY)
}

/// `struct v4l2_capability`, 104 bytes.
pub fn video_capability(device: impl AsFd) -> Result<[u8; 104], Errno> {
    structure(device, number::VIDIOC_QUERYCAP)
}

/// `struct mtd_info_user`, 32 bytes.
pub fn flash_info(device: impl AsFd) -> Result<[u8; 32], Errno> {
    structure(device, number::MEMGETINFO)
}

/// `struct loop_info64`, 232 bytes.
pub fn loop_info(device: impl AsFd) -> Result<[u8; 232], Errno> {
    structure(device, number::LOOP_GET_STATUS64)
}

/// Reads at most `room` bytes from `offset` on; fewer at the end.
pub fn read_at(device: OwnedFd, offset: u64, room: u16) -> Result<Vec<u8>, Errno> {
    let file = File::from(device);
    let mut data = vec![0; usize::from(room)];
    let len = file
        .read_at(&mut data, offset)
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    data.truncate(len);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::open_dir;

    #[test]
    fn a_node_is_opened_by_its_numbers() {
        let dir = open_dir(std::path::Path::new("/dev")).unwrap();
        let open = |name: &[u8], block, number| open_node(&dir, name, block, number).map(drop);
        assert_eq!(open(b"null", false, (1, 3)), Ok(()));
        assert_eq!(open(b"null", false, (1, 5)), Err(Errno::ENODEV));
        assert_eq!(open(b"null", true, (1, 3)), Err(Errno::ENODEV));
        assert_eq!(open(b"nothing of this name", false, (1, 3)), Err(Errno::ENOENT));
        assert_eq!(open(b"../etc/passwd", false, (1, 3)), Err(Errno::EXDEV));
    }

    #[test]
    fn calls_that_a_device_does_not_know() {
        let null = || File::open("/dev/null").unwrap();
        assert_eq!(scsi(null(), &[0x12, 0, 0, 0, 36, 0], 36, 1000), Err(Errno::ENOTTY));
        assert_eq!(scsi(null(), &[0; 17], 0, 1000), Err(Errno::EINVAL));
        assert_eq!(identity(null()).err(), Some(Errno::ENOTTY));
        assert_eq!(video_capability(null()).err(), Some(Errno::ENOTTY));
        assert_eq!(flash_info(null()).err(), Some(Errno::ENOTTY));
        assert_eq!(loop_info(null()).err(), Some(Errno::ENOTTY));
        assert_eq!(read_at(null().into(), 0, 10), Ok(vec![]));
    }
}
