//! Owns `cdrom_id`: what an optical drive can do, and what disc is in it: kind, state, sessions, tracks.
//!
//! The drive is asked in the order in which later questions need earlier answers (MMC-6, chapter 6). What a drive does not
//! answer costs the facts that depend on it.

mod mmc;

use bstr::BString;

use self::mmc::{Disc, Profile, State, Toc};
use super::helper::{Arguments, Option_, Said};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context, Deed};
use crate::ids::LinkName;
use crate::probe::Request;

/// The options of the program.
const OPTIONS: &[Option_] = &[
    ("lock-media", b'l', false),
    ("unlock-media", b'u', false),
    ("eject-media", b'e', false),
    ("debug", b'd', false),
];

/// Everything found about a drive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Found {
    /// What it can read or write, each once.
    drive: Vec<Profile>,
    has_media: bool,
    medium: Option<Profile>,
    state: Option<State>,
    next_session: u16,
    sessions: u16,
    last_session: u32,
    tracks: u16,
    data_tracks: u16,
    audio_tracks: u16,
}

/// Says what the drive of the node that is named, or the device's own, is and holds. With `--lock-media` the door of a drive
/// with a disc is locked, so that its button becomes an event; `--unlock-media` unlocks it, `--eject-media` opens the tray.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, OPTIONS)?;
    let medium = context.open_path(arguments.rest.first())?;
    let node = LinkName::new(&medium.name).ok();
    let found = look(&Probed { context, medium })?;
    let deeds = node.map(|node| deeds(&arguments, node, found.has_media)).unwrap_or_default();
    Ok(Said { facts: facts(&found), deeds, ..Said::default() })
}

fn deeds(arguments: &Arguments, node: LinkName, has_media: bool) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if arguments.has(b'l') && has_media {
        deeds.push(Deed::Door { node: node.clone(), lock: true });
    }
    if (arguments.has(b'u') && has_media) || arguments.has(b'e') {
        deeds.push(Deed::Door { node: node.clone(), lock: false });
    }
    if arguments.has(b'e') {
        deeds.push(Deed::Eject { node });
    }
    deeds
}

/// A number that a call gives.
fn number(drive: &impl Drive, request: Request) -> Result<u32, BuiltinError> {
    let bytes = drive.bytes(request)?;
    Ok(bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default())
}

/// Asks everything. Error: it is no optical drive.
fn look(drive: &impl Drive) -> Result<Found, BuiltinError> {
    /// `CDS_DISC_OK`.
    const DISC: u32 = 4;
    let mut found = Found::default();
    for profile in mmc::of_capability(number(drive, Request::DriveCapability)?) {
        found.add(profile);
    }
    found.has_media = number(drive, Request::DriveStatus).is_ok_and(|status| status == DISC);
    let inquiry = drive.data(&[0x12, 0, 0, 0, 36, 0], 36).unwrap_or_default();
    if inquiry.first().map(|b| b & 0x1f) == Some(5) && profiles(drive, &mut found) == Next::Disc {
        toc(drive, &mut found);
        disc(drive, &mut found);
    }
    Ok(found)
}

/// What is asked next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Everything about the disc.
    Disc,
    /// Nothing: there is none, or no more can be known.
    Nothing,
}

impl Found {
    fn add(&mut self, profile: Profile) {
        if !self.drive.contains(&profile) {
            self.drive.push(profile);
        }
    }
}

/// What the drive can do, and which of it the disc is.
fn profiles(drive: &impl Drive, found: &mut Found) -> Next {
    const GET_CONFIGURATION: u8 = 0x46;
    let head = match drive.scsi(&[GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 0, 8, 0], 8) {
        Ok(reply) if reply.status == 0 && reply.transport == 0 => reply.data,
        // a drive from before MMC-2 does not know the command
        Ok(reply) if mmc::is_unknown_command(&reply.sense) => return old_profiles(drive, found),
        _ => return Next::Nothing,
    };
    let (current, len) = mmc::configuration_head(&head);
    found.medium = current;
    found.has_media = current.is_some();
    let room = u16::try_from(len).ok().filter(|len| (9..=0xfffa).contains(len)).unwrap_or(0xfffa);
    let [high, low] = room.to_be_bytes();
    match drive.data(&[GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, high, low, 0], room) {
        Ok(features) => mmc::profiles(&features).into_iter().for_each(|profile| found.add(profile)),
        Err(_) => return Next::Nothing,
    }
    if found.has_media { Next::Disc } else { Next::Nothing }
}

fn old_profiles(drive: &impl Drive, found: &mut Found) -> Next {
    let Some(disc) = read_disc(drive) else {
        if found.has_media {
            // a disc that nothing more is known of
            found.medium = Some(Profile::CD);
            (found.tracks, found.data_tracks) = (1, 1);
            return Next::Disc;
        }
        return Next::Nothing;
    };
    found.has_media = true;
    found.medium = Some(match disc.state {
        _ if disc.erasable => Profile::CD_RW,
        State::Blank | State::Appendable if found.drive.contains(&Profile::CD_R) => Profile::CD_R,
        _ => Profile::CD,
    });
    // what more there is to ask, such drives do not answer
    Next::Nothing
}

fn read_disc(drive: &impl Drive) -> Option<Disc> {
    Disc::parse(&drive.data(&[0x51, 0, 0, 0, 0, 0, 0, 0, 32, 0], 32).ok()?)
}

