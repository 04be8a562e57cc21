//! Owns reading a USB device's binary descriptors, as far as a list of its interfaces needs it.
//!
//! The bytes come from the device and are not trusted: a length that makes no sense ends the list.

use bstr::BString;

/// Length of a device descriptor, the first of every device.
const DEVICE_DESCRIPTOR: usize = 18;
/// The descriptor type of an interface (or an alternate setting of one).
const TYPE_INTERFACE: u8 = 4;
/// Length of an interface's descriptor. udev does not look at the last so many bytes: an interface that ends them, as one
/// without endpoints may, is not listed.
const INTERFACE: usize = 9;
/// Most interfaces that are listed: a device that claims more is lying or will not be matched by a list.
const MOST: usize = 72;

/// The interfaces of all configurations as `:CCSSPP:…:` (class, subclass, protocol, two hexadecimal digits each), each
/// kind once, in the order of the descriptors. Empty if there are none.
pub(super) fn interfaces(descriptors: &[u8]) -> BString {
    let mut found: Vec<[u8; 3]> = Vec::new();
    if descriptors.len() < DEVICE_DESCRIPTOR {
        return BString::default();
    }
    let mut rest = descriptors;
    // A descriptor: its length with these two bytes, its type, its fields.
    while let ([length, kind, ..], true) = (rest, rest.len() > INTERFACE) {
        let length = usize::from(*length);
        let Some((descriptor, after)) = rest.split_at_checked(length).filter(|_| length >= 3) else {
            break;
        };
        if let (TYPE_INTERFACE, [_, _, _, _, _, class, subclass, protocol, ..]) = (*kind, descriptor) {
            let triple = [*class, *subclass, *protocol];
            if found.len() < MOST && !found.contains(&triple) {
                found.push(triple);
            }
        }
        rest = after;
    }
    if found.is_empty() {
        return BString::default();
    }
    let list: String = found.iter().map(|[c, s, p]| format!(":{c:02x}{s:02x}{p:02x}")).collect();
    format!("{list}:").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(rest: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![18, 1];
        out.resize(18, 0);
        rest.iter().for_each(|d| out.extend_from_slice(d));
        out
    }

    const CONFIGURATION: &[u8] = &[9, 2, 32, 0, 1, 1, 0, 0x80, 50];
    const SERIAL: &[u8] = &[9, 4, 0, 0, 2, 0xff, 0xff, 0xff, 2];
    const VIDEO: &[u8] = &[9, 4, 1, 0, 1, 0x0e, 0x01, 0x00, 0];
    const ENDPOINT: &[u8] = &[7, 5, 0x81, 2, 64, 0, 0];

    #[test]
    fn lists() {
        let cases: &[(&[&[u8]], &str)] = &[
            (&[], ""),
            (&[CONFIGURATION], ""),
            (&[CONFIGURATION, SERIAL, ENDPOINT], ":ffffff:"),
            // at the very end: udevadm 257 lists none
            (&[CONFIGURATION, SERIAL], ""),
            (&[CONFIGURATION, VIDEO, ENDPOINT, SERIAL, ENDPOINT, VIDEO], ":0e0100:ffffff:"),
            // cut off, of no length, of an impossible length: what came before counts
            (&[CONFIGURATION, SERIAL, &VIDEO[..6]], ":ffffff:"),
            (&[CONFIGURATION, SERIAL, &[0, 4], VIDEO], ":ffffff:"),
            (&[CONFIGURATION, SERIAL, &[200, 4], VIDEO], ":ffffff:"),
            (&[&[3, 4, 0], VIDEO, ENDPOINT], ":0e0100:"),
        ];
        for (parts, expected) in cases {
            assert_eq!(interfaces(&device(parts)), *expected, "{parts:?}");
        }
        assert_eq!(interfaces(&[]), "");
        assert_eq!(interfaces(VIDEO), "", "shorter than a device descriptor");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_well_formed_list(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let list = interfaces(&bytes);
            proptest::prop_assert!(list.is_empty() || (list.len() % 7 == 1 && list.len() <= MOST * 7 + 1));
        }
    }
}
