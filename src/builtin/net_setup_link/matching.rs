//! Owns `[Match]`: what an interface has to be for a `.link` file to apply to it. Pure: facts in, yes or no out.

use bstr::{BStr, BString, ByteSlice};

use super::conditions::{Condition, Kind, Machine};
use super::keys::{each, hardware_address, name_pattern};
use super::properties::patterns;
use super::values::{Quoting, Wrong};
use crate::properties::Properties;
use crate::text::{Case, Pattern};

/// What is known of the interface.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) name: BString,
    /// `ARPHRD_` number of the hardware.
    pub(super) hardware: u16,
    pub(super) is_loopback: bool,
    pub(super) address: Vec<u8>,
    pub(super) permanent_address: Vec<u8>,
    pub(super) driver: Option<BString>,
    /// The kind of a virtual interface.
    pub(super) kind: Option<BString>,
    pub(super) devtype: Option<BString>,
    pub(super) alternative_names: Vec<BString>,
    /// `NET_NAME_` of `netdevice.h`, if the kernel says.
    pub(super) name_origin: Option<u32>,
    /// `NET_ADDR_` of `netdevice.h`, if the kernel says.
    pub(super) address_origin: Option<u32>,
    /// The properties as set so far in the event.
    pub(super) properties: Properties,
}

/// A pattern, which may not match if it is negated.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob {
    negated: bool,
    pattern: BString,
}

impl Glob {
    fn fits(&self, value: &[u8]) -> bool {
        Pattern::single(&self.pattern, Case::Sensitive).matches(value)
    }
}

/// What a property has to be; one that is not there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PropertyGlob {
    name: BString,
    is: Glob,
}

impl PropertyGlob {
    fn holds(&self, properties: &Properties) -> bool {
        properties.get(&self.name).is_some_and(|value| self.is.fits(value)) != self.is.negated
    }
}

/// What has to be so; an empty one is the mark of a file that does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Match {
    addresses: Vec<Vec<u8>>,
    permanent: Vec<Vec<u8>>,
    path: Vec<Glob>,
    driver: Vec<Glob>,
    hardware: Vec<Glob>,
    kind: Vec<Glob>,
    name: Vec<Glob>,
    properties: Vec<PropertyGlob>,
    conditions: Vec<Condition>,
}

impl Match {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one assignment; `None` if there is no such key. Error: what is wrong with it; then that changes nothing.
    pub(super) fn assign(&mut self, key: &[u8], value: &[u8]) -> Option<Result<(), Wrong>> {
        let condition = |kind| (kind, value);
        let (kind, value) = match key {
            b"MACAddress" => return Some(addresses(&mut self.addresses, value)),
            b"PermanentMACAddress" => return Some(addresses(&mut self.permanent, value)),
            b"Path" => return Some(globs(&mut self.path, value, Quoting::Patterns)),
            b"Driver" => return Some(globs(&mut self.driver, value, Quoting::Patterns)),
            b"Type" => return Some(globs(&mut self.hardware, value, Quoting::Patterns)),
            b"Kind" => return Some(globs(&mut self.kind, value, Quoting::Patterns)),
            b"OriginalName" => return Some(globs(&mut self.name, value, Quoting::None)),
            b"Property" => return Some(properties(&mut self.properties, value)),
            b"Host" => condition(Kind::Host),
            b"Virtualization" => condition(Kind::Virtualization),
            b"KernelCommandLine" => condition(Kind::KernelCommandLine),
            b"KernelVersion" => condition(Kind::KernelVersion),
            b"Credential" => condition(Kind::Credential),
            b"Architecture" => condition(Kind::Architecture),
            b"Firmware" => condition(Kind::Firmware),
            _ => return None,
        };
        self.condition(kind, value);
        Some(Ok(()))
    }

    /// Of each kind the last counts; an empty value takes it away.
    fn condition(&mut self, kind: Kind, value: &[u8]) {
        self.conditions.retain(|condition| condition.kind != kind);
        if !value.is_empty() {
            let (negated, value) = negated(value);
            self.conditions.push(Condition { kind, negated, value: value.into() });
        }
    }

    /// True when all of it is so.
    pub(super) fn matches(&self, facts: &Facts, machine: &Machine) -> bool {
        let one_of = |list: &[Vec<u8>], address: &Vec<u8>| list.is_empty() || list.contains(address);
        let path = facts.properties.get("ID_PATH");
        // what `net_driver`, or a rule, has said of it counts
        let known_driver = facts.properties.get("ID_NET_DRIVER").map(BStr::to_owned);
        let driver = known_driver.or_else(|| facts.driver.clone());
        one_of(&self.addresses, &facts.address)
            && one_of(&self.permanent, &facts.permanent_address)
            && hold(&self.path, path.map(|path| path.as_bytes()))
            && hold(&self.driver, driver.as_ref().map(|driver| driver.as_slice()))
            && hold(&self.hardware, Some(hardware_name(facts).as_slice()))
            && hold(&self.kind, facts.kind.as_ref().map(|kind| kind.as_slice()))
            && hold(&self.name, Some(facts.name.as_slice()))
            && self.properties.iter().all(|property| property.holds(&facts.properties))
            && self.conditions.iter().all(|condition| machine.holds(condition))
    }

