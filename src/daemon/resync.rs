//! Owns the comparison of the tree with sysfs after events were lost: what the lost events would have said is put into the
//! queue. Never changes the tree itself.

use std::collections::HashSet;
use std::time::Duration;

use super::core::Core;
use super::job::{Cause, Job, Token};
use super::news::News;
use crate::decide::difference;
use crate::device::{Device, Found};
use crate::ids::{Action, DevPath, SeqNum};
use crate::properties::Properties;
use crate::uevent::Uevent;

/// What a comparison put into the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resynced {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
}

/// How long a comparison waits for the events that were not lost. A worker that hangs holds up its own device only: the
/// others are compared without it, and all once more, after twice that time, until there is nothing left to wait for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Compares and queues. Waits for the events that were not lost first: they say more than a comparison can.
pub(super) fn resync(core: &Core, batch: &Token) -> Resynced {
    let seen = core.work.seen();
    let mut done = Resynced::default();
    let mut patience = PATIENCE;
    loop {
        let all = core.work.wait_for_seqnum(seen, patience);
        let found = compare(core, batch);
        done.added += found.added;
        done.removed += found.removed;
        done.changed += found.changed;
        if all || core.work.stopping() {
            return done;
        }
        patience = patience.saturating_mul(2);
    }
}

fn compare(core: &Core, batch: &Token) -> Resynced {
    // what the kernel says from here on is newer than what is found
    let news = core.work.listen();
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
    // some devices have events and no `uevent` file (queues of interfaces): their directory says that they are there
    let is_gone = |path: &DevPath| !found.contains(path) && !core.engine.is_in_sysfs(path);
    let gone: Vec<Device> = tree.devices().into_iter().filter(|d| is_gone(&d.devpath())).collect();

    let queue = |uevent: Option<Uevent>| {
        let uevent = uevent.and_then(|uevent| core.complete(uevent));
        usize::from(uevent.is_some_and(|uevent| queue(core, batch, &news, uevent)))
    };
    let mut done = Resynced::default();
    // children leave before their parents
    for device in gone.iter().rev().chain(replaced.iter().map(|(device, _)| device)) {
        done.removed += queue(removal(device));
    }
    for there in added.into_iter().chain(replaced.into_iter().map(|(_, there)| there)) {
        done.added += queue(arrival(there));
    }
    let rules = core.rules.compiled();
    for device in present {
        // an event that is under way began after what was lost, and sees it; what it has half done is no change
        if !core.work.concerns(&device.devpath()) && has_changed(core, &rules, &device) {
            done.changed += queue(super::start::uevent_of(tree, &device, Action::Change));
        }
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
    !difference(&old, core.engine.permissions(&plan), &plan).is_empty()
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

/// Queues an event unless the kernel's own word on that device is there already, or has come since it was looked at.
fn queue(core: &Core, batch: &Token, news: &News, uevent: Uevent) -> bool {
    !core.work.concerns(&uevent.devpath)
        && core.work.push_own(Job::of_batch(uevent, Cause::Resync, batch), usize::MAX, Some(news))
}
