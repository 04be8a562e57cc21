//! A machine that is not there: a few USB devices as a recording and as a tree below a root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nameplate::recording::Recording;
use serde_json::Value;

/// Where the devices are plugged in.
pub(crate) const HOST: &str = "/devices/pci0000:00/0000:00:14.0/usb1";

pub(crate) const GPS: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";
pub(crate) const LEFT: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/ttyUSB1/tty/ttyUSB1";
pub(crate) const RIGHT: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/ttyUSB2/tty/ttyUSB2";
pub(crate) const VIDEO: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.0/video4linux/video0";
pub(crate) const METADATA: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.0/video4linux/video1";

/// The recording's text, in umockdev's form.
fn recording() -> String {
    let mut out = String::from(
        "P: /devices/pci0000:00\n\n\
         P: /devices/pci0000:00/0000:00:14.0\nE: SUBSYSTEM=pci\nE: DRIVER=xhci_hcd\nE: PCI_SLOT_NAME=0000:00:14.0\n\
         A: vendor=0x8086\\n\nL: driver=../../../bus/pci/drivers/xhci_hcd\n\n",
    );
    out += &usb_device("", "1d6b", "0002", Some("0000:00:14.0"), 0);
    out += &usb_device("/1-2", "1546", "01a8", Some("A50285BI"), 2);
    out += &serial_port("1-2", 0);
    out += &usb_device("/1-3", "10c4", "ea60", None, 3);
    out += &serial_port("1-3", 1);
    out += &usb_device("/1-4", "10c4", "ea60", None, 4);
    out += &serial_port("1-4", 2);
    out += &usb_device("/1-5", "046d", "0825", Some("3A5F"), 5);
    out += &usb_interface("1-5", "uvcvideo");
    for index in 0..2 {
        out += &format!(
            "P: {HOST}/1-5/1-5:1.0/video4linux/video{index}\nN: video{index}\nE: SUBSYSTEM=video4linux\n\
             E: DEVNAME=/dev/video{index}\nE: MAJOR=81\nE: MINOR={index}\n\
             A: index={index}\\n\nA: name=UVC Camera\\n\nL: device=../../../1-5:1.0\n\n"
        );
    }
    out
}

fn usb_device(below: &str, vendor: &str, product: &str, serial: Option<&str>, minor: u32) -> String {
    let serial = serial.map(|serial| format!("A: serial={serial}\\n\n")).unwrap_or_default();
    format!(
        "P: {HOST}{below}\nN: bus/usb/001/{minor:03}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DRIVER=usb\n\
         E: DEVNAME=/dev/bus/usb/001/{minor:03}\nE: MAJOR=189\nE: MINOR={minor}\n\
         A: idVendor={vendor}\\n\nA: idProduct={product}\\n\n{serial}L: driver=../../../../bus/usb/drivers/usb\n\n"
    )
}

fn usb_interface(device: &str, driver: &str) -> String {
    format!(
        "P: {HOST}/{device}/{device}:1.0\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\nE: DRIVER={driver}\n\
         A: bInterfaceNumber=00\\n\nL: driver=../../../../../bus/usb/drivers/{driver}\n\n"
    )
}

fn serial_port(device: &str, number: u32) -> String {
    usb_interface(device, "cp210x")
        + &format!(
            "P: {HOST}/{device}/{device}:1.0/ttyUSB{number}\nE: SUBSYSTEM=usb-serial\nE: DRIVER=cp210x\n\
             A: port_number=0\\n\nL: driver=../../../../../../bus/usb-serial/drivers/cp210x\n\n\
             P: {HOST}/{device}/{device}:1.0/ttyUSB{number}/tty/ttyUSB{number}\nN: ttyUSB{number}\n\
             E: SUBSYSTEM=tty\nE: DEVNAME=/dev/ttyUSB{number}\nE: MAJOR=188\nE: MINOR={number}\n\n"
        )
}

/// A program's end; a failed assertion shows all of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the program ended so, and its output has all of these texts.
    #[track_caller]
    pub(crate) fn shows(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in texts {
            assert!(self.out.contains(text), "{text:?} is not in\n{}\n{}", self.out, self.err);
        }
    }
}

/// A directory with the recording, the tree below `root`, and rules. Gone with its value.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    /// With these rule files in the tree's `/etc`.
    pub(crate) fn new(rules: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Others have to get in: the program may run as another user.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let machine = Self { dir };
        machine.write("recordings/usb.umockdev", &recording());
        machine.write("root/etc/group", "root:x:0:\ndialout:x:20:\nvideo:x:44:\n");
        machine.write("root/etc/passwd", "root:x:0:0::/:/bin/sh\n");
        fs::create_dir_all(machine.path("root/etc/nameplate/rules.d")).unwrap();
        for (name, text) in rules {
            machine.write(&format!("root/etc/nameplate/rules.d/{name}"), text);
        }
        plant(&machine.path("root/sys"), &Recording::parse(recording().as_bytes()).unwrap());
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program on the tree below the root.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nameplate"));
        command.arg("--root").arg(self.path("root")).args(arguments).stdin(Stdio::null());
        command.env_remove("NO_COLOR");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }

    /// The program on the recording; rules and accounts are those of the tree.
    pub(crate) fn on_recording(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        ended(command.arg("--recording").arg(self.path("recordings/usb.umockdev")))
    }

    /// As a user who owns nothing. The program is copied: the build directory may be closed to others.
    pub(crate) fn as_nobody(&self, arguments: &[&str]) -> Ended {
        let copy = self.path("nameplate");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_nameplate"), &copy).unwrap();
        }
        let mut command = Command::new(copy);
        command.arg("--root").arg(self.path("root")).args(arguments).stdin(Stdio::null());
        ended(command.uid(65534).gid(65534))
    }

    /// Everything below the directory: what a look must not change.
    pub(crate) fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut out = Vec::new();
        collect(self.dir.path(), &mut out);
        out.sort();
        out
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn collect(dir: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&path, out);
            out.push((path, b"directory".to_vec()));
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            out.push((path, target.as_os_str().as_encoded_bytes().to_vec()));
        } else {
            out.push((path.clone(), fs::read(path).unwrap()));
        }
    }
}

/// Makes files and links of a recording, as sysfs has them.
fn plant(sys: &Path, recording: &Recording) {
    for device in recording.devices() {
        let name = String::from_utf8(device.path.last().to_vec()).unwrap();
        let dir = sys.join(String::from_utf8(device.path.relative().to_vec()).unwrap());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("uevent"), &*device.uevent()).unwrap();
        for (attribute, value) in &device.attributes {
            fs::write(dir.join(attribute.to_string()), &**value).unwrap();
        }
        for (link, target) in &device.links {
            symlink(target.to_string(), dir.join(link.to_string())).unwrap();
        }
        let Some(subsystem) = device.subsystem.as_ref().map(ToString::to_string) else { continue };
        let bus = matches!(subsystem.as_str(), "pci" | "usb" | "usb-serial");
        let home = if bus { sys.join("bus").join(&subsystem) } else { sys.join("class").join(&subsystem) };
        let list = if bus { home.join("devices") } else { home.clone() };
        fs::create_dir_all(&list).unwrap();
        symlink(&dir, list.join(&name)).unwrap();
        symlink(&home, dir.join("subsystem")).unwrap();
        if let (Some(major), Some(minor)) = (device.kernel.get("MAJOR"), device.kernel.get("MINOR")) {
            fs::create_dir_all(sys.join("dev/char")).unwrap();
            symlink(&dir, sys.join(format!("dev/char/{major}:{minor}"))).unwrap();
        }
    }
}
