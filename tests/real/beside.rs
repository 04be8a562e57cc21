//! nameplate beside the machine's own systemd-udevd: the same rules, the same devices and the same steps for each, and what libudev
//! programs find afterwards is the same.
//!
//! The steps are scenes for the shell (`beside/*.sh`), run in namespaces of their own: this machine's `/run/udev`, `/dev` and
//! interfaces are not touched, and what udevd tells listeners is heard there alone.
//!
//! Compared as sorted lines: udevd writes the links and tags of a record in the order of a hash with a random key. The time of
//! the first event is any number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{no_private_mounts, skip};
use crate::devices::{Loops, Zram};
use crate::need_devices;

const UDEVD: &str = "/lib/systemd/systemd-udevd";

/// Ends the test early where there is no udevd to compare with.
macro_rules! need_udevd {
    () => {
        need_devices!();
        if let Some(why) = missing() {
            return skip(why);
        }
    };
}

fn missing() -> Option<&'static str> {
    if let Some(why) = no_private_mounts() {
        return Some(why);
    }
    let there = |(program, argument): &(&str, &str)| {
        let mut command = Command::new(program);
        command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let needs = [
        (UDEVD, "--version"),
        ("udevadm", "--version"),
        ("unshare", "--version"),
        ("ip", "-V"),
        ("awk", "BEGIN {}"),
        ("flock", "--version"),
        ("addpart", "--version"),
    ];
    needs.iter().find(|need| !there(need)).map(|(program, _)| match *program {
        UDEVD | "udevadm" => "needs systemd-udevd and udevadm",
        "ip" => "needs ip of iproute2",
        _ => "needs unshare, flock, addpart and awk",
    })
}

/// Devices, rules and a directory for one test.
struct Stage {
    dir: tempfile::TempDir,
    loops: Loops,
    first: i32,
    zram: Option<Zram>,
}

impl Stage {
    /// Three loop devices from number `first` on. In the rules `LOOP` stands for the beginning of their names, without the
    /// last digit, and `ZRAM` for the name of a zram device.
    fn new(first: i32, rules: &str) -> Self {
        let asked = rules.contains("ZRAM") && Path::new("/sys/class/zram-control/hot_add").exists();
        let zram = asked.then(Zram::add);
        let name = zram.as_ref().map_or("none".into(), |zram| format!("zram{}", zram.number));
        let stem = format!("loop{}", first / 10);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.rules"), rules.replace("LOOP", &stem).replace("ZRAM", &name)).unwrap();
        Self { dir, loops: Loops::add(first, 3), first, zram }
    }

    /// Plays a scene; the directory with what was found.
    fn play(&self, scene: &str, manager: &str) -> Found {
        let dir = self.dir.path().join(manager);
        fs::create_dir(&dir).unwrap();
        fs::copy(self.dir.path().join("x.rules"), dir.join("x.rules")).unwrap();
        let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/beside");
        let output = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"])
            .args(["bash", "-eu"])
            .arg(scenes.join(scene))
            .arg(&dir)
            .args([env!("CARGO_BIN_EXE_nameplate"), manager, &self.first.to_string()])
            .arg(self.zram.as_ref().map_or("", |zram| &zram.number))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let found = Found { dir, first: self.first };
        assert!(output.status.success(), "{manager}: {}\n{said}\n{}", output.status, found.file("log"));
        found
    }
}

/// What a scene has left.
struct Found {
    dir: PathBuf,
    /// The number of the first loop device, by which the scene's own events are known.
    first: i32,
}

impl Found {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// What the monitor heard of devices whose paths hold one of `names`: by path, each event with its properties. What
    /// differs from run to run has its key alone.
    fn heard(&self, names: &[&str]) -> BTreeMap<String, Vec<String>> {
        let text = self.file("heard");
        let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for block in text.split("\n\n") {
            let Some((head, properties)) = block.split_once("UDEV  [").and_then(|b| b.1.split_once('\n'))
            else {
                continue;
            };
            let path = head.split_whitespace().nth(2).unwrap();
            // what others ask for on this machine is no part of the scene; nor is what watches ask for
            let asked = properties.lines().find_map(|line| line.strip_prefix("SYNTH_UUID="));
            let is_others = asked.is_some_and(|by| !by.starts_with(&format!("{:08}-", self.first)));
            if is_others || !names.iter().any(|name| path.contains(name)) {
                continue;
            }
            let mut lines: Vec<String> = properties.lines().filter_map(property).collect();
            lines.sort();
            events.entry(path.into()).or_default().push(lines.join("\n"));
        }
        events
    }
}

