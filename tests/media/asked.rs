//! What drives answer, odd answers among it: udev's helper programs and ours ask the same made-up drive, and say the same.
//!
//! Answers are made of what real drives send with bytes of it changed, lengths that lie, and noise; the same each time.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;

use nix::errno::Errno;

use super::disk::{Image, no_disks};
use super::drive::{Call, Drive, Reply, Said, no_drives, run};
use crate::common::skip;

const HDIO_GET_IDENTITY: u32 = 0x030d;
const VIDIOC_QUERYCAP: u32 = 0x8068_5600;
const MEMGETINFO: u32 = 0x8020_4d01;
const CDROM_GET_CAPABILITY: u32 = 0x5331;
const CDROM_DRIVE_STATUS: u32 = 0x5326;

/// Facts that udev's programs say from version 253 on.
const LATER: [&str; 2] = ["ID_ATA_READ_LOOKAHEAD", "ID_ATA_PERIPHERAL_DEVICE_TYPE"];

/// The programs of one name: udev's, and ours called by it.
struct Pair {
    dir: tempfile::TempDir,
    ours: String,
    its: String,
    is_old: bool,
}

impl Pair {
    /// `None`: they can't be compared here, which is said. Udev's are those of this machine, or of the directory that
    /// `NAMEPLATE_HELPERS` names, which are of a version from 253 on.
    fn new(name: &str) -> Option<Self> {
        if let Some(why) = no_drives() {
            skip(why);
            return None;
        }
        let others = std::env::var("NAMEPLATE_HELPERS");
        let its = format!("{}/{name}", others.as_deref().unwrap_or("/usr/lib/udev"));
        let version = Command::new("udevadm").arg("--version").output();
        let (Ok(version), true) = (version, std::path::Path::new(&its).exists()) else {
            skip("no helper of udev's to compare with");
            return None;
        };
        let version = String::from_utf8_lossy(&version.stdout).trim().parse().unwrap_or(0);
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join(name);
        symlink(env!("CARGO_BIN_EXE_nameplate"), &ours).unwrap();
        Some(Self { ours: ours.to_str().unwrap().into(), its, is_old: others.is_err() && version < 253, dir })
    }

    /// Lines, without what this version of udev's does not say.
    fn lines<'s>(&self, said: &'s Said) -> Vec<&'s str> {
        let is_later = |line: &&str| self.is_old && LATER.iter().any(|key| line.starts_with(key));
        said.stdout.lines().filter(|line| !is_later(line)).collect()
    }

    /// Both answers, in words, where they differ in what is printed or in being an answer at all; and ours.
    fn differ(&self, arguments: &[&str], drive: &Drive<'_>) -> (Said, Option<String>) {
        let (ours, its) = (run(&self.ours, arguments, drive), run(&self.its, arguments, drive));
        if its.code.is_none() {
            // some answers kill udev's
            assert!(ours.code.is_some(), "{arguments:?}: {ours:?}");
            return (ours, None);
        }
        let same = self.lines(&ours) == self.lines(&its) && (ours.code == Some(0)) == (its.code == Some(0));
        let text = (!same).then(|| {
            let only = |a: &Said, b: &Said| {
                let b = self.lines(b);
                self.lines(a).into_iter().filter(|line| !b.contains(line)).collect::<Vec<_>>().join(" ")
            };
            let said = |of: &Said, other: &Said| format!("{:?} {} {:?} {:?}", of.code, only(of, other), of.stderr.trim(), of.stdout);
            format!("{arguments:?}\n  ours {}\n  its  {}", said(&ours, &its), said(&its, &ours))
        });
        (ours, text)
    }
}

/// Differences of many rounds, told together.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, what: String, found: (Said, Option<String>)) -> Said {
        self.0.extend(found.1.map(|text| format!("{what}: {text}")));
        found.0
    }

    fn none(self) {
        let some = self.0.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert_eq!(self.0.len(), 0, "{some}");
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A text as devices have them, odd ones among them, padded to `len`.
    fn text(&mut self, len: usize) -> Vec<u8> {
        let texts: [&[u8]; 12] = [
            b"",
            b"WDC WD10EZEX-08WN4A0",
            b"  in front",
            b"two  blanks",
            b"a/b\\c",
            b"comma,semi;colon:",
            b"tab\tnl\ncr\r.",
            "Gr\u{f6}\u{df}e \u{2116}7".as_bytes(),
            b"\xff\xfe\x80half\xc3",
            b"\x01\x1b[0m",
            b"nul\0after",
            b"\\x2f $env{X} %n",
        ];
        let mut out = if self.below(5) == 0 { self.bytes(len) } else { self.one(&texts).to_vec() };
        let pad = self.one(b"   \0");
        out.resize(len, pad);
        out
    }

    /// Changes some bytes.
    fn spoil(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.below(4) {
            if !bytes.is_empty() {
                let at = self.below(bytes.len());
                bytes[at] = self.byte();
            }
        }
    }
}

