//! Owns setting up a network interface as a `.link` file asks: rtnetlink for address, queues, names and virtual functions,
//! ethtool for the card, sysfs for the rest.
//!
//! Each setting costs itself alone: what fails is a warning. Never decides what is set.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BString, ByteSlice};
use nix::errno::Errno;

use crate::apply::sysfs::ValueTree;
use crate::builtin::interface::{
    Address, Count, FlowControl, Interface, LinkMode, Processors, Setting, VirtualFunction, Wake,
};
use crate::device::Device;
use crate::roots::Roots;
use crate::sys::ethtool::{Ethtool, Four, LinkSettings as CardLink, Wake as CardWake};
use crate::sys::random;
use crate::sys::rtnetlink::{Attributes, Route, attribute};

/// `WAKE_MAGICSECURE` of `ethtool.h`.
const WAKE_SECURE: u32 = 1 << 6;
/// `ETH_TP_MDI_INVALID`: the card can't be told.
const NO_CROSSOVER: u8 = 0;

/// Kinds of attributes of a virtual function (`IFLA_VF_`).
mod function {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const SPOOF_CHECK: u16 = 4;
    pub(super) const LINK_STATE: u16 = 5;
    pub(super) const QUERY_SPREAD: u16 = 7;
    pub(super) const TRUST: u16 = 9;
    pub(super) const VLANS: u16 = 12;
    pub(super) const VLAN: u16 = 1;
    /// Bytes that an address has room for.
    pub(super) const ADDRESS_ROOM: usize = 32;
}

/// A setting was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// What the kernel said.
    #[error("{0}")]
    Kernel(#[from] Errno),
    /// The card has no such thing, or not so much of it.
    #[error("{0}")]
    Card(String),
    /// A file of sysfs was not written.
    #[error("{0}")]
    File(String),
}

/// Makes every setting of `interface`, which is `device`. Returns those that failed, with the reason.
pub fn set_up(roots: &Roots, device: &Device, interface: &Interface) -> Vec<(Setting, SetupError)> {
    let fail =
        |errno: Errno| interface.settings.iter().map(|s| (s.clone(), SetupError::from(errno))).collect();
    let hand = match Hand::open(roots, device, interface) {
        Ok(hand) => hand,
        Err(errno) => return fail(errno),
    };
    let made = interface.settings.iter().map(|setting| (setting, hand.make(setting)));
    made.filter_map(|(setting, made)| Some((setting.clone(), made.err()?))).collect()
}

/// What settings are made through.
struct Hand<'a> {
    route: Route,
    card: Ethtool,
    index: u32,
    roots: &'a Roots,
    device: &'a Device,
}

impl<'a> Hand<'a> {
    fn open(roots: &'a Roots, device: &'a Device, interface: &Interface) -> Result<Self, Errno> {
        let route = Route::open()?;
        // the name may have changed since the event
        let name = route.link(interface.index.get())?.name;
        let card = Ethtool::open(&name)?;
        Ok(Self { route, card, index: interface.index.get(), roots, device })
    }

    fn make(&self, setting: &Setting) -> Result<(), SetupError> {
        let number = |kind, value| self.set(Attributes::new().with_number(kind, value));
        match setting {
            Setting::LinkMode(mode) => self.link_mode(mode),
            Setting::Wake(wake) => self.wake(wake),
            Setting::Offloads(wanted) => self.offloads(wanted),
            Setting::Channels(counts) => {
                let before = self.card.channels()?;
                changed(before, counts).map_or(Ok(()), |after| Ok(self.card.set_channels(after)?))
            }
            Setting::Rings(counts) => {
                let before = self.card.rings()?;
                changed(before, counts).map_or(Ok(()), |after| Ok(self.card.set_rings(after)?))
            }
            Setting::FlowControl(flow) => self.flow_control(*flow),
            Setting::Coalesce(words) => self.coalesce(words),
            Setting::Alias(alias) => self.set(Attributes::new().with(attribute::ALIAS, alias)),
            Setting::Address(address) => {
                self.set(Attributes::new().with(attribute::ADDRESS, &bytes_of(address)?))
            }
            Setting::TransmitQueues(count) => number(attribute::TRANSMIT_QUEUES, *count),
            Setting::ReceiveQueues(count) => number(attribute::RECEIVE_QUEUES, *count),
            Setting::TransmitQueueLength(count) => number(attribute::QUEUE_LENGTH, *count),
            Setting::Mtu(bytes) => number(attribute::MTU, *bytes),
            Setting::SegmentedMaxBytes(bytes) => number(attribute::SEGMENTED_MAX, *bytes),
            Setting::SegmentsMax(count) => number(attribute::SEGMENTS_MAX, *count),
            Setting::AlternativeNames(names) => self.alternative_names(names),
            Setting::VirtualFunctions(count) => self.virtual_functions(*count),
            Setting::VirtualFunction(function) => self.set(function_message(function)),
            Setting::ReceiveProcessors(processors) => self.receive_processors(processors),
        }
    }

