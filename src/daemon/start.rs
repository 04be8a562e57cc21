//! Owns the start: the devices that are there already are put into the queue, as if each had just been added.
//!
//! The socket listens before the walk begins, so a device can be found twice: by the walk and by its event. Then the
//! event is the one that counts, and the walk's finding is dropped.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bstr::BString;

use super::engine::Present;
use super::job::{Cause, Job, Token};
use super::work::Work;
use crate::device::{Device, Reader, Tree};
use crate::ids::{Action, DevPath, SeqNum};
use crate::properties::Properties;
use crate::uevent::Uevent;

/// So many events of the start wait at most; more would only cost memory.
const AHEAD: usize = 512;

/// What an event that came after the socket began to listen says of the walk's finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// The device has changed since: what was read of it may be old.
    Outdated,
    /// The event was the device's own `add`: it is handled as that.
    Arrived,
}

/// Devices that events have come of after the socket began to listen.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Option<HashMap<DevPath, News>>>);

impl Arrivals {
    /// From now on arrivals are noted.
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    }

    /// Notes an event of the kernel's.
    pub(super) fn note(&self, uevent: &Uevent) {
        if let Some(noted) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let arrived = uevent.action == Action::Add && !uevent.is_synthetic();
            let news = if arrived { News::Arrived } else { News::Outdated };
            let known = noted.entry(uevent.devpath.clone()).or_insert(news);
            *known = news.max(*known);
        }
    }

    fn of(&self, path: &DevPath) -> Option<News> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(path).copied()
    }

    /// The start is over.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Puts the devices into the queue, parents first, and waits until all are handled.
pub(super) fn evaluate_all(tree: &Tree, devices: Vec<Present>, arrivals: &Arrivals, work: &Work) {
    let batch = Token::default();
    for Present { device, properties } in devices {
        let uevent = match arrivals.of(&device.devpath()) {
            Some(News::Arrived) => None,
            Some(News::Outdated) => uevent_of(tree, &device, Action::Add),
            None => uevent_with(&device, Action::Add, properties),
        };
        if let Some(uevent) = uevent {
            work.wait_for_room(AHEAD);
            let _always_taken = work.push(Job::of_batch(uevent, Cause::Start, &batch), |_| true);
        }
    }
    work.wait_for_batch(&batch);
}

/// An event for a device that is there, from its `uevent` file. `None` if the device is gone or has no subsystem: such a
/// device sends no events.
pub fn uevent_of(tree: &Tree, device: &Device, action: Action) -> Option<Uevent> {
    let properties = Reader::new(tree).uevent(device);
    uevent_with(device, action, (*properties).clone())
}

fn uevent_with(device: &Device, action: Action, properties: Properties) -> Option<Uevent> {
    let subsystem: BString = device.subsystem()?;
    let there = !device.is_gone();
    there.then(|| Uevent::from_facts(action, device.devpath(), subsystem, SeqNum(0), properties))
}
