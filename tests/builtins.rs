//! `usb_id` and `path_id` on the recordings of `tests/trees`: against values written by hand, against the answers that systemd's
//! udevadm gave on the same devices (`*.answers`), and, as root where udevadm is installed, against udevadm itself.

#![cfg(test)]

mod common;
#[path = "builtins/fido.rs"]
mod fido;
#[path = "builtins/hwdb.rs"]
mod hwdb;
#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tree.rs"]
mod tree;
#[path = "builtins/usb.rs"]
mod usb;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nameplate::builtin::{self, BuiltinError, Context, Shared};
use nameplate::device::{Reader, Source, Tree};
use nameplate::ids::{Action, DevPath};
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use tree::FakeTree;

const TREES: [&str; 5] = ["camera", "disks", "gps", "transports", "twins"];

const GPS: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";

/// The builtins that these trees have answers of.
const NAMES: [&str; 2] = ["path_id", "usb_id"];

/// Properties as `KEY=VALUE` lines would give them; none when the builtin says that the device is not of its kind.
type Answer = BTreeMap<String, String>;

/// A recording laid out, walked by the library.
struct Machine {
    fake: FakeTree,
    devices: Tree,
}

impl Machine {
    fn of(name: &str) -> Self {
        Self::over(FakeTree::of(name))
    }

    fn over(fake: FakeTree) -> Self {
        let devices = Tree::new(Source::Live(fake.sys()));
        devices.walk();
        Self { fake, devices }
    }

    /// The same machine, its facts read from the recording and not from files.
    fn recorded(name: &str) -> Self {
        let text = fs::read(tree::recordings().join(format!("{name}.umockdev"))).unwrap();
        let devices = Tree::new(Source::Recording(Recording::parse(&text).unwrap()));
        devices.walk();
        Self { fake: FakeTree::of(name), devices }
    }

    fn try_run(&self, name: &str, path: &str, set: &Properties) -> Result<Properties, BuiltinError> {
        self.try_ask(name, &[], path, set)
    }

