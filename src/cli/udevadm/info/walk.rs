//! `udevadm info --attribute-walk`: what rules can match of a device and of those above it, as rules write it.

use std::io::{self, Write};

use bstr::{BString, ByteSlice};

use super::super::device::{Known, Machine};
use super::super::json::{self, Json, Node};
use super::show::{self, Form};
use crate::device::Reader;

/// Attributes that say nothing, or that rules have other words for.
const SKIPPED: [&[u8]; 7] = [b"uevent", b"dev", b"modalias", b"resource", b"driver", b"subsystem", b"module"];

/// What stands for the value of an attribute that can only be written.
const UNREADABLE: &str = "(not readable)";

const HEAD: &str = "
Below are the device and the devices above it, each with all that udev
rules can match, in the form of such rules. One rule may match keys of
the device itself together with keys of ONE of the devices above it.
";

/// Shows a device and those above it.
pub(super) fn run(out: &mut dyn Write, machine: &Machine, known: &Known, form: &Form) -> io::Result<()> {
    let reader = Reader::new(machine.tree());
    if form.json == Json::Off {
        out.write_all(HEAD.as_bytes())?;
    }
    for (depth, device) in known.device.chain().enumerate() {
        let level = machine.known(device);
        let found = attributes(&reader, &level);
        if form.json == Json::Off {
            text(out, machine, &level, depth, &found)?;
        } else {
            // a record separator, as RFC 7464 has it
            out.write_all(b"\x1e")?;
            json::write(out, &object(machine, &level, depth, &found), form.json, form.look)?;
        }
    }
    Ok(())
}

/// Names and values of what is shown, sorted.
fn attributes(reader: &Reader<'_>, known: &Known) -> Vec<(BString, BString)> {
    let names = reader.attribute_names(&known.device).into_iter();
    let mut out: Vec<_> = names
        .filter(|name| !SKIPPED.contains(&name.as_slice()))
        .filter_map(|name| {
            let Some(value) = reader.attribute(&known.device, &name) else {
                let mode = reader.exists(&known.device, &name)?;
                return (mode & 0o444 == 0).then(|| (name, UNREADABLE.into()));
            };
            let value = value.trim_end_with(|c| c == '\n' || c == '\r');
            can_be_shown(value).then(|| (name, value.into()))
        })
        .collect();
    out.sort();
    out
}

/// False for a path, and for what can't be written in a rule.
fn can_be_shown(value: &[u8]) -> bool {
    !value.starts_with(b"/") && value.iter().all(|b| matches!(b, b' '..=b'~'))
}

fn plural(depth: usize) -> &'static str {
    if depth == 0 { "" } else { "S" }
}

fn text(
    out: &mut dyn Write,
    machine: &Machine,
    known: &Known,
    depth: usize,
    attributes: &[(BString, BString)],
) -> io::Result<()> {
    let (s, what) = (plural(depth), if depth == 0 { "device" } else { "parent device" });
    writeln!(out, "\n  looking at {what} '{}':", known.devpath())?;
    let keys = [
        ("KERNEL", Some(known.device.sysname())),
        ("SUBSYSTEM", known.subsystem()),
        ("DRIVER", known.driver(machine)),
    ];
    for (key, value) in keys {
        let value = value.unwrap_or_default();
        show::line(out, &bstr::concat([format!("    {key}{s}==\"").as_bytes(), &value, b"\""]))?;
    }
    for (name, value) in attributes {
        let key = format!("    ATTR{s}{{");
        show::line(out, &bstr::concat([key.as_bytes(), name, b"}==\"", value, b"\""]))?;
    }
    Ok(())
}

fn object(machine: &Machine, known: &Known, depth: usize, attributes: &[(BString, BString)]) -> Node {
    let s = plural(depth);
    let attributes =
        attributes.iter().map(|(name, value)| (name.to_str_lossy().into_owned(), Node::text(value)));
    Node::Object(vec![
        ("DEVPATH".into(), Node::text(known.devpath().as_bytes())),
        (format!("KERNEL{s}"), Node::text(known.device.sysname())),
        (format!("SUBSYSTEM{s}"), Node::or_null(known.subsystem())),
        (format!("DRIVER{s}"), Node::or_null(known.driver(machine))),
        (format!("ATTR{s}"), Node::Object(attributes.collect())),
    ])
}
