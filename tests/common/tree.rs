//! Owns laying out a recording as a directory tree that looks like a machine: `sys/` and `dev/` below a temporary `--root`.
//!
//! Reads `.umockdev` text (`P: N: S: E: K: A: H: L:`) by itself, so that tests of the daemon do not lean on the daemon's own reader.
//! The tree goes when the [`FakeTree`] is dropped.

// Every test binary that takes this file in uses another part of it. A test helper that can't go on has to panic: clippy's
// exception for tests does not reach functions beside them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Subsystems that are buses (`/sys/bus/NAME/devices`); all others are classes.
const BUSES: &[&str] = &[
    "acpi",
    "amba",
    "ap",
    "bcma",
    "ccw",
    "ccwgroup",
    "hid",
    "i2c",
    "iucv",
    "mmc",
    "pci",
    "pci_express",
    "platform",
    "pnp",
    "scm",
    "scsi",
    "serio",
    "spi",
    "usb",
    "usb-serial",
    "virtio",
    "vmbus",
    "xen",
];

/// Keys of `E:` lines that are no part of the kernel's `uevent` file.
const NOT_KERNEL: &[&str] =
    &["SUBSYSTEM", "DEVPATH", "DEVLINKS", "TAGS", "CURRENT_TAGS", "USEC_INITIALIZED", "UDEV_LOG"];

/// The recordings that belong to the tests.
pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trees")
}

/// A machine in a directory.
pub(crate) struct FakeTree {
    root: tempfile::TempDir,
    paths: Vec<String>,
}

/// A paragraph of a recording.
#[derive(Default)]
struct Paragraph {
    path: String,
    subsystem: String,
    uevent: Vec<String>,
    attributes: Vec<(String, Vec<u8>)>,
    links: Vec<(String, String)>,
    node: Option<String>,
    node_links: Vec<String>,
}

impl FakeTree {
    /// A machine without devices.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("nameplate-tree-").tempdir().unwrap();
        for directory in
            ["sys/devices", "sys/class", "sys/bus", "sys/dev/block", "sys/dev/char", "dev", "run"]
        {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        Self { root, paths: Vec::new() }
    }

    /// The machine of `tests/trees/NAME.umockdev`.
    pub(crate) fn of(name: &str) -> Self {
        let mut tree = Self::new();
        tree.add(&fs::read_to_string(recordings().join(format!("{name}.umockdev"))).unwrap());
        tree
    }

    /// What stands for `/`: the argument of `--root`.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// What stands for `/sys`.
    pub(crate) fn sys(&self) -> PathBuf {
        self.root().join("sys")
    }

    /// What stands for `/dev`.
    pub(crate) fn dev(&self) -> PathBuf {
        self.root().join("dev")
    }

    /// The devpaths of all devices added, in the order of the recordings.
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Adds every device of a recording.
    pub(crate) fn add(&mut self, recording: &str) {
        for paragraph in recording.split("\n\n").filter(|p| !p.trim().is_empty()) {
            let paragraph = Paragraph::parse(paragraph);
            self.write(&paragraph);
            self.paths.push(paragraph.path);
        }
    }

    /// Writes an attribute (or a link's target, for a name that is a link already).
    pub(crate) fn set(&self, devpath: &str, attribute: &str, value: &[u8]) {
        let file = self.directory(devpath).join(attribute);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, value).unwrap();
    }

    /// Takes a device out, with all below it, its node and the links of class, bus and number.
    pub(crate) fn remove(&mut self, devpath: &str) {
        let gone = self.directory(devpath);
        let node = fs::read_to_string(gone.join("uevent")).unwrap_or_default();
        if let Some(name) = node.lines().find_map(|l| l.strip_prefix("DEVNAME=")) {
            let _absent = fs::remove_file(self.dev().join(name));
        }
        fs::remove_dir_all(gone).unwrap();
        for directory in ["class", "bus", "dev", "block"] {
            remove_dangling(&self.sys().join(directory));
        }
        let below = format!("{devpath}/");
        self.paths.retain(|p| p != devpath && !p.starts_with(&below));
    }

    /// Makes the directories that links of devices point to and that are no devices: drivers.
    pub(crate) fn complete(&self) {
        for path in &self.paths {
            for entry in fs::read_dir(self.directory(path)).unwrap() {
                let link = entry.unwrap().path();
                if let Ok(target) = fs::read_link(&link)
                    && !link.exists()
                {
                    fs::create_dir_all(link.with_file_name(target)).unwrap();
                }
            }
        }
    }

    fn directory(&self, devpath: &str) -> PathBuf {
        self.sys().join(devpath.trim_start_matches('/'))
    }

    fn write(&self, device: &Paragraph) {
        let directory = self.directory(&device.path);
        fs::create_dir_all(&directory).unwrap();
        let uevent: String = device.uevent.iter().map(|line| format!("{line}\n")).collect();
        fs::write(directory.join("uevent"), uevent).unwrap();
        for (name, value) in &device.attributes {
            self.set(&device.path, name, value);
        }
        for (name, target) in &device.links {
            let link = directory.join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        if !device.subsystem.is_empty() {
            self.write_subsystem(device, &directory);
        }
        self.write_node(device);
    }

    fn write_subsystem(&self, device: &Paragraph, directory: &Path) {
        let is_bus = BUSES.contains(&device.subsystem.as_str());
        let place = if is_bus { "bus" } else { "class" };
        let subsystem = format!("{place}/{}", device.subsystem);
        let up = "../".repeat(device.path.matches('/').count());
        symlink(format!("{up}{subsystem}"), directory.join("subsystem")).unwrap();
        let members = if is_bus { format!("{subsystem}/devices") } else { subsystem };
        self.link_to(device, &members, device.name());
        if device.subsystem == "block" && device.uevent.iter().any(|l| l == "DEVTYPE=disk") {
            self.link_to(device, "block", device.name());
        }
    }

    /// `sys/PLACE/NAME`, a link to the device's directory.
    fn link_to(&self, device: &Paragraph, place: &str, name: &str) {
        let up = "../".repeat(place.matches('/').count() + 1);
        fs::create_dir_all(self.sys().join(place)).unwrap();
        let target = format!("{up}{}", device.path.trim_start_matches('/'));
        symlink(target, self.sys().join(place).join(name)).unwrap();
    }

    fn write_node(&self, device: &Paragraph) {
        let value =
            |key: &str| device.uevent.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if let (Some(major), Some(minor)) = (value("MAJOR"), value("MINOR")) {
            let kind = if device.subsystem == "block" { "dev/block" } else { "dev/char" };
            self.link_to(device, kind, &format!("{major}:{minor}"));
        }
        let Some(node) = &device.node else { return };
        let file = self.dev().join(node);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"").unwrap();
        for link in &device.node_links {
            let link_file = self.dev().join(link);
            fs::create_dir_all(link_file.parent().unwrap()).unwrap();
            symlink(format!("{}{node}", "../".repeat(link.matches('/').count())), link_file).unwrap();
        }
    }
}

