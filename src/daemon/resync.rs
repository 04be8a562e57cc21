//! Owns the comparison of the tree with sysfs after events were lost: what the lost events would have said is put into the
//! queue. Never changes the tree itself.

use std::collections::HashSet;

use super::core::Core;
use super::job::{Cause, Job, Token};
use super::start::uevent_of;
use crate::decide::difference;
use crate::device::{Device, Found};
use crate::ids::{Action, SeqNum};
use crate::properties::Properties;
use crate::uevent::Uevent;

/// What a comparison put into the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resynced {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
}

/// Compares and queues. Waits for the events that were not lost first: they say more than a comparison can.
pub(super) fn resync(core: &Core, batch: &Token) -> Resynced {
    core.work.wait_for_seqnum(core.work.seen());
    let tree = core.engine.tree();
    let mut found = HashSet::new();
    let (mut added, mut replaced, mut present) = (Vec::new(), Vec::new(), Vec::new());
    tree.scan(|there: Found| {
        found.insert(there.path.clone());
        match tree.get(&there.path) {
            None => added.push(there),
            Some(device) if is_another(&device, &there) => replaced.push((device, there)),
            Some(device) => present.push(device),
        }
    });
    let gone: Vec<Device> = tree.devices().into_iter().filter(|d| !found.contains(&d.devpath())).collect();

    let mut done = Resynced::default();
    // children leave before their parents
    for device in gone.iter().rev().chain(replaced.iter().map(|(device, _)| device)) {
        done.removed += usize::from(queue(core, batch, removal(device)));
    }
    for there in added.into_iter().chain(replaced.into_iter().map(|(_, there)| there)) {
        done.added += usize::from(queue(core, batch, arrival(there)));
    }
    let rules = core.rules.compiled();
    for device in present {
        done.changed +=
            usize::from(has_changed(core, &rules, &device) && queue(core, batch, change(core, &device)));
    }
    done
}

/// Another device has come under the path: the number or index is not the one that the tree knows.
fn is_another(device: &Device, there: &Found) -> bool {
    let facts = device.facts();
    facts.devnum != there.facts.devnum || facts.ifindex != there.facts.ifindex
}

/// A `change` may be among what was lost: rules would give the device something else now.
fn has_changed(core: &Core, rules: &crate::rules::compile::Compiled, device: &Device) -> bool {
    let Some((_, old, plan)) = core.engine.foresee(rules, device) else { return false };
    !difference(&old, None, &plan).is_empty()
}

fn removal(device: &Device) -> Option<Uevent> {
    let facts = device.facts();
    let mut properties = Properties::new();
    if let Some(number) = facts.devnum {
        let _numbers_are_valid = properties.set("MAJOR", number.major.to_string());
        let _numbers_are_valid = properties.set("MINOR", number.minor.to_string());
    }
    if let Some(index) = facts.ifindex {
        let _numbers_are_valid = properties.set("IFINDEX", index.to_string());
    }
    Some(Uevent::from_facts(Action::Remove, device.devpath(), facts.subsystem?, SeqNum(0), properties))
}

fn arrival(there: Found) -> Option<Uevent> {
    let subsystem = there.facts.subsystem?;
    Some(Uevent::from_facts(Action::Add, there.path, subsystem, SeqNum(0), there.properties))
}

fn change(core: &Core, device: &Device) -> Option<Uevent> {
    uevent_of(core.engine.tree(), device, Action::Change)
}

/// Queues an event unless the kernel's own word on that device is there already. A device without a subsystem has no
/// events: it only has to be in the tree, or not.
fn queue(core: &Core, batch: &Token, uevent: Option<Uevent>) -> bool {
    let Some(uevent) = uevent else { return false };
    if core.work.concerns(&uevent.devpath) {
        return false;
    }
    let _counted_by_the_reader = core.work.push(Job::of_batch(uevent, Cause::Resync, batch), |_| true);
    true
}
