//! Drives and discs by hand, as MMC-6 says that they answer.

use super::*;
use crate::probe::Answer;
use crate::sys::medium::Reply;

/// A drive: the driver's numbers, and data by the first bytes of the command.
#[derive(Default)]
struct Fake {
    capability: u32,
    status: u32,
    answers: Vec<(Vec<u8>, Vec<u8>)>,
    sense: Vec<u8>,
}

impl Drive for Fake {
    fn ask(&self, request: Request) -> Result<Answer, BuiltinError> {
        let command = match request {
            Request::DriveCapability => return Ok(Answer::Bytes(self.capability.to_le_bytes().into())),
            Request::DriveStatus => return Ok(Answer::Bytes(self.status.to_le_bytes().into())),
            Request::Scsi { command, .. } => command,
            other => unreachable!("{other:?}"),
        };
        let found = self.answers.iter().find(|(head, _)| command.starts_with(head));
        Ok(Answer::Reply(match found {
            Some((_, data)) => Reply { data: data.clone(), ..Reply::default() },
            None => Reply { status: 2, sense: self.sense.clone(), ..Reply::default() },
        }))
    }
}

fn mmc(mut self_: Fake, current: u8, profiles: &[u8]) -> Fake {
    let list: Vec<u8> = profiles.iter().flat_map(|profile| [0, *profile, 0, 0]).collect();
    let other = [0, 1, 3, 4, 0, 0, 0, 0];
    let len = 8 + 4 + list.len() + other.len();
    let head = [0, 0, 0, u8::try_from(len).unwrap(), 0, 0, 0, current];
    let size = u8::try_from(list.len()).unwrap();
    let all = [&head[..], &[0, 0, 3, size], &list, &other].concat();
    self_.answers.push((vec![0x12], vec![5; 36]));
    self_.answers.push((vec![0x46], all));
    self_
}

/// READ DISC INFORMATION: state, sessions, first and last track of the last session.
fn disc(status: u8, sessions: u8, first: u8, last: u8) -> (Vec<u8>, Vec<u8>) {
    let mut data = vec![0; 32];
    data[1..7].copy_from_slice(&[32, status, 1, sessions, first, last]);
    (vec![0x51], data)
}

