//! Owns the keys of `[Link]` and `[SR-IOV]`: one table of names, each with what its value means.
//!
//! How values are read is in `keys/parse.rs`. Never knows what is done with a value.

mod parse;

use self::parse::{
    address_policy, alias, alternative_names, bytes, count, ethernet_address, link_state, megabits, modes,
    name, one_of, policies, processors, set, set_or_leave, some_bytes, some_within, wake, wake_password,
    within, yes_or_no,
};
pub(super) use self::parse::{each, hardware_address, name_pattern, password};
use super::link_file::{AddressPolicy, Function, Policy, Wanted};
use super::values::Wrong;

type Taken = Result<(), Wrong>;
type Take<T> = fn(&mut T, &[u8]) -> Taken;

/// Takes one assignment of `[Link]`; `None` if there is no such key. Error: what is wrong with it; then that changes nothing.
pub(super) fn assign(wanted: &mut Wanted, key: &[u8], value: &[u8]) -> Option<Taken> {
    if let Some((_, feature)) = OFFLOADS.iter().find(|(name, _)| name.as_bytes() == key) {
        return Some(set_in(&mut wanted.offloads, *feature, value, yes_or_no));
    }
    if let Some((_, at, unit)) = COALESCE.iter().find(|(name, _, _)| name.as_bytes() == key) {
        return Some(set_in(&mut wanted.coalesce, *at, value, |value| unit.parse(value)));
    }
    if let Some((_, at)) = COUNTS.iter().find(|(name, _)| name.as_bytes() == key) {
        let slot = match *at {
            (Row::Channels, at) => wanted.channels.get_mut(at),
            (Row::Rings, at) => wanted.rings.get_mut(at),
        };
        return slot.map(|slot| set(slot, value, count));
    }
    Some(LINK.iter().find(|(name, _)| name.as_bytes() == key)?.1(wanted, value))
}

/// Takes one assignment of `[SR-IOV]`; the same.
pub(super) fn assign_function(function: &mut Function, key: &[u8], value: &[u8]) -> Option<Taken> {
    Some(FUNCTION.iter().find(|(name, _)| name.as_bytes() == key)?.1(function, value))
}

/// The names of the keys of `[Link]`, but for those of properties.
pub(super) fn of_link() -> impl Iterator<Item = &'static str> {
    let settings = LINK.iter().map(|(name, _)| *name);
    let card = OFFLOADS.iter().map(|(name, _)| *name).chain(COUNTS.iter().map(|(name, _)| *name));
    settings.chain(card).chain(COALESCE.iter().map(|(name, _, _)| *name))
}

/// The names of the keys of `[SR-IOV]`.
pub(super) fn of_functions() -> impl Iterator<Item = &'static str> {
    FUNCTION.iter().map(|(name, _)| *name)
}

/// Sets the entry of a list, or takes it out with an empty value.
fn set_in<K: PartialEq, T>(
    list: &mut Vec<(K, T)>,
    key: K,
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, Wrong>,
) -> Taken {
    let parsed = if value.is_empty() { None } else { Some(parse(value)?) };
    list.retain(|(other, _)| *other != key);
    list.extend(parsed.map(|parsed| (key, parsed)));
    Ok(())
}

static LINK: &[(&str, Take<Wanted>)] = &[
    ("Description", |_, _| Ok(())),
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
    ("MTUBytes", |w, v| set(&mut w.mtu, v, bytes)),
    ("BitsPerSecond", |w, v| set_or_leave(&mut w.mode.speed, v, megabits)),
    ("Duplex", |w, v| set(&mut w.mode.duplex, v, |v| one_of(v, &DUPLEX))),
    ("AutoNegotiation", |w, v| set(&mut w.mode.negotiated, v, yes_or_no)),
    ("WakeOnLan", |w, v| wake(&mut w.wake, v)),
    ("WakeOnLanPassword", |w, v| set(&mut w.wake_password, v, wake_password)),
    ("Port", |w, v| set(&mut w.mode.port, v, |v| one_of(v, &PORTS))),
    ("Advertise", |w, v| modes(&mut w.mode.advertised, v)),
    ("ReceivePacketSteeringCPUMask", |w, v| processors(&mut w.processors, v)),
    ("RxFlowControl", |w, v| set(&mut w.flow.receive, v, yes_or_no)),
    ("TxFlowControl", |w, v| set(&mut w.flow.transmit, v, yes_or_no)),
    ("AutoNegotiationFlowControl", |w, v| set(&mut w.flow.negotiated, v, yes_or_no)),
    ("GenericSegmentOffloadMaxBytes", |w, v| set_or_leave(&mut w.segmented_max, v, some_bytes)),
    ("GenericSegmentOffloadMaxSegments", |w, v| set_or_leave(&mut w.segments_max, v, some_within)),
    ("MDI", |w, v| set(&mut w.mode.crossover, v, |v| one_of(v, &CROSSOVER))),
    ("SR-IOVVirtualFunctions", |w, v| set(&mut w.functions, v, |v| within(v, 0, 0x7fff_ffff))),
];

static FUNCTION: &[(&str, Take<Function>)] = &[
    ("VirtualFunction", |f, v| set(&mut f.number, v, |v| within(v, 0, 0x7fff_fffe))),
    ("VLANId", |f, v| set(&mut f.wanted.vlan, v, |v| within(v, 1, 4095))),
    ("QualityOfService", |f, v| set(&mut f.wanted.quality, v, |v| within(v, 0, u32::MAX))),
    ("VLANProtocol", |f, v| set(&mut f.wanted.protocol, v, |v| one_of(v, &PROTOCOLS))),
    ("MACSpoofCheck", |f, v| set(&mut f.wanted.spoof_check, v, yes_or_no)),
    ("QueryReceiveSideScaling", |f, v| set(&mut f.wanted.query_spread, v, yes_or_no)),
    ("Trust", |f, v| set(&mut f.wanted.trust, v, yes_or_no)),
    ("LinkState", |f, v| set(&mut f.wanted.link_state, v, link_state)),
    ("MACAddress", |f, v| set(&mut f.wanted.address, v, ethernet_address)),
];

/// Keys of things that a card does by itself, and their names for ethtool; one that ends in `-` is several.
static OFFLOADS: [(&str, &str); 15] = [
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
    // of version 258
    ("ReceiveFCS", "rx-fcs"),
    ("ReceiveAll", "rx-all"),
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

/// `WAKE_` bits of `ethtool.h`. `off` stands alone or not at all.
static WAKE: [(&str, u32); 7] = [
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

#[cfg(test)]
mod tests;
