//! Owns the builtins: functions that look at a device and its parents and say what it is, as properties.
//!
//! One table names them all; a rule's `import builtin` or `run builtin` runs one of them. They read through the [`Context`]
//! they are given, return what they found and write nothing: what has to be done to the machine they return as [`Deed`]s,
//! and `apply` carries those out.

mod ata_id;
mod blkid;
mod btrfs;
mod cdrom_id;
mod deed;
mod dmi_memory_id;
mod fido_id;
pub mod helper;
pub mod hwdb;
mod input_id;
pub mod interface;
mod keyboard;
mod kmod;
mod look;
mod medium;
mod mtd_probe;
mod net;
mod net_driver;
mod net_id;
mod net_setup_link;
mod node;
mod path_id;
mod scsi_id;
mod shared;
mod uaccess;
mod usb_id;
mod v4l_id;

use std::fmt;
use std::time::Instant;

use bstr::BString;

pub use self::deed::Deed;
pub use self::keyboard::{AxisChange, Keyboard};
pub use self::shared::Shared;
pub use self::uaccess::Access;
use crate::device::{Device, Reader};
use crate::ids::Action;
use crate::properties::Properties;
use crate::roots::Roots;

/// Says what is known of a device that is not the event's: what the kernel says of it, and over that its last record.
#[derive(Clone, Copy)]
pub struct Known<'a>(pub &'a dyn Fn(&Device) -> Properties);

impl Default for Known<'_> {
    /// Nothing is.
    fn default() -> Self {
        Self(&|_| Properties::new())
    }
}

impl fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// What a builtin may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The device of the event.
    pub device: &'a Device,
    /// Reads attributes of it and of other devices.
    pub reader: &'a Reader<'a>,
    /// What happened.
    pub action: Action,
    /// The properties as set so far in this event.
    pub properties: &'a Properties,
    /// The properties of other devices.
    pub known: Known<'a>,
    /// Where the system's directories are.
    pub roots: &'a Roots,
    /// What is read once and asked by many events.
    pub shared: &'a Shared,
    /// When the event has to be done with: who waits for something outside, waits no longer.
    pub deadline: Instant,
}

/// What a builtin found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Properties of the device; one without a value is taken away.
    pub properties: Properties,
    /// What is to be done to the machine, in order.
    pub deeds: Vec<Deed>,
}

impl From<Properties> for Found {
    fn from(properties: Properties) -> Self {
        Self { properties, deeds: Vec::new() }
    }
}

/// Why a builtin has no answer. A rule takes every one of these as "does not match".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuiltinError {
    /// There is no builtin of that name.
    #[error("no builtin `{0}`; there are: {names}", names = NAMES.join(", "))]
    Unknown(BString),
    /// Neither the device nor a device above it is of the kind that the builtin is for.
    #[error("neither the device nor a parent is a {0}")]
    NoParent(&'static str),
    /// An attribute without which there is no answer is absent or not readable.
    #[error("`{device}` has no attribute `{name}`, or not a valid one")]
    Attribute {
        /// The devpath of the device that should have it.
        device: BString,
        /// The attribute's name.
        name: &'static str,
    },
    /// The arguments are not those that it takes.
    #[error("{0}")]
    Arguments(String),
    /// It could not find out; the text says what it tried and what came of it.
    #[error("{0}")]
    Failed(String),
    /// The device is none that packets go through.
    #[error("the device is no network interface")]
    NotAnInterface,
    /// The answer is the running kernel's, and the device is not there: it was recorded, or has gone.
    #[error("only the running kernel knows, and the device is not there")]
    NotLive,
    /// No bus on the way up gives the device a place that stays the same.
    #[error("no bus above the device gives it a place that stays the same")]
    NoStablePath,
}

