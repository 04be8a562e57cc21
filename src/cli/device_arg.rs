//! Owns what a DEVICE argument means: a node, a link, a `/sys` path, a devpath or a device id, told apart by their form.
//!
//! Looks at the file system only; needs no daemon and no tree. Never guesses: an argument has one meaning, and what it
//! names is there or is not.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use super::context::Context;
use super::exit::Exit;
use crate::ids::{DevNum, DevPath, DeviceId, IdError, IfIndex, NodeKind};

/// Why a DEVICE argument leads to no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceArgError {
    /// Nothing of that name is there.
    #[error(
        "no device `{}`: give a node or link (below {}), a /sys path, a devpath (/devices/...) \
         or a device id (b8:1, c4:64, n3, +usb:1-1)",
        .argument.display(), .links.display()
    )]
    NotFound {
        /// The argument.
        argument: OsString,
        /// Where links are looked for.
        links: PathBuf,
    },
    /// Something is there and is not a device.
    #[error("`{}` is there but is no device: {why}", .argument.display())]
    NotADevice {
        /// The argument.
        argument: OsString,
        /// What it is.
        why: &'static str,
    },
    /// The argument can't be a device id, nor anything else.
    #[error("`{}`: {why}", .argument.display())]
    Malformed {
        /// The argument.
        argument: OsString,
        /// Why.
        why: IdError,
    },
}

impl DeviceArgError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            DeviceArgError::NotFound { .. } | DeviceArgError::NotADevice { .. } => Exit::No,
            DeviceArgError::Malformed { .. } => Exit::Usage,
        }
    }
}

/// What an argument is by its form.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// A directory of sysfs.
    Sysfs(PathBuf),
    /// A node or a link to one; the first that exists.
    Node(Vec<PathBuf>),
    /// A device id.
    Id(DeviceId),
}

/// What people type of sysfs, whatever tree is meant: the path below `/sys`.
pub(super) fn below_sys(typed: &[u8]) -> Option<&[u8]> {
    typed.strip_prefix(b"/sys/")
}

/// The same of `/dev`.
pub(super) fn below_dev(typed: &[u8]) -> Option<&[u8]> {
    typed.strip_prefix(b"/dev/")
}

fn meaning(context: &Context, argument: &OsStr) -> Result<Meaning, DeviceArgError> {
    let bytes = argument.as_bytes();
    let path = Path::new(argument);
    let (sys, dev) = (&context.roots.sys, &context.roots.dev);
    if path.is_absolute() && (path.starts_with(sys) || path.starts_with(context.link_dir())) {
        let own = path.starts_with(sys);
        return Ok(if own { Meaning::Sysfs(path.into()) } else { Meaning::Node(vec![path.into()]) });
    }
    if let Some(below) = below_sys(bytes) {
        return Ok(Meaning::Sysfs(sys.join(OsStr::from_bytes(below))));
    }
    if [&b"/devices/"[..], b"/module/", b"/bus/", b"/class/"].iter().any(|top| bytes.starts_with(top)) {
        return Ok(Meaning::Sysfs(sys.join(OsStr::from_bytes(bytes.get(1..).unwrap_or_default()))));
    }
    if let Some(below) = below_dev(bytes) {
        let below = OsStr::from_bytes(below);
        return Ok(Meaning::Node(vec![dev.join(below), context.link_dir().join(below)]));
    }
    if path.is_absolute() || bytes.starts_with(b"./") || bytes.starts_with(b"../") {
        return Ok(Meaning::Node(vec![std::path::absolute(path).unwrap_or_else(|_| path.into())]));
    }
    match DeviceId::parse(bytes) {
        Ok(id) => Ok(Meaning::Id(id)),
        Err(why) if bytes.starts_with(b"+") || bytes.is_empty() => {
            Err(DeviceArgError::Malformed { argument: argument.into(), why })
        }
        Err(_) => Ok(Meaning::Node(vec![context.link_dir().join(path), dev.join(path)])),
    }
}

