//! Owns the recording format: a machine's devices as text paragraphs (`P: E: A: H: L: N: S:`), umockdev's and a superset.
//!
//! A pure codec: bytes in, devices out. Never touches the file system.

use std::collections::BTreeMap;

use bstr::BString;

use crate::ids::DevPath;
use crate::properties::Properties;

/// One device, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDevice {
    /// Its path below `/sys`.
    pub path: DevPath,
    /// Its subsystem.
    pub subsystem: Option<BString>,
    /// What the kernel said of it: the `uevent` file.
    pub kernel: Properties,
    /// What the udev of that day made of it.
    pub udev: Properties,
    /// Attributes by name relative to the device's directory, as read.
    pub attributes: BTreeMap<BString, BString>,
    /// Symbolic links in the device's directory and their targets; `subsystem` is not among them.
    pub links: BTreeMap<BString, BString>,
}

impl RecordedDevice {
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
    /// All devices, parents before children.
    pub fn devices(&self) -> impl Iterator<Item = &RecordedDevice> {
        self.devices.values()
    }

    /// The device at a path.
    pub fn device(&self, path: &[u8]) -> Option<&RecordedDevice> {
        self.devices.get(path)
    }

    /// The devices whose path begins with `prefix`.
    pub fn below<'r>(&'r self, prefix: &'r [u8]) -> impl Iterator<Item = &'r RecordedDevice> {
        use std::ops::Bound;
        let from = (Bound::Excluded(prefix), Bound::Unbounded);
        self.devices
            .range::<[u8], _>(from)
            .map(|(_, device)| device)
            .take_while(move |d| d.path.as_bytes().starts_with(prefix))
    }
}
