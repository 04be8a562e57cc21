//! Owns the start: the devices that are there already are put into the queue, as if each had just been added.
//!
//! The socket listens before the walk begins, so a device can be found twice: by the walk and by its event. Then the
//! event is the one that counts, and the walk's finding is dropped.

use std::path::Path;

use bstr::BString;

use super::core::Core;
use super::engine::Present;
use super::job::{Cause, Job, Token};
use super::news::News;
use crate::device::{Device, Facts, Reader, Tree};
use crate::ids::{Action, DevPath, SeqNum};
use crate::properties::Properties;
use crate::uevent::Uevent;

/// So many events of the start wait at most; more would only cost memory.
const AHEAD: usize = 512;

/// Puts the devices into the queue, parents first, and waits until all are handled.
pub(super) fn evaluate_all(core: &Core, devices: Vec<Present>, news: &News) {
    let (tree, work) = (core.engine.tree(), &core.work);
    let batch = Token::default();
    for Present { device, properties } in devices {
        if work.stopping() {
            return;
        }
        let uevent = if news.outdates(&device.devpath()) {
            uevent_of(tree, &device, Action::Add)
        } else {
            uevent_with(&device, Action::Add, properties)
        };
        if let Some(uevent) = uevent.and_then(|uevent| core.complete(uevent)) {
            work.push_own(Job::of_batch(uevent, Cause::Start, &batch), AHEAD, Some(news));
        }
    }
    work.wait_for_batch(&batch);
}

/// Enters the kernel's modules: they are no devices, but udev's rules wait for some of them.
pub(super) fn enter_modules(tree: &Tree, sys: &Path) -> Vec<Present> {
    let entries = std::fs::read_dir(sys.join("module")).into_iter().flatten().flatten();
    let speaking = entries.filter(|entry| entry.path().join("uevent").exists());
    let paths = speaking
        .filter_map(|entry| DevPath::new(&[b"/module/", entry.file_name().as_encoded_bytes()].concat()).ok());
    let facts = Facts { subsystem: Some("module".into()), ..Facts::default() };
    let enter =
        |path| Present { device: tree.add(&path, &facts).into_device(), properties: Properties::default() };
    paths.map(enter).collect()
}

/// An event for a device that is there, from its `uevent` file. `None` if the device is gone or has no subsystem: such a
/// device sends no events.
pub fn uevent_of(tree: &Tree, device: &Device, action: Action) -> Option<Uevent> {
    let properties = Reader::new(tree).uevent(device);
    uevent_with(device, action, (*properties).clone())
}

fn uevent_with(device: &Device, action: Action, properties: Properties) -> Option<Uevent> {
    let facts = device.facts();
    let subsystem: BString = facts.subsystem?;
    if device.is_gone() {
        return None;
    }
    let uevent = Uevent::from_facts(action, device.devpath(), subsystem, SeqNum(0), properties);
    // a file that can't be read any more says nothing; another's number is another device's
    let is_it = (uevent.devnum(), uevent.ifindex()) == (facts.devnum, facts.ifindex);
    is_it.then_some(uevent)
}
