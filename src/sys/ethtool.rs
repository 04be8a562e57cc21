//! Owns what the kernel says of and does to a network card through `SIOCETHTOOL` (`linux/ethtool.h`).
//!
//! Every request is a row of 32-bit words; which of them mean what is named here, so that callers handle values only.
//! Errors are the kernel's: `EOPNOTSUPP` from a driver that knows no such thing, `ENODEV` when the interface has gone.

use std::os::fd::{AsRawFd, OwnedFd};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `SIOCETHTOOL`.
const REQUEST: libc::c_ulong = 0x8946;
/// `IFNAMSIZ`.
const NAME_SIZE: usize = 16;
/// Bytes of one name in a set of names (`ETH_GSTRING_LEN`).
const STRING_SIZE: usize = 32;
/// The set of the names of features (`ETH_SS_FEATURES`).
const FEATURE_NAMES: u32 = 4;
/// More features, or words of link modes, than any kernel has: a number above is nonsense.
const MANY: usize = 1024;

/// A request of `ethtool.h`: its number and how many words the kernel reads and writes at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Command {
    number: u32,
    words: usize,
}

const fn command(number: u32, words: usize) -> Command {
    Command { number, words }
}

const GET_DRIVER: Command = command(0x03, 49);
const GET_WAKE: Command = command(0x05, 5);
const SET_WAKE: Command = command(0x06, 5);
const GET_COALESCE: Command = command(0x0e, COALESCE_WORDS + 1);
const SET_COALESCE: Command = command(0x0f, COALESCE_WORDS + 1);
const GET_RINGS: Command = command(0x10, 9);
const SET_RINGS: Command = command(0x11, 9);
const GET_PAUSE: Command = command(0x12, 4);
const SET_PAUSE: Command = command(0x13, 4);
const GET_STRINGS: Command = command(0x1b, 3);
const GET_PERMANENT: Command = command(0x20, 2);
const GET_SET_SIZE: Command = command(0x37, 5);
const GET_FEATURES: Command = command(0x3a, 2);
const SET_FEATURES: Command = command(0x3b, 2);
const GET_CHANNELS: Command = command(0x3c, 9);
const SET_CHANNELS: Command = command(0x3d, 9);
const GET_LINK: Command = command(0x4c, LINK_WORDS);
const SET_LINK: Command = command(0x4d, LINK_WORDS);

/// Words of `struct ethtool_link_settings` before the masks of modes.
const LINK_WORDS: usize = 12;
/// Words of `struct ethtool_coalesce` behind the command.
pub const COALESCE_WORDS: usize = 22;

/// One interface, asked by name.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
    name: [u8; NAME_SIZE],
}

/// When a card wakes the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// What the card can do (`WAKE_` bits).
    pub supported: u32,
    /// What it is told to do.
    pub options: u32,
    /// The password of a secure magic packet.
    pub password: [u8; 6],
}

/// Numbers of four kinds, with what the card can do at most: channels, or rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Four {
    /// At most.
    pub max: [u32; 4],
    /// Now.
    pub now: [u32; 4],
}

/// Which pause frames are sent and heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Both ends agree on it.
    pub negotiated: bool,
    /// Received ones are heeded.
    pub receive: bool,
    /// They are sent.
    pub transmit: bool,
}

/// How the link is made: speed, duplex and the like, and what is advertised to the other end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkSettings {
    /// Megabits a second.
    pub speed: u32,
    /// `DUPLEX_HALF` 0, `DUPLEX_FULL` 1.
    pub duplex: u8,
    /// `PORT_TP` 0, `PORT_AUI` 1, `PORT_MII` 2, `PORT_FIBRE` 3, `PORT_BNC` 4.
    pub port: u8,
    /// Both ends agree on the mode.
    pub negotiated: bool,
    /// `ETH_TP_MDI` 1, `ETH_TP_MDI_X` 2, `ETH_TP_MDI_AUTO` 3; 0 where the card can't be told.
    pub crossover: u8,
    /// The modes that are advertised, one bit each.
    pub advertised: Vec<u32>,
    /// The rest, as the kernel gave it.
    raw: Vec<u32>,
}

