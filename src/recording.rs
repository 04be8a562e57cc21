//! Owns the recording format: a machine's devices as text paragraphs (`P: E: A: H: L: N: S:`), umockdev's and a superset.
//!
//! A pure codec: bytes in, devices out, and back. Never touches the file system.
//!
//! One paragraph for each device, ended by an empty line; `P:` comes first:
//!
//! | line | holds |
//! |---|---|
//! | `P: /devices/…` | the path below `/sys` |
//! | `N: name[=HEX]` | the node's name below `/dev`, and what it gives to read |
//! | `S: link` | a link below `/dev` that pointed to the node |
//! | `E: KEY=VALUE` | a property: the kernel's, and those of the udev of that day |
//! | `K: KEY=VALUE` | a property of the kernel's for certain (not in umockdev's format) |
//! | `A: name=value` | an attribute, with C escapes |
//! | `H: name=HEX` | an attribute that is no text |
//! | `L: name=target` | a symbolic link in the device's directory |
//!
//! Other lines that begin with one capital letter and a colon are left out, and so are paragraphs of what is not below
//! `/devices`: so the output of `udevadm info --export-db` can be read, which has no attributes.
//!
//! `E:` mixes the input of that day's rules with their output. Without `K:` lines it is split by the names that the
//! kernel uses; with them, `E:` holds output only, but for the lines that repeat a `K:` line.

mod escape;
mod keys;
mod parse;
mod write;

use std::collections::BTreeMap;
use std::ops::Bound;

use bstr::BString;

pub use self::parse::RecordingError;

use crate::ids::DevPath;
use crate::properties::Properties;

/// The node of a device, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedNode {
    /// The name below `/dev`.
    pub name: BString,
    /// What was read from it (for USB devices: the descriptors).
    pub contents: Option<BString>,
}

/// One device, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDevice {
    /// Its path below `/sys`.
    pub path: DevPath,
    /// Its subsystem.
    pub subsystem: Option<BString>,
    /// Its node.
    pub node: Option<RecordedNode>,
    /// Names below `/dev` that were links to the node: output of the udev of that day.
    pub symlinks: Vec<BString>,
    /// What the kernel said of it: the `uevent` file. No `ACTION`, `DEVPATH`, `SEQNUM`, `SUBSYSTEM`.
    pub kernel: Properties,
    /// What the udev of that day made of it.
    pub udev: Properties,
    /// Attributes by name relative to the device's directory (`queue/rotational`), as read. Older recordings lack the
    /// newline at the end.
    pub attributes: BTreeMap<BString, BString>,
    /// Symbolic links in the device's directory and their targets; `subsystem` is not among them.
    pub links: BTreeMap<BString, BString>,
}

impl RecordedDevice {
    /// A device of which nothing is known but its path.
    pub fn new(path: DevPath) -> Self {
        Self {
            path,
            subsystem: None,
            node: None,
            symlinks: Vec::new(),
            kernel: Properties::new(),
            udev: Properties::new(),
            attributes: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// The text of the `uevent` file.
    pub fn uevent(&self) -> BString {
        let mut out = BString::default();
        for (key, value) in self.kernel.iter() {
            for part in [&**key, b"=", &**value, b"\n"] {
                out.extend_from_slice(part);
            }
        }
        out
    }
}

/// A machine's devices, as recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    devices: BTreeMap<Box<[u8]>, RecordedDevice>,
}

impl Recording {
    /// Reads a recording. Of paragraphs with the same path the first counts: dumps of devices with common parents can
    /// be joined. Errors name the line.
    pub fn parse(text: &[u8]) -> Result<Self, RecordingError> {
        parse::parse(text)
    }

    /// The recording as text. `K:` lines appear only where `E:` lines alone would be split another way, so that
    /// umockdev can read most recordings. A name with a newline, which the format can't hold, is left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        write::to_bytes(self)
    }

    /// All devices, parents before children.
    pub fn devices(&self) -> impl Iterator<Item = &RecordedDevice> {
        self.below(b"/devices/")
    }

