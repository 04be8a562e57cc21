//! The standard rules beside those of Debian's `udev`: on every device of the recordings, and of this machine, both give the
//! same links, permissions, properties, tags and programs. What is different is listed in `shipped_rules/differences.txt`,
//! each with its reason, and nothing stands there that is not found.
//!
//! With `NAMEPLATE_VERIFY_TREE=DIR`, a Debian 13 (as `contrib/verify` has it), the same with the rules of systemd 257 and
//! `shipped_rules/differences-257.txt`.

#![cfg(test)]

#[path = "common/mod.rs"]
mod common;
#[path = "shipped_rules/facts.rs"]
mod facts;
#[path = "shipped_rules/real.rs"]
mod real;
#[path = "common/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use facts::{Machine, Met, Rules, facts};
use nameplate::ids::{Action, DevPath};
use nameplate::roots::Roots;
use nameplate::rules::trace::Unobserved;
use nameplate::text::{Case, Pattern};

/// A pattern of what may be different.
struct Accepted {
    pattern: Pattern,
    text: String,
    line: usize,
}

/// The file's patterns: lines that begin with `+` (only nameplate's rules say so) or `-` (only Debian's); lines above them
/// that begin with `#` are the reason.
fn accepted(text: &str) -> Vec<Accepted> {
    let mut reason = false;
    let mut out = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match line.chars().next() {
            None => reason = false,
            Some('#') => reason = true,
            Some('+' | '-') => {
                assert!(reason, "differences.txt:{}: no reason above", at + 1);
                let pattern = Pattern::single(line.as_bytes(), Case::Sensitive);
                out.push(Accepted { pattern, text: line.into(), line: at + 1 });
            }
            Some(_) => panic!("differences.txt:{}: neither reason nor difference", at + 1),
        }
    }
    out
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn recordings() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["tests/trees", "rules/recordings"]
        .iter()
        .flat_map(|dir| fs::read_dir(top().join(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "umockdev"))
        .collect();
    files.sort();
    files
}

/// Debian's files that the standard rules give way to, as far as they are installed in `roots`.
fn debian(shipped: &Rules, roots: &Roots) -> Option<Rules> {
    let dirs = roots.udev_rule_dirs();
    let lib = dirs.last().unwrap();
    if !lib.join("50-udev-default.rules").exists() {
        return None;
    }
    let there: Vec<PathBuf> =
        shipped.stands_for.iter().map(|name| lib.join(name)).filter(|path| path.exists()).collect();
    Some(Rules::files(&there))
}

/// What only one of both says, each line with a sign and what it is about.
fn differences(machine: &Machine, ours: &Rules, theirs: &Rules) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for path in machine.paths() {
        for action in [Action::Add, Action::Change, Action::Remove] {
            let asked = || {
                let facts = |rules| facts(machine, &path, action, rules, &mut Unobserved);
                (facts(ours), facts(theirs))
            };
            let (mut ours, mut theirs) = asked();
            if ours != theirs {
                // On a live machine it may have changed between the two, or have gone.
                (ours, theirs) = asked();
            }
            if !machine.has(&path) {
                continue;
            }
            let subsystem = machine.subsystem(&path);
            let kernel = path.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
            let kernel = String::from_utf8_lossy(kernel).into_owned();
            let mut add = |sign: char, lines: &mut dyn Iterator<Item = &String>| {
                for line in lines {
                    let about = format!("{} {path}", machine.name);
                    out.push((format!("{sign} {subsystem} {kernel} {action}: {line}"), about));
                }
            };
            add('+', &mut ours.difference(&theirs));
            add('-', &mut theirs.difference(&ours));
        }
    }
    out
}

/// Compares with the rules that are installed in `roots`; false if there are none.
fn compare(roots: &Roots, list: &str) -> bool {
    let shipped = Rules::directory(&top().join("rules"));
    let Some(debian) = debian(&shipped, roots) else { return false };
    let accepted = accepted(&fs::read_to_string(top().join("tests/shipped_rules").join(list)).unwrap());
    let mut found = BTreeSet::new();
    let mut unexpected = Vec::new();
    let mut compare = |machine: &Machine, used: &mut BTreeSet<usize>| {
        for (line, about) in differences(machine, &shipped, &debian) {
            let matching = accepted.iter().filter(|one| one.pattern.matches(line.as_bytes()));
            let lines: Vec<usize> = matching.map(|one| one.line).collect();
            if lines.is_empty() {
                unexpected.push(format!("{line}    ({about})"));
            }
            used.extend(lines);
        }
    };
    for file in recordings() {
        compare(&Machine::recorded(&file), &mut found);
    }
    let stale: Vec<_> = accepted
        .iter()
        .filter(|one| !found.contains(&one.line))
        .map(|one| format!("{list}:{}: not found any more: {}", one.line, one.text))
        .collect();
    // What this machine has is no part of what has to be listed.
    compare(&Machine::live(), &mut BTreeSet::new());
    unexpected.extend(stale);
    assert!(unexpected.is_empty(), "{} differences\n{}", unexpected.len(), unexpected.join("\n"));
    true
}

