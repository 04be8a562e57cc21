//! Owns the requests of input event nodes (`<linux/input.h>`): what an absolute axis measures, and which key a scan code is.
//!
//! Never opens a node.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Number of the first absolute axis' request.
const EVIOCGABS: u8 = 0x40;
const EVIOCSABS: u8 = 0xc0;
/// Most axes (`ABS_CNT`).
const ABS_COUNT: u8 = 0x40;

/// What an absolute axis measures (`struct input_absinfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axis {
    /// Where it stands.
    pub value: i32,
    /// The least value.
    pub minimum: i32,
    /// The greatest value.
    pub maximum: i32,
    /// Changes that are noise.
    pub fuzz: i32,
    /// The dead zone around the middle.
    pub flat: i32,
    /// Units a millimetre, or for a turn units a radian.
    pub resolution: i32,
}

impl From<libc::input_absinfo> for Axis {
    fn from(info: libc::input_absinfo) -> Self {
        let libc::input_absinfo { value, minimum, maximum, fuzz, flat, resolution } = info;
        Self { value, minimum, maximum, fuzz, flat, resolution }
    }
}

impl From<Axis> for libc::input_absinfo {
    fn from(axis: Axis) -> Self {
        let Axis { value, minimum, maximum, fuzz, flat, resolution } = axis;
        Self { value, minimum, maximum, fuzz, flat, resolution }
    }
}

/// What axis `code` (`ABS_*`) measures. `EINVAL`: the device has no absolute axes, or there is no such axis.
pub fn axis(node: impl AsFd, code: u8) -> Result<Axis, Errno> {
    let code = checked(code)?;
    let mut info = libc::input_absinfo::from(Axis::default());
    let request = nix::request_code_read!(b'E', EVIOCGABS + code, size_of::<libc::input_absinfo>());
    // SAFETY: the request writes one input_absinfo to where the pointer leads, and the descriptor is borrowed
    let result = unsafe { libc::ioctl(node.as_fd().as_raw_fd(), request, &raw mut info) };
    Errno::result(result).map(|_| info.into())
}

/// Says what axis `code` measures.
pub fn set_axis(node: impl AsFd, code: u8, axis: Axis) -> Result<(), Errno> {
    let code = checked(code)?;
    let info = libc::input_absinfo::from(axis);
    let request = nix::request_code_write!(b'E', EVIOCSABS + code, size_of::<libc::input_absinfo>());
    // SAFETY: the request reads one input_absinfo from where the pointer leads, and the descriptor is borrowed
    let result = unsafe { libc::ioctl(node.as_fd().as_raw_fd(), request, &raw const info) };
    Errno::result(result).map(drop)
}

fn checked(code: u8) -> Result<u8, Errno> {
    if code < ABS_COUNT { Ok(code) } else { Err(Errno::EINVAL) }
}

/// The key (`KEY_*`) that scan code `scan` is. `EINVAL`: none.
pub fn key(node: impl AsFd, scan: u32) -> Result<u32, Errno> {
    let mut entry = entry(scan, 0);
    let request = nix::request_code_read!(b'E', 0x04, size_of::<libc::input_keymap_entry>());
    // SAFETY: the request reads and writes one input_keymap_entry where the pointer leads, and the descriptor is borrowed
    let result = unsafe { libc::ioctl(node.as_fd().as_raw_fd(), request, &raw mut entry) };
    Errno::result(result).map(|_| entry.keycode)
}

/// Makes scan code `scan` the key `key`.
pub fn set_key(node: impl AsFd, scan: u32, key: u32) -> Result<(), Errno> {
    let entry = entry(scan, key);
    let request = nix::request_code_write!(b'E', 0x04, size_of::<libc::input_keymap_entry>());
    // SAFETY: the request reads one input_keymap_entry from where the pointer leads, and the descriptor is borrowed
    let result = unsafe { libc::ioctl(node.as_fd().as_raw_fd(), request, &raw const entry) };
    Errno::result(result).map(drop)
}

/// Asks by scan code, which is four bytes in the machine's order.
fn entry(scan: u32, keycode: u32) -> libc::input_keymap_entry {
    let mut scancode = [0; 32];
    scancode.iter_mut().zip(scan.to_ne_bytes()).for_each(|(to, from)| *to = from);
    libc::input_keymap_entry { flags: 0, len: 4, index: 0, keycode, scancode }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_node_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(axis(&file, 0).is_err() && key(&file, 1).is_err());
        assert!(set_axis(&file, 0, Axis::default()).is_err() && set_key(&file, 1, 1).is_err());
        assert_eq!(axis(&file, 0x40), Err(Errno::EINVAL));
    }
}