    /// All that was recorded: the devices, and files beside them.
    fn all(&self) -> impl Iterator<Item = &RecordedDevice> {
        self.devices.values()
    }

    /// The device at a path, or files that were recorded beside the devices.
    pub fn device(&self, path: &[u8]) -> Option<&RecordedDevice> {
        self.devices.get(path)
    }

    /// The devices whose path begins with `prefix`, and is longer.
    pub fn below<'r>(&'r self, prefix: &'r [u8]) -> impl Iterator<Item = &'r RecordedDevice> {
        let from = (Bound::Excluded(prefix), Bound::Unbounded);
        let devices = self.devices.range::<[u8], _>(from).map(|(_, device)| device);
        devices.take_while(move |device| device.path.as_bytes().starts_with(prefix))
    }
}

impl FromIterator<RecordedDevice> for Recording {
    /// Collects devices; of several with the same path the first counts.
    fn from_iter<I: IntoIterator<Item = RecordedDevice>>(devices: I) -> Self {
        let mut out = Self::default();
        for device in devices {
            out.devices.entry(device.path.as_bytes().into()).or_insert(device);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn bytes(class: &'static str) -> impl Strategy<Value = BString> {
        proptest::string::bytes_regex(class).unwrap().prop_map(BString::from)
    }

    fn properties(keys: &'static str) -> impl Strategy<Value = Properties> {
        btree_map(bytes(keys), bytes("(?s-u:[^\\n\\x00]{0,12})"), 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    prop_compose! {
        fn device()(
            parts in vec(bytes("(?s-u:[^\\n\\x00/.]{1,6})"), 1..4),
            subsystem in proptest::option::of(bytes("[a-z]{1,5}")),
            node in proptest::option::of((bytes("[a-z0-9/]{1,6}"), proptest::option::of(bytes("(?s-u:.{1,4})")))),
            symlinks in vec(bytes("(?s-u:[^\\n]{0,9})"), 0..3),
            kernel in properties("MAJOR|MINOR|DEVNAME|ODD|PCI_ID"),
            udev in properties("ID_[A-Z]{1,3}|MAJOR|TAGS"),
            attributes in btree_map(bytes("(?s-u:[^\\n=]{1,9})"), bytes("(?s-u:.{0,9})"), 0..4),
            links in btree_map(bytes("[a-z/]{1,5}"), bytes("(?s-u:[^\\n]{0,9})"), 0..3),
        ) -> RecordedDevice {
            let path = [b"/devices/", parts.join(&b'/').as_slice()].concat();
            // A property that udev left as the kernel gave it is the kernel's.
            let udev = udev.iter().filter(|(k, v)| kernel.get(k) != Some(*v)).collect();
            let node = node.map(|(name, contents)| RecordedNode { name, contents });
            let path = DevPath::new(&path).unwrap();
            RecordedDevice { path, subsystem, node, symlinks, kernel, udev, attributes, links }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(devices in vec(device(), 0..4)) {
            let recording: Recording = devices.into_iter().collect();
            let text = recording.to_bytes();
            prop_assert_eq!(Recording::parse(&text), Ok(recording), "{}", BString::from(text));
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in bytes("(?s-u:([PEAHLNSK]: |/devices/|[A=0f\\\\\n]|.){0,60})")) {
            if let Ok(recording) = Recording::parse(&text) {
                prop_assert_eq!(Recording::parse(&recording.to_bytes()), Ok(recording));
            }
        }
    }

    #[test]
    fn devices_below() {
        let paths = ["/devices/a", "/devices/a/b", "/devices/a/b/c", "/devices/ab"];
        let recording: Recording =
            paths.map(|p| RecordedDevice::new(DevPath::new(p.as_bytes()).unwrap())).into_iter().collect();
        let below: Vec<_> = recording.below(b"/devices/a/").map(|d| d.path.to_string()).collect();
        assert_eq!(below, ["/devices/a/b", "/devices/a/b/c"]);
    }
}
