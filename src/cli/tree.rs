//! `nameplate tree`: the devices as a tree.

use std::collections::HashMap;
use std::io::{self, Write};

use bstr::ByteSlice;
use serde::Serialize;

use super::context::Context;
use super::dry::Machine;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::device::{Device, Tree};
use crate::ids::DevPath;

/// Show the devices as a tree
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only this device and what is below it: node, link, /sys path, devpath or device id
    #[arg(value_name = "DEVICE")]
    pub(super) device: Option<std::ffi::OsString>,
    /// A list in the order in which devices can be switched off: children and consumers first
    #[arg(long)]
    pub(super) power_off_order: bool,
    /// Take the devices from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// A device in the tree, as JSON shows it.
#[derive(Debug, Serialize)]
struct Entry {
    devpath: String,
    subsystem: Option<String>,
    /// Its node with the device directory.
    node: Option<String>,
    /// The devices right below; not there in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Entry>>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let machine = Machine::new(context, options.recording.as_deref())?;
    let top = options.device.as_ref().map(|argument| machine.device(context, argument)).transpose()?;
    let nodes = Nodes::read(&machine, context);
    let tree = machine.tree();
    if options.power_off_order {
        let inside = |device: &Device| {
            top.as_ref()
                .is_none_or(|top| top.same_as(device) || top.devpath().is_ancestor_of(&device.devpath()))
        };
        let order: Vec<Device> = tree.power_off_order().into_iter().filter(inside).collect();
        if context.json {
            output::json(out, &order.iter().map(|device| nodes.entry(device)).collect::<Vec<_>>())?;
        } else {
            let mut lines = order.iter().map(|device| nodes.line(context.style, device, None));
            lines.try_for_each(|line| writeln!(out, "{line}"))?;
        }
        return Ok(Exit::Ok);
    }
    let tops = match top {
        Some(top) => vec![top],
        None => tree.devices().into_iter().filter(|device| device.parent().is_none()).collect(),
    };
    if context.json {
        output::json(out, &tops.iter().map(|device| nodes.nested(tree, device)).collect::<Vec<_>>())?;
    } else {
        tops.iter().try_for_each(|device| show(out, context.style, tree, &nodes, (device, 0)))?;
    }
    Ok(Exit::Ok)
}

/// The nodes of all devices, with the device directory.
#[derive(Debug)]
struct Nodes(HashMap<DevPath, String>);

impl Nodes {
    /// Fills the machine's tree, and keeps the names of the nodes on the way.
    fn read(machine: &Machine, context: &Context) -> Self {
        let mut nodes = HashMap::new();
        machine.tree().walk_with(|device, properties| {
            if let Some(name) = properties.get("DEVNAME") {
                let node = context.roots.dev.join(name.to_path_lossy());
                nodes.insert(device.devpath(), node.to_string_lossy().into_owned());
            }
        });
        Self(nodes)
    }

    fn entry(&self, device: &Device) -> Entry {
        let path = device.devpath();
        Entry {
            subsystem: device.subsystem().map(|name| name.to_str_lossy().into_owned()),
            node: self.0.get(&path).cloned(),
            devpath: path.to_string(),
            children: None,
        }
    }

    fn nested(&self, tree: &Tree, device: &Device) -> Entry {
        let below = tree.children(device).iter().map(|child| self.nested(tree, child)).collect();
        Entry { children: Some(below), ..self.entry(device) }
    }

    /// One line; the path relative to that of the device above, if there is one.
    fn line(&self, style: Style, device: &Device, above: Option<&Device>) -> String {
        let Entry { devpath, subsystem, node, .. } = self.entry(device);
        let front = above.map_or(0, |above| above.devpath().as_bytes().len() + 1);
        let mut out = style.paint(Ink::Bold, shown(devpath.get(front..).unwrap_or(&devpath)));
        if let Some(subsystem) = subsystem {
            out = format!("{out}  {}", style.paint(Ink::Dim, shown(&subsystem)));
        }
        if let Some(node) = node {
            out = format!("{out}  {}", style.paint(Ink::Green, shown(&node)));
        }
        out
    }
}

fn show(
    out: &mut dyn Write,
    style: Style,
    tree: &Tree,
    nodes: &Nodes,
    (device, depth): (&Device, usize),
) -> io::Result<()> {
    let above = device.parent().filter(|_| depth > 0);
    writeln!(out, "{:indent$}{}", "", nodes.line(style, device, above.as_ref()), indent = depth * 2)?;
    tree.children(device).iter().try_for_each(|child| show(out, style, tree, nodes, (child, depth + 1)))
}
