//! What a device's record says while its event is under way: systemd's marks, as its daemon of version 257 sets them. The
//! expected texts are that daemon's, for the same rules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::daemon::{Daemon, World, eventually};
use crate::devices::{Interface, Loops, synthesize};
use crate::need_devices;

/// A device manager of a system of its own; in the rules `WORK` stands for its directory, and `RECORD` for the record of the
/// event's device.
fn start(rules: &str) -> Daemon {
    let world = World::new(&[]).standalone();
    // by it a start knows that the system is that of the run before
    fs::create_dir_all(world.path("root/etc")).unwrap();
    world.write_rule("50-test.rules", &filled(&world, rules));
    world.start()
}

fn filled(world: &World, rules: &str) -> String {
    let data = world.path("root/run/udev/data").display().to_string();
    rules.replace("RECORD", &data).replace("WORK", &world.path("").display().to_string())
}

/// A text with any time of the first event.
fn timeless(text: &str) -> String {
    let line = |line: &str| if line.starts_with("I:") { "I:N\n".to_owned() } else { format!("{line}\n") };
    text.lines().map(line).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    timeless(&fs::read_to_string(path).unwrap_or_else(|error| error.kind().to_string()))
}

#[test]
fn a_record_says_that_its_device_is_being_handled() {
    need_devices!();
    let rules = r#"
KERNEL!="loop530000", GOTO="end"
IMPORT{db}="ID_PROCESSING", ENV{NP_SEEN}="$env{ID_PROCESSING}"
ENV{NP_A}="1", TAG+="np_a", SYMLINK+="np/%k"
PROGRAM="/bin/sh -c 'cat RECORD/b7:530000 >WORK/$env{ACTION}; env >WORK/env; true'"
ACTION=="change", ENV{NP_A}="", ENV{NP_B}="2", TAG="np_b", SYMLINK="np/other"
LABEL="end"
KERNEL=="loop530001", PROGRAM="/bin/sh -c 'cat RECORD/b7:530001 >WORK/empty-$env{ACTION}; true'"
"#;
    let daemon = start(rules);
    let _loops = Loops::add(530_000, 2);
    daemon.settle();
    let record = |n: i32| read(daemon.path(&format!("root/run/udev/data/b7:{n}")));
    assert_eq!(read(daemon.path("add")), "", "what is seen for the first time has no record yet");
    assert_eq!(record(530_000), "S:np/loop530000\nI:N\nE:NP_A=1\nG:np_a\nQ:np_a\nV:1\n");
    for n in [530_000, 530_001] {
        synthesize(&format!("/sys/block/loop{n}"), "change");
    }
    daemon.settle();
    let marked = "S:np/loop530000\nI:N\nE:NP_A=1\nE:ID_PROCESSING=1\nG:np_a\nQ:np_a\nV:1\n";
    assert_eq!(read(daemon.path("change")), marked);
    assert_eq!(record(530_000), "S:np/other\nI:N\nE:NP_SEEN=1\nE:NP_B=2\nG:np_b\nQ:np_b\nV:1\n");
    assert_eq!(read(daemon.path("empty-change")), "I:N\nE:ID_PROCESSING=1\nV:1\n");
    assert_eq!(record(530_001), "");
}

#[test]
fn an_event_that_is_cut_off_comes_again_at_the_next_start() {
    need_devices!();
    // rules that hang at a change, before any of their programs at the end has run
    let rules = r#"
KERNEL=="loop530010", ENV{NP}="1", RUN+="/bin/sh -c 'echo $env{ACTION} >>WORK/ran'"
KERNEL=="loop530010", ACTION=="change", PROGRAM="/bin/sh -c 'echo $$$$ >WORK/hangs; exec sleep 1000'"
"#;
    let daemon = start(rules);
    let _loops = Loops::add(530_010, 1);
    daemon.settle();
    let world = daemon.stop();
    let ran = |world: &World| read(world.path("ran"));
    let daemon = world.start();
    assert_eq!(ran(&daemon), "add\n", "what came to its end is not run again");
    synthesize("/sys/block/loop530010", "change");
    let pid =
        eventually("the program", || fs::read_to_string(daemon.path("hangs")).ok()?.trim().parse().ok());
    let record = daemon.path("root/run/udev/data/b7:530010");
    assert_eq!(read(&record), "I:N\nE:NP=1\nE:ID_PROCESSING=1\nV:1\n");
    let world = daemon.kill();
    let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(read(&record), "I:N\nE:NP=1\nE:ID_PROCESSING=1\nV:1\n");
    let daemon = world.start();
    assert_eq!(ran(&daemon), "add\nadd\n");
    assert_eq!(read(&record), "I:N\nE:NP=1\nV:1\n");
}