/// One thing that a card may do by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name (`rx-gro`).
    pub name: BString,
    /// Whether it is on.
    pub active: bool,
    /// Whether it can be switched.
    pub changeable: bool,
}

impl Ethtool {
    /// Asks for the interface `name`. Error: `ENODEV` for a name that no interface can have.
    pub fn open(name: &[u8]) -> Result<Self, Errno> {
        let mut room = [0; NAME_SIZE];
        let place =
            room.get_mut(..name.len()).filter(|place| place.len() < NAME_SIZE).ok_or(Errno::ENODEV)?;
        place.copy_from_slice(name);
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            // a machine without IPv4
            .or_else(|_| socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None))?;
        Ok(Self { socket, name: room })
    }

    /// The name of the driver.
    pub fn driver(&self) -> Result<BString, Errno> {
        let answer = self.ask(GET_DRIVER, &[], 0)?;
        let text = bytes(answer.get(1..9).unwrap_or_default());
        Ok(until_nul(&text).into())
    }

    /// The address that the card was made with; zeros where its driver knows none.
    pub fn permanent_address(&self) -> Result<Vec<u8>, Errno> {
        const ROOM: u32 = 32;
        let answer = self.ask(GET_PERMANENT, &[ROOM], 8)?;
        let length = answer.get(1).copied().unwrap_or_default().min(ROOM);
        let mut address = bytes(answer.get(2..).unwrap_or_default());
        address.truncate(usize::try_from(length).unwrap_or_default());
        Ok(address)
    }

    /// When the card wakes the machine.
    pub fn wake(&self) -> Result<Wake, Errno> {
        let answer = self.ask(GET_WAKE, &[], 0)?;
        let mut password = [0; 6];
        for (to, from) in password.iter_mut().zip(bytes(answer.get(3..).unwrap_or_default())) {
            *to = from;
        }
        Ok(Wake { supported: word(&answer, 1), options: word(&answer, 2), password })
    }

    /// Sets when the card wakes the machine.
    pub fn set_wake(&self, wake: Wake) -> Result<(), Errno> {
        let [a, b, c, d, e, f] = wake.password;
        let password = [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, 0, 0])];
        self.ask(SET_WAKE, &[&[wake.supported, wake.options][..], &password].concat(), 0).map(drop)
    }

    /// Receive, transmit, other and combined channels.
    pub fn channels(&self) -> Result<Four, Errno> {
        self.four(GET_CHANNELS)
    }

    /// Sets the channels; `max` is the kernel's and stays.
    pub fn set_channels(&self, channels: Four) -> Result<(), Errno> {
        self.set_four(SET_CHANNELS, channels)
    }

    /// Receive, mini receive, jumbo receive and transmit rings.
    pub fn rings(&self) -> Result<Four, Errno> {
        self.four(GET_RINGS)
    }

    /// Sets the rings; `max` is the kernel's and stays.
    pub fn set_rings(&self, rings: Four) -> Result<(), Errno> {
        self.set_four(SET_RINGS, rings)
    }

    fn four(&self, command: Command) -> Result<Four, Errno> {
        let answer = self.ask(command, &[], 0)?;
        let at = |n: usize| word(&answer, n);
        Ok(Four { max: [at(1), at(2), at(3), at(4)], now: [at(5), at(6), at(7), at(8)] })
    }

    fn set_four(&self, command: Command, four: Four) -> Result<(), Errno> {
        self.ask(command, &[four.max, four.now].concat(), 0).map(drop)
    }

    /// Which pause frames are sent and heeded.
    pub fn pause(&self) -> Result<Pause, Errno> {
        let answer = self.ask(GET_PAUSE, &[], 0)?;
        let is = |n: usize| word(&answer, n) != 0;
        Ok(Pause { negotiated: is(1), receive: is(2), transmit: is(3) })
    }

    /// Sets which pause frames are sent and heeded.
    pub fn set_pause(&self, pause: Pause) -> Result<(), Errno> {
        let words = [pause.negotiated, pause.receive, pause.transmit].map(u32::from);
        self.ask(SET_PAUSE, &words, 0).map(drop)
    }

    /// When interrupts are raised: the words of `struct ethtool_coalesce` behind the command, in its order.
    pub fn coalesce(&self) -> Result<[u32; COALESCE_WORDS], Errno> {
        let answer = self.ask(GET_COALESCE, &[], 0)?;
        answer.get(1..).and_then(|words| words.try_into().ok()).ok_or(Errno::EBADMSG)
    }

    /// Sets when interrupts are raised.
    pub fn set_coalesce(&self, words: &[u32; COALESCE_WORDS]) -> Result<(), Errno> {
        self.ask(SET_COALESCE, words, 0).map(drop)
    }

    /// How the link is made.
    pub fn link(&self) -> Result<LinkSettings, Errno> {
        // the first answer only says how many words a mask of modes has, as a negative number
        let first = self.ask(GET_LINK, &[], 0)?;
        let [.., count] = word(&first, 3).to_ne_bytes();
        let count = i8::from_ne_bytes([count]).checked_neg().unwrap_or_default();
        let words = usize::try_from(count).map_err(|_| Errno::EBADMSG)?;
        let [count] = count.to_ne_bytes();
        let request = [0, 0, u32::from_ne_bytes([0, 0, 0, count])];
        let raw = self.ask(GET_LINK, &request, 3 * words)?;
        let [duplex, port, _address, negotiated] = word(&raw, 2).to_ne_bytes();
        let [_mdio, _crossed, crossover, _count] = word(&raw, 3).to_ne_bytes();
        Ok(LinkSettings {
            speed: word(&raw, 1),
            duplex,
            port,
            negotiated: negotiated != 0,
            crossover,
            advertised: raw.get(LINK_WORDS + words..LINK_WORDS + 2 * words).unwrap_or_default().to_vec(),
            raw,
        })
    }

    /// Sets how the link is made. `settings` is what [`Ethtool::link`] gave, with other values.
    pub fn set_link(&self, settings: &LinkSettings) -> Result<(), Errno> {
        let mut raw = settings.raw.clone();
        let [_, _, address, _] = word(&raw, 2).to_ne_bytes();
        let [mdio, crossed, _, count] = word(&raw, 3).to_ne_bytes();
        let negotiated = u8::from(settings.negotiated);
        let fixed = [
            settings.speed,
            u32::from_ne_bytes([settings.duplex, settings.port, address, negotiated]),
            u32::from_ne_bytes([mdio, crossed, settings.crossover, count]),
        ];
        for (to, from) in raw.iter_mut().skip(1).zip(fixed) {
            *to = from;
        }
        let words = settings.advertised.len();
        for (to, from) in raw.iter_mut().skip(LINK_WORDS + words).zip(&settings.advertised) {
            *to = *from;
        }
        let extra = raw.len().saturating_sub(LINK_WORDS);
        self.ask(SET_LINK, raw.get(1..).unwrap_or_default(), extra).map(drop)
    }

    /// What the card may do by itself.
    pub fn features(&self) -> Result<Vec<Feature>, Errno> {
        let names = self.feature_names()?;
        let blocks = names.len().div_ceil(32);
        let count = u32::try_from(blocks).map_err(|_| Errno::EBADMSG)?;
        let answer = self.ask(GET_FEATURES, &[count], blocks * 4)?;
        // each block: available, requested, active, never changed
        let is = |at: usize, row: usize| word(&answer, 2 + at / 32 * 4 + row) & (1 << (at % 32)) != 0;
        let feature = |(at, name): (usize, BString)| Feature {
            name,
            active: is(at, 2),
            changeable: is(at, 0) && !is(at, 3),
        };
        Ok(names.into_iter().enumerate().map(feature).collect())
    }

    /// Switches features, each by its number in what [`Ethtool::features`] gave.
    pub fn set_features(&self, wanted: &[(usize, bool)], known: usize) -> Result<(), Errno> {
        let blocks = known.min(MANY).div_ceil(32);
        let mut words = vec![0_u32; 1 + blocks * 2];
        if let Some(count) = words.first_mut() {
            *count = u32::try_from(blocks).map_err(|_| Errno::EBADMSG)?;
        }
        for &(at, on) in wanted {
            let (block, bit) = (1 + at / 32 * 2, 1_u32 << (at % 32));
            if let Some([valid, requested, ..]) = words.get_mut(block..) {
                *valid |= bit;
                *requested |= if on { bit } else { 0 };
            }
        }
        self.ask(SET_FEATURES, &words, blocks * 2).map(drop)
    }

    fn feature_names(&self) -> Result<Vec<BString>, Errno> {
        let size = self.ask(GET_SET_SIZE, &[0, 1 << FEATURE_NAMES, 0], 0)?;
        let count = word(&size, 4);
        let known = usize::try_from(count).ok().filter(|known| *known <= MANY).ok_or(Errno::EBADMSG)?;
        let answer = self.ask(GET_STRINGS, &[FEATURE_NAMES, count], known * STRING_SIZE / 4)?;
        let text = bytes(answer.get(3..).unwrap_or_default());
        Ok(text.chunks(STRING_SIZE).map(|name| until_nul(name).into()).collect())
    }

    /// One request: `fill` stands behind the command's number, `extra` words behind those that every such request has.
    /// The answer is all of it.
    fn ask(&self, command: Command, fill: &[u32], extra: usize) -> Result<Vec<u32>, Errno> {
        let mut words = vec![0_u32; command.words + extra];
        for (to, from) in words.iter_mut().zip([&[command.number], fill].concat()) {
            *to = from;
        }
        let mut request = Request { name: self.name, data: words.as_mut_ptr(), padding: [0; 16] };
        // SAFETY: an interface's name with its NUL and a pointer to words that outlive the call. The kernel reads and
        // writes as many of them as the command's structure has (`command.words`) and, for the structures of variable
        // length, as many more as the counts in `fill` say, for which every caller gives the room in `extra`.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), REQUEST as _, &raw mut request) };
        Errno::result(done)?;
        Ok(words)
    }
}

