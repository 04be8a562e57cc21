//! Owns `usb_id`: what a USB device says about itself, as `ID_*` and `ID_USB_*`.
//!
//! The event's device may be the USB device itself or anything below one of its interfaces (a tty, a disk, a camera). A mass
//! storage interface that speaks SCSI is described by the SCSI device behind it, since bridges often say less about
//! themselves than the disk does. Values get udev's limits and character rules, so that names are those people know.

mod classes;
mod descriptors;

use bstr::BString;

use super::look::ScsiAddress;
use super::{BuiltinError, Context, Found};
use crate::device::Device;
use crate::properties::Properties;
use crate::text::{SafeExtra, collapse_whitespace, encode_node_name_within, replace_unsafe};

/// Bytes of vendor, model and revision that go into a name; what is longer is cut, as udev does.
const NAME_BYTES: usize = 63;
/// Bytes of vendor and model as they are escaped.
const ENCODED_BYTES: usize = 255;
/// Bytes of the serial number that go into a name.
const SERIAL_SHORT_BYTES: usize = 511;
/// Longest `ID_SERIAL`.
const SERIAL_BYTES: usize = 255;

/// A string of the device in its two forms: fit for names, and escaped without loss.
#[derive(Debug, Default)]
struct Text {
    name: BString,
    encoded: BString,
}

impl Text {
    fn new(raw: &[u8]) -> Self {
        Self { name: for_names(raw, NAME_BYTES), encoded: encode_node_name_within(raw, ENCODED_BYTES) }
    }

    /// `self`, or the text of `other` where `self` has nothing that could be part of a name.
    fn or_else(self, other: impl FnOnce() -> BString) -> Self {
        if self.name.is_empty() { Self::new(&other()) } else { self }
    }
}

/// What the SCSI device behind a mass storage interface says. Reading stops at the first thing that is missing.
#[derive(Debug, Default)]
struct Inquiry {
    vendor: Text,
    model: Text,
    kind: Option<&'static str>,
    revision: BString,
    instance: Option<BString>,
}

/// Everything that becomes a property.
#[derive(Debug)]
struct Identity {
    vendor: Text,
    vendor_id: BString,
    model: Text,
    model_id: BString,
    revision: BString,
    serial_short: BString,
    kind: Option<&'static str>,
    instance: Option<BString>,
    interfaces: BString,
    interface_number: Option<BString>,
    driver: Option<BString>,
}

/// The interface that the event's device hangs on.
#[derive(Debug)]
struct Interface {
    number: Option<BString>,
    driver: Option<BString>,
    kind: Option<&'static str>,
    /// Mass storage with SCSI or ATAPI commands: there is a SCSI device to ask.
    speaks_scsi: bool,
}

/// Runs `usb_id`; it has no arguments. Errors: [`BuiltinError::NoParent`] where there is no USB above the device,
/// [`BuiltinError::Attribute`] where the kernel's own attributes are missing.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let identity = if context.is_devtype(context.device, "usb_device") {
        identify(context, context.device, None)?
    } else {
        let interface = context
            .ancestor(context.device, "usb", "usb_interface")
            .ok_or(BuiltinError::NoParent("USB interface"))?;
        let about = read_interface(context, &interface)?;
        let usb =
            context.ancestor(&interface, "usb", "usb_device").ok_or(BuiltinError::NoParent("USB device"))?;
        identify(context, &usb, Some(about))?
    };
    let bus_is_known = context.properties.get("ID_BUS").is_some_and(|bus| !bus.is_empty());
    Ok(identity.properties(!bus_is_known).into())
}

fn read_interface(context: &Context<'_>, interface: &Device) -> Result<Interface, BuiltinError> {
    const CLASS: &str = "bInterfaceClass";
    let class = super::look::hex(&context.need(interface, CLASS)?).ok_or_else(|| {
        BuiltinError::Attribute { device: interface.devpath().as_bytes().into(), name: CLASS }
    })?;
    let (kind, speaks_scsi) = if class == classes::MASS_STORAGE {
        match context.attribute(interface, "bInterfaceSubClass") {
            Some(subclass) => classes::of_storage(&subclass),
            None => (None, false),
        }
    } else {
        (Some(classes::of_interface(class)), false)
    };
    Ok(Interface {
        number: context.attribute(interface, "bInterfaceNumber"),
        driver: context.reader.driver(interface),
        kind,
        speaks_scsi,
    })
}

fn inquiry(context: &Context<'_>) -> Option<Inquiry> {
    let scsi = context.ancestor(context.device, "scsi", "scsi_device")?;
    let address = ScsiAddress::parse(&scsi.sysname())?;
    let mut out = Inquiry::default();
    // The chain ends at the first attribute that is missing; what was read before it stays.
    let _complete = (|| {
        out.vendor = Text::new(&context.attribute(&scsi, "vendor")?);
        out.model = Text::new(&context.attribute(&scsi, "model")?);
        out.kind = Some(classes::of_scsi(&context.attribute(&scsi, "type")?));
        out.revision = for_names(&context.attribute(&scsi, "rev")?, NAME_BYTES);
        // Card readers give all their slots the same strings: only the address tells them apart.
        out.instance = Some(format!("{}:{}", address.target, address.lun).into());
        Some(())
    })();
    Some(out)
}

