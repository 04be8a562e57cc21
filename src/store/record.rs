//! Owns the record of one device and its text: the lines of udev's `data/ID` files, as `udev(7)`'s own readers know them.
//!
//! | line | what it says |
//! |---|---|
//! | `N:NODE` | node, relative to the device directory; only in nameplate's own database, readers of udev's skip it |
//! | `S:LINK` | a link that the device claims |
//! | `L:N` | priority of the links, if not 0 |
//! | `I:N` | when the device was first handled, in µs of the monotonic clock |
//! | `E:KEY=VALUE` | a property found by rules or builtins, in the order in which they were set; keys that begin with `.` are never written |
//! | `G:TAG` | a tag that the device has ever had |
//! | `Q:TAG` | a tag that it has now |
//! | `V:1` | version of the form, last |
//!
//! A record that says nothing of its device is an empty text: the device was handled, and that is all.
//!
//! Pure: bytes in, bytes out. What could forge a line (a newline in a value) can't be in a [`Record`], since links, tags
//! and properties are checked when they are made. Where the text is kept is `files`' business.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use crate::ids::{LinkName, Tag};
use crate::properties::Properties;

/// What is kept of one device from event to event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The device's node, so that its links can be told from others when it has gone; left out of udev's database.
    pub node: Option<LinkName>,
    /// Links that the device claims, whether it has them or not. Only devices with a node have any.
    pub links: BTreeSet<LinkName>,
    /// Priority of all its links.
    pub priority: i32,
    /// When the device was first handled: µs of the monotonic clock; never 0.
    pub init_usec: Option<u64>,
    /// Properties that rules and builtins set; not the kernel's.
    pub properties: Properties,
    /// Tags that the device has ever had.
    pub tags: BTreeSet<Tag>,
    /// Tags that the last event gave it.
    pub current_tags: BTreeSet<Tag>,
    /// The file outlives the clean-up between initramfs and root file system. No line says so: the file's sticky bit does.
    pub persist: bool,
}

/// A line that says nothing that can be kept. It costs itself alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}: `{text}`")]
pub struct Problem {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
    /// The line.
    pub text: BString,
}

impl Record {
    /// True when it says something of the device; its node, and when it was first handled, alone are nothing.
    pub fn says_something(&self) -> bool {
        let (node, init_usec, persist) = (self.node.clone(), self.init_usec, self.persist);
        *self != Record { node, init_usec, persist, ..Record::default() }
    }

    /// The record as text.
    pub fn to_bytes(&self) -> Vec<u8> {
        if !self.says_something() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(256);
        let mut line = |letter: u8, parts: &[&[u8]]| {
            out.extend_from_slice(&[letter, b':']);
            for part in parts {
                out.extend_from_slice(part);
            }
            out.push(b'\n');
        };
        if let Some(node) = &self.node {
            line(b'N', &[node.as_bytes()]);
        }
        for link in &self.links {
            line(b'S', &[link.as_bytes()]);
        }
        if self.priority != 0 {
            line(b'L', &[self.priority.to_string().as_bytes()]);
        }
        if let Some(usec) = self.init_usec.filter(|&usec| usec != 0) {
            line(b'I', &[usec.to_string().as_bytes()]);
        }
        for (key, value) in self.properties.in_order().filter(|(key, _)| !key.starts_with(b".")) {
            line(b'E', &[key, b"=", value]);
        }
        for tag in &self.tags {
            line(b'G', &[tag.as_str().as_bytes()]);
        }
        for tag in &self.current_tags {
            line(b'Q', &[tag.as_str().as_bytes()]);
        }
        line(b'V', &[b"1"]);
        out
    }

    /// A property as libudev shows it: one of the record's own, or what its links, tags and time make. `dev` is the
    /// device directory.
    pub fn shown(&self, key: &[u8], dev: &[u8]) -> Option<BString> {
        match key {
            b"DEVLINKS" if !self.links.is_empty() => {
                let paths = self.links.iter().map(|link| bstr::concat([dev, b"/", link.as_bytes()]));
                Some(bstr::join(" ", paths).into())
            }
            b"TAGS" => Tag::list(&self.tags),
            b"CURRENT_TAGS" => Tag::list(&self.current_tags),
            b"USEC_INITIALIZED" => self.init_usec.map(|usec| usec.to_string().into()),
            _ => self.properties.get(key).map(BString::from),
        }
    }

