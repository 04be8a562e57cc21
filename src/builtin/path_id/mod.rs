//! Owns `path_id`: where a device is plugged in, as a text that is the same after every start, in `ID_PATH` and its relatives.
//!
//! It walks from the device up to the root. Each bus that it knows says its part of the path and where to go on; parts are put
//! in front of what is there already. The answer stands only if some part is unique on the machine by itself (a PCI address,
//! a world wide name), and for disks only if the bus that carries the data is known too: else two devices could get one path.

mod buses;
mod scsi;

use bstr::{BString, ByteSlice};

use super::look::{in_subsystem, top_of_run};
use super::{BuiltinError, Context, Found};
use crate::device::Device;
use crate::properties::Properties;

/// The path as found so far; parts are kept from the device up, the other way round than they are read.
#[derive(Debug, Default)]
struct Path {
    parts: Vec<BString>,
    /// The path with the USB revision of the root hub in it, where there is one.
    with_revision: Option<Vec<BString>>,
    /// The path that ATA disks had before target numbers were part of it.
    ata_compat: Option<Vec<BString>>,
    /// Some part is unique on this machine.
    has_anchor: bool,
    /// The bus that carries the data is known.
    has_transport: bool,
}

impl Path {
    /// Puts `part` in front.
    fn prepend(&mut self, part: impl Into<BString>) {
        let part = part.into();
        if let Some(parts) = &mut self.with_revision {
            parts.push(part.clone());
        }
        self.parts.push(part);
    }

    /// As [`Path::prepend`], and in front of the old form of an ATA path if there is one.
    fn prepend_all(&mut self, part: impl Into<BString>) {
        let part = part.into();
        if let Some(parts) = &mut self.ata_compat {
            parts.push(part.clone());
        }
        self.prepend(part);
    }

    /// Puts `plain` in front, and `with_revision` in the path that has the USB revision.
    fn prepend_usb(&mut self, plain: BString, with_revision: Option<BString>) {
        if let Some(part) = with_revision {
            self.with_revision.get_or_insert_with(|| self.parts.clone()).push(part);
        }
        self.parts.push(plain);
    }

    /// Puts an ATA port in front: `part`, and `old` in the old form, which begins here if it has not yet.
    fn prepend_ata(&mut self, part: impl Into<BString>, old: impl Into<BString>) {
        self.prepend(part);
        self.ata_compat.get_or_insert_default().push(old.into());
    }