/// `struct ifreq`, with the member that is used here.
#[repr(C)]
struct Request {
    name: [u8; NAME_SIZE],
    data: *mut u32,
    /// The longest member has 24 bytes where pointers have 8.
    padding: [u8; 16],
}

fn word(words: &[u32], at: usize) -> u32 {
    words.get(at).copied().unwrap_or_default()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split_once_str(b"\0").map_or(text, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lo` has no driver that knows any of this, and is on every machine.
    #[test]
    fn the_loopback() {
        let card = Ethtool::open(b"lo").unwrap();
        assert_eq!(card.driver(), Err(Errno::EOPNOTSUPP));
        assert_eq!(card.wake(), Err(Errno::EOPNOTSUPP));
        assert_eq!(card.permanent_address(), Ok(vec![0; 6]));
        let features = card.features().unwrap();
        assert!(features.iter().any(|feature| feature.name == "tx-generic-segmentation"), "{features:?}");
        assert!(features.iter().any(|feature| feature.name == "loopback" && feature.active), "{features:?}");
    }

    #[test]
    fn names_that_are_none() {
        assert_eq!(Ethtool::open(b"x123456789012345").err(), Some(Errno::ENODEV));
        assert_eq!(Ethtool::open(b"np-none").unwrap().driver(), Err(Errno::ENODEV));
    }
}