impl Paragraph {
    fn parse(text: &str) -> Self {
        let mut out = Self::default();
        // where they are, they are what the kernel says
        let has_kernel_lines = text.lines().any(|line| line.starts_with("K: "));
        for line in text.lines() {
            let (kind, rest) = line.split_once(": ").unwrap_or_else(|| panic!("no `X: ` in {line:?}"));
            let pair = || rest.split_once('=').unwrap_or_else(|| panic!("no `=` in {line:?}"));
            match kind {
                "P" => out.path = rest.into(),
                "N" => out.node = Some(rest.split('=').next().unwrap().into()),
                "S" => out.node_links.push(rest.into()),
                "E" if pair().0 == "SUBSYSTEM" => out.subsystem = pair().1.into(),
                "K" => out.uevent.push(rest.replace("DEVNAME=/dev/", "DEVNAME=")),
                "E" if has_kernel_lines => {}
                "E" if NOT_KERNEL.contains(&pair().0) || pair().0.starts_with("ID_") => {}
                "E" => out.uevent.push(rest.replace("DEVNAME=/dev/", "DEVNAME=")),
                "A" => out.attributes.push((pair().0.into(), unescape(pair().1))),
                "H" => out.attributes.push((pair().0.into(), unhex(pair().1))),
                "L" => out.links.push((pair().0.into(), pair().1.into())),
                _ => panic!("unknown line {line:?}"),
            }
        }
        // what is no device stands beside them: slots of buses, the device tree
        assert!(out.path.starts_with("/"), "no `P: /…` in {text:?}");
        out
    }

    /// The file name of the device.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// C escapes: `\n`, `\t`, `\\`, `\"` …, and up to three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'\\', Some(b'0'..=b'7')) => {
                let mut value = 0u32;
                for _ in 0..3 {
                    let Some(digit) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                out.push(u8::try_from(value).unwrap());
            }
            (b'\\', Some(letter)) => {
                bytes.next();
                out.push(match letter {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    other => other,
                });
            }
            _ => out.push(byte),
        }
    }
    out
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn remove_dangling(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            remove_dangling(&path);
        } else if kind.is_symlink() && !path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn escapes_of_recordings() {
    assert_eq!(unescape(r"a\nb\\c\042\303\251"), b"a\nb\\c\"\xc3\xa9");
    assert_eq!(unhex("00FF10"), [0, 255, 16]);
}

#[test]
fn a_tree_looks_like_sysfs_and_can_lose_a_device() {
    let mut tree = FakeTree::new();
    tree.add(
        "P: /devices/pci0000:00/x\nE: SUBSYSTEM=pci\n\nP: /devices/pci0000:00/x/tty/ttyS0\nN: ttyS0\nS: by/one\n\
         E: DEVNAME=/dev/ttyS0\nE: MAJOR=4\nE: MINOR=64\nE: SUBSYSTEM=tty\nA: line=0\\n\nL: device=../../../x\n",
    );
    let sys = tree.sys();
    let device = sys.join("devices/pci0000:00/x/tty/ttyS0").canonicalize().unwrap();
    for link in ["class/tty/ttyS0", "dev/char/4:64"] {
        assert_eq!(sys.join(link).canonicalize().unwrap(), device, "{link}");
    }
    assert!(sys.join("bus/pci/devices/x/tty").is_dir());
    assert_eq!(device.join("subsystem").canonicalize().unwrap().as_os_str().as_bytes().last(), Some(&b'y'));
    assert_eq!(fs::read(device.join("uevent")).unwrap(), b"DEVNAME=ttyS0\nMAJOR=4\nMINOR=64\n");
    assert_eq!(fs::read_link(tree.dev().join("by/one")).unwrap(), Path::new("../ttyS0"));
    tree.remove("/devices/pci0000:00/x/tty/ttyS0");
    assert!(!tree.dev().join("ttyS0").exists() && fs::read_link(sys.join("class/tty/ttyS0")).is_err());
    assert_eq!(tree.paths(), ["/devices/pci0000:00/x"]);
}
