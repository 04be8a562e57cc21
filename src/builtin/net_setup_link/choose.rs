//! Owns what a `.link` file comes to for one interface: its name, its other names, its address, and the rest as settings.
//!
//! Pure: the file and the facts in, values out. Never asks the kernel.

use std::hash::Hasher;

use bstr::{BString, ByteSlice};
use siphasher::sip::SipHasher24;

use super::link_file::{AddressPolicy, LinkFile, Policy, WakePassword, Wanted};
use super::matching::Facts;
use super::values::{is_alternative_name, is_name};
use crate::builtin::interface::{Address, FlowControl, LinkMode, Setting, Wake};
use crate::builtin::net_id::scheme::{Feature, Scheme};
use crate::ids::Action;

/// `NET_NAME_` of `netdevice.h`.
const NAME_ENUMERATED: u32 = 1;
const NAME_PREDICTABLE: u32 = 2;
const NAME_BY_USER: u32 = 3;
const NAME_RENAMED: u32 = 4;
/// `NET_ADDR_` of `netdevice.h`.
const ADDRESS_PERMANENT: u32 = 0;
const ADDRESS_RANDOM: u32 = 1;
/// `ARPHRD_` of `if_arp.h`.
const ETHER: u16 = 1;
const INFINIBAND: u16 = 32;
/// Bytes of an InfiniBand address, and how many of them can be changed: the last.
const INFINIBAND_LENGTH: usize = 20;
const INFINIBAND_OWN: usize = 8;

/// The key under which systemd derives addresses, so that a machine keeps its addresses when its manager changes.
const ADDRESS_KEY: [u8; 16] =
    [0xd3, 0x1e, 0x48, 0xfa, 0x90, 0xfe, 0x4b, 0x4c, 0x9d, 0xaf, 0xd5, 0xd7, 0xa1, 0xb1, 0x2e, 0x8a];

/// Properties that hold names, best first, for an address that lasts.
const LASTING_NAMES: [&str; 4] =
    ["ID_NET_NAME_ONBOARD", "ID_NET_NAME_SLOT", "ID_NET_NAME_PATH", "ID_NET_NAME_MAC"];

/// What the system says beside the interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct System {
    pub(super) action: Action,
    pub(super) scheme: &'static Scheme,
    /// False with `net.ifnames=0`.
    pub(super) names_wanted: bool,
    pub(super) machine_id: Option<[u8; 16]>,
}

/// True when user space or the user has given the name.
fn is_given(facts: &Facts) -> bool {
    matches!(facts.name_origin, Some(NAME_BY_USER | NAME_RENAMED))
}

/// True when the kernel counted to find the name, so that another start may give another.
pub(super) fn is_counted(facts: &Facts) -> bool {
    facts.name_origin == Some(NAME_ENUMERATED)
}

/// The name that the interface is to have; its own where nothing else is asked for.
pub(super) fn name(wanted: &Wanted, facts: &Facts, system: &System) -> BString {
    let keeps = system.action != Action::Add || (is_given(facts) && !system.scheme.has(Feature::NamedAgain));
    if keeps {
        return facts.name.clone();
    }
    for policy in wanted.name_policy.iter().filter(|_| system.names_wanted) {
        match policy {
            Policy::Kernel if facts.name_origin == Some(NAME_PREDICTABLE) => return facts.name.clone(),
            Policy::Keep if is_given(facts) => return facts.name.clone(),
            _ => {}
        }
        if let Some(name) = by_policy(*policy, facts).filter(|name| is_name(name)) {
            return name;
        }
    }
    wanted.name.clone().unwrap_or_else(|| facts.name.clone())
}

fn by_policy(policy: Policy, facts: &Facts) -> Option<BString> {
    let key = match policy {
        Policy::Kernel | Policy::Keep => return None,
        Policy::Database => "ID_NET_NAME_FROM_DATABASE",
        Policy::Onboard => "ID_NET_NAME_ONBOARD",
        Policy::Slot => "ID_NET_NAME_SLOT",
        Policy::Path => "ID_NET_NAME_PATH",
        Policy::Mac => "ID_NET_NAME_MAC",
    };
    facts.properties.get(key).map(BString::from)
}

