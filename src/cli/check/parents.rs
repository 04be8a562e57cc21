//! Owns `check --device` and `--recording`: whether the keys that a rule asks of one parent are on one parent of a device.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use crate::cli::context::Context;
use crate::cli::dry::{Machine, Means, Rules, work_out};
use crate::cli::exit::Failure;
use crate::device::Device;
use crate::diag::Diagnostic;
use crate::ids::Action;
use crate::rules::lint::Probes;
use crate::rules::load::Loaded;

/// What is found for one device, or for all of the machine; the same once.
pub(super) fn find(
    machine: &Machine,
    device: Option<&OsStr>,
    context: &Context,
    rules: &Rules,
    means: &Means,
) -> Result<Vec<Diagnostic>, Failure> {
    let probes = Probes::new(&rules.loaded.files);
    let devices: Vec<Device> = match device {
        Some(device) => vec![machine.device(context, device)?],
        None => {
            machine.tree().walk();
            machine.tree().devices()
        }
    };
    let Some(file) = probes.file() else { return Ok(Vec::new()) };
    let asking = Rules::new(Loaded { files: vec![file], ..Loaded::default() });
    let mut said = BTreeSet::new();
    let mut out = Vec::new();
    for device in devices {
        let mut watch = probes.watch();
        work_out(machine, &asking, means, (&device, Action::Add), &mut watch);
        for found in watch.findings(device.devpath().last()) {
            if said.insert((found.place.file.path.clone(), found.place.span.start)) {
                out.push(found);
            }
        }
    }
    Ok(out)
}
