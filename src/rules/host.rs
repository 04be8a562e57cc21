//! Owns the `Host` trait: the only way in which rules ask the world anything, or (udev's `ATTR{}=` and `SYSCTL{}=`)
//! change something in it while they run.
//!
//! The evaluator knows no file system, no process and no clock. Never implements the trait: the real host and the dry
//! one are `decide`'s.

use std::rc::Rc;

use bstr::BString;

use super::ir::ConstKey;
use crate::device::Device;
use crate::ids::Tag;
use crate::properties::Properties;

/// Most bytes of a program's output that are kept; udev's buffer holds as many.
pub const OUTPUT_MAX: usize = 16_383;

/// Why the world did not do what a rule asked for; the text says what was tried and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// It ended with status 0 and within its time and output limits.
    pub success: bool,
    /// What it wrote to its standard output, as much as was kept.
    pub stdout: BString,
    /// Why it did not succeed, in one line (`exit status 3`, `killed after 60 s`); `None` on success.
    pub failure: Option<String>,
}

/// A number for an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The number.
    pub value: u32,
    /// Why it may be another after a restart; `None` if it is kept.
    pub lost: Option<HostError>,
}

/// Answers the questions of rules about one event.
///
/// Every method that takes a device is about that device; the others are about the system, or about the device of the
/// event where the name says so.
pub trait Host {
    /// An attribute's bytes as read, trailing newline included; `None` if it is absent or unreadable.
    fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString>;

    /// The mode of what is at `name` below the device's directory; `None` if nothing is there.
    fn attribute_mode(&self, device: &Device, name: &[u8]) -> Option<u32>;

    /// The name of the device's driver.
    fn driver(&self, device: &Device) -> Option<BString>;

    /// The kernel's properties of a device (its `uevent` file).
    fn uevent(&self, device: &Device) -> Rc<Properties>;

    /// All properties of a device other than the event's: the kernel's and those of its record.
    fn properties(&self, device: &Device) -> Properties;

    /// The current tags of a device other than the event's.
    fn tags(&self, device: &Device) -> Vec<Tag>;

    /// The device of `[subsystem/kernel]`.
    fn find(&self, subsystem: &[u8], kernel: &[u8]) -> Option<Device>;

    /// A property that was set for all devices (`udevadm control -p`): rules see it where the device has none of the
    /// name.
    fn global(&self, _key: &[u8]) -> Option<BString> {
        None
    }

    /// A property of the event's device as the last event left it: of its record, or the kernel's.
    fn recorded(&self, key: &[u8]) -> Option<BString>;

    /// A value below `/proc/sys`, as read; `name` has `/` between its parts.
    fn sysctl(&self, name: &[u8]) -> Option<BString>;

    /// A constant of the system; `None` if it can't be found out.
    fn constant(&self, key: ConstKey) -> Option<BString>;

    /// The mode of the file at an absolute path; `None` if nothing is there.
    fn file_mode(&self, path: &[u8]) -> Option<u32>;

    /// The text of a file for an import; `None` if it is not there. Error: it is there and can't be read.
    fn read_file(&self, path: &[u8]) -> Result<Option<BString>, HostError>;

    /// The value of a key of the kernel's command line; `1` for a key without a value.
    fn command_line(&self, key: &[u8]) -> Option<BString>;

    /// The id of a user. The name may be a decimal number.
    fn user(&self, name: &[u8]) -> Option<u32>;

    /// The id of a group. The name may be a decimal number.
    fn group(&self, name: &[u8]) -> Option<u32>;

    /// The device directory, as `$root` shows it.
    fn dev_root(&self) -> BString;

    /// The mount point of sysfs, as `$sys` shows it.
    fn sys_root(&self) -> BString;

    /// Runs a program now and waits for it. `environment` is all of its environment.
    fn program(&mut self, argv: &[BString], environment: &Properties) -> ProgramOutput;

    /// Runs a builtin on the event's device, which has `properties` so far. Error: it found nothing, and why.
    fn builtin(
        &mut self,
        name: &str,
        arguments: &[BString],
        properties: &Properties,
    ) -> Result<Properties, HostError>;

    /// Writes an attribute; later reads in this event see the new value.
    fn write_attribute(&mut self, device: &Device, name: &[u8], value: &[u8]) -> Result<(), HostError>;

    /// Writes a value below `/proc/sys`; later reads in this event see it.
    fn write_sysctl(&mut self, name: &[u8], value: &[u8]) -> Result<(), HostError>;

    /// The number of `identity` in `pool`: the next one when it is first asked for, the same ever after.
    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered;
}
