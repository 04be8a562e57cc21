//! Owns the kernel's uevent: reads a datagram of netlink group 1 and writes one. A pure codec.
//!
//! A datagram is `ACTION@DEVPATH`, NUL, then `KEY=VALUE`, NUL, and so on. All of it is bytes. Never decides whether the
//! sender may be believed: that is the socket's.

use bstr::{BStr, BString, ByteSlice};

use crate::ids::{Action, DevNum, DevPath, DeviceId, IdError, IfIndex, NodeKind, SeqNum};
use crate::properties::{Properties, PropertyError};

/// Properties that every uevent has; without one of them it is no event.
const REQUIRED: [&str; 4] = ["ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM"];

/// Properties by which somebody waits for this very event: `udevadm trigger --settle` for its UUID, libdevmapper for its
/// cookie. Events that differ in one of them must all be handled.
const WAITED_FOR: [&str; 2] = ["SYNTH_UUID", "DM_COOKIE"];

/// One event of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// What happened.
    pub action: Action,
    /// Where the device is below `/sys` (after a `move`: the new place).
    pub devpath: DevPath,
    /// Its subsystem; one path component. Empty only in an event made from facts of a device without one.
    pub subsystem: BString,
    /// The kernel's number of this event; 0 for an event that the kernel did not send.
    pub seqnum: SeqNum,
    /// All `KEY=VALUE` of the event, those with a field of their own included.
    pub properties: Properties,
}

/// A datagram that could be read, and what in it could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The event.
    pub uevent: Uevent,
    /// Properties that were left out, with the reason.
    pub dropped: Vec<PropertyError>,
}

/// Why a datagram is no uevent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UeventError {
    /// The last byte is not NUL: the message is cut, or not the kernel's.
    #[error("the message does not end with NUL")]
    Unterminated,
    /// The message does not begin with `ACTION@/DEVPATH`.
    #[error("the message does not begin with ACTION@/DEVPATH")]
    Header,
    /// A required property is not there, or was malformed itself.
    #[error("no (valid) {0}")]
    Missing(&'static str),
    /// The header says something else than `ACTION` and `DEVPATH`.
    #[error("the header says `{header}`, the properties say `{properties}`")]
    Mismatch {
        /// `ACTION@DEVPATH` of the header.
        header: BString,
        /// `ACTION@DEVPATH` of the properties.
        properties: BString,
    },
    /// An action that the kernel does not have.
    #[error("ACTION `{0}`: {1}")]
    Action(BString, IdError),
    /// A devpath that can't be one.
    #[error("DEVPATH `{0}`: {1}")]
    DevPath(BString, IdError),
    /// A subsystem that would not be one path component.
    #[error("SUBSYSTEM `{0}` is no name of a subsystem")]
    Subsystem(BString),
    /// A sequence number that is not a decimal number of at most 64 bits.
    #[error("SEQNUM `{0}` is no number")]
    SeqNum(BString),
}

impl Uevent {
    /// Reads one datagram. A malformed property costs only itself, unless it is one of the four that every event has.
    pub fn parse(datagram: &[u8]) -> Result<Parsed, UeventError> {
        let text = datagram.strip_suffix(b"\0").ok_or(UeventError::Unterminated)?;
        let mut strings = text.split(|&b| b == 0);
        let header = strings.next().unwrap_or_default();
        // The action is a word, so the first `@` ends it; a devpath may hold others.
        if header.find_byte(b'@').is_none_or(|at| header.get(at + 1) != Some(&b'/')) {
            return Err(UeventError::Header);
        }
        let mut properties = Properties::new();
        let dropped = strings.filter_map(|line| properties.set_line(line).err()).collect();
        let uevent = Self::from_properties(properties)?;
        let named = uevent.header();
        if named != header {
            return Err(UeventError::Mismatch { header: header.into(), properties: named.into() });
        }
        Ok(Parsed { uevent, dropped })
    }

    /// Reads the event's own facts from its properties.
    pub fn from_properties(properties: Properties) -> Result<Self, UeventError> {
        let [action, devpath, subsystem, seqnum] =
            REQUIRED.map(|key| properties.get(key).map(BString::from).ok_or(UeventError::Missing(key)));
        let (action, devpath, subsystem, seqnum) = (action?, devpath?, subsystem?, seqnum?);
        // A colon ends the subsystem in a device's id: with one in it two devices could have one id.
        if !is_component(&subsystem) || subsystem.contains(&b':') {
            return Err(UeventError::Subsystem(subsystem));
        }
        Ok(Uevent {
            action: Action::parse(&action).map_err(|e| UeventError::Action(action, e))?,
            devpath: DevPath::new(&devpath).map_err(|e| UeventError::DevPath(devpath, e))?,
            seqnum: SeqNum(decimal(&seqnum).ok_or(UeventError::SeqNum(seqnum))?),
            subsystem,
            properties,
        })
    }

