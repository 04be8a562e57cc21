//! The same cases, asked of the machine's own udev: `udevadm test` with a rule file of its own, in namespaces of its own.
//!
//! systemd 252's `udevadm test` is no dry run: it renames interfaces, makes links, writes attributes and records. So it
//! gets a network, a `/dev`, a `/run` and rule directories that go with it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nameplate::ids::Action;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::earlier;
use super::effects::{Device, NODES, RUNS};
use super::machine::{FACTS, Machine};
use super::random::token;
use super::run::{Facts, compare, file, files};
use crate::common::skip;
use crate::devices::Loops;

/// The loop device of the cases.
const LOOP: i32 = 777;

/// There is one such device: tests take turns.
static ONE: Mutex<()> = Mutex::new(());

/// Sets the scene and asks. `$1` is the directory with the rule file and maybe a record, `$2` what is asked about, `$3`
/// what happens to it.
const SCRIPT: &str = r#"
mount -t tmpfs none /run
mkdir -p /run/udev/rules.d
for dir in /etc/udev/rules.d /usr/lib/udev/rules.d /usr/local/lib/udev/rules.d; do
    [ ! -d $dir ] || mount -t tmpfs none $dir
done
cp "$1/x.rules" /run/udev/rules.d/50-x.rules
mount -t sysfs none /sys
ip link set lo alias "two  words "
node() { mknod "/dev/${1##*/}" b $(sed 's/:/ /' "$1/dev"); }
mount -t tmpfs none /dev
mknod /dev/null c 1 3
node /sys/block/loop777
losetup /dev/loop777 "$1/two  words "
trap 'delpart /dev/loop777 1; losetup -d /dev/loop777' EXIT
addpart /dev/loop777 1 8 1024
node /sys/block/loop777/loop777p1
if [ -e "$1/record" ]; then
    mkdir -p /run/udev/data
    cp "$1/record" "/run/udev/data/b$(cat /sys/block/loop777/loop777p1/dev)"
fi
udevadm test --action="$3" "$2" >"$1/out" 2>"$1/log" || { cat "$1/log"; exit 1; }
cat "$1/log" "$1/out"
stat -c 'NODE %u %g %a' /dev/loop777p1
"#;

/// Why udev can't be asked here.
fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("there are no loop devices");
    }
    let needs = [("udevadm", "--version"), ("unshare", "--version"), ("ip", "-V"), ("addpart", "--version")];
    let there = |(program, argument): &(&str, &str)| {
        let mut command = Command::new(program);
        command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    if !needs.iter().all(there) {
        return Some("needs udevadm, unshare, ip and addpart");
    }
    let version = Command::new("udevadm").arg("--version").output().unwrap().stdout;
    let version: u32 = String::from_utf8_lossy(&version).split_whitespace().next()?.parse().ok()?;
    // Later ones show their result in another form.
    (!(252..=256).contains(&version)).then_some("needs the udevadm of systemd 252 to 256")
}

/// What `udevadm test` says.
fn ask(dir: &Path, device: Device, rules: &str) -> String {
    ask_when(dir, device, Action::Add, rules)
}

/// The same of another action.
fn ask_when(dir: &Path, device: Device, action: Action, rules: &str) -> String {
    fs::write(dir.join("x.rules"), rules).unwrap();
    fs::write(dir.join("facts"), FACTS).unwrap();
    fs::write(dir.join("two  words "), vec![0; 1 << 20]).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "bash", "-euc", SCRIPT, "x"])
        .arg(dir)
        .arg(format!("/sys{}", device.path()))
        .arg(action.as_str())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{err}\n{out}", output.status);
    out.into_owned()
}