#[test]
fn the_same_as_debians_but_for_what_is_listed() {
    if !compare(&Roots::system(), "differences.txt") {
        common::skip("Debian's udev is not installed");
    }
}

#[test]
fn the_same_as_systemd_257s_but_for_what_is_listed() {
    let Some(tree) = std::env::var_os("NAMEPLATE_VERIFY_TREE") else { return };
    assert!(compare(&Roots::below(Path::new(&tree)), "differences-257.txt"), "no rules in that tree");
}

/// Not only the rules: what systemd 257 itself makes of the recorded devices with its rules, builtins and helpers.
#[test]
fn the_same_as_what_udevadm_257_says() {
    let Some(debian) = std::env::var_os("NAMEPLATE_VERIFY_TREE") else { return };
    let shipped = Rules::directory(&top().join("rules"));
    let list = ["differences-257.txt", "differences-udevadm.txt"];
    let list = list.map(|file| fs::read_to_string(top().join("tests/shipped_rules").join(file)).unwrap());
    let accepted = accepted(&list.concat());
    let mut unexpected = Vec::new();
    for file in recordings().iter() {
        let machine = Machine::recorded(file);
        for action in [Action::Add, Action::Change, Action::Remove] {
            let said = real::answers(Path::new(&debian), file, &machine.hwdb(), action.as_str());
            for path in machine.paths() {
                let Some(theirs) = said.get(&path.to_string()) else { continue };
                let theirs: BTreeSet<String> =
                    theirs.iter().filter(|fact| is_compared(fact)).cloned().collect();
                let ours = comparable(&facts(&machine, &path, action, &shipped, &mut Unobserved), &theirs);
                let kernel = path.to_string().rsplit('/').next().unwrap_or_default().to_owned();
                let about = format!("{} {kernel} {action}", machine.subsystem(&path));
                let more = ours.difference(&theirs).map(|fact| format!("+ {about}: {fact}"));
                let less = theirs.difference(&ours).map(|fact| format!("- {about}: {fact}"));
                let lines = more
                    .chain(less)
                    .filter(|line| !accepted.iter().any(|one| one.pattern.matches(line.as_bytes())));
                unexpected.extend(lines.map(|line| format!("{line}    ({} {path})", machine.name)));
            }
        }
    }
    assert!(unexpected.is_empty(), "{} differences\n{}", unexpected.len(), unexpected.join("\n"));
}

/// What udevadm prints beside what rules made.
fn is_compared(fact: &str) -> bool {
    let of_the_event = [
        "ACTION=",
        "DEVPATH=",
        "SUBSYSTEM=",
        "DEVNAME=",
        "SEQNUM=",
        "TAGS=",
        "CURRENT_TAGS=",
        "DEVLINKS=",
        "USEC_INITIALIZED=",
        "ID_PROCESSING=",
        ".",
    ];
    fact.strip_prefix("property ")
        .is_none_or(|property| !of_the_event.iter().any(|key| property.starts_with(key)))
}

/// The facts that udevadm prints too, in its words.
fn comparable(facts: &BTreeSet<String>, theirs: &BTreeSet<String>) -> BTreeSet<String> {
    let named = |fact: &str| match fact.strip_prefix("group ") {
        Some(account) => format!("group {}", account.split('"').nth(1).unwrap_or_default()),
        None => fact.to_owned(),
    };
    let kinds = ["property ", "tag ", "link ", "mode ", "group ", "name "];
    facts
        .iter()
        .filter(|fact| kinds.iter().any(|kind| fact.starts_with(kind)) && is_compared(fact))
        .map(|fact| named(fact))
        // a group without a mode means 0660, which udevadm does not say
        .filter(|fact| fact != "mode 0660" || theirs.contains(fact))
        .collect()
}

/// Rules that no recorded device can show: the file that they ask for is on the machine or not.
const UNSEEN: &[&str] = &["90-iocost.toml", "90-vconsole.toml"];

