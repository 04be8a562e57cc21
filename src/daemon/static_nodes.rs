//! Owns the nodes that are there before their devices: at the start they get what rules say, and libudev programs find them
//! below `static_node-tags`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::core::Core;
use super::engine::Reach;
use super::view;
use crate::apply::node::{NodeChange, Permissions};
use crate::ids::{LinkName, Tag};
use crate::rules::static_nodes::{StaticNode, static_nodes};

/// Gives the static nodes of the rules in force their permissions and tags. One that is not there is no error.
pub(super) fn apply(core: &Core) {
    if core.engine.site().reach != Reach::Everything {
        return;
    }
    let files = core.rules.files();
    let all = static_nodes(files.loaded.files.iter().map(AsRef::as_ref));
    drop(files);
    for node in all {
        if let Err(error) = apply_one(core, &node) {
            tracing::warn!(RULE = %node.from, error, "static node {}", node.name);
        }
    }
}

fn apply_one(core: &Core, node: &StaticNode) -> Result<(), String> {
    let name = LinkName::new(&node.name).map_err(|error| error.to_string())?;
    let want = Permissions { owner: node.owner, group: node.group, mode: node.mode };
    match core.engine.nodes().set_static(&name, &want).map_err(|error| error.to_string())? {
        NodeChange::Missing => return Ok(()),
        NodeChange::Another(_) => return Err("what has this name is no device node".into()),
        NodeChange::Changed { .. } | NodeChange::Unchanged => {}
    }
    let roots = &core.engine.site().roots;
    let target = roots.dev.join(view::path(name.as_bytes()));
    let dir = roots.run_udev().join("static_node-tags");
    node.tags.iter().try_for_each(|tag| enter(&dir, tag, &name, &target)).map_err(|error| error.to_string())
}

/// Makes `static_node-tags/TAG/NAME`, a link to the node; `/` and `.` in the name are written `\x2f` and `\x2e`.
fn enter(dir: &Path, tag: &Tag, name: &LinkName, target: &Path) -> io::Result<()> {
    let dir = dir.join(tag.as_str());
    fs::create_dir_all(&dir)?;
    let mut file = Vec::new();
    for &byte in name.as_bytes() {
        match byte {
            b'/' => file.extend_from_slice(b"\\x2f"),
            b'.' => file.extend_from_slice(b"\\x2e"),
            b'\\' => file.extend_from_slice(b"\\x5c"),
            byte => file.push(byte),
        }
    }
    match symlink(target, dir.join(view::path(&file))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
