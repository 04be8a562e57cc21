//! Owns the keys of `[Link]` and `[SR-IOV]`: one table of names, each with what its value means.
//!
//! An empty value takes back what was said before. Never knows what is done with a value.

use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::link_file::{AddressPolicy, Policy, UNKNOWN, WakePassword, Wanted};
use super::modes::MODES;
use super::values::{address, is_alternative_name, is_name, microseconds, number, quoted_words, size, words};
use crate::builtin::interface::{Count, Password, Processors, VirtualFunction};
use crate::builtin::net_id::boolean;

type Taken = Result<(), String>;
type Take<T> = fn(&mut T, &[u8]) -> Taken;

/// Takes one assignment of `[Link]`. Error: what is wrong with it; then nothing changes.
pub(super) fn assign(wanted: &mut Wanted, key: &[u8], value: &[u8]) -> Taken {
    if let Some((_, feature)) = OFFLOADS.iter().find(|(name, _)| name.as_bytes() == key) {
        wanted.offloads.retain(|(other, _)| other != feature);
        return with(value, yes_or_no, |on| wanted.offloads.push((feature, on)));
    }
    if let Some((_, at)) = COUNTS.iter().find(|(name, _)| name.as_bytes() == key) {
        let slot = match *at {
            (Row::Channels, at) => wanted.channels.get_mut(at),
            (Row::Rings, at) => wanted.rings.get_mut(at),
        };
        return slot.map_or(Ok(()), |slot| set(slot, value, count));
    }
    if let Some((_, at, unit)) = COALESCE.iter().find(|(name, _, _)| name.as_bytes() == key) {
        wanted.coalesce.retain(|(other, _)| other != at);
        return with(value, |value| unit.parse(value), |number| wanted.coalesce.push((*at, number)));
    }
    let known = LINK.iter().find(|(name, _)| name.as_bytes() == key);
    known.ok_or(UNKNOWN)?.1(wanted, value)
}

/// Takes one assignment of `[SR-IOV]`.
pub(super) fn assign_function(function: &mut VirtualFunction, key: &[u8], value: &[u8]) -> Taken {
    let known = FUNCTION.iter().find(|(name, _)| name.as_bytes() == key);
    known.ok_or(UNKNOWN)?.1(function, value)
}

