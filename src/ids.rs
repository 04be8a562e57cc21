//! Owns the checked newtypes of the field: devpath, action, device number, device id, link name, tag, sequence number.
//!
//! All hold bytes as the kernel or a rule gave them, checked once on the way in. Never reads the file system.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use bstr::{BStr, BString, ByteSlice};

/// Why a byte string is not a valid name of its kind. The message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The value has no bytes.
    #[error("empty name")]
    Empty,
    /// A devpath has to begin with `/`.
    #[error("a device path begins with `/`")]
    NotAbsolute,
    /// A link name is relative to the device directory.
    #[error("a link name is relative to /dev: leave out the leading `/`")]
    Absolute,
    /// A NUL or another control byte (below 0x20, or 0x7f).
    #[error("control byte 0x{0:02x} in a name")]
    ControlByte(u8),
    /// A `.` or `..` component.
    #[error("a `.` or `..` component: the name would leave its directory")]
    DotComponent,
    /// Two slashes in a row, or one at the end.
    #[error("empty path component")]
    EmptyComponent,
    /// Longer than the kernel takes (4,095 bytes for a path, 255 for one component).
    #[error("name too long ({0} bytes)")]
    TooLong(usize),
    /// A tag has a byte outside `A-Z a-z 0-9 _ -`.
    #[error("a tag holds only letters, digits, `-` and `_`")]
    TagByte,
    /// Not one of the eight actions of the kernel.
    #[error("not an action: use add, remove, change, move, online, offline, bind or unbind")]
    Action,
    /// Not a device id as `b8:1`, `c4:64`, `n3` or `+usb:1-1`.
    #[error("not a device id: use bMAJOR:MINOR, cMAJOR:MINOR, nIFINDEX or +SUBSYSTEM:NAME")]
    DeviceId,
}

/// Longest path the kernel takes, without the NUL (`PATH_MAX - 1`).
const PATH_MAX: usize = 4095;
/// Longest path component the kernel takes (`NAME_MAX`).
const NAME_MAX: usize = 255;

fn check_components(path: &[u8]) -> Result<(), IdError> {
    if path.len() > PATH_MAX {
        return Err(IdError::TooLong(path.len()));
    }
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" => return Err(IdError::EmptyComponent),
            b"." | b".." => return Err(IdError::DotComponent),
            _ if part.len() > NAME_MAX => return Err(IdError::TooLong(part.len())),
            _ => {}
        }
    }
    Ok(())
}

/// A device's path below `/sys`, as in a uevent's `DEVPATH`: `/devices/…`, no NUL, no `.` or `..`, no empty component.
///
/// Bytes above 0x7f and control bytes other than NUL are kept: the kernel does not promise text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevPath(Box<[u8]>);

impl DevPath {
    /// Checks `path`. Errors: [`IdError::NotAbsolute`], [`IdError::ControlByte`] for NUL, [`IdError::EmptyComponent`],
    /// [`IdError::DotComponent`], [`IdError::TooLong`].
    pub fn new(path: &[u8]) -> Result<Self, IdError> {
        let rest = path.strip_prefix(b"/").ok_or(IdError::NotAbsolute)?;
        if path.contains(&0) {
            return Err(IdError::ControlByte(0));
        }
        check_components(rest)?;
        Ok(Self(path.into()))
    }

    /// A path put together from the parts of one that was checked: not checked again.
    pub(crate) fn of_checked_parts(path: Vec<u8>) -> Self {
        debug_assert!(Self::new(&path).is_ok(), "{}", BStr::new(&path));
        Self(path.into())
    }

