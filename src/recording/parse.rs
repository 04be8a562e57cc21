//! Owns reading a recording: lines to devices. Never guesses at a line it can't read: it says which.

use bstr::{BString, ByteSlice};

use super::escape::{unescape, unhex};
use super::{RecordedDevice, RecordedNode, Recording, keys};
use crate::ids::{DevPath, IdError, LinkName};
use crate::properties::{Properties, PropertyError};

/// Why a recording can't be read. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Not a letter, a colon, a space and a value.
    #[error("line {line}: not a line of a recording (`P: /devices/…`, `E: KEY=VALUE`, `A: name=value` …)")]
    Line {
        /// Where.
        line: usize,
    },
    /// A paragraph that does not begin with `P:`.
    #[error("line {line}: `P: /devices/…` has to come first in a paragraph")]
    NoPath {
        /// Where.
        line: usize,
    },
    /// A second `P:` in one paragraph.
    #[error("line {line}: a second `P:`: an empty line has to end the paragraph before")]
    SecondPath {
        /// Where.
        line: usize,
    },
    /// A `P:` with something that is no path.
    #[error("line {line}: {source}")]
    Path {
        /// Where.
        line: usize,
        /// What is wrong with the path.
        source: IdError,
    },
    /// An `E:` or `K:` with something that is no property.
    #[error("line {line}: {source}")]
    Property {
        /// Where.
        line: usize,
        /// What is wrong with the property.
        source: PropertyError,
    },
    /// No name or no `=` where `name=value` is needed.
    #[error("line {line}: `name=value` is needed after the colon")]
    NoValue {
        /// Where.
        line: usize,
    },
    /// Something that is no pairs of hexadecimal digits.
    #[error("line {line}: pairs of hexadecimal digits are needed after `=`")]
    Hex {
        /// Where.
        line: usize,
    },
}

/// A paragraph while it is read.
struct Paragraph {
    device: RecordedDevice,
    /// All of `E:`, to be split when all lines are known.
    mixed: Properties,
    /// A `K:` line was there.
    has_kernel: bool,
}

pub(super) fn parse(text: &[u8]) -> Result<Recording, RecordingError> {
    let mut done = Vec::new();
    let mut open: Option<Paragraph> = None;
    // Only a newline ends a line: a value may end in a carriage return.
    for (number, content) in text.split(|&b| b == b'\n').enumerate() {
        let line = number + 1;
        if content.is_empty() {
            done.extend(open.take().and_then(finish));
            continue;
        }
        let (letter, value) = letter_and_value(content).ok_or(RecordingError::Line { line })?;
        match (letter, &mut open) {
            (b'P', Some(_)) => return Err(RecordingError::SecondPath { line }),
            (b'P', None) => open = Some(Paragraph::begin(value, line)?),
            (_, None) => return Err(RecordingError::NoPath { line }),
            (letter, Some(paragraph)) => paragraph.add(letter, value, line)?,
        }
    }
    done.extend(open.take().and_then(finish));
    Ok(done.into_iter().collect())
}

fn letter_and_value(content: &[u8]) -> Option<(u8, &[u8])> {
    let (&letter, rest) = content.split_first()?;
    let value = rest.strip_prefix(b": ")?;
    letter.is_ascii_uppercase().then_some((letter, value))
}

impl Paragraph {
    fn begin(path: &[u8], line: usize) -> Result<Self, RecordingError> {
        let path = DevPath::new(path).map_err(|source| RecordingError::Path { line, source })?;
        Ok(Self { device: RecordedDevice::new(path), mixed: Properties::new(), has_kernel: false })
    }

    fn add(&mut self, letter: u8, value: &[u8], line: usize) -> Result<(), RecordingError> {
        let device = &mut self.device;
        match letter {
            b'E' => self.mixed.set_line(value).map_err(|source| RecordingError::Property { line, source })?,
            b'K' => {
                self.has_kernel = true;
                device.kernel.set_line(value).map_err(|source| RecordingError::Property { line, source })?;
            }
            b'A' => {
                let (name, text) = pair(value, line)?;
                device.attributes.insert(name, unescape(text));
            }
            b'H' => {
                let (name, digits) = pair(value, line)?;
                device.attributes.insert(name, unhex(digits).ok_or(RecordingError::Hex { line })?);
            }
            // Without `=` it is `udevadm info`'s priority of the links.
            b'L' if value.contains(&b'=') => {
                let (name, target) = pair(value, line)?;
                device.links.insert(name, target.into());
            }
            b'N' => device.node = Some(node(value, line)?),
            b'S' => device.symlinks.push(value.into()),
            _ => {}
        }
        Ok(())
    }
}

