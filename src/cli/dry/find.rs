//! Owns what a DEVICE argument means in a recording: the same forms as on a machine, looked up in what was recorded.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::ByteSlice;

use crate::cli::context::Context;
use crate::cli::device_arg::{DeviceArgError, below_dev, below_sys};
use crate::ids::{DevNum, DevPath, DeviceId, NodeKind};
use crate::recording::{RecordedDevice, Recording};

/// The device of the recording that an argument names.
pub(super) fn resolve(
    context: &Context,
    recording: &Recording,
    argument: &OsStr,
) -> Result<DevPath, DeviceArgError> {
    let bytes = argument.as_bytes();
    let (sys, dev) = (context.roots.sys.as_path(), context.roots.dev.as_path());
    let below = |top: &Path| Path::new(argument).strip_prefix(top).ok().map(|p| p.as_os_str().as_bytes());
    let sysfs = below(sys)
        .or_else(|| below_sys(bytes))
        .or_else(|| bytes.strip_prefix(b"/").filter(|rest| is_sysfs(rest)));
    let node = below(context.link_dir()).or_else(|| below(dev)).or_else(|| below_dev(bytes));
    let found = if let Some(path) = sysfs {
        by_sysfs(recording, path)
    } else if let Some(name) = node {
        by_node(recording, name)
    } else {
        match DeviceId::parse(bytes) {
            Ok(id) => by_id(recording, &id),
            Err(why) if bytes.starts_with(b"+") || bytes.is_empty() => {
                return Err(DeviceArgError::Malformed { argument: argument.into(), why });
            }
            Err(_) => by_node(recording, bytes),
        }
    };
    found.ok_or_else(|| DeviceArgError::NotFound { argument: argument.into(), links: dev.into() })
}

fn is_sysfs(path: &[u8]) -> bool {
    [&b"devices/"[..], b"bus/", b"class/", b"block/", b"dev/block/", b"dev/char/"]
        .iter()
        .any(|top| path.starts_with(top))
}

fn by_sysfs(recording: &Recording, path: &[u8]) -> Option<DevPath> {
    let parts: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
    match *parts.as_slice() {
        [b"bus", subsystem, b"devices", name] | [b"class", subsystem, name] => {
            by_name(recording, subsystem, name)
        }
        [b"block", name] => by_name(recording, b"block", name),
        [b"dev", kind, numbers] => {
            let letter: &[u8] = if kind == b"block" { b"b" } else { b"c" };
            by_id(recording, &DeviceId::parse(&[letter, numbers].concat()).ok()?)
        }
        [b"devices", ..] => {
            let path = [b"/", bstr::join("/", parts).as_slice()].concat();
            recording.device(&path).map(|device| device.path.clone())
        }
        _ => None,
    }
}

fn by_name(recording: &Recording, subsystem: &[u8], name: &[u8]) -> Option<DevPath> {
    let is_it = |device: &&RecordedDevice| {
        device.path.last() == name && device.subsystem.as_ref().is_some_and(|s| s == subsystem)
    };
    recording.devices().find(is_it).map(|device| device.path.clone())
}

/// By the node's name, else by a link that there was.
fn by_node(recording: &Recording, name: &[u8]) -> Option<DevPath> {
    let has_node = |device: &&RecordedDevice| {
        device.node.as_ref().is_some_and(|node| node.name == name)
            || device.kernel.get("DEVNAME").is_some_and(|node| node.as_bytes() == name)
    };
    let has_link = |device: &&RecordedDevice| device.symlinks.iter().any(|link| link == name);
    let found = recording.devices().find(has_node).or_else(|| recording.devices().find(has_link));
    found.map(|device| device.path.clone())
}

/// As on a machine `+usb:1-2` finds a device that has a node too, and so another id.
fn by_id(recording: &Recording, id: &DeviceId) -> Option<DevPath> {
    let says = |device: &RecordedDevice, key: &str, number: u32| {
        device.kernel.get(key).is_some_and(|value| value.as_bytes() == number.to_string().as_bytes())
    };
    let is_it = |device: &&RecordedDevice| match id {
        DeviceId::Node(DevNum { kind, major, minor }) => {
            let is_block = device.subsystem.as_ref().is_some_and(|name| name == "block");
            is_block == (*kind == NodeKind::Block)
                && says(device, "MAJOR", *major)
                && says(device, "MINOR", *minor)
        }
        DeviceId::Net(index) => {
            device.kernel.get("IFINDEX").is_some_and(|value| value.as_bytes() == index.to_string().as_bytes())
        }
        DeviceId::Named { subsystem, name } => {
            device.subsystem.as_ref() == Some(subsystem) && device.path.last() == name.replace(b"/", b"!")
        }
    };
    recording.devices().find(is_it).map(|device| device.path.clone())
}