/// A line of an event as both managers send it; `None` for what they rightly differ in.
fn property(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let sorted = |by: char| {
        let mut words: Vec<&str> = value.split(by).collect();
        words.sort_unstable();
        format!("{key}={}", words.join(&by.to_string()))
    };
    match key {
        "SEQNUM" | "USEC_INITIALIZED" => Some(key.into()),
        "DEVLINKS" => Some(sorted(' ')),
        "TAGS" | "CURRENT_TAGS" => Some(sorted(':')),
        // udev(7): not exported to events; systemd 252 sends them all the same
        _ if key.starts_with('.') => None,
        _ => Some(line.into()),
    }
}

/// Links are not asked for when a device goes: udevd would tell listeners that it had them.
const LIFE: &str = r#"
ACTION!="remove", SUBSYSTEM=="block", KERNEL=="LOOP?|ZRAM", SYMLINK+="np/by-name/%k np/b np/a"
SUBSYSTEM=="block", KERNEL=="LOOP?|ZRAM", OWNER="12", GROUP="7", MODE="0640", TAG+="np_b", TAG+="np-a"
SUBSYSTEM=="block", KERNEL=="LOOP?|ZRAM", ENV{NP_B}="two words", ENV{NP_A}="a=b", ENV{.NP_HIDDEN}="1"
SUBSYSTEM=="block", KERNEL=="LOOP1", OPTIONS+="watch", OPTIONS+="link_priority=-7", ENV{NP_NAME}="$name"
SUBSYSTEM=="block", KERNEL=="LOOP2", OPTIONS+="db_persist", OPTIONS+="link_priority=12", TAG+="np_c"
ACTION=="change", SUBSYSTEM=="block", KERNEL=="LOOP2", TAG-="np-a", TAG+="np_d", SYMLINK="np/other"
SUBSYSTEM=="block", KERNEL=="ZRAM", OPTIONS+="link_priority=-20"
ACTION=="change", KERNEL=="LOOP0", RUN+="/bin/sh -c '(umask; cat /run/udev/data/b$$MAJOR:$$MINOR) >/run/np-at-run'"
SUBSYSTEM=="net", KERNEL=="np0", ACTION!="remove", ENV{NP_NET}="$attr{ifindex}", TAG+="np_net"
SUBSYSTEM=="net", KERNEL=="np2", ENV{ID_X}="%n"
SUBSYSTEM=="net", KERNEL=="np3", ENV{ID_Y}="%n"
SUBSYSTEM=="net", KERNEL=="np4", ACTION=="add", ENV{SYNTH_ARG_NAME}=="1", NAME="np5", ENV{NP_NAMED}="1"
SUBSYSTEM=="net", KERNEL=="np5", ACTION=="move", IMPORT{db}="NP_NAMED"
ACTION!="remove", SUBSYSTEM=="mem", KERNEL=="null", SYMLINK+="np/null"
SUBSYSTEM=="mem", KERNEL=="null", MODE="0622", TAG+="np_b"
KERNEL=="np-static", OPTIONS+="static_node=np-static", MODE="0604", OWNER="3", TAG+="np_static"
"#;

