//! Owns the tests of the tree against a small made-up `/sys`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use bstr::ByteSlice;

use super::*;
use crate::ids::NodeKind;
use crate::recording::RecordedDevice;

fn path(text: &str) -> DevPath {
    DevPath::new(text.as_bytes()).unwrap()
}

fn put(root: &Path, file: &str, text: &str) {
    let file = root.join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn link(root: &Path, file: &str, target: &str) {
    let file = root.join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    symlink(target, file).unwrap();
}

/// A USB serial adapter on a port, a disk with a partition, and a network interface.
fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let usb = "devices/pci0000:00/0000:00:14.0/usb1/1-2";
    put(root, "devices/pci0000:00/uevent", "");
    put(root, "devices/pci0000:00/0000:00:14.0/uevent", "DRIVER=xhci_hcd\nPCI_ID=8086:A36D\n");
    link(root, "devices/pci0000:00/0000:00:14.0/subsystem", "../../../bus/pci");
    put(root, "devices/pci0000:00/0000:00:14.0/usb1/uevent", "MAJOR=189\nMINOR=0\nDEVTYPE=usb_device\n");
    link(root, "devices/pci0000:00/0000:00:14.0/usb1/subsystem", "../../../../bus/usb");
    put(root, &format!("{usb}/uevent"), "MAJOR=189\nMINOR=4\n");
    put(root, &format!("{usb}/idVendor"), "1546\n");
    put(root, &format!("{usb}/power/control"), "auto\n");
    link(root, &format!("{usb}/subsystem"), "../../../../../bus/usb");
    put(root, &format!("{usb}/1-2:1.0/uevent"), "DRIVER=cdc_acm\n");
    link(root, &format!("{usb}/1-2:1.0/driver"), "../../../../../../bus/usb/drivers/cdc_acm");
    link(root, &format!("{usb}/1-2:1.0/subsystem"), "../../../../../../bus/usb");
    put(root, "bus/usb/drivers/cdc_acm/uevent", "");
    put(root, &format!("{usb}/1-2:1.0/tty/ttyACM0/uevent"), "MAJOR=166\nMINOR=0\nDEVNAME=ttyACM0\n");
    link(root, &format!("{usb}/1-2:1.0/tty/ttyACM0/device"), "../../../1-2:1.0");
    link(root, &format!("{usb}/1-2:1.0/tty/ttyACM0/subsystem"), "../../../../../../../../class/tty");
    put(root, "devices/virtual/block/cciss!c0d0/uevent", "MAJOR=104\nMINOR=0\n");
    link(root, "devices/virtual/block/cciss!c0d0/subsystem", "../../../../class/block");
    put(root, "devices/virtual/block/cciss!c0d0/queue/rotational", "0\n");
    put(root, "devices/virtual/block/cciss!c0d0/cciss!c0d0p1/uevent", "MAJOR=104\nMINOR=1\n");
    link(root, "devices/virtual/block/cciss!c0d0/cciss!c0d0p1/subsystem", "../../../../../class/block");
    put(root, "devices/virtual/net/eth0/uevent", "IFINDEX=3\nINTERFACE=eth0\n");
    link(root, "devices/virtual/net/eth0/subsystem", "../../../../class/net");
    dir
}

const TTY: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/tty/ttyACM0";

fn paths(devices: &[Device]) -> Vec<String> {
    devices.iter().map(|d| d.devpath().to_string()).collect()
}

