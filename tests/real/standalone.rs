//! The daemon as a device manager: permissions, values, names of interfaces, watches, numbers, on real devices and nodes.
//!
//! The system of these daemons has `/run`, `/etc` and `/var` of its own and this machine's `/dev`: links go below a
//! directory there, which is removed at the end.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::daemon::{World, eventually};
use crate::devices::{Interface, Loops, Zram, synthesize};
use crate::need_devices;

/// A directory of links in `/dev` for one test.
struct Names(PathBuf);

impl Names {
    fn new(test: &str) -> Self {
        Self(PathBuf::from(format!("/dev/np-test-{}-{test}", std::process::id())))
    }

    /// Its name below `/dev`.
    fn name(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }

    fn target(&self, link: &str) -> Option<String> {
        fs::read_link(self.0.join(link)).ok().map(|target| target.to_string_lossy().into_owned())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A system of its own with this machine's nodes.
fn world(rules: &str) -> World {
    let world = World::new(&[("50-test.toml", rules)]).standalone();
    fs::remove_dir(world.links_dir()).unwrap();
    symlink("/dev", world.links_dir()).unwrap();
    world
}

fn permissions(node: &str) -> (u32, u32, u32) {
    let meta = fs::metadata(node).unwrap();
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

#[test]
fn nodes_get_owner_group_and_mode() {
    need_devices!();
    let names = Names::new("perm");
    let _before = Loops::add(460_000, 1);
    let rule = |mode: &str| {
        format!(
            "[[rule]]\nmatch = {{ kernel = \"loop46000[0-4]\" }}\nowner = \"12345\"\ngroup = \"daemon\"\nmode = \"{mode}\"\n\
             link = \"{}/$kernel\"\n",
            names.name()
        )
    };
    let group = fs::read_to_string("/etc/group").unwrap();
    let daemon_group: u32 = group
        .lines()
        .find(|l| l.starts_with("daemon:"))
        .and_then(|l| l.split(':').nth(2)?.parse().ok())
        .unwrap();
    let world = world(&rule("0640"));
    fs::create_dir_all(world.path("root/etc")).unwrap();
    fs::copy("/etc/group", world.path("root/etc/group")).unwrap();
    fs::copy("/etc/passwd", world.path("root/etc/passwd")).unwrap();
    let daemon = world.start();
    let mut more = Loops::add(460_001, 2);
    daemon.settle();
    for n in 460_000..460_003 {
        assert_eq!(permissions(&format!("/dev/loop{n}")), (12345, daemon_group, 0o640), "{n}");
        assert_eq!(names.target(&format!("loop{n}")).as_deref(), Some(&*format!("../loop{n}")));
    }
    // a rule that changes reaches nodes that are there
    daemon.write_rule("50-test.toml", &rule("0604"));
    daemon.ask("reload", &[]);
    assert_eq!(permissions("/dev/loop460001"), (12345, daemon_group, 0o604));
    // and a device that comes again is a new node
    more.remove(460_001);
    let _again = Loops::add(460_001, 1);
    daemon.settle();
    assert_eq!(permissions("/dev/loop460001"), (12345, daemon_group, 0o604));
    more.remove_rest();
    daemon.settle();
    assert_eq!(names.target("loop460002"), None);
    assert!(names.0.exists());
    drop(daemon);
}

#[test]
fn an_overrun_loses_no_permissions() {
    need_devices!();
    let rule = "[[rule]]\nmatch = { kernel = \"loop47000[0-9]\" }\nmode = \"0606\"\n";
    let daemon = world(rule).config("receive_buffer = 4096\n").start();
    let mut loops = Loops::add(470_000, 3);
    daemon.settle();
    assert_eq!(permissions("/dev/loop470001").2, 0o606);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    // the flood comes first: what follows is lost
    let flood = Loops::add(471_000, 200);
    loops.remove(470_001);
    let _again = Loops::add(470_001, 1);
    assert_ne!(permissions("/dev/loop470001").2, 0o606, "a new node");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    daemon.settle();
    let status = daemon.json("status", &[]);
    assert!(status["events"]["overruns"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(permissions("/dev/loop470001").2, 0o606, "{status}");
    drop(flood);
}

#[test]
fn values_are_written_to_devices() {
    need_devices!();
    let rule = "[[rule]]\nmatch = { kernel = \"loop48000[0-9]\" }\nwrite.attr.\"queue/read_ahead_kb\" = \"$number\"\n\
                [[rule]]\nmatch = { kernel = \"loop480001\" }\nwrite.attr.\"queue/no_such\" = \"1\"\n\
                write.attr.\"../../../../kernel/uevent_helper\" = \"/bin/false\"\nproperty.AFTER = \"1\"\n";
    let helper = fs::read_to_string("/sys/kernel/uevent_helper").unwrap_or_default();
    let daemon = world(&rule.replace("$number", "16")).start();
    let _loops = Loops::add(480_000, 2);
    daemon.settle();
    for n in [480_000, 480_001] {
        let value = fs::read_to_string(format!("/sys/block/loop{n}/queue/read_ahead_kb")).unwrap();
        assert_eq!(value.trim(), "16", "{n}");
    }
    assert_eq!(fs::read_to_string("/sys/kernel/uevent_helper").unwrap_or_default(), helper);
    eventually("the message", || daemon.log().contains("50-test.toml:6:").then_some(()));
    let facts = daemon.json("info", &["/sys/block/loop480001"]);
    assert_eq!(facts["properties"]["AFTER"], "1", "{facts}");
}

#[test]
fn interfaces_get_their_names() {
    need_devices!();
    let rule = "[[rule]]\nmatch = { subsystem = \"net\", kernel = \"npwas*\", action = \"add\" }\nname = \"npis$number\"\n";
    let daemon = world(rule).start();
    let _veth = Interface::add("npwas0", &["type", "veth", "peer", "name", "nptaken0"]);
    daemon.settle();
    let is_there = |name: &str| fs::metadata(format!("/sys/class/net/{name}")).is_ok();
    assert!(is_there("npis0") && !is_there("npwas0"));
    // the answer of the kernel is a move: the device is known under its new path
    let facts = daemon.json("info", &["/sys/class/net/npis0"]);
    assert!(facts["devpath"].as_str().unwrap().ends_with("/npis0"), "{facts}");
    // a name that is taken: the interface keeps its own
    let other = Interface::add("npwas1", &["type", "veth", "peer", "name", "npis2"]);
    let taken = Interface::add("npwas2", &["type", "veth", "peer", "name", "nptaken2"]);
    daemon.settle();
    assert!(is_there("npis1") && is_there("npwas2"));
    eventually("the message", || daemon.log().contains("another interface is called npis2").then_some(()));
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
    drop((other, taken));
    for name in ["npis0", "npis1"] {
        let _gone = std::process::Command::new("ip").args(["link", "del", name]).status();
    }
}

#[test]
fn a_writer_that_closes_a_watched_node_leads_to_a_change() {
    need_devices!();
    let names = Names::new("watch");
    let rule = format!(
        "[[rule]]\nmatch = {{ kernel = \"loop490000\" }}\nwatch = true\nproperty.NP_READ_ONLY = \"$attr{{ro}}\"\n\
         [[rule]]\nmatch = {{ kernel = \"loop490000\", action = \"change\" }}\nlink = \"{}/changed\"\n",
        names.name()
    );
    let daemon = world(&rule).start();
    let mut loops = Loops::add(490_000, 2);
    daemon.settle();
    assert_eq!(names.target("changed"), None);
    let touch = |n: i32| drop(fs::OpenOptions::new().write(true).open(format!("/dev/loop{n}")).unwrap());
    drop(fs::File::open("/dev/loop490000").unwrap());
    touch(490_001);
    daemon.settle();
    assert_eq!(names.target("changed"), None, "a reader, and a writer of another");
    touch(490_000);
    daemon.settle();
    assert_eq!(names.target("changed").as_deref(), Some("../loop490000"), "settle waits for writers");

    // ever again, and of writers in a row the last one is not missed
    let changes = || daemon.json("status", &[])["events"]["received"].as_u64().unwrap();
    let before = changes();
    for _ in 0..10 {
        let mut node = fs::OpenOptions::new().write(true).open("/dev/loop490000").unwrap();
        let _no_medium = node.write(b"x");
    }
    eventually("an event after the last writer", || (changes() > before).then_some(()));

    // a node that comes again is watched again
    loops.remove(490_000);
    daemon.settle();
    assert_eq!(names.target("changed"), None);
    let _again = Loops::add(490_000, 1);
    daemon.settle();
    assert_eq!(names.target("changed"), None);
    touch(490_000);
    eventually("the link of the change", || names.target("changed"));
    assert!(!daemon.log().contains("are not noticed"), "{}", daemon.log());
}

#[test]
fn a_writer_while_the_event_of_the_node_is_handled_is_not_missed() {
    need_devices!();
    if !Path::new("/sys/class/zram-control").exists() {
        return crate::common::skip("needs zram");
    }
    let world = world("");
    let (ran, gate, opens) = (world.path("ran"), world.path("gate"), world.path("opens"));
    let zram = Zram::add();
    let name = format!("zram{}", zram.number);
    let (node, device) = (format!("/dev/{name}"), format!("/sys/block/{name}"));
    fs::write(format!("{device}/disksize"), "1M").unwrap();
    let script = format!(
        "echo $$ACTION >> {}; while [ -e {} ]; do sleep 0.02; done; [ ! -e {} ] || exec 3<>$$DEVNAME",
        ran.display(),
        gate.display(),
        opens.display()
    );
    let rule = format!(
        "[[rule]]\nmatch = {{ kernel = \"{name}\" }}\nwatch = true\nrun = [[\"/bin/sh\", \"-c\", '''{script}''']]\n"
    );
    world.write_rule("50-test.toml", &rule);
    let daemon = world.start();
    let runs = || fs::read_to_string(&ran).unwrap_or_default().lines().count();
    // the next event of the device is at its program while `meanwhile` is done
    let during = |meanwhile: &dyn Fn()| {
        daemon.settle();
        let before = runs();
        fs::write(&gate, "").unwrap();
        synthesize(&device, "change");
        eventually("the program", || (runs() == before + 1).then_some(()));
        meanwhile();
        fs::remove_file(&gate).unwrap();
        daemon.settle();
        runs() - before
    };
    let write = |bytes: &[u8]| {
        fs::OpenOptions::new().write(true).open(&node).unwrap().write_all(bytes).unwrap();
    };
    assert_eq!(during(&|| {}), 1, "nobody writes");
    assert_eq!(during(&|| write(&[1; 4096])), 2, "somebody writes while the event is handled");
    assert_eq!(during(&|| write(&[2; 4096])), 2, "and again");
    fs::write(&opens, "").unwrap();
    assert_eq!(during(&|| {}), 1, "the program opens the node for writing, and does not write");
    assert_eq!(during(&|| write(&[3; 4096])), 2, "the same with a writer");
}

#[test]
fn numbers_stay_over_restarts_and_replugging() {
    need_devices!();
    let names = Names::new("index");
    let rule = format!(
        "[[rule]]\nmatch = {{ kernel = \"loop5000[0-9][0-9]\" }}\nlink = \"{}/cam$index\"\nindex = {{ by = \"$kernel\" }}\n",
        names.name()
    );
    let daemon = world(&rule).start();
    let mut loops = Loops::add(500_000, 1);
    daemon.settle();
    let second = Loops::add(500_007, 1);
    daemon.settle();
    let target = |n: i32| Some(format!("../loop{n}"));
    assert_eq!((names.target("cam0"), names.target("cam1")), (target(500_000), target(500_007)));
    loops.remove_rest();
    let _third = Loops::add(500_003, 1);
    daemon.settle();
    assert_eq!(names.target("cam0"), None);
    assert_eq!((names.target("cam1"), names.target("cam2")), (target(500_007), target(500_003)));
    let world = daemon.stop();
    drop(second);
    let _first = Loops::add(500_000, 1);
    let daemon = world.start();
    assert_eq!((names.target("cam0"), names.target("cam1")), (target(500_000), None));
    let _second = Loops::add(500_007, 1);
    daemon.settle();
    assert_eq!((names.target("cam1"), names.target("cam2")), (target(500_007), target(500_003)));
    let kept = fs::read_to_string(daemon.path("root/var/lib/nameplate/indexes")).unwrap();
    assert_eq!(kept.lines().filter(|line| !line.starts_with('#')).count(), 3, "{kept}");
}

#[test]
fn units_and_access_are_properties_and_tags() {
    need_devices!();
    let rule = "[[rule]]\nmatch = { kernel = \"loop51000[0-9]\" }\nstart = [\"np-a.service\", \"np@$kernel.service\"]\n\
                access = \"active-user\"\ntag = \"np\"\n\
                [[rule]]\nmatch = { kernel = \"loop51000[0-9]\", action = \"change\" }\ntag = \"later\"\n";
    let daemon = world(rule).start();
    let _loops = Loops::add(510_000, 1);
    daemon.settle();
    let facts = || daemon.json("info", &["/dev/loop510000"]);
    let tags =
        |facts: &serde_json::Value| -> Vec<String> { serde_json::from_value(facts["tags"].clone()).unwrap() };
    let seen = facts();
    assert_eq!(seen["properties"]["SYSTEMD_WANTS"], "np-a.service np@loop510000.service", "{seen}");
    assert_eq!(tags(&seen), ["np", "systemd", "uaccess"], "{seen}");
    synthesize("/sys/block/loop510000", "change");
    daemon.settle();
    assert_eq!(tags(&facts()), ["later", "np", "systemd", "uaccess"]);
    assert!(PermissionsExt::mode(&fs::metadata("/dev/loop510000").unwrap().permissions()) != 0);
}

#[test]
fn nothing_says_after_the_end_that_events_are_unfinished() {
    need_devices!();
    let world = World::new(&[]).standalone();
    let queue = world.path("root/run/udev/queue");
    let daemon = world.start();
    daemon.settle();
    assert!(!queue.exists());
    assert_eq!(daemon.run("udevadm", &["control", "--stop-exec-queue"]).status.code(), Some(0));
    synthesize("/sys/class/mem/full", "change");
    eventually("the file of the queue", || queue.exists().then_some(()));
    let world = daemon.stop();
    assert!(!queue.exists());
    // mostly nobody listens to events, and that is in order
    let log = fs::read_to_string(world.path("log")).unwrap();
    assert!(!log.contains("listeners are not told"), "{log}");
}

#[test]
fn a_limit_of_one_is_one_event_after_the_other() {
    need_devices!();
    let world = World::new(&[]).standalone();
    fs::create_dir_all(world.path("root/etc/udev")).unwrap();
    fs::write(world.path("root/etc/udev/udev.conf"), "children_max=1\n").unwrap();
    let (first, second, gate) = (world.path("first"), world.path("second"), world.path("gate"));
    let rule = |kernel: &str, script: String| {
        format!("KERNEL==\"{kernel}\", ACTION==\"change\", RUN+=\"/bin/sh -c '{script}'\"\n")
    };
    let waits = format!("echo >{}; while [ ! -e {} ]; do sleep 0.02; done", first.display(), gate.display());
    let rules = rule("full", waits) + &rule("zero", format!("echo >{}", second.display()));
    world.write_rule("50-test.rules", &rules);
    let daemon = world.start();
    daemon.settle();
    synthesize("/sys/class/mem/full", "change");
    eventually("the first", || first.exists().then_some(()));
    synthesize("/sys/class/mem/zero", "change");
    // longer than it takes until others help out where there is no limit
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!second.exists());
    fs::write(&gate, "").unwrap();
    daemon.settle();
    assert!(second.exists());
}