/// Each standard rule has a device among the recordings that meets its conditions (what it asks builtins and programs aside).
#[test]
fn every_rule_is_met_by_a_recorded_device() {
    let shipped = Rules::directory(&top().join("rules"));
    let mut met = Met::default();
    for file in recordings() {
        let machine = Machine::recorded(&file);
        for path in machine.paths() {
            for action in [Action::Add, Action::Change, Action::Remove] {
                facts(&machine, &path, action, &shipped, &mut met);
            }
        }
    }
    let met = met.places();
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    let missing = shipped.places.iter().filter(|place| !met.contains(&place.to_string()));
    let missing: Vec<String> = missing
        .filter(|place| !UNSEEN.contains(&&*name(&place.file.path)))
        .map(|place| place.to_string())
        .collect();
    assert!(missing.is_empty(), "no device meets these rules:\n{}", missing.join("\n"));
}

/// What `[[test]]`s do not say: writes, builtins, and what the hardware database knows. The values are udevadm 257's for the same
/// devices and the same database.
const GIVEN: &[(&str, &str, Action, &[&str])] = &[
    (
        "rare",
        "usb3/3-21",
        Action::Add,
        &["write power/control=auto", "write power/autosuspend_delay_ms=500", "write power/persist=0"],
    ),
    ("rare", "usb3/3-21", Action::Change, &["no write"]),
    ("rare", "i2c-0/0-0067", Action::Add, &["write power/control=on", "no write power/control=auto"]),
    ("rare", "module/block", Action::Add, &["write parameters/events_dfl_poll_msecs=2000"]),
    ("storage", "target0:0:0/0:0:0:0", Action::Change, &["write block/*/uevent=change"]),
    ("storage", "target0:0:0/0:0:0:0", Action::Add, &["no write", "run kmod load", "run kmod load sg"]),
    ("storage", "block/sda", Action::Add, &["watch true"]),
    ("storage", "block/sr0", Action::Add, &["no watch"]),
    (
        "rare",
        "input28/event28",
        Action::Add,
        &["property KEYBOARD_KEY_90=vendor", "property KEYBOARD_KEY_91=a", "run keyboard"],
    ),
    ("rare", "input24/event24", Action::Add, &["property EVDEV_ABS_00=::10", "run keyboard"]),
    ("rare", "input29/event29", Action::Change, &["property POINTINGSTICK_SENSITIVITY=200", "run keyboard"]),
    ("rare", "input23/event23", Action::Add, &["property MOUSE_DPI=1000@125", "no run keyboard"]),
    ("rare", "input22/event22", Action::Add, &["property ID_INPUT_TABLET_PAD=1"]),
    ("rare", "input25/event25", Action::Add, &["property ID_INPUT_KEY=0"]),
    ("rare", "input26/event26", Action::Add, &["property ID_INPUT_MOUSE=0"]),
    ("rare", "input33/event33", Action::Add, &["property ID_INPUT_SWITCH=1", "tag power-switch"]),
    (
        "rare",
        "iio:device0",
        Action::Add,
        &["property ACCEL_MOUNT_MATRIX=0, 1, 0; 1, 0, 0; 0, 0, 1", "no property ACCEL_LOCATION"],
    ),
    ("rare", "iio:device1", Action::Add, &["property ACCEL_LOCATION=base", "no property ACCEL_MOUNT_MATRIX"]),
    ("rare", "iio:device2", Action::Add, &["property ACCEL_MOUNT_MATRIX=0, 1, 0; 1, 0, 0; 0, 0, 1"]),
    ("rare", "iio:device3", Action::Add, &["property ACCEL_LOCATION=base"]),
    ("rare", "iio:device4", Action::Add, &["property ACCEL_LOCATION=display"]),
    ("rare", "input34/event34", Action::Add, &["property ACCEL_MOUNT_MATRIX=1, 0, 0; 0, 1, 0; 0, 0, 1"]),
    ("rare", "input35/event35", Action::Add, &["property ACCEL_MOUNT_MATRIX=0, 0, 1; 0, 1, 0; 1, 0, 0"]),
    ("rare", "video4linux/video7", Action::Add, &["property ID_CAMERA_DIRECTION=rear"]),
    ("rare", "input29/event29", Action::Add, &["property MOUSE_DPI=400@100"]),
    ("rare", "input27/event27", Action::Add, &["property MOUSE_DPI=1000@1000"]),
    ("rare", "input24/event24", Action::Add, &["property ID_INPUT_JOYSTICK_INTEGRATION=external"]),
    ("rare", "input31/event31", Action::Add, &["property ID_INPUT_TOUCHPAD_INTEGRATION=internal"]),
    ("rare", "0000:05:02.0/fw1", Action::Add, &["property IEEE1394_UNIT_FUNCTION_MIDI=1"]),
    ("rare", "0000:05:02.0/fw2", Action::Add, &["property ID_VENDOR_FROM_DATABASE=Allied Vision"]),
    ("rare", "hidraw/hidraw2", Action::Add, &["property ID_MODEL_FROM_DATABASE=SpaceMouse", "run uaccess"]),
    ("rare", "hidraw/hidraw1", Action::Add, &["property ID_VENDOR_FROM_DATABASE=Yubico.com", "run uaccess"]),
    ("rare", "tty/ttyUSB7", Action::Add, &["property ID_MODEL_FROM_DATABASE=FT232H"]),
    ("rare", "tty/ttyS4", Action::Add, &["property ID_VENDOR_FROM_DATABASE=Oxford"]),
    ("rare", "sound/card4", Action::Change, &["property ID_MODEL_FROM_DATABASE=EMU10k1"]),
    ("rare", "net/hsi0", Action::Add, &["property ID_NET_NAME_ALLOW=0", "no property ID_NET_NAME_MAC"]),
    (
        "rare",
        "graphics/fb1",
        Action::Add,
        &["tag seat", "tag master-of-seat", "property ID_TAG_MASTER_OF_SEAT=1"],
    ),
    ("rare", "0000:05:04.0", Action::Add, &["tag seat", "tag master-of-seat"]),
    ("rare", "tifm_sd0:3", Action::Add, &["run kmod load tifm_sd"]),
    ("rare", "tifm_ms0:4", Action::Add, &["run kmod load tifm_ms"]),
    ("rare", "i2o/i2o0", Action::Add, &["run kmod load i2o_block"]),
    ("rare", "module/parport_pc", Action::Add, &["run kmod load ppdev"]),
    ("rare-storage", "memstick1/memstick1", Action::Add, &["run kmod load ms_block mspro_block"]),
    ("rare-storage", "mtd/mtd1ro", Action::Add, &["run kmod load sm_ftl"]),
    ("rare-storage", "block/sdq", Action::Add, &["property IOCOST_SOLUTIONS=isolation"]),
    ("rare-storage", "block/sdt", Action::Add, &["property SYSTEMD_READY=0"]),
    (
        "rare-storage",
        "block/sdu",
        Action::Add,
        &["run /usr/bin/udevadm trigger -s block -p ID_BTRFS_READY=0", "no property SYSTEMD_READY"],
    ),
];

