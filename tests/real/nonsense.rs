//! Nonsense from outside: forged datagrams, broken records, directories that can't be written, odd bytes in devices.

use std::fs;
use std::io::{IoSlice, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendmsg, socket,
};

use crate::daemon::{Daemon, World, eventually};
use crate::devices::{Interface, Loops};
use crate::{loop_links, loop_rule, need_devices};

/// `nobody`, wherever there is one.
const NOBODY: u32 = 65534;

/// The ports of the daemon's uevent sockets.
fn ports(daemon: &Daemon) -> Vec<u32> {
    let fds = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let sockets: Vec<String> = fds
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/netlink").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|line| {
            line.get(1) == Some(&"15") && line.last().is_some_and(|i| sockets.contains(&(*i).into()))
        })
        .map(|line| line[2].parse().unwrap())
        .collect()
}

#[test]
fn forged_datagrams_are_counted_and_do_nothing() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(300_000))]).start();
    let before = daemon.json("status", &[]);
    let forged = "add@/devices/virtual/block/loop300000\0ACTION=add\0DEVPATH=/devices/virtual/block/loop300000\0\
                  SUBSYSTEM=block\0MAJOR=7\0MINOR=300000\0DEVNAME=loop300000\0DEVTYPE=disk\0SEQNUM=99999999999\0";
    let long = [forged.as_bytes(), &vec![b'x'; 100_000]].concat();
    let libudev = [b"libudev\0\xfe\xed\xca\xfe".as_slice(), &[0; 40]].concat();
    let datagrams: [&[u8]; 6] = [forged.as_bytes(), b"\0", b"add@", &[0xff; 5000], &long, &libudev];
    let sender = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .unwrap();
    let ports = ports(&daemon);
    assert_eq!(ports.len(), 1);
    let targets = [NetlinkAddr::new(0, 1), NetlinkAddr::new(ports[0], 0)];
    let mut sent = 0;
    for _ in 0..20 {
        for (target, bytes) in targets.iter().flat_map(|t| datagrams.iter().map(move |b| (t, b))) {
            // the kernel's own end refuses what was sent to all: it has been delivered by then
            let _refused =
                sendmsg(sender.as_raw_fd(), &[IoSlice::new(bytes)], &[], MsgFlags::empty(), Some(target));
            sent += 1;
        }
    }
    daemon.settle();
    let after = daemon.json("status", &[]);
    assert_eq!(after["events"]["foreign"].as_u64().unwrap(), sent, "{after}");
    for same in ["malformed", "truncated", "overruns", "failed"] {
        assert_eq!(after["events"][same], before["events"][same], "{same} {after}");
    }
    assert_eq!(daemon.links().len(), 0);
    assert!(daemon.log().matches("a datagram is dropped").count() <= 3, "not one message for each");
    let _loops = Loops::add(300_000, 1);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([300_000]), "the real one is heard");
}

