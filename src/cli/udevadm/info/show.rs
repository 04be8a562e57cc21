//! Owns how `info` shows a device: lines with a letter in front, `KEY=VALUE`, JSON, a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::super::Refused;
use super::super::device::{Known, Machine, Order, bytes, kind_letter};
use super::super::json::{self, Json, Node};
use super::super::look::Look;
use super::super::select::{Filters, Kind, Wanted};
use crate::ids::DevPath;

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
    pub(super) look: Look,
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
        return Ok(json::write(out, &object(machine, known, order), form.json, form.look)?);
    }
    lines(out, machine, known, order, form.look, "")?;
    line(out, b"")?;
    Ok(())
}

/// The lines of a device, each with `indent` in front.
fn lines(
    out: &mut dyn Write,
    machine: &Machine,
    known: &Known,
    order: Order,
    look: Look,
    indent: &str,
) -> io::Result<()> {
    let mut result = Ok(());
    let mut put = |letter: char, text: &[u8]| {
        if result.is_ok() {
            let head = format!("{indent}{letter}: ");
            result = line(out, &bstr::concat([head.as_bytes(), &look.paint(letter, text)]));
        }
    };
    put('P', known.devpath().as_bytes());
    put('M', &known.device.sysname());
    known.sysnum().iter().for_each(|number| put('R', number));
    known.id().iter().for_each(|id| put('J', id));
    known.subsystem().iter().for_each(|name| put('U', name));
    known.driver_subsystem().iter().for_each(|bus| put('B', bus));
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
    result
}

fn object(machine: &Machine, known: &Known, order: Order) -> Node {
    let mut out = vec![("SYSNAME".to_owned(), Node::text(known.device.sysname()))];
    out.extend(known.sysnum().map(|number| ("SYSNUM".to_owned(), Node::text(number))));
    out.extend(known.id().map(|id| ("DEVICE_ID".to_owned(), Node::text(id))));
    let properties = known.properties(machine, order);
    out.extend(properties.iter().map(|(key, value)| (key.to_str_lossy().into_owned(), Node::text(value))));
    Node::Object(out)
}

/// The devices below one, and those above it; or all, buses, drivers and modules too.
pub(super) fn tree(
    out: &mut dyn Write,
    machine: &Machine,
    top: Option<&Known>,
    look: Look,
) -> Result<(), Refused> {
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
    let tree = Branches { machine, children: &children, look };
    tree.write(out, None, "")?;
    writeln!(out, "\n{} items shown.", known.len())?;
    Ok(())
}

/// What the branches of a tree are made of.
struct Branches<'t> {
    machine: &'t Machine,
    children: &'t BTreeMap<Option<DevPath>, Vec<&'t Known>>,
    look: Look,
}

impl Branches<'_> {
    /// All that is below `parent`.
    fn write(&self, out: &mut dyn Write, parent: Option<&DevPath>, indent: &str) -> io::Result<()> {
        let [corner, last_corner, bar, last_bar, beside] = self.look.branches();
        let below = self.children.get(&parent.cloned()).map(Vec::as_slice).unwrap_or_default();
        for (at, known) in below.iter().enumerate() {
            let is_last = at + 1 == below.len();
            let (corner, bar) = if is_last { (last_corner, last_bar) } else { (corner, bar) };
            let path = known.devpath();
            let skip = parent.map_or(0, |parent| parent.as_bytes().len() + 1);
            let name = path.as_bytes().get(skip..).unwrap_or_default();
            line(out, &bstr::concat([indent.as_bytes(), corner.as_bytes(), name]))?;
            let own = format!("{indent}{bar}{beside}");
            lines(out, self.machine, known, Order::SubsystemFirst, self.look, &own)?;
            self.write(out, Some(&path), &format!("{indent}{bar}"))?;
        }
        Ok(())
    }
}
