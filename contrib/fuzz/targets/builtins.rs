//! The builtins on any recording: device strings, descriptors and paths are a stranger's.

use std::time::{Duration, Instant};

use nameplate::builtin::{self, Context, NAMES, Shared};
use nameplate::device::{Reader, Source, Tree};
use nameplate::ids::Action;
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;

/// Runs every builtin on every device of a recording.
pub fn check(data: &[u8]) {
    let Ok(recording) = Recording::parse(data) else { return };
    let properties: Vec<Properties> = recording.devices().map(|device| device.kernel.clone()).collect();
    let paths: Vec<_> = recording.devices().map(|device| device.path.clone()).collect();
    let devices = Tree::new(Source::Recording(recording));
    devices.walk();
    // Nothing is there: builtins read devices through the reader.
    let roots = Roots::below(std::path::Path::new("/nonexistent"));
    let shared = Shared::new(&roots);
    for (path, properties) in paths.iter().zip(&properties) {
        let Some(device) = devices.get(path) else { panic!("{path} was not found by the walk") };
        let reader = Reader::new(&devices);
        for name in NAMES {
            let context = Context {
                device: &device,
                reader: &reader,
                action: Action::Add,
                properties,
                known: Default::default(),
                roots: &roots,
                shared: &shared,
                deadline: Instant::now() + Duration::from_secs(1),
            };
            let first = builtin::run(name.as_bytes(), &[], &context).ok();
            let second = builtin::run(name.as_bytes(), &[], &context).ok();
            assert_eq!(first, second, "{name} on {path} gives another answer the second time");
        }
    }
}
