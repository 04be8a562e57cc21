//! Owns `[Match]`: what an interface has to be for a `.link` file to apply to it. Pure: facts in, yes or no out.

use bstr::{BStr, BString, ByteSlice};

use super::conditions::{Condition, Kind, Machine};
use super::values::{address, quoted_words, words};
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

/// A list of patterns; with `!` in front of the whole list none of them may match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Globs {
    negated: bool,
    patterns: Vec<BString>,
}

/// What has to be so; an empty one is the mark of a file that does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Match {
    addresses: Vec<Vec<u8>>,
    permanent: Vec<Vec<u8>>,
    path: Vec<Globs>,
    driver: Vec<Globs>,
    hardware: Vec<Globs>,
    kind: Vec<Globs>,
    name: Vec<Globs>,
    properties: Vec<(bool, BString)>,
    conditions: Vec<Condition>,
}

impl Match {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one assignment. Error: what is wrong with it; then nothing changes.
    pub(super) fn assign(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let mut condition = |kind| Self::condition(&mut self.conditions, kind, value);
        match key {
            b"MACAddress" => addresses(&mut self.addresses, value),
            b"PermanentMACAddress" => addresses(&mut self.permanent, value),
            b"Path" => globs(&mut self.path, value),
            b"Driver" => globs(&mut self.driver, value),
            b"Type" => globs(&mut self.hardware, value),
            b"Kind" => globs(&mut self.kind, value),
            b"OriginalName" => globs(&mut self.name, value),
            b"Property" => properties(&mut self.properties, value),
            b"Host" => condition(Kind::Host),
            b"Virtualization" => condition(Kind::Virtualization),
            b"KernelCommandLine" => condition(Kind::KernelCommandLine),
            b"KernelVersion" => condition(Kind::KernelVersion),
            b"Credential" => condition(Kind::Credential),
            b"Architecture" => condition(Kind::Architecture),
            b"Firmware" => condition(Kind::Firmware),
            _ => Err(super::link_file::UNKNOWN.into()),
        }
    }

    /// Of each kind the last counts; an empty value takes it away.
    fn condition(list: &mut Vec<Condition>, kind: Kind, value: &[u8]) -> Result<(), String> {
        list.retain(|condition| condition.kind != kind);
        if !value.is_empty() {
            let (negated, value) =
                value.strip_prefix(b"!").map_or((false, value), |rest| (true, rest.trim_start()));
            list.push(Condition { kind, negated, value: value.into() });
        }
        Ok(())
    }

    /// True when all of it is so.
    pub(super) fn matches(&self, facts: &Facts, machine: &Machine) -> bool {
        let one_of = |list: &[Vec<u8>], address: &Vec<u8>| list.is_empty() || list.contains(address);
        let path = facts.properties.get("ID_PATH");
        let known_driver = || facts.properties.get("ID_NET_DRIVER").map(BStr::to_owned);
        let driver = facts.driver.clone().or_else(known_driver);
        one_of(&self.addresses, &facts.address)
            && one_of(&self.permanent, &facts.permanent_address)
            && hold(&self.path, path.map(|path| path.as_bytes()))
            && hold(&self.driver, driver.as_ref().map(|driver| driver.as_slice()))
            && hold(&self.hardware, Some(hardware_name(facts).as_slice()))
            && hold(&self.kind, facts.kind.as_ref().map(|kind| kind.as_slice()))
            && hold(&self.name, Some(facts.name.as_slice()))
            && self.properties.iter().all(|(negated, pair)| has_property(&facts.properties, pair) != *negated)
            && self.conditions.iter().all(|condition| machine.holds(condition))
    }

    /// True when the kernel's own numbering decides: names by which the interface is matched, and no `*`.
    pub(super) fn is_by_name(&self) -> bool {
        let patterns = self.name.iter().flat_map(|globs| &globs.patterns);
        !self.name.is_empty() && !patterns.into_iter().any(|pattern| pattern == "*")
    }
}

fn addresses(list: &mut Vec<Vec<u8>>, value: &[u8]) -> Result<(), String> {
    if value.is_empty() {
        list.clear();
        return Ok(());
    }
    let mut wrong = Vec::new();
    for word in words(value) {
        match address(&word) {
            Some(address) => list.push(address),
            None => wrong.push(word),
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        wrong => Err(format!("`{}` is no hardware address", bstr::join(" ", wrong).as_bstr())),
    }
}

fn globs(list: &mut Vec<Globs>, value: &[u8]) -> Result<(), String> {
    if value.is_empty() {
        list.clear();
        return Ok(());
    }
    let (negated, value) = value.strip_prefix(b"!").map_or((false, value), |rest| (true, rest));
    let patterns = quoted_words(value).ok_or("a quote does not end")?;
    list.push(Globs { negated, patterns });
    Ok(())
}

fn properties(list: &mut Vec<(bool, BString)>, value: &[u8]) -> Result<(), String> {
    if value.is_empty() {
        list.clear();
        return Ok(());
    }
    let (negated, value) = value.strip_prefix(b"!").map_or((false, value), |rest| (true, rest));
    let pairs = quoted_words(value).ok_or("a quote does not end")?;
    if let Some(pair) = pairs.iter().find(|pair| !pair.contains(&b'=')) {
        return Err(format!("`{pair}` is no NAME=VALUE"));
    }
    list.extend(pairs.into_iter().map(|pair| (negated, pair)));
    Ok(())
}

/// None of the negated patterns matches, and one of the others if there are any.
fn hold(list: &[Globs], value: Option<&[u8]>) -> bool {
    let matches = |globs: &Globs| {
        let is =
            |pattern: &BString| value.is_some_and(|v| Pattern::single(pattern, Case::Sensitive).matches(v));
        globs.patterns.iter().any(is)
    };
    let (refused, wanted): (Vec<&Globs>, Vec<&Globs>) = list.iter().partition(|globs| globs.negated);
    !refused.into_iter().any(matches) && (wanted.is_empty() || wanted.into_iter().any(matches))
}

fn has_property(properties: &Properties, pair: &[u8]) -> bool {
    let Some((key, pattern)) = pair.split_once_str(b"=") else { return false };
    properties.get(key).is_some_and(|value| Pattern::single(pattern, Case::Sensitive).matches(value))
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
            ("Driver=e1000*", facts(), true),
            ("Driver=!e1000 r8169", facts(), true),
            ("Driver=none", facts(), false),
            ("Driver=none", Facts { driver: None, ..facts() }, true),
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
                wanted.assign(key.as_bytes(), value.as_bytes()).unwrap();
            }
            assert_eq!(wanted.matches(&facts, &machine), expected, "{assignments}");
        }
    }

    #[test]
    fn what_is_wrong_costs_itself_alone() {
        let mut wanted = Match::default();
        for (key, value) in [("MACAddress", "1:2"), ("Property", "x"), ("Driver", "\"x"), ("Colour", "red")] {
            assert!(wanted.assign(key.as_bytes(), value.as_bytes()).is_err(), "{key}");
        }
        assert!(wanted.is_empty());
        assert!(wanted.assign(b"MACAddress", b"x 02:00:00:00:00:01").is_err());
        assert!(!wanted.is_empty(), "the address that is one counts");
    }
}