#[test]
fn broken_and_hostile_records_cost_themselves_alone() {
    need_devices!();
    let _loops = Loops::add(310_000, 6);
    let world = World::new(&[("50-test.toml", &loop_rule(310_000))]);
    let data = world.links_dir().join(".nameplate/data");
    fs::create_dir_all(&data).unwrap();
    let link = |name: &str| world.links_dir().join(name);
    fs::write(link("file"), "precious").unwrap();
    symlink("/dev/loop310001", link("another")).unwrap();
    symlink("/etc/passwd", link("outside")).unwrap();
    symlink("/dev/loop310000", link("ours")).unwrap();
    let hostile = "N:loop310000\nS:file\nS:another\nS:outside\nS:ours\nS:../../etc/shadow\nS:/etc/shadow\nL:99999999999999\nV:1\n";
    fs::write(data.join("b7:310000"), hostile).unwrap();
    fs::write(data.join("b7:310001"), b"\xff\xfe\0\0N:\nS\nE:=\nV:x\n\n\n").unwrap();
    fs::create_dir(data.join("b7:310002")).unwrap();
    Command::new("mkfifo").arg(data.join("b7:310003")).status().unwrap();
    fs::write(data.join("b7:310004"), vec![b'S'; 3 << 20]).unwrap();
    symlink("/etc/passwd", data.join("b7:310005")).unwrap();
    fs::write(
        data.join("b7:399999"),
        "N:loop310001\nS:file\nS:another\nS:outside\nS:by-kernel/loop310003\nV:1",
    )
    .unwrap();
    fs::write(data.join("b7"), "S:file\n").unwrap();
    fs::write(data.join("n4294967296"), "S:file\n").unwrap();
    fs::write(data.join(".#1-1"), "S:x\n").unwrap();
    fs::write(data.join(std::ffi::OsStr::from_bytes(b"+\xff\n:x")), "S:file\n").unwrap();

    let daemon = world.start();
    let mut expected = loop_links(310_000..310_006);
    expected.insert("outside".into(), "/etc/passwd".into());
    // `ours` and `another` were of a former run, by records whose text fits them, and nobody wants them any more
    assert_eq!(daemon.links(), expected);
    assert_eq!(fs::read_to_string(daemon.links_dir().join("file")).unwrap(), "precious");
    assert_eq!(
        fs::read("/etc/passwd").unwrap().first(),
        Some(&b'r'),
        "a link in the place of a record is not followed"
    );
    assert!(!data.join(".#1-1").exists());
    for said in ["a line of a record is left out", "the record of b7:310002", "the record of b7:310003"] {
        eventually(said, || daemon.log().contains(said).then_some(()));
    }
    let world = daemon.stop();
    assert_eq!(world.start().links(), expected, "and once more");
}

/// Starts a daemon that has to refuse; what it said.
fn refused(mut command: Command) -> String {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = eventually("the end of a daemon that can't work", || child.try_wait().unwrap());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success(), "{status} {said}");
    said
}

#[test]
fn directories_that_can_not_be_used_are_named() {
    need_devices!();
    let in_the_way = |path: &str| {
        let world = World::new(&[]);
        fs::create_dir_all(world.links_dir().join(".nameplate")).unwrap();
        let path = world.links_dir().join(path);
        let _dir = fs::remove_dir(&path);
        fs::write(&path, "").unwrap();
        (refused(world.command("daemon", &[])), world)
    };
    for path in [".nameplate", ".nameplate/data"] {
        let (said, world) = in_the_way(path);
        assert!(said.contains(&world.links_dir().join(".nameplate").display().to_string()), "{said}");
        assert!(said.contains("Not a directory") || said.contains("File exists"), "{said}");
    }
    let (said, _world) = in_the_way(".nameplate/io.nameplate.Manager");
    assert!(said.contains("in the way and not a socket"), "{said}");

    let world = World::new(&[]).run_by(NOBODY);
    fs::set_permissions(world.links_dir(), fs::Permissions::from_mode(0o555)).unwrap();
    let said = refused(world.command("daemon", &[]));
    assert!(said.contains("Permission denied") && said.contains("/dev/.nameplate"), "{said}");
}

#[test]
fn a_state_directory_that_can_not_be_written_costs_the_memory_of_numbers_alone() {
    need_devices!();
    let _loops = Loops::add(320_000, 2);
    let rules = "[[rule]]\nmatch = { kernel = \"loop32000[0-9]\" }\nlink = \"n/$index\"\nindex = { by = \"$kernel\" }\n";
    let world = World::new(&[("50-test.toml", rules)]);
    fs::create_dir(world.links_dir().join(".nameplate")).unwrap();
    fs::write(world.links_dir().join(".nameplate/state"), "").unwrap();
    let daemon = world.start();
    assert_eq!(daemon.links().into_keys().collect::<Vec<_>>(), ["n/0", "n/1"]);
    eventually("the message", || daemon.log().contains("can't keep the numbers in").then_some(()));
}

