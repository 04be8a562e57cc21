//! Owns the packets of udev's control socket as systemd up to 257 sends them. A pure codec.
//!
//! One packet is one struct in the machine's own layout: the sender's version (16 bytes), a magic number, the kind of
//! message, and 256 bytes that hold a number or a text ended by NUL.

use bstr::{BString, ByteSlice};

const VERSION_LEN: usize = 16;
const VALUE_LEN: usize = 256;
/// How long a packet is.
pub const PACKET_LEN: usize = VERSION_LEN + 4 + 4 + VALUE_LEN;
const MAGIC: u32 = 0xdead_1dea;

/// What one packet asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// No more will come: who has asked waits until the other side closes.
    End,
    /// Log so much, as syslog counts: 0 (emergencies) to 7 (debug).
    SetLogLevel(i32),
    /// Begin no event; they queue up.
    StopExecQueue,
    /// Begin events again.
    StartExecQueue,
    /// Read rules and databases again.
    Reload,
    /// `KEY=VALUE` for all events from now on; an empty value takes the key away.
    SetEnv(BString),
    /// At most so many events at a time; 0: as many as the daemon finds right.
    SetChildrenMax(i32),
    /// Answer when all events that are there have been read.
    Ping,
    /// Finish what is begun, and end.
    Exit,
}

/// Why a packet says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Another length than all packets have.
    #[error("a control packet of {0} bytes, where {PACKET_LEN} were expected")]
    Length(usize),
    /// Not udevadm's.
    #[error("a control packet with a wrong magic number ({0:#x})")]
    Magic(u32),
    /// A kind that is not known.
    #[error("a control packet of the unknown kind {0}")]
    Kind(u32),
    /// A text without an end.
    #[error("a control packet whose text does not end")]
    Unterminated,
    /// A text without `=`.
    #[error("a control packet whose property has no value")]
    NoValue,
}

/// Reads a packet.
pub fn decode(packet: &[u8]) -> Result<Message, PacketError> {
    let length = PacketError::Length(packet.len());
    if packet.len() != PACKET_LEN {
        return Err(length);
    }
    let word = |at: usize| packet.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(length);
    let magic = u32::from_ne_bytes(word(VERSION_LEN)?);
    if magic != MAGIC {
        return Err(PacketError::Magic(magic));
    }
    let number = i32::from_ne_bytes(word(VERSION_LEN + 8)?);
    Ok(match u32::from_ne_bytes(word(VERSION_LEN + 4)?) {
        0 => Message::End,
        1 => Message::SetLogLevel(number),
        2 => Message::StopExecQueue,
        3 => Message::StartExecQueue,
        4 => Message::Reload,
        5 => {
            let text = packet.get(VERSION_LEN + 8..).unwrap_or_default();
            let end = text.find_byte(0).ok_or(PacketError::Unterminated)?;
            let text = text.get(..end).unwrap_or_default();
            if !text.contains(&b'=') {
                return Err(PacketError::NoValue);
            }
            Message::SetEnv(text.into())
        }
        6 => Message::SetChildrenMax(number),
        7 => Message::Ping,
        8 => Message::Exit,
        kind => return Err(PacketError::Kind(kind)),
    })
}

/// Writes a packet; a text longer than 255 bytes is cut.
pub fn encode(message: &Message) -> Vec<u8> {
    let (kind, value): (u32, Vec<u8>) = match message {
        Message::End => (0, Vec::new()),
        Message::SetLogLevel(level) => (1, level.to_ne_bytes().into()),
        Message::StopExecQueue => (2, Vec::new()),
        Message::StartExecQueue => (3, Vec::new()),
        Message::Reload => (4, Vec::new()),
        Message::SetEnv(text) => (5, text.iter().copied().take(VALUE_LEN - 1).collect()),
        Message::SetChildrenMax(count) => (6, count.to_ne_bytes().into()),
        Message::Ping => (7, Vec::new()),
        Message::Exit => (8, Vec::new()),
    };
    let mut out = b"udev-257".to_vec();
    out.resize(VERSION_LEN, 0);
    out.extend(MAGIC.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(PACKET_LEN, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for message in [
            Message::End,
            Message::SetLogLevel(7),
            Message::StopExecQueue,
            Message::StartExecQueue,
            Message::Reload,
            Message::SetEnv("A=b=c".into()),
            Message::SetEnv("A=".into()),
            Message::SetChildrenMax(-1),
            Message::Ping,
            Message::Exit,
        ] {
            assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }

    /// As systemd 252's udevadm sends `control --log-level=debug` on a little-endian machine.
    #[test]
    #[cfg(target_endian = "little")]
    fn layout() {
        let mut packet = b"252.39-1~deb12u2".to_vec();
        packet.extend([0xea, 0x1d, 0xad, 0xde, 1, 0, 0, 0, 7, 0, 0, 0]);
        packet.resize(280, 0);
        assert_eq!(decode(&packet), Ok(Message::SetLogLevel(7)));
    }

    #[test]
    fn what_is_no_packet() {
        assert_eq!(decode(b""), Err(PacketError::Length(0)));
        let mut packet = encode(&Message::Ping);
        packet[20] = 9;
        assert_eq!(decode(&packet), Err(PacketError::Kind(9)));
        packet[16] ^= 1;
        assert!(matches!(decode(&packet), Err(PacketError::Magic(_))));
        let mut packet = encode(&Message::SetEnv("A=b".into()));
        packet[24..].fill(b'x');
        assert_eq!(decode(&packet), Err(PacketError::Unterminated));
        assert_eq!(decode(&encode(&Message::SetEnv("A".into()))), Err(PacketError::NoValue));
    }
}