/// Names that the interface is to have beside `first`, and has not yet; sorted.
fn alternative_names(wanted: &Wanted, facts: &Facts, first: &[u8]) -> Vec<BString> {
    let by_policies = wanted.alternative_policy.iter().filter_map(|policy| by_policy(*policy, facts));
    let all = wanted.alternative_names.iter().cloned().chain(by_policies);
    let has = |name: &BString| name == first || *name == facts.name || facts.alternative_names.contains(name);
    let mut names: Vec<BString> = all.filter(|name| is_alternative_name(name) && !has(name)).collect();
    names.sort();
    names.dedup();
    names
}

/// The address that the interface is to have; `None` where it has the right one. Error: why there is none.
fn address(wanted: &Wanted, facts: &Facts, system: &System) -> Result<Option<Address>, String> {
    if facts.address.is_empty() {
        return Ok(None);
    }
    let given = match wanted.address_policy {
        AddressPolicy::None => match &wanted.address {
            Some(address) => checked(address.clone(), true, facts)?,
            None => return Ok(None),
        },
        _ if !matches!(facts.hardware, ETHER | INFINIBAND) => return Ok(None),
        policy => {
            let is_random = match facts.address_origin {
                Some(ADDRESS_PERMANENT) => false,
                Some(ADDRESS_RANDOM) => true,
                // set by user space, or borrowed from another interface
                _ => return Ok(None),
            };
            match policy {
                AddressPolicy::Random if is_random => return Ok(None),
                AddressPolicy::Random => return Ok(Some(thrown(facts))),
                _ if !is_random => return Ok(None),
                _ => lasting(facts, system)?,
            }
        }
    };
    Ok(Some(given).filter(|address| *address != facts.address).map(Address::Fixed))
}

fn thrown(facts: &Facts) -> Address {
    match facts.hardware {
        INFINIBAND => {
            let kept = facts.address.get(..INFINIBAND_LENGTH - INFINIBAND_OWN).unwrap_or_default();
            Address::Random { kept: kept.into(), thrown: INFINIBAND_OWN }
        }
        _ => Address::Random { kept: Vec::new(), thrown: 6 },
    }
}

/// An address that is the same at every start of this machine: from its id and a name that lasts.
fn lasting(facts: &Facts, system: &System) -> Result<Vec<u8>, String> {
    let lasting = LASTING_NAMES.iter().find_map(|key| facts.properties.get(key));
    let own = || system.scheme.has(Feature::AddressFromName).then(|| facts.name.as_bstr());
    let name = lasting.or_else(own).ok_or("no name of the interface lasts")?;
    let machine = system.machine_id.ok_or("the machine has no id")?;
    let mut hasher = SipHasher24::new_with_key(&ADDRESS_KEY);
    hasher.write(&[&machine, name.as_bytes()].concat());
    let bytes = hasher.finish().to_le_bytes();
    let bytes = match facts.hardware {
        INFINIBAND => [vec![0; INFINIBAND_LENGTH - INFINIBAND_OWN], bytes.to_vec()].concat(),
        _ => bytes.get(..6).unwrap_or_default().into(),
    };
    checked(bytes, false, facts)
}

/// The address as hardware of this kind takes it. `given`: a person wrote it, and is told what is changed.
fn checked(mut address: Vec<u8>, given: bool, facts: &Facts) -> Result<Vec<u8>, String> {
    if address.len() != facts.address.len() {
        let (is, has) = (address.len(), facts.address.len());
        return Err(format!("an address of {is} bytes is none for hardware with {has}"));
    }
    match (facts.hardware, address.as_mut_slice()) {
        (ETHER, bytes) if bytes.iter().all(|&b| b == 0) || bytes.iter().all(|&b| b == 0xff) => {
            Err("all bits of an address can't be alike".into())
        }
        (ETHER, [first, ..]) => {
            if given && *first & 1 != 0 {
                tracing::warn!("interface {}: the group bit of MACAddress= is cleared", facts.name);
            }
            *first &= 0xfe;
            *first |= if given { 0 } else { 0x02 };
            Ok(address)
        }
        (INFINIBAND, bytes) => {
            let at = bytes.len().saturating_sub(INFINIBAND_OWN);
            if bytes.iter().skip(at).all(|&b| b == 0) {
                return Err("the last 8 bytes of an InfiniBand address can't be zero".into());
            }
            for (to, from) in bytes.iter_mut().zip(&facts.address).take(at) {
                *to = *from;
            }
            Ok(address)
        }
        _ => Ok(address),
    }
}