    fn set(&self, change: Attributes) -> Result<(), SetupError> {
        Ok(self.route.set(self.index, &change)?)
    }

    fn link_mode(&self, mode: &LinkMode) -> Result<(), SetupError> {
        let before = self.card.link()?;
        let (after, refused) = linked(&before, mode);
        if after != before {
            self.card.set_link(&after)?;
        }
        settled(&refused)
    }

    fn wake(&self, wanted: &Wake) -> Result<(), SetupError> {
        let before = self.card.wake()?;
        let (after, missing) = woken(before, wanted);
        if after != before {
            self.card.set_wake(after)?;
        }
        let refused =
            (missing != 0).then(|| format!("the card can't wake for all of these (bits {missing:#x})"));
        settled(refused.as_slice())
    }

    fn offloads(&self, wanted: &[(&str, bool)]) -> Result<(), SetupError> {
        let known = self.card.features()?;
        let mut changes = Vec::new();
        let mut refused = Vec::new();
        for (name, on) in wanted {
            let is_it = |feature: &BString| match name.ends_with('-') {
                true => feature.starts_with(name.as_bytes()),
                false => feature == name,
            };
            let mut found = known.iter().enumerate().filter(|(_, feature)| is_it(&feature.name)).peekable();
            if found.peek().is_none() {
                refused.push(format!("the kernel knows no {name}"));
            }
            for (at, feature) in found {
                // what is off may be off for another reason, and come on with it
                match feature.changeable {
                    true => changes.push((at, *on)),
                    // of several that begin alike a card has some
                    false if feature.active == *on || name.ends_with('-') => {}
                    false => refused.push(format!("the card does not let {name} be changed")),
                }
            }
        }
        if !changes.is_empty() {
            self.card.set_features(&changes, known.len())?;
        }
        settled(&refused)
    }

    fn flow_control(&self, flow: FlowControl) -> Result<(), SetupError> {
        let before = self.card.pause()?;
        let mut after = before;
        after.receive = flow.receive.unwrap_or(before.receive);
        after.transmit = flow.transmit.unwrap_or(before.transmit);
        after.negotiated = flow.negotiated.unwrap_or(before.negotiated);
        if after == before { Ok(()) } else { Ok(self.card.set_pause(after)?) }
    }

    fn coalesce(&self, words: &[(usize, u32)]) -> Result<(), SetupError> {
        let before = self.card.coalesce()?;
        let mut after = before;
        for (at, value) in words {
            if let Some(word) = after.get_mut(*at) {
                *word = *value;
            }
        }
        if after == before { Ok(()) } else { Ok(self.card.set_coalesce(&after)?) }
    }

    /// All at once; if another interface has one of them, each by itself, so that the others are given.
    fn alternative_names(&self, names: &[BString]) -> Result<(), SetupError> {
        let slices = || names.iter().map(|name| name.as_bytes());
        match self.route.add_names(self.index, slices()) {
            Err(Errno::EEXIST) => {}
            done => return Ok(done?),
        }
        let taken = slices().filter_map(|name| {
            let error = self.route.add_names(self.index, [name]).err()?;
            let own =
                || self.route.link(self.index).is_ok_and(|l| l.alternative_names.iter().any(|n| *n == name));
            (error != Errno::EEXIST || !own()).then(|| format!("{}: {error}", name.as_bstr()))
        });
        let taken: Vec<String> = taken.collect();
        settled(&taken)
    }

