//! Owns what a loop device reads from: device and inode of the file, and the name that it was given.

use std::os::fd::OwnedFd;

use bstr::BString;
use nix::sys::stat::{major, minor};

use crate::properties::Properties;
use crate::sys::medium::loop_info;
use crate::text::encode_node_name;

/// Bytes of the name in the driver's record; a name that fills it was cut.
const NAME: usize = 64;

/// Adds them; a loop device that reads from nothing has none.
pub(super) fn add(device: &OwnedFd, properties: &mut Properties) {
    let Ok(info) = loop_info(device) else { return };
    for (key, value) in read(&info) {
        let _no_property = properties.set(key, value);
    }
}

/// Takes `struct loop_info64` (`linux/loop.h`) apart.
fn read(info: &[u8; 232]) -> Vec<(&'static str, BString)> {
    let (Some(device), Some((inode, rest))) =
        (number(info), info.get(8..).and_then(|i| Some((number(i)?, i))))
    else {
        return vec![];
    };
    let mut out = vec![
        ("ID_LOOP_BACKING_DEVICE", format!("{}:{}", major(device), minor(device)).into()),
        ("ID_LOOP_BACKING_INODE", inode.to_string().into()),
    ];
    let name = rest.get(48..48 + NAME).unwrap_or_default();
    let len = name.iter().position(|&b| b == 0).unwrap_or(NAME);
    if let Some(name) = name.get(..len).filter(|_| (1..NAME - 1).contains(&len)) {
        out.push(("ID_LOOP_BACKING_FILENAME", name.into()));
        out.push(("ID_LOOP_BACKING_FILENAME_ENC", encode_node_name(name)));
    }
    out
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|chunk| u64::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &[u8]) -> String {
        let mut info = [0; 232];
        info[..8].copy_from_slice(&0xfd03u64.to_ne_bytes());
        info[8..16].copy_from_slice(&131_074u64.to_ne_bytes());
        info[56..56 + name.len()].copy_from_slice(name);
        read(&info).iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn records() {
        let plain = "ID_LOOP_BACKING_DEVICE=253:3 ID_LOOP_BACKING_INODE=131074";
        assert_eq!(words(b""), plain);
        assert_eq!(
            words(b"/a b"),
            format!(r"{plain} ID_LOOP_BACKING_FILENAME=/a b ID_LOOP_BACKING_FILENAME_ENC=\x2fa\x20b")
        );
        assert_eq!(words(&[b'x'; 63]), plain, "cut by the kernel");
        assert!(words(&[b'x'; 62]).contains("FILENAME_ENC=xxx"));
    }
}
