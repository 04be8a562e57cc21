//! What disks answer, odd answers among it: udev's helper programs and ours ask the same made-up drive, and say the same.
//!
//! Answers are made of what real drives send with bytes of it changed, lengths that lie, and noise; the same each time.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::drive::{Call, Drive, Reply, run};
use super::pair::{Differences, Pair};
use crate::numbers::Numbers;

const HDIO_GET_IDENTITY: u32 = 0x030d;

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
    for (word, values) in
        [(0, &[0x40, 0x85c0, 0x848a][..]), (76, &[0, 0xffff, 0xe]), (217, &[0, 1, 7200, 0xffff])]
    {
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
        let said =
            differences.add(format!("{round}, kind {kind}"), pair.differ(&["--export", "/dev/null"], &drive));
        differences.add(format!("{round}, kind {kind}"), pair.differ(&["/dev/null"], &drive));
        if matches!(kind, 0 | 5 | 0x14) && data.iter().any(|b| *b != 0) {
            let by_page = run(&pair.ours, &["-x", "/dev/null"], &ata(kind, Way::Page, &data));
            assert_eq!(by_page.stdout, said.stdout, "the same by another way");
        }
        // udev looks at less of what it has from the driver
        let drive = ata(kind, Way::Driver, &data);
        let (ours, its) =
            (run(&pair.ours, &["-x", "/dev/null"], &drive), run(&pair.its, &["-x", "/dev/null"], &drive));
        let missing: Vec<&str> =
            its.stdout.lines().filter(|line| !ours.stdout.lines().any(|l| l == *line)).collect();
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
        let mut inquiry =
            vec![numbers.one(&[0, 1, 4, 5, 7, 0x0e, 0x0f, 0x1f, 0x60]), 0x80, 5, 2, 31, 0, 0, 0];
        for len in [8, 16, 4] {
            // a NUL there makes udev's write a name that is cut in the middle
            inquiry.extend(numbers.text(len).iter().map(|b| if *b == 0 { b'0' } else { *b }));
        }
        let mut pages = BTreeMap::new();
        if numbers.below(8) > 0 {
            let codes =
                numbers.one(&[&[0, 0x80, 0x83][..], &[0x83, 0x80], &[0x80], &[0x83], &[], &[0, 0xb0, 0x83]]);
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