/// How an ATA drive can be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    PassThrough,
    /// What ours asks beside it: the probe may not send the other command.
    Page,
    /// What both ask at last.
    Driver,
}

fn ata(kind: u8, way: Way, data: &[u8]) -> Drive<'_> {
    let scsi = move |command: &[u8]| match command {
        [0x12, 0, ..] => {
            let text = b"ATA     Disk            0001";
            Ok(Reply::good(&[&[kind, 0, 5, 2, 31, 0, 0, 0][..], text].concat()))
        }
        [0x12, 1, 0x89, ..] if way == Way::Page => {
            let mut page = vec![kind, 0x89, 2, 0x38];
            page.resize(60, 0);
            page.extend(data);
            Ok(Reply::good(&page))
        }
        [0x85 | 0xa1, ..] if way == Way::PassThrough => {
            let mut sense = vec![0x72, 1, 0, 0x1d, 0, 0, 0, 14, 0x09, 0x0c];
            sense.resize(22, 0);
            Ok(Reply { data: data.into(), status: 2, sense })
        }
        _ => Ok(Reply::refused(5, 0x20)),
    };
    let identity = if way == Way::Driver { Ok(Call::Structure(data.into())) } else { Err(Errno::ENOTTY) };
    Drive {
        scsi: Some(Box::new(scsi)),
        calls: BTreeMap::from([(HDIO_GET_IDENTITY, identity)]),
        ..Drive::default()
    }
}

fn identity_data(numbers: &mut Numbers) -> Vec<u8> {
    let mut data = if numbers.below(3) == 0 { vec![0; 512] } else { numbers.bytes(512) };
    for (word, len) in [(10, 20), (23, 8), (27, 40)] {
        let text = numbers.text(len);
        for (pair, place) in text.chunks(2).zip(data[word * 2..].chunks_mut(2)) {
            (place[0], place[1]) = (pair[1], pair[0]);
        }
    }
    for (word, values) in [(0, &[0x40, 0x85c0, 0x848a][..]), (76, &[0, 0xffff, 0xe]), (217, &[0, 1, 7200, 0xffff])] {
        if numbers.below(2) == 0 {
            let value: u16 = numbers.one(values);
            data[word * 2..word * 2 + 2].copy_from_slice(&value.to_le_bytes());
        }
    }
    data
}

#[test]
fn ata_drives() {
    let Some(pair) = Pair::new("ata_id") else { return };
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut differences = Differences::default();
    for round in 0..60 {
        let data = identity_data(&mut numbers);
        let kind = numbers.one(&[0, 0, 5, 1, 0x14, 0x0e]);
        let drive = ata(kind, Way::PassThrough, &data);
        let said = differences.add(format!("{round}, kind {kind}"), pair.differ(&["--export", "/dev/null"], &drive));
        differences.add(format!("{round}, kind {kind}"), pair.differ(&["/dev/null"], &drive));
        if matches!(kind, 0 | 5 | 0x14) && data.iter().any(|b| *b != 0) {
            let by_page = run(&pair.ours, &["-x", "/dev/null"], &ata(kind, Way::Page, &data));
            assert_eq!(by_page.stdout, said.stdout, "the same by another way");
        }
        // udev looks at less of what it has from the driver
        let drive = ata(kind, Way::Driver, &data);
        let (ours, its) = (run(&pair.ours, &["-x", "/dev/null"], &drive), run(&pair.its, &["-x", "/dev/null"], &drive));
        let missing: Vec<&str> = its.stdout.lines().filter(|line| !ours.stdout.lines().any(|l| l == *line)).collect();
        assert_eq!((missing, its.code == Some(0)), (vec![], ours.code == Some(0)), "{round}: by the driver");
    }
    let forms: [&[&str]; 9] = [
        &[],
        &["--nonsense", "/dev/null"],
        &["--exp", "/dev/null"],
        &["/dev/null", "-x"],
        &["-x", "--", "/dev/null"],
        &["/nonexistent"],
        &["-x"],
        &["-y", "/dev/null"],
        &["--export=1", "/dev/null"],
    ];
    for form in forms {
        // what is printed of an older version's mistakes is not its answer
        if !(pair.is_old && form.iter().any(|word| ["--nonsense", "-y", "--export=1"].contains(word))) {
            differences.add("arguments".into(), pair.differ(form, &ata(0, Way::PassThrough, &[1; 512])));
        }
    }
    differences.none();
}

