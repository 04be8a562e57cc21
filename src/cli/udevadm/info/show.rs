//! Owns how `info` shows a device: lines with a letter in front, `KEY=VALUE`, JSON, a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::super::Refused;
use super::super::device::{Known, Machine, Order, bytes, kind_letter};
use super::super::select::{Filters, Kind, Wanted};
use crate::ids::DevPath;

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

/// How things are shown.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Names with the device directory.
    pub(super) root: bool,
    /// Only these properties; all, if empty.
    pub(super) only: Vec<String>,
    /// Values only.
    pub(super) value: bool,
    /// Values in quotes, this in front of the names.
    pub(super) prefix: Option<String>,
    pub(super) json: Json,
}

impl Form {
    fn wants(&self, key: &BString) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name.as_bytes() == key.as_bytes())
    }
}

pub(super) fn line(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    out.write_all(text)?;
    out.write_all(b"\n")
}

/// Nodes or links on one line.
pub(super) fn names(
    out: &mut dyn Write,
    paths: &[PathBuf],
    machine: &Machine,
    form: &Form,
) -> io::Result<()> {
    let below = |path: &PathBuf| match path.strip_prefix(&machine.roots.dev) {
        Ok(below) if !form.root => below.to_owned(),
        _ => path.clone(),
    };
    let names: Vec<_> = paths.iter().map(below).collect();
    line(out, &bstr::join(" ", names.iter().map(|path| bytes(path))))
}

/// Only the properties.
pub(super) fn properties(
    out: &mut dyn Write,
    machine: &Machine,
    known: &Known,
    order: Order,
    form: &Form,
) -> io::Result<()> {
    for (key, value) in known.properties(machine, order).iter().filter(|(key, _)| form.wants(key)) {
        match &form.prefix {
            Some(prefix) => line(out, &bstr::concat([prefix.as_bytes(), key, b"='", value, b"'"]))?,
            None if form.value => line(out, value)?,
            None => line(out, &bstr::concat([key.as_slice(), b"=", value]))?,
        }
    }
    Ok(())
}

/// All that is known.
pub(super) fn record(
    out: &mut dyn Write,
    machine: &Machine,
    known: &Known,
    order: Order,
    form: &Form,
) -> Result<(), Refused> {
    if form.json != Json::Off {
        return Ok(json(out, &object(machine, known, order), form.json)?);
    }
    for text in lines(machine, known, order) {
        line(out, &text)?;
    }
    line(out, b"")?;
    Ok(())
}

fn lines(machine: &Machine, known: &Known, order: Order) -> Vec<BString> {
    let mut out = Vec::new();
    let mut put = |letter: char, text: &[u8]| {
        out.push(BString::from(bstr::concat([format!("{letter}: ").as_bytes(), text])));
    };
    put('P', known.devpath().as_bytes());
    put('M', &known.device.sysname());
    known.sysnum().iter().for_each(|number| put('R', number));
    known.id().iter().for_each(|id| put('J', id));
    let subsystem = known.subsystem();
    subsystem.iter().for_each(|name| put('U', name));
    if subsystem.as_ref().is_some_and(|name| name == "drivers")
        && let Some(bus) = known.id().and_then(|id| id.splitn_str(3, b":").nth(1).map(BString::from))
    {
        put('B', &bus);
    }
    known.fact("DEVTYPE").into_iter().for_each(|kind| put('T', kind));
    if let Some(number) = known.device.devnum() {
        put('D', format!("{} {}:{}", kind_letter(number), number.major, number.minor).as_bytes());
    }
    if let Some(index) = known.device.ifindex() {
        put('I', index.to_string().as_bytes());
    }
    if let Some(node) = known.node() {
        put('N', node);
        put('L', known.record.as_ref().map_or(0, |record| record.priority).to_string().as_bytes());
        known.links().for_each(|link| put('S', link.as_bytes()));
    }
    known.fact("DISKSEQ").into_iter().for_each(|number| put('Q', number));
    known.driver(machine).iter().for_each(|name| put('V', name));
    for (key, value) in known.properties(machine, order) {
        put('E', &bstr::concat([key.as_slice(), b"=", &value]));
    }
    out
}

/// A JSON object whose keys stay in order.
pub(super) type Object = Vec<(String, serde_json::Value)>;