    /// The whole path, leading `/` included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path relative to `/sys`: without the leading `/`.
    pub fn relative(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// The last component, as it stands in sysfs (`cciss!c0d0`).
    pub fn last(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// The kernel's name of the device: the last component with `!` as `/` (`cciss/c0d0`).
    pub fn sysname(&self) -> BString {
        sysname(self.last())
    }

    /// The path without its last component; `None` for a path of one component.
    pub fn parent(&self) -> Option<DevPath> {
        match self.0.rfind_byte(b'/')? {
            0 => None,
            at => self.0.get(..at).map(|p| DevPath(p.into())),
        }
    }

    /// True when `self` is a strict ancestor of `other`.
    pub fn is_ancestor_of(&self, other: &DevPath) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.first() == Some(&b'/'))
    }
}

/// A sysfs file name as the kernel's device name: `!` stands for `/`.
pub fn sysname(file_name: &[u8]) -> BString {
    file_name.replace(b"!", b"/").into()
}

/// The trailing decimal digits of a kernel name, empty if there are none or if the name is only digits
/// (as `udev_device_get_sysnum(3)`).
pub fn sysnum(sysname: &[u8]) -> &[u8] {
    let digits = sysname.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if digits == sysname.len() { b"" } else { sysname.get(sysname.len() - digits..).unwrap_or_default() }
}

/// What happened to a device; the kernel's `enum kobject_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The device appeared.
    Add,
    /// The device is gone.
    Remove,
    /// Something about the device is different: medium, size, capabilities.
    Change,
    /// The device has a new devpath; `DEVPATH_OLD` holds the old one.
    Move,
    /// A CPU or memory block went online.
    Online,
    /// A CPU or memory block went offline.
    Offline,
    /// A driver was bound.
    Bind,
    /// A driver was unbound.
    Unbind,
}

impl Action {
    /// All actions, in the kernel's order.
    pub const ALL: [Action; 8] = [
        Action::Add,
        Action::Remove,
        Action::Change,
        Action::Move,
        Action::Online,
        Action::Offline,
        Action::Bind,
        Action::Unbind,
    ];

    /// The kernel's word, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Add => "add",
            Action::Remove => "remove",
            Action::Change => "change",
            Action::Move => "move",
            Action::Online => "online",
            Action::Offline => "offline",
            Action::Bind => "bind",
            Action::Unbind => "unbind",
        }
    }

    /// The action of that word. Error: [`IdError::Action`].
    pub fn parse(word: &[u8]) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|a| a.as_str().as_bytes() == word).ok_or(IdError::Action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Action {
    type Err = IdError;

    fn from_str(word: &str) -> Result<Self, IdError> {
        Self::parse(word.as_bytes())
    }
}

/// Block or character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A block device (`subsystem` is `block`).
    Block,
    /// A character device: every other device with a number.
    Char,
}

/// The number of a device node: kind, major, minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevNum {
    /// Block or character.
    pub kind: NodeKind,
    /// Major number (12 bits in the kernel, more in userspace's encoding).
    pub major: u32,
    /// Minor number (20 bits in the kernel).
    pub minor: u32,
}

/// The index of a network interface; never 0.
pub type IfIndex = NonZeroU32;

/// A uevent's sequence number: counts up by one for each event of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SeqNum(pub u64);

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name under which a device's record is kept: `b8:1`, `c4:64`, `n3`, `+usb:1-1`, `+drivers:usb:hub`.
///
/// `/` in the last part is written as `!`, as sysfs does, so that an id is always a valid file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// A device with a node.
    Node(DevNum),
    /// A network interface.
    Net(IfIndex),
    /// Any other device, by subsystem and sysfs file name.
    Named {
        /// The subsystem; for a driver `drivers:BUS`.
        subsystem: BString,
        /// The file name in sysfs.
        name: BString,
    },
}

impl DeviceId {
    /// The id as it stands in file names.
    pub fn to_bytes(&self) -> BString {
        match self {
            DeviceId::Node(n) => {
                let kind = if n.kind == NodeKind::Block { 'b' } else { 'c' };
                format!("{kind}{}:{}", n.major, n.minor).into()
            }
            DeviceId::Net(index) => format!("n{index}").into(),
            DeviceId::Named { subsystem, name } => {
                let mut out = BString::from("+");
                out.extend_from_slice(subsystem);
                out.push(b':');
                out.extend_from_slice(&name.replace(b"/", b"!"));
                out
            }
        }
    }