    /// True when the kernel's own numbering decides: names by which the interface is matched, and no `*`.
    pub(super) fn is_by_name(&self) -> bool {
        !self.name.is_empty() && !self.name.iter().any(|glob| !glob.negated && glob.pattern == "*")
    }
}

/// The names of the keys of `[Match]`.
pub(super) const KEYS: [&str; 15] = [
    "MACAddress",
    "PermanentMACAddress",
    "Path",
    "Driver",
    "Type",
    "Kind",
    "OriginalName",
    "Property",
    "Host",
    "Virtualization",
    "KernelCommandLine",
    "KernelVersion",
    "Credential",
    "Architecture",
    "Firmware",
];

/// Whether a `!` stands in front, and what stands behind it.
fn negated(value: &[u8]) -> (bool, &[u8]) {
    value.strip_prefix(b"!").map_or((false, value), |rest| (true, rest))
}

fn addresses(list: &mut Vec<Vec<u8>>, value: &[u8]) -> Result<(), Wrong> {
    if value.is_empty() {
        list.clear();
    }
    each(value, Quoting::None, |word| {
        list.push(hardware_address(word)?);
        Ok(())
    })
}

/// A `!` in front of the list is one in front of each of its patterns.
fn globs(list: &mut Vec<Glob>, value: &[u8], quoting: Quoting) -> Result<(), Wrong> {
    if value.is_empty() {
        list.clear();
    }
    let (all_negated, value) = negated(value);
    each(value, quoting, |word| {
        // only names of interfaces stand there without quotes
        let checked = if quoting == Quoting::None { name_pattern(word)? } else { word.into() };
        let (negated, pattern) = if all_negated { (true, checked.as_slice()) } else { negated(&checked) };
        list.push(Glob { negated, pattern: pattern.into() });
        Ok(())
    })
}

fn properties(list: &mut Vec<PropertyGlob>, value: &[u8]) -> Result<(), Wrong> {
    if value.is_empty() {
        list.clear();
    }
    let (negated, value) = negated(value);
    patterns(value, |name, pattern| {
        list.push(PropertyGlob { name: name.into(), is: Glob { negated, pattern: pattern.into() } });
    })
}

/// None of the negated patterns matches, and one of the others if there are any.
fn hold(list: &[Glob], value: Option<&[u8]>) -> bool {
    let matches = |glob: &&Glob| value.is_some_and(|value| glob.fits(value));
    let (refused, wanted): (Vec<&Glob>, Vec<&Glob>) = list.iter().partition(|glob| glob.negated);
    !refused.iter().any(matches) && (wanted.is_empty() || wanted.iter().any(matches))
}

/// The kernel's own name of the kind of device, or the hardware's.
fn hardware_name(facts: &Facts) -> BString {
    facts.devtype.clone().filter(|devtype| !devtype.is_empty()).unwrap_or_else(|| {
        let known = HARDWARE.iter().find(|(number, _)| *number == facts.hardware);
        known.map(|(_, name)| BString::from(*name)).unwrap_or_default()
    })
}

