//! `usb_id` on devices whose strings, numbers and descriptors are odd, beside udevadm's.

use std::fmt::Write as _;
use std::process::Command;

use super::{Answer, Machine};
use crate::common;
use crate::numbers::Numbers;
use crate::tree::FakeTree;

/// `$1` is the tree for `/sys`, the rest are devpaths.
const ASK: &str = r#"
command -v udevadm >/dev/null || exit 1
sys=$1; shift
mount --bind "$sys" /sys || exit 1
for path; do
    udevadm test-builtin usb_id "/sys$path" 2>/dev/null && echo "R: yes" || echo "R: no"
done
"#;

/// An attribute as udev reads it: one line. Bytes of it that a recording can't hold are left out.
fn attribute(numbers: &mut Numbers, len: usize) -> Vec<u8> {
    let text = numbers.text(len);
    let text = text.split(|b| matches!(b, 0 | b'\n' | b'\r')).next().unwrap();
    [text, b"\n"].concat()
}

/// A device descriptor, a configuration, interfaces; lengths that lie, and cut.
fn descriptors(numbers: &mut Numbers) -> Vec<u8> {
    let mut out = vec![18, 1];
    out.resize(18, 0);
    out.extend([9, 2, 32, 0, 1, 1, 0, 0x80, 50]);
    for _ in 0..numbers.one(&[0, 1, 2, 5, 100]) {
        out.extend([
            9,
            4,
            0,
            0,
            1,
            numbers.one(&[3, 8, 0x0e, 0xff]),
            numbers.byte(),
            numbers.below(3).to_le_bytes()[0],
            0,
        ]);
        out.extend([7, 5, 0x81, 2, 64, 0, 0]);
    }
    numbers.spoil(&mut out);
    if numbers.below(3) == 0 {
        out.truncate(numbers.below(out.len()));
    }
    out
}

fn machine(numbers: &mut Numbers, count: usize) -> (FakeTree, Vec<String>) {
    let mut fake = FakeTree::new();
    let mut paths = vec![];
    fake.add("P: /devices/pci0000:00/0000:00:14.0\nE: SUBSYSTEM=pci\n\nP: /devices/pci0000:00/0000:00:14.0/usb1\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n\n");
    for at in 1..=count {
        let usb = format!("/devices/pci0000:00/0000:00:14.0/usb1/1-{at}");
        let interface = format!("{usb}/1-{at}:1.0");
        let mut text = String::new();
        let hex: String = descriptors(numbers).iter().map(|byte| format!("{byte:02X}")).collect();
        writeln!(text, "P: {usb}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nH: descriptors={hex}\n").unwrap();
        writeln!(text, "P: {interface}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n").unwrap();
        fake.add(&text);
        for (name, values) in
            [("idVendor", &["1546\n", "0000\n", "", "x\n"][..]), ("idProduct", &["01a7\n", "1\n", "g\n"])]
        {
            fake.set(&usb, name, numbers.one(values).as_bytes());
        }
        for (name, len) in [("manufacturer", 30), ("product", 60), ("serial", 40), ("bcdDevice", 4)] {
            if numbers.below(6) > 0 {
                let value = attribute(numbers, len);
                fake.set(&usb, name, &value);
            }
        }
        fake.set(
            &interface,
            "bInterfaceClass",
            numbers.one(&["08\n", "ff\n", "03\n", "zz\n", "\n"]).as_bytes(),
        );
        fake.set(&interface, "bInterfaceSubClass", numbers.one(&["06\n", "01\n", "02\n", "x\n"]).as_bytes());
        fake.set(&interface, "bInterfaceNumber", numbers.one(&["00\n", "0a\n", "/\n", " \n"]).as_bytes());
        paths.extend([usb, interface]);
    }
    (fake, paths)
}

/// What only the first says.
fn only(one: &Option<Answer>, other: &Option<Answer>) -> Option<Answer> {
    let has =
        |key: &String, value: &String| other.as_ref().is_some_and(|other| other.get(key) == Some(value));
    one.clone().map(|answer| answer.into_iter().filter(|(key, value)| !has(key, value)).collect())
}

#[test]
fn odd_strings_and_descriptors() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let (fake, paths) = machine(&mut Numbers(0x5151_aaaa_0f0f_3c3c), 60);
    let machine = Machine::over(fake);
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", ASK, "sh"])
        .arg(machine.fake.sys())
        .args(&paths)
        .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
        .output()
        .unwrap();
    if !output.status.success() {
        return common::skip("needs udevadm");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut left = paths.iter();
    let mut answer = Answer::new();
    let mut failed = vec![];
    for line in text.lines() {
        if let Some(result) = line.strip_prefix("R: ") {
            let path = left.next().unwrap();
            let mut ours = machine.ask("usb_id", &[], path);
            let theirs = (result == "yes").then(|| std::mem::take(&mut answer));
            answer.clear();
            if let Some(ours) = &mut ours {
                ours.retain(|_, value| !value.is_empty());
            }
            // of an interface that is cut udev takes what comes of it
            let is_cut =
                |answer: &Answer| answer.get("ID_USB_INTERFACES").is_some_and(|list| !list.ends_with(':'));
            if ours != theirs && !theirs.as_ref().is_some_and(is_cut) {
                failed.push(format!(
                    "{path}\n  ours {:?}\n  its  {:?}",
                    only(&ours, &theirs),
                    only(&theirs, &ours)
                ));
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|(_, value)| !value.is_empty()) {
            answer.insert(key.into(), value.into());
        }
    }
    assert_eq!(left.next(), None);
    assert_eq!(failed.len(), 0, "{}", failed[..failed.len().min(4)].join("\n"));
}