fn words(fake: &Fake) -> String {
    let facts = facts(&look(fake).unwrap());
    let short = |key: &str| key.replace("ID_CDROM", "").trim_start_matches('_').to_owned();
    let words = facts.iter().map(|(k, v)| if v == "1" { short(k) } else { format!("{}={v}", short(k)) });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_writer_without_a_disc() {
    let fake = Fake { capability: 0x0037_ffff, status: 1, ..Fake::default() };
    assert_eq!(words(&fake), " CD_R CD_RW DVD DVD_R DVD_RAM MRW_W");
    let fake = mmc(fake, 0, &[0x1b, 0x1a, 0x14, 0x13, 0x11, 0x10, 0x0a, 0x09, 0x08, 0x41]);
    assert_eq!(
        words(&fake),
        " CD_R CD_RW DVD DVD_R DVD_RAM MRW_W DVD_PLUS_R DVD_PLUS_RW DVD_RW_SEQ DVD_RW_RO CD BD_R_SRM DVD_RW BD_R"
    );
}

#[test]
fn a_disc_with_audio_and_data() {
    let mut fake = mmc(Fake { status: 4, ..Fake::default() }, 0x08, &[0x08]);
    // two tracks of audio, one of data, in two sessions
    let track = |number: u8, control: u8| [0, control, number, 0, 0, 0, 0, 0];
    let toc =
        [&[0, 34, 1, 3][..], &track(1, 0x10), &track(2, 0x10), &track(3, 0x14), &track(0xaa, 0x14)].concat();
    let sessions = vec![0, 10, 1, 2, 0, 0x14, 3, 0, 0, 0, 0x2c, 0xa4];
    fake.answers.push((vec![0x43, 0, 1], sessions));
    fake.answers.push((vec![0x43], toc));
    fake.answers.push(disc(0x02, 2, 3, 3));
    assert_eq!(
        words(&fake),
        " CD MEDIA MEDIA_CD MEDIA_SESSION_COUNT=2 MEDIA_SESSION_LAST_OFFSET=23404544 MEDIA_TRACK_COUNT=3 \
         MEDIA_TRACK_COUNT_AUDIO=2 MEDIA_TRACK_COUNT_DATA"
    );
}

#[test]
fn states_of_discs() {
    let zeros = vec![0; 17 * 2048];
    let mut iso = zeros.clone();
    iso[16 * 2048 + 1] = b'C';
    let formatted = |state: u8| (vec![0x23], vec![0, 0, 0, 16, 0, 0, 0, 0, state, 0, 0, 0]);
    let structure = |flags: u8| (vec![0xad], vec![0, 0, 0, 0, flags, 0, 0, 0]);
    let read = |data: &[u8]| (vec![0x28], data.to_vec());
    for (profile, info, more, expected) in [
        (0x09, disc(0x00, 1, 1, 1), vec![], "MEDIA MEDIA_CD_R MEDIA_STATE=blank MEDIA_SESSION_NEXT"),
        (0x0a, disc(0x11, 2, 5, 5), vec![], "MEDIA MEDIA_CD_RW MEDIA_STATE=appendable MEDIA_SESSION_NEXT=5"),
        (0x11, disc(0x02, 1, 1, 1), vec![], "MEDIA MEDIA_DVD_R MEDIA_STATE=complete"),
        (0x13, disc(0x01, 1, 1, 1), vec![], "MEDIA MEDIA_DVD_RW_RO MEDIA_DVD_RW MEDIA_STATE=blank"),
        (0x1a, disc(0x02, 1, 1, 1), vec![read(&iso)], "MEDIA MEDIA_DVD_PLUS_RW MEDIA_STATE=complete"),
        (0x1a, disc(0x02, 1, 1, 1), vec![read(&zeros)], "MEDIA MEDIA_DVD_PLUS_RW MEDIA_STATE=blank"),
        (0x12, disc(0x03, 1, 1, 1), vec![structure(2)], "MEDIA MEDIA_DVD_RAM MEDIA_STATE=complete"),
        (
            0x12,
            disc(0x03, 1, 1, 1),
            vec![structure(0), formatted(1)],
            "MEDIA MEDIA_DVD_RAM MEDIA_STATE=other",
        ),
        (
            0x12,
            disc(0x03, 1, 1, 1),
            vec![structure(0), formatted(2), read(&zeros)],
            "MEDIA MEDIA_DVD_RAM MEDIA_STATE=blank",
        ),
        (0x12, disc(0x03, 1, 1, 1), vec![structure(0), formatted(3)], "MEDIA_STATE=other"),
        (0x1a, disc(0x02, 1, 1, 1), vec![], "MEDIA_STATE=complete"),
    ] {
        let mut fake = mmc(Fake { status: 4, ..Fake::default() }, profile, &[]);
        fake.answers.push(info);
        fake.answers.extend(more);
        let words = words(&fake);
        let words = words.trim();
        assert!(words.starts_with(expected), "{profile:#x}: {words}");
    }
}

#[test]
fn drives_that_know_no_profiles() {
    let unknown = vec![0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0];
    let old = |status: u32, answers: Vec<_>, sense: Vec<u8>| {
        let answers = [vec![(vec![0x12], vec![5; 36])], answers].concat();
        words(&Fake { capability: 0x2000, status, answers, sense })
    };
    assert_eq!(
        old(4, vec![], unknown.clone()),
        " CD_R MEDIA MEDIA_CD MEDIA_TRACK_COUNT MEDIA_TRACK_COUNT_DATA"
    );
    assert_eq!(old(1, vec![], unknown.clone()), " CD_R");
    assert_eq!(old(4, vec![disc(0x00, 1, 1, 1)], unknown.clone()), " CD_R MEDIA MEDIA_CD_R");
    assert_eq!(old(4, vec![disc(0x12, 1, 1, 1)], unknown.clone()), " CD_R MEDIA MEDIA_CD_RW");
    assert_eq!(old(4, vec![disc(0x02, 1, 1, 1)], unknown), " CD_R MEDIA MEDIA_CD");
    // another failure says nothing about the disc; a unit that is no optical drive is not asked
    assert_eq!(old(4, vec![], vec![0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3a, 0]), " CD_R MEDIA");
    let disk = Fake { status: 4, answers: vec![(vec![0x12], vec![0; 36])], ..Fake::default() };
    assert_eq!(words(&disk), " MEDIA");
}

proptest::proptest! {
    #[test]
    fn any_answer(data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut data = data;
        let fake = Fake { capability: 1, status: 4, answers: vec![(vec![0x12], vec![5; 36]), (vec![], data.clone())], sense: vec![] };
        let _found = look(&fake);
        data.truncate(8);
        let _head = (mmc::configuration_head(&data), Toc::head(&data), mmc::format(&data));
    }
}
