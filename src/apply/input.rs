//! Owns what is said to input devices: keys of scan codes and axes through the event node, the rest through attributes of the
//! port (`serio`) behind which the device is.
//!
//! Each thing costs itself alone; what failed is returned as one text.

use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::node::NodeDir;
use crate::builtin::{AxisChange, Keyboard};
use crate::device::Device;
use crate::roots::Roots;
use crate::sys::evdev::{self, Axis};

/// Says to the device what `wanted` has. Error: everything that failed.
pub fn set(roots: &Roots, device: &Device, wanted: &Keyboard) -> Result<(), String> {
    let mut failed = Vec::new();
    if !wanted.keys.is_empty() || !wanted.axes.is_empty() {
        failed.extend(node(roots, device, wanted).unwrap_or_else(|error| vec![error]));
    }
    let port = device.chain().find(|device| device.is_in(b"serio"));
    let port = port.map(|port| {
        roots.sys.join(Path::new(&*port.devpath().to_string()).strip_prefix("/").unwrap_or(Path::new("")))
    });
    let mut attribute = |name: &str, value: &dyn Fn(&Path) -> String| {
        let written = port
            .as_ref()
            .map(|port| write(&port.join(name), value))
            .unwrap_or_else(|| Err("it is behind no serio port".into()));
        failed.extend(written.err().map(|error| format!("{name}: {error}")));
    };
    if !wanted.released.is_empty() {
        attribute("force_release", &|file| with_codes(file, &wanted.released));
    }
    if let Some(speed) = wanted.sensitivity {
        attribute("sensitivity", &|_| speed.to_string());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn write(file: &PathBuf, value: &dyn Fn(&Path) -> String) -> Result<(), String> {
    if !file.exists() {
        return Err("there is no such attribute".into());
    }
    fs::write(file, value(file)).map_err(|error| error.to_string())
}

/// The list of codes that is there with these added.
fn with_codes(file: &Path, codes: &[u32]) -> String {
    let old = fs::read_to_string(file).unwrap_or_default();
    let old = old.trim();
    let mut all: Vec<String> = if old.is_empty() { vec![] } else { vec![old.to_owned()] };
    all.extend(codes.iter().map(u32::to_string));
    all.join(",")
}

/// What failed of keys and axes. Error: the node can't be opened.
fn node(roots: &Roots, device: &Device, wanted: &Keyboard) -> Result<Vec<String>, String> {
    let number = device.devnum().ok_or("the device has no number")?;
    let nodes = NodeDir::open(&roots.dev).map_err(|error| error.to_string())?;
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = nodes.open_node(&wanted.node, number, flags).map_err(|error| error.to_string())?;
    let mut failed = Vec::new();
    for (scan, key) in &wanted.keys {
        if let Err(errno) = evdev::set_key(&file, *scan, *key) {
            failed.push(format!("scan code {scan:#x} does not become key {key}: {errno}"));
        }
    }
    for (code, change) in &wanted.axes {
        let done =
            evdev::axis(&file, *code).and_then(|axis| evdev::set_axis(&file, *code, changed(axis, *change)));
        if let Err(errno) = done {
            failed.push(format!("axis {code:#x} is not changed: {errno}"));
        }
    }
    Ok(failed)
}

fn changed(axis: Axis, change: AxisChange) -> Axis {
    Axis {
        value: axis.value,
        minimum: change.minimum.unwrap_or(axis.minimum),
        maximum: change.maximum.unwrap_or(axis.maximum),
        fuzz: change.fuzz.unwrap_or(axis.fuzz),
        flat: change.flat.unwrap_or(axis.flat),
        resolution: change.resolution.unwrap_or(axis.resolution),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_changes() {
        let axis = Axis { value: 7, minimum: 0, maximum: 100, fuzz: 1, flat: 2, resolution: 3 };
        let change = AxisChange { maximum: Some(200), resolution: Some(41), ..AxisChange::default() };
        assert_eq!(changed(axis, change), Axis { maximum: 200, resolution: 41, ..axis });
    }

    #[test]
    fn codes_are_added() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("force_release");
        for (old, expected) in [("369-370,371\n", "369-370,371,1,2"), ("\n", "1,2"), ("", "1,2")] {
            fs::write(&file, old).unwrap();
            assert_eq!(with_codes(&file, &[1, 2]), expected);
        }
    }
}
