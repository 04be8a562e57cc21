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

/// A block device or not, major and minor number.
pub type Numbers = (bool, u64, u64);

/// Opens the node `name` below the device directory for reading, without waiting for a medium. With `expected`, only if it is
/// that of the device with these numbers, and no link on the way. Errors: the kernel's; `ENODEV` when what has the name is
/// another device, or none.
pub fn open_node(dir: impl AsFd, name: &[u8], expected: Option<Numbers>) -> Result<OwnedFd, Errno> {
    let (flags, links) = match expected {
        Some(_) => (OFlag::O_PATH | OFlag::O_NOFOLLOW, Symlinks::Refused),
        None => (OFlag::O_PATH, Symlinks::Within),
    };
    let found = open_beneath(dir, name, flags, links)?;
    let stat = fstat(&found)?;
    let block = match stat.st_mode & libc::S_IFMT {
        libc::S_IFBLK => true,
        libc::S_IFCHR => false,
        _ => return Err(Errno::ENODEV),
    };
    let numbers = (block, major(stat.st_rdev), minor(stat.st_rdev));
    if expected.is_some_and(|expected| expected != numbers) {
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

/// `struct sg_io_v4` of `linux/bsg.h`.
#[repr(C)]
#[derive(Default)]
struct SgIoV4 {
    guard: i32,
    protocol: u32,
    subprotocol: u32,
    request_len: u32,
    request: u64,
    request_tag: u64,
    request_attr: u32,
    request_priority: u32,
    request_extra: u32,
    max_response_len: u32,
    response: u64,
    dout_iovec_count: u32,
    dout_xfer_len: u32,
    din_iovec_count: u32,
    din_xfer_len: u32,
    dout_xferp: u64,
    din_xferp: u64,
    timeout: u32,
    flags: u32,
    usr_ptr: u64,
    spare_in: u32,
    driver_status: u32,
    transport_status: u32,
    device_status: u32,
    retry_delay: u32,
    info: u32,
    duration: u32,
    response_len: u32,
    din_resid: i32,
    dout_resid: i32,
    generated_tag: u64,
    spare_out: u32,
    padding: u32,
}

/// As [`scsi`], for the nodes of `bsg`, which know the newer structure only.
fn scsi_by_bsg(device: impl AsFd, command: &[u8], room: u16, timeout: u32) -> Result<Reply, Errno> {
    let mut data = vec![0u8; usize::from(room)];
    let mut sense = [0u8; 64];
    let address = |pointer: *const u8| u64::try_from(pointer.addr()).unwrap_or_default();
    let mut call = SgIoV4 {
        guard: i32::from(b'Q'),
        request_len: u32::try_from(command.len()).map_err(|_| Errno::EINVAL)?,
        request: address(command.as_ptr()),
        max_response_len: 64,
        response: address(sense.as_mut_ptr()),
        din_xfer_len: room.into(),
        din_xferp: address(data.as_mut_ptr()),
        timeout,
        ..SgIoV4::default()
    };
    // SAFETY: the structure has the kernel's layout; its three places are alive and as long as it says
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), number::SG_IO.into(), &raw mut call) };
    Errno::result(result)?;
    let missing = usize::try_from(call.din_resid).unwrap_or(0);
    data.truncate(data.len().saturating_sub(missing));
    let sense_len = usize::try_from(call.response_len).unwrap_or(0).min(sense.len());
    Ok(Reply {
        data,
        status: u8::try_from(call.device_status).unwrap_or(u8::MAX),
        transport: call.transport_status << 16 | (call.driver_status & !0x08),
        sense: sense.get(..sense_len).unwrap_or_default().to_vec(),
    })
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
    match Errno::result(result) {
        Err(Errno::EINVAL) => return scsi_by_bsg(device, command, room, timeout),
        other => drop(other?),
    }
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

/// What an optical drive can do, as `CDC_*` bits of `linux/cdrom.h`.
pub fn drive_capability(device: impl AsFd) -> Result<u32, Errno> {
    value(device, number::CDROM_GET_CAPABILITY, 0)
}

/// What is in an optical drive, as a `CDS_*` number of `linux/cdrom.h`; 4 is a disc.
pub fn drive_status(device: impl AsFd) -> Result<u32, Errno> {
    /// `CDSL_CURRENT`.
    const CURRENT: libc::c_ulong = 0x7fff_ffff;
    value(device, number::CDROM_DRIVE_STATUS, CURRENT)
}

/// Locks the door of an optical drive, so that its button asks for an event, or unlocks it. The kernel's own logic for this is
/// switched off.
pub fn lock_door(device: impl AsFd, lock: bool) -> Result<(), Errno> {
    /// `CDROM_CLEAR_OPTIONS` and `CDO_LOCK`; `CDROM_LOCKDOOR`.
    const CLEAR_OPTIONS: u32 = 0x5321;
    const LOCK: libc::c_ulong = 8;
    const LOCK_DOOR: u32 = 0x5329;
    let _old_kernel = value(&device, CLEAR_OPTIONS, LOCK);
    value(device, LOCK_DOOR, libc::c_ulong::from(lock)).map(drop)
}

/// Opens the tray of an optical drive (START STOP UNIT).
pub fn eject(device: impl AsFd) -> Result<(), Errno> {
    match scsi(device, &[0x1b, 0, 0, 0, 2, 0], 0, 30_000)? {
        Reply { status: 0, transport: 0, .. } => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// A call that takes a number and gives one.
fn value(device: impl AsFd, number: u32, argument: libc::c_ulong) -> Result<u32, Errno> {
    // SAFETY: for each caller's number the kernel takes the argument as a number, not as a place
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), number.into(), argument) };
    Errno::result(result).map(|value| u32::try_from(value).unwrap_or_default())
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
        let open = |name: &[u8], expected| open_node(&dir, name, expected).map(drop);
        assert_eq!(open(b"null", Some((false, 1, 3))), Ok(()));
        assert_eq!(open(b"null", Some((false, 1, 5))), Err(Errno::ENODEV));
        assert_eq!(open(b"null", Some((true, 1, 3))), Err(Errno::ENODEV));
        assert_eq!(open(b"nothing of this name", None), Err(Errno::ENOENT));
        assert_eq!(open(b"null", None), Ok(()));
        assert_eq!(open(b"pts", None), Err(Errno::ENODEV));
        assert_eq!(open(b"../etc/passwd", None), Err(Errno::EXDEV));
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