#[test]
fn records_that_can_not_be_written_cost_only_the_memory_of_them() {
    need_devices!();
    let world = World::new(&[("50-test.toml", &loop_rule(330_000))]).run_by(NOBODY);
    let daemon = world.start();
    let data = daemon.links_dir().join(".nameplate/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    let mut loops = Loops::add(330_000, 3);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(330_000..330_003));
    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    eventually("the message", || daemon.log().contains("can't write the record of b7:330000").then_some(()));
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    drop(daemon.stop());
}

/// A loop device that is bound to a file, and let go when dropped.
struct Bound(String);

impl Bound {
    fn new(device: &str, file: &Path) -> Self {
        fs::write(file, [0; 4096]).unwrap();
        assert!(Command::new("losetup").arg(device).arg(file).status().unwrap().success());
        Self(device.to_owned())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _gone = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
fn odd_bytes_in_attributes_stay_in_their_value() {
    need_devices!();
    let _loops = Loops::add(340_000, 1);
    // the last rule's name leaves the directory: that value is dropped, with its place
    let rules = "[[rule]]\nmatch = { kernel = \"loop340000\", action = \"change\" }\n\
                 link = [\"good\", \"file/$attr{loop/backing_file}\", \"$env{NP_EVIL}/x\"]\n\
                 property.NP_FILE = \"$attr{loop/backing_file}\"\nproperty.NP_EVIL = \"../../../etc\"\n\
                 [[rule]]\nmatch = { subsystem = \"net\", kernel = \"npodd*\", action = \"change\" }\n\
                 property.NP_ALIAS = \"$attr{ifalias}\"\n";
    let daemon = World::new(&[("50-test.toml", rules)]).start();
    let file = daemon.path("").join(std::ffi::OsStr::from_bytes(b"a\nE:FORGED=1\n\xff\xc3 ; $(x) \xc3\xbc"));
    let _bound = Bound::new("/dev/loop340000", &file);
    crate::devices::synthesize("/sys/block/loop340000", "change");
    let _interface = Interface::add("npodd0", &["type", "veth", "peer", "name", "npoddp0"]);
    fs::write("/sys/class/net/npodd0/ifalias", b"b\xff`x`|\xc3\xbc\x07").unwrap();
    crate::devices::synthesize("/sys/class/net/npodd0", "change");
    daemon.settle();
    let links = daemon.links();
    assert!(links.contains_key("good"), "{links:?}");
    assert!(links.keys().all(|link| link == "good" || link.starts_with("file/")), "{links:?}");
    assert!(links.keys().all(|link| !link.contains("..") && !link.contains('\n')), "{links:?}");
    assert!(links.values().all(|target| target == "/dev/loop340000"), "{links:?}");
    let told = |log: String| log.contains("50-test.toml:3:") && log.contains("can't be a link");
    eventually("the message with its place", || told(daemon.log()).then_some(()));
    let facts = daemon.json("info", &["/sys/block/loop340000"]);
    assert!(facts["properties"]["NP_FILE"].is_string(), "{facts}");
    let facts = daemon.json("info", &["/sys/class/net/npodd0"]);
    assert!(facts["properties"]["NP_ALIAS"].is_string(), "{facts}");
    for record in fs::read_dir(daemon.links_dir().join(".nameplate/data")).unwrap().flatten() {
        let text = fs::read(record.path()).unwrap();
        assert!(!text.split(|b| *b == b'\n').any(|line| line == b"E:FORGED=1"), "a forged line");
    }
}

#[test]
fn a_second_daemon_says_that_one_is_running() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(350_000))]).start();
    let said = refused(daemon.command("daemon", &[]));
    assert!(said.contains("another nameplate daemon runs"), "{said}");
    let _loops = Loops::add(350_000, 1);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([350_000]), "the first goes on");
    let world = daemon.kill();
    assert_eq!(world.start().links(), loop_links([350_000]), "the lock dies with its holder");
}