#[test]
fn a_walk_finds_every_device_and_its_facts() {
    let dir = machine();
    let tree = Tree::new(Source::Live(dir.path().into()));
    let found = tree.walk();
    assert_eq!(
        paths(&found),
        [
            "/devices/pci0000:00",
            "/devices/pci0000:00/0000:00:14.0",
            "/devices/pci0000:00/0000:00:14.0/usb1",
            "/devices/pci0000:00/0000:00:14.0/usb1/1-2",
            "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0",
            TTY,
            "/devices/virtual/block/cciss!c0d0",
            "/devices/virtual/block/cciss!c0d0/cciss!c0d0p1",
            "/devices/virtual/net/eth0",
        ]
    );
    let tty = tree.get(&path(TTY)).unwrap();
    assert_eq!(tty.devnum(), Some(DevNum { kind: NodeKind::Char, major: 166, minor: 0 }));
    assert_eq!(tty.subsystem().unwrap(), "tty");
    assert_eq!(tty.sysname(), "ttyACM0");
    assert_eq!(tty.chain().count(), 6);
    let names: Vec<BString> = tty.chain().map(|d| d.sysname()).collect();
    assert_eq!(names, ["ttyACM0", "1-2:1.0", "1-2", "usb1", "0000:00:14.0", "pci0000:00"]);
    assert_eq!(tree.get(&path("/devices/pci0000:00")).unwrap().id(), None);
    for (id, expected) in [
        ("b104:1", "/devices/virtual/block/cciss!c0d0/cciss!c0d0p1"),
        ("c166:0", TTY),
        ("n3", "/devices/virtual/net/eth0"),
        ("+pci:0000:00:14.0", "/devices/pci0000:00/0000:00:14.0"),
        ("+usb:1-2:1.0", "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0"),
    ] {
        let device = tree.by_id(&DeviceId::parse(id.as_bytes()).unwrap()).unwrap();
        assert_eq!(device.devpath().to_string(), expected);
        assert_eq!(device.id().unwrap().to_string(), id);
    }
    for id in ["c104:1", "n4", "+usb:1-2", "+net:eth0"] {
        assert!(tree.by_id(&DeviceId::parse(id.as_bytes()).unwrap()).is_none(), "{id}");
    }
    assert_eq!(tree.find(b"net", b"eth0").unwrap().devpath(), path("/devices/virtual/net/eth0"));
    assert_eq!(tree.stats().live, 9);
    let again = tree.walk();
    assert!(found.iter().zip(&again).all(|(a, b)| a.same_as(b)));
}