/// The device that an argument names.
pub fn resolve(context: &Context, argument: &OsStr) -> Result<DevPath, DeviceArgError> {
    let sys = context.roots.sys.as_path();
    let found = match meaning(context, argument)? {
        Meaning::Sysfs(path) => Some(path),
        Meaning::Id(id) => by_id(sys, &id),
        Meaning::Node(paths) => match paths.iter().find_map(|path| by_node(context, path)) {
            None if paths.iter().any(|path| path.exists()) => {
                return Err(DeviceArgError::NotADevice {
                    argument: argument.into(),
                    why: "not the node of a device of this machine, nor a link to one",
                });
            }
            found => found,
        },
    };
    let not_found =
        || DeviceArgError::NotFound { argument: argument.into(), links: context.link_dir().into() };
    devpath_of(sys, &found.ok_or_else(not_found)?).map_err(|why| match why {
        None => not_found(),
        Some(why) => DeviceArgError::NotADevice { argument: argument.into(), why },
    })
}

/// True when anything of that name is there, be it only a link that leads nowhere.
pub fn leaves_a_trace(context: &Context, argument: &OsStr) -> Result<bool, DeviceArgError> {
    match meaning(context, argument)? {
        Meaning::Sysfs(path) => Ok(path.exists()),
        Meaning::Id(id) => Ok(by_id(&context.roots.sys, &id).is_some()),
        Meaning::Node(paths) => Ok(paths.iter().any(|path| fs::symlink_metadata(path).is_ok())),
    }
}

/// The devpath of a device's directory in sysfs, links followed. `Err(None)`: not there.
fn devpath_of(sys: &Path, path: &Path) -> Result<DevPath, Option<&'static str>> {
    let (sys, path) = (fs::canonicalize(sys).map_err(|_| None)?, fs::canonicalize(path).map_err(|_| None)?);
    path.strip_prefix(&sys).map_err(|_| Some("it leads out of /sys"))?;
    if !path.join("uevent").exists() {
        return Err(Some("it has no `uevent` file"));
    }
    sysfs_path(&sys, &path).ok_or(Some("its path is not one that the kernel makes"))
}

/// A path in sysfs with its links followed, be it a device's or not. `None`: it is not there, or leads out of sysfs.
pub(super) fn sysfs_path(sys: &Path, path: &Path) -> Option<DevPath> {
    let (sys, path) = (fs::canonicalize(sys).ok()?, fs::canonicalize(path).ok()?);
    let mut devpath = b"/".to_vec();
    devpath.extend_from_slice(path.strip_prefix(&sys).ok()?.as_os_str().as_bytes());
    DevPath::new(&devpath).ok()
}

