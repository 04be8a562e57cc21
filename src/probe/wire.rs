//! Owns how requests and answers are written as messages, and reading them back with every bound checked.
//!
//! Both ends are the same program, so there are no versions. Numbers are little endian; a text has its length, 16 bits, in
//! front. Pure: never touches a socket.

use bstr::BString;
use nix::errno::Errno;

use super::{Answer, Refusal, Request, Trespass};
use crate::sys::medium::Reply;

/// The longest request.
pub(super) const REQUEST_MAX: usize = 512;
/// The longest answer.
pub(super) const ANSWER_MAX: usize = 96 << 10;
/// The most facts of one answer.
const FACTS_MAX: usize = 512;
/// The longest name of a fact.
const NAME_MAX: usize = 64;
/// The longest value.
const VALUE_MAX: usize = 4096;

/// A message that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMessage(pub(super) &'static str);

/// Writes a message.
#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn tag(tag: u8) -> Self {
        Self(vec![tag])
    }

    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// What is longer than 16 bits can say is cut.
    fn bytes(self, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let mut out = self.u16(len);
        out.0.extend(bytes.iter().take(usize::from(len)));
        out
    }
}

/// Reads a message from the front.
#[derive(Debug)]
struct Cursor<'m>(&'m [u8]);

impl<'m> Cursor<'m> {
    fn take(&mut self, count: usize) -> Result<&'m [u8], BadMessage> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BadMessage("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadMessage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BadMessage("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, BadMessage> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, BadMessage> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BadMessage("a flag is neither 0 nor 1")),
        }
    }

    fn u16(&mut self) -> Result<u16, BadMessage> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadMessage> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadMessage> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, most: usize) -> Result<&'m [u8], BadMessage> {
        let len = usize::from(self.u16()?);
        if len > most {
            return Err(BadMessage("a text is too long"));
        }
        self.take(len)
    }

    fn end(self) -> Result<(), BadMessage> {
        if self.0.is_empty() { Ok(()) } else { Err(BadMessage("something follows its end")) }
    }
}

/// The numbers of [`Trespass`].
const TRESPASSES: [Trespass; 6] =
    [Trespass::Open, Trespass::Socket, Trespass::Fork, Trespass::Memory, Trespass::Hang, Trespass::Nonsense];

/// A request as a message.
pub(super) fn write_request(request: &Request) -> Vec<u8> {
    match request {
        Request::Contents { whole, offset, hint, no_raid } => {
            let out = Writer::tag(0).u8((*whole).into()).u64(*offset).u8((*no_raid).into());
            match hint {
                Some(hint) => out.u8(1).bytes(hint),
                None => out.u8(0),
            }
        }
        Request::Entry { number, start, size } => {
            Writer::tag(1).u8(number.is_some().into()).u32(number.unwrap_or_default()).u64(*start).u64(*size)
        }
        Request::Scsi { command, room, timeout } => Writer::tag(2).u16(*room).u32(*timeout).bytes(command),
        Request::AtaIdentity => Writer::tag(3),
        Request::VideoCapability => Writer::tag(4),
        Request::FlashInfo => Writer::tag(5),
        Request::Read { offset, room } => Writer::tag(6).u64(*offset).u16(*room),
        Request::DriveCapability => Writer::tag(8),
        Request::DriveStatus => Writer::tag(9),
        Request::Trespass(what) => {
            let at = TRESPASSES.iter().position(|t| t == what).and_then(|at| u8::try_from(at).ok());
            Writer::tag(7).u8(at.unwrap_or(u8::MAX))
        }
    }
    .0
}

