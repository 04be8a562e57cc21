//! Owns what an argument of udevadm's means: a node or link below `/dev`, a path below `/sys`, a unit of systemd's that
//! stands for one, or a device id.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::device::{Known, Machine};
use crate::cli::context::Context;
use crate::cli::device_arg;
use crate::ids::DeviceId;

/// Which directory a relative argument is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// The argument has to be absolute.
    Nothing,
    /// The device directory.
    Dev,
    /// Sysfs.
    Sys,
}

/// Why an argument names no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is not of a form that can name one.
    BadArgument,
    /// Nothing of that name is there; the path that was looked for.
    Unknown(PathBuf),
}

/// The device that an argument names.
pub(super) fn find(
    context: &Context,
    machine: &Machine,
    argument: &OsStr,
    below: Below,
) -> Result<Known, Missing> {
    let path = absolute(context, argument, below).ok_or(Missing::BadArgument);
    match path {
        Ok(path) => at(context, machine, &path).ok_or(Missing::Unknown(path)),
        Err(_) if unit(argument.as_bytes()).is_some() => {
            let path = unit(argument.as_bytes()).unwrap_or_default();
            let argument = PathBuf::from(argument);
            at(context, machine, &path).ok_or(Missing::Unknown(argument))
        }
        Err(bad) => {
            // systemd 258 and later take these too
            let id = DeviceId::parse(argument.as_bytes()).map_err(|_| bad)?;
            by_id(machine, &id).ok_or_else(|| Missing::Unknown(argument.into()))
        }
    }
}

/// The path that an argument stands for; it need not be there.
pub(super) fn absolute(context: &Context, argument: &OsStr, below: Below) -> Option<PathBuf> {
    let roots = &context.roots;
    let bytes = argument.as_bytes();
    let (dev, sys) = (device_arg::below_dev(bytes).is_some(), device_arg::below_sys(bytes).is_some());
    let top = match below {
        Below::Nothing => return (dev || sys).then(|| argument.into()),
        Below::Dev if dev => return Some(argument.into()),
        Below::Sys if sys => return Some(argument.into()),
        Below::Dev => &roots.dev,
        Below::Sys => &roots.sys,
    };
    // a slash more does no harm, and messages show it as people know it
    Some(PathBuf::from(OsStr::from_bytes(&[top.as_os_str().as_bytes(), b"/", bytes].concat())))
}

/// Where a path below `/dev` or `/sys` is, whatever tree is meant.
pub(super) fn below_roots(context: &Context, path: &Path) -> PathBuf {
    let (roots, bytes) = (&context.roots, path.as_os_str().as_bytes());
    match (device_arg::below_dev(bytes), device_arg::below_sys(bytes)) {
        (Some(below), _) => roots.dev.join(OsStr::from_bytes(below.trim_start_with(|c| c == '/'))),
        (_, Some(below)) => roots.sys.join(OsStr::from_bytes(below.trim_start_with(|c| c == '/'))),
        _ => path.into(),
    }
}

/// True when an argument is looked up by its node.
pub(super) fn is_below_dev(context: &Context, argument: &OsStr, below: Below) -> bool {
    let path = absolute(context, argument, below).or_else(|| unit(argument.as_bytes()));
    path.is_some_and(|path| device_arg::below_dev(path.as_os_str().as_bytes()).is_some())
}

/// The device at a path below `/dev` or `/sys`.
pub(super) fn at(context: &Context, machine: &Machine, path: &Path) -> Option<Known> {
    let bytes = path.as_os_str().as_bytes();
    if let Some(below) = device_arg::below_sys(bytes) {
        let devpath =
            device_arg::sysfs_path(&context.roots.sys, &machine.sys(below.trim_start_with(|c| c == '/')))?;
        return machine.load(&devpath);
    }
    match device_arg::resolve(context, path.as_os_str()) {
        Ok(devpath) => machine.load(&devpath),
        // a number in a name counts also where no link is
        Err(_) => by_id(machine, &numbered(device_arg::below_dev(bytes)?)?),
    }
}

/// The device of an id.
pub(super) fn by_id(machine: &Machine, id: &DeviceId) -> Option<Known> {
    let directory = device_arg::by_id(&machine.roots.sys, id)?;
    machine.load(&device_arg::sysfs_path(&machine.roots.sys, &directory)?)
}

/// The device whose number is in a name as `char/1:5`.
fn numbered(name: &[u8]) -> Option<DeviceId> {
    let (kind, number) = name.split_once_str(b"/")?;
    let letter: &[u8] = match kind {
        b"block" => b"b",
        b"char" => b"c",
        _ => return None,
    };
    DeviceId::parse(&[letter, number].concat()).ok()
}

/// The path that a unit's name stands for: `-` for `/`, `\x2d` for other bytes, `.device` behind.
fn unit(name: &[u8]) -> Option<PathBuf> {
    let name = name.strip_suffix(b".device")?;
    let mut path = vec![b'/'];
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.strip_prefix(b"x").and_then(|hex| hex.get(..2))) {
            (b'-', _) => path.push(b'/'),
            (b'\\', Some(digits)) => {
                path.push(u8::from_str_radix(digits.to_str().ok()?, 16).ok()?);
                rest = after.get(3..)?;
            }
            // a backslash stands for nothing else
            (b'\\', None) => return None,
            _ => path.push(byte),
        }
    }
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (name, path) in [
            ("dev-vda.device", Some("/dev/vda")),
            (r"dev-disk-by\x2did-a.device", Some("/dev/disk/by-id/a")),
            ("sys-devices-virtual-net-lo.device", Some("/sys/devices/virtual/net/lo")),
            (r"bad\x2.device", None),
            ("x.mount", None),
        ] {
            assert_eq!(unit(name.as_bytes()), path.map(PathBuf::from), "{name}");
        }
    }
}