/// A SCSI device: inquiry data and pages of vital product data, each as it is sent.
#[derive(Debug, Clone)]
struct Scsi {
    inquiry: Vec<u8>,
    pages: BTreeMap<u8, Vec<u8>>,
}

impl Scsi {
    fn drive(&self) -> Drive<'_> {
        let scsi = |command: &[u8]| match command {
            [0x12, 0, ..] => Ok(Reply::good(&self.inquiry)),
            [0x12, 1, page, ..] => {
                Ok(self.pages.get(page).map_or_else(|| Reply::refused(5, 0x24), |data| Reply::good(data)))
            }
            _ => Ok(Reply::refused(5, 0x20)),
        };
        Drive { scsi: Some(Box::new(scsi)), ..Drive::default() }
    }

    fn random(numbers: &mut Numbers) -> Self {
        let mut inquiry = vec![numbers.one(&[0, 1, 4, 5, 7, 0x0e, 0x0f, 0x1f, 0x60]), 0x80, 5, 2, 31, 0, 0, 0];
        for len in [8, 16, 4] {
            // a NUL there makes udev's write a name that is cut in the middle
            inquiry.extend(numbers.text(len).iter().map(|b| if *b == 0 { b'0' } else { *b }));
        }
        let mut pages = BTreeMap::new();
        if numbers.below(8) > 0 {
            let codes = numbers.one(&[&[0, 0x80, 0x83][..], &[0x83, 0x80], &[0x80], &[0x83], &[], &[0, 0xb0, 0x83]]);
            pages.insert(0, codes.to_vec());
        }
        if numbers.below(4) > 0 {
            let len = numbers.one(&[0, 1, 8, 20, 64, 200]);
            pages.insert(0x80, numbers.text(len));
        }
        if numbers.below(8) > 0 {
            let count = numbers.below(4);
            pages.insert(0x83, (0..count).flat_map(|_| designator(numbers)).collect());
        }
        for (code, data) in &mut pages {
            let len = match numbers.below(8) {
                // one that is greater is too long for older versions, and makes newer ones print what is behind their buffer
                0 => numbers.byte().min(231),
                1 => 231,
                _ => data.len().to_le_bytes()[0],
            };
            *data = [&[inquiry[0], *code, 0, len][..], data].concat();
        }
        if numbers.below(3) == 0 {
            pages.values_mut().for_each(|page| numbers.spoil(page));
        }
        Self { inquiry, pages }
    }
}

fn designator(numbers: &mut Numbers) -> Vec<u8> {
    let set = numbers.one(&[1, 1, 1, 2, 2, 3]);
    let kind = numbers.one(&[0, 1, 2, 3, 3, 3, 4, 5, 8]);
    let association = numbers.one(&[0, 0, 0, 0x10, 0x20, 0x80, 0x90]);
    let len = numbers.one(&[0, 4, 8, 8, 12, 16, 16, 20, 40]);
    let mut data = if set == 2 { numbers.text(len) } else { numbers.bytes(len) };
    if kind == 3 && len > 0 {
        data[0] = data[0] & 0xf | numbers.one(&[2, 3, 5, 6, 6, 0xf]) << 4;
    }
    if kind == 3 && set == 2 {
        data = data.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).take(len).collect();
    }
    if kind == 5 {
        data.resize(4, 0);
    }
    let len = data.len().to_le_bytes()[0];
    [vec![set | numbers.one(&[0, 0x60]), kind | association, 0, len], data].concat()
}

