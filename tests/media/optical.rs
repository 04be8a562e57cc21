//! What optical drives, cameras and flash chips answer, as `asked` does it for disks.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::disk::{Image, no_disks};
use super::drive::{Call, Drive, Reply, run};
use super::pair::{Differences, Pair};
use crate::common::skip;
use crate::numbers::Numbers;

const VIDIOC_QUERYCAP: u32 = 0x8068_5600;
const MEMGETINFO: u32 = 0x8020_4d01;
const CDROM_GET_CAPABILITY: u32 = 0x5331;
const CDROM_DRIVE_STATUS: u32 = 0x5326;

/// An optical drive: what the driver says, and answers by the first bytes of commands; the rest is refused so.
struct Optical {
    capability: u64,
    status: Result<Call, Errno>,
    answers: Vec<(Vec<u8>, Vec<u8>)>,
    refusal: (u8, u8),
}

impl Optical {
    fn drive(&self) -> Drive<'_> {
        let scsi = |command: &[u8]| {
            let found = self.answers.iter().find(|(head, _)| command.starts_with(head));
            let (key, code) = self.refusal;
            Ok(found.map_or_else(|| Reply::refused(key, code), |(_, data)| Reply::good(data)))
        };
        let calls = BTreeMap::from([
            (CDROM_GET_CAPABILITY, Ok(Call::Number(self.capability))),
            (CDROM_DRIVE_STATUS, self.status.clone()),
        ]);
        Drive { scsi: Some(Box::new(scsi)), calls, ..Drive::default() }
    }

    fn random(numbers: &mut Numbers) -> Self {
        let mut inquiry = vec![numbers.one(&[5, 5, 5, 5, 5, 5, 0x85, 0]), 0x80, 5, 2, 31, 0, 0, 0];
        inquiry.extend(b"ACME    Writer          1.0 ");
        let mut answers = vec![(vec![0x12], inquiry)];
        let status = match numbers.below(6) {
            0 => Err(Errno::ENOSYS),
            1 => Ok(Call::Number(1)),
            _ => Ok(Call::Number(4)),
        };
        let refusal = numbers.one(&[(5, 0x20), (5, 0x24), (2, 0x3a), (6, 0x28), (0, 0), (1, 0x18)]);
        if numbers.below(5) > 0 {
            answers.push((vec![0x46], configuration(numbers)));
        }
        if numbers.below(8) > 0 {
            let mut data = vec![0, 32, numbers.below(32).to_le_bytes()[0], 1, numbers.one(&[0, 1, 2, 5])];
            data.extend([
                numbers.one(&[0, 1, 7]),
                numbers.one(&[0, 1, 9]),
                0,
                0,
                numbers.one(&[0, 0, 1]),
                0,
                0,
            ]);
            data.resize(34, 0);
            answers.push((vec![0x51], data));
        }
        if numbers.below(8) > 0 {
            answers.push((
                vec![0x43, 0, 1],
                vec![0, 10, 1, 2, 0, 0x14, 3, 0, 0, 0, numbers.byte(), numbers.byte()],
            ));
        }
        // of a drive that knows no profiles udev counts one track more than there is
        if numbers.below(8) > 0 && answers.iter().any(|(head, _)| head == &[0x46]) {
            answers.push((vec![0x43], contents_table(numbers)));
        }
        let mut medium = vec![0; 17 * 2048];
        let at = numbers.one(&[0, 100, 16 * 2048 + 1, 5000, 17 * 2048 - 1]);
        medium[at] = numbers.one(&[0, b'C']);
        for (head, data) in [
            (
                vec![0x23],
                vec![
                    0,
                    0,
                    0,
                    numbers.one(&[16, 16, 8, 12, 0, 255]),
                    0,
                    0,
                    0,
                    0,
                    numbers.below(4).to_le_bytes()[0],
                    0,
                    0,
                    0,
                ],
            ),
            (vec![0xad], vec![0, 0, 0, 0, numbers.one(&[0, 2, 0xff]), 0, 0, 0]),
            (vec![0x28], medium),
        ] {
            if numbers.below(5) > 0 {
                answers.push((head, data));
            }
        }
        if numbers.below(4) == 0 {
            answers.iter_mut().skip(1).for_each(|(head, data)| {
                if *head != [0x43] {
                    numbers.spoil(data);
                }
            });
        }
        let capability = numbers.one(&[0, 0x0037_ffff, 0x2000, 0x4000, 0x18_0000]);
        Self { capability, status, answers, refusal }
    }
}

/// GET CONFIGURATION: profiles, among other features.
fn configuration(numbers: &mut Numbers) -> Vec<u8> {
    let known: [u8; 25] = [
        0, 1, 3, 8, 9, 0x0a, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x18, 0x1a, 0x1b, 0x2a, 0x2b, 0x40,
        0x41, 0x43, 0x50, 0x53, 0x99, 0x08,
    ];
    let current = numbers.one(&known);
    let count = numbers.below(6);
    let list: Vec<u8> = (0..count).flat_map(|_| [0, numbers.one(&known), 0, 0]).collect();
    let other = [0, 1, 3, 4, 0, 0, 0, 0];
    let size = list.len().to_le_bytes()[0];
    let mut body = [&[0, 0, 3, size], &list[..], &other].concat();
    if numbers.below(6) == 0 {
        body = [&other[..], &body].concat();
    }
    let len = 4 + body.len() + numbers.one(&[0, 0, 0, 4, 40]);
    let mut head = vec![0, 0, 0, len.to_le_bytes()[0], 0, 0, 0, current];
    if numbers.below(12) == 0 {
        head[1] = 1;
    }
    [head, body].concat()
}

