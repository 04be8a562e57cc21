//! `blkid` on real media: every property as udevadm's own blkid gives it.

use std::process::Command;

use nameplate::properties::Properties;

use super::disk::{Disk, Image, has, no_disks};
use super::{Answer, Machine, pairs};
use crate::common::skip;

const MIB: u64 = 1 << 20;

/// What this machine's udevadm says; `None` where there is none.
fn udevadm(block: &str, command: &str) -> Option<Answer> {
    let (builtin, rest) = command.split_once(' ').unwrap_or((command, ""));
    let path = format!("/sys/class/block/{block}");
    let command = if rest.is_empty() { builtin.to_owned() } else { format!("{builtin} {rest}") };
    let output = Command::new("udevadm").args(["test-builtin", &command, &path]).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("ID_"));
    Some(lines.map(|line| line.split_once('=').map(|(k, v)| (k.into(), v.into())).unwrap()).collect())
}

/// What udevadm of this version does not say: sizes came with 253, what a loop device reads from with 254.
fn as_of_252(mut answer: Answer) -> Answer {
    answer.retain(|key, _| {
        !key.starts_with("ID_LOOP_")
            && !["ID_FS_SIZE", "ID_FS_LASTBLOCK", "ID_FS_BLOCKSIZE"].contains(&&**key)
    });
    answer
}

/// Asks both and compares; our answer.
pub(super) fn same(machine: &Machine, block: &str, command: &str, what: &str) -> Answer {
    let ours = machine.run(block, command, &Properties::new()).map(|found| pairs(&found)).unwrap_or_default();
    match udevadm(block, command) {
        Some(its) => assert_eq!(as_of_252(ours.clone()), as_of_252(its), "{what} on {block}: {command}"),
        None => skip("no udevadm to compare with"),
    }
    ours
}

macro_rules! need {
    ($($program:literal),*) => {
        if let Some(why) = no_disks() {
            return skip(why);
        }
        $(if !has($program) {
            return skip(concat!("no ", $program));
        })*
    };
}

#[test]
fn file_systems_as_udevadm_sees_them() {
    need!(
        "mkfs.ext4",
        "mkfs.vfat",
        "mkfs.xfs",
        "mkfs.btrfs",
        "mkswap",
        "mksquashfs",
        "xorriso",
        "cryptsetup"
    );
    let machine = Machine::new();
    let luks = "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /proc/self/exe \
                --keyfile-size 64 IMAGE";
    for (kind, size, command) in [
        ("ext2", 4, "mke2fs -q -t ext2 -L one IMAGE"),
        ("ext4", 8, "mkfs.ext4 -q -L a/b;c -U 6f0c2f2c-1f5a-4c5e-8d3a-0123456789ab IMAGE"),
        ("vfat", 8, "mkfs.vfat -n FAT_TWELVE -i 1234ABCD IMAGE"),
        ("vfat", 64, "mkfs.vfat -F 32 -n Fat32 IMAGE"),
        ("xfs", 320, "mkfs.xfs -q -L xfslabel IMAGE"),
        ("btrfs", 128, "mkfs.btrfs -q -L Größe IMAGE"),
        ("btrfs", 128, &format!("mkfs.btrfs -q -L {} IMAGE", "a;".repeat(70))),
        ("swap", 4, "mkswap -q -L swap IMAGE"),
        ("crypto_LUKS", 32, luks),
        ("crypto_LUKS", 32, &luks.replace("luksFormat", "luksFormat --type luks1")),
        ("squashfs", 0, "mksquashfs tests/media IMAGE -noappend -quiet"),
        ("iso9660", 0, "xorriso -as mkisofs -quiet -J -V MY_DISC -publisher Some_One -o IMAGE tests/media"),
    ] {
        let disk = Image::new(size * MIB).by(command).attach();
        let answer = same(&machine, &disk.name, "blkid", command);
        assert_eq!(answer.get("ID_FS_TYPE").map(String::as_str), Some(kind), "{command}: {answer:?}");
    }
}

#[test]
fn an_empty_disk_and_one_without_a_medium() {
    need!();
    let machine = Machine::new();
    let disk = Image::new(MIB).attach();
    let answer = same(&machine, &disk.name, "blkid", "zeros");
    assert!(answer["ID_LOOP_BACKING_FILENAME"].ends_with("/image"), "{answer:?}");
    assert!(answer["ID_LOOP_BACKING_FILENAME_ENC"].ends_with(r"\x2fimage"), "{answer:?}");
    // what a loop device reads from, as stat(2) has it
    let meta = std::fs::metadata(disk.image().path()).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&meta).to_string();
    assert_eq!(answer["ID_LOOP_BACKING_INODE"], inode);
    let asked = machine.shared.probes().at_rest().len();
    drop(disk);
    let free = (0..8).map(|n| format!("loop{n}")).find(|name| {
        std::fs::read_to_string(format!("/sys/block/{name}/size")).is_ok_and(|size| size == "0\n")
    });
    if let Some(free) = free {
        let machine = Machine::new();
        assert!(machine.answer(&free, "blkid").is_empty());
        assert_eq!(machine.shared.probes().at_rest().len(), 0, "no probe for what has no medium");
    }
    assert_eq!(asked, 1);
}