static LINK: &[(&str, Take<Wanted>)] = &[
    ("Description", |_, _| Ok(())),
    ("Property", |w, v| list(&mut w.properties, v, pairs)),
    ("ImportProperty", |w, v| {
        list(&mut w.imported, v, |v| quoted_words(v).ok_or("a quote does not end".into()))
    }),
    ("UnsetProperty", |w, v| list(&mut w.unset, v, |v| quoted_words(v).ok_or("a quote does not end".into()))),
    ("Alias", |w, v| set(&mut w.alias, v, alias)),
    ("MACAddressPolicy", |w, v| {
        w.address_policy = if v.is_empty() { AddressPolicy::None } else { address_policy(v)? };
        Ok(())
    }),
    ("MACAddress", |w, v| set(&mut w.address, v, hardware_address)),
    ("NamePolicy", |w, v| policies(&mut w.name_policy, v, &POLICIES)),
    ("Name", |w, v| set(&mut w.name, v, name)),
    // the kernel's name, and the one that is kept, are no further names
    ("AlternativeNamesPolicy", |w, v| {
        policies(&mut w.alternative_policy, v, POLICIES.get(2..).unwrap_or_default())
    }),
    ("AlternativeName", |w, v| alternative_names(&mut w.alternative_names, v)),
    ("TransmitQueues", |w, v| set(&mut w.transmit_queues, v, |v| within(v, 1, 4096))),
    ("ReceiveQueues", |w, v| set(&mut w.receive_queues, v, |v| within(v, 1, 4096))),
    ("TransmitQueueLength", |w, v| set(&mut w.queue_length, v, |v| within(v, 0, u32::MAX - 1))),
    ("MTUBytes", |w, v| set(&mut w.mtu, v, |v| bytes(v, 0, u32::MAX))),
    ("BitsPerSecond", |w, v| set(&mut w.mode.speed, v, megabits)),
    ("Duplex", |w, v| set(&mut w.mode.duplex, v, |v| one_of(v, &DUPLEX))),
    ("AutoNegotiation", |w, v| set(&mut w.mode.negotiated, v, yes_or_no)),
    ("WakeOnLan", |w, v| wake(&mut w.wake, v)),
    ("WakeOnLanPassword", |w, v| set(&mut w.wake_password, v, wake_password)),
    ("Port", |w, v| set(&mut w.mode.port, v, |v| one_of(v, &PORTS))),
    ("Advertise", |w, v| list(&mut w.mode.advertised, v, modes)),
    ("ReceivePacketSteeringCPUMask", |w, v| processors(&mut w.processors, v)),
    ("RxFlowControl", |w, v| set(&mut w.flow.receive, v, yes_or_no)),
    ("TxFlowControl", |w, v| set(&mut w.flow.transmit, v, yes_or_no)),
    ("AutoNegotiationFlowControl", |w, v| set(&mut w.flow.negotiated, v, yes_or_no)),
    ("GenericSegmentOffloadMaxBytes", |w, v| set(&mut w.segmented_max, v, |v| bytes(v, 1, 65536))),
    ("GenericSegmentOffloadMaxSegments", |w, v| set(&mut w.segments_max, v, |v| within(v, 1, 65535))),
    ("MDI", |w, v| set(&mut w.mode.crossover, v, |v| one_of(v, &CROSSOVER))),
    ("SR-IOVVirtualFunctions", |w, v| set(&mut w.functions, v, |v| within(v, 0, 0x7fff_ffff))),
];

static FUNCTION: &[(&str, Take<VirtualFunction>)] = &[
    ("VirtualFunction", |f, v| with(v, |v| within(v, 0, 0x7fff_fffe), |number| f.number = number)),
    ("VLANId", |f, v| set(&mut f.vlan, v, |v| within(v, 1, 4095))),
    ("QualityOfService", |f, v| set(&mut f.quality, v, |v| within(v, 1, u32::MAX - 1))),
    ("VLANProtocol", |f, v| set(&mut f.protocol, v, |v| one_of(v, &PROTOCOLS))),
    ("MACSpoofCheck", |f, v| set(&mut f.spoof_check, v, yes_or_no)),
    ("QueryReceiveSideScaling", |f, v| set(&mut f.query_spread, v, yes_or_no)),
    ("Trust", |f, v| set(&mut f.trust, v, yes_or_no)),
    ("LinkState", |f, v| set(&mut f.link_state, v, link_state)),
    ("MACAddress", |f, v| set(&mut f.address, v, hardware_address)),
];

/// Keys of things that a card does by itself, and their names for ethtool; one that ends in `-` is several.
static OFFLOADS: [(&str, &str); 13] = [
    ("ReceiveChecksumOffload", "rx-checksum"),
    ("TransmitChecksumOffload", "tx-checksum-"),
    ("TCPSegmentationOffload", "tx-tcp-segmentation"),
    ("TCP6SegmentationOffload", "tx-tcp6-segmentation"),
    ("GenericSegmentationOffload", "tx-generic-segmentation"),
    ("GenericReceiveOffload", "rx-gro"),
    ("GenericReceiveOffloadHardware", "rx-gro-hw"),
    ("LargeReceiveOffload", "rx-lro"),
    ("ReceiveVLANCTAGHardwareAcceleration", "rx-vlan-hw-parse"),
    ("TransmitVLANCTAGHardwareAcceleration", "tx-vlan-hw-insert"),
    ("ReceiveVLANCTAGFilter", "rx-vlan-filter"),
    ("TransmitVLANSTAGHardwareAcceleration", "tx-vlan-stag-hw-insert"),
    ("NTupleFilter", "rx-ntuple-filter"),
];

#[derive(Clone, Copy)]
enum Row {
    Channels,
    Rings,
}

