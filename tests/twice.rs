//! The same machine twice: systemd-udevd handles everything that is there, then nameplate with the same rules, then nameplate
//! with its own alone. All three leave the same database, links, permissions and names of interfaces but for what is listed
//! in `twice/same-rules.differences` and `twice/own-rules.differences`, each with its reason; nothing stands there that is
//! not found.
//!
//! Each of them works in namespaces of its own (`twice/scene`): this machine's `/dev`, `/run` and interfaces stay as they are.

#![cfg(test)]

mod common;
#[path = "common/devices.rs"]
#[allow(dead_code)] // shared with the other tests of devices
mod devices;
#[path = "twice/facts.rs"]
mod facts;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use devices::{Loops, Zram};
use facts::{Facts, Scope};
use nameplate::text::{Case, Pattern};
use nix::fcntl::{Flock, FlockArg};

/// The first of the loop devices, and how many there are.
const LOOPS: (i32, i32) = (570_000, 11);

/// What is looked at. Of systemd-udevd there is no `start`: it does nothing before it is told to.
const ACTS: [&str; 4] = ["start", "trigger", "later", "restart"];

/// Programs that the scene needs.
const NEEDS: [&str; 14] = [
    "udevadm",
    "unshare",
    "ip",
    "losetup",
    "partx",
    "sfdisk",
    "e2label",
    "mkfs.ext4",
    "mkfs.vfat",
    "mkfs.btrfs",
    "mkfs.xfs",
    "mksquashfs",
    "cryptsetup",
    "xorriso",
];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Why the scene can't be set here.
fn missing() -> Option<String> {
    if let Some(why) = common::no_private_mounts() {
        return Some(why.into());
    }
    let there = |program: &&str| {
        let dirs = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&dirs).any(|dir| dir.join(program).exists())
    };
    if let Some(program) = NEEDS.iter().find(|program| !there(program)) {
        return Some(format!("needs {program}"));
    }
    let needs =
        ["/dev/loop-control", "/sys/class/zram-control", "/dev/net/tun", "/lib/systemd/systemd-udevd"];
    if let Some(path) = needs.iter().find(|path| !Path::new(path).exists()) {
        return Some(format!("needs {path}"));
    }
    let version = Command::new("udevadm").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version).split_whitespace().next()?.parse::<u32>();
    // the lists say what later ones do otherwise
    (version != Ok(252)).then(|| "needs systemd-udevd 252".into())
}

/// One manager's turn; its directory with what it left after each act.
fn play(who: &str, dir: &Path, zram: &str) -> PathBuf {
    let out = dir.join(who);
    fs::create_dir(&out).unwrap();
    let said = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private"])
        .arg(top().join("tests/twice/scene"))
        .args([who, env!("CARGO_BIN_EXE_nameplate")])
        .args([top().join("rules"), dir.join("images")])
        .args([&LOOPS.0.to_string(), zram])
        .arg(&out)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare");
    let log = fs::read(out.join("log")).unwrap_or_default();
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        said.status.success(),
        "{who}: {}\n{}\n--- its log\n{}",
        said.status,
        show(&said.stderr),
        show(&log)
    );
    out
}

/// What both left, act by act: lines with `-` stand in the first's alone, with `+` in the second's.
fn differences(first: &Path, second: &Path, scope: &Scope) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for act in ACTS {
        let of = |dir: &Path| {
            let act = if dir.join(act).exists() { act } else { "trigger" };
            Facts::read(&dir.join(act), scope)
        };
        let (first, second) = (of(first), of(second));
        assert!(first.0.len() > 500, "too little to say anything: {} facts", first.0.len());
        out.extend(first.0.difference(&second.0).map(|fact| format!("- {act} {fact}")));
        out.extend(second.0.difference(&first.0).map(|fact| format!("+ {act} {fact}")));
    }
    out
}

/// Compares what was found with a list of what may be: lines above that begin with `#` are the reason.
fn compare(found: &BTreeSet<String>, list: &str) -> Vec<String> {
    let path = top().join("tests/twice").join(list);
    let text = fs::read_to_string(path).unwrap();
    let mut reason = false;
    let mut accepted = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match line.chars().next() {
            None => reason = false,
            Some('#') => reason = true,
            Some('+' | '-') => {
                assert!(reason, "{list}:{}: no reason above", at + 1);
                accepted.push((at + 1, Pattern::single(line.as_bytes(), Case::Sensitive), false));
            }
            Some(_) => panic!("{list}:{}: neither reason nor difference", at + 1),
        }
    }
    let mut wrong = Vec::new();
    for line in found {
        let mut listed = false;
        for (_, pattern, used) in &mut accepted {
            if pattern.matches(line.as_bytes()) {
                (listed, *used) = (true, true);
            }
        }
        if !listed {
            wrong.push(format!("{list}: {line}"));
        }
    }
    let stale = accepted.iter().filter(|(_, _, used)| !used);
    wrong.extend(stale.map(|(at, ..)| format!("{list}:{at}: not found any more")));
    wrong
}

#[test]
fn the_same_machine_twice() {
    if let Some(why) = missing() {
        return common::skip(&why);
    }
    let lock = fs::File::create(std::env::temp_dir().join("nameplate-twice.lock")).unwrap();
    let _alone = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    fs::create_dir(&images).unwrap();
    let made = Command::new(top().join("tests/twice/images")).arg(&images).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let _loops = Loops::add(LOOPS.0, LOOPS.1);
    let zram = Zram::add();
    let name = format!("zram{}", zram.number);

    let [udevd, same, stock, own] = ["udevd", "same", "stock", "own"].map(|who| play(who, dir.path(), &name));
    let scope = Scope::new(LOOPS, &name);
    let mut wrong = compare(&differences(&udevd, &same, &scope), "same-rules.differences");
    wrong.extend(compare(&differences(&stock, &own, &scope), "own-rules.differences"));
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}