#[test]
fn attributes_are_read_once_and_inside_the_root() {
    let dir = machine();
    let above = tempfile::tempdir().unwrap();
    std::fs::rename(dir.path(), above.path().join("sys")).unwrap();
    put(above.path(), "outside", "x");
    let root = &*above.path().join("sys");
    let disk = "devices/virtual/block/cciss!c0d0";
    link(root, &format!("{disk}/out"), "../../../../../../../../../../etc/hostname");
    link(root, &format!("{disk}/up"), "../../../../..");
    put(root, &format!("{disk}/long"), &"x".repeat(5000));
    nix::unistd::mkfifo(&root.join(disk).join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tree = Tree::new(Source::Live(root.into()));
    tree.walk();
    let reader = Reader::new(&tree);
    let tty = tree.get(&path(TTY)).unwrap();
    let usb = tree.get(&path("/devices/pci0000:00/0000:00:14.0/usb1/1-2")).unwrap();
    let disk = tree.get(&path("/devices/virtual/block/cciss!c0d0")).unwrap();
    let cases: &[(&Device, &str, Option<&str>)] = &[
        (&usb, "idVendor", Some("1546\n")),
        (&usb, "power/control", Some("auto\n")),
        (&usb, "subsystem", Some("usb")),
        (&usb, "driver", None),
        (&usb, "power", None),
        (&usb, "none", None),
        (&tty, "device/driver", None),
        (&tty, "device/../idVendor", Some("1546\n")),
        (&tty, "../../../idVendor", Some("1546\n")),
        (&disk, "queue/rotational", Some("0\n")),
        (&disk, "out", None),
        (&disk, "up/etc/hostname", None),
        (&disk, "../../../../../outside", None),
        (&disk, "../../../../../../../../../etc/hostname", None),
        (&disk, "/etc/hostname", None),
        (&disk, "fifo", None),
        (&disk, "a\0b", None),
    ];
    for (device, name, expected) in cases {
        assert_eq!(reader.attribute(device, name.as_bytes()), expected.map(BString::from), "{name}");
    }
    assert_eq!(reader.attribute(&disk, b"long").unwrap().len(), 4096);
    put(root, "devices/pci0000:00/0000:00:14.0/usb1/1-2/idVendor", "ffff\n");
    assert_eq!(reader.attribute(&usb, b"idVendor").unwrap(), "1546\n");
    assert_eq!(Reader::new(&tree).attribute(&usb, b"idVendor").unwrap(), "ffff\n");
    reader.overlay(&usb, b"idVendor", b"0000");
    assert_eq!(reader.attribute(&tty, b"../../../idVendor").unwrap(), "0000");
    assert_eq!(reader.attribute_names(&usb), ["idVendor", "power/control", "subsystem", "uevent"]);
    assert_eq!(reader.entries(&usb, b"power"), ["control"]);
    assert_eq!(reader.exists(&usb, b"power/control"), Some(0o100_644));
    assert_eq!(reader.exists(&tty, b"device/nothing"), None);
    assert_eq!(reader.uevent(&tty).get("DEVNAME").unwrap(), "ttyACM0");
    assert_eq!(reader.path(&tty, b"x").unwrap(), root.join(&TTY[1..]).join("x"));
}

#[test]
fn what_has_gone_stays_gone() {
    let dir = machine();
    let tree = Tree::new(Source::Live(dir.path().into()));
    tree.walk();
    let tty = tree.get(&path(TTY)).unwrap();
    let usb = path("/devices/pci0000:00/0000:00:14.0/usb1/1-2");
    let removed = tree.remove(&usb).unwrap();
    assert!(removed.is_gone() && tty.is_gone());
    assert_eq!(tty.devpath(), path(TTY));
    assert!(tree.get(&path(TTY)).is_none() && tree.children(&removed).is_empty());
    assert!(Reader::new(&tree).attribute(&removed, b"idVendor").is_none());
    drop(removed);
    assert_eq!(tree.stats().gone_but_held, 3, "the tty holds its two parents");
    let new = tree.load(&path(TTY)).unwrap();
    assert!(!new.same_as(&tty) && !new.is_gone() && tty.is_gone());
    assert_eq!(new.chain().count(), 6, "its parents were loaded as well");
    drop(tty);
    assert_eq!(tree.stats().gone_but_held, 0);
    assert!(tree.load(&path("/devices/virtual/net")).is_none());
}

#[test]
fn a_move_takes_all_below_along() {
    let tree = Tree::new(Source::Live("/nonexistent".into()));
    let facts = Facts { subsystem: Some("net".into()), devnum: None, ifindex: IfIndex::new(7) };
    let old = tree.add(&path("/devices/virtual/net/a"), &facts).into_device();
    let below = tree.add(&path("/devices/virtual/net/a/queues/rx-0"), &Facts::default()).into_device();
    tree.add(&path("/devices/virtual/net/b"), &Facts::default());
    let new = tree.rename(&path("/devices/virtual/net/a"), &path("/devices/virtual/net/b"), &facts);
    assert!(old.is_gone() && below.is_gone());
    assert_eq!(tree.by_id(&DeviceId::Net(facts.ifindex.unwrap())).unwrap().devpath(), new.devpath());
    assert_eq!(paths(&tree.devices()), ["/devices/virtual/net/b", "/devices/virtual/net/b/queues/rx-0"]);
}

#[test]
fn a_parent_that_comes_late_takes_its_children_over() {
    let tree = Tree::new(Source::Live("/nonexistent".into()));
    let child = tree.add(&path("/devices/a/b/c"), &Facts::default()).into_device();
    let parent = tree.add(&path("/devices/a/b"), &Facts::default()).into_device();
    assert!(child.is_gone());
    assert_eq!(paths(&tree.children(&parent)), ["/devices/a/b/c"]);
    assert_eq!(tree.stats().live, 2);
}

#[test]
fn a_walk_hands_the_uevent_files_on() {
    let dir = machine();
    let tree = Tree::new(Source::Live(dir.path().into()));
    let seen = Mutex::new(Vec::new());
    tree.walk_with(|device, properties| {
        seen.lock().unwrap().push((device.sysname(), properties.get("INTERFACE").is_some()));
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 9);
    assert_eq!(seen.iter().filter(|(_, has)| *has).map(|(n, _)| n).collect::<Vec<_>>(), ["eth0"]);
}

/// A recording of everything in a live tree.
fn record(tree: &Tree) -> Recording {
    let reader = Reader::new(tree);
    let mut out = Vec::new();
    tree.scan(|found| {
        let device = tree.get(&found.path).unwrap();
        let mut recorded = RecordedDevice::new(found.path);
        (recorded.subsystem, recorded.kernel) = (found.facts.subsystem, found.properties);
        for name in reader.attribute_names(&device) {
            let path =
                tree.live_root().unwrap().join(&device.devpath().to_string()[1..]).join(name.to_string());
            match std::fs::read_link(&path) {
                Ok(target) => drop(recorded.links.insert(name, target.to_str().unwrap().into())),
                Err(_) => {
                    drop(recorded.attributes.insert(name.clone(), reader.attribute(&device, &name).unwrap()))
                }
            }
        }
        for name in ["device", "firmware_node"] {
            let path = tree.live_root().unwrap().join(&device.devpath().to_string()[1..]).join(name);
            recorded
                .links
                .extend(std::fs::read_link(path).map(|t| (name.into(), t.to_str().unwrap().into())));
        }
        for reserved in ["uevent", "subsystem"] {
            recorded.attributes.remove(reserved.as_bytes().as_bstr());
            recorded.links.remove(reserved.as_bytes().as_bstr());
        }
        out.push(recorded);
    });
    Recording::parse(&out.into_iter().collect::<Recording>().to_bytes()).unwrap()
}

#[test]
fn a_recording_answers_as_the_machine_does() {
    let dir = machine();
    let live = Tree::new(Source::Live(dir.path().into()));
    live.walk();
    let recorded = Tree::new(Source::Recording(record(&live)));
    assert_eq!(paths(&recorded.walk()), paths(&live.devices()));
    let (here, there) = (Reader::new(&live), Reader::new(&recorded));
    let names = "idVendor power/control power subsystem driver device device/idVendor device/../idVendor device/driver
        ../../../idVendor ../idVendor ../../../../../../../../.. queue queue/rotational queue/none none uevent
        ../../nothing .. . ./idVendor /etc tty tty/ttyACM0/uevent tty/ttyACM0/device/uevent device/subsystem";
    for device in live.devices() {
        let other = recorded.get(&device.devpath()).unwrap();
        assert_eq!((other.id(), other.facts()), (device.id(), device.facts()));
        assert_eq!(there.uevent(&other), here.uevent(&device));
        assert_eq!(there.attribute_names(&other), here.attribute_names(&device), "{device:?}");
        for name in names.split_whitespace().map(str::as_bytes) {
            let shown = format!("{device:?} {}", name.as_bstr());
            let sorted_lines =
                |text: BString| text.lines().map(BString::from).collect::<std::collections::BTreeSet<_>>();
            let (expected, value) = (here.attribute(&device, name), there.attribute(&other, name));
            assert_eq!(value.map(sorted_lines), expected.map(sorted_lines), "{shown}");
            let (expected, there_is) = (here.exists(&device, name), there.exists(&other, name));
            // Where a subsystem or a driver is, was not recorded.
            if !name.ends_with(b"subsystem") && !name.ends_with(b"driver") {
                assert_eq!(there_is.is_some(), expected.is_some(), "{shown}");
            }
        }
        for below in [&b""[..], b"power", b"queue", b"tty", b"device", b"none"] {
            assert_eq!(
                there.entries(&other, below),
                here.entries(&device, below),
                "{device:?} {}",
                below.as_bstr()
            );
        }
    }
}

#[test]
fn consumers_leave_before_their_suppliers() {
    let dir = machine();
    link(dir.path(), "devices/pci0000:00/0000:00:14.0/supplier:net:eth0", "../../virtual/devlink/x");
    link(dir.path(), "devices/virtual/net/eth0/consumer:pci:0000:00:14.0", "../../devlink/x");
    link(dir.path(), "devices/virtual/net/eth0/consumer:pci:nothing", "../../devlink/y");
    let tree = Tree::new(Source::Live(dir.path().into()));
    tree.walk();
    let order = paths(&tree.power_off_order());
    assert_eq!(order.len(), 9);
    let place = |path: &str| order.iter().position(|other| other == path).unwrap();
    assert!(place(TTY) < place("/devices/pci0000:00/0000:00:14.0"));
    assert!(place("/devices/pci0000:00/0000:00:14.0") < place("/devices/virtual/net/eth0"));
}

#[test]
fn a_machine_is_not_there() {
    let tree = Tree::new(Source::Live("/no such directory".into()));
    assert!(tree.walk().is_empty() && tree.load(&path("/devices/a")).is_none());
    let device = tree.add(&path("/devices/a"), &Facts::default()).into_device();
    assert!(Reader::new(&tree).attribute(&device, b"uevent").is_none());
}