/// Kinds of hardware as `if_arp.h` names them, in small letters.
const HARDWARE: [(u16, &str); 58] = [
    (0, "netrom"),
    (1, "ether"),
    (2, "eether"),
    (3, "ax25"),
    (4, "pronet"),
    (5, "chaos"),
    (6, "ieee802"),
    (7, "arcnet"),
    (8, "appletlk"),
    (15, "dlci"),
    (19, "atm"),
    (23, "metricom"),
    (24, "ieee1394"),
    (27, "eui64"),
    (32, "infiniband"),
    (256, "slip"),
    (257, "cslip"),
    (258, "slip6"),
    (259, "cslip6"),
    (260, "rsrvd"),
    (264, "adapt"),
    (270, "rose"),
    (271, "x25"),
    (272, "hwx25"),
    (280, "can"),
    (290, "mctp"),
    (512, "ppp"),
    (513, "cisco"),
    (516, "lapb"),
    (517, "ddcmp"),
    (518, "rawhdlc"),
    (519, "rawip"),
    (768, "tunnel"),
    (769, "tunnel6"),
    (770, "frad"),
    (771, "skip"),
    (772, "loopback"),
    (773, "localtlk"),
    (774, "fddi"),
    (775, "bif"),
    (776, "sit"),
    (777, "ipddp"),
    (778, "ipgre"),
    (779, "pimreg"),
    (780, "hippi"),
    (781, "ash"),
    (782, "econet"),
    (783, "irda"),
    (801, "ieee80211"),
    (802, "ieee80211_prism"),
    (803, "ieee80211_radiotap"),
    (804, "ieee802154"),
    (805, "ieee802154_monitor"),
    (820, "phonet"),
    (822, "caif"),
    (823, "ip6gre"),
    (825, "6lowpan"),
    (0xfffe, "none"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roots::Roots;

    fn facts() -> Facts {
        Facts {
            name: "eth0".into(),
            hardware: 1,
            address: vec![2, 0, 0, 0, 0, 1],
            permanent_address: vec![2, 0, 0, 0, 0, 9],
            driver: Some("e1000e".into()),
            properties: [("ID_PATH", "pci-0000:00:03.0"), ("V", "vendor name"), ("ID_NET_DRIVER", "none")]
                .into_iter()
                .collect(),
            ..Facts::default()
        }
    }

    #[test]
    fn one_line_each() {
        let machine = Machine::of(&Roots::below(std::path::Path::new("/nowhere")));
        let without_driver = || {
            let mut facts = facts();
            facts.properties.remove("ID_NET_DRIVER");
            facts
        };
        let bridge = Facts { devtype: Some("bridge".into()), kind: Some("bridge".into()), ..facts() };
        for (assignments, facts, expected) in [
            ("MACAddress=02:00:00:00:00:01", facts(), true),
            ("MACAddress=02:00:00:00:00:02 02-00-00-00-00-01", facts(), true),
            ("MACAddress=02:00:00:00:00:02\nMACAddress=02:00:00:00:00:01", facts(), true),
            ("MACAddress=02:00:00:00:00:01\nMACAddress=\nMACAddress=02:00:00:00:00:02", facts(), false),
            ("PermanentMACAddress=02:00:00:00:00:09", facts(), true),
            ("PermanentMACAddress=02:00:00:00:00:01", facts(), false),
            ("Path=pci-0000:00:1a.0 pci-0000:00:0*", facts(), true),
            ("Path=!pci-*", facts(), false),
            ("Driver=e1000*", without_driver(), true),
            ("Driver=!e1000 r8169", without_driver(), true),
            ("Driver=none", without_driver(), false),
            ("Driver=none", facts(), true),
            ("Driver=e1000e !none", facts(), false),
            ("Driver=none !e1000e", facts(), true),
            ("Driver=!!none", facts(), true),
            ("Driver=n\\one", facts(), true),
            ("Driver=\"n\"one", facts(), true),
            ("Driver=[n", facts(), false),
            ("Driver=!", facts(), true),
            ("OriginalName=\"eth0\"", facts(), false),
            ("OriginalName=e\\th0", facts(), true),
            ("Property=V=vendor\\x20n?me", facts(), true),
            ("Type=ether", facts(), true),
            ("Type=!wlan", facts(), true),
            ("Type=bridge", bridge.clone(), true),
            ("Type=ether", bridge.clone(), false),
            ("Kind=bridge veth", bridge.clone(), true),
            ("Kind=bridge", facts(), false),
            ("Kind=!bridge", facts(), true),
            ("OriginalName=*", facts(), true),
            ("OriginalName=eth[1-9]", facts(), false),
            ("Property=\"V=vendor *\"", facts(), true),
            ("Property=V=x", facts(), false),
            ("Property=!V=x", facts(), true),
            ("Property=!V=x ID_PATH=pci*", facts(), false),
            ("Property=NONE=*", facts(), false),
            ("OriginalName=eth0\nDriver=other", facts(), false),
            ("OriginalName=eth0\nArchitecture=none-such", facts(), false),
            ("OriginalName=eth0\nArchitecture=!none-such", facts(), true),
            ("OriginalName=eth0\nArchitecture=none-such\nArchitecture=", facts(), true),
        ] {
            let mut wanted = Match::default();
            for line in assignments.lines() {
                let (key, value) = line.split_once('=').unwrap();
                wanted.assign(key.as_bytes(), value.as_bytes()).unwrap().unwrap();
            }
            assert_eq!(wanted.matches(&facts, &machine), expected, "{assignments}");
        }
    }

    #[test]
    fn what_is_wrong_costs_itself_alone() {
        let mut wanted = Match::default();
        for (key, value) in [
            ("MACAddress", "1:2"),
            ("Property", "x"),
            ("Property", "1A=x"),
            ("Driver", "\"x"),
            ("OriginalName", "a/b 12 \"ü"),
        ] {
            assert!(wanted.assign(key.as_bytes(), value.as_bytes()).unwrap().is_err(), "{key}");
        }
        assert_eq!(wanted.assign(b"Colour", b"red"), None);
        assert!(wanted.is_empty());
        for (key, value) in [("MACAddress", "x 02:00:00:00:00:01"), ("Property", "x A=1"), ("Path", "a \"b")]
        {
            let mut wanted = Match::default();
            assert!(wanted.assign(key.as_bytes(), value.as_bytes()).unwrap().is_err());
            assert!(!wanted.is_empty(), "what is right in {key}={value} counts");
        }
        let mut known = Match::default();
        assert!(KEYS.iter().all(|key| known.assign(key.as_bytes(), b"").is_some()));
    }
}