    fn try_ask(
        &self,
        name: &str,
        words: &[&str],
        path: &str,
        set: &Properties,
    ) -> Result<Properties, BuiltinError> {
        let device = self.devices.get(&DevPath::new(path.as_bytes()).unwrap()).expect(path);
        let (reader, roots) = (Reader::new(&self.devices), Roots::below(self.fake.root()));
        let context = Context {
            device: &device,
            reader: &reader,
            action: Action::Add,
            properties: set,
            known: Default::default(),
            roots: &roots,
            shared: &Shared::new(&roots),
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let words: Vec<bstr::BString> = words.iter().map(|word| (*word).into()).collect();
        builtin::run(name.as_bytes(), &words, &context).map(|found| found.properties)
    }

    /// Runs it on a device of which the kernel's own properties are known; `None`: it fails.
    fn ask(&self, name: &str, words: &[&str], path: &str) -> Option<Answer> {
        let device = self.devices.get(&DevPath::new(path.as_bytes()).unwrap()).expect(path);
        let uevent = Reader::new(&self.devices).uevent(&device);
        self.try_ask(name, words, path, &uevent).ok().map(|found| pairs(&found))
    }

    fn run(&self, name: &str, path: &str) -> Answer {
        pairs(&self.try_run(name, path, &Properties::new()).unwrap_or_default())
    }
}

fn pairs(properties: &Properties) -> Answer {
    properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn lines(text: &str) -> Answer {
    let pairs = text.lines().map(str::trim).filter(|line| !line.is_empty());
    pairs.map(|line| line.split_once('=').map(|(k, v)| (k.into(), v.into())).expect(line)).collect()
}

#[test]
fn a_serial_adapter_by_hand() {
    let machine = Machine::of("gps");
    assert_eq!(
        machine.run("usb_id", GPS),
        lines(
            r"ID_BUS=usb
            ID_MODEL=u-blox_7_-_GPS_GNSS_Receiver
            ID_MODEL_ENC=u-blox\x207\x20-\x20GPS\x2fGNSS\x20Receiver
            ID_MODEL_ID=01a7
            ID_REVISION=0400
            ID_SERIAL=u-blox_AG_-_www.u-blox.com_u-blox_7_-_GPS_GNSS_Receiver_A50285BI
            ID_SERIAL_SHORT=A50285BI
            ID_TYPE=generic
            ID_USB_DRIVER=ftdi_sio
            ID_USB_INTERFACES=:ffffff:
            ID_USB_INTERFACE_NUM=00
            ID_USB_MODEL=u-blox_7_-_GPS_GNSS_Receiver
            ID_USB_MODEL_ENC=u-blox\x207\x20-\x20GPS\x2fGNSS\x20Receiver
            ID_USB_MODEL_ID=01a7
            ID_USB_REVISION=0400
            ID_USB_SERIAL=u-blox_AG_-_www.u-blox.com_u-blox_7_-_GPS_GNSS_Receiver_A50285BI
            ID_USB_SERIAL_SHORT=A50285BI
            ID_USB_TYPE=generic
            ID_USB_VENDOR=u-blox_AG_-_www.u-blox.com
            ID_USB_VENDOR_ENC=u-blox\x20AG\x20-\x20www.u-blox.com
            ID_USB_VENDOR_ID=1546
            ID_VENDOR=u-blox_AG_-_www.u-blox.com
            ID_VENDOR_ENC=u-blox\x20AG\x20-\x20www.u-blox.com
            ID_VENDOR_ID=1546"
        )
    );
    assert_eq!(
        machine.run("path_id", GPS),
        lines(
            "ID_PATH=pci-0000:00:14.0-usb-0:2:1.0
            ID_PATH_TAG=pci-0000_00_14_0-usb-0_2_1_0
            ID_PATH_WITH_USB_REVISION=pci-0000:00:14.0-usbv2-0:2:1.0"
        )
    );
}

/// Records keep the order in which properties are set. This is how systemd 257's stand in records of serial adapters.
#[test]
fn the_order_of_properties() {
    let machine = Machine::of("gps");
    let order = |name: &str| {
        let found = machine.try_run(name, GPS, &Properties::new()).unwrap();
        found.in_order().map(|(key, _)| key.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        order("usb_id"),
        "ID_BUS ID_MODEL ID_MODEL_ENC ID_MODEL_ID ID_SERIAL ID_SERIAL_SHORT ID_VENDOR ID_VENDOR_ENC ID_VENDOR_ID \
         ID_REVISION ID_TYPE ID_USB_MODEL ID_USB_MODEL_ENC ID_USB_MODEL_ID ID_USB_SERIAL ID_USB_SERIAL_SHORT \
         ID_USB_VENDOR ID_USB_VENDOR_ENC ID_USB_VENDOR_ID ID_USB_REVISION ID_USB_TYPE ID_USB_INTERFACES \
         ID_USB_INTERFACE_NUM ID_USB_DRIVER"
    );
    assert_eq!(order("path_id"), "ID_PATH_WITH_USB_REVISION ID_PATH ID_PATH_TAG");
}

#[test]
fn a_claimed_bus_leaves_only_the_usb_names() {
    let machine = Machine::of("gps");
    for (bus, plain_too) in [("ata", false), ("", true)] {
        let mut set = Properties::new();
        set.set("ID_BUS", bus).unwrap();
        let found = machine.try_run("usb_id", GPS, &set).unwrap();
        assert_eq!(found.get("ID_USB_SERIAL_SHORT").unwrap(), "A50285BI");
        assert_eq!(found.get("ID_SERIAL_SHORT").is_some(), plain_too, "ID_BUS={bus}");
        assert_eq!(found.get("ID_BUS").is_some(), plain_too, "ID_BUS={bus}");
    }
}

#[test]
fn what_is_odd_in_a_string_costs_itself_alone() {
    let machine = Machine::of("gps");
    let usb = "/devices/pci0000:00/0000:00:14.0/usb1/1-2";
    let cases: &[(&str, &[u8], &str, Option<&str>)] = &[
        ("serial", b"A,1\n", "ID_SERIAL_SHORT", None),
        ("serial", b"A\x01\n", "ID_SERIAL_SHORT", None),
        ("serial", b" 00 1 \n", "ID_SERIAL_SHORT", Some("00_1")),
        ("serial", b"\n", "ID_SERIAL_SHORT", None),
        ("product", b"a\xffb \n", "ID_MODEL", Some("a_b")),
        ("product", b"a\xffb \n", "ID_MODEL_ENC", Some(r"a\xffb\x20")),
        ("manufacturer", b"a\nb\n", "ID_VENDOR_ENC", Some(r"a\x0ab")),
        ("product", b"  \n", "ID_SERIAL", Some("u-blox_AG_-_www.u-blox.com__A50285BI")),
    ];
    for (attribute, value, key, expected) in cases {
        let file = machine.fake.sys().join(&usb[1..]).join(attribute);
        let before = fs::read(&file).unwrap();
        fs::write(&file, value).unwrap();
        assert_eq!(
            machine.run("usb_id", GPS).get(*key).map(String::as_str),
            *expected,
            "{attribute} {value:?}"
        );
        fs::write(&file, before).unwrap();
    }
}

#[test]
fn twins_differ_by_their_port_alone() {
    let machine = Machine::of("twins");
    let path = |port: u8, tty: u8| {
        format!("/devices/pci0000:00/0000:00:14.0/usb1/1-{port}/1-{port}:1.0/ttyUSB{tty}/tty/ttyUSB{tty}")
    };
    let (one, two) = (machine.run("usb_id", &path(3, 0)), machine.run("usb_id", &path(4, 1)));
    assert_eq!(one, two);
    assert_eq!(one["ID_SERIAL"], "1a86_USB_Serial");
    assert_eq!((one["ID_USB_DRIVER"].as_str(), one.get("ID_SERIAL_SHORT")), ("ch341", None));
    assert_eq!(machine.run("path_id", &path(3, 0))["ID_PATH"], "pci-0000:00:14.0-usb-0:3:1.0");
    assert_eq!(machine.run("path_id", &path(4, 1))["ID_PATH"], "pci-0000:00:14.0-usb-0:4:1.0");
}

#[test]
fn both_nodes_of_a_camera_have_one_identity() {
    let machine = Machine::of("camera");
    for node in ["video0", "video1"] {
        let path = format!("/devices/pci0000:00/0000:00:14.0/usb1/1-6/1-6:1.0/video4linux/{node}");
        let usb = machine.run("usb_id", &path);
        assert_eq!(usb["ID_SERIAL"], "Harbour_Optics_HO-720_Camera_HO720-00042");
        assert_eq!(
            (usb["ID_TYPE"].as_str(), usb["ID_USB_INTERFACES"].as_str()),
            ("video", ":0e0100:0e0200:")
        );
        assert_eq!(machine.run("path_id", &path)["ID_PATH"], "pci-0000:00:14.0-usb-0:6:1.0");
    }
}

#[test]
fn devices_of_another_kind_are_told_so() {
    let machine = Machine::of("disks");
    let nvme = "/devices/pci0000:00/0000:00:03.0/nvme/nvme0/nvme0n1";
    let none = Properties::new();
    assert_eq!(machine.try_run("usb_id", nvme, &none), Err(BuiltinError::NoParent("USB interface")));
    assert_eq!(machine.try_run("path_id", "/devices/pci0000:00", &none), Err(BuiltinError::NoStablePath));
    assert!(matches!(machine.try_run("blikd", nvme, &none), Err(BuiltinError::Unknown(_))));
}

/// What no udevadm of this kind of machine could be asked: written by hand after systemd 257's behaviour.
#[test]
fn paths_by_hand() {
    let cases = [
        ("transports", "/usb1/1-1/1-1:1.0", "ID_PATH_WITH_USB_REVISION", "pci-0000:00:1d.0-usbv2-0:1:1.0"),
        ("transports", "/usb2/2-1/2-1:1.0", "ID_PATH_WITH_USB_REVISION", "pci-0000:00:1e.0-usbv1-0:1:1.0"),
        (
            "transports",
            "/usb3/3-1.4.2/3-1.4.2:1.0",
            "ID_PATH_WITH_USB_REVISION",
            "pci-0000:00:1a.0-usbv2-0:1.4.2:1.0",
        ),
        ("transports", "/usb4/4-2/4-2:1.0", "ID_PATH_WITH_USB_REVISION", "pci-0000:00:19.0-usbv3-0:2:1.0"),
        // a protocol code that nobody knows
        ("transports", "/usb5/5-2/5-2:1.0", "ID_PATH_WITH_USB_REVISION", ""),
        ("transports", "/usb5/5-2/5-2:1.0", "ID_PATH", "pci-0000:00:18.0-usb-0:2:1.0"),
        ("transports", "/block/mmcblk2", "ID_PATH", "amba-80126000.sdi"),
        (
            "transports",
            "/block/sda",
            "ID_PATH",
            "pci-0000:01:00.0-fc-0x50060e8010123456-lun-0x012c000000000000",
        ),
        (
            "transports",
            "/block/sde",
            "ID_PATH_TAG",
            "ip-192_0_2_7_3260-iscsi-iqn_2026-11_example_vault-lun-1",
        ),
        ("transports", "/block/sdf", "ID_PATH", "pci-0000:00:1f.2-ata-2.3.0"),
        ("transports", "/block/sdg/sdg1", "ID_PATH_ATA_COMPAT", "pci-0000:00:1f.2-ata-2"),
        ("transports", "/nvme-subsys0/nvme0n1", "ID_PATH", "pci-0000:00:07.0-nvme-1"),
        ("transports", "/nvme-subsys4/nvme4n1", "ID_PATH", ""),
        ("transports", "/block/loop0", "ID_PATH", ""),
        ("transports", "/block/xvda", "ID_PATH", ""),
        ("transports", "/net/eth7", "ID_PATH", "xen-vif-0"),
        ("disks", "/nvme0/nvme0n1/nvme0n1p2", "ID_PATH", "pci-0000:00:03.0-nvme-1"),
        ("disks", "/block/vda/vda1", "ID_PATH", "pci-0000:00:04.0"),
        ("disks", "/block/mmcblk0", "ID_PATH", ""),
        ("disks", "/net/eth1", "ID_PATH", "pci-0000:00:0b.0"),
    ];
    let both = |name| [Machine::of(name), Machine::recorded(name)];
    let machines = BTreeMap::from(["transports", "disks"].map(|name| (name, both(name))));
    for (name, end, key, expected) in cases {
        for machine in &machines[name] {
            let path = machine.fake.paths().iter().find(|path| path.ends_with(end)).expect(end);
            let found = machine.run("path_id", path);
            assert_eq!(found.get(key).map_or("", String::as_str), expected, "{key} of {path}");
        }
    }
}

/// What is common to udevadm 252 and us: without what systemd says from later versions on, or never.
fn common(mut answer: Answer, path: &str) -> Answer {
    // from 256 on, and buses that came later
    answer.remove("ID_PATH_WITH_USB_REVISION");
    let is_later_bus = answer.get("ID_PATH").is_some_and(|path| path.starts_with("amba-"));
    // systemd leaves it to rules to copy a disk's path to its partitions
    let is_nvme_partition = path.rsplit('/').next().is_some_and(|n| n.starts_with("nvme") && n.contains('p'));
    if is_later_bus || is_nvme_partition { Answer::new() } else { answer }
}

/// `P:`, `B:` and `E:` lines, as `contrib/qemu/record` writes them.
fn read_answers(text: &str) -> BTreeMap<(String, String), Answer> {
    let mut out: BTreeMap<(String, String), Answer> = BTreeMap::new();
    let (mut path, mut builtin) = (String::new(), String::new());
    for line in text.lines() {
        match line.split_at(3) {
            ("P: ", rest) => path = rest.into(),
            ("B: ", rest) => {
                builtin = rest.into();
                out.entry((path.clone(), builtin.clone())).or_default();
            }
            ("E: ", rest) => {
                let (key, value) = rest.split_once('=').expect(line);
                // an empty property and none are the same to a rule; we give none
                if !value.is_empty() {
                    let of_device = out.entry((path.clone(), builtin.clone())).or_default();
                    of_device.insert(key.into(), value.into());
                }
            }
            _ => panic!("unknown line {line:?}"),
        }
    }
    out
}

fn compare(machine: &Machine, answers: &BTreeMap<(String, String), Answer>) {
    for ((path, builtin), theirs) in answers {
        let ours = common(machine.run(builtin, path), path);
        assert_eq!(ours, common(theirs.clone(), path), "{builtin} of {path}");
    }
}

#[test]
fn recorded_answers_of_udevadm() {
    for name in TREES {
        let machine = Machine::of(name);
        let file = tree::recordings().join(format!("{name}.answers"));
        let answers = read_answers(&fs::read_to_string(&file).unwrap());
        assert_eq!(
            answers.len(),
            machine.fake.paths().len() * NAMES.len(),
            "{name}: an answer for each device"
        );
        compare(&machine, &answers);
        compare(&Machine::recorded(name), &answers);
    }
}

/// A whole machine as `contrib/qemu/record` leaves it, where `NAMEPLATE_RECORDED` names one: every device, not only those
/// of the fixtures.
#[test]
fn every_device_of_a_recorded_machine() {
    let Some(directory) = std::env::var_os("NAMEPLATE_RECORDED").map(std::path::PathBuf::from) else {
        return;
    };
    let devices = Tree::new(Source::Live(directory.join("sys")));
    devices.walk();
    let machine = Machine { fake: FakeTree::new(), devices };
    let mut answers = read_answers(&fs::read_to_string(directory.join("answers")).unwrap());
    // others are for the tests of other builtins
    answers.retain(|(_, builtin), _| NAMES.contains(&builtin.as_str()));
    assert!(answers.len() > 100);
    compare(&machine, &answers);
}

/// Puts the laid-out tree in the place of `/sys`, in a mount namespace of its own, and asks the udevadm of this machine.
#[test]
fn live_answers_of_udevadm() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    for name in TREES {
        let machine = Machine::of(name);
        let asked = Command::new("unshare")
            .args(["--mount", "sh", "-c", ASK, "sh"])
            .arg(machine.fake.sys())
            .args(machine.fake.paths())
            .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
            .output();
        match asked {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8(output.stdout).unwrap();
                if let Some(keep) = std::env::var_os("NAMEPLATE_KEEP_ANSWERS") {
                    fs::write(std::path::Path::new(&keep).join(format!("{name}.answers")), &text).unwrap();
                }
                let answers = read_answers(&text);
                assert_eq!(answers.len(), machine.fake.paths().len() * NAMES.len());
                compare(&machine, &answers);
            }
            _ => {
                return common::skip("needs unshare and udevadm");
            }
        }
    }
}

/// `$1` is the tree for `/sys`, the rest are devpaths.
const ASK: &str = r#"
command -v udevadm >/dev/null || exit 1
sys=$1; shift
mount --bind "$sys" /sys || exit 1
for path; do
    for builtin in path_id usb_id; do
        echo "P: $path"
        echo "B: $builtin"
        udevadm test-builtin $builtin "/sys$path" 2>/dev/null | grep '^ID_' | LC_ALL=C sort | sed 's/^/E: /'
    done
done
"#;
