//! Owns writing a recording: devices to lines, in umockdev's order.

use bstr::ByteSlice;

use super::escape::{escape, hex};
use super::{RecordedDevice, Recording, keys};
use crate::properties::Properties;

pub(super) fn to_bytes(recording: &Recording) -> Vec<u8> {
    let mut out = Vec::new();
    for device in recording.all().filter(|device| fits(device.path.as_bytes())) {
        paragraph(device, &mut out);
        out.push(b'\n');
    }
    out
}

fn paragraph(device: &RecordedDevice, out: &mut Vec<u8>) {
    line(out, b"P", &[device.path.as_bytes()]);
    if let Some(node) = &device.node {
        let mut digits = Vec::new();
        match &node.contents {
            Some(contents) => {
                hex(contents, &mut digits);
                line(out, b"N", &[&node.name, b"=", &digits]);
            }
            None => line(out, b"N", &[&node.name]),
        }
    }
    for symlink in &device.symlinks {
        line(out, b"S", &[symlink]);
    }
    if !is_split_by_name(device) {
        // Says that there are `K:` lines even where the device has no property of the kernel's.
        line(out, b"K", &[b"DEVPATH=", device.path.as_bytes()]);
        for (key, value) in device.kernel.iter() {
            line(out, b"K", &[key, b"=", value]);
        }
    }
    for (key, value) in mixed(device).iter() {
        line(out, b"E", &[key, b"=", value]);
    }
    for (name, value) in &device.attributes {
        attribute(out, name, value);
    }
    for (name, target) in &device.links {
        line(out, b"L", &[name, b"=", target]);
    }
}

/// The kernel's properties with udev's laid over, and the subsystem: what `udevadm info` would say.
fn mixed(device: &RecordedDevice) -> Properties {
    let subsystem = device.subsystem.iter().map(|name| (b"SUBSYSTEM".as_bstr(), name.as_bstr()));
    device.kernel.iter().chain(device.udev.iter()).chain(subsystem).collect()
}

/// True when reading the `E:` lines alone gives the same two parts.
fn is_split_by_name(device: &RecordedDevice) -> bool {
    let is_node_path = |key: &[u8], value: &[u8]| key == b"DEVNAME" && value.starts_with(b"/");
    device.kernel.iter().all(|(key, value)| keys::is_kernel(key) && !is_node_path(key, value))
        && device.udev.iter().all(|(key, _)| !keys::is_kernel(key))
}

fn attribute(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut text = Vec::new();
    let is_text = !value.contains(&0) && value.to_str().is_ok();
    if is_text {
        escape(value, &mut text);
    } else {
        hex(value, &mut text);
    }
    line(out, if is_text { b"A" } else { b"H" }, &[name, b"=", &text]);
}

fn fits(text: &[u8]) -> bool {
    !text.contains(&b'\n')
}

fn line(out: &mut Vec<u8>, letter: &[u8], parts: &[&[u8]]) {
    if parts.iter().all(|part| fits(part)) {
        out.extend_from_slice(letter);
        out.extend_from_slice(b": ");
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umockdevs_form_where_it_is_enough() {
        let text = "P: /devices/a\nN: null\nE: ID_X=1\nE: MAJOR=1\nE: SUBSYSTEM=mem\nA: dev=1:3\\n\nH: raw=00FF\nL: driver=../x\n\n";
        let recording = Recording::parse(text.as_bytes()).unwrap();
        assert_eq!(recording.to_bytes().as_bstr(), text);
        let with_kernel = "P: /devices/a\nK: DEVPATH=/devices/a\nK: ODD=1\nE: ODD=1\n\n";
        let recording = Recording::parse(with_kernel.as_bytes()).unwrap();
        assert_eq!(recording.to_bytes().as_bstr(), with_kernel);
    }
}