    /// The number can only be changed from 0.
    fn virtual_functions(&self, count: u32) -> Result<(), SetupError> {
        let directory = self.own_directory().join("device");
        let read = |name: &str| -> Result<u32, SetupError> {
            let text = fs::read_to_string(directory.join(name)).map_err(|error| {
                SetupError::File(format!("can't read {}: {error}", directory.join(name).display()))
            })?;
            text.trim().parse().map_err(|_| SetupError::File(format!("`{name}` holds no number")))
        };
        let (now, most) = (read("sriov_numvfs")?, read("sriov_totalvfs")?);
        if count > most {
            return Err(SetupError::Card(format!("the card has at most {most} virtual functions")));
        }
        if now == count {
            return Ok(());
        }
        let file = directory.join("sriov_numvfs");
        if now > 0 && count > 0 {
            self.write(&file, b"0")?;
        }
        self.write(&file, count.to_string().as_bytes())
    }

    fn receive_processors(&self, processors: &Processors) -> Result<(), SetupError> {
        let all =
            || fs::read_to_string(self.roots.sys.join("devices/system/cpu/possible")).unwrap_or_default();
        let mask = match processors {
            Processors::None => "0".to_owned(),
            Processors::These(these) => mask(these),
            Processors::All => mask(&listed(all().trim())),
        };
        let queues = self.own_directory().join("queues");
        let names = fs::read_dir(&queues).map_err(|error| SetupError::File(error.to_string()))?;
        let receive = names.flatten().filter(|entry| entry.file_name().as_bytes().starts_with(b"rx-"));
        receive.into_iter().try_for_each(|entry| self.write(&entry.path().join("rps_cpus"), mask.as_bytes()))
    }

    fn own_directory(&self) -> std::path::PathBuf {
        let devpath = self.device.devpath();
        self.roots.sys.join(Path::new(std::ffi::OsStr::from_bytes(devpath.relative())))
    }

    fn write(&self, file: &Path, value: &[u8]) -> Result<(), SetupError> {
        let tree = ValueTree::open(&self.roots.sys).map_err(|error| SetupError::File(error.to_string()))?;
        tree.write(file, value).map_err(|error| SetupError::File(error.to_string()))
    }
}

/// Says what was refused, after the rest is done.
fn settled(refused: &[String]) -> Result<(), SetupError> {
    if refused.is_empty() { Ok(()) } else { Err(SetupError::Card(refused.join("; "))) }
}

/// The link as asked for, and what of it can't be.
fn linked(before: &CardLink, mode: &LinkMode) -> (CardLink, Vec<String>) {
    let (mut after, mut refused) = (before.clone(), Vec::new());
    let negotiated = mode.negotiated == Some(true) || !mode.advertised.is_empty();
    let fixed = mode.speed.is_some() || mode.duplex.is_some() || mode.port.is_some();
    after.negotiated = negotiated || (mode.negotiated.unwrap_or(before.negotiated) && !fixed);
    // what is agreed on with the other end can't be given as well
    if fixed && !negotiated {
        after.speed = mode.speed.unwrap_or(before.speed);
        after.duplex = mode.duplex.unwrap_or(before.duplex);
        after.port = mode.port.unwrap_or(before.port);
    }
    if !mode.advertised.is_empty() {
        after.advertised.fill(0);
    }
    for bit in &mode.advertised {
        match usize::try_from(bit / 32).ok().and_then(|at| after.advertised.get_mut(at)) {
            Some(word) => *word |= 1 << (bit % 32),
            None => refused.push(format!("the kernel knows no link mode {bit}")),
        }
    }
    match mode.crossover {
        Some(_) if before.crossover == NO_CROSSOVER => {
            refused.push("the card can't be told about crossed wires".into());
        }
        Some(crossover) => after.crossover = crossover,
        None => {}
    }
    (after, refused)
}

/// What wakes the machine as asked for, as far as the card can, and the options that it does not have. A password goes with
/// the magic packet that needs one; where no options are given it asks for that packet itself.
fn woken(before: CardWake, wanted: &Wake) -> (CardWake, u32) {
    let by_password = if wanted.password.is_some() { WAKE_SECURE & before.supported } else { 0 };
    let options = wanted.options.unwrap_or(before.options | by_password);
    let mut after = CardWake { options: options & before.supported, ..before };
    if let Some(password) = wanted.password.filter(|_| after.options & WAKE_SECURE != 0) {
        after.password = password.0;
    }
    (after, options & !before.supported)
}

