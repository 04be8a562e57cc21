//! Owns what optical drives answer (MMC-6, SPC-4), and udev's names for it. Pure.

/// A profile: what a drive can handle, or what a disc is (MMC-6, table 95). The two beyond 16 bits are no profiles of the
/// standard's, but what the driver knows (Mount Rainier).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Profile(u32);

/// Profiles and udev's names for them.
const NAMES: &[(u32, &str)] = &[
    (0x01, "RW_NONREMOVABLE"),
    (0x02, "RW_REMOVABLE"),
    (0x03, "MO_SE"),
    (0x04, "MO_WO"),
    (0x05, "MO_AS"),
    (0x08, "CD"),
    (0x09, "CD_R"),
    (0x0a, "CD_RW"),
    (0x10, "DVD"),
    (0x11, "DVD_R"),
    (0x12, "DVD_RAM"),
    (0x13, "DVD_RW_RO"),
    (0x14, "DVD_RW_SEQ"),
    (0x15, "DVD_R_DL_SEQ"),
    (0x16, "DVD_R_DL_JR"),
    (0x17, "DVD_RW_DL"),
    (0x18, "DVD_R_DDR"),
    (0x1a, "DVD_PLUS_RW"),
    (0x1b, "DVD_PLUS_R"),
    (0x20, "DDCD"),
    (0x21, "DDCD_R"),
    (0x22, "DDCD_RW"),
    (0x2a, "DVD_PLUS_RW_DL"),
    (0x2b, "DVD_PLUS_R_DL"),
    (0x40, "BD"),
    (0x41, "BD_R_SRM"),
    (0x42, "BD_R_RRM"),
    (0x43, "BD_RE"),
    (0x50, "HDDVD"),
    (0x51, "HDDVD_R"),
    (0x52, "HDDVD_RAM"),
    (0x53, "HDDVD_RW"),
    (0x58, "HDDVD_R_DL"),
    (0x5a, "HDDVD_RW_DL"),
    (0x1_0000, "MRW"),
    (0x1_0001, "MRW_W"),
];

/// Names of several profiles together.
const FAMILIES: &[(&str, &[u32])] = &[
    ("MO", &[0x03, 0x04, 0x05]),
    ("DVD_RW", &[0x13, 0x14]),
    ("DVD_R_DL", &[0x15, 0x16]),
    ("DVD_R", &[0x18]),
    ("BD_R", &[0x41, 0x42]),
];

/// Bits of the driver's own list (`CDC_*` of `linux/cdrom.h`) and the profiles that they mean.
const CAPABILITIES: &[(u32, u32)] = &[
    (0x2000, 0x09),
    (0x4000, 0x0a),
    (0x8000, 0x10),
    (0x1_0000, 0x11),
    (0x2_0000, 0x12),
    (0x8_0000, 0x1_0000),
    (0x10_0000, 0x1_0001),
];

impl Profile {
    pub(super) const CD: Self = Self(0x08);
    pub(super) const CD_R: Self = Self(0x09);
    pub(super) const CD_RW: Self = Self(0x0a);
    pub(super) const DVD_RAM: Self = Self(0x12);
    pub(super) const DVD_RW_RO: Self = Self(0x13);
    const DVD_PLUS_RW: Self = Self(0x1a);
    const DVD_PLUS_RW_DL: Self = Self(0x2a);

    /// udev's name, if it has one.
    pub(super) fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(code, _)| *code == self.0).map(|(_, name)| *name)
    }

    /// True for discs that, once formatted, call themselves complete whatever is on them.
    pub(super) fn says_complete_always(self) -> bool {
        [Self::DVD_RW_RO, Self::DVD_PLUS_RW, Self::DVD_PLUS_RW_DL, Self::DVD_RAM].contains(&self)
    }
}

/// The names of the families that one of these belongs to.
pub(super) fn families(profiles: &[Profile]) -> impl Iterator<Item = &'static str> {
    let is_in = |codes: &[u32]| profiles.iter().any(|profile| codes.contains(&profile.0));
    FAMILIES.iter().filter(move |(_, codes)| is_in(codes)).map(|(name, _)| *name)
}

/// What the driver says that the drive can do.
pub(super) fn of_capability(bits: u32) -> impl Iterator<Item = Profile> {
    CAPABILITIES.iter().filter(move |(bit, _)| bits & bit != 0).map(|(_, code)| Profile(*code))
}