/// Tracks, and where the last session begins.
fn toc(drive: &impl Drive, found: &mut Found) {
    const READ_TOC: u8 = 0x43;
    let Ok(head) = drive.data(&[READ_TOC, 0, 0, 0, 0, 0, 1, 0, 12, 0], 12) else { return };
    let Some((first, tracks, len)) = Toc::head(&head) else { return };
    let [high, low] = len.to_be_bytes();
    let Ok(data) = drive.data(&[READ_TOC, 0, 0, 0, 0, 0, first, high, low, 0], len) else { return };
    let toc = Toc::parse(&data, tracks);
    (found.data_tracks, found.audio_tracks) = (toc.data, toc.audio);
    if let Ok(sessions) = drive.data(&[READ_TOC, 0, 1, 0, 0, 0, 0, 0, 12, 0], 12) {
        found.last_session = mmc::last_session(&sessions);
    }
}

/// State and sessions of the disc.
fn disc(drive: &impl Drive, found: &mut Found) {
    let Some(disc) = read_disc(drive) else { return };
    let medium = found.medium.unwrap_or_default();
    // some drives that can't write call every disc blank
    if medium != Profile::CD {
        found.state = Some(disc.state);
    }
    if medium == Profile::DVD_RW_RO && disc.state == State::Appendable {
        found.state = Some(State::Blank);
    }
    if medium.says_complete_always() && matches!(disc.state, State::Complete | State::Other) {
        match contents(drive, medium) {
            Contents::Unknown => {}
            Contents::Is(state) => found.state = Some(state),
            Contents::NoMedium => {
                found.has_media = false;
                return;
            }
            Contents::Failed => return,
        }
    }
    if medium != Profile::DVD_RW_RO && matches!(disc.state, State::Blank | State::Appendable) {
        found.next_session = disc.next_session;
    }
    (found.sessions, found.tracks) = (disc.sessions, disc.tracks);
}

/// What a rewritable disc holds that is always called complete.
#[derive(Debug, PartialEq, Eq)]
enum Contents {
    Is(State),
    Unknown,
    NoMedium,
    Failed,
}

fn contents(drive: &impl Drive, medium: Profile) -> Contents {
    if medium == Profile::DVD_RAM {
        let Ok(structure) = drive.data(&[0xad, 0, 0, 0, 0, 0, 0, 0xc0, 0, 8, 0, 0], 8) else {
            return Contents::Failed;
        };
        if structure.get(4).is_some_and(|b| b & 2 != 0) {
            // write protected
            return Contents::Is(State::Complete);
        }
        let Ok(format) = drive.data(&[0x23, 0, 0, 0, 0, 0, 0, 0, 12, 0], 12) else { return Contents::Failed };
        match mmc::format(&format) {
            None => return Contents::Failed,
            Some(1) => return Contents::Unknown,
            Some(3) => return Contents::NoMedium,
            Some(_) => {}
        }
    }
    // blocks 0 to 16: a file system of any kind begins in the first or the last of these
    const BLOCKS: u8 = 17;
    const BLOCK: usize = 2048;
    let Ok(data) = drive.data(&[0x28, 0, 0, 0, 0, 0, 0, 0, BLOCKS, 0], u16::from(BLOCKS) * 2048) else {
        return Contents::NoMedium;
    };
    let is_zero =
        |from: usize| data.get(from..from + BLOCK).is_some_and(|block| block.iter().all(|b| *b == 0));
    if is_zero(0) && is_zero(16 * BLOCK) { Contents::Is(State::Blank) } else { Contents::Unknown }
}

/// All facts, in udev's order.
fn facts(found: &Found) -> Vec<(String, BString)> {
    let mut out: Vec<(String, BString)> = vec![("ID_CDROM".into(), "1".into())];
    let flags = |out: &mut Vec<(String, BString)>, prefix: &str, profiles: &[Profile]| {
        let names = profiles.iter().filter_map(|profile| profile.name());
        let families = mmc::families(profiles);
        out.extend(names.chain(families).map(|name| (format!("{prefix}_{name}"), "1".into())));
    };
    flags(&mut out, "ID_CDROM", &found.drive);
    if found.has_media {
        let medium: Vec<Profile> = found.medium.into_iter().collect();
        out.push(("ID_CDROM_MEDIA".into(), "1".into()));
        flags(&mut out, "ID_CDROM_MEDIA", &medium);
    }
    if let Some(state) = found.state {
        out.push(("ID_CDROM_MEDIA_STATE".into(), state.name().into()));
    }
    let last = if found.sessions > 1 { u64::from(found.last_session) * 2048 } else { 0 };
    for (name, number) in [
        ("SESSION_NEXT", u64::from(found.next_session)),
        ("SESSION_COUNT", u64::from(found.sessions)),
        ("SESSION_LAST_OFFSET", last),
        ("TRACK_COUNT", u64::from(found.tracks)),
        ("TRACK_COUNT_AUDIO", u64::from(found.audio_tracks)),
        ("TRACK_COUNT_DATA", u64::from(found.data_tracks)),
    ] {
        if number > 0 {
            out.push((format!("ID_CDROM_MEDIA_{name}"), number.to_string().into()));
        }
    }
    out
}

#[cfg(test)]
mod tests;