/// The counts as asked for, none of them above what the card can; `None` if that is what it has.
fn changed(before: Four, wanted: &[Option<Count>; 4]) -> Option<Four> {
    let mut after = before;
    for ((now, max), wanted) in after.now.iter_mut().zip(before.max).zip(wanted) {
        match wanted {
            Some(Count::Of(count)) => *now = (*count).min(max),
            Some(Count::Max) => *now = max,
            None => {}
        }
    }
    (after != before).then_some(after)
}

fn bytes_of(address: &Address) -> Result<Vec<u8>, SetupError> {
    match address {
        Address::Fixed(bytes) => Ok(bytes.clone()),
        Address::Random { kept, thrown } => {
            let mut bytes = random::bytes(*thrown)?;
            // Ethernet: an address of one card, given by this machine
            if let Some(first) = bytes.first_mut().filter(|_| kept.is_empty()) {
                *first = *first & 0xfe | 0x02;
            }
            Ok([kept.as_slice(), &bytes].concat())
        }
    }
}

fn function_message(wanted: &VirtualFunction) -> Attributes {
    let number = wanted.number.to_ne_bytes();
    let mut inner = Attributes::new();
    let two = |inner: Attributes, kind, value: u32| inner.with(kind, &[number, value.to_ne_bytes()].concat());
    if let Some(address) = &wanted.address {
        let mut room = address.clone();
        room.resize(function::ADDRESS_ROOM, 0);
        inner = inner.with(function::ADDRESS, &[&number[..], &room].concat());
    }
    let switches = [
        (function::SPOOF_CHECK, wanted.spoof_check.map(u32::from)),
        (function::QUERY_SPREAD, wanted.query_spread.map(u32::from)),
        (function::TRUST, wanted.trust.map(u32::from)),
        (function::LINK_STATE, wanted.link_state),
    ];
    for (kind, value) in switches {
        inner = match value {
            Some(value) => two(inner, kind, value),
            None => inner,
        };
    }
    if let Some(vlan) = wanted.vlan {
        let quality = wanted.quality.unwrap_or(0);
        // the protocol is in network order, with two bytes of padding behind it
        let protocol = [&wanted.protocol.unwrap_or(0x8100).to_be_bytes()[..], &[0, 0]].concat();
        let parts = [&number[..], &vlan.to_ne_bytes(), &quality.to_ne_bytes(), &protocol].concat();
        inner = inner.with_nested(function::VLANS, &Attributes::new().with(function::VLAN, &parts));
    }
    let one = Attributes::new().with_nested(attribute::FUNCTION, &inner);
    Attributes::new().with_nested(attribute::FUNCTIONS, &one)
}

/// A set of processors as the kernel writes it: groups of 32, highest first.
fn mask(processors: &[u32]) -> String {
    let groups = processors.iter().max().map_or(1, |max| max / 32 + 1);
    let group = |at: u32| {
        let bits =
            processors.iter().filter(|cpu| *cpu / 32 == at).fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32));
        format!("{bits:08x}")
    };
    (0..groups).rev().map(group).collect::<Vec<_>>().join(",")
}