/// True when sense data say that there is no such command, or no such field in it.
pub(super) fn is_unknown_command(sense: &[u8]) -> bool {
    let at = |at: usize| sense.get(at).copied().unwrap_or_default();
    let (key, code) = if at(0) & 2 != 0 { (at(1), at(2)) } else { (at(2), at(12)) };
    key & 0xf == 5 && matches!(code, 0x20 | 0x24)
}

fn be16(data: &[u8], at: usize) -> u16 {
    data.get(at..).and_then(|rest| rest.first_chunk()).map(|b| u16::from_be_bytes(*b)).unwrap_or_default()
}

fn be32(data: &[u8], at: usize) -> u32 {
    data.get(at..).and_then(|rest| rest.first_chunk()).map(|b| u32::from_be_bytes(*b)).unwrap_or_default()
}

/// The head of GET CONFIGURATION: what is in the drive, and how long all of it is.
pub(super) fn configuration_head(data: &[u8]) -> (Option<Profile>, u32) {
    let current = be16(data, 6);
    ((current > 0).then_some(Profile(current.into())), be32(data, 0))
}

/// The list of profiles among the features of GET CONFIGURATION.
pub(super) fn profiles(data: &[u8]) -> Vec<Profile> {
    let len = usize::try_from(be32(data, 0)).unwrap_or(usize::MAX).min(data.len());
    let mut rest = data.get(8..len).unwrap_or_default();
    let mut out = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let size = usize::from(head[3]).min(after.len());
        let (body, next) = after.split_at(size);
        if be16(head, 0) == 0 {
            out.extend(body.as_chunks::<4>().0.iter().map(|entry| Profile(be16(entry, 0).into())));
        }
        rest = next;
    }
    out
}

/// What can be done with a disc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Blank,
    Appendable,
    Complete,
    Other,
}

impl State {
    /// udev's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Blank => "blank",
            State::Appendable => "appendable",
            State::Complete => "complete",
            State::Other => "other",
        }
    }
}

/// READ DISC INFORMATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disc {
    pub(super) state: State,
    pub(super) erasable: bool,
    /// The first track of the last session.
    pub(super) next_session: u16,
    pub(super) sessions: u16,
    /// The last track of the last session.
    pub(super) tracks: u16,
}

impl Disc {
    /// `None`: the data are too short.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let status = *data.get(2)?;
        let number = |high: usize, low: usize| {
            u16::from_be_bytes([high, low].map(|at| data.get(at).copied().unwrap_or_default()))
        };
        Some(Self {
            state: match status & 3 {
                0 => State::Blank,
                1 => State::Appendable,
                2 => State::Complete,
                _ => State::Other,
            },
            erasable: status & 0x10 != 0,
            next_session: number(10, 5),
            sessions: number(9, 4),
            tracks: number(11, 6),
        })
    }
}

/// Tracks by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Toc {
    pub(super) data: u16,
    pub(super) audio: u16,
}

impl Toc {
    /// The first track, how many there are, and how long the whole table is; `None` for a disc without tracks.
    pub(super) fn head(data: &[u8]) -> Option<(u8, u16, u16)> {
        let len = be16(data, 0).checked_add(2).filter(|len| *len >= 8)?;
        let (first, last) = (*data.get(2)?, *data.get(3)?);
        Some((first, (u16::from(last) + 1).saturating_sub(first.into()), len))
    }

    /// Counts at most `tracks` tracks.
    pub(super) fn parse(data: &[u8], tracks: u16) -> Self {
        let entries = data.get(4..).unwrap_or_default().as_chunks::<8>().0.iter().take(tracks.into());
        let mut out = Self { data: 0, audio: 0 };
        for entry in entries {
            if entry[1] & 4 != 0 { out.data += 1 } else { out.audio += 1 }
        }
        out
    }
}

/// The first block of the last session.
pub(super) fn last_session(data: &[u8]) -> u32 {
    be32(data, 8)
}

/// READ FORMAT CAPACITIES: 1 unformatted, 2 formatted, 3 no disc; `None` for nonsense.
pub(super) fn format(data: &[u8]) -> Option<u8> {
    let len = *data.get(3)?;
    (len.is_multiple_of(8) && len >= 16).then(|| data.get(8).map(|b| b & 3))?
}
