//! Owns talking to the kernel about network interfaces: messages of `rtnetlink(7)` in and out, by the interface's index.
//!
//! Attributes are bytes: what the kernel says next to what is known here is left alone. Never decides what is asked.

use std::os::fd::{AsRawFd, OwnedFd};

use bstr::BString;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Length of `struct nlmsghdr` and of `struct ifinfomsg`.
const HEADER: usize = 16;
/// Room for one answer: an interface with many virtual functions fills some 10 KiB.
const ANSWER_MAX: usize = 1 << 16;
/// In the kind of an attribute: there are attributes in it.
const NESTED: u16 = 1 << 15;
/// `RTEXT_FILTER_SKIP_STATS`: no counters in the answer.
const NO_COUNTERS: u32 = 1 << 3;
/// `RTM_NEWLINKPROP`, `RTM_DELLINKPROP`.
const NEW_PROPERTY: u16 = 108;
const DELETE_PROPERTY: u16 = 109;

/// Kinds of attributes of an interface (`linux/if_link.h`).
pub mod attribute {
    /// The hardware address.
    pub const ADDRESS: u16 = 1;
    /// The name.
    pub const NAME: u16 = 3;
    /// Bytes of the largest packet.
    pub const MTU: u16 = 4;
    /// Length of the transmit queue, in packets.
    pub const QUEUE_LENGTH: u16 = 13;
    /// What the kind of the interface is told; holds [`INFO_KIND`].
    pub const INFO: u16 = 18;
    /// The name of the kind, in [`INFO`].
    pub const INFO_KIND: u16 = 1;
    /// A text for people.
    pub const ALIAS: u16 = 20;
    /// Settings of virtual functions; holds [`FUNCTION`].
    pub const FUNCTIONS: u16 = 22;
    /// One virtual function, in [`FUNCTIONS`].
    pub const FUNCTION: u16 = 1;
    /// What is wanted in an answer.
    pub const FILTER: u16 = 29;
    /// Number of transmit queues.
    pub const TRANSMIT_QUEUES: u16 = 31;
    /// Number of receive queues.
    pub const RECEIVE_QUEUES: u16 = 32;
    /// Most segments of a packet that the card cuts.
    pub const SEGMENTS_MAX: u16 = 40;
    /// Most bytes of a packet that the card cuts.
    pub const SEGMENTED_MAX: u16 = 41;
    /// The list of properties; holds [`ALTERNATIVE_NAME`].
    pub const PROPERTIES: u16 = 52;
    /// One more name.
    pub const ALTERNATIVE_NAME: u16 = 53;
    /// The address that the card was made with.
    pub const PERMANENT_ADDRESS: u16 = 54;
}

/// Attributes one behind the other, as a message holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text with the NUL at its end.
    #[must_use]
    pub fn with_text(self, kind: u16, text: &[u8]) -> Self {
        self.with(kind, &[text, b"\0"].concat())
    }

    /// Adds a number of 32 bits.
    #[must_use]
    pub fn with_number(self, kind: u16, number: u32) -> Self {
        self.with(kind, &number.to_ne_bytes())
    }

    /// Adds attributes in an attribute.
    #[must_use]
    pub fn with_nested(self, kind: u16, inner: &Attributes) -> Self {
        self.with(kind | NESTED, &inner.0)
    }
}

/// The attributes in a row of bytes, up to the first that is cut.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !(NESTED | 1 << 14), value))
    })
}

/// What the kernel says of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its name.
    pub name: BString,
    /// The number of its kind of hardware (`ARPHRD_`).
    pub hardware: u16,
    /// `IFF_` bits.
    pub flags: u32,
    /// Its hardware address; empty for those without one.
    pub address: Vec<u8>,
    /// The address that it was made with; empty where none is known.
    pub permanent_address: Vec<u8>,
    /// The kind of a virtual interface (`veth`).
    pub kind: Option<BString>,
    /// Its other names.
    pub alternative_names: Vec<BString>,
}

/// An open `NETLINK_ROUTE` socket.
#[derive(Debug)]
pub struct Route(OwnedFd);

impl Route {
    /// Opens one.
    pub fn open() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute).map(Self)
    }

    /// What the kernel says of an interface. Error: `ENODEV` when it has gone.
    pub fn link(&self, index: u32) -> Result<Link, Errno> {
        let filter = Attributes::new().with_number(attribute::FILTER, NO_COUNTERS);
        let answer = self.ask(&message(libc::RTM_GETLINK, 0, index, &filter))?;
        parse_link(&answer).ok_or(Errno::EBADMSG)
    }

    /// Changes what the attributes name.
    pub fn set(&self, index: u32, change: &Attributes) -> Result<(), Errno> {
        self.ask(&message(libc::RTM_SETLINK, libc::NLM_F_ACK, index, change)).map(drop)
    }

    /// Gives an interface more names. All or none of them.
    pub fn add_names<'n>(&self, index: u32, names: impl IntoIterator<Item = &'n [u8]>) -> Result<(), Errno> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_EXCL | libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.ask(&message(NEW_PROPERTY, flags, index, &name_list(names))).map(drop)
    }

    /// Takes names from an interface.
    pub fn drop_names<'n>(&self, index: u32, names: impl IntoIterator<Item = &'n [u8]>) -> Result<(), Errno> {
        self.ask(&message(DELETE_PROPERTY, libc::NLM_F_ACK, index, &name_list(names))).map(drop)
    }

    fn ask(&self, message: &[u8]) -> Result<Vec<u8>, Errno> {
        send(self.0.as_raw_fd(), message, MsgFlags::empty())?;
        let mut answer = vec![0; ANSWER_MAX];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        answer.truncate(length);
        parse_answer(&answer).ok_or(Errno::EBADMSG)??;
        Ok(answer)
    }
}