fn pair(value: &[u8], line: usize) -> Result<(BString, &[u8]), RecordingError> {
    match value.split_once_str(b"=") {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value)),
        _ => Err(RecordingError::NoValue { line }),
    }
}

fn node(value: &[u8], line: usize) -> Result<RecordedNode, RecordingError> {
    let (name, contents) = match value.split_once_str(b"=") {
        Some((name, digits)) => (name, Some(unhex(digits).ok_or(RecordingError::Hex { line })?)),
        None => (value, None),
    };
    if name.is_empty() {
        return Err(RecordingError::NoValue { line });
    }
    Ok(RecordedNode { name: name.into(), contents })
}

/// Splits the properties. `None` for what is no device: modules, drivers, classes. Files without any property are kept
/// wherever they are (slots of a bus, the firmware's tree): devices are understood by them.
fn finish(paragraph: Paragraph) -> Option<RecordedDevice> {
    let Paragraph { mut device, mixed, has_kernel } = paragraph;
    if !device.path.as_bytes().starts_with(b"/devices/") {
        let only_files = mixed.is_empty() && device.kernel.is_empty() && !device.attributes.is_empty();
        return only_files.then_some(device);
    }
    let subsystem = device.kernel.remove("SUBSYSTEM");
    device.subsystem = mixed.get("SUBSYSTEM").map(BString::from).or(subsystem);
    let left_out: Vec<BString> = device
        .kernel
        .iter()
        .map(|(key, _)| key.into())
        .filter(|key: &BString| keys::is_left_out(key))
        .collect();
    for key in left_out {
        device.kernel.remove(&key);
    }
    for (key, value) in mixed.iter().filter(|(key, _)| **key != "SUBSYSTEM" && !keys::is_left_out(key)) {
        let to = match (has_kernel, keys::is_kernel(key)) {
            (false, true) => &mut device.kernel,
            (true, _) if device.kernel.get(key) == Some(value) => continue,
            _ => &mut device.udev,
        };
        let value = if key == "DEVNAME" && !has_kernel { node_name(value) } else { value.into() };
        // It was a property on the way in, so it is one now.
        let _refused = to.set(key, &value);
    }
    Some(device)
}