/// All that is to be done to the interface, in order. What can't be is logged and left out.
pub(super) fn settings(file: &LinkFile, facts: &Facts, system: &System, first: &[u8]) -> Vec<Setting> {
    let wanted = &file.wanted;
    let mut out = Vec::new();
    out.extend(some(LinkMode::default(), wanted.mode.clone()).map(Setting::LinkMode));
    let password = match &wanted.wake_password {
        Some(WakePassword::Plain(password)) => Some(*password),
        _ => None,
    };
    out.extend(some(Wake::default(), Wake { options: wanted.wake, password }).map(Setting::Wake));
    out.extend(some(Vec::new(), wanted.offloads.clone()).map(Setting::Offloads));
    out.extend(some([None; 4], wanted.channels).map(Setting::Channels));
    out.extend(some([None; 4], wanted.rings).map(Setting::Rings));
    out.extend(some(FlowControl::default(), wanted.flow).map(Setting::FlowControl));
    out.extend(some(Vec::new(), wanted.coalesce.clone()).map(Setting::Coalesce));
    out.extend(wanted.alias.clone().map(Setting::Alias));
    match address(wanted, facts, system) {
        Ok(address) => out.extend(address.map(Setting::Address)),
        Err(problem) => {
            tracing::warn!("{}: interface {} keeps its address: {problem}", file.file.display(), facts.name);
        }
    }
    out.extend(wanted.transmit_queues.map(Setting::TransmitQueues));
    out.extend(wanted.receive_queues.map(Setting::ReceiveQueues));
    out.extend(wanted.queue_length.map(Setting::TransmitQueueLength));
    out.extend(wanted.mtu.map(Setting::Mtu));
    out.extend(wanted.segmented_max.map(Setting::SegmentedMaxBytes));
    out.extend(wanted.segments_max.map(Setting::SegmentsMax));
    if system.action == Action::Add {
        let names = alternative_names(wanted, facts, first);
        out.extend(some(Vec::new(), names).map(Setting::AlternativeNames));
    }
    let highest = file.functions.iter().map(|function| function.number.saturating_add(1)).max();
    out.extend(wanted.functions.or(highest).map(Setting::VirtualFunctions));
    out.extend(file.functions.iter().cloned().map(Setting::VirtualFunction));
    out.extend(wanted.processors.clone().map(Setting::ReceiveProcessors));
    out
}