/// Keys of channels and rings, and their places.
static COUNTS: [(&str, (Row, usize)); 8] = [
    ("RxChannels", (Row::Channels, 0)),
    ("TxChannels", (Row::Channels, 1)),
    ("OtherChannels", (Row::Channels, 2)),
    ("CombinedChannels", (Row::Channels, 3)),
    ("RxBufferSize", (Row::Rings, 0)),
    ("RxMiniBufferSize", (Row::Rings, 1)),
    ("RxJumboBufferSize", (Row::Rings, 2)),
    ("TxBufferSize", (Row::Rings, 3)),
];

/// What a word of the coalescing settings counts.
#[derive(Clone, Copy)]
enum Unit {
    Frames,
    Microseconds,
    /// Microseconds, never 0.
    Delay,
    /// Whole seconds, rounded up, never 0.
    Seconds,
    YesNo,
}

/// Keys of interrupt coalescing, and their places in `struct ethtool_coalesce` behind the command.
static COALESCE: [(&str, usize, Unit); 22] = [
    ("RxCoalesceSec", 0, Unit::Microseconds),
    ("RxMaxCoalescedFrames", 1, Unit::Frames),
    ("RxCoalesceIrqSec", 2, Unit::Microseconds),
    ("RxMaxCoalescedIrqFrames", 3, Unit::Frames),
    ("TxCoalesceSec", 4, Unit::Microseconds),
    ("TxMaxCoalescedFrames", 5, Unit::Frames),
    ("TxCoalesceIrqSec", 6, Unit::Microseconds),
    ("TxMaxCoalescedIrqFrames", 7, Unit::Frames),
    ("StatisticsBlockCoalesceSec", 8, Unit::Delay),
    ("UseAdaptiveRxCoalesce", 9, Unit::YesNo),
    ("UseAdaptiveTxCoalesce", 10, Unit::YesNo),
    ("CoalescePacketRateLow", 11, Unit::Frames),
    ("RxCoalesceLowSec", 12, Unit::Microseconds),
    ("RxMaxCoalescedLowFrames", 13, Unit::Frames),
    ("TxCoalesceLowSec", 14, Unit::Microseconds),
    ("TxMaxCoalescedLowFrames", 15, Unit::Frames),
    ("CoalescePacketRateHigh", 16, Unit::Frames),
    ("RxCoalesceHighSec", 17, Unit::Microseconds),
    ("RxMaxCoalescedHighFrames", 18, Unit::Frames),
    ("TxCoalesceHighSec", 19, Unit::Microseconds),
    ("TxMaxCoalescedHighFrames", 20, Unit::Frames),
    ("CoalescePacketRateSampleIntervalSec", 21, Unit::Seconds),
];

static DUPLEX: [(&str, u8); 2] = [("half", 0), ("full", 1)];
static PORTS: [(&str, u8); 5] = [("tp", 0), ("aui", 1), ("mii", 2), ("fibre", 3), ("bnc", 4)];
static CROSSOVER: [(&str, u8); 6] =
    [("straight", 1), ("mdi", 1), ("crossover", 2), ("mdi-x", 2), ("mdix", 2), ("auto", 3)];
static PROTOCOLS: [(&str, u16); 2] = [("802.1Q", 0x8100), ("802.1ad", 0x88a8)];

/// `WAKE_` bits of `ethtool.h`.
static WAKE: [(&str, u32); 8] = [
    ("off", 0),
    ("phy", 1),
    ("unicast", 1 << 1),
    ("multicast", 1 << 2),
    ("broadcast", 1 << 3),
    ("arp", 1 << 4),
    ("magic", 1 << 5),
    ("secureon", 1 << 6),
];

static POLICIES: [(&str, Policy); 7] = [
    ("kernel", Policy::Kernel),
    ("keep", Policy::Keep),
    ("database", Policy::Database),
    ("onboard", Policy::Onboard),
    ("slot", Policy::Slot),
    ("path", Policy::Path),
    ("mac", Policy::Mac),
];