/// The facts in the output: what stands behind the warning that no program is run.
fn facts(output: &str) -> Facts {
    let (_, behind) = output.split_once("This program is for debugging only").unwrap_or(("", output));
    let mut facts = Facts::default();
    for line in behind.lines() {
        match line.split_once('=') {
            Some(("DEVLINKS", links)) => {
                let below = links.split(' ').filter_map(|link| link.strip_prefix("/dev/"));
                facts.links = below.map(str::to_owned).collect();
            }
            Some(("CURRENT_TAGS", tags)) => {
                facts.tags = tags.split(':').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
            }
            Some((key, value)) => facts.properties.push((key.into(), value.into())),
            None => {}
        }
    }
    facts
}

/// What a text must not hold: systemd 252 reads it otherwise than later ones, its `udevadm test` does not carry it out,
/// this test does not, or one failure ends the whole event there.
const NOT_ASKED: &[&str] = &[
    "i\"",
    "ei\"",
    "ie\"",
    "SYMLINK",
    "PROGRAM",
    "IMPORT{program}",
    "IMPORT{cmdline}",
    "CONST",
    "NAME",
    "kmod",
    // a builtin of any name, and the contrary of what it says
    "{builtin}+=\"\"",
    "{builtin}=\"\"",
    "{builtin}==\"\"",
    "{builtin} == \"\"",
    "{builtin}!=\"\"",
    "{builtin}:=\"\"",
    "IMPORT{parent}",
    // a newline in a property
    "e\"a\\n",
    // it takes names with white space, and tags of other bytes; of an empty one it dies
    "ENV{%k x}",
    "ENV{a b}",
    "TAG",
    // no line of a file that people write
    "\0",
];

fn is_asked(text: &str) -> bool {
    let writes = ["ATTR{", "SYSCTL{"].iter().any(|key| text.contains(key)) && !text.contains("==");
    !writes && NOT_ASKED.iter().all(|part| !text.contains(part))
}

