//! Owns what is to be done to a network interface, as values: the settings of a `.link` file that apply to it.
//!
//! Never does any of it: that is `apply`'s. What a value means is in `systemd.link(5)`.

use std::fmt;

use bstr::{BString, ByteSlice};

use crate::ids::IfIndex;

/// All that is to be done to one interface, in order. Each costs itself alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Which one.
    pub index: IfIndex,
    /// What is asked for.
    pub settings: Vec<Setting>,
}

/// One setting of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Speed, duplex, port, negotiation, crossed wires, advertised modes.
    LinkMode(LinkMode),
    /// What wakes the machine.
    Wake(Wake),
    /// What the card does by itself: features whose names are, or begin with, the text (which then ends in `-`).
    Offloads(Vec<(&'static str, bool)>),
    /// Receive, transmit, other and combined channels.
    Channels([Option<Count>; 4]),
    /// Receive, mini receive, jumbo receive and transmit rings.
    Rings([Option<Count>; 4]),
    /// Pause frames.
    FlowControl(FlowControl),
    /// When interrupts are raised: words of `struct ethtool_coalesce`, by their place behind the command.
    Coalesce(Vec<(usize, u32)>),
    /// The text for people.
    Alias(BString),
    /// The hardware address.
    Address(Address),
    /// Number of transmit queues.
    TransmitQueues(u32),
    /// Number of receive queues.
    ReceiveQueues(u32),
    /// Length of the transmit queue, in packets.
    TransmitQueueLength(u32),
    /// Bytes of the largest packet.
    Mtu(u32),
    /// Most bytes of a packet that the card cuts.
    SegmentedMaxBytes(u32),
    /// Most segments of a packet that the card cuts.
    SegmentsMax(u32),
    /// More names.
    AlternativeNames(Vec<BString>),
    /// How many virtual functions there are.
    VirtualFunctions(u32),
    /// What one of them may.
    VirtualFunction(VirtualFunction),
    /// The processors that received packets are spread over.
    ReceiveProcessors(Processors),
}

/// A hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// This one.
    Fixed(Vec<u8>),
    /// One that is thrown when the setting is made; the bytes in front of it stay (InfiniBand), so many are new.
    Random {
        /// The bytes that stay.
        kept: Vec<u8>,
        /// How many are thrown.
        thrown: usize,
    },
}

/// A number that a card has, or the most that it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Of(u32),
    /// As many as the card can.
    Max,
}

/// How a link is made. `None`: as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkMode {
    /// Megabits a second.
    pub speed: Option<u32>,
    /// `DUPLEX_` of `ethtool.h`.
    pub duplex: Option<u8>,
    /// `PORT_` of `ethtool.h`.
    pub port: Option<u8>,
    /// Both ends agree on the mode.
    pub negotiated: Option<bool>,
    /// `ETH_TP_MDI_` of `ethtool.h`.
    pub crossover: Option<u8>,
    /// Modes that are advertised, by the number of their bit; none: as they are.
    pub advertised: Vec<u32>,
}

/// What wakes the machine. `None`: as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wake {
    /// `WAKE_` bits of `ethtool.h`.
    pub options: Option<u32>,
    /// The password of a secure magic packet.
    pub password: Option<Password>,
}

/// Six bytes that no message shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub [u8; 6]);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Pause frames. `None`: as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowControl {
    /// Received ones are heeded.
    pub receive: Option<bool>,
    /// They are sent.
    pub transmit: Option<bool>,
    /// Both ends agree on it.
    pub negotiated: Option<bool>,
}

/// What a virtual function may. `None`: as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualFunction {
    /// Its number.
    pub number: u32,
    /// Number of its VLAN.
    pub vlan: Option<u32>,
    /// Priority in the VLAN.
    pub quality: Option<u32>,
    /// The VLAN's protocol as an EtherType: `0x8100` or `0x88a8`.
    pub protocol: Option<u16>,
    /// Addresses that are not its own are refused.
    pub spoof_check: Option<bool>,
    /// It may ask how received packets are spread.
    pub query_spread: Option<bool>,
    /// It may do what changes the card for others.
    pub trust: Option<bool>,
    /// Its link: 0 as the card's, 1 always up, 2 always down.
    pub link_state: Option<u32>,
    /// Its address.
    pub address: Option<Vec<u8>>,
}

