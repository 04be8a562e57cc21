//! Owns `fido_id`: whether a HID device is a security token, from the usage that its report descriptor declares.
//!
//! Reads sysfs only.

use bstr::BString;

use super::helper::{Arguments, Said};
use super::{BuiltinError, Context};

/// The usage of CTAPHID, page 0xF1D0 (FIDO client to authenticator protocol, section 11.2.8.1).
const TOKEN: u32 = 0xf1d0_0001;

/// Says `ID_FIDO_TOKEN=1` and `ID_SECURITY_TOKEN=1` of the HID device above the device, or nothing.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    Arguments::parse(arguments, &[])?;
    let hid = context.device.parent().ok_or(BuiltinError::NoParent("HID device"))?;
    let name = "report_descriptor";
    let descriptor = context
        .reader
        .attribute(&hid, name.as_bytes())
        .filter(|descriptor| !descriptor.is_empty())
        .ok_or_else(|| BuiltinError::Attribute { device: hid.devpath().as_bytes().into(), name })?;
    let is_token = is_token(&descriptor)
        .ok_or_else(|| BuiltinError::Failed(format!("the report descriptor of {} is cut", hid.devpath())))?;
    let facts = ["ID_FIDO_TOKEN", "ID_SECURITY_TOKEN"].map(|key| (key.to_owned(), "1".into()));
    Ok(if is_token { Said::facts(facts.into()) } else { Said::default() })
}

/// True when a descriptor (HID 1.11, section 6.2.2) declares the usage; `None` when it is no descriptor.
fn is_token(descriptor: &[u8]) -> Option<bool> {
    /// Type and tag of the items that are looked at: the first byte without its length.
    const USAGE_PAGE: u8 = 0x04;
    const USAGE: u8 = 0x08;
    const LONG: u8 = 0xfe;
    let mut rest = descriptor;
    let mut page = 0;
    while let Some((&head, after)) = rest.split_first() {
        if head == LONG {
            let len = usize::from(*after.first()?);
            // a length and a tag come before the data
            rest = after.get(len + 2..).unwrap_or_default();
            continue;
        }
        let len = match head & 3 {
            3 => 4,
            short => usize::from(short),
        };
        let (data, after) = after.split_at_checked(len)?;
        rest = after;
        let value = data.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        match head & !3 {
            USAGE_PAGE if len > 2 => return None,
            USAGE_PAGE => page = value,
            // four bytes hold a page of their own
            USAGE if len == 4 && value == TOKEN => return Some(true),
            USAGE if len == 4 => page = value >> 16,
            USAGE if page << 16 | value == TOKEN => return Some(true),
            _ => {}
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors() {
        let token = [0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20];
        let cases: &[(&[u8], Option<bool>)] = &[
            (&token, Some(true)),
            (&[], Some(false)),
            // a keyboard
            (&[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0], Some(false)),
            // the page without the usage, the usage on another page
            (&[0x06, 0xd0, 0xf1, 0x09, 0x02], Some(false)),
            (&[0x05, 0xd0, 0x09, 0x01], Some(false)),
            // the whole usage in four bytes
            (&[0x0b, 0x01, 0x00, 0xd0, 0xf1], Some(true)),
            // a long item in front, one that leads beyond the end
            (&[0xfe, 0x01, 0x00, 0xaa, 0x06, 0xd0, 0xf1, 0x09, 0x01], Some(true)),
            (&[0xfe, 0xff, 0x00], Some(false)),
            (&[0xfe], None),
            (&token[..2], None),
            (&[0x07, 0xd0, 0xf1, 0x00, 0x00], None),
        ];
        for (descriptor, expected) in cases {
            assert_eq!(is_token(descriptor), *expected, "{descriptor:02x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let _answer = is_token(&bytes);
        }
    }
}