    /// Reads what [`DeviceId::to_bytes`] writes. Error: [`IdError::DeviceId`].
    pub fn parse(text: &[u8]) -> Result<Self, IdError> {
        let (&kind, rest) = text.split_first().ok_or(IdError::DeviceId)?;
        match kind {
            b'b' => Ok(DeviceId::Node(parse_numbers(NodeKind::Block, rest)?)),
            b'c' => Ok(DeviceId::Node(parse_numbers(NodeKind::Char, rest)?)),
            b'n' => parse_decimal(rest).and_then(IfIndex::new).map(DeviceId::Net).ok_or(IdError::DeviceId),
            b'+' => {
                let at =
                    if rest.starts_with(b"drivers:") { rest.rfind_byte(b':') } else { rest.find_byte(b':') };
                let (subsystem, name) = at.map(|at| rest.split_at(at)).ok_or(IdError::DeviceId)?;
                let name = name.get(1..).unwrap_or_default();
                if subsystem.is_empty() || name.is_empty() || rest.contains(&b'/') || rest.contains(&0) {
                    return Err(IdError::DeviceId);
                }
                Ok(DeviceId::Named { subsystem: subsystem.into(), name: name.into() })
            }
            _ => Err(IdError::DeviceId),
        }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_bytes(), f)
    }
}

fn parse_decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.to_str().ok()?.parse().ok()
}

/// Reads `MAJOR:MINOR`. Error: [`IdError::DeviceId`].
pub fn parse_numbers(kind: NodeKind, text: &[u8]) -> Result<DevNum, IdError> {
    let (major, minor) = text.split_once_str(b":").ok_or(IdError::DeviceId)?;
    match (parse_decimal(major), parse_decimal(minor)) {
        (Some(major), Some(minor)) => Ok(DevNum { kind, major, minor }),
        _ => Err(IdError::DeviceId),
    }
}

/// The name of a link, relative to the device directory: no leading `/`, no `.` or `..`, no control bytes,
/// at most 4,095 bytes, each component at most 255.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(Box<[u8]>);

impl LinkName {
    /// Checks `name`; runs of `/` count as one and a leading `/dev/` is dropped, as udev does.
    pub fn new(name: &[u8]) -> Result<Self, IdError> {
        let name = name.strip_prefix(b"/dev/").unwrap_or(name);
        if name.first() == Some(&b'/') {
            return Err(IdError::Absolute);
        }
        if let Some(&b) = name.iter().find(|b| b.is_ascii_control()) {
            return Err(IdError::ControlByte(b));
        }
        let parts: Vec<&[u8]> = name.split(|&b| b == b'/').filter(|p| !p.is_empty()).collect();
        let joined = parts.join(&b'/');
        if joined.is_empty() {
            return Err(IdError::Empty);
        }
        check_components(&joined)?;
        Ok(Self(joined.into()))
    }

