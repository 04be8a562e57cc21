//! `fido_id` on report descriptors, whole and cut anywhere and made of noise, beside udev's program in a mount namespace where the
//! made-up devices stand for `/sys`.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::common;
use crate::numbers::Numbers;
use crate::tree::FakeTree;

/// A security key, a keyboard, the usage in four bytes, a long item in front, other pages and usages.
const WHOLE: [&[u8]; 7] = [
    &[
        0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
        0x40, 0x81, 0x02, 0xc0,
    ],
    &[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0xc0],
    &[0x0b, 0x01, 0x00, 0xd0, 0xf1, 0xa1, 0x01, 0xc0],
    &[0xfe, 0x02, 0x00, 0xaa, 0xbb, 0x06, 0xd0, 0xf1, 0x09, 0x01],
    &[0x06, 0xd0, 0xf1, 0x0a, 0x01, 0x00, 0xa1, 0x01, 0xc0],
    &[0x07, 0xd0, 0xf1, 0x00, 0x00, 0x09, 0x01],
    &[0x06, 0x01, 0xff, 0x0b, 0x02, 0x00, 0xd0, 0xf1, 0x09, 0x01],
];

/// `$1` is the tree for `/sys`, `$2` how many devices there are, `$3` our program, `$4` udev's. A line for each device: what each
/// of them says, and whether it failed.
const ASK: &str = r#"
mount --bind "$1" /sys || exit 1
i=0
while [ $i -lt $2 ]; do
    path=/devices/virtual/misc/uhid/0003:1050:0120.$i/hidraw/hidraw$i
    for program in "$3" "$4"; do
        said=$($program /sys$path 2>/dev/null) && how=ok || how=failed
        printf '%s %s|' "$(echo "$said" | tr '\n' ' ')" $how
    done
    echo
    i=$((i + 1))
done
"#;

fn descriptors() -> Vec<Vec<u8>> {
    let mut numbers = Numbers(0x0123_4567_89ab_cdef);
    let mut out: Vec<Vec<u8>> = WHOLE.iter().map(|whole| whole.to_vec()).collect();
    // cut at every byte
    out.extend(WHOLE.iter().flat_map(|whole| (1..whole.len().min(10)).map(|len| whole[..len].to_vec())));
    out.push(vec![]);
    out.push(vec![0xfe, 0xff, 0x00]);
    out.push(vec![0x05; 4096]);
    for _ in 0..20 {
        let mut spoiled = WHOLE[numbers.below(WHOLE.len())].to_vec();
        numbers.spoil(&mut spoiled);
        out.push(spoiled);
        let len = numbers.below(24);
        out.push(numbers.bytes(len));
    }
    out
}

fn machine(descriptors: &[Vec<u8>]) -> FakeTree {
    let mut text = String::new();
    for (at, descriptor) in descriptors.iter().enumerate() {
        let hid = format!("/devices/virtual/misc/uhid/0003:1050:0120.{at}");
        let hex: String = descriptor.iter().map(|byte| format!("{byte:02X}")).collect();
        write!(
            text,
            "P: {hid}\nE: SUBSYSTEM=hid\nE: HID_ID=0003:00001050:00000120\nH: report_descriptor={hex}\n\n\
             P: {hid}/hidraw/hidraw{at}\nN: hidraw{at}\nE: SUBSYSTEM=hidraw\nE: DEVNAME=/dev/hidraw{at}\nE: MAJOR=240\nE: MINOR={at}\n\n"
        )
        .unwrap();
    }
    let mut fake = FakeTree::new();
    fake.add(&text);
    fake
}

#[test]
fn security_keys_and_cut_descriptors() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let helpers = std::env::var("NAMEPLATE_HELPERS").unwrap_or_else(|_| "/usr/lib/udev".into());
    let its = format!("{helpers}/fido_id");
    if !std::path::Path::new(&its).exists() {
        return common::skip("no fido_id of udev's to compare with");
    }
    let descriptors = descriptors();
    let fake = machine(&descriptors);
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("fido_id");
    symlink(env!("CARGO_BIN_EXE_nameplate"), &ours).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", ASK, "sh"])
        .arg(fake.sys())
        .arg(descriptors.len().to_string())
        .arg(&ours)
        .arg(&its)
        .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), descriptors.len());
    let mut tokens = 0;
    let mut failed = vec![];
    for (line, descriptor) in lines.iter().zip(&descriptors) {
        let mut parts = line.split('|');
        let (ours, its) = (parts.next().unwrap(), parts.next().unwrap());
        if ours != its {
            failed.push(format!("{descriptor:02x?}: ours {ours}, its {its}"));
        }
        tokens += usize::from(its.contains("ID_FIDO_TOKEN=1"));
    }
    assert_eq!(failed, [] as [&str; 0]);
    assert!(tokens > 5, "{tokens}");
}
