//! `udevadm info --cleanup-db`: what an initramfs does before it hands over. Records with the sticky bit stay, and with
//! them what leads to them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::device::Machine;

/// Deletes the database but for what is to be kept. What can't be deleted costs itself alone.
pub(super) fn run(machine: &Machine) {
    let _not_there = fs::remove_file(machine.run("queue.bin"));
    let data = machine.run("data");
    each(&data, &mut |path, meta| {
        if meta.permissions().mode() & nix::libc::S_ISVTX == 0 {
            let _goes_later = fs::remove_file(path);
        }
    });
    for name in ["links", "tags"] {
        remove_below(&machine.run(name), &|path| path.file_name().is_some_and(|id| data.join(id).exists()));
    }
    remove_below(&machine.run("static_node-tags"), &|_| false);
}

fn each(dir: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if let Ok(meta) = entry.metadata() {
            visit(&entry.path(), &meta);
        }
    }
}

/// Deletes what is in a directory and one level further down, and directories that are empty then.
fn remove_below(dir: &Path, kept: &dyn Fn(&Path) -> bool) {
    each(dir, &mut |path, meta| {
        if meta.is_dir() {
            each(path, &mut |path, _| remove_unless(kept, path));
            let _not_empty = fs::remove_dir(path);
        } else {
            remove_unless(kept, path);
        }
    });
}

fn remove_unless(kept: &dyn Fn(&Path) -> bool, path: &Path) {
    if !kept(path) {
        let _goes_later = fs::remove_file(path);
    }
}