/// The request of a message.
pub(super) fn read_request(message: &[u8]) -> Result<Request, BadMessage> {
    let mut from = Cursor(message);
    let request = match from.u8()? {
        0 => Request::Contents {
            whole: from.flag()?,
            offset: from.u64()?,
            no_raid: from.flag()?,
            hint: if from.flag()? { Some(from.bytes(NAME_MAX * 2)?.into()) } else { None },
        },
        1 => {
            let (known, number) = (from.flag()?, from.u32()?);
            Request::Entry { number: known.then_some(number), start: from.u64()?, size: from.u64()? }
        }
        2 => Request::Scsi { room: from.u16()?, timeout: from.u32()?, command: from.bytes(16)?.into() },
        3 => Request::AtaIdentity,
        4 => Request::VideoCapability,
        5 => Request::FlashInfo,
        6 => Request::Read { offset: from.u64()?, room: from.u16()? },
        7 => {
            let what = TRESPASSES.get(usize::from(from.u8()?));
            Request::Trespass(*what.ok_or(BadMessage("there is no such request"))?)
        }
        8 => Request::DriveCapability,
        9 => Request::DriveStatus,
        _ => return Err(BadMessage("there is no such request")),
    };
    from.end()?;
    Ok(request)
}

/// An answer as a message. Facts that it has no room for are left out.
pub(super) fn write_answer(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::Facts(facts) => {
            let mut out = Writer::tag(0);
            for (name, value) in facts.iter().take(FACTS_MAX) {
                let fits = out.0.len() + name.len() + value.len() + 4 <= ANSWER_MAX;
                if name.len() <= NAME_MAX && value.len() <= VALUE_MAX && fits {
                    out = out.bytes(name).bytes(value);
                }
            }
            out
        }
        Answer::Reply(Reply { data, status, transport, sense }) => {
            Writer::tag(1).u8(*status).u32(*transport).bytes(sense).bytes(data)
        }
        Answer::Bytes(bytes) => Writer::tag(2).bytes(bytes),
        Answer::Refused(why) => match why {
            Refusal::NoLibrary => Writer::tag(3).u8(0),
            Refusal::Ambivalent => Writer::tag(3).u8(1),
            Refusal::Unreadable => Writer::tag(3).u8(2),
            Refusal::Hint => Writer::tag(3).u8(3),
            Refusal::Errno(errno) => {
                Writer::tag(3).u8(4).u16(u16::try_from(*errno as i32).unwrap_or_default())
            }
        },
    }
    .0
}

/// The answer of a message. What comes from a probe is not trusted: names are of the bytes that names have, values have
/// no NUL, nothing is longer than it may be, and only what this `request` can be answered with counts.
pub(super) fn read_answer(request: &Request, message: &[u8]) -> Result<Answer, BadMessage> {
    let mut from = Cursor(message);
    let answer = match from.u8()? {
        0 => Answer::Facts(read_facts(&mut from)?),
        1 => Answer::Reply(Reply {
            status: from.u8()?,
            transport: from.u32()?,
            sense: from.bytes(u8::MAX.into())?.into(),
            data: from.bytes(u16::MAX.into())?.into(),
        }),
        2 => Answer::Bytes(from.bytes(u16::MAX.into())?.into()),
        3 => Answer::Refused(match from.u8()? {
            0 => Refusal::NoLibrary,
            1 => Refusal::Ambivalent,
            2 => Refusal::Unreadable,
            3 => Refusal::Hint,
            4 => Refusal::Errno(Errno::from_raw(from.u16()?.into())),
            _ => return Err(BadMessage("there is no such refusal")),
        }),
        _ => return Err(BadMessage("there is no such answer")),
    };
    from.end()?;
    if fits(request, &answer) { Ok(answer) } else { Err(BadMessage("it answers something else")) }
}

fn read_facts(from: &mut Cursor<'_>) -> Result<Vec<(BString, BString)>, BadMessage> {
    let mut facts = Vec::new();
    while !from.0.is_empty() {
        let (name, value) = (from.bytes(NAME_MAX)?, from.bytes(VALUE_MAX)?);
        let is_name = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        if name.is_empty() || !name.iter().all(is_name) {
            return Err(BadMessage("a name is none"));
        }
        if value.contains(&0) || facts.len() == FACTS_MAX {
            return Err(BadMessage("a value is none, or there are too many"));
        }
        facts.push((name.into(), value.into()));
    }
    Ok(facts)
}

