//! Owns the builtin `net_id`: names that an interface could have and keep, from its firmware, its slot, its place and its
//! address (`systemd.net-naming-scheme(7)`).
//!
//! Which ones there are depends on the naming scheme (`scheme.rs`). PCI has its own file, the other buses theirs. Never
//! decides which of the names the interface gets.

mod buses;
mod pci;
pub(super) mod scheme;

use bstr::{BString, ByteSlice};

use self::scheme::{Feature, Scheme};
use super::{BuiltinError, Context, Found};
use crate::device::Device;
use crate::properties::Properties;
use crate::text::c_integer;

/// Longest name that an interface can have beside its first one, and one more (`ALTIFNAMSIZ`).
const NAME_END: usize = 128;

/// `ARPHRD_` numbers of `if_arp.h`, as the attribute `type` has them.
const ETHER: u32 = 1;
const INFINIBAND: u32 = 32;
const SLIP: u32 = 256;

/// One run of the builtin: what is asked, and what was found.
#[derive(Debug)]
struct Names<'c, 'a> {
    context: &'c Context<'a>,
    scheme: &'static Scheme,
    /// What the names begin with: `en`, `wl` …
    prefix: &'static str,
    found: Properties,
}

/// Runs `net_id`; it has no arguments. Interfaces on top of another one, and those of a kind without names, get nothing.
/// Error: [`BuiltinError::NotAnInterface`], or an attribute that every interface has is absent.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let device = context.device;
    let index = device.ifindex().ok_or(BuiltinError::NotAnInterface)?;
    let scheme = scheme::chosen(context.roots);
    let mut names = Names { context, scheme, prefix: "", found: Properties::new() };
    let missing =
        |name: &'static str| BuiltinError::Attribute { device: device.devpath().as_bytes().into(), name };
    let below = names.number(device, "iflink").ok_or_else(|| missing("iflink"))?;
    if below != index.get() {
        return Ok(Found::default());
    }
    let kind = names.number(device, "type").ok_or_else(|| missing("type"))?;
    let Some(prefix) = names.prefix_of(kind) else { return Ok(Found::default()) };
    names.prefix = prefix;
    names.add("ID_NET_NAMING_SCHEME", scheme.name);
    names.mac(kind);
    names.device_tree();
    names.ccw();
    names.vio();
    names.platform();
    names.simulated();
    names.xen();
    names.pci();
    names.usb();
    names.bcma();
    Ok(names.found.into())
}

impl Names<'_, '_> {
    fn prefix_of(&self, kind: u32) -> Option<&'static str> {
        let is = |devtype| self.context.is_devtype(self.context.device, devtype);
        match kind {
            ETHER if is("wlan") => Some("wl"),
            ETHER if is("wwan") => Some("ww"),
            ETHER => Some("en"),
            INFINIBAND => self.scheme.has(Feature::Infiniband).then_some("ib"),
            SLIP => Some("sl"),
            _ => None,
        }
    }

    /// Keeps a property; one that no record can hold, or a name that no interface can have, is left out.
    fn add(&mut self, key: &str, value: impl AsRef<[u8]>) {
        if value.as_ref().len() < NAME_END {
            let _refused = self.found.set(key, value);
        }
    }

    /// `PREFIX` and the parts, one after the other.
    fn name(&self, parts: &[&[u8]]) -> BString {
        [&[self.prefix.as_bytes()], parts].concat().concat().into()
    }

    /// The attribute without newlines at its end, where the properties of the device that has it allow it to be used
    /// (`ID_NET_NAME_ALLOW_ATTRIBUTE`, `ID_NET_NAME_ALLOW`).
    fn attribute(&self, device: &Device, name: impl AsRef<[u8]>) -> Option<BString> {
        let name = name.as_ref();
        if self.is_allowed(device, name) { self.context.attribute(device, name) } else { None }
    }

    fn is_allowed(&self, device: &Device, attribute: &[u8]) -> bool {
        let key = [b"ID_NET_NAME_ALLOW_", attribute.to_ascii_uppercase().as_slice()].concat();
        let said = [key.as_slice(), b"ID_NET_NAME_ALLOW"];
        said.iter()
            .find_map(|key| self.context.property(device, key))
            .is_none_or(|value| boolean(&value) == Some(true))
    }

    fn number(&self, device: &Device, name: &str) -> Option<u32> {
        number(&self.attribute(device, name)?)
    }

    /// Attributes that are text are used only when they are.
    fn text(&self, device: &Device, name: &str) -> Option<BString> {
        self.attribute(device, name)
            .filter(|text| text.to_str().is_ok_and(|text| !text.chars().any(is_control)))
    }

    /// The address, where it is the card's own.
    fn mac(&mut self, kind: u32) {
        let device = self.context.device;
        // 8 bytes of an InfiniBand address count: too many for a name
        if kind == INFINIBAND || self.number(device, "addr_assign_type") != Some(0) {
            return;
        }
        let Some(address) = self.attribute(device, "address") else { return };
        if let Some(digits) = six_bytes(&address) {
            self.add("ID_NET_NAME_MAC", self.name(&[b"x", &digits]));
            self.maker(&digits);
        }
    }

    /// Whose address it is, as the hardware database knows the makers' prefixes.
    fn maker(&mut self, digits: &[u8]) {
        // Xerox's prefix is what cards have that were never given an address
        if digits.starts_with(b"000000") {
            return;
        }
        let Ok(hwdb) = self.context.shared.hwdb() else { return };
        let modalias = [b"OUI:", digits.to_ascii_uppercase().as_slice()].concat();
        for (key, value) in hwdb.query(&modalias).unwrap_or_default() {
            let _checked_by_the_reader = self.found.set(key, value);
        }
    }
}

fn is_control(c: char) -> bool {
    c < ' ' || c == '\x7f'
}

/// The twelve digits of an address of six bytes, small letters; `None` for an address of another length.
fn six_bytes(address: &[u8]) -> Option<BString> {
    let is_byte = |part: &&[u8]| matches!(part.len(), 1 | 2) && part.iter().all(u8::is_ascii_hexdigit);
    let parts: Vec<&[u8]> = address.split(|&b| b == b':').collect();
    let two_digits = |part: &&[u8]| bstr::concat([if part.len() == 1 { &b"0"[..] } else { b"" }, part]);
    let digits = || parts.iter().map(two_digits).collect::<Vec<_>>().concat().to_ascii_lowercase().into();
    (parts.len() == 6 && parts.iter().all(is_byte)).then(digits)
}

/// A yes or no of systemd's files and properties.
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"1" | b"yes" | b"y" | b"true" | b"t" | b"on" => Some(true),
        b"0" | b"no" | b"n" | b"false" | b"f" | b"off" => Some(false),
        _ => None,
    }
}

/// A number as sysfs and firmware write it: decimal, `0x` hexadecimal, `0` octal.
fn number(text: &[u8]) -> Option<u32> {
    c_integer(text).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_writings() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            (" 7", Some(7)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("", None),
            ("x", None),
            ("-1", None),
            ("+7", Some(7)),
            ("0x", None),
            ("0x-1", None),
            ("7 ", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("52:54:00:Ab:cd:0e", Some("525400abcd0e")),
            ("52:54:00:ab:cd", None),
            ("5:54:0:ab:cd:e", Some("055400abcd0e")),
            ("52:54:00:ab:cd:", None),
            ("52:54:00:ab:cd:00e", None),
            ("52:54:00:ab:cd:0g", None),
            ("", None),
        ] {
            assert_eq!(six_bytes(text.as_bytes()), expected.map(BString::from), "{text}");
        }
    }
}
