//! Owns what happens when rules change: which devices get something else, and only those are touched.

use std::sync::PoisonError;

use super::control::protocol::{Change as Shown, DiagnosticEntry, Difference as Reply, Mode, text};
use super::core::{Core, InForce};
use super::job::{Cause, Job, Token};
use crate::config::Config;
use crate::decide::{Change, Plan, difference};
use crate::device::Device;
use crate::diag;
use crate::ids::Action;
use crate::rules::compile::Compiled;
use crate::rules::eval::{Target, Write};
use crate::uevent::Uevent;

/// What new rules change for one device.
#[derive(Debug)]
struct Affected {
    uevent: Uevent,
    changes: Vec<Shown>,
    /// Values that the new rules write and the old ones did not.
    writes: Vec<Write>,
}

/// Reads the configuration again. What is logged changes at once; all else is how the daemon was built, and holds from the
/// next start. A value that is wrong leaves the old one.
pub(super) fn config(core: &Core) {
    let mut loaded = match core.mode {
        Mode::Standalone => core.config_source.read_as_manager(),
        Mode::Companion => core.config_source.read(),
    };
    for diagnostic in &loaded.diagnostics {
        tracing::warn!("{}", diag::render(diagnostic, false));
    }
    core.typed.apply(&mut loaded.config, &core.config_source.of_kernel());
    let mut config = core.config.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded.diagnostics.iter().any(|d| d.severity == diag::Severity::Error) || loaded.config == *config {
        return;
    }
    let before = std::mem::replace(&mut *config, loaded.config);
    if config.log_level != before.log_level {
        core.log.set_level(config.log_level);
        tracing::info!("messages of level {} and above are logged from now on", config.log_level);
    }
    if (Config { log_level: before.log_level, ..config.clone() }) != before {
        tracing::warn!(
            "the configuration has changed: all but `log_level` holds from the next start of the daemon"
        );
    }
}

/// What the rules on disk would change. Changes nothing.
pub(super) fn plan(core: &Core) -> Reply {
    let new = core.rules.read(&core.rule_dirs, core.engine.accounts());
    let compiled = Compiled::new(&new.loaded.files);
    let devices = core.engine.tree().devices();
    let affected = affected(core, (&core.rules.compiled(), &compiled), &devices);
    reply(false, devices.len(), &new, &affected)
}

/// Puts the rules on disk in force and gives the devices that are there what they change; returns when that is done.
pub(super) fn reload(core: &Core) -> Reply {
    let new = core.rules.read(&core.rule_dirs, core.engine.accounts());
    new.complain();
    core.engine.refresh();
    let shown = InForce { loaded: new.loaded.clone(), refused: new.refused.clone() };
    let before = core.rules.compiled();
    let compiled = core.rules.replace(new);
    // what is under way goes by the rules before, and its result may come after the look at its device
    let under_way = core.work.running();
    let devices = core.engine.tree().devices();
    let affected = affected(core, (&before, &compiled), &devices);
    let reply = reply(true, devices.len(), &shown, &affected);
    let count = affected.len();
    let batch = Token::default();
    for Affected { uevent, writes, .. } in affected {
        writes.iter().for_each(|write| core.engine.write(write));
        // a kernel event that waits will see the new rules by itself
        if !core.work.concerns(&uevent.devpath) {
            core.work.push_own(Job::of_batch(uevent, Cause::Rules, &batch), usize::MAX, None);
        }
    }
    for uevent in under_way.into_iter().filter(|uevent| uevent.action != Action::Remove) {
        core.work.push_own(Job::of_batch(uevent, Cause::Rules, &batch), usize::MAX, None);
    }
    core.work.wait_for_batch(&batch);
    tracing::info!("rules read: {} in force, {count} devices changed", compiled.len());
    reply
}

fn affected(core: &Core, rules: (&Compiled, &Compiled), devices: &[Device]) -> Vec<Affected> {
    devices.iter().filter_map(|device| affected_device(core, rules, device)).collect()
}

fn affected_device(
    core: &Core,
    (before, after): (&Compiled, &Compiled),
    device: &Device,
) -> Option<Affected> {
    let id = device.id()?;
    let (uevent, old, plan) = core.engine.foresee(after, device)?;
    let difference = difference(&old, core.engine.permissions(&plan), &plan);
    let writes = new_writes(core, before, device, &plan);
    if difference.is_empty() && writes.is_empty() {
        return None;
    }
    let (id, devpath) = (id.to_string(), text(uevent.devpath.as_bytes()));
    let changes = difference.changes.iter().map(|change| show(change, &id, &devpath));
    let changes = changes.chain(writes.iter().map(|write| show_write(write, &id, &devpath))).collect();
    Some(Affected { uevent, changes, writes })
}

/// What is in an attribute is not always what was written to it: the old rules say what has been written already.
fn new_writes(core: &Core, before: &Compiled, device: &Device, plan: &Plan) -> Vec<Write> {
    if plan.writes.is_empty() {
        return Vec::new();
    }
    let old = core.engine.foresee(before, device).map(|(_, _, plan)| plan.writes).unwrap_or_default();
    let written = |new: &Write| old.iter().any(|old| old.target == new.target && old.value == new.value);
    plan.writes.iter().filter(|new| !written(new)).cloned().collect()
}

fn show_write(write: &Write, device: &str, devpath: &str) -> Shown {
    let name = match &write.target {
        Target::Attribute { name, .. } => format!("attr.{}", text(name)),
        Target::Sysctl(name) => format!("sysctl.{}", text(name)),
    };
    Shown {
        device: device.to_owned(),
        devpath: devpath.to_owned(),
        what: "write".to_owned(),
        name: Some(name),
        old: None,
        new: Some(text(&write.value)),
        from: Some(write.from.to_string()),
    }
}

fn show(change: &Change, device: &str, devpath: &str) -> Shown {
    let (what, name, old, new) = match change {
        Change::LinkGone(link) => ("link", Some(text(link.as_bytes())), Some(text(link.as_bytes())), None),
        Change::LinkNew(link) => {
            ("link", Some(text(link.name.as_bytes())), None, Some(text(link.name.as_bytes())))
        }
        Change::Priority { old, new } => ("priority", None, Some(old.to_string()), Some(new.to_string())),
        Change::Node { old, new } => ("node", None, Some(old.to_string()), Some(new.to_string())),
        Change::Property { key, old, new } => {
            ("property", Some(text(key)), old.as_ref().map(text), new.as_ref().map(text))
        }
        Change::TagNew(tag) => ("tag", Some(tag.to_string()), None, Some(tag.to_string())),
        Change::TagGone(tag) => ("tag", Some(tag.to_string()), Some(tag.to_string()), None),
    };
    Shown {
        device: device.to_owned(),
        devpath: devpath.to_owned(),
        what: what.to_owned(),
        name,
        old,
        new,
        from: change.from().map(ToString::to_string),
    }
}

fn reply(applied: bool, devices: usize, new: &InForce, affected: &[Affected]) -> Reply {
    let refused = new.refused.iter().flat_map(|refused| &refused.diagnostics);
    Reply {
        applied,
        devices: u64::try_from(devices).unwrap_or(u64::MAX),
        changes: affected.iter().flat_map(|affected| affected.changes.clone()).collect(),
        refused: new.refused.iter().map(|refused| refused.path.to_string_lossy().into_owned()).collect(),
        diagnostics: new.loaded.diagnostics.iter().chain(refused).map(DiagnosticEntry::from).collect(),
    }
}