    /// Reads a record's text. Lines of letters that are not known are skipped, as are empty lines; a line that can't be
    /// read is told and skipped. Without a `V:` line (databases from before 2020) the tags are the current tags too.
    pub fn parse(text: &[u8]) -> (Self, Vec<Problem>) {
        let mut record = Self::default();
        let mut problems = Vec::new();
        let mut version = 0u32;
        for (at, line) in text.lines_with_terminator().enumerate() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if let Err(what) = record.take_line(line, &mut version) {
                problems.push(Problem { line: at + 1, what, text: line.into() });
            }
        }
        if version == 0 {
            let older = record.tags.clone();
            record.current_tags.extend(older);
        }
        (record, problems)
    }

    fn take_line(&mut self, line: &[u8], version: &mut u32) -> Result<(), &'static str> {
        let (letter, value) = match line {
            [letter, b':', value @ ..] => (*letter, value),
            _ => return Err("not a letter, a colon and a value"),
        };
        match letter {
            b'N' => self.node = Some(LinkName::new(value).map_err(|_| "not a node's name")?),
            b'S' => {
                self.links.insert(LinkName::new(value).map_err(|_| "not a link's name")?);
            }
            b'L' => self.priority = number(value).ok_or("not a priority")?,
            b'I' => self.init_usec = Some(number(value).filter(|&usec| usec != 0).ok_or("not a time")?),
            b'E' => self.properties.set_line(value).map_err(|_| "not a property")?,
            b'G' => {
                self.tags.insert(Tag::new(value).map_err(|_| "not a tag")?);
            }
            b'Q' => {
                self.current_tags.insert(Tag::new(value).map_err(|_| "not a tag")?);
            }
            b'V' => *version = number(value).ok_or("not a version")?,
            _ => {}
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    text.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(name: &str) -> LinkName {
        LinkName::new(name.as_bytes()).unwrap()
    }

    fn tag(name: &str) -> Tag {
        Tag::new(name.as_bytes()).unwrap()
    }

    /// As a systemd 257 writes it for a partition and for a network interface.
    const PARTITION: &[u8] =
        b"S:disk/by-id/wwn-0x5000-part1\nS:disk/by-label/a\\x20b\nL:-100\nI:2741022\nE:ID_FS_LABEL=a=b\n\
          E:ID_MODEL=\xff disk \nG:systemd\nG:uaccess\nQ:systemd\nV:1\n";
    const INTERFACE: &[u8] = b"I:1600321\nE:ID_NET_NAME=eth0\nV:1\n";

    #[test]
    fn udevs_text_is_read_and_written_again() {
        let (record, problems) = Record::parse(PARTITION);
        assert_eq!(problems, []);
        assert_eq!(
            record,
            Record {
                node: None,
                links: [link("disk/by-id/wwn-0x5000-part1"), link("disk/by-label/a\\x20b")].into(),
                priority: -100,
                init_usec: Some(2_741_022),
                properties: [("ID_FS_LABEL", &b"a=b"[..]), ("ID_MODEL", b"\xff disk ")].into_iter().collect(),
                tags: [tag("systemd"), tag("uaccess")].into(),
                current_tags: [tag("systemd")].into(),
                persist: false,
            }
        );
        for text in [PARTITION, INTERFACE, b"", b"N:sda1\nS:x\nV:1\n"] {
            assert_eq!(Record::parse(text).0.to_bytes().as_bstr(), text.as_bstr());
        }
    }

    #[test]
    fn odd_text_costs_itself_alone() {
        // (text, expected record's text, lines told)
        let cases: &[(&[u8], &[u8], &[usize])] = &[
            (b"", b"", &[]),
            (b"V:1\n", b"", &[]),
            (b"W:12\nx:y\n\nI:5\nE:A=1\nV:1\n", b"I:5\nE:A=1\nV:1\n", &[]),
            (b"S:../etc/passwd\nS:a\nV:1\n", b"S:a\nV:1\n", &[1]),
            (b"I:0\nI:-1\nI:x\nI:7\nE:A=1\nV:1", b"I:7\nE:A=1\nV:1\n", &[1, 2, 3]),
            (b"L:99999999999\nE:=x\nE:novalue\nE:K=\nV:1\n", b"E:K=\nV:1\n", &[1, 2, 3]),
            (b"G:a b\nQ:\nQ:ok\nnonsense\nV:1\n", b"Q:ok\nV:1\n", &[1, 2, 4]),
            (b"G:old\n", b"G:old\nQ:old\nV:1\n", &[]),
            (b"G:old\nQ:new\nV:1\n", b"G:old\nQ:new\nV:1\n", &[]),
            (b"E:A=\0\nE:B=\r\nV:1\n", b"E:B=\r\nV:1\n", &[1]),
        ];
        for (text, expected, told) in cases {
            let (record, problems) = Record::parse(text);
            assert_eq!(record.to_bytes().as_bstr(), expected.as_bstr(), "{}", text.as_bstr());
            assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), *told, "{}", text.as_bstr());
        }
    }

    #[test]
    fn private_properties_are_not_written() {
        let properties = [(".SCRATCH", "1"), ("KEPT", "2")].into_iter().collect();
        let record = Record { properties, ..Record::default() };
        assert_eq!(record.to_bytes().as_bstr(), "E:KEPT=2\nV:1\n");
    }

    fn records() -> impl Strategy<Value = Record> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..20);
        let links = prop::collection::vec(bytes(), 0..4);
        let tags = || prop::collection::btree_set("[A-Za-z0-9_-]{1,8}", 0..3);
        let properties = prop::collection::vec((bytes(), bytes()), 0..5);
        (links, any::<i32>(), prop::option::of(1u64..), properties, tags(), tags()).prop_map(
            |(links, priority, init_usec, properties, tags, current)| Record {
                node: None,
                links: links.iter().filter_map(|l| LinkName::new(l).ok()).collect(),
                priority,
                init_usec,
                properties: properties.into_iter().filter(|(key, _)| !key.starts_with(b".")).collect(),
                tags: tags.iter().map(|t| tag(t)).collect(),
                current_tags: current.iter().map(|t| tag(t)).collect(),
                persist: false,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(record in records()) {
            let text = record.to_bytes();
            prop_assume!(record.says_something());
            let lines = 1 + record.links.len() + record.properties.len() + record.tags.len()
                + record.current_tags.len() + usize::from(record.priority != 0) + usize::from(record.init_usec.is_some());
            prop_assert_eq!(text.iter().filter(|&&b| b == b'\n').count(), lines);
            prop_assert_eq!(Record::parse(&text), (record, vec![]));
        }

        #[test]
        fn any_bytes_are_read(text in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b'E'), any::<u8>()], 0..200)) {
            let (record, _) = Record::parse(&text);
            let again = Record::parse(&record.to_bytes());
            prop_assert!(again.1.is_empty());
        }
    }
}
