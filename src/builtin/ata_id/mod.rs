//! Owns `ata_id`: what an ATA or ATAPI drive says of itself.
//!
//! The drive's IDENTIFY data are asked for in three ways: by ATA PASS-THROUGH, which the kernel may let only privileged
//! processes send, and a probe is none; from VPD page 0x89, in which translators between SCSI and ATA keep them; from the
//! driver. Drives that are no ATA drives answer none of these.

mod identity;

use bstr::BString;

use self::identity::Identity;
use super::helper::{Arguments, Said};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context};
use crate::probe::Request;

/// Bytes of IDENTIFY data.
const IDENTIFY: u16 = 512;

/// Says what the drive of the node that is named, or the device's own, is: as facts with `--export`, else its serial.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, &[("export", b'x', false), ("help", b'h', false)])?;
    let medium = context.open_path(arguments.rest.first())?;
    let (identity, kind) = identify(&Probed { context, medium })?;
    Ok(if arguments.has(b'x') {
        Said::facts(identity.facts(kind))
    } else {
        Said { line: Some(identity.serial()), ..Said::default() }
    })
}

/// Asks for the IDENTIFY data in every way; with them comes the SCSI device type, where that way led to them. Error: that of the
/// last way.
fn identify(drive: &impl Drive) -> Result<(Identity, Option<u8>), BuiltinError> {
    // The first byte tells what kind of drive takes which command: to an optical one, ATA PASS-THROUGH (12) means BLANK.
    let kind = drive.data(&[0x12, 0, 0, 0, 36, 0], 36).ok().and_then(|data| data.first().map(|b| b & 0x1f));
    let command = match kind {
        Some(0x00 | 0x14) => Some(0xec),
        Some(0x05) => Some(0xa1),
        _ => None,
    };
    let raw = command.and_then(|command| pass_through(drive, command).or_else(|| vital_data(drive)));
    if let Some(identity) = raw.and_then(|data| Identity::of_drive(&data)) {
        return Ok((identity, kind));
    }
    let data = drive.bytes(Request::AtaIdentity)?;
    let identity = Identity::of_driver(&data);
    identity.map(|i| (i, None)).ok_or_else(|| BuiltinError::Failed("the IDENTIFY data are empty".into()))
}

/// IDENTIFY (PACKET) DEVICE by ATA PASS-THROUGH (16) (SAT, section 12.2.3): PIO in, one block, registers asked for.
fn pass_through(drive: &impl Drive, command: u8) -> Option<Vec<u8>> {
    let command = [0x85, 4 << 1, 0x2e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, command, 0];
    let reply = drive.scsi(&command, IDENTIFY).ok()?;
    // the registers come back as sense data: that is how it is known that the drive understood
    let understood = match reply.sense.as_slice() {
        [0x72, _, _, _, _, _, _, _, 0x09, 0x0c, ..] => true,
        [0x70, ..] => reply.sense.get(12..14) == Some(&[0x00, 0x1d]),
        _ => false,
    };
    understood.then_some(reply.data)
}

/// The same from VPD page 0x89, ATA information (SAT, section 12.4.2).
fn vital_data(drive: &impl Drive) -> Option<Vec<u8>> {
    const PAGE: u8 = 0x89;
    const START: usize = 60;
    let room: u16 = 572;
    let [high, low] = room.to_be_bytes();
    let data = drive.data(&[0x12, 1, PAGE, high, low, 0], room).ok()?;
    let is_it = data.get(1) == Some(&PAGE);
    data.get(START..START + usize::from(IDENTIFY)).filter(|_| is_it).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Answer;
    use crate::sys::medium::Reply;

    /// What answers what, of a drive whose model is `D`.
    #[derive(Default)]
    struct Fake {
        kind: u8,
        pass_through: Option<Vec<u8>>,
        page: bool,
        driver: bool,
    }

    fn data(model: &[u8; 2]) -> Vec<u8> {
        let mut data = vec![0; 512];
        data[54..94].fill(b' ');
        data[54..56].copy_from_slice(model);
        data
    }

    impl Drive for Fake {
        fn ask(&self, request: Request) -> Result<Answer, BuiltinError> {
            let no = || Err(BuiltinError::Failed("no".into()));
            let reply = |data: Vec<u8>, sense: Vec<u8>| {
                let status = if sense.is_empty() { 0 } else { 2 };
                Ok(Answer::Reply(Reply { data, status, transport: 0, sense }))
            };
            match request {
                Request::Scsi { command, .. } if command[0] == 0x12 && command[1] == 0 => {
                    reply(vec![self.kind; 36], vec![])
                }
                Request::Scsi { command, .. } if command[0] == 0x12 && self.page => {
                    let mut page = vec![0; 60];
                    page[1] = 0x89;
                    page.extend(data(b"AP"));
                    reply(page, vec![])
                }
                Request::Scsi { command, .. } if command[0] == 0x85 => match &self.pass_through {
                    Some(sense) if command[14] == if self.kind == 5 { 0xa1 } else { 0xec } => {
                        reply(data(b"TP"), sense.clone())
                    }
                    _ => no(),
                },
                Request::AtaIdentity if self.driver => Ok(Answer::Bytes(data(b"DR"))),
                _ => no(),
            }
        }
    }

    #[test]
    fn ways_to_ask() {
        let descriptor = || Some(vec![0x72, 1, 0, 0x1d, 0, 0, 0, 14, 0x09, 0x0c, 0, 0]);
        let fixed = || {
            let mut sense = vec![0; 18];
            (sense[0], sense[13]) = (0x70, 0x1d);
            Some(sense)
        };
        for (fake, expected) in [
            (Fake { pass_through: descriptor(), page: true, driver: true, ..Fake::default() }, Some("PT")),
            (Fake { pass_through: fixed(), ..Fake::default() }, Some("PT")),
            (Fake { pass_through: descriptor(), kind: 5, ..Fake::default() }, Some("PT")),
            // an answer without registers is none; not allowed at all
            (Fake { pass_through: Some(vec![]), page: true, ..Fake::default() }, Some("PA")),
            (Fake { page: true, driver: true, ..Fake::default() }, Some("PA")),
            (Fake { driver: true, ..Fake::default() }, Some("DR")),
            // a tape is asked nothing but its driver
            (Fake { pass_through: descriptor(), page: true, kind: 1, ..Fake::default() }, None),
            (Fake::default(), None),
        ] {
            let found = identify(&fake).ok().map(|(identity, _)| identity.serial().to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }
}
