//! Owns JSON as systemd's tools write it: keys in the order in which they were put, and on several lines with a space on
//! both sides of the colon.

use std::io::{self, Write};

use bstr::ByteSlice;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::look::Look;

/// Whether and how JSON is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Json {
    /// Several lines.
    Pretty,
    /// One line for each device.
    Short,
    /// Not at all.
    Off,
    /// Only the names of these.
    Help,
}

/// What `help` prints.
pub(super) const HELP: &str = "pretty\nshort\noff\n";

/// A value, with objects whose keys stay in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Plain(Value),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Text, with what is no UTF-8 replaced.
    pub(super) fn text(bytes: impl AsRef<[u8]>) -> Self {
        Self::Plain(bytes.as_ref().to_str_lossy().into_owned().into())
    }

    /// The same, or nothing.
    pub(super) fn or_null(bytes: Option<impl AsRef<[u8]>>) -> Self {
        bytes.map_or(Self::Plain(Value::Null), Self::text)
    }
}

impl<T: Into<Value>> From<T> for Node {
    fn from(value: T) -> Self {
        Self::Plain(value.into())
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Plain(value) => value.serialize(serializer),
            Node::List(list) => serializer.collect_seq(list),
            Node::Object(pairs) => serializer.collect_map(pairs.iter().map(|(key, value)| (key, value))),
        }
    }
}

/// Writes a value and ends the line.
pub(super) fn write(out: &mut dyn Write, node: &Node, form: Json, look: Look) -> io::Result<()> {
    match form {
        Json::Pretty => {
            let spaced = Spaced { lines: PrettyFormatter::with_indent(b"\t"), colour: look.colour };
            node.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, spaced))?;
        }
        Json::Short | Json::Off | Json::Help => serde_json::to_writer(&mut *out, node)?,
    }
    writeln!(out)
}

/// For people.
struct Spaced {
    lines: PrettyFormatter<'static>,
    colour: bool,
}

impl Spaced {
    fn ink<W: ?Sized + Write>(&self, out: &mut W, code: &str) -> io::Result<()> {
        if self.colour { write!(out, "\x1b[0{code}m") } else { Ok(()) }
    }

    fn painted<W: ?Sized + Write>(&self, out: &mut W, code: &str, text: &str) -> io::Result<()> {
        self.ink(out, code)?;
        out.write_all(text.as_bytes())?;
        self.ink(out, "")
    }
}

impl Formatter for Spaced {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.lines.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.end_object_value(out)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.lines.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.lines.end_array_value(out)
    }

    fn begin_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\"")?;
        self.ink(out, ";32")
    }

    fn end_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.ink(out, "")?;
        out.write_all(b"\"")
    }

    fn write_null<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.painted(out, ";1;39", "null")
    }

    fn write_bool<W: ?Sized + Write>(&mut self, out: &mut W, value: bool) -> io::Result<()> {
        self.painted(out, ";1;39", if value { "true" } else { "false" })
    }

    fn write_i64<W: ?Sized + Write>(&mut self, out: &mut W, value: i64) -> io::Result<()> {
        self.painted(out, ";1;34", &value.to_string())
    }

    fn write_u64<W: ?Sized + Write>(&mut self, out: &mut W, value: u64) -> io::Result<()> {
        self.painted(out, ";1;34", &value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings as systemd 257's `udevadm info --json` writes them, with `SYSTEMD_COLORS=1` and without.
    #[test]
    fn both_forms() {
        let node = Node::Object(vec![
            ("Z".into(), Node::text("a")),
            ("A".into(), Node::or_null(None::<&str>)),
            ("L".into(), Node::List(vec![Node::text("x")])),
        ]);
        let written = |form, colour| {
            let mut out = Vec::new();
            write(&mut out, &node, form, Look { colour, utf8: true }).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Json::Short, true), "{\"Z\":\"a\",\"A\":null,\"L\":[\"x\"]}\n");
        let plain = "{\n\t\"Z\" : \"a\",\n\t\"A\" : null,\n\t\"L\" : [\n\t\t\"x\"\n\t]\n}\n";
        assert_eq!(written(Json::Pretty, false), plain);
        let coloured = written(Json::Pretty, true);
        assert!(coloured.contains("\t\"\x1b[0;32mZ\x1b[0m\" : \"\x1b[0;32ma\x1b[0m\",\n"), "{coloured}");
        assert!(coloured.contains(" : \x1b[0;1;39mnull\x1b[0m,\n"), "{coloured}");
    }
}
