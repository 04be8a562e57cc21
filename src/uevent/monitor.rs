//! Owns the messages of libudev's monitors (netlink group 2): what a device manager tells its listeners about an event
//! that it has handled. A pure codec.
//!
//! A message is a header of 40 bytes and the properties, each ended by NUL. The header holds hashes, so that a listener's
//! filter can run in the kernel: of the subsystem, of the device type, and a bloom mask of the tags. Magic, hashes and
//! mask are in network order, the three sizes in the machine's.

use bstr::BStr;

use super::kernel::{Parsed, Uevent, UeventError};
use crate::ids::Tag;
use crate::properties::Properties;

/// The group of handled events, as a mask.
pub const GROUP: u32 = 2;

const PREFIX: &[u8; 8] = b"libudev\0";
const MAGIC: u32 = 0xfeed_cafe;
const HEADER_SIZE: u32 = 40;

/// Why a message can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonitorError {
    /// The prefix, or the magic number behind it, is not libudev's.
    #[error("not a message of libudev")]
    NotLibudev,
    /// The properties are not where the header says, or the header is cut.
    #[error("the properties ({length} bytes from {offset}) are not within the message of {size} bytes")]
    Bounds {
        /// Where the properties should begin.
        offset: u32,
        /// How long they should be.
        length: u32,
        /// How long the message is.
        size: usize,
    },
    /// The properties are those of no event.
    #[error(transparent)]
    Event(#[from] UeventError),
}

/// What a listener can filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Hash of the subsystem.
    pub subsystem: u32,
    /// Hash of the device type; 0 for a device without one.
    pub devtype: u32,
    /// Mask of the tags, as [`bloom`] makes it for each.
    pub tags: u64,
}

impl Filter {
    /// The filter's fields for a device.
    pub fn of<'a>(
        subsystem: &[u8],
        devtype: Option<&BStr>,
        tags: impl IntoIterator<Item = &'a Tag>,
    ) -> Filter {
        Filter {
            subsystem: hash(subsystem),
            devtype: devtype.map_or(0, |devtype| hash(devtype)),
            tags: tags.into_iter().fold(0, |mask, tag| mask | bloom(tag)),
        }
    }
}

/// Writes a message. `tags` are all that the device ever had, not only the present ones; the properties go out as they
/// are, so `DEVNAME` and `DEVLINKS` have to be absolute already.
pub fn encode<'a>(uevent: &Uevent, tags: impl IntoIterator<Item = &'a Tag>) -> Vec<u8> {
    let body = write_properties(&uevent.properties);
    let filter = Filter::of(&uevent.subsystem, uevent.devtype(), tags);
    let mask = filter.tags.to_be_bytes();
    let mut out = PREFIX.to_vec();
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&HEADER_SIZE.to_ne_bytes());
    out.extend_from_slice(&HEADER_SIZE.to_ne_bytes());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend_from_slice(&filter.subsystem.to_be_bytes());
    out.extend_from_slice(&filter.devtype.to_be_bytes());
    // High half, low half, each in network order: together that is the mask in network order.
    out.extend_from_slice(&mask);
    out.extend_from_slice(&body);
    out
}

fn write_properties(properties: &Properties) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in properties.iter() {
        for part in [key, BStr::new("="), value, BStr::new("\0")] {
            out.extend_from_slice(part);
        }
    }
    out
}

/// Reads a message; a malformed property costs only itself.
pub fn decode(message: &[u8]) -> Result<Parsed, MonitorError> {
    let body = body(message)?.strip_suffix(b"\0").ok_or(UeventError::Unterminated)?;
    let mut properties = Properties::new();
    let dropped = body.split(|&b| b == 0).filter_map(|line| properties.set_line(line).err()).collect();
    Ok(Parsed { uevent: Uevent::from_properties(properties)?, dropped })
}

/// The properties of a message as they stand in it, each ended by NUL.
pub fn body(message: &[u8]) -> Result<&[u8], MonitorError> {
    let word = |at: usize| -> Option<[u8; 4]> { message.get(at..at + 4)?.try_into().ok() };
    if !message.starts_with(PREFIX) || word(8).map(u32::from_be_bytes) != Some(MAGIC) {
        return Err(MonitorError::NotLibudev);
    }
    let [offset, length] = [16, 20].map(|at| word(at).map_or(0, u32::from_ne_bytes));
    let range = || {
        let start = usize::try_from(offset).ok().filter(|_| offset >= HEADER_SIZE)?;
        message.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    };
    range().ok_or(MonitorError::Bounds { offset, length, size: message.len() })
}

