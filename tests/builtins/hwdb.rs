//! The builtin `hwdb` with all its options, asked of every device of the recordings, beside udevadm's with the same database.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Answer, Machine, TREES};
use crate::common;

/// What rules may write, right and wrong.
const COMMANDS: [&str; 17] = [
    "hwdb",
    "hwdb --subsystem=usb",
    "hwdb --subsystem=pci",
    "hwdb -s usb -f ID_MODEL*",
    "hwdb --filter=ID_VENDOR_FROM_DATABASE",
    "hwdb --filter=*[LN]*",
    "hwdb --lookup-prefix=usb: v1546p01A7",
    "hwdb --lookup-prefix=x:",
    "hwdb usb:v1546p01A7 usb:v046D",
    "hwdb -p usb: -- v046DpC52B",
    "hwdb --device=+usb:1-2",
    "hwdb --device=n1 -s pci",
    "hwdb --device=nonsense",
    "hwdb --nonsense",
    "hwdb --filter",
    "hwdb --sub usb",
    "hwdb nothing",
];

/// `$1` is the tree for `/sys`, `$2` a file with a command on each line, the rest are devpaths.
const ASK: &str = r#"
command -v udevadm >/dev/null || exit 1
sys=$1; commands=$2; shift 2
mount --bind "$sys" /sys || exit 1
for path; do
    while read -r command; do
        echo "P: $path"
        echo "B: $command"
        udevadm test-builtin "$command" "/sys$path" 2>/dev/null && echo "R: yes" || echo "R: no"
    done < "$commands"
done
"#;

#[test]
fn every_option_as_udevadm_takes_it() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let database = Path::new("/usr/lib/udev/hwdb.bin");
    if !database.exists() {
        return common::skip("no hwdb.bin of udev's here");
    }
    let dir = tempfile::tempdir().unwrap();
    let commands = dir.path().join("commands");
    fs::write(&commands, COMMANDS.join("\n") + "\n").unwrap();
    let mut found = 0;
    for name in TREES {
        let machine = Machine::of(name);
        let directory = machine.fake.root().join("usr/lib/udev");
        fs::create_dir_all(&directory).unwrap();
        fs::copy(database, directory.join("hwdb.bin")).unwrap();
        // those that have something to be asked by, or have it above them
        let paths: Vec<&String> = machine
            .fake
            .paths()
            .iter()
            .filter(|path| path.contains("usb") || path.contains(":00:1"))
            .take(14)
            .collect();
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", ASK, "sh"])
            .arg(machine.fake.sys())
            .arg(&commands)
            .args(&paths)
            .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        for ((path, command), theirs) in answers(&String::from_utf8(output.stdout).unwrap()) {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let ours = machine.ask("hwdb", &words, &path);
            found += theirs.as_ref().map_or(0, BTreeMap::len);
            assert_eq!(ours, theirs, "{name}: {command} of {path}");
        }
    }
    assert!(found > 100, "{found}");
}

/// The properties of each question; `None`: it failed.
fn answers(text: &str) -> BTreeMap<(String, String), Option<Answer>> {
    let mut out = BTreeMap::new();
    let (mut key, mut answer) = ((String::new(), String::new()), Answer::new());
    for line in text.lines() {
        match line.split_at(3.min(line.len())) {
            ("P: ", path) => key.0 = path.into(),
            ("B: ", command) => key.1 = command.into(),
            ("R: ", result) => {
                let answer = std::mem::take(&mut answer);
                out.insert(key.clone(), (result == "yes").then_some(answer));
            }
            _ => {
                let (property, value) = line.split_once('=').expect(line);
                answer.insert(property.into(), value.into());
            }
        }
    }
    out
}