    fn properties(&self) -> Properties {
        let path = join(&self.parts);
        let tag = tag_of(&path);
        let in_udevs_order = [
            ("ID_PATH_WITH_USB_REVISION", self.with_revision.as_deref().map(join)),
            ("ID_PATH", Some(path)),
            ("ID_PATH_TAG", Some(tag)),
            ("ID_PATH_ATA_COMPAT", self.ata_compat.as_deref().map(join)),
        ];
        in_udevs_order.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Where the walk goes on.
#[derive(Debug)]
enum Next {
    /// At the parent of this device.
    Above(Device),
    /// Nowhere: what has been found is all there is.
    Stop,
}

impl From<Option<Device>> for Next {
    fn from(device: Option<Device>) -> Self {
        device.map_or(Next::Stop, Next::Above)
    }
}

/// Runs `path_id`; it has no arguments. Error: [`BuiltinError::NoStablePath`].
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let mut path = Path::default();
    let mut here = Some(context.device.clone());
    while let Some(device) = here {
        here = match visit(context, &device, &mut path)? {
            Next::Above(from) => from.parent(),
            Next::Stop => None,
        };
    }
    let is_disk = in_subsystem(context.device, "block");
    if path.parts.is_empty() || !path.has_anchor || (is_disk && !path.has_transport) {
        return Err(BuiltinError::NoStablePath);
    }
    Ok(path.properties().into())
}

/// Buses whose part is `BUS-NAME`, with whether they also carry a disk's data. Each is an anchor: its names are unique on
/// the machine and do not change.
const NAMED_BUSES: [(&str, bool); 9] = [
    ("pci", false),
    ("platform", true),
    ("amba", true),
    ("acpi", false),
    ("xen", false),
    ("scm", true),
    ("ccw", true),
    ("ccwgroup", true),
    ("iucv", true),
];

/// Adds what the bus of `device` knows to the path. Error: [`BuiltinError::NoStablePath`] where the bus says that there is none.
fn visit(context: &Context<'_>, device: &Device, path: &mut Path) -> Result<Next, BuiltinError> {
    let subsystem = device.subsystem().unwrap_or_default();
    if let Some((bus, transport)) = NAMED_BUSES.iter().find(|(bus, _)| subsystem == *bus) {
        path.prepend_all(labelled(bus, &device.sysname()));
        path.has_anchor = true;
        path.has_transport |= transport;
        return Ok(Next::Above(top_of_run(device, bus)));
    }
    let next = match subsystem.as_slice() {
        b"scsi_tape" => buses::scsi_tape(device, path),
        b"scsi" => scsi::scsi(context, device, path),
        b"cciss" => buses::cciss(device, path),
        b"usb" => buses::usb(context, device, path),
        b"bcma" => buses::bcma(device, path),
        b"serio" => buses::numbered(device, path, "serio", "serio"),
        b"spi" => buses::numbered(device, path, "spi", "cs"),
        b"ap" => buses::ap(context, device, path),
        b"virtio" => {
            path.has_transport = true;
            Next::Above(top_of_run(device, "virtio"))
        }
        b"nvme" | b"nvme-subsystem" => buses::nvme(context, device, path)?,
        _ => Next::Above(device.clone()),
    };
    Ok(next)
}

/// `LABEL-VALUE`.
fn labelled(label: &str, value: &[u8]) -> BString {
    bstr::concat([label.as_bytes(), b"-", value]).into()
}

/// The parts as they are read: the last to come is the first.
fn join(parts: &[BString]) -> BString {
    let forward: Vec<&[u8]> = parts.iter().rev().map(|p| p.as_bytes()).collect();
    forward.join(&b'-').into()
}

/// The path with only the bytes that a tag may have: runs of others become one `_`, none at either end.
fn tag_of(path: &[u8]) -> BString {
    let is_kept = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let words: Vec<&[u8]> = path.split(|b| !is_kept(b)).filter(|w| !w.is_empty()).collect();
    words.join(&b'_').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (path, expected) in [
            ("pci-0000:00:14.0-usb-0:2:1.0", "pci-0000_00_14_0-usb-0_2_1_0"),
            ("ip-[fe80::1]:3260-iscsi-iqn.2026-01.x:y-lun-0", "ip-_fe80_1_3260-iscsi-iqn_2026-01_x_y-lun-0"),
            ("::a..b::", "a_b"),
            ("", ""),
        ] {
            assert_eq!(tag_of(path.as_bytes()), expected);
        }
    }

    #[test]
    fn parts_come_from_the_device_up() {
        let mut path = Path::default();
        path.prepend("scsi-0:0:0:0");
        path.prepend_usb("usb-0:2:1.0".into(), Some("usbv3-0:2:1.0".into()));
        path.prepend_all("pci-0000:00:14.0");
        let properties = path.properties();
        assert_eq!(properties.get("ID_PATH").unwrap(), "pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0");
        assert_eq!(
            properties.get("ID_PATH_WITH_USB_REVISION").unwrap(),
            "pci-0000:00:14.0-usbv3-0:2:1.0-scsi-0:0:0:0"
        );
        assert_eq!(properties.get("ID_PATH_ATA_COMPAT"), None);
    }

    #[test]
    fn the_old_ata_form_has_only_the_port() {
        let mut path = Path::default();
        path.prepend_ata("ata-1.0", "ata-1");
        path.prepend_all("pci-0000:00:1f.2");
        let properties = path.properties();
        assert_eq!(properties.get("ID_PATH").unwrap(), "pci-0000:00:1f.2-ata-1.0");
        assert_eq!(properties.get("ID_PATH_ATA_COMPAT").unwrap(), "pci-0000:00:1f.2-ata-1");
    }

    proptest::proptest! {
        #[test]
        fn any_path_gives_a_tag_that_udev_takes(path in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let tag = tag_of(&path);
            proptest::prop_assert!(tag.is_empty() || crate::ids::Tag::new(&tag).is_ok());
            proptest::prop_assert!(!tag.contains_str("__") && !tag.starts_with(b"_") && !tag.ends_with(b"_"));
            proptest::prop_assert_eq!(tag_of(&tag), tag);
        }
    }
}
