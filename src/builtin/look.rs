//! Owns the small questions that builtins ask of a device and its parents: trimmed attributes, ancestors by kind, numbers in names.
//!
//! Never builds a property.

use bstr::{BString, ByteSlice};

use super::{BuiltinError, Context};
use crate::device::Device;

impl Context<'_> {
    /// The attribute without newlines at its end; `None` if it can't be read.
    pub(super) fn attribute(&self, device: &Device, name: impl AsRef<[u8]>) -> Option<BString> {
        let raw = self.reader.attribute(device, name.as_ref())?;
        Some(raw.trim_end_with(|c| matches!(c, '\n' | '\r')).into())
    }

    /// The attribute as [`Context::attribute`] gives it, or the error that names it.
    pub(super) fn need(&self, device: &Device, name: &'static str) -> Result<BString, BuiltinError> {
        self.attribute(device, name)
            .ok_or_else(|| BuiltinError::Attribute { device: device.devpath().as_bytes().into(), name })
    }

    /// True when the device's `uevent` file says `DEVTYPE=devtype`.
    pub(super) fn is_devtype(&self, device: &Device, devtype: &str) -> bool {
        self.reader.uevent(device).get("DEVTYPE").is_some_and(|t| t == devtype)
    }

    /// A property of the event's device as set so far, or of another one as its last event left it.
    pub(super) fn property(&self, device: &Device, key: impl AsRef<[u8]>) -> Option<BString> {
        let key = key.as_ref();
        if device.same_as(self.device) {
            return self.properties.get(key).map(BString::from);
        }
        let known = (self.known.0)(device).get(key).map(BString::from);
        known.or_else(|| self.reader.uevent(device).get(key).map(BString::from))
    }

    /// The nearest device above `device` (never itself) of that subsystem and devtype.
    pub(super) fn ancestor(&self, device: &Device, subsystem: &str, devtype: &str) -> Option<Device> {
        device.chain().skip(1).find(|d| in_subsystem(d, subsystem) && self.is_devtype(d, devtype))
    }
}

/// True when the device belongs to `subsystem`.
pub(super) fn in_subsystem(device: &Device, subsystem: &str) -> bool {
    device.subsystem().is_some_and(|s| s == subsystem)
}

/// The last device of the unbroken run of devices of `subsystem` that begins with `device` and goes up; `device` itself
/// when it is of another subsystem.
pub(super) fn top_of_run(device: &Device, subsystem: &str) -> Device {
    device.chain().take_while(|d| in_subsystem(d, subsystem)).last().unwrap_or_else(|| device.clone())
}

/// A decimal number of ASCII digits only; `None` for anything else or more than 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.to_str().ok()?.parse().ok()
}

/// A hexadecimal number without prefix, as USB attributes hold it (`0e`, `ff`).
pub(super) fn hex(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(text.to_str().ok()?, 16).ok()
}

/// The address in a SCSI device's name, `HOST:CHANNEL:TARGET:LUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScsiAddress {
    pub(super) host: u64,
    pub(super) channel: u64,
    pub(super) target: u64,
    pub(super) lun: u64,
}

impl ScsiAddress {
    /// Reads a kernel name such as `2:0:0:0`.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        let mut parts = name.split(|&b| b == b':').map(decimal);
        let address = Self {
            host: parts.next()??,
            channel: parts.next()??,
            target: parts.next()??,
            lun: parts.next()??,
        };
        parts.next().is_none().then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, dec, hexa) in [
            ("0", Some(0), Some(0)),
            ("08", Some(8), Some(8)),
            ("0e", None, Some(14)),
            ("ff", None, Some(255)),
            ("", None, None),
            ("+1", None, None),
            (" 1", None, None),
            ("18446744073709551616", None, None),
        ] {
            assert_eq!(decimal(text.as_bytes()), dec, "{text}");
            assert_eq!(hex(text.as_bytes()), hexa, "{text}");
        }
    }

    #[test]
    fn scsi_addresses() {
        let address = ScsiAddress { host: 2, channel: 0, target: 1, lun: 16640 };
        assert_eq!(ScsiAddress::parse(b"2:0:1:16640"), Some(address));
        for bad in ["", "2:0:1", "2:0:1:0:0", "host2", "2:0:x:0", "2:0:-1:0"] {
            assert_eq!(ScsiAddress::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