/// The numbers in a list of the kernel's: `0-3,8`.
fn listed(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some(low.parse::<u32>().ok()?..=high.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::interface::Password;

    #[test]
    fn masks() {
        for (list, expected) in [
            ("0", "00000001"),
            ("0-3", "0000000f"),
            ("0-3,32", "00000001,0000000f"),
            ("31,63", "80000000,80000000"),
            ("", "00000000"),
        ] {
            assert_eq!(mask(&listed(list)), expected, "{list}");
        }
    }

    #[test]
    fn counts_stay_within_what_the_card_can() {
        let card = Four { max: [8, 0, 0, 4], now: [2, 0, 0, 1] };
        let asked = |at: usize, count| {
            let mut wanted = [None; 4];
            wanted[at] = Some(count);
            changed(card, &wanted).map(|after| after.now)
        };
        assert_eq!(asked(0, Count::Of(4)), Some([4, 0, 0, 1]));
        assert_eq!(asked(0, Count::Of(40)), Some([8, 0, 0, 1]));
        assert_eq!(asked(3, Count::Max), Some([2, 0, 0, 4]));
        assert_eq!(asked(0, Count::Of(2)), None);
    }

    /// As systemd does it; and what a card does not have costs itself alone.
    #[test]
    fn links() {
        let mut before = CardLink::default();
        (before.speed, before.negotiated, before.crossover) = (100, true, 1);
        before.advertised = vec![0xff, 0xff];
        let asked = |mode: LinkMode| {
            let (after, refused) = linked(&before, &mode);
            let same = after.advertised == before.advertised;
            (after.speed, after.duplex, after.negotiated, same, refused.len())
        };
        let mode = LinkMode::default;
        for (mode, expected) in [
            (mode(), (100, 0, true, true, 0)),
            (LinkMode { speed: Some(1000), ..mode() }, (1000, 0, false, true, 0)),
            (LinkMode { duplex: Some(1), negotiated: Some(false), ..mode() }, (100, 1, false, true, 0)),
            (LinkMode { speed: Some(1000), negotiated: Some(true), ..mode() }, (100, 0, true, true, 0)),
            (LinkMode { speed: Some(1000), advertised: vec![3], ..mode() }, (100, 0, true, false, 0)),
            (LinkMode { advertised: vec![3], negotiated: Some(false), ..mode() }, (100, 0, true, false, 0)),
            (LinkMode { advertised: vec![3, 64], ..mode() }, (100, 0, true, false, 1)),
        ] {
            assert_eq!(asked(mode.clone()), expected, "{mode:?}");
        }
        assert_eq!(linked(&before, &LinkMode { advertised: vec![0, 33], ..mode() }).0.advertised, [1, 2]);
        assert_eq!(linked(&before, &LinkMode { crossover: Some(3), ..mode() }).0.crossover, 3);
        let mut untold = before.clone();
        untold.crossover = NO_CROSSOVER;
        let (after, refused) = linked(&untold, &LinkMode { crossover: Some(3), speed: Some(10), ..mode() });
        assert_eq!((after.crossover, after.speed, refused.len()), (NO_CROSSOVER, 10, 1));
    }

    #[test]
    fn wakes() {
        let password = Some(Password([7; 6]));
        // magic and secure magic can be, magic is
        let card = CardWake { supported: 0b110_0000, options: 0b10_0000, password: [0; 6] };
        for (options, password, expected) in [
            (None, None, (0b10_0000, 0, 0)),
            (Some(0), None, (0, 0, 0)),
            (Some(0b11_0000), None, (0b10_0000, 0, 0b1_0000)),
            (None, password, (0b110_0000, 7, 0)),
            (Some(0b10_0000), password, (0b10_0000, 0, 0)),
            (Some(0b100_0000), password, (0b100_0000, 7, 0)),
        ] {
            let (after, missing) = woken(card, &Wake { options, password });
            assert_eq!((after.options, after.password[0], missing), expected, "{options:?} {password:?}");
        }
        let plain = CardWake { supported: 0b10_0000, ..card };
        assert_eq!(woken(plain, &Wake { options: None, password }), (plain, 0));
    }

    #[test]
    fn addresses_that_are_thrown() {
        let ether = bytes_of(&Address::Random { kept: vec![], thrown: 6 }).unwrap();
        assert_eq!((ether.len(), ether[0] & 3), (6, 2));
        let card = bytes_of(&Address::Random { kept: vec![7; 12], thrown: 8 }).unwrap();
        assert_eq!((&card[..12], card.len()), (&[7; 12][..], 20));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_message_of_a_virtual_function() {
        let wanted =
            VirtualFunction { number: 3, vlan: Some(5), trust: Some(true), ..VirtualFunction::default() };
        let trust = Attributes::new().with(9, &[3, 0, 0, 0, 1, 0, 0, 0]);
        let vlan = [3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0];
        let inner = trust.with_nested(12, &Attributes::new().with(1, &vlan));
        let expected = Attributes::new().with_nested(22, &Attributes::new().with_nested(1, &inner));
        assert_eq!(function_message(&wanted), expected);
    }
}