#[test]
fn an_interface_that_gets_another_name_says_so() {
    need_devices!();
    let rules = r#"
SUBSYSTEM!="net", GOTO="end"
KERNEL=="npma0", ACTION=="add", NAME="npmb0", ENV{NP}="1"
ACTION=="add", ENV{NP}=="1", RUN+="/bin/sh -c 'cat RECORD/n$env{IFINDEX} >WORK/add; env >WORK/env-add'"
KERNEL=="npmb0", ACTION=="move", IMPORT{db}="ID_RENAMING", ENV{NP_SEEN}="1"
KERNEL=="npmb0", ACTION=="move", IMPORT{db}="NP", PROGRAM="/bin/sh -c 'cat RECORD/n$env{IFINDEX} >WORK/move'"
LABEL="end"
"#;
    let daemon = start(rules);
    let _after = Interface::named("npmb0");
    let _veth = Interface::add("npma0", &["type", "veth", "peer", "name", "npmc0"]);
    daemon.settle();
    assert_eq!(read(daemon.path("add")), "I:N\nE:NP=1\nE:ID_RENAMING=1\nE:ID_PROCESSING=1\nV:1\n");
    let said = fs::read_to_string(daemon.path("env-add")).unwrap();
    for line in [
        "DEVPATH=/devices/virtual/net/npmb0",
        "INTERFACE=npmb0",
        "INTERFACE_OLD=npma0",
        "ID_RENAMING=1",
        "ID_PROCESSING=1",
    ] {
        assert!(said.lines().any(|there| there == line), "{line} in\n{said}");
    }
    eventually("the move", || daemon.path("move").exists().then_some(()));
    daemon.settle();
    assert_eq!(read(daemon.path("move")), "I:N\nE:NP=1\nE:ID_PROCESSING=1\nV:1\n");
    let index = fs::read_to_string("/sys/class/net/npmb0/ifindex").unwrap();
    let record = daemon.path(&format!("root/run/udev/data/n{}", index.trim()));
    assert_eq!(read(record), "I:N\nE:NP=1\nV:1\n");
}

#[test]
fn disks_of_users_are_not_made_read_only() {
    need_devices!();
    let world = World::new(&[]).standalone();
    let proc = world.path("root/proc");
    fs::remove_file(&proc).unwrap();
    fs::create_dir(&proc).unwrap();
    symlink("/proc/sys", proc.join("sys")).unwrap();
    fs::write(proc.join("cmdline"), "ro quiet udev.blockdev_read_only\n").unwrap();
    let nodes = world.path("root/dev");
    let node = |n: i32| {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        let path = nodes.join(format!("loop{n}"));
        mknod(&path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), makedev(7, n.try_into().unwrap()))
    };
    let _loops = Loops::add(530_020, 1);
    node(530_020).unwrap();
    let daemon = world.start();
    let is_read_only = || read("/sys/block/loop530020/ro");
    assert_eq!(is_read_only(), "0\n", "a loop device stays as it is");
    // what is done to others, done to this one
    let dir = nameplate::apply::node::NodeDir::open(&nodes).unwrap();
    let name = nameplate::ids::LinkName::new(b"loop530020").unwrap();
    let number = nameplate::ids::DevNum { kind: nameplate::ids::NodeKind::Block, major: 7, minor: 530_020 };
    nameplate::apply::disk::make_read_only(&dir, &name, number).unwrap();
    assert_eq!(is_read_only(), "1\n");
    assert!(!daemon.log().contains("cmdline"), "{}", daemon.log());
}