fn name_list<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Attributes {
    let add = |list: Attributes, name: &'n [u8]| list.with_text(attribute::ALTERNATIVE_NAME, name);
    Attributes::new().with_nested(attribute::PROPERTIES, &names.into_iter().fold(Attributes::new(), add))
}

fn message(kind: u16, flags: i32, index: u32, attributes: &Attributes) -> Vec<u8> {
    let length = u32::try_from(2 * HEADER + attributes.0.len()).unwrap_or(u32::MAX);
    let flags = u16::try_from(libc::NLM_F_REQUEST | flags).unwrap_or_default();
    let mut out = Vec::new();
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    // sequence and port, both the kernel's to fill in; then family, padding and kind of hardware
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&index.to_ne_bytes());
    // flags and which of them change
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&attributes.0);
    out
}

/// Whether an answer is a failure; `None` if it is too short to be one.
fn parse_answer(answer: &[u8]) -> Option<Result<(), Errno>> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
    let failed = i32::from(kind) == libc::NLMSG_ERROR && error != 0;
    Some(if failed { Err(Errno::from_raw(error.saturating_neg())) } else { Ok(()) })
}

fn parse_link(answer: &[u8]) -> Option<Link> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != libc::RTM_NEWLINK {
        return None;
    }
    let word =
        |at: usize| Some(u32::from_ne_bytes(answer.get(HEADER + at..HEADER + at + 4)?.try_into().ok()?));
    let hardware = u16::from_ne_bytes(answer.get(HEADER + 2..HEADER + 4)?.try_into().ok()?);
    let mut link = Link { hardware, flags: word(8)?, ..Link::default() };
    let text = |value: &[u8]| BString::from(value.strip_suffix(b"\0").unwrap_or(value));
    for (kind, value) in attributes(answer.get(2 * HEADER..)?) {
        match kind {
            attribute::NAME => link.name = text(value),
            attribute::ADDRESS => link.address = value.into(),
            attribute::PERMANENT_ADDRESS => link.permanent_address = value.into(),
            attribute::INFO => {
                link.kind =
                    attributes(value).find(|(kind, _)| *kind == attribute::INFO_KIND).map(|(_, v)| text(v));
            }
            attribute::PROPERTIES => {
                let names = attributes(value).filter(|(kind, _)| *kind == attribute::ALTERNATIVE_NAME);
                link.alternative_names = names.map(|(_, value)| text(value)).collect();
            }
            _ => {}
        }
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_message() {
        let expected: &[u8] = &[
            44, 0, 0, 0, 19, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, // header
            0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // interface 7
            9, 0, 3, 0, b'l', b'a', b'n', b'0', 0, 0, 0, 0, // name
        ];
        let name = Attributes::new().with_text(attribute::NAME, b"lan0");
        assert_eq!(message(libc::RTM_SETLINK, libc::NLM_F_ACK, 7, &name), expected);
    }

    #[test]
    fn answers_of_the_kernel() {
        let answer = |kind: i32, error: i32| {
            let mut message = vec![0; 36];
            message[4..6].copy_from_slice(&u16::try_from(kind).unwrap().to_ne_bytes());
            message[16..20].copy_from_slice(&error.to_ne_bytes());
            parse_answer(&message)
        };
        assert_eq!(answer(libc::NLMSG_ERROR, 0), Some(Ok(())));
        assert_eq!(answer(libc::NLMSG_ERROR, -libc::EEXIST), Some(Err(Errno::EEXIST)));
        assert_eq!(parse_answer(b"short"), None);
    }

    #[test]
    fn attributes_there_and_back() {
        let names = name_list([&b"one"[..], b"three"]);
        let (kind, value) = attributes(&names.0).next().unwrap();
        assert_eq!(kind, attribute::PROPERTIES);
        let inner: Vec<_> = attributes(value).collect();
        let name = attribute::ALTERNATIVE_NAME;
        assert_eq!(inner, [(name, &b"one\0"[..]), (name, b"three\0")]);
        // cut, and a length that is none
        assert_eq!(attributes(&[8, 0, 1, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[0; 7]).count(), 0);
    }

    #[test]
    fn the_loopback() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        let link = Route::open().unwrap().link(index).unwrap();
        assert_eq!((link.name, link.hardware, link.address), ("lo".into(), 772, vec![0; 6]));
        assert!(link.flags & 8 != 0, "IFF_LOOPBACK");
        assert_eq!(Route::open().unwrap().link(0x7fff_ffff), Err(Errno::ENODEV));
    }
}