/// One builtin.
#[derive(Debug)]
pub struct Builtin {
    /// The name that rules use.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Runs at most once for an event: a second `import` of it gives what the first gave.
    pub once: bool,
    /// The function itself; the slice holds the arguments after the name.
    pub run: fn(&[BString], &Context<'_>) -> Result<Found, BuiltinError>,
}

/// Every builtin, by name.
pub static BUILTINS: &[Builtin] = &[
    Builtin {
        name: "ata_id",
        about: "what an ATA drive says it is: ID_ATA*, ID_SERIAL, ID_WWN",
        once: false,
        run: |arguments, context| helper::run("ata_id", arguments, context),
    },
    Builtin {
        name: "blkid",
        about: "what is on a disk or partition: ID_FS_* and ID_PART_*",
        once: true,
        run: blkid::run,
    },
    Builtin {
        name: "btrfs",
        about: "whether all devices of a btrfs file system are there: ID_BTRFS_READY",
        once: false,
        run: btrfs::run,
    },
    Builtin {
        name: "cdrom_id",
        about: "what an optical drive can do and holds: ID_CDROM*",
        once: false,
        run: |arguments, context| helper::run("cdrom_id", arguments, context),
    },
    Builtin {
        name: "dmi_memory_id",
        about: "the memory modules that the firmware knows: MEMORY_*",
        once: false,
        run: |arguments, context| helper::run("dmi_memory_id", arguments, context),
    },
    Builtin {
        name: "fido_id",
        about: "whether a HID device is a security token: ID_FIDO_TOKEN",
        once: false,
        run: |arguments, context| helper::run("fido_id", arguments, context),
    },
    Builtin {
        name: "hwdb",
        about: "what the hardware database knows of a device",
        once: false,
        run: hwdb::run,
    },
    Builtin {
        name: "input_id",
        about: "what kind of input device it is: ID_INPUT and its relatives",
        once: false,
        run: input_id::run,
    },
    Builtin {
        name: "keyboard",
        about: "keys, axes and speed of an input device, as properties say",
        once: false,
        run: keyboard::run,
    },
    Builtin { name: "kmod", about: "the kernel modules that a device needs", once: false, run: kmod::run },
    Builtin {
        name: "mtd_probe",
        about: "whether a flash holds a SmartMedia card's layer: MTD_FTL",
        once: false,
        run: |arguments, context| helper::run("mtd_probe", arguments, context),
    },
    Builtin {
        name: "net_driver",
        about: "the driver of a network interface: ID_NET_DRIVER",
        once: true,
        run: net_driver::run,
    },
    Builtin {
        name: "net_id",
        about: "names that a network interface could keep: ID_NET_NAME_ONBOARD, _SLOT, _PATH, _MAC",
        once: false,
        run: net_id::run,
    },
    Builtin {
        name: "net_setup_link",
        about: "the settings of a network interface by its .link file: ID_NET_NAME, ID_NET_LINK_FILE, and a deed",
        once: false,
        run: net_setup_link::run,
    },
    Builtin {
        name: "path_id",
        about: "where a device is plugged in: ID_PATH and its relatives",
        once: true,
        run: path_id::run,
    },
    Builtin {
        name: "scsi_id",
        about: "what a SCSI device says it is: ID_SCSI*, ID_SERIAL, ID_WWN*",
        once: false,
        run: |arguments, context| helper::run("scsi_id", arguments, context),
    },
    Builtin {
        name: "uaccess",
        about: "the user in front of the seat may use the device",
        once: false,
        run: uaccess::run,
    },
    Builtin {
        name: "usb_id",
        about: "what a USB device says it is: ID_VENDOR, ID_MODEL, ID_SERIAL and their relatives",
        once: true,
        run: usb_id::run,
    },
    Builtin {
        name: "v4l_id",
        about: "what a video device is called and can do: ID_V4L_*",
        once: false,
        run: |arguments, context| helper::run("v4l_id", arguments, context),
    },
];

/// The names of all builtins, in the order of [`BUILTINS`].
pub const NAMES: &[&str] = &[
    "ata_id",
    "blkid",
    "btrfs",
    "cdrom_id",
    "dmi_memory_id",
    "fido_id",
    "hwdb",
    "input_id",
    "keyboard",
    "kmod",
    "mtd_probe",
    "net_driver",
    "net_id",
    "net_setup_link",
    "path_id",
    "scsi_id",
    "uaccess",
    "usb_id",
    "v4l_id",
];

/// The builtin of that name.
pub fn find(name: &[u8]) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|b| b.name.as_bytes() == name)
}

/// Runs the builtin `name` with `arguments` (those after the name). Errors: [`BuiltinError::Unknown`], and what the
/// builtin itself answers when the device is not of its kind.
pub fn run(name: &[u8], arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let builtin = find(name).ok_or_else(|| BuiltinError::Unknown(name.into()))?;
    (builtin.run)(arguments, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_table() {
        assert_eq!(BUILTINS.iter().map(|b| b.name).collect::<Vec<_>>(), NAMES);
        assert!(NAMES.is_sorted());
        assert!(find(b"usb_id").is_some_and(|b| b.once));
        assert!(find(b"usb").is_none());
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = BuiltinError::Unknown("blikd".into()).to_string();
        assert!(error.starts_with("no builtin `blikd`; there are: ") && error.contains("usb_id"), "{error}");
    }
}
