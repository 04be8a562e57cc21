//! Somebody else works in the link directory, and signals come at the worst moments.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, World, eventually};
use crate::devices::{Loops, synthesize};
use crate::{loop_links, loop_rule, need_devices};

fn change(number: i32) {
    synthesize(&format!("/sys/block/loop{number}"), "change");
}

#[test]
fn what_somebody_puts_in_the_place_of_a_link_stays_and_our_own_is_repaired() {
    need_devices!();
    let all = 400_000..400_006;
    let mut loops = Loops::add(400_000, 6);
    let daemon = World::new(&[("50-test.toml", &loop_rule(400_000))]).start();
    let at = |n: i32| daemon.links_dir().join(format!("by-kernel/loop{n}"));
    for n in all.clone() {
        fs::remove_file(at(n)).unwrap();
    }
    fs::write(at(400_001), "precious").unwrap();
    fs::create_dir(at(400_002)).unwrap();
    fs::write(at(400_002).join("inside"), "precious").unwrap();
    symlink("/etc/passwd", at(400_003)).unwrap();
    // leads to a node, but to another's
    symlink("/dev/loop400001", at(400_004)).unwrap();
    all.clone().for_each(change);
    daemon.settle();

    let foreign = |expected: &mut BTreeMap<String, String>| {
        expected.remove("by-kernel/loop400001");
        expected.remove("by-kernel/loop400002");
        expected.insert("by-kernel/loop400003".into(), "/etc/passwd".into());
        expected.insert("by-kernel/loop400004".into(), "/dev/loop400001".into());
    };
    let mut expected = loop_links(all.clone());
    foreign(&mut expected);
    let intact = |dir: &Path| {
        assert_eq!(fs::read_to_string(dir.join("by-kernel/loop400001")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(dir.join("by-kernel/loop400002/inside")).unwrap(), "precious");
    };
    assert_eq!(daemon.links(), expected);
    intact(&daemon.links_dir());
    let collisions = daemon.json("list", &[])["collisions"].as_array().unwrap().len();
    assert_eq!(collisions, 4, "{}", daemon.ask("list", &[]));

    // the same at a restart, and when the devices go
    let daemon = daemon.stop().start();
    assert_eq!(daemon.links(), expected);
    intact(&daemon.links_dir());
    loops.remove(400_001);
    loops.remove(400_003);
    daemon.settle();
    expected.retain(|_, target| target != "/dev/loop400001" && target != "/dev/loop400003");
    foreign(&mut expected);
    assert_eq!(daemon.links(), expected);
    intact(&daemon.links_dir());

    // the place is free again
    let dir = daemon.links_dir().join("by-kernel");
    fs::remove_dir_all(dir.join("loop400002")).unwrap();
    fs::remove_file(dir.join("loop400004")).unwrap();
    change(400_002);
    change(400_004);
    daemon.settle();
    for n in [400_002, 400_004] {
        assert_eq!(daemon.links().get(&format!("by-kernel/loop{n}")), Some(&format!("/dev/loop{n}")));
    }
    // nothing at all is left of the directory: it is made anew
    fs::remove_dir_all(&dir).unwrap();
    change(400_005);
    daemon.settle();
    assert_eq!(daemon.links().get("by-kernel/loop400005"), Some(&"/dev/loop400005".to_owned()));
    let daemon = daemon.stop().start();
    let mut expected = loop_links([400_000, 400_002, 400_004, 400_005]);
    assert_eq!(daemon.links(), expected);
    // a file in the place of the directory
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "precious").unwrap();
    change(400_000);
    daemon.settle();
    expected.retain(|name, _| !name.starts_with("by-kernel"));
    assert_eq!(daemon.links(), expected);
    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    assert_eq!(fs::read_to_string(&dir).unwrap(), "precious");
}

fn signal(daemon: &Daemon, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(daemon.pid()).unwrap()), signal).unwrap();
}

/// Temporary names that a run has left.
fn temporaries(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".nameplate-") || name.starts_with(".#") || name.ends_with(".new") {
            found.push(name);
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(temporaries(&entry.path()));
        }
    }
    found
}

#[test]
fn an_end_under_load_is_a_clean_end() {
    need_devices!();
    // a name that goes from one to the next all the time, beside two for each
    let rule = loop_rule(410_000)
        + "[[rule]]\nmatch = { subsystem = \"block\", kernel = \"loop410*\" }\nlink = \"shared/last\"\npriority = 1\n";
    let mut world = World::new(&[("50-test.toml", &rule)]);
    for round in 0..4 {
        let daemon = world.start();
        let load = std::thread::spawn(|| {
            for _ in 0..3 {
                drop(Loops::add(410_000, 150));
            }
        });
        eventually("the first links", || (daemon.links().len() > 20).then_some(()));
        for _ in 0..20 {
            signal(&daemon, Signal::SIGHUP);
        }
        let begin = std::time::Instant::now();
        world = daemon.stop();
        assert!(begin.elapsed().as_secs() < 20, "round {round}: {:?}", begin.elapsed());
        assert_eq!(temporaries(&world.links_dir()), Vec::<String>::new(), "round {round}");
        load.join().unwrap();
    }
    let _loops = Loops::add(410_000, 10);
    let daemon = world.start();
    let mut expected = loop_links(410_000..410_010);
    let last = daemon.links().get("shared/last").cloned().unwrap();
    expected.insert("shared/last".into(), last);
    assert_eq!(daemon.links(), expected);
    assert!(!daemon.links_dir().join(".nameplate/data/b7:410140").exists());
}

#[test]
fn a_hundred_hangups_under_load_change_nothing() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(420_000))]).start();
    let load = std::thread::spawn(|| {
        for _ in 0..2 {
            drop(Loops::add(420_000, 100));
        }
        Loops::add(420_000, 50)
    });
    for _ in 0..100 {
        signal(&daemon, Signal::SIGHUP);
        std::thread::yield_now();
    }
    let _loops = load.join().unwrap();
    daemon.ask("reload", &[]);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(420_000..420_050));
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
    assert_eq!(status["events"]["failed"], 0, "{status}");
}

/// Resident bytes and open descriptors of a process.
fn costs(pid: u32) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (kib * 1024, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

#[test]
fn nothing_grows_with_devices_that_come_and_go() {
    need_devices!();
    let rule = loop_rule(430_000)
        + "[[rule]]\nmatch = { kernel = \"loop430[0-9][0-9][05]\" }\nrun = [[\"/bin/true\"]]\nproperty.NP = \"$attr{size}\"\n";
    let daemon = World::new(&[("50-test.toml", &rule)]).start();
    let round = || {
        drop(Loops::add(430_000, 100));
        daemon.settle();
    };
    (0..4).for_each(|_| round());
    let before = costs(daemon.pid());
    (0..20).for_each(|_| round());
    // events of other devices of the machine hold some for a moment
    eventually("the descriptors closed again", || (costs(daemon.pid()).1 <= before.1 + 2).then_some(()));
    let after = costs(daemon.pid());
    assert!(after.0 < before.0 + (30 << 20), "bytes: {} before, {} after", before.0, after.0);
    assert_eq!(daemon.links().len(), 0);
    assert!(!daemon.links_dir().join(".nameplate/data/b7:430000").exists());
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
}