/// A set of processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processors {
    /// None: packets stay where they come in.
    None,
    /// All that the machine has.
    All,
    /// These.
    These(Vec<u32>),
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set interface {}:", self.index)?;
        self.settings
            .iter()
            .enumerate()
            .try_for_each(|(at, setting)| write!(f, "{}{setting}", if at == 0 { " " } else { ", " }))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::LinkMode(mode) => mode.fmt(f),
            Setting::Wake(_) => f.write_str("WakeOnLan"),
            Setting::Offloads(list) => {
                f.write_str("offloads")?;
                list.iter().try_for_each(|(name, on)| write!(f, " {name}={}", if *on { "on" } else { "off" }))
            }
            Setting::Channels(_) => f.write_str("channels"),
            Setting::Rings(_) => f.write_str("ring buffers"),
            Setting::FlowControl(_) => f.write_str("flow control"),
            Setting::Coalesce(_) => f.write_str("interrupt coalescing"),
            Setting::Alias(alias) => write!(f, "Alias={}", alias.as_bytes().escape_ascii()),
            Setting::Address(Address::Fixed(address)) => write!(f, "MACAddress={}", Colons(address)),
            Setting::Address(Address::Random { .. }) => f.write_str("MACAddress=(random)"),
            Setting::TransmitQueues(count) => write!(f, "TransmitQueues={count}"),
            Setting::ReceiveQueues(count) => write!(f, "ReceiveQueues={count}"),
            Setting::TransmitQueueLength(count) => write!(f, "TransmitQueueLength={count}"),
            Setting::Mtu(bytes) => write!(f, "MTUBytes={bytes}"),
            Setting::SegmentedMaxBytes(bytes) => write!(f, "GenericSegmentOffloadMaxBytes={bytes}"),
            Setting::SegmentsMax(count) => write!(f, "GenericSegmentOffloadMaxSegments={count}"),
            Setting::AlternativeNames(names) => {
                write!(f, "AlternativeName={}", bstr::join(" ", names).escape_ascii())
            }
            Setting::VirtualFunctions(count) => write!(f, "SR-IOVVirtualFunctions={count}"),
            Setting::VirtualFunction(function) => write!(f, "VirtualFunction={}", function.number),
            Setting::ReceiveProcessors(_) => f.write_str("ReceivePacketSteeringCPUMask"),
        }
    }
}

impl fmt::Display for LinkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("link mode")?;
        self.speed.map_or(Ok(()), |speed| write!(f, " speed={speed}Mb/s"))?;
        self.negotiated.map_or(Ok(()), |on| write!(f, " negotiation={}", if on { "on" } else { "off" }))
    }
}

/// An address as people write it.
struct Colons<'a>(&'a [u8]);

impl fmt::Display for Colons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(at, byte)| write!(f, "{}{byte:02x}", if at == 0 { "" } else { ":" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read() {
        let interface = Interface {
            index: IfIndex::new(3).unwrap(),
            settings: vec![
                Setting::Mtu(1400),
                Setting::Address(Address::Fixed(vec![2, 0, 0xab, 0, 0, 1])),
                Setting::AlternativeNames(vec!["a".into(), "b".into()]),
                Setting::Offloads(vec![("rx-gro", false)]),
                Setting::Wake(Wake { options: None, password: Some(Password([1; 6])) }),
            ],
        };
        assert_eq!(
            interface.to_string(),
            "set interface 3: MTUBytes=1400, MACAddress=02:00:ab:00:00:01, AlternativeName=a b, offloads rx-gro=off, \
             WakeOnLan"
        );
        assert!(!format!("{interface:?}").contains("[1, 1"), "a password is not shown");
    }
}