#[test]
fn scsi_devices() {
    let Some(pair) = Pair::new("scsi_id") else { return };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut differences = Differences::default();
    let forms: [&[&str]; 8] = [
        &["--export", "--whitelisted", "-d", "/dev/null"],
        &["--export", "--whitelisted", "-d", "/dev/null"],
        &["--whitelisted", "--device=/dev/null"],
        &["-g", "-u", "/dev/null"],
        &["--export", "-g", "--page=0x80", "-d", "/dev/null"],
        &["--export", "-g", "-p", "0x83", "-d", "/dev/null"],
        &["--export", "-g", "-p", "pre-spc3-83", "-d", "/dev/null"],
        &["-g", "-p", "0x80", "-u", "-d", "/dev/null"],
    ];
    let disk = Scsi {
        inquiry: [&[0, 0, 5, 2, 31, 0, 0, 0][..], b"ACME    Disk  9000      1.0 "].concat(),
        pages: BTreeMap::from([(0, vec![0, 0, 0, 1, 0x80]), (0x80, b"\0\x80\0\x04 A B".to_vec())]),
    };
    let options: [&[&str]; 14] = [
        &["-g"],
        &["/dev/null"],
        &["-gu", "/dev/null"],
        &["-g", "-d/dev/null"],
        &["-gud", "/dev/null"],
        &["-xgp0x83", "-d", "/dev/null"],
        &["-g", "-p", "0x84", "/dev/null"],
        &["--white", "--repl", "--dev", "/dev/null"],
        &["-g", "-b", "/dev/null"],
        &["-b", "-g", "/dev/null"],
        &["-g", "-s", "3", "/dev/null"],
        &["-g", "-s", "5", "/dev/null"],
        &["-g", "--nonsense", "/dev/null"],
        &["-g", "-d"],
    ];
    for form in options {
        differences.add("options".into(), pair.differ(form, &disk.drive()));
    }
    for round in 0..200 {
        let device = Scsi::random(&mut numbers);
        let form = forms[round % forms.len()];
        let found = pair.differ(form, &device.drive());
        // printed as it is, but in one line
        let is_cut = found.0.stdout.contains('_') && !form.contains(&"--export");
        if !is_cut {
            differences.add(format!("{round} {device:02x?}"), found);
        }
    }
    differences.none();
}

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
            data.extend([numbers.one(&[0, 1, 7]), numbers.one(&[0, 1, 9]), 0, 0, numbers.one(&[0, 0, 1]), 0, 0]);
            data.resize(34, 0);
            answers.push((vec![0x51], data));
        }
        if numbers.below(8) > 0 {
            answers.push((vec![0x43, 0, 1], vec![0, 10, 1, 2, 0, 0x14, 3, 0, 0, 0, numbers.byte(), numbers.byte()]));
        }
        // of a drive that knows no profiles udev counts one track more than there is
        if numbers.below(8) > 0 && answers.iter().any(|(head, _)| head == &[0x46]) {
            answers.push((vec![0x43], contents_table(numbers)));
        }
        let mut medium = vec![0; 17 * 2048];
        let at = numbers.one(&[0, 100, 16 * 2048 + 1, 5000, 17 * 2048 - 1]);
        medium[at] = numbers.one(&[0, b'C']);
        for (head, data) in [
            (vec![0x23], vec![0, 0, 0, numbers.one(&[16, 16, 8, 12, 0, 255]), 0, 0, 0, 0, numbers.below(4).to_le_bytes()[0], 0, 0, 0]),
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
        0, 1, 3, 8, 9, 0x0a, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x18, 0x1a, 0x1b, 0x2a, 0x2b, 0x40, 0x41, 0x43, 0x50,
        0x53, 0x99, 0x08,
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
        let (kind, megabytes, page) = (numbers.one(&[4u32, 4, 4, 3]), numbers.one(&[1u32, 4, 16]), numbers.one(&[512u32, 256, 2048]));
        let mut info = vec![0; 32];
        for (at, word) in [(0, kind), (8, megabytes << 20), (12, 16 << 10), (16, page)] {
            info[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let calls = BTreeMap::from([(MEMGETINFO, Ok(Call::Structure(info)))]);
        let found = pair.differ(&[&format!("/dev/{}", disk.name)], &Drive { calls, bad_below, scsi: None });
        differences.add(format!("{round} kind {kind}, {megabytes} MiB, pages {page}, at {at}, bad {bad_below}"), found);
    }
    differences.none();
}