#[test]
fn devices_get_what_the_database_says_and_what_is_written_and_run() {
    let shipped = Rules::directory(&top().join("rules"));
    let machine =
        |name: &str| Machine::recorded(&top().join("rules/recordings").join(format!("{name}.umockdev")));
    let machines = ["rare", "rare-storage", "storage"].map(|name| (name, machine(name)));
    for (name, tail, action, lines) in GIVEN {
        let (_, machine) = machines.iter().find(|(known, _)| known == name).unwrap();
        let is_meant = |path: &DevPath| path.as_bytes().ends_with(format!("/{tail}").as_bytes());
        let path = machine.paths().into_iter().find(is_meant).unwrap_or_else(|| panic!("{tail}"));
        let found = plain(&facts(machine, &path, *action, &shipped, &mut Unobserved));
        for line in *lines {
            let (there, wanted) = match line.strip_prefix("no ") {
                // the beginning of a line
                Some(wanted) => (found.iter().any(|one| one.starts_with(wanted)), false),
                None => (found.iter().any(|one| one == line), true),
            };
            assert!(there == wanted, "{tail} {action}: {line}\n{}", found.join("\n"));
        }
    }
}

/// Facts as a person writes them: words of commands and of what is written side by side.
fn plain(facts: &BTreeSet<String>) -> Vec<String> {
    let words = |text: &str| text.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" ");
    facts
        .iter()
        .map(|fact| match fact.split_once(' ') {
            Some(("run", job)) => format!("run {}", words(job)),
            // the device, its attribute, the value
            Some(("write", what)) => {
                format!("write {}", words(what).splitn(2, ' ').last().unwrap().replacen(' ', "=", 1))
            }
            _ => fact.clone(),
        })
        .collect()
}

/// With the files of Debian's udev installed none of the standard rules is in force: nothing is done twice.
#[test]
fn beside_debians_files_none_is_in_force() {
    let own = top().join("rules");
    let shipped = Rules::directory(&own);
    if debian(&shipped, &Roots::system()).is_none() {
        return common::skip("Debian's udev is not installed");
    }
    let dirs = Roots::system().udev_rule_dirs();
    let both = Rules::load(&[&[own], &dirs[..]].concat());
    assert!(shipped.counts.len() >= 30, "{:?}", shipped.counts);
    for (name, alone) in &shipped.counts {
        assert!(*alone > 0 && both.counts[name] == 0, "{name}: {alone} rules, {} beside", both.counts[name]);
    }
}