/// READ TOC: some tracks.
fn contents_table(numbers: &mut Numbers) -> Vec<u8> {
    let count = 1 + numbers.below(4).to_le_bytes()[0];
    let first = numbers.one(&[1, 1, 1, 2]);
    let mut out = vec![0, 2 + 8 * (count + 1), first, first + count - 1];
    for number in (first..first + count).chain([0xaa]) {
        out.extend([0, numbers.one(&[0x10, 0x14]), number, 0, 0, 0, 0, 0]);
    }
    if numbers.below(6) == 0 {
        // where fewer tracks come than are told, udev counts those that are not there
        (out[1], out[3]) = (out[1] - 8 * numbers.below(2).to_le_bytes()[0], numbers.byte().max(out[3]));
    }
    out
}

#[test]
fn optical_drives() {
    let Some(pair) = Pair::new("cdrom_id") else { return };
    let mut numbers = Numbers(0x6c07_8965_dead_beef);
    let mut differences = Differences::default();
    for round in 0..250 {
        let optical = Optical::random(&mut numbers);
        let found = pair.differ(&["/dev/null"], &optical.drive());
        let answers: Vec<_> = optical.answers.iter().filter(|(head, _)| head != &[0x28]).collect();
        let Optical { capability, status, refusal, .. } = &optical;
        differences.add(format!("{round} {capability:#x} {status:?} {refusal:x?} {answers:02x?}"), found);
    }
    differences.none();
}

/// Both do the same to the door and the tray, with a disc and without one.
#[test]
fn doors_and_trays() {
    let Some(pair) = Pair::new("cdrom_id") else { return };
    let drive = |status: u64, current: u8| Optical {
        capability: 0x0037_ffff,
        status: Ok(Call::Number(status)),
        answers: vec![
            (
                vec![0x12],
                [vec![5, 0x80, 5, 2, 31, 0, 0, 0], b"ACME    Writer          1.0 ".to_vec()].concat(),
            ),
            (vec![0x46], vec![0, 0, 0, 12, 0, 0, 0, current, 0, 0, 3, 4, 0, 8, 0, 0]),
        ],
        refusal: (2, 0x3a),
    };
    for (status, current) in [(4, 8), (1, 0)] {
        let drive = drive(status, current);
        for options in [
            &[][..],
            &["--lock-media"],
            &["--unlock-media"],
            &["--eject-media"],
            &["--lock-media", "--eject-media"],
            &["-l", "-u"],
            &["-le"],
            &["--lock", "--debug"],
        ] {
            let arguments: Vec<&str> = options.iter().copied().chain(["/dev/null"]).collect();
            let (of_ours, of_its) = (drive.drive(), drive.drive());
            let (ours, its) = (run(&pair.ours, &arguments, &of_ours), run(&pair.its, &arguments, &of_its));
            assert_eq!(of_ours.done.into_inner(), of_its.done.into_inner(), "{arguments:?}, status {status}");
            assert_eq!((ours.stdout, ours.code), (its.stdout, its.code), "{arguments:?}");
        }
    }
}

#[test]
fn cameras() {
    let Some(pair) = Pair::new("v4l_id") else { return };
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let mut differences = Differences::default();
    for round in 0..40 {
        let mut capability = numbers.bytes(104);
        capability[16..48].copy_from_slice(&numbers.text(32));
        if numbers.below(3) > 0 {
            capability[47] = 0;
        }
        let calls = BTreeMap::from([(VIDIOC_QUERYCAP, Ok(Call::Structure(capability.clone())))]);
        let found = pair.differ(&["/dev/null"], &Drive { calls, ..Drive::default() });
        differences.add(format!("{round} {:02x?}", &capability[16..48]), found);
    }
    differences.none();
}

#[test]
fn flash_chips() {
    let Some(pair) = Pair::new("mtd_probe") else { return };
    if let Some(why) = no_disks() {
        return skip(why);
    }
    const SIGNATURE: [u8; 10] = [0x01, 0x03, 0xd9, 0x01, 0xff, 0x18, 0x02, 0xdf, 0x01, 0x20];
    let mut numbers = Numbers(0xfeed_cafe_0bad_f00d);
    let mut differences = Differences::default();
    for round in 0..24 {
        let bad_below: u64 = numbers.one(&[0, 0, 512, 16384, 1 << 19]);
        let at = numbers.one(&[bad_below, bad_below, bad_below + 256, 0, 10]);
        let disk = Image::new(1 << 20).write(at, &SIGNATURE).attach();
        let (kind, megabytes, page) =
            (numbers.one(&[4u32, 4, 4, 3]), numbers.one(&[1u32, 4, 16]), numbers.one(&[512u32, 256, 2048]));
        let mut info = vec![0; 32];
        for (at, word) in [(0, kind), (8, megabytes << 20), (12, 16 << 10), (16, page)] {
            info[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let calls = BTreeMap::from([(MEMGETINFO, Ok(Call::Structure(info)))]);
        let found =
            pair.differ(&[&format!("/dev/{}", disk.name)], &Drive { calls, bad_below, ..Drive::default() });
        differences.add(
            format!("{round} kind {kind}, {megabytes} MiB, pages {page}, at {at}, bad {bad_below}"),
            found,
        );
    }
    differences.none();
}