#[test]
fn udev_takes_the_same_texts() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _loops = Loops::add(LOOP, 1);
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut runner = TestRunner::deterministic();
    let texts = prop::collection::vec(token(), 1..3);
    let mut cases = Vec::new();
    while cases.len() < 900 {
        let text = texts.new_tree(&mut runner).unwrap().current().concat();
        if is_asked(&text) {
            let name = format!("C{:03}", cases.len());
            cases.push((format!("{text}, ENV{{{name}}}=\"1\"\n\n"), name));
        }
    }
    let all: String = cases.iter().map(|(text, _)| text.as_str()).collect();
    let ours = Facts::of(&machine.plan(Device::Partition, Action::Add, &all));
    let said = ask(dir.path(), Device::Partition, &all);
    assert!(!said.contains("Failed to apply udev rules"), "one text ended the event:\n{said}");
    let theirs = facts(&said);
    let took = cases.iter().filter(|(_, name)| !theirs.about(name).is_empty()).count();
    assert!(
        took > 100 && took < cases.len() - 100,
        "{took} texts were taken: too many or too few say nothing"
    );
    let mut wrong = String::new();
    for (text, name) in &cases {
        let (ours, theirs) = (ours.about(name), theirs.about(name));
        if ours != theirs {
            wrong += &format!("{text:?}\n  here {ours:?}, udev {theirs:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Pieces of a value, to be put together in any way.
const PIECES: &[&str] = &[
    "$",
    "%",
    "{",
    "}",
    "$attr",
    "%s",
    "$env",
    "%E",
    "$kernel",
    "%k",
    "%c",
    "$result",
    "%N",
    "%P",
    "{2+}",
    "{1}",
    "{size}",
    "{DEVTYPE}",
    "{../size}",
    "{.h}",
    "{[block/loop777]size}",
    "a",
    " ",
    "  ",
    "\\",
    "\\x20",
    "\\x",
    "é",
    "\u{a0}",
    "/",
    "*",
    "[",
    "]",
    ";",
    "~",
    ",",
    "|",
    ":",
    "$name",
    "$links",
    "$id",
    "$driver",
    "%b",
    "%d",
    "$number",
    "$parent",
    "$$",
    "%%",
    "$major",
    "%m",
    "$sys",
    "$root",
    "..",
    "=",
    "#",
    "@",
    "+",
    "-",
    "'",
    "\t",
];

/// What stands before a value: which device the parent's substitutions mean, and how bytes are replaced.
const BEFORE: &[&str] = &[
    "",
    "KERNELS==\"loop777\", ",
    "KERNELS==\"loop777p1\", ",
    "OPTIONS=\"string_escape=replace\", ",
    "OPTIONS=\"string_escape=none\", ",
];

#[test]
fn udev_makes_the_same_values() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _loops = Loops::add(LOOP, 1);
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut runner = TestRunner::deterministic();
    let values = (prop::sample::select(BEFORE), prop::collection::vec(prop::sample::select(PIECES), 1..8));
    let mut all = String::from("ENV{.h}=\"hid  den;\"\n");
    let mut texts = Vec::new();
    // where no program has run, udev does not look at which words are asked for
    let odd_words = |text: &str| {
        ["%c{", "$result{"].iter().any(|start| {
            text.match_indices(start).any(|(at, _)| !text[at + start.len()..].starts_with(['1', '2']))
        })
    };
    for number in 0..1500 {
        let (before, pieces) = values.new_tree(&mut runner).unwrap().current();
        if odd_words(&pieces.concat()) {
            continue;
        }
        // an empty one is another matter
        let text = format!("{before}ENV{{C{number:04}}}=\"x{}\"\n", pieces.concat());
        all += &text;
        texts.push((format!("C{number:04}"), text));
    }
    let ours = Facts::of(&machine.plan(Device::Partition, Action::Add, &all));
    let theirs = facts(&ask(dir.path(), Device::Partition, &all));
    let mut wrong = String::new();
    for (name, text) in &texts {
        let (ours, theirs) = (ours.about(name), theirs.about(name));
        if ours != theirs {
            wrong += &format!("{text:?}\n  here {ours:?}, udev {theirs:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn udev_says_the_same() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _loops = Loops::add(LOOP, 1);
    // A mount of its own hides `/run` and `/dev`; temporary files are elsewhere.
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().to_str().unwrap();
    for cases in files() {
        for device in [Device::Partition, Device::Lo] {
            let output = ask(dir.path(), device, &file(&cases, device, shown));
            compare(&cases, device, shown, &facts(&output));
        }
    }
    for (text, expected) in RUNS {
        let output = ask(dir.path(), Device::Partition, text);
        let run = output.lines().filter_map(|line| line.strip_prefix("run: '")?.strip_suffix('\''));
        assert_eq!(run.collect::<Vec<_>>(), *expected, "{text}");
    }
    for (text, expected) in NODES {
        let output = ask(dir.path(), Device::Partition, text);
        let found = output.lines().find_map(|line| line.strip_prefix("NODE ")).unwrap();
        let before = ["0", "0", "644"];
        let same = expected.split(' ').zip(found.split(' ')).zip(before);
        let same =
            same.map(|((expected, found), before)| found == if expected == "-" { before } else { expected });
        assert!(same.into_iter().all(|same| same), "{text}: found {found}, expected {expected}");
    }
}

#[test]
fn udev_sees_the_same_of_earlier_events() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _loops = Loops::add(LOOP, 1);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("record"), earlier::RECORD).unwrap();
    for action in [Action::Add, Action::Change, Action::Remove] {
        let cases = earlier::cases(action);
        let output = ask_when(dir.path(), Device::Partition, action, &file(&cases, Device::Partition, ""));
        compare(&cases, Device::Partition, "", &facts(&output));
    }
    // systemd 252 dies of an empty tag.
    for (text, expected) in earlier::tags().filter(|(text, _)| !text.contains("\"\"")) {
        let output = ask_when(dir.path(), Device::Partition, Action::Change, text);
        let found = ["TAGS", "CURRENT_TAGS"].map(|key| {
            let value = output.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            earlier::sorted(value.unwrap_or_default())
        });
        assert_eq!(found, expected, "{text}");
    }
}
