//! The helpers that stand in for udev's programs: beside those programs on the same input, called by their names, and in
//! rules that call a program that is not installed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use super::Machine;
use crate::common::skip;
use crate::numbers::Numbers;

/// This program under another name.
fn as_helper(name: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join(name);
    symlink(env!("CARGO_BIN_EXE_nameplate"), &program).unwrap();
    Command::new(program).args(arguments).output().unwrap()
}

/// What the program of that name on this machine says, if there is one.
fn udevs(name: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(Path::new("/usr/lib/udev").join(name)).args(arguments).output().ok()
}

fn lines(output: &Output) -> BTreeMap<String, String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| line.split_once('=').map(|(k, v)| (k.into(), v.into())).expect(line)).collect()
}

/// A structure of the firmware's tables: its fixed part, and its texts.
fn structure(kind: u8, fixed: &[u8], texts: &[&str]) -> Vec<u8> {
    let mut out = vec![kind, u8::try_from(fixed.len() + 4).unwrap(), 1, 0];
    out.extend(fixed);
    for text in texts {
        out.extend(text.as_bytes());
        out.push(0);
    }
    if texts.is_empty() {
        out.push(0);
    }
    out.push(0);
    out
}

/// A dump as `dmidecode --dump-bin` writes it: an entry point of version 3, and the table at 0x20.
fn dump(structures: &[Vec<u8>]) -> Vec<u8> {
    let table = [structures.concat(), structure(127, &[], &[])].concat();
    let mut entry = vec![0; 32];
    entry[..7].copy_from_slice(b"_SM3_\0\x18");
    entry[12..16].copy_from_slice(&u32::try_from(table.len()).unwrap().to_le_bytes());
    entry[16] = 0x20;
    entry[5] = 0u8.wrapping_sub(entry.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
    [entry, table].concat()
}

/// A memory device of the whole length, 0x54 bytes.
fn module(size: u16, tweak: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut fixed = vec![0; 0x54];
    let mut put = |at: usize, bytes: &[u8]| fixed[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x08, &[72, 0, 64, 0]);
    put(0x0c, &size.to_le_bytes());
    put(0x0e, &[0x09, 0, 1, 2, 0x1a, 0x80, 0x20, 0x60, 0x09, 3, 4, 0, 5, 2]);
    put(0x1c, &0x10_0000u32.to_le_bytes());
    put(0x20, &[0x60, 0x09, 0xb0, 0x04, 0x46, 0x05, 0xb0, 0x04, 0x03, 0x08, 0x00, 6, 0x80, 0x2c, 0x34, 0x12]);
    put(0x30, &[0x01, 0x98, 0x01, 0x00]);
    put(0x3c, &(1u64 << 35).to_le_bytes());
    tweak(&mut fixed);
    structure(17, &fixed[4..], &["DIMM A1", " BANK 0 ", "Acme", "0123", "Part 7  ", "1.0"])
}

#[test]
fn memory_modules_as_udevs_program_sees_them() {
    let array = |location: u8, correction: u8| {
        structure(16, &[location, 3, correction, 0, 0, 0, 2, 0xfe, 0xff, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[])
    };
    let module_of = |size: u16| module(size, |_| {});
    let large = structure(16, &[3, 3, 6, 0, 0, 0, 0x80, 0xfe, 0xff, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]);
    let cut = |len: u8| {
        let mut whole = module_of(0x2000);
        let texts = whole.split_off(0x54);
        whole[1] = len;
        whole.truncate(len.into());
        [whole, texts].concat()
    };
    let dumps = [
        dump(&[
            array(3, 5),
            module_of(0x2000),
            module_of(0),
            module_of(0xffff),
            module_of(0x7fff),
            module_of(0x8200),
        ]),
        dump(&[array(0xa4, 3), large, array(0x55, 0x20)]),
        dump(&[
            cut(0x15),
            cut(0x17),
            cut(0x1b),
            cut(0x1c),
            cut(0x22),
            cut(0x28),
            cut(0x34),
            cut(0x3c),
            cut(0x14),
        ]),
        dump(&[
            module(0x1000, |fixed| fixed[0x0e] = 0x40),
            module(0x1000, |fixed| (fixed[0x0f], fixed[0x13], fixed[0x14]) = (0xff, 0, 0)),
            module(0x1000, |fixed| (fixed[0x10], fixed[0x11], fixed[0x12]) = (9, 6, 0x99)),
            module(0x1000, |fixed| fixed[0x22..0x28].copy_from_slice(&[0xdc, 0x05, 0xb5, 0x04, 0xe4, 0x0c])),
        ]),
        dump(&[]),
        b"_SM3_".to_vec(),
    ];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump");
    for (at, bytes) in dumps.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        let arguments = ["--from-dump", file.to_str().unwrap()];
        let ours = as_helper("dmi_memory_id", &arguments);
        let Some(its) = udevs("dmi_memory_id", &arguments) else { return skip("no udev to compare with") };
        let (ours_, its_) = (lines(&ours), lines(&its));
        let differ = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
            a.iter()
                .filter(|(k, v)| b.get(*k) != Some(v))
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(differ(&ours_, &its_), differ(&its_, &ours_), "dump {at}: ours, theirs");
        assert_eq!(ours.status.success(), its.status.success(), "dump {at}");
    }
}

/// Tables with bytes changed, cut anywhere, of lengths and numbers of structures that are not so, and texts that are none.
#[test]
fn odd_tables_of_memory_modules() {
    let mut numbers = Numbers(0x1357_9bdf_2468_ace1);
    let helpers = std::env::var("NAMEPLATE_HELPERS").unwrap_or_else(|_| "/usr/lib/udev".into());
    let program = Path::new(&helpers).join("dmi_memory_id");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump");
    let array = structure(16, &[3, 3, 5, 0, 0, 0, 2, 0xfe, 0xff, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]);
    for round in 0..150 {
        let texts: &[&str] =
            [&["A", "B\t", "", "D\u{e9}"][..], &["  ", "x=y", "\u{7}", "4", "5", "6"], &[]][numbers.below(3)];
        let mut odd = module(0x2000, |fixed| {
            let len = fixed.len();
            for _ in 0..numbers.below(6) {
                fixed[4 + numbers.below(len - 4)] = numbers.byte();
            }
        });
        odd.truncate(0x54);
        odd.extend(structure(0, &[], texts).split_off(4));
        let parts = [array.clone(), odd, module(0x1000, |_| {}), structure(127, &[], &[]), array.clone()];
        let mut bytes = dump(&parts[..=numbers.below(parts.len())]);
        match numbers.below(6) {
            0 => bytes.truncate(0x20 + numbers.below(bytes.len() - 0x1f)),
            1 => {
                let at = 0x20 + numbers.below(bytes.len() - 0x20);
                bytes[at] = numbers.byte();
            }
            // the length of the whole, with its sum put right
            2 => {
                bytes[12] = bytes[12].wrapping_sub(9);
                bytes[5] = bytes[5].wrapping_add(9);
            }
            _ => {}
        }
        fs::write(&file, &bytes).unwrap();
        let arguments = ["--from-dump", file.to_str().unwrap()];
        let ours = as_helper("dmi_memory_id", &arguments);
        let Ok(its) = Command::new(&program).args(arguments).output() else {
            return skip("no udev to compare with");
        };
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let (ours_, its_) = (text(&ours), text(&its));
        let differ: Vec<_> = ours_.lines().zip(its_.lines()).find(|(a, b)| a != b).into_iter().collect();
        assert_eq!(differ, [], "round {round}: {}", bytes.escape_ascii());
        assert_eq!(ours_.lines().count(), its_.lines().count(), "round {round}: {}", bytes.escape_ascii());
        assert_eq!(ours.status.success(), its.status.success(), "round {round}");
    }
}

/// No device of these kinds is here; what is not one of them is refused by both.
#[test]
fn what_is_no_such_device() {
    for (name, arguments) in [
        ("ata_id", &["--export", "/dev/null"][..]),
        ("scsi_id", &["--export", "--whitelisted", "-d", "/dev/null"]),
        ("scsi_id", &["--export", "--whitelisted", "--nonsense", "-d", "/dev/null"]),
        ("cdrom_id", &["/dev/null"]),
        ("mtd_probe", &["/dev/null"]),
        ("v4l_id", &["/dev/null"]),
        ("ata_id", &["/nonexistent"]),
        ("v4l_id", &["/nonexistent"]),
    ] {
        let ours = as_helper(name, arguments);
        assert!(ours.stdout.is_empty(), "{name} {arguments:?}: {ours:?}");
        if let Some(its) = udevs(name, arguments) {
            assert_eq!(ours.status.success(), its.status.success(), "{name} {arguments:?}: {ours:?} {its:?}");
        }
    }
}

/// A rule calls helpers by name and by path; in this system's helper directory there is one of them.
#[test]
fn rules_that_call_what_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let helpers = root.join("usr/lib/udev");
    for below in ["dev", "etc/udev/rules.d", "usr/lib/udev"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    for link in ["sys", "proc"] {
        symlink(Path::new("/").join(link), root.join(link)).unwrap();
    }
    let dump_file = dir.path().join("dump");
    fs::write(&dump_file, dump(&[module(0x2000, |_| {})])).unwrap();
    fs::write(helpers.join("mtd_probe"), "#!/bin/sh\necho MTD_FTL=by_program\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(helpers.join("mtd_probe"), mode).unwrap();
    let rules = format!(
        "KERNEL!=\"null\", GOTO=\"end\"\n\
         IMPORT{{program}}=\"dmi_memory_id -F {file}\"\n\
         PROGRAM==\"{by_path} -F {file}\", RESULT==\"MEMORY_DEVICE_0*\", ENV{{BY_PATH}}=\"yes\"\n\
         IMPORT{{program}}=\"mtd_probe $devnode\"\n\
         PROGRAM!=\"v4l_id /nonexistent\", ENV{{FAILED}}=\"yes\"\n\
         LABEL=\"end\"\n",
        file = dump_file.display(),
        by_path = helpers.join("dmi_memory_id").display(),
    );
    let rules_dir = dir.path().join("rules");
    fs::create_dir(&rules_dir).unwrap();
    fs::write(rules_dir.join("50-helpers.rules"), rules).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nameplate"))
        .args(["test", "--run-programs", "--rules"])
        .arg(&rules_dir)
        .arg("--root")
        .arg(&root)
        .arg("/devices/virtual/mem/null")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in ["MEMORY_DEVICE_0_MANUFACTURER", "BY_PATH", "by_program", "FAILED"] {
        assert!(text.contains(expected), "{expected} in {text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A recording has names and numbers of another machine: nothing here is looked at in its place.
#[test]
fn a_recording_has_no_media() {
    use nameplate::builtin::{self, Context, Shared};
    use nameplate::device::{Reader, Source, Tree};
    let text = "P: /devices/virtual/mem/null\nN: null\nE: DEVNAME=/dev/null\nE: MAJOR=1\nE: MINOR=3\nE: SUBSYSTEM=mem\n";
    let recording = nameplate::recording::Recording::parse(text.as_bytes()).unwrap();
    let tree = Tree::new(Source::Recording(recording));
    tree.walk();
    let device = tree.get(&nameplate::ids::DevPath::new(b"/devices/virtual/mem/null").unwrap()).unwrap();
    let roots = nameplate::roots::Roots::system();
    let shared = Shared::new(&roots).with_probe(env!("CARGO_BIN_EXE_nameplate").into());
    let context = Context {
        device: &device,
        reader: &Reader::new(&tree),
        action: nameplate::ids::Action::Add,
        properties: &nameplate::properties::Properties::new(),
        known: Default::default(),
        roots: &roots,
        shared: &shared,
        deadline: std::time::Instant::now() + std::time::Duration::from_secs(600),
    };
    for name in ["blkid", "ata_id", "scsi_id", "cdrom_id", "v4l_id", "mtd_probe", "dmi_memory_id"] {
        let error = builtin::run(name.as_bytes(), &[], &context).unwrap_err().to_string();
        assert!(error.contains("a recording holds no media"), "{name}: {error}");
    }
}

#[test]
fn helpers_as_builtins() {
    let machine = Machine::new();
    let device =
        fs::read_dir("/sys/block").unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).next();
    let Some(device) = device else { return skip("no block device") };
    // no such device: an error that names what was tried, and nothing else
    for name in ["ata_id", "scsi_id", "mtd_probe", "fido_id"] {
        let result = machine.run(&device, name, &nameplate::properties::Properties::new());
        assert!(result.is_err(), "{name} on {device}: {result:?}");
    }
}