/// Hands on the value if it is one and not empty.
fn with<T>(value: &[u8], parse: impl FnOnce(&[u8]) -> Result<T, String>, take: impl FnOnce(T)) -> Taken {
    if !value.is_empty() {
        take(parse(value)?);
    }
    Ok(())
}

/// Sets, or takes back with an empty value.
fn set<T>(slot: &mut Option<T>, value: &[u8], parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Taken {
    *slot = if value.is_empty() { None } else { Some(parse(value)?) };
    Ok(())
}

/// Adds to the list, or empties it with an empty value.
fn list<T>(list: &mut Vec<T>, value: &[u8], parse: impl FnOnce(&[u8]) -> Result<Vec<T>, String>) -> Taken {
    if value.is_empty() {
        list.clear();
    } else {
        list.extend(parse(value)?);
    }
    Ok(())
}

fn shown(value: &[u8]) -> String {
    format!("`{}`", value.as_bstr())
}

fn yes_or_no(value: &[u8]) -> Result<bool, String> {
    boolean(value).ok_or_else(|| format!("{} is neither yes nor no", shown(value)))
}

fn within(value: &[u8], min: u32, max: u32) -> Result<u32, String> {
    let fits = number(value).filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| format!("{} is no number from {min} to {max}", shown(value)))
}

fn bytes(value: &[u8], min: u32, max: u32) -> Result<u32, String> {
    let found =
        size(value, 1024).ok_or_else(|| format!("{} is no size in bytes (as 1400 or 9K)", shown(value)))?;
    let fits = u32::try_from(found).ok().filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| format!("{} is not from {min} to {max} bytes", shown(value)))
}

/// Bits a second in, whole megabits out.
fn megabits(value: &[u8]) -> Result<u32, String> {
    let bits = size(value, 1000).filter(|&bits| bits > 0);
    let megabits = bits.and_then(|bits| u32::try_from(bits.div_ceil(1_000_000)).ok());
    megabits.ok_or_else(|| format!("{} is no number of bits a second (as 100M)", shown(value)))
}

fn one_of<T: Copy>(value: &[u8], table: &[(&str, T)]) -> Result<T, String> {
    let known = table.iter().find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes()));
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        format!("{} is none of {}", shown(value), names.join(", "))
    })
}

fn count(value: &[u8]) -> Result<Count, String> {
    if value == b"max" { Ok(Count::Max) } else { within(value, 1, u32::MAX).map(Count::Of) }
}

impl Unit {
    fn parse(self, value: &[u8]) -> Result<u32, String> {
        let time = || {
            microseconds(value).ok_or_else(|| format!("{} is no span of time (as 50us or 2ms)", shown(value)))
        };
        let above_zero = |time: u64| if time == 0 { Err("it can't be zero".to_owned()) } else { Ok(time) };
        let short = |time: u64| u32::try_from(time).map_err(|_| format!("{} is too long", shown(value)));
        match self {
            Unit::Frames => within(value, 0, u32::MAX),
            Unit::Microseconds => short(time()?),
            Unit::Delay => short(above_zero(time()?)?),
            Unit::Seconds => short(above_zero(time()?)?.div_ceil(1_000_000)),
            Unit::YesNo => yes_or_no(value).map(u32::from),
        }
    }
}

fn pairs(value: &[u8]) -> Result<Vec<(BString, BString)>, String> {
    let pairs = quoted_words(value).ok_or("a quote does not end")?;
    let split = |pair: BString| {
        let parts = pair.split_once_str(b"=").map(|(key, value)| (key.into(), value.into()));
        parts.ok_or_else(|| format!("{} is no NAME=VALUE", shown(&pair)))
    };
    pairs.into_iter().map(split).collect()
}

fn alias(value: &[u8]) -> Result<BString, String> {
    if !value.is_ascii() {
        return Err("an alias is ASCII".into());
    }
    if value.len() > 255 { Err("an alias has at most 255 bytes".into()) } else { Ok(value.into()) }
}