    /// An event that the kernel did not send: for a device that was found in `/sys`. `properties` are what the device's
    /// `uevent` file says; the four that every event has are added.
    pub fn from_facts(
        action: Action,
        devpath: DevPath,
        subsystem: BString,
        seqnum: SeqNum,
        mut properties: Properties,
    ) -> Self {
        let number = seqnum.to_string();
        let facts: [(&str, &[u8]); 4] = [
            ("ACTION", action.as_str().as_bytes()),
            ("DEVPATH", devpath.as_bytes()),
            ("SUBSYSTEM", &subsystem),
            ("SEQNUM", number.as_bytes()),
        ];
        for (key, value) in facts {
            // A newline in a devpath is possible and can't be a property: the field has it all the same.
            let _refused = properties.set(key, value);
        }
        Uevent { action, devpath, subsystem, seqnum, properties }
    }

    /// The datagram that [`Uevent::parse`] reads.
    pub fn to_datagram(&self) -> Vec<u8> {
        let mut out = self.header();
        out.push(0);
        for (key, value) in self.properties.iter() {
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// Number of the device node, from `MAJOR` and `MINOR`; `None` without one (major 0 is none).
    pub fn devnum(&self) -> Option<DevNum> {
        let kind = if self.subsystem == "block" { NodeKind::Block } else { NodeKind::Char };
        let major = self.number("MAJOR").filter(|&major| major != 0)?;
        Some(DevNum { kind, major, minor: self.number("MINOR")? })
    }

    /// Index of the network interface, from `IFINDEX`.
    pub fn ifindex(&self) -> Option<IfIndex> {
        self.number("IFINDEX").and_then(IfIndex::new)
    }

    /// Where the device was before a `move`.
    pub fn devpath_old(&self) -> Option<DevPath> {
        self.properties.get("DEVPATH_OLD").and_then(|path| DevPath::new(path).ok())
    }

    /// The node's name below the device directory, as the kernel asks for it (`bus/usb/001/002`).
    pub fn devname(&self) -> Option<&BStr> {
        self.properties.get("DEVNAME").filter(|name| !name.is_empty())
    }

    /// `DEVTYPE`: `disk`, `partition`, `usb_interface`, …
    pub fn devtype(&self) -> Option<&BStr> {
        self.properties.get("DEVTYPE").filter(|kind| !kind.is_empty())
    }

    /// The name of the device's record. A driver's has its bus in front of its name, since two buses may each have a
    /// driver of one name.
    pub fn device_id(&self) -> DeviceId {
        if let Some(number) = self.devnum() {
            return DeviceId::Node(number);
        }
        if let Some(index) = self.ifindex() {
            return DeviceId::Net(index);
        }
        let mut subsystem = self.subsystem.clone();
        if let Some(bus) = self.driver_bus() {
            subsystem.push(b':');
            subsystem.extend_from_slice(bus);
        }
        DeviceId::Named { subsystem, name: self.devpath.last().into() }
    }

    /// By what somebody waits for this very event, if anybody does. Two events with different answers can't stand for
    /// each other.
    pub fn waited_for(&self) -> Vec<BString> {
        // The kernel gives UUID 0 to an event that was asked for without one.
        let given = WAITED_FOR.iter().filter_map(|key| self.properties.get(key).map(|value| (key, value)));
        given.filter(|(_, v)| *v != "0").map(|(k, v)| BString::from(format!("{k}={v}"))).collect()
    }

    /// True when somebody wrote to the device's `uevent` file: an `add` that adds nothing new.
    pub fn is_synthetic(&self) -> bool {
        self.properties.get("SYNTH_UUID").is_some()
    }

    /// Becomes one event that stands for this one and a `newer` one of the same device: the newer facts, and those of
    /// the older that the newer has not (a request to eject must not be lost to the change of size behind it).
    pub fn absorb(&mut self, newer: Uevent) {
        let older = std::mem::replace(self, newer);
        for (key, value) in older.properties.iter() {
            if self.properties.get(key).is_none() {
                let _refused = self.properties.set(key, value);
            }
        }
    }

    /// `ACTION@DEVPATH`.
    fn header(&self) -> Vec<u8> {
        [self.action.as_str().as_bytes(), b"@", self.devpath.as_bytes()].concat()
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.properties.get(key).and_then(|text| decimal(text)).and_then(|n| u32::try_from(n).ok())
    }

    /// `usb` of `/bus/usb/drivers/hub`.
    fn driver_bus(&self) -> Option<&[u8]> {
        let rest = self.devpath.as_bytes().strip_prefix(b"/bus/")?;
        let (bus, rest) = rest.split_once_str(b"/")?;
        (self.subsystem == "drivers" && rest.starts_with(b"drivers/")).then_some(bus)
    }
}

/// True for a name that can be one component of a path and of a file name.
fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/')
}

/// Digits only: `str::parse` alone would take a leading `+`.
fn decimal(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SDA: &[u8] = b"add@/devices/pci/sda\0ACTION=add\0DEVPATH=/devices/pci/sda\0SUBSYSTEM=block\0\
        MAJOR=8\0MINOR=0\0DEVNAME=sda\0DEVTYPE=disk\0DISKSEQ=1\0SEQNUM=3187\0";

    fn parse(datagram: &[u8]) -> Uevent {
        Uevent::parse(datagram).unwrap().uevent
    }

    #[test]
    fn a_disk() {
        let Parsed { uevent, dropped } = Uevent::parse(SDA).unwrap();
        assert_eq!(dropped, []);
        assert_eq!((uevent.action, uevent.seqnum), (Action::Add, SeqNum(3187)));
        assert_eq!(uevent.devpath.as_bytes(), b"/devices/pci/sda");
        assert_eq!(uevent.subsystem, "block");
        assert_eq!(uevent.devnum(), Some(DevNum { kind: NodeKind::Block, major: 8, minor: 0 }));
        assert_eq!(uevent.devname().unwrap(), "sda");
        assert_eq!(uevent.devtype().unwrap(), "disk");
        assert_eq!((uevent.ifindex(), uevent.devpath_old()), (None, None));
        assert_eq!(uevent.properties.len(), 9);
        assert_eq!(uevent.properties.get("SEQNUM").unwrap(), "3187");
    }

    #[test]
    fn a_moved_interface_and_bytes_that_are_no_text() {
        let uevent = parse(
            b"move@/devices/virtual/net/a@b\0ACTION=move\0DEVPATH=/devices/virtual/net/a@b\0SUBSYSTEM=net\0\
              DEVPATH_OLD=/devices/virtual/net/veth0\0IFINDEX=7\0X=\xff\xfe=\0SEQNUM=18446744073709551615\0",
        );
        assert_eq!(uevent.devpath_old(), Some(DevPath::new(b"/devices/virtual/net/veth0").unwrap()));
        assert_eq!(uevent.device_id().to_string(), "n7");
        assert_eq!(uevent.properties.get("X").unwrap(), &b"\xff\xfe="[..]);
        assert_eq!(uevent.seqnum, SeqNum(u64::MAX));
    }

    #[test]
    fn ids() {
        let cases = [
            ("/devices/a/usb1", "usb", "MAJOR=189 MINOR=3", "c189:3"),
            ("/devices/a/sda", "block", "MAJOR=8 MINOR=16", "b8:16"),
            ("/devices/a/sda", "block", "MAJOR=8", "+block:sda"),
            ("/devices/a/x", "mem", "MAJOR=0 MINOR=3", "+mem:x"),
            ("/devices/a/x", "mem", "MAJOR=4294967296 MINOR=3", "+mem:x"),
            ("/devices/a/x", "net", "IFINDEX=0", "+net:x"),
            ("/devices/a/1-1", "usb", "", "+usb:1-1"),
            ("/devices/a/cciss!c0d0", "x", "", "+x:cciss!c0d0"),
            ("/bus/usb/drivers/hub", "drivers", "", "+drivers:usb:hub"),
            ("/module/hub", "module", "", "+module:hub"),
            ("/devices/drivers/hub", "drivers", "", "+drivers:hub"),
        ];
        for (path, subsystem, facts, id) in cases {
            let facts = facts.split_whitespace().map(|f| f.split_once('=').unwrap()).collect();
            let path = DevPath::new(path.as_bytes()).unwrap();
            let uevent = Uevent::from_facts(Action::Add, path, subsystem.into(), SeqNum(0), facts);
            assert_eq!(uevent.device_id().to_string(), id, "{uevent:?}");
        }
    }

    #[test]
    fn not_an_event() {
        let action = |word: &str| UeventError::Action(word.into(), IdError::Action);
        let cases: &[(&[u8], UeventError)] = &[
            (b"", UeventError::Unterminated),
            (b"add@/a\0ACTION=add", UeventError::Unterminated),
            (b"\0", UeventError::Header),
            (b"libudev\0\xfe\xed\xca\xfe\0", UeventError::Header),
            (b"add@a\0ACTION=add\0DEVPATH=a\0", UeventError::Header),
            (b"add/a\0", UeventError::Header),
            (b"add@/a\0", UeventError::Missing("ACTION")),
            (b"add@/a\0ACTION=add\0DEVPATH=/a\0SEQNUM=1\0", UeventError::Missing("SUBSYSTEM")),
            (b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=s\0", UeventError::Missing("SEQNUM")),
            (b"add@/a\0ACTION=add\0SUBSYSTEM=s\0SEQNUM=1\0", UeventError::Missing("DEVPATH")),
            (
                b"add@/a\0ACTION=add\0DEVPATH=/b\0SUBSYSTEM=s\0SEQNUM=1\0",
                UeventError::Mismatch { header: "add@/a".into(), properties: "add@/b".into() },
            ),
            (
                b"add@/a\0ACTION=remove\0DEVPATH=/a\0SUBSYSTEM=s\0SEQNUM=1\0",
                UeventError::Mismatch { header: "add@/a".into(), properties: "remove@/a".into() },
            ),
            (b"ADD@/a\0ACTION=ADD\0DEVPATH=/a\0SUBSYSTEM=s\0SEQNUM=1\0", action("ADD")),
            (
                b"add@/../etc\0ACTION=add\0DEVPATH=/../etc\0SUBSYSTEM=s\0SEQNUM=1\0",
                UeventError::DevPath("/../etc".into(), IdError::DotComponent),
            ),
            (
                b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=../s\0SEQNUM=1\0",
                UeventError::Subsystem("../s".into()),
            ),
            (
                b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=a:b\0SEQNUM=1\0",
                UeventError::Subsystem("a:b".into()),
            ),
            (b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=s\0SEQNUM=+1\0", UeventError::SeqNum("+1".into())),
            (b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=s\0SEQNUM=\0", UeventError::SeqNum("".into())),
        ];
        for (datagram, expected) in cases {
            assert_eq!(Uevent::parse(datagram), Err(expected.clone()), "{}", BStr::new(datagram));
        }
    }

    #[test]
    fn a_bad_property_costs_itself() {
        let parsed = Uevent::parse(
            b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=s\0nothing\0=x\0\0EVIL=a\nE:B=c\0GOOD=1\0SEQNUM=1\0",
        )
        .unwrap();
        assert_eq!(parsed.dropped.len(), 4);
        assert_eq!(parsed.uevent.properties.get("GOOD").unwrap(), "1");
        assert_eq!(parsed.uevent.properties.get("EVIL"), None);
    }

    #[test]
    fn two_changes_as_one() {
        let event = |seqnum, facts: &[(&str, &str)]| {
            let path = DevPath::new(b"/devices/sr0").unwrap();
            let facts = facts.iter().copied().collect();
            Uevent::from_facts(Action::Change, path, "block".into(), SeqNum(seqnum), facts)
        };
        let mut both = event(5, &[("DISK_EJECT_REQUEST", "1"), ("DISKSEQ", "1")]);
        both.absorb(event(9, &[("DISKSEQ", "2"), ("RESIZE", "1")]));
        assert_eq!(both, event(9, &[("DISK_EJECT_REQUEST", "1"), ("DISKSEQ", "2"), ("RESIZE", "1")]));
    }

    #[test]
    fn who_waits_for_it() {
        let uevent = |key: &str, value: &str| {
            let path = DevPath::new(b"/devices/dm-0").unwrap();
            let facts = [(key, value)].into_iter().collect();
            Uevent::from_facts(Action::Change, path, "block".into(), SeqNum(1), facts)
        };
        assert!(uevent("SYNTH_UUID", "0").waited_for().is_empty());
        assert!(uevent("SYNTH_UUID", "0").is_synthetic());
        assert_eq!(uevent("DM_COOKIE", "4194304").waited_for(), ["DM_COOKIE=4194304"]);
        assert!(!uevent("DM_COOKIE", "4194304").is_synthetic());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = Uevent::parse(&bytes);
        }

        #[test]
        fn a_damaged_event_is_read_or_refused(at in 0..SDA.len(), byte in any::<u8>(), end in 0..SDA.len()) {
            let mut damaged = SDA.to_vec();
            damaged[at] = byte;
            let _either = Uevent::parse(&damaged);
            prop_assert!(Uevent::parse(&damaged[..end]).is_err() || damaged[end - 1] == 0);
        }

        #[test]
        fn what_is_written_is_read(
            action in 0..8usize,
            path in proptest::collection::vec("[a-z0-9:.@!-]{1,8}x", 1..6),
            seqnum in any::<u64>(),
            facts in proptest::collection::vec(("[A-Z_]{1,8}", proptest::collection::vec(1..=255u8, 0..20)), 0..8),
        ) {
            let path = DevPath::new(format!("/{}", path.join("/")).as_bytes()).unwrap();
            let facts = facts.into_iter().collect();
            let uevent = Uevent::from_facts(Action::ALL[action], path, "usb".into(), SeqNum(seqnum), facts);
            let read = Uevent::parse(&uevent.to_datagram());
            prop_assert_eq!(read, Ok(Parsed { uevent, dropped: vec![] }));
        }
    }
}