fn object(machine: &Machine, known: &Known, order: Order) -> Object {
    let text = |bytes: &[u8]| serde_json::Value::from(bytes.to_str_lossy().into_owned());
    let mut out = vec![("SYSNAME".to_owned(), text(&known.device.sysname()))];
    out.extend(known.sysnum().map(|number| ("SYSNUM".to_owned(), text(&number))));
    out.extend(known.id().map(|id| ("DEVICE_ID".to_owned(), text(&id))));
    let properties = known.properties(machine, order);
    out.extend(properties.iter().map(|(key, value)| (key.to_str_lossy().into_owned(), text(value))));
    out
}

/// Systemd's way of writing JSON for people: a space on both sides of the colon.
struct Spaced(serde_json::ser::PrettyFormatter<'static>);

impl serde_json::ser::Formatter for Spaced {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

/// Writes an object with its keys as they are ordered.
pub(super) fn json(out: &mut dyn Write, object: &Object, form: Json) -> io::Result<()> {
    struct Ordered<'o>(&'o Object);
    impl serde::Serialize for Ordered<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }
    match form {
        Json::Pretty => {
            let tab = Spaced(serde_json::ser::PrettyFormatter::with_indent(b"\t"));
            serde::Serialize::serialize(
                &Ordered(object),
                &mut serde_json::Serializer::with_formatter(&mut *out, tab),
            )?;
        }
        Json::Short | Json::Off | Json::Help => serde_json::to_writer(&mut *out, &Ordered(object))?,
    }
    writeln!(out)
}

/// The devices below one, and those above it; or all, buses, drivers and modules too.
pub(super) fn tree(out: &mut dyn Write, machine: &Machine, top: Option<&Known>) -> Result<(), Refused> {
    let own: Vec<DevPath> = top.map(Known::devpath).into_iter().collect();
    let kind = if top.is_some() { Kind::Devices } else { Kind::All };
    let mut all: BTreeMap<Vec<BString>, Known> = BTreeMap::new();
    let key = |path: &DevPath| path.as_bytes().split(|&b| b == b'/').map(BString::from).collect();
    for known in Filters::default().select(machine, kind, &own, Wanted::All) {
        all.insert(key(&known.devpath()), known);
    }
    let above = top.into_iter().flat_map(|known| known.device.chain().skip(1));
    for device in above.filter(|device| device.subsystem().is_some()) {
        let known = machine.known(device);
        all.insert(key(&known.devpath()), known);
    }
    let paths: Vec<DevPath> = all.values().map(Known::devpath).collect();
    let known: Vec<Known> = all.into_values().collect();
    let set: BTreeSet<DevPath> = paths.iter().cloned().collect();
    let parent =
        |path: &DevPath| std::iter::successors(path.parent(), DevPath::parent).find(|p| set.contains(p));
    let mut children: BTreeMap<Option<DevPath>, Vec<&Known>> = BTreeMap::new();
    for known in &known {
        children.entry(parent(&known.devpath())).or_default().push(known);
    }
    if known.is_empty() {
        let _nobody_reads = writeln!(io::stderr(), "No items.");
        return Ok(());
    }
    branch(out, machine, &children, None, "")?;
    writeln!(out, "\n{} items shown.", known.len())?;
    Ok(())
}

fn branch(
    out: &mut dyn Write,
    machine: &Machine,
    children: &BTreeMap<Option<DevPath>, Vec<&Known>>,
    parent: Option<&DevPath>,
    indent: &str,
) -> io::Result<()> {
    let below = children.get(&parent.cloned()).map(Vec::as_slice).unwrap_or_default();
    for (at, known) in below.iter().enumerate() {
        let (corner, bar) = if at + 1 == below.len() { ("└─", "  ") } else { ("├─", "│ ") };
        let path = known.devpath();
        let skip = parent.map_or(0, |parent| parent.as_bytes().len() + 1);
        let name = path.as_bytes().get(skip..).unwrap_or_default();
        line(out, &bstr::concat([indent.as_bytes(), corner.as_bytes(), name]))?;
        for text in lines(machine, known, Order::SubsystemFirst) {
            line(out, &bstr::concat([indent.as_bytes(), bar.as_bytes(), "┆ ".as_bytes(), &text]))?;
        }
        branch(out, machine, children, Some(&path), &format!("{indent}{bar}"))?;
    }
    Ok(())
}