fn address_policy(value: &[u8]) -> Result<AddressPolicy, String> {
    let table = [
        ("persistent", AddressPolicy::Persistent),
        ("random", AddressPolicy::Random),
        ("none", AddressPolicy::None),
    ];
    one_of(value, &table)
}

fn hardware_address(value: &[u8]) -> Result<Vec<u8>, String> {
    address(value).ok_or_else(|| format!("{} is no hardware address", shown(value)))
}

fn name(value: &[u8]) -> Result<BString, String> {
    if is_name(value) {
        Ok(value.into())
    } else {
        Err(format!("{} is no name for an interface", shown(value)))
    }
}

/// Policies in their order. One that is unknown costs itself.
fn policies(list: &mut Vec<Policy>, value: &[u8], table: &[(&str, Policy)]) -> Taken {
    list.clear();
    each(value, |word| {
        let policy = one_of(word, table)?;
        if !list.contains(&policy) {
            list.push(policy);
        }
        Ok(())
    })
}

fn alternative_names(list: &mut Vec<BString>, value: &[u8]) -> Taken {
    if value.is_empty() {
        list.clear();
    }
    each(value, |word| {
        if !is_alternative_name(word) {
            return Err(format!("{} is no name for an interface", shown(word)));
        }
        list.push(word.into());
        Ok(())
    })
}

/// Takes each word that can be taken, and says what is wrong with the others.
fn each(value: &[u8], mut take: impl FnMut(&[u8]) -> Taken) -> Taken {
    let wrong: Vec<String> = words(value).iter().filter_map(|word| take(word).err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn wake(slot: &mut Option<u32>, value: &[u8]) -> Taken {
    if value.is_empty() {
        *slot = None;
        return Ok(());
    }
    let mut options = 0;
    for word in words(value) {
        options |= one_of(&word, &WAKE)?;
    }
    // `off` alone switches off, also what was said before
    *slot = Some(if options == 0 { 0 } else { slot.unwrap_or(0) | options });
    Ok(())
}

fn wake_password(value: &[u8]) -> Result<WakePassword, String> {
    if value.starts_with(b"/") {
        let path = value.to_str().map_err(|_| "a path is UTF-8")?;
        return Ok(WakePassword::At(PathBuf::from(path)));
    }
    password(value)
        .map(WakePassword::Plain)
        .ok_or_else(|| "a password is six bytes as aa:bb:cc:dd:ee:ff".into())
}

/// Six bytes, written as an address.
pub(super) fn password(value: &[u8]) -> Option<Password> {
    address(value.trim())?.try_into().ok().map(Password)
}

fn modes(value: &[u8]) -> Result<Vec<u32>, String> {
    words(value).iter().map(|word| one_of(word, &MODES)).collect()
}

fn link_state(value: &[u8]) -> Result<u32, String> {
    match (value, boolean(value)) {
        (b"auto", _) => Ok(0),
        (_, Some(up)) => Ok(if up { 1 } else { 2 }),
        (_, None) => Err(format!("{} is none of yes, no, auto", shown(value))),
    }
}

/// Single processors and ranges between commas and white space; further lines add.
fn processors(slot: &mut Option<Processors>, value: &[u8]) -> Taken {
    *slot = match value {
        b"" => None,
        b"all" => Some(Processors::All),
        b"disable" => Some(Processors::None),
        _ => {
            let mut these = match slot.take() {
                Some(Processors::These(these)) => these,
                _ => Vec::new(),
            };
            let parts =
                value.split(|b| *b == b',' || b.is_ascii_whitespace()).filter(|part| !part.is_empty());
            for part in parts {
                let (low, high) = part.split_once_str(b"-").unwrap_or((part, part));
                match (number(low), number(high)) {
                    (Some(low), Some(high)) if low <= high && high < 8192 => these.extend(low..=high),
                    _ => return Err(format!("{} is no processor and no range of them", shown(part))),
                }
            }
            these.sort_unstable();
            these.dedup();
            Some(Processors::These(these))
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests;