const GPT: &str = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
    size=4MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=AAAAAAAA-0000-0000-0000-000000000001, name=\"EFI system\"\n\
    size=8MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=AAAAAAAA-0000-0000-0000-000000000002, name=root_9\n\
    size=8MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=AAAAAAAA-0000-0000-0000-000000000003, name=root_10\n\
    type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=AAAAAAAA-0000-0000-0000-000000000004, attrs=GUID:60\n";

#[test]
fn a_gpt_and_its_partitions() {
    need!("sfdisk", "mkfs.ext4", "mkfs.vfat");
    let machine = Machine::new();
    let disk = Image::new(64 * MIB).table(GPT).attach();
    disk.by(&disk.part(1), "mkfs.vfat -n ESP IMAGE");
    disk.by(&disk.part(2), "mkfs.ext4 -q -L system IMAGE");
    let answer = same(&machine, &disk.name, "blkid", "gpt");
    assert_eq!(answer["ID_PART_TABLE_TYPE"], "gpt");
    for number in 1..=4 {
        let part = disk.part(number);
        let answer = same(&machine, &part, "blkid", "a partition");
        assert_eq!(answer["ID_PART_ENTRY_NUMBER"], number.to_string());
        assert_eq!(answer["ID_PART_ENTRY_SCHEME"], "gpt");
    }
    assert_eq!(machine.answer(&disk.part(2), "blkid")["ID_FS_LABEL"], "system");

    // the partition that its disk calls the root says that it is
    let uuid = "aaaaaaaa-0000-0000-0000-000000000003";
    let inherited: Properties = [("ID_PART_GPT_AUTO_ROOT_UUID", uuid)].into_iter().collect();
    let is_root = |number| {
        let found = machine.run(&disk.part(number), "blkid", &inherited).unwrap();
        found.get("ID_PART_GPT_AUTO_ROOT").map(|value| value.to_string())
    };
    assert_eq!((is_root(2), is_root(3)), (None, Some("1".into())));
}

#[test]
fn the_root_of_a_disk_that_the_machine_started_from() {
    need!("sfdisk");
    let disk = Image::new(64 * MIB).table(GPT).attach();
    // another place for the loader's variable: its own sysfs, but for this directory
    let root = tempfile::tempdir().unwrap();
    let variables = root.path().join("sys/firmware/efi/efivars");
    std::fs::create_dir_all(&variables).unwrap();
    let mut machine = Machine::new();
    machine.roots.sys = root.path().join("sys");
    let asked = |uuid: &str| {
        let text = uuid.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let bytes: Vec<u8> = [6, 0, 0, 0].into_iter().chain(text).collect();
        let name = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
        std::fs::write(variables.join(name), bytes).unwrap();
        machine.answer(&disk.name, "blkid").remove("ID_PART_GPT_AUTO_ROOT_UUID")
    };
    let newest = "aaaaaaaa-0000-0000-0000-000000000003";
    let expected = cfg!(target_arch = "x86_64").then(|| newest.to_owned());
    assert_eq!(asked("AAAAAAAA-0000-0000-0000-000000000001"), expected);
    assert_eq!(asked("AAAAAAAA-0000-0000-0000-000000000009"), None, "started from another disk");
}

#[test]
fn an_mbr_with_logical_partitions() {
    need!("sfdisk", "mkfs.ext4");
    let machine = Machine::new();
    let script = "label: dos\nlabel-id: 0x1234abcd\nsize=8MiB, type=83, bootable\nsize=4MiB, type=82\n\
                  size=16MiB, type=5\nsize=6MiB, type=83\ntype=83\n";
    let disk = Image::new(64 * MIB).table(script).attach();
    disk.by(&disk.part(5), "mkfs.ext4 -q IMAGE");
    assert_eq!(same(&machine, &disk.name, "blkid", "mbr")["ID_PART_TABLE_UUID"], "1234abcd");
    for number in [1, 2, 3, 5] {
        let answer = same(&machine, &disk.part(number), "blkid", "a partition");
        assert_eq!(answer["ID_PART_ENTRY_NUMBER"], number.to_string());
    }
}