/// The four bits of a tag: its hash cut into pieces of six bits, lowest first.
pub fn bloom(tag: &Tag) -> u64 {
    let hash = hash(tag.as_str().as_bytes());
    [0, 6, 12, 18].into_iter().fold(0, |mask, shift| mask | 1 << (hash >> shift & 63))
}

/// MurmurHash2 (32 bits, seed 0), the hash of libudev's filters.
pub fn hash(text: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // libudev hashes names, which are short; a length beyond 32 bits counts modulo 2^32.
    let mut hash = u32::try_from(text.len() & 0xffff_ffff).unwrap_or(0);
    let mut chunks = text.chunks_exact(4);
    for chunk in &mut chunks {
        let word = <[u8; 4]>::try_from(chunk).map_or(0, u32::from_ne_bytes).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let tail = (0u32..).zip(rest).fold(0, |tail, (at, &byte)| tail | u32::from(byte) << (8 * at));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use proptest::prelude::*;

    const PROPERTIES: &[u8] =
        b"ACTION=add\0DEVNAME=sda\0DEVPATH=/devices/x/sda\0DEVTYPE=disk\0ID_SERIAL=\xff=1\0\
        SEQNUM=42\0SUBSYSTEM=block\0TAGS=:seat:systemd:\0";

    /// Computed apart from this code and shown to libudev 252: its monitors for `block`, `block` and `disk`, `seat` took
    /// it; those for `partition`, `net` and `uaccess` did not.
    fn message() -> Vec<u8> {
        let mut out = b"libudev\0\xfe\xed\xca\xfe".to_vec();
        out.extend([40, 40, u32::try_from(PROPERTIES.len()).unwrap()].iter().flat_map(|n| n.to_ne_bytes()));
        out.extend([0xf0, 0x03, 0x1d, 0xb7, 0x7b, 0xcb, 0xc5, 0xee]);
        out.extend([0x02, 0x08, 0x04, 0x00, 0x10, 0xc0, 0x00, 0x01]);
        out.extend(PROPERTIES);
        out
    }

    fn tags() -> [Tag; 2] {
        [Tag::new(b"systemd").unwrap(), Tag::new(b"seat").unwrap()]
    }

    #[test]
    fn a_message_both_ways() {
        let Parsed { uevent, dropped } = decode(&message()).unwrap();
        assert_eq!(dropped, []);
        assert_eq!((uevent.seqnum.0, uevent.devpath.as_bytes()), (42, &b"/devices/x/sda"[..]));
        assert_eq!(uevent.properties.get("ID_SERIAL").unwrap(), &b"\xff=1"[..]);
        assert_eq!(encode(&uevent, &tags()).as_bstr(), message().as_bstr());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn hashes() {
        let cases = [
            ("", 0),
            ("a", 0x92685f5e),
            ("ab", 0x1aa14063),
            ("net", 0xa74d3cc8),
            ("block", 0xf0031db7),
            ("usb_device", 0x27f8f50c),
        ];
        for (text, expected) in cases {
            assert_eq!(hash(text.as_bytes()), expected, "{text}");
        }
        // 0xe88ed0cc: pieces of six bits 0x0c, 0x03, 0x2d, 0x23.
        let expected = 1 << 0x0c | 1 << 0x03 | 1 << 0x2d | 1 << 0x23;
        assert_eq!(bloom(&Tag::new(b"uaccess").unwrap()), expected);
        let none = Filter { subsystem: 0xa74d3cc8, devtype: 0, tags: 0 };
        assert_eq!(Filter::of(b"net", None, []), none);
    }

    #[test]
    fn not_a_message() {
        let good = message();
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            decode(&bad)
        };
        let bounds = |offset, length| Err(MonitorError::Bounds { offset, length, size: good.len() });
        let length = u32::try_from(PROPERTIES.len()).unwrap();
        assert_eq!(decode(b"add@/a\0ACTION=add\0"), Err(MonitorError::NotLibudev));
        assert_eq!(decode(b"libudev\0"), Err(MonitorError::NotLibudev));
        assert_eq!(with(8, &[0]), Err(MonitorError::NotLibudev));
        assert_eq!(with(16, &39u32.to_ne_bytes()), bounds(39, length));
        assert_eq!(with(16, &u32::MAX.to_ne_bytes()), bounds(u32::MAX, length));
        assert_eq!(with(20, &(length + 1).to_ne_bytes()), bounds(40, length + 1));
        assert_eq!(with(20, &(length - 1).to_ne_bytes()), Err(UeventError::Unterminated.into()));
        assert_eq!(with(40, b"X"), Err(UeventError::Missing("ACTION").into()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(at in 0..60usize, bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            let mut damaged = message();
            damaged.splice(at..at + bytes.len(), bytes);
            let _either = decode(&damaged);
            let _either = decode(&damaged[..at]);
        }
    }
}