/// The directory in sysfs of a node, or of the node that a link leads to.
fn by_node(context: &Context, path: &Path) -> Option<PathBuf> {
    let sys = &context.roots.sys;
    if let Ok(meta) = fs::metadata(path) {
        let kind = match meta.file_type() {
            t if t.is_block_device() => Some(NodeKind::Block),
            t if t.is_char_device() => Some(NodeKind::Char),
            _ => None,
        };
        if let Some(kind) = kind {
            let (major, minor) = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
            let (major, minor) = (u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
            return by_id(sys, &DeviceId::Node(DevNum { kind, major, minor }));
        }
    }
    by_node_name(sys, &node_name(context, path)?)
}

/// The name below `/dev` that a path, or the link there, leads to. Below `--root` nodes need not be real, nor be there.
fn node_name(context: &Context, path: &Path) -> Option<PathBuf> {
    let target = match fs::read_link(path) {
        Ok(target) => plain(&path.parent()?.join(target)),
        Err(_) if path.exists() => path.into(),
        Err(_) => return None,
    };
    Some(target.strip_prefix(&context.roots.dev).ok()?.into())
}

/// A path with its `.` and `..` taken out by their text.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Looks for the device whose `DEVNAME` is `name`, where the kernel puts a device of that name.
fn by_node_name(sys: &Path, name: &Path) -> Option<PathBuf> {
    let mut line = b"DEVNAME=".to_vec();
    line.extend_from_slice(name.as_os_str().as_bytes());
    let is_it = |path: &PathBuf| {
        let uevent = fs::read(path.join("uevent")).unwrap_or_default();
        uevent.split(|&b| b == b'\n').any(|l| l == line)
    };
    let whole = file_name(name.as_os_str().as_bytes());
    let last = name.file_name()?;
    let classes = fs::read_dir(sys.join("class")).into_iter().flatten().flatten().map(|entry| entry.path());
    classes
        .flat_map(|class| [class.join(&whole), class.join(last)])
        .chain([sys.join("block").join(&whole)])
        .find(is_it)
}

/// A kernel name as sysfs writes it.
fn file_name(name: &[u8]) -> OsString {
    OsStr::from_bytes(&name.iter().map(|&b| if b == b'/' { b'!' } else { b }).collect::<Vec<_>>()).to_owned()
}

/// The directory (or a link to it) of a device id, `None` if there is no such device.
pub(super) fn by_id(sys: &Path, id: &DeviceId) -> Option<PathBuf> {
    let path = match id {
        DeviceId::Node(DevNum { kind, major, minor }) => {
            let kind = if *kind == NodeKind::Block { "block" } else { "char" };
            sys.join(format!("dev/{kind}/{major}:{minor}"))
        }
        DeviceId::Net(index) => return by_ifindex(sys, *index),
        DeviceId::Named { subsystem, name } => return by_name(sys, subsystem, &file_name(name)),
    };
    path.exists().then_some(path)
}

fn by_ifindex(sys: &Path, index: IfIndex) -> Option<PathBuf> {
    let text = index.to_string();
    let interfaces = fs::read_dir(sys.join("class/net")).ok()?.flatten().map(|entry| entry.path());
    interfaces
        .into_iter()
        .find(|path| fs::read_to_string(path.join("ifindex")).is_ok_and(|found| found.trim() == text))
}

fn by_name(sys: &Path, subsystem: &[u8], name: &OsStr) -> Option<PathBuf> {
    let of = |bytes| Path::new(OsStr::from_bytes(bytes));
    let candidates = match subsystem {
        b"module" => vec![sys.join("module").join(name)],
        b"subsystem" => vec![sys.join("bus").join(name), sys.join("class").join(name)],
        _ => match subsystem.strip_prefix(b"drivers:") {
            Some(bus) => vec![sys.join("bus").join(of(bus)).join("drivers").join(name)],
            None => vec![
                sys.join("bus").join(of(subsystem)).join("devices").join(name),
                sys.join("class").join(of(subsystem)).join(name),
            ],
        },
    };
    candidates.into_iter().find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::cli::context::Common;

    /// A serial adapter, its node (a plain file), a link to it, a network interface and a driver.
    fn machine() -> (tempfile::TempDir, Context) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let tty = "devices/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";
        for (path, uevent) in [
            (tty, "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n"),
            ("devices/usb1/1-2", "DEVTYPE=usb_device\nDEVNAME=bus/usb/001/002\n"),
            ("devices/virtual/net/lo", ""),
            ("devices/cciss!c0d0", "DEVNAME=cciss/c0d0\n"),
            ("bus/usb/drivers/hub", ""),
        ] {
            fs::create_dir_all(root.join("sys").join(path)).unwrap();
            fs::write(root.join("sys").join(path).join("uevent"), uevent).unwrap();
        }
        fs::create_dir_all(root.join("sys/devices/usb1/1-2/power")).unwrap();
        fs::write(root.join("sys/devices/virtual/net/lo/ifindex"), "1\n").unwrap();
        let link = |from: &str, to: &str| {
            let from = root.join(from);
            fs::create_dir_all(from.parent().unwrap()).unwrap();
            symlink(to, from).unwrap();
        };
        link("sys/class/tty/ttyUSB0", &format!("../../{tty}"));
        link("sys/dev/char/188:0", &format!("../../{tty}"));
        link("sys/class/net/lo", "../../devices/virtual/net/lo");
        link("sys/class/net/out", "/");
        link("sys/bus/usb/devices/1-2", "../../../devices/usb1/1-2");
        link("sys/block/cciss!c0d0", "../devices/cciss!c0d0");
        link("dev/gps", "ttyUSB0");
        link("dev/serial/by-id/gps", "../../ttyUSB0");
        link("dev/nowhere", "ttyUSB9");
        fs::write(root.join("dev/ttyUSB0"), "").unwrap();
        fs::write(root.join("dev/notes.txt"), "").unwrap();
        fs::create_dir_all(root.join("dev/cciss")).unwrap();
        fs::write(root.join("dev/cciss/c0d0"), "").unwrap();
        let common = Common { root: Some(root.into()), ..Common::default() };
        (directory, Context::new(common).unwrap())
    }

    #[test]
    fn every_form_of_a_device() {
        let (directory, context) = machine();
        let tty = "/devices/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";
        let cases = [
            ("/dev/ttyUSB0", tty),
            ("ttyUSB0", tty),
            ("gps", tty),
            ("/dev/gps", tty),
            ("serial/by-id/gps", tty),
            ("c188:0", tty),
            ("+tty:ttyUSB0", tty),
            (tty, tty),
            ("/sys/class/tty/ttyUSB0", tty),
            ("/class/tty/ttyUSB0", tty),
            ("+usb:1-2", "/devices/usb1/1-2"),
            ("n1", "/devices/virtual/net/lo"),
            ("+net:lo", "/devices/virtual/net/lo"),
            ("+drivers:usb:hub", "/bus/usb/drivers/hub"),
            ("/dev/cciss/c0d0", "/devices/cciss!c0d0"),
        ];
        for (argument, expected) in cases {
            assert_eq!(
                resolve(&context, OsStr::new(argument)).map(|path| path.to_string()),
                Ok(expected.into()),
                "{argument}"
            );
        }
        let below_root = directory.path().join("sys/class/net/lo");
        assert_eq!(resolve(&context, below_root.as_os_str()).unwrap().as_bytes(), b"/devices/virtual/net/lo");
        let below_root = directory.path().join("dev/gps");
        assert_eq!(resolve(&context, below_root.as_os_str()).unwrap().as_bytes(), tty.as_bytes());
    }

    #[test]
    fn what_is_no_device() {
        let (_directory, context) = machine();
        let cases = [
            ("/dev/nowhere", Exit::No, "no device"),
            ("ttyUSB9", Exit::No, "no device"),
            ("c1:9", Exit::No, "no device"),
            ("n7", Exit::No, "no device"),
            ("/devices/none", Exit::No, "no device"),
            ("/sys/devices/usb1/1-2/power", Exit::No, "no `uevent` file"),
            ("/sys/class/net/out", Exit::No, "out of /sys"),
            ("/dev/notes.txt", Exit::No, "not the node of a device"),
            ("+usb", Exit::Usage, "not a device id"),
            ("", Exit::Usage, "not a device id"),
        ];
        for (argument, exit, message) in cases {
            let error = resolve(&context, OsStr::new(argument)).unwrap_err();
            assert_eq!(error.exit(), exit, "{argument}: {error}");
            assert!(error.to_string().contains(message), "{argument}: {error}");
        }
    }

    #[test]
    fn traces() {
        let (_directory, context) = machine();
        for (argument, expected) in
            [("nowhere", true), ("gps", true), ("/dev/none", false), ("n1", true), ("n2", false)]
        {
            assert_eq!(leaves_a_trace(&context, OsStr::new(argument)), Ok(expected), "{argument}");
        }
    }
}