#[test]
fn programs_of_libudevs_find_the_same() {
    need_udevd!();
    let stage = Stage::new(520_000, LIFE);
    let theirs = stage.play("life.sh", "udevd");
    let ours = stage.play("life.sh", "nameplate");
    // records, index of tags, links, permissions, static nodes; the file of the queue; the lock
    let out = theirs.file("out");
    let ours_out = ours.file("out");
    for (at, (ours_line, line)) in ours_out.lines().zip(out.lines()).enumerate() {
        assert_eq!(ours_line, line, "line {at} of\n{ours_out}\n{}", ours.file("log"));
    }
    assert_eq!(ours_out, out);
    // that the scene shows what it is for, by hand
    for part in [
        "\n644 empty c1:5\n",
        "\n1644 b7:520002\n",
        "\n-r--r--r-- np_d/b7:520002 \n",
        "\nlrwxrwxrwx np_static/np-static /dev/np-static\n",
        "\nnp-static 3:0 604\n",
        "\nlocked: unfinished\nlocked: not heard\nlocked: not settled\nunlocked: finished\n",
        "\nno b7:520002\n",
        "\n== while a program ran: umask and record\n0022\n",
    ] {
        assert!(out.contains(part), "{part:?} in\n{out}");
    }
    assert_eq!(ours.file("processing"), "1\n", "as systemd 257 marks a record whose programs have not ended");
    let (_, at_the_end) = out.split_once("== removed").unwrap();
    for gone in ["np/other", "np_d/", "block/7:520002"] {
        assert!(!at_the_end.contains(&format!("\n{gone}")), "{gone} in\n{at_the_end}");
    }
    // what listeners hear
    let stem = format!("loop{}", stage.first / 10);
    let zram = stage.zram.as_ref().map_or("none".into(), |zram| format!("/block/zram{}", zram.number));
    let names = [&*stem, "/net/np", "/net/lo", "/mem/null", "/mem/zero", &zram];
    let log = ours.file("log");
    let (theirs, ours) = (theirs.heard(&names), ours.heard(&names));
    assert!(theirs.values().map(Vec::len).sum::<usize>() >= 20, "{theirs:#?}");
    for (path, events) in &theirs {
        assert_eq!(ours.get(path), Some(events), "{path}\n{log}");
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    drop(stage.loops);
}

/// Splits the output of a scene into its parts, by the lines `== NAME` and `-- NAME` that begin them.
fn parts(out: &str) -> Vec<(&str, Vec<&str>)> {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in out.lines() {
        match line.strip_prefix("== ").or_else(|| line.strip_prefix("-- ")) {
            Some(name) => parts.push((name, Vec::new())),
            None => parts.last_mut().unwrap().1.push(line),
        }
    }
    parts
}

const HAND_OVER: &str = r#"
SUBSYSTEM=="block", KERNEL=="LOOP[0-2]", SYMLINK+="np/by-name/%k np/shared", TAG+="np", ENV{NP}="%n", MODE="0600"
SUBSYSTEM=="block", KERNEL=="LOOP2", OPTIONS+="watch"
SUBSYSTEM=="mem", KERNEL=="full", SYMLINK+="np/full"
"#;

#[test]
fn a_running_system_goes_from_udevd_to_nameplate_and_back() {
    need_udevd!();
    let stage = Stage::new(521_000, HAND_OVER);
    let found = stage.play("hand_over.sh", "both");
    let out = found.file("out");
    let parts = parts(&out);
    let part = |name: &str| -> Vec<&[&str]> {
        parts.iter().filter(|part| part.0 == name).map(|part| &part.1[..]).collect()
    };
    // nothing is different, no link was made anew, no first time is another
    let [shown, links] = part("udevd")[..] else { panic!("{out}") };
    assert!(links.iter().any(|link| link.starts_with("np/shared ../loop521000 ")), "{out}");
    assert!(links.iter().any(|line| line.contains(":I:")) && shown.contains(&"S:np/shared"), "{out}");
    for name in ["nameplate", "nameplate after events", "udevd again"] {
        assert_eq!(part(name), [shown, links], "{name}");
    }
    // who claims what and what is watched is put away by nameplate, and left as udevd leaves it
    let left = part("left by udevd")[0];
    assert!(left.contains(&r"links/np\x2fshared/b7:521001 0:/dev/loop521001"), "{out}");
    assert!(left.contains(&"watch/b7:521002"), "{out}");
    assert_eq!(part("kept up by nameplate"), [&[] as &[&str]]);
    assert_eq!(part("left by nameplate"), [left]);
    for name in ["after udevd", "after nameplate"] {
        let [first, second] = part(name)[0] else { panic!("{out}") };
        let holder = first.strip_prefix("shared: ").unwrap();
        let heir = second.strip_prefix("shared after its removal: ").unwrap();
        let all = ["loop521000", "loop521001", "loop521002"];
        assert!(all.contains(&holder) && all.contains(&heir) && holder != heir, "{name}: {holder}, {heir}");
    }
}

const PARTITIONS: &str = r#"
SUBSYSTEM=="block", KERNEL=="LOOP0", OPTIONS+="watch", SYMLINK+="np/disk"
SUBSYSTEM=="block", KERNEL=="LOOP0p1", SYMLINK+="np/part"
"#;

#[test]
fn a_disk_that_loses_its_partitions_is_heard_of() {
    need_udevd!();
    let stage = Stage::new(522_000, PARTITIONS);
    let played = ["udevd", "nameplate"].map(|manager| {
        let found = stage.play("partitions.sh", manager);
        let names = "disk ../loop522000\npart ../loop522000p1\ndisk ../loop522000\n";
        assert_eq!(found.file("out"), names, "{manager}");
        let actions = |(path, events): (String, Vec<String>)| {
            let lines = events.iter().flat_map(|event| event.lines());
            let actions: BTreeSet<String> =
                lines.filter_map(|line| line.strip_prefix("ACTION=")).map(Into::into).collect();
            (path, actions)
        };
        found.heard(&["loop522000"]).into_iter().map(actions).collect::<BTreeMap<_, _>>()
    });
    // that the disk's `change` is heard is what the scene waits for
    assert_eq!(played[1], played[0]);
    let disk = "/devices/virtual/block/loop522000";
    assert_eq!(played[0][&format!("{disk}/loop522000p1")], ["remove".to_owned()].into());
}