fn identify(
    context: &Context<'_>,
    usb: &Device,
    interface: Option<Interface>,
) -> Result<Identity, BuiltinError> {
    let scsi = match &interface {
        Some(i) if i.speaks_scsi => inquiry(context).unwrap_or_default(),
        _ => Inquiry::default(),
    };
    let vendor_id = context.need(usb, "idVendor")?;
    let model_id = context.need(usb, "idProduct")?;
    let revision = match scsi.revision {
        r if r.is_empty() => {
            context.attribute(usb, "bcdDevice").map(|r| for_names(&r, NAME_BYTES)).unwrap_or_default()
        }
        r => r,
    };
    let descriptors = context.reader.attribute(usb, b"descriptors").unwrap_or_default();
    let (number, driver, kind) = interface.map_or((None, None, None), |i| (i.number, i.driver, i.kind));
    Ok(Identity {
        vendor: scsi
            .vendor
            .or_else(|| context.attribute(usb, "manufacturer").unwrap_or_else(|| vendor_id.clone())),
        model: scsi.model.or_else(|| context.attribute(usb, "product").unwrap_or_else(|| model_id.clone())),
        vendor_id,
        model_id,
        revision,
        serial_short: context.attribute(usb, "serial").map(|s| serial_short(&s)).unwrap_or_default(),
        kind: scsi.kind.or(kind),
        instance: scsi.instance,
        interfaces: descriptors::interfaces(&descriptors),
        interface_number: number,
        driver,
    })
}

impl Identity {
    /// `vendor_model[_serial][-target:lun]`.
    fn serial(&self) -> BString {
        let mut out = self.vendor.name.clone();
        out.push(b'_');
        out.extend_from_slice(&self.model.name);
        if !self.serial_short.is_empty() {
            out.push(b'_');
            out.extend_from_slice(&self.serial_short);
        }
        if let Some(instance) = &self.instance {
            out.push(b'-');
            out.extend_from_slice(instance);
        }
        out.truncate(SERIAL_BYTES);
        out
    }

    /// The properties, in udev's order; those without `USB` in their names only when no other bus has claimed the device.
    fn properties(&self, plain_too: bool) -> Properties {
        let serial = self.serial();
        let kind = self.kind.unwrap_or_default().as_bytes();
        let instance = self.instance.as_ref().map_or(&b""[..], |i| i);
        let both: [(&str, &[u8]); 11] = [
            ("MODEL", &self.model.name),
            ("MODEL_ENC", &self.model.encoded),
            ("MODEL_ID", &self.model_id),
            ("SERIAL", &serial),
            ("SERIAL_SHORT", &self.serial_short),
            ("VENDOR", &self.vendor.name),
            ("VENDOR_ENC", &self.vendor.encoded),
            ("VENDOR_ID", &self.vendor_id),
            ("REVISION", &self.revision),
            ("TYPE", kind),
            ("INSTANCE", instance),
        ];
        let optional = |value: &Option<BString>| value.clone().unwrap_or_default();
        let mut all: Vec<(String, BString)> = Vec::new();
        if plain_too {
            all.push(("ID_BUS".into(), "usb".into()));
            all.extend(both.iter().map(|(key, value)| (format!("ID_{key}"), (*value).into())));
        }
        all.extend(both.iter().map(|(key, value)| (format!("ID_USB_{key}"), (*value).into())));
        all.extend([
            ("ID_USB_INTERFACES".into(), self.interfaces.clone()),
            ("ID_USB_INTERFACE_NUM".into(), optional(&self.interface_number)),
            ("ID_USB_DRIVER".into(), optional(&self.driver)),
        ]);
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// The first `limit` bytes of `raw` as part of a name: white space trimmed and collapsed to `_`, unsafe bytes replaced by `_`.
fn for_names(raw: &[u8], limit: usize) -> BString {
    let cut = raw.get(..limit).unwrap_or(raw);
    replace_unsafe(&collapse_whitespace(cut), SafeExtra::None)
}

/// The serial number as part of a name; empty when it holds a byte that the USB mass storage specification and Windows do
/// not take (not printable ASCII, or a comma): cheap devices send noise there, and noise is no identity.
fn serial_short(raw: &[u8]) -> BString {
    let is_bad = |b: &u8| *b < 0x20 || *b > 0x7f || *b == b',';
    if raw.iter().any(is_bad) { BString::default() } else { for_names(raw, SERIAL_SHORT_BYTES) }
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn names() {
        for (raw, expected) in [
            ("u-blox AG - www.u-blox.com", "u-blox_AG_-_www.u-blox.com"),
            ("  Disk   2.0 ", "Disk_2.0"),
            ("A/B*C", "A_B_C"),
            ("Gerät", "Gerät"),
            ("", ""),
        ] {
            assert_eq!(for_names(raw.as_bytes(), NAME_BYTES), expected, "{raw}");
        }
        assert_eq!(for_names(&[b'x'; 80], NAME_BYTES).len(), 63);
        // cut within a character: what is left of it is no text any more
        assert_eq!(for_names("xxé".as_bytes(), 3), "xx_");
    }

    #[test]
    fn serial_numbers() {
        for (raw, expected) in [
            (&b"A50285BI"[..], "A50285BI"),
            (b"0000:00:14.0", "0000:00:14.0"),
            (b"with space ", "with_space"),
            (b"a,b", ""),
            (b"\x01\x02", ""),
            ("№7".as_bytes(), ""),
        ] {
            assert_eq!(serial_short(raw), expected, "{}", raw.as_bstr());
        }
    }
}
