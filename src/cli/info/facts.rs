//! Owns gathering what is known of a device: from its `uevent` file, its attributes, its record, and the links in place.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use bstr::{BString, ByteSlice};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::device_arg::plain;
use crate::cli::dry::Machine;
use crate::device::{Device, Reader};
use crate::ids::{DevNum, NodeKind};

/// What is known of one device; the JSON object of `info --json`. Bytes that are no UTF-8 stand as U+FFFD.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    /// Its id, `None` for a device that has none.
    pub(super) id: Option<String>,
    pub(super) devpath: String,
    /// The kernel's name.
    pub(super) kernel: String,
    pub(super) subsystem: Option<String>,
    pub(super) driver: Option<String>,
    /// Its node with the device directory.
    pub(super) node: Option<String>,
    /// The links that it claims.
    pub(super) links: Vec<String>,
    /// Those of them that are there and lead to it.
    pub(super) links_in_place: Vec<String>,
    /// The priority of its claims.
    pub(super) priority: i32,
    /// The kernel's properties, and over them those of the record.
    pub(super) properties: BTreeMap<String, String>,
    /// Its current tags.
    pub(super) tags: Vec<String>,
    /// Readable attributes, without the end of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attributes: Option<BTreeMap<String, String>>,
    /// The devices above, nearest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parents: Option<Vec<Level>>,
}

/// One device on the way up, as rules see it.
#[derive(Debug, Serialize)]
pub(super) struct Level {
    pub(super) devpath: String,
    pub(super) kernel: String,
    pub(super) subsystem: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
}

/// Which of the costly parts are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) attributes: bool,
    pub(super) parents: bool,
}

pub(super) fn text(bytes: &[u8]) -> String {
    bytes.to_str_lossy().into_owned()
}

/// Gathers what is known of a device.
pub(super) fn gather(context: &Context, machine: &Machine, device: &Device, wanted: Wanted) -> Facts {
    let reader = Reader::new(machine.tree());
    let record = machine.record_of(device).unwrap_or_default();
    let mut properties = (*reader.uevent(device)).clone();
    let node = properties.get("DEVNAME").map(|name| context.roots.dev.join(name.to_path_lossy()));
    for (key, value) in record.properties.iter() {
        let _valid_before = properties.set(key, value);
    }
    let in_place = |name: &&[u8]| match (&node, device.devnum()) {
        (Some(node), Some(number)) => leads_to(&context.link_dir().join(name.to_path_lossy()), node, number),
        _ => false,
    };
    let links: Vec<&[u8]> = record.links.iter().map(|link| link.as_bytes()).collect();
    Facts {
        id: device.id().map(|id| text(&id.to_bytes())),
        devpath: text(device.devpath().as_bytes()),
        kernel: text(&device.sysname()),
        subsystem: device.subsystem().map(|name| text(&name)),
        driver: reader.driver(device).map(|name| text(&name)),
        links_in_place: links.iter().filter(|link| in_place(link)).map(|link| text(link)).collect(),
        links: links.into_iter().map(text).collect(),
        node: node.map(|node| node.to_string_lossy().into_owned()),
        priority: record.priority,
        properties: properties.iter().map(|(key, value)| (text(key), text(value))).collect(),
        tags: record.current_tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        attributes: wanted.attributes.then(|| attributes(&reader, device)),
        parents: wanted.parents.then(|| device.chain().skip(1).map(|above| level(&reader, &above)).collect()),
    }
}

/// The device itself as one of the levels that `parent` looks at.
pub(super) fn level(reader: &Reader<'_>, device: &Device) -> Level {
    Level {
        devpath: text(device.devpath().as_bytes()),
        kernel: text(&device.sysname()),
        subsystem: device.subsystem().map(|name| text(&name)),
        driver: reader.driver(device).map(|name| text(&name)),
        attributes: attributes(reader, device),
    }
}

/// Attributes that can be read, but for what is no fact of the device: the links, and the `uevent` file.
fn attributes(reader: &Reader<'_>, device: &Device) -> BTreeMap<String, String> {
    let names = reader.attribute_names(device).into_iter();
    let names =
        names.filter(|name| !matches!(name.as_slice(), b"uevent" | b"driver" | b"subsystem" | b"module"));
    let read = |name: BString| {
        let value = reader.attribute(device, &name)?;
        Some((text(&name), text(value.trim_end())))
    };
    names.filter_map(read).collect()
}

/// True when a link is there and leads to the node. Below `--root` nodes need not be real.
fn leads_to(link: &Path, node: &Path, number: DevNum) -> bool {
    let Ok(target) = fs::read_link(link) else { return false };
    if let Ok(meta) = fs::metadata(link) {
        let kind = meta.file_type();
        let right_kind = match number.kind {
            NodeKind::Block => kind.is_block_device(),
            NodeKind::Char => kind.is_char_device(),
        };
        let parts = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
        if right_kind {
            return parts == (u64::from(number.major), u64::from(number.minor));
        }
    }
    link.parent().is_some_and(|dir| plain(&dir.join(target)) == node)
}
