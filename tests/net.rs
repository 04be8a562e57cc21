//! `net_id`, `net_driver` and `net_setup_link`: on hand-made cards of every bus, beside systemd's udevadm, and on real
//! interfaces of a network namespace, set up and read back with `ip` and `ethtool`; the daemon with `.link` files.

#![cfg(test)]

mod common;
#[path = "common/daemon.rs"]
#[allow(dead_code)] // shared with the tests of real devices
mod daemon;
#[path = "common/tree.rs"]
mod tree;

#[path = "net/cards.rs"]
mod cards;
#[path = "net/end_to_end.rs"]
mod end_to_end;
#[path = "net/link_files.rs"]
mod link_files;
#[path = "net/names.rs"]
mod names;
#[path = "net/namespace.rs"]
mod namespace;
#[path = "net/settings.rs"]
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nameplate::builtin::{self, BuiltinError, Context, Found, Known, Shared};
use nameplate::device::{Reader, Tree};
use nameplate::ids::{Action, DevPath};
use nameplate::properties::Properties;
use nameplate::roots::Roots;

/// Properties as `KEY=VALUE` lines would give them.
type Answer = BTreeMap<String, String>;

/// What a builtin says of a device of the tree.
fn ask(
    tree: &Tree,
    roots: &Roots,
    builtin: &str,
    path: &str,
    action: Action,
    properties: &Properties,
) -> Result<Found, BuiltinError> {
    ask_knowing(tree, roots, builtin, path, action, properties, Known::default())
}

/// The same where something is known of other devices.
fn ask_knowing(
    tree: &Tree,
    roots: &Roots,
    builtin: &str,
    path: &str,
    action: Action,
    properties: &Properties,
    known: Known<'_>,
) -> Result<Found, BuiltinError> {
    let device = tree.get(&DevPath::new(path.as_bytes()).unwrap()).expect(path);
    let reader = Reader::new(tree);
    let context = Context {
        device: &device,
        reader: &reader,
        action,
        properties,
        known,
        roots,
        shared: &Shared::new(roots),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    builtin::run(builtin.as_bytes(), &[], &context)
}

fn answer(properties: &Properties) -> Answer {
    properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// `KEY=VALUE` lines; those that are none, and properties without a value, are left out.
fn lines(text: &str) -> Answer {
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs.filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.into(), value.into())).collect()
}

/// Writes a file and the directories above it.
fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}