/// The value unless it asks for nothing.
fn some<T: PartialEq>(nothing: T, value: T) -> Option<T> {
    (value != nothing).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::builtin::net_id::scheme;
    use crate::diag::SourceFile;
    use crate::roots::Roots;

    fn file(link: &str) -> LinkFile {
        let text = format!("[Match]\nOriginalName=*\n[Link]\n{link}");
        let mut file = LinkFile::default();
        let source = SourceFile::new(Path::new("x.link"), text.as_bytes());
        let problems = file.read(&source, text.as_bytes(), &Roots::below(Path::new("/nowhere")));
        assert_eq!(problems, []);
        file
    }

    fn system() -> System {
        System {
            action: Action::Add,
            scheme: scheme::named("v257"),
            names_wanted: true,
            machine_id: Some(*b"0123456789abcdef"),
        }
    }

    fn facts() -> Facts {
        Facts {
            name: "eth0".into(),
            hardware: ETHER,
            address: vec![2, 0, 0, 0, 0, 1],
            name_origin: Some(NAME_ENUMERATED),
            address_origin: Some(ADDRESS_PERMANENT),
            properties: [
                ("ID_NET_NAME_ONBOARD", "eno1"),
                ("ID_NET_NAME_SLOT", "ens3"),
                ("ID_NET_NAME_PATH", "enp0s3"),
                ("ID_NET_NAME_MAC", "enx020000000001"),
            ]
            .into_iter()
            .collect(),
            ..Facts::default()
        }
    }

    #[test]
    fn names() {
        let origin = |origin| Facts { name_origin: Some(origin), ..facts() };
        let bare = || Facts { properties: Default::default(), ..facts() };
        let old = System { scheme: scheme::named("v239"), ..system() };
        let off = System { names_wanted: false, ..system() };
        let moved = System { action: Action::Move, ..system() };
        let bound = System { action: Action::Bind, ..system() };
        for (link, facts, system, expected) in [
            ("NamePolicy=onboard slot\n", facts(), system(), "eno1"),
            ("NamePolicy=database slot path\n", facts(), system(), "ens3"),
            ("NamePolicy=path\nName=lan0\n", facts(), system(), "enp0s3"),
            ("NamePolicy=mac\n", facts(), system(), "enx020000000001"),
            ("NamePolicy=path\nName=lan0\n", bare(), system(), "lan0"),
            ("NamePolicy=path\n", bare(), system(), "eth0"),
            ("Name=lan0\n", facts(), system(), "lan0"),
            ("", facts(), system(), "eth0"),
            ("NamePolicy=keep path\n", origin(NAME_RENAMED), system(), "eth0"),
            ("NamePolicy=keep path\n", origin(NAME_BY_USER), system(), "eth0"),
            ("NamePolicy=keep path\n", facts(), system(), "enp0s3"),
            ("NamePolicy=path\n", origin(NAME_RENAMED), system(), "enp0s3"),
            ("NamePolicy=path\n", origin(NAME_RENAMED), old, "eth0"),
            ("NamePolicy=kernel path\n", origin(NAME_PREDICTABLE), system(), "eth0"),
            ("NamePolicy=kernel path\n", facts(), system(), "enp0s3"),
            ("NamePolicy=path\nName=lan0\n", facts(), off, "lan0"),
            ("NamePolicy=path\nName=lan0\n", facts(), moved, "eth0"),
            ("NamePolicy=path\nName=lan0\n", facts(), bound, "eth0"),
        ] {
            assert_eq!(name(&file(link).wanted, &facts, &system), expected, "{link}");
        }
        let long = [("ID_NET_NAME_PATH", "enp0s20u1u2u3u4u5"), ("ID_NET_NAME_MAC", "enx02")];
        let facts = Facts { properties: long.into_iter().collect(), ..facts() };
        assert_eq!(
            name(&file("NamePolicy=path mac\n").wanted, &facts, &system()),
            "enx02",
            "too long for a first name"
        );
        assert_eq!(
            alternative_names(&file("AlternativeNamesPolicy=path mac\n").wanted, &facts, b"enx02"),
            ["enp0s20u1u2u3u4u5"]
        );
    }

    #[test]
    fn other_names() {
        let wanted =
            file("AlternativeNamesPolicy=slot path onboard mac\nAlternativeName=z a eth0 ens3\n").wanted;
        let facts = Facts { alternative_names: vec!["z".into()], ..facts() };
        assert_eq!(alternative_names(&wanted, &facts, b"eno1"), ["a", "enp0s3", "ens3", "enx020000000001"]);
    }

    /// Addresses as systemd 252 made them for bridges of these names, on a machine with this id.
    #[test]
    fn addresses_are_those_of_systemd() {
        let wanted = file("MACAddressPolicy=persistent\n").wanted;
        let machine_id = Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes());
        for (name, expected) in
            [("br0", [0x2e, 0x51, 0xd4, 0x17, 0xb5, 0x1e]), ("lan-7", [0x7a, 0xda, 0x27, 0x04, 0x37, 0xe5])]
        {
            let facts = Facts {
                name: name.into(),
                address_origin: Some(ADDRESS_RANDOM),
                properties: Default::default(),
                ..facts()
            };
            let made = address(&wanted, &facts, &System { machine_id, ..system() });
            assert_eq!(made, Ok(Some(Address::Fixed(expected.into()))), "{name}");
        }
    }

    #[test]
    fn addresses_that_last() {
        let random = || Facts { address_origin: Some(ADDRESS_RANDOM), ..facts() };
        let wanted = file("MACAddressPolicy=persistent\n").wanted;
        let made = |facts: &Facts, system: &System| address(&wanted, facts, system);
        assert_eq!(made(&facts(), &system()), Ok(None), "the card's own");
        for origin in [2, 3, 9] {
            assert_eq!(
                made(&Facts { address_origin: Some(origin), ..facts() }, &system()),
                Ok(None),
                "{origin}"
            );
        }
        let Ok(Some(Address::Fixed(one))) = made(&random(), &system()) else { panic!() };
        assert_eq!((one.len(), one[0] & 3), (6, 2));
        assert_eq!(made(&random(), &system()), Ok(Some(Address::Fixed(one.clone()))), "the same again");
        let same = Facts { address: one.clone(), ..random() };
        assert_eq!(made(&same, &system()), Ok(None));
        let bare = Facts { properties: Default::default(), ..random() };
        assert_ne!(made(&bare, &system()), Ok(Some(Address::Fixed(one))), "from the name alone");
        let old = System { scheme: scheme::named("v240"), ..system() };
        assert!(made(&bare, &old).is_err());
        assert!(made(&random(), &System { machine_id: None, ..system() }).is_err());
        let card = Facts { hardware: INFINIBAND, address: vec![7; 20], ..random() };
        let Ok(Some(Address::Fixed(long))) = made(&card, &system()) else { panic!() };
        assert_eq!((&long[..12], long.len()), (&[7; 12][..], 20));
    }

    #[test]
    fn addresses_that_are_given() {
        for (link, facts, expected) in [
            ("MACAddress=02:00:00:00:00:07\n", facts(), Ok(Some(vec![2, 0, 0, 0, 0, 7]))),
            ("MACAddress=03:00:00:00:00:07\n", facts(), Ok(Some(vec![2, 0, 0, 0, 0, 7]))),
            ("MACAddress=04:00:00:00:00:07\n", facts(), Ok(Some(vec![4, 0, 0, 0, 0, 7]))),
            ("MACAddress=02:00:00:00:00:01\n", facts(), Ok(None)),
            ("MACAddress=00:00:00:00:00:00\n", facts(), Err(())),
            ("MACAddress=1.2.3.4\n", facts(), Err(())),
            ("MACAddress=02:00:00:00:00:07\n", Facts { address: vec![], ..facts() }, Ok(None)),
            ("", facts(), Ok(None)),
        ] {
            let found = address(&file(link).wanted, &facts, &system()).map_err(drop);
            assert_eq!(found, expected.map(|address| address.map(Address::Fixed)), "{link}");
        }
        let random = file("MACAddressPolicy=random\n").wanted;
        let thrown = Address::Random { kept: vec![], thrown: 6 };
        assert_eq!(address(&random, &facts(), &system()), Ok(Some(thrown)));
        let already = Facts { address_origin: Some(ADDRESS_RANDOM), ..facts() };
        assert_eq!(address(&random, &already, &system()), Ok(None));
    }

    #[test]
    fn what_is_asked_for_is_what_is_set() {
        let mut asked = file("MTUBytes=1400\nAlias=x\nAlternativeName=b\nRxChannels=2\nWakeOnLan=magic\n");
        let text = b"[SR-IOV]\nVirtualFunction=3\nTrust=yes\n";
        asked.read(&SourceFile::new(Path::new("y"), text), text, &Roots::below(Path::new("/nowhere")));
        let shown = |system: &System| -> Vec<String> {
            settings(&asked, &facts(), system, b"eth0").iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(&system()),
            [
                "WakeOnLan",
                "channels",
                "Alias=x",
                "MTUBytes=1400",
                "AlternativeName=b",
                "SR-IOVVirtualFunctions=4",
                "VirtualFunction=3"
            ]
        );
        assert!(!shown(&System { action: Action::Move, ..system() }).contains(&"AlternativeName=b".into()));
        assert_eq!(settings(&file(""), &facts(), &system(), b"eth0"), []);
    }
}
