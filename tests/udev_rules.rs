//! udev's rule language, case by case: a line, the diagnostics it gets, the rules it becomes, what they do to a device;
//! and the same asked of the machine's own udev.

#[path = "common/mod.rs"]
mod common;
#[cfg(test)]
mod udev_rules {
    pub(crate) mod show;
}

use std::path::Path;

use nameplate::diag::{Severity, render};
use nameplate::roots::Roots;
use nameplate::rules::load;
use udev_rules::show::known;

/// Directories of `.rules` files: this machine's, and what `contrib/debian-rules` unpacks.
#[test]
fn every_file_that_is_here_loads() {
    let mut dirs = Roots::system().udev_rule_dirs();
    if let Some(more) = std::env::var_os("NAMEPLATE_DEBIAN_RULES") {
        dirs.push(more.into());
    }
    dirs.retain(|dir| Path::new(dir).is_dir());
    if dirs.is_empty() {
        return common::skip("there are no udev rules");
    }
    let loaded = load::load(&dirs, &known());
    let mut refused = String::new();
    for diagnostic in &loaded.diagnostics {
        if diagnostic.severity == Severity::Error {
            refused += &render(diagnostic, false);
        }
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{}", render(diagnostic, false));
        }
    }
    assert!(refused.is_empty(), "{refused}");
    assert!(!loaded.files.is_empty());
}