/// True when the answer is of the kind and length that the request asks for.
fn fits(request: &Request, answer: &Answer) -> bool {
    match (request, answer) {
        (_, Answer::Refused(_)) => true,
        (Request::Contents { .. } | Request::Entry { .. }, Answer::Facts(_)) => true,
        (Request::Scsi { room, .. }, Answer::Reply(reply)) => reply.data.len() <= usize::from(*room),
        (Request::Read { room, .. }, Answer::Bytes(bytes)) => bytes.len() <= usize::from(*room),
        (Request::AtaIdentity, Answer::Bytes(bytes)) => bytes.len() == 512,
        (Request::VideoCapability, Answer::Bytes(bytes)) => bytes.len() == 104,
        (Request::FlashInfo, Answer::Bytes(bytes)) => bytes.len() == 32,
        (Request::DriveCapability | Request::DriveStatus, Answer::Bytes(bytes)) => bytes.len() == 4,
        (Request::Trespass(_), Answer::Bytes(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents() -> Request {
        Request::Contents { whole: true, offset: 0, hint: None, no_raid: false }
    }

    #[test]
    fn requests_come_back() {
        let hint = Some("session_offset=12".into());
        let requests = [
            contents(),
            Request::Contents { whole: false, offset: u64::MAX, hint, no_raid: true },
            Request::Entry { number: None, start: 2048, size: 1 << 40 },
            Request::Entry { number: Some(7), start: 0, size: 0 },
            Request::Scsi { command: vec![0x12, 1, 0x83, 0, 96, 0], room: 96, timeout: 5000 },
            Request::AtaIdentity,
            Request::VideoCapability,
            Request::FlashInfo,
            Request::DriveCapability,
            Request::DriveStatus,
            Request::Read { offset: 512, room: 65535 },
        ];
        for request in requests.into_iter().chain(TRESPASSES.map(Request::Trespass)) {
            let message = write_request(&request);
            assert!(message.len() <= REQUEST_MAX);
            assert_eq!(read_request(&message), Ok(request.clone()));
            assert!(read_request(&[&message[..], b"x"].concat()).is_err(), "{request:?}");
            assert!(read_request(&message[..message.len() - 1]).is_err(), "{request:?}");
        }
        let long = Request::Scsi { command: vec![0; 17], room: 0, timeout: 0 };
        assert_eq!(read_request(&write_request(&long)), Err(BadMessage("a text is too long")));
    }

    #[test]
    fn answers_come_back() {
        let facts =
            Answer::Facts(vec![("TYPE".into(), "ext4".into()), ("LABEL".into(), "a b\n\u{e9}".into())]);
        let scsi = Request::Scsi { command: vec![0; 6], room: 3, timeout: 0 };
        let reply = Reply { data: vec![1, 2, 3], status: 2, transport: 0x10000, sense: vec![0x70] };
        for (request, answer) in [
            (contents(), facts),
            (scsi, Answer::Reply(reply)),
            (Request::AtaIdentity, Answer::Bytes(vec![7; 512])),
            (contents(), Answer::Refused(Refusal::Ambivalent)),
            (Request::FlashInfo, Answer::Refused(Refusal::Errno(Errno::ENOTTY))),
        ] {
            assert_eq!(read_answer(&request, &write_answer(&answer)), Ok(answer));
        }
    }

    #[test]
    fn answers_that_are_not_believed() {
        let facts = |name: &str, value: &str| Writer::tag(0).bytes(name.as_bytes()).bytes(value.as_bytes()).0;
        let many = (0..=FACTS_MAX).fold(Writer::tag(0), |out, _| out.bytes(b"A").bytes(b"")).0;
        for (why, message) in [
            ("no message", vec![]),
            ("a name with a newline", facts("A\nB", "x")),
            ("no name", facts("", "x")),
            ("small letters", facts("type", "x")),
            ("a value with a NUL", facts("TYPE", "a\0b")),
            ("a long value", facts("TYPE", &"x".repeat(VALUE_MAX + 1))),
            ("too many", many),
            ("bytes where facts were asked for", Writer::tag(2).bytes(b"x").0),
            ("another tag", vec![9]),
        ] {
            assert!(read_answer(&contents(), &message).is_err(), "{why}");
        }
        let short = Writer::tag(2).bytes(&[0; 511]).0;
        assert_eq!(read_answer(&Request::AtaIdentity, &short), Err(BadMessage("it answers something else")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _request = read_request(&message);
            let _answer = read_answer(&contents(), &message);
        }
    }
}
