//! Media that are really there: loop devices with file systems and partition tables, read by `blkid` through the probe and
//! compared with what this machine's udevadm says; media that are hostile; and probes that die, hang and lie.

#![cfg(test)]

#[path = "media/asked.rs"]
mod asked;
#[path = "media/blkid.rs"]
mod blkid;
mod common;
#[path = "common/daemon.rs"]
#[allow(dead_code)] // shared with the tests of real devices
mod daemon;
#[path = "media/disk.rs"]
mod disk;
#[path = "media/drive.rs"]
mod drive;
#[path = "media/helpers.rs"]
mod helpers;
#[path = "media/names.rs"]
mod names;
#[path = "common/numbers.rs"]
mod numbers;
#[path = "media/optical.rs"]
mod optical;
#[path = "media/pair.rs"]
mod pair;
#[path = "media/probes.rs"]
mod probes;
#[path = "media/superblocks.rs"]
mod superblocks;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nameplate::builtin::{self, BuiltinError, Context, Shared};
use nameplate::device::{Reader, Source, Tree};
use nameplate::ids::{Action, DevPath};
use nameplate::properties::Properties;
use nameplate::roots::Roots;

/// `KEY=VALUE` by key.
type Answer = BTreeMap<String, String>;

/// The running machine, with probes of the program under test.
struct Machine {
    tree: Tree,
    roots: Roots,
    shared: Shared,
}

impl Machine {
    fn new() -> Self {
        let roots = Roots::system();
        let shared = Shared::new(&roots).with_probe(env!("CARGO_BIN_EXE_nameplate").into());
        Self { tree: Tree::new(Source::Live(roots.sys.clone())), roots, shared }
    }

    /// Runs a builtin on the block device of that name.
    fn run(&self, block: &str, command: &str, set: &Properties) -> Result<Properties, BuiltinError> {
        let path = std::fs::canonicalize(format!("/sys/class/block/{block}")).unwrap();
        let path = path.to_str().unwrap().strip_prefix("/sys").unwrap();
        let device = self.tree.load(&DevPath::new(path.as_bytes()).unwrap()).expect(path);
        let reader = Reader::new(&self.tree);
        let context = Context {
            device: &device,
            reader: &reader,
            action: Action::Add,
            properties: set,
            known: Default::default(),
            roots: &self.roots,
            shared: &self.shared,
            deadline: Instant::now() + Duration::from_secs(600),
        };
        let words: Vec<bstr::BString> = command.split_whitespace().map(Into::into).collect();
        builtin::run(&words[0], &words[1..], &context).map(|found| found.properties)
    }

    fn answer(&self, block: &str, command: &str) -> Answer {
        pairs(&self.run(block, command, &Properties::new()).unwrap())
    }
}

fn pairs(properties: &Properties) -> Answer {
    properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