/// A node's name as the kernel gives it: without the directory, which udev puts in front.
fn node_name(value: &[u8]) -> BString {
    if !value.starts_with(b"/") {
        return value.into();
    }
    LinkName::new(value).map_or_else(|_| value.into(), |name| name.as_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &[u8] = b"P: /devices/pci0000:00/usb1/1-1\n\
        N: bus/usb/001/002=12010002\n\
        S: disk/by-id/usb-x\n\
        S: gps\n\
        E: DEVNAME=/dev/bus/usb/001/002\n\
        E: DEVTYPE=usb_device\n\
        E: ID_MODEL=a=b\n\
        E: MAJOR=189\n\
        E: MINOR=1\n\
        E: SUBSYSTEM=usb\n\
        E: USEC_INITIALIZED=12\n\
        A: idVendor=1546\\n\n\
        A: product=u-blox \\303\\251\n\
        A: power/control=auto\n\
        H: descriptors=1201FF00\n\
        L: driver=../../../../bus/usb/drivers/usb\n\
        \n\n\
        P: /devices/pci0000:00\n\
        E: SUBSYSTEM=pci";

    #[test]
    fn a_dump_is_read() {
        let recording = Recording::parse(DUMP).unwrap();
        let paths: Vec<_> = recording.devices().map(|d| d.path.to_string()).collect();
        assert_eq!(paths, ["/devices/pci0000:00", "/devices/pci0000:00/usb1/1-1"]);
        let usb = recording.device(b"/devices/pci0000:00/usb1/1-1").unwrap();
        assert_eq!(usb.subsystem.as_ref().unwrap(), "usb");
        assert_eq!(usb.uevent(), "DEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\nMAJOR=189\nMINOR=1\n");
        assert_eq!(usb.udev, [("ID_MODEL", "a=b")].into_iter().collect());
        assert_eq!(usb.symlinks, ["disk/by-id/usb-x", "gps"]);
        assert_eq!(usb.node.as_ref().unwrap().name, "bus/usb/001/002");
        assert_eq!(usb.node.as_ref().unwrap().contents.as_ref().unwrap(), b"\x12\x01\x00\x02".as_bstr());
        let attributes: Vec<_> = usb.attributes.iter().map(|(n, v)| (n.as_bstr(), v.as_bstr())).collect();
        let expected = [
            ("descriptors".into(), b"\x12\x01\xff\x00".as_bstr()),
            ("idVendor".into(), "1546\n".into()),
            ("power/control".into(), "auto".into()),
            ("product".into(), "u-blox é".into()),
        ];
        assert_eq!(attributes, expected);
        assert_eq!(usb.links.get(b"driver".as_bstr()).unwrap(), "../../../../bus/usb/drivers/usb");
    }

    #[test]
    fn the_kernels_lines_settle_what_is_udevs() {
        let text = b"P: /devices/a\nK: ACTION=add\nK: ODD=1\nK: DEVNAME=x\nK: SUBSYSTEM=s\nE: ODD=1\nE: DEVNAME=/dev/x\nE: PCI_ID=9";
        let recording = Recording::parse(text).unwrap();
        let device = recording.device(b"/devices/a").unwrap();
        assert_eq!(device.kernel, [("ODD", "1"), ("DEVNAME", "x")].into_iter().collect());
        assert_eq!(device.udev, [("DEVNAME", "/dev/x"), ("PCI_ID", "9")].into_iter().collect());
        assert_eq!(device.subsystem.as_ref().unwrap(), "s");
    }

    #[test]
    fn export_db_is_read() {
        let text = b"P: /devices/virtual/tty/tty1\nM: tty1\nR: 1\nU: tty\nD: c 4:1\nN: tty1\nL: 0\nV: x\nE: SUBSYSTEM=tty\n\nP: /module/loop\nM: loop\nE: SUBSYSTEM=module\n\n";
        let recording = Recording::parse(text).unwrap();
        assert_eq!(recording.devices().count(), 1);
        assert!(recording.device(b"/devices/virtual/tty/tty1").unwrap().links.is_empty());
        assert_eq!(Recording::parse(b""), Ok(Recording::default()));
    }

    #[test]
    fn files_beside_the_devices() {
        let text = b"P: /bus/pci\nA: slots/3/address=0000:05:00\\n\n\nP: /devices/a\nE: SUBSYSTEM=x\n";
        let recording = Recording::parse(text).unwrap();
        assert_eq!(recording.devices().count(), 1);
        let slots = recording.device(b"/bus/pci").unwrap();
        assert_eq!(slots.attributes.get(b"slots/3/address".as_bstr()).unwrap(), "0000:05:00\n");
        assert_eq!(Recording::parse(&recording.to_bytes()).unwrap(), recording);
    }

    #[test]
    fn errors_name_the_line() {
        let cases: &[(&[u8], RecordingError)] = &[
            (b"E: A=1\n", RecordingError::NoPath { line: 1 }),
            (b"\n\nP: /devices/a\nP: /devices/b\n", RecordingError::SecondPath { line: 4 }),
            (b"P: devices/a\n", RecordingError::Path { line: 1, source: IdError::NotAbsolute }),
            (
                b"P: /devices/a\nE: A\n",
                RecordingError::Property { line: 2, source: PropertyError::NoEquals("A".into()) },
            ),
            (b"P: /devices/a\nA: x\n", RecordingError::NoValue { line: 2 }),
            (b"P: /devices/a\nA: =x\n", RecordingError::NoValue { line: 2 }),
            (b"P: /devices/a\nH: x=0\n", RecordingError::Hex { line: 2 }),
            (b"P: /devices/a\nN: x=zz\n", RecordingError::Hex { line: 2 }),
            (b"P: /devices/a\nA:x=y\n", RecordingError::Line { line: 2 }),
            (b"P: /devices/a\n# comment\n", RecordingError::Line { line: 2 }),
            (b"\x7fELF", RecordingError::Line { line: 1 }),
        ];
        for (text, expected) in cases {
            assert_eq!(Recording::parse(text).as_ref(), Err(expected), "{}", text.as_bstr());
        }
        assert!(cases[0].1.to_string().starts_with("line 1: "));
    }
}
