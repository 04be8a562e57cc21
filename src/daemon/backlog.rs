//! Owns what udevd still owes a companion: events that the kernel has sent and udevd has not handled, and devices that were
//! there and that udevd had not looked at. Knows no socket; what time it is, is an argument.
//!
//! Udevd works in parallel: its events keep the kernel's numbers and not their order, so that only the numbers themselves
//! tell whether everything up to one has been handled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::{DevPath, SeqNum};
use crate::uevent::Uevent;

/// The kernel's socket and udevd's are read one after the other, and the kernel may deliver neighbours in the wrong order: so
/// far behind the newest number, one may still come that udevd has handled already.
const WINDOW: u64 = 1024;

/// What udevd owes.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<Owed>);

#[derive(Debug, Default)]
struct Owed {
    /// The highest number that the kernel has sent.
    newest: u64,
    /// Sent, not handled; since when.
    numbers: BTreeMap<u64, Instant>,
    /// Handled before the kernel's own message was read.
    early: BTreeSet<u64>,
    /// Devices that were there, and not handled; since when.
    devices: HashMap<DevPath, Instant>,
}

impl Backlog {
    fn owed(&self) -> MutexGuard<'_, Owed> {
        // each statement leaves it whole
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel has sent an event.
    #[cfg_attr(not(feature = "libudev"), allow(dead_code))] // who hears both is built only with it
    pub(super) fn sent(&self, number: SeqNum, now: Instant) {
        let mut owed = self.owed();
        if !owed.early.remove(&number.0) {
            owed.numbers.insert(number.0, now);
        }
        owed.newest = owed.newest.max(number.0);
        let oldest = owed.newest.saturating_sub(WINDOW);
        owed.early.retain(|early| *early > oldest);
    }

    /// Udevd has handled an event.
    pub(super) fn handled(&self, uevent: &Uevent) {
        let mut owed = self.owed();
        owed.devices.remove(&uevent.devpath);
        let number = uevent.seqnum.0;
        let is_owed = owed.numbers.remove(&number).is_some();
        if !is_owed && number > owed.newest.saturating_sub(WINDOW) {
            owed.early.insert(number);
        }
    }

    /// A device is there that udevd has not handled.
    pub(super) fn is_left(&self, path: DevPath, now: Instant) {
        self.owed().devices.insert(path, now);
    }

    /// How much of what happened up to `number` is owed.
    pub(super) fn owed_up_to(&self, number: SeqNum) -> usize {
        let owed = self.owed();
        owed.numbers.range(..=number.0).count() + owed.devices.len()
    }

    /// All that is owed.
    pub(super) fn len(&self) -> usize {
        self.owed_up_to(SeqNum(u64::MAX))
    }

    /// Udevd has had nothing to do since then: what it had not looked at before, it does not look at by itself. Devices are
    /// given up; if it does look at one later, its event comes.
    pub(super) fn is_idle_since(&self, then: Instant) {
        self.owed().devices.retain(|_, since| *since > then);
    }

    /// Nothing will come of what is owed for `patience` or longer: how many events are given up. Devices are not counted:
    /// udevd may never look at them, and if it does, its event comes.
    pub(super) fn give_up(&self, now: Instant, patience: Duration) -> usize {
        let mut owed = self.owed();
        let is_fresh = |since: &Instant| now.saturating_duration_since(*since) < patience;
        owed.devices.retain(|_, since| is_fresh(since));
        let before = owed.numbers.len();
        owed.numbers.retain(|_, since| is_fresh(since));
        before - owed.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Action;
    use crate::properties::Properties;

    fn event(number: u64, path: &str) -> Uevent {
        let path = DevPath::new(path.as_bytes()).unwrap();
        Uevent::from_facts(Action::Add, path, "x".into(), SeqNum(number), Properties::new())
    }

    #[test]
    fn whatever_the_order() {
        let now = Instant::now();
        let backlog = Backlog::default();
        // from before anybody listened
        backlog.handled(&event(3, "/devices/old"));
        for number in [5, 6, 8] {
            backlog.sent(SeqNum(number), now);
        }
        assert_eq!([4, 5, 7, 8].map(|n| backlog.owed_up_to(SeqNum(n))), [0, 1, 2, 3]);
        backlog.handled(&event(8, "/devices/a"));
        backlog.handled(&event(5, "/devices/a"));
        assert_eq!([5, 6, 8].map(|n| backlog.owed_up_to(SeqNum(n))), [0, 1, 1]);
        // udevd was faster than the reader
        backlog.handled(&event(9, "/devices/a"));
        backlog.sent(SeqNum(9), now);
        backlog.handled(&event(6, "/devices/a"));
        // once more, after a new socket
        backlog.handled(&event(9, "/devices/a"));
        // neighbours in the wrong order, and udevd was faster than the reader
        backlog.handled(&event(10, "/devices/a"));
        backlog.sent(SeqNum(11), now);
        backlog.sent(SeqNum(10), now);
        backlog.handled(&event(11, "/devices/a"));
        assert_eq!(backlog.len(), 0);
        backlog.sent(SeqNum(5000), now);
        assert!(backlog.owed().early.is_empty());
    }

    #[test]
    fn an_idle_udevd_looks_at_no_device_by_itself() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let backlog = Backlog::default();
        backlog.is_left(DevPath::new(b"/devices/a").unwrap(), now);
        backlog.is_left(DevPath::new(b"/devices/b").unwrap(), now + second * 2);
        backlog.sent(SeqNum(4), now);
        backlog.is_idle_since(now + second);
        assert_eq!(backlog.len(), 2, "a device, and an event of the kernel's");
        backlog.is_idle_since(now + second * 2);
        assert_eq!(backlog.len(), 1);
    }

    #[test]
    fn devices_and_giving_up() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let backlog = Backlog::default();
        backlog.is_left(DevPath::new(b"/devices/a").unwrap(), now);
        backlog.is_left(DevPath::new(b"/devices/b").unwrap(), now);
        assert_eq!(backlog.owed_up_to(SeqNum(0)), 2);
        backlog.handled(&event(3, "/devices/a"));
        backlog.sent(SeqNum(4), now + second);
        assert_eq!((backlog.give_up(now + second, second), backlog.len()), (0, 1));
        assert_eq!((backlog.give_up(now + second * 2, second), backlog.len()), (1, 0));
    }
}
