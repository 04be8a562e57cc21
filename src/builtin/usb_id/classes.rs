//! Owns the words for kinds of devices: of USB interface classes, mass storage subclasses and SCSI device types.
//!
//! Never reads a device.

use crate::builtin::look::decimal;

/// The interface class of mass storage, whose word depends on the subclass.
pub(super) const MASS_STORAGE: u32 = 8;

/// The word for an interface class (USB-IF's table of class codes).
pub(super) fn of_interface(class: u32) -> &'static str {
    match class {
        0x01 => "audio",
        0x03 => "hid",
        0x06 => "media",
        0x07 => "printer",
        0x08 => "storage",
        0x09 => "hub",
        0x0e => "video",
        _ => "generic",
    }
}

/// The word for a mass storage subclass, and whether its commands are SCSI's, so that a SCSI device is behind it.
pub(super) fn of_storage(subclass: &[u8]) -> (Option<&'static str>, bool) {
    match decimal(subclass) {
        Some(1) => (Some("rbc"), false),
        Some(2) => (Some("atapi"), true),
        Some(3) => (Some("tape"), false),
        Some(4) => (Some("floppy"), false),
        Some(6) => (Some("scsi"), true),
        _ => (Some("generic"), false),
    }
}

/// The word for the peripheral device type of a SCSI inquiry.
pub(super) fn of_scsi(kind: &[u8]) -> &'static str {
    match decimal(kind) {
        Some(0 | 0x0e) => "disk",
        Some(1) => "tape",
        Some(4 | 7 | 0x0f) => "optical",
        Some(5) => "cd",
        _ => "generic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(
            [0, 1, 2, 3, 6, 7, 9, 0x0e, 0xff].map(of_interface),
            ["generic", "audio", "generic", "hid", "media", "printer", "hub", "video", "generic"]
        );
        assert_eq!(
            ["01", "02", "03", "04", "06", "05", "x"].map(|s| of_storage(s.as_bytes()).0.unwrap()),
            ["rbc", "atapi", "tape", "floppy", "scsi", "generic", "generic"]
        );
        assert_eq!(["02", "06", "01", "05"].map(|s| of_storage(s.as_bytes()).1), [true, true, false, false]);
        assert_eq!(
            ["0", "14", "1", "4", "7", "15", "5", "3", ""].map(|s| of_scsi(s.as_bytes())),
            ["disk", "disk", "tape", "optical", "optical", "optical", "cd", "generic", "generic"]
        );
    }
}