    /// The name below the device directory.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A tag: letters, digits, `-` and `_`, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// Checks `tag`. Errors: [`IdError::Empty`], [`IdError::TagByte`], [`IdError::TooLong`].
    pub fn new(tag: &[u8]) -> Result<Self, IdError> {
        if tag.is_empty() {
            return Err(IdError::Empty);
        }
        if tag.len() > NAME_MAX {
            return Err(IdError::TooLong(tag.len()));
        }
        match tag.to_str() {
            Ok(text) if tag.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) => {
                Ok(Self(text.into()))
            }
            _ => Err(IdError::TagByte),
        }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tags as the properties `TAGS` and `CURRENT_TAGS` list them, `:a:b:`; `None` for no tag.
    pub fn list<'t>(tags: impl IntoIterator<Item = &'t Self>) -> Option<BString> {
        let names: Vec<&str> = tags.into_iter().map(Self::as_str).collect();
        (!names.is_empty()).then(|| format!(":{}:", names.join(":")).into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! show_bytes {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(BStr::new(&self.0), f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(BStr::new(&self.0), f)
            }
        }
    )*};
}
show_bytes!(DevPath, LinkName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devpaths() {
        let cases: &[(&[u8], Result<(), IdError>)] = &[
            (b"/devices/virtual/net/lo", Ok(())),
            (b"/devices/\xff\xfe", Ok(())),
            (b"devices/x", Err(IdError::NotAbsolute)),
            (b"/devices//x", Err(IdError::EmptyComponent)),
            (b"/devices/x/", Err(IdError::EmptyComponent)),
            (b"/devices/../etc", Err(IdError::DotComponent)),
            (b"/dev\0ices", Err(IdError::ControlByte(0))),
            (b"/", Err(IdError::EmptyComponent)),
        ];
        for (path, expected) in cases {
            assert_eq!(DevPath::new(path).map(drop), *expected, "{}", BStr::new(path));
        }
    }

    #[test]
    fn devpath_parts() {
        let path = DevPath::new(b"/devices/pci/cciss!c0d0").unwrap();
        assert_eq!(path.sysname(), "cciss/c0d0");
        assert_eq!(path.parent().unwrap().as_bytes(), b"/devices/pci");
        let parent = DevPath::new(b"/devices/pci").unwrap();
        assert!(parent.is_ancestor_of(&path));
        assert!(!parent.is_ancestor_of(&DevPath::new(b"/devices/pci2").unwrap()));
        assert!(!path.is_ancestor_of(&path));
    }

    #[test]
    fn sysnums() {
        for (name, expected) in [("ttyUSB12", "12"), ("sda", ""), ("1-1", "1"), ("42", ""), ("", "")] {
            assert_eq!(BStr::new(sysnum(name.as_bytes())), expected, "{name}");
        }
    }

    #[test]
    fn device_ids() {
        for text in ["b8:1", "c4:64", "n3", "+usb:1-1", "+drivers:usb:hub", "+pci:0000:00:1f.2"] {
            assert_eq!(DeviceId::parse(text.as_bytes()).unwrap().to_string(), text);
        }
        for text in ["", "b8", "b8:x", "n0", "n-1", "+usb", "+:x", "+usb:", "x1:2", "+usb:a/b", "b+8:1"] {
            assert_eq!(DeviceId::parse(text.as_bytes()), Err(IdError::DeviceId), "{text}");
        }
    }

    #[test]
    fn link_names() {
        let ok = [
            ("gps", "gps"),
            ("/dev/gps", "gps"),
            ("disk//by-id/x", "disk/by-id/x"),
            ("a/", "a"),
            ("ü ß", "ü ß"),
        ];
        for (given, expected) in ok {
            assert_eq!(LinkName::new(given.as_bytes()).unwrap().as_bytes(), expected.as_bytes());
        }
        let bad = [
            ("", IdError::Empty),
            ("/", IdError::Absolute),
            ("/etc/passwd", IdError::Absolute),
            ("../etc/passwd", IdError::DotComponent),
            ("a/../b", IdError::DotComponent),
            ("./a", IdError::DotComponent),
            ("a\nb", IdError::ControlByte(b'\n')),
        ];
        for (given, expected) in bad {
            assert_eq!(LinkName::new(given.as_bytes()), Err(expected), "{given:?}");
        }
        assert_eq!(LinkName::new(&[b'a'; 256]), Err(IdError::TooLong(256)));
    }

    #[test]
    fn tags() {
        assert_eq!(Tag::new(b"uaccess").unwrap().as_str(), "uaccess");
        for bad in ["", "a b", "a/b", "ä"] {
            assert!(Tag::new(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
