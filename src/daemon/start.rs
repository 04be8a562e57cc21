//! Owns the start: the devices that are there already are put into the queue, as if each had just been added.
//!
//! The socket listens before the walk begins, so a device can be found twice: by the walk and by its event. Then the
//! event is the one that counts, and the walk's finding is dropped.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bstr::BString;

use super::job::{Cause, Job, Token};
use super::work::Work;
use crate::device::{Device, Reader, Tree};
use crate::ids::{Action, DevPath, SeqNum};
use crate::uevent::Uevent;

/// So many events of the start wait at most; more would only cost memory.
const AHEAD: usize = 512;

/// Devices whose own `add` came after the socket began to listen.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Option<HashSet<DevPath>>>);

impl Arrivals {
    /// From now on arrivals are noted.
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
    }

    /// Notes an event of the kernel's.
    pub(super) fn note(&self, uevent: &Uevent) {
        if uevent.action == Action::Add
            && !uevent.is_synthetic()
            && let Some(noted) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        {
            noted.insert(uevent.devpath.clone());
        }
    }

    fn has(&self, path: &DevPath) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|noted| noted.contains(path))
    }

    /// The start is over.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Puts the devices into the queue, parents first, and waits until all are handled.
pub(super) fn evaluate_all(tree: &Tree, devices: &[Device], arrivals: &Arrivals, work: &Work) {
    let batch = Token::default();
    for device in devices {
        if device.is_gone() || arrivals.has(&device.devpath()) {
            continue;
        }
        if let Some(uevent) = uevent_of(tree, device, Action::Add) {
            work.wait_for_room(AHEAD);
            let _always_taken = work.push(Job::of_batch(uevent, Cause::Start, &batch), |_| true);
        }
    }
    work.wait_for_batch(&batch);
}

/// An event for a device that is there, from its `uevent` file. `None` if the device is gone or has no subsystem: such a
/// device sends no events.
pub(super) fn uevent_of(tree: &Tree, device: &Device, action: Action) -> Option<Uevent> {
    let subsystem: BString = device.subsystem()?;
    if device.is_gone() {
        return None;
    }
    let properties = Reader::new(tree).uevent(device);
    Some(Uevent::from_facts(action, device.devpath(), subsystem, SeqNum(0), (*properties).clone()))
}