/// The superblock of a Linux RAID of version 0.90 stands near the end, so that the disk and its last partition both seem to
/// have it; and the firmware's RAIDs are looked for on whole disks only. Both depend on what libblkid takes for whole.
#[test]
fn what_depends_on_the_disk_being_whole() {
    need!("sfdisk");
    let machine = Machine::new();
    // one of Intel's: its signature in the last sector but one
    let size = 32 * MIB;
    let mut isw = vec![0; 512];
    isw[..24].copy_from_slice(b"Intel Raid ISM Cfg Sig. ");
    isw[24..30].copy_from_slice(b"1.3.00");
    let disk = Image::new(size).write(size - 1024, &isw).attach();
    let answer = same(&machine, &disk.name, "blkid", "isw");
    assert_eq!(answer["ID_FS_TYPE"], "isw_raid_member");
    assert!(!same(&machine, &disk.name, "blkid --noraid", "isw").contains_key("ID_FS_TYPE"));

    let script = "label: dos\nstart=2048, type=83\n";
    let disk = Image::new(size).write(size - 1024, &isw).table(script).attach();
    same(&machine, &disk.name, "blkid", "isw");
    let part = same(&machine, &disk.part(1), "blkid", "isw");
    assert!(!part.contains_key("ID_FS_TYPE"), "a partition is no member: {part:?}");

    // version 0.90: magic, major 0, minor 90; 64 KiB aligned, at least 64 KiB before the end
    let mut md = vec![0; 4096];
    for (at, word) in [(0, 0xa92b_4efc_u32), (1, 0), (2, 90), (8, 30 << 10)] {
        md[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    md[20..24].copy_from_slice(&[1, 2, 3, 4]);
    let at = (size & !0xffff) - 0x10000;
    let disk = Image::new(size).write(at, &md).table(script).attach();
    let whole = same(&machine, &disk.name, "blkid", "md 0.90");
    let part = same(&machine, &disk.part(1), "blkid", "md 0.90");
    assert_eq!((whole.get("ID_FS_TYPE"), &*part["ID_FS_TYPE"]), (None, "linux_raid_member"));
}

#[test]
fn offsets_and_two_file_systems_at_once() {
    need!("mkfs.ext4", "mkfs.xfs");
    let machine = Machine::new();
    let inner = Image::new(4 * MIB).by("mkfs.ext4 -q -L inner IMAGE");
    let bytes = std::fs::read(inner.path()).unwrap();
    let disk = Image::new(8 * MIB).write(MIB, &bytes).attach();
    assert!(!same(&machine, &disk.name, "blkid", "at 0").contains_key("ID_FS_TYPE"));
    assert_eq!(same(&machine, &disk.name, "blkid --offset=1048576", "at 1 MiB")["ID_FS_LABEL"], "inner");

    // the first sector of one file system and the superblock of another: which it is can't be told
    let mut sector = std::fs::read(Image::new(320 * MIB).by("mkfs.xfs -q IMAGE").path()).unwrap();
    sector.truncate(512);
    let disk = Image::new(320 * MIB).by("mkfs.ext4 -q IMAGE").write(0, &sector).attach();
    assert!(same(&machine, &disk.name, "blkid", "ext4 and xfs").is_empty());
    let error = machine.run(&disk.name, "blkid", &Properties::new()).unwrap_err().to_string();
    assert!(error.contains("more than one file system"), "{error}");
}

/// Random bytes, cut images, and superblocks with single bytes changed: nothing but properties comes out, the same as
/// udevadm's, and the probe lives.
#[test]
fn hostile_media() {
    need!("mkfs.ext4", "mkfs.vfat", "mkfs.xfs", "mkfs.btrfs", "sfdisk");
    let machine = Machine::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let whole = [
        Image::new(4 * MIB).by("mkfs.ext4 -q IMAGE"),
        Image::new(4 * MIB).by("mkfs.vfat IMAGE"),
        Image::new(320 * MIB).by("mkfs.xfs -q IMAGE"),
        Image::new(128 * MIB).by("mkfs.btrfs -q IMAGE"),
        Image::new(4 * MIB).table("label: gpt\nsize=1MiB\nsize=1MiB\n"),
    ]
    .map(|image| {
        use std::io::Read as _;
        let mut start = Vec::new();
        std::fs::File::open(image.path()).unwrap().take(128 << 10).read_to_end(&mut start).unwrap();
        start
    });
    for round in 0..20 {
        let mut bytes = whole[round % whole.len()].clone();
        for _ in 0..1 + random() % 64 {
            let at = usize::try_from(random()).unwrap() % bytes.len();
            bytes[at] = random().to_le_bytes()[0];
        }
        let size = [96 << 10, MIB, 4 * MIB, 4 * MIB + 512][round % 4];
        bytes.truncate(usize::try_from(size).unwrap());
        let disk: Disk = Image::new(size).write(0, &bytes).attach();
        same(&machine, &disk.name, "blkid", &format!("round {round}"));
    }
    let noise: Vec<u8> = (0..(1 << 17)).flat_map(|_| random().to_le_bytes()).collect();
    let disk = Image::new(MIB).write(0, &noise).attach();
    same(&machine, &disk.name, "blkid", "noise");
    assert_eq!(machine.shared.probes().at_rest().len(), 1, "one probe served them all");
}
