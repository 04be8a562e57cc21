//! Owns what the queue holds: an event and why it is there.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bstr::BString;

use crate::ids::{Action, DevPath, DeviceId, SeqNum};
use crate::queue;
use crate::uevent::Uevent;

/// Why an event is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The kernel sent it.
    Kernel,
    /// The device was there when the daemon started.
    Start,
    /// A comparison with sysfs found that the kernel's event was lost.
    Resync,
    /// Rules have changed; programs do not run again.
    Rules,
}

/// Held by every job of a batch that somebody waits for; the wait is over when the last one is dropped, whatever became
/// of its job: done, made one with another, cancelled.
#[derive(Debug, Clone, Default)]
pub(super) struct Token(Arc<()>);

impl Token {
    /// True when only this handle is left.
    pub(super) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// True when only this handle and at most one other are left.
    pub(super) fn is_nearly_last(&self) -> bool {
        Arc::strong_count(&self.0) <= 2
    }

    /// For who wants to know whether any is left, without holding one.
    pub(super) fn weak(&self) -> Weak<()> {
        Arc::downgrade(&self.0)
    }
}

/// One event to be handled.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) uevent: Uevent,
    pub(super) cause: Cause,
    pub(super) tokens: Vec<Token>,
    /// How often a worker hung on it.
    pub(super) hangs: u32,
    /// Since when somebody's lock on the disk holds it up.
    pub(super) held_since: Option<Instant>,
}

impl Job {
    /// An event of the kernel's.
    pub(super) fn of_kernel(uevent: Uevent) -> Self {
        Self { uevent, cause: Cause::Kernel, tokens: Vec::new(), hangs: 0, held_since: None }
    }

    /// An event that the daemon made itself.
    pub(super) fn of_batch(uevent: Uevent, cause: Cause, batch: &Token) -> Self {
        Self { uevent, cause, tokens: vec![batch.clone()], hangs: 0, held_since: None }
    }
}

impl queue::Event for Job {
    fn action(&self) -> Action {
        self.uevent.action
    }

    fn seqnum(&self) -> SeqNum {
        self.uevent.seqnum
    }

    fn devpath(&self) -> &DevPath {
        &self.uevent.devpath
    }

    fn devpath_old(&self) -> Option<DevPath> {
        self.uevent.devpath_old()
    }

    fn device_id(&self) -> Option<DeviceId> {
        Some(self.uevent.device_id())
    }

    fn devname(&self) -> Option<BString> {
        self.uevent.devname().map(BString::from)
    }

    fn waited_for(&self) -> Vec<BString> {
        self.uevent.waited_for()
    }

    /// Only the kernel's own word says that a device came or went.
    fn is_synthetic(&self) -> bool {
        self.cause != Cause::Kernel || self.uevent.is_synthetic()
    }

    /// Programs run if they do for one of the two.
    fn absorb(&mut self, newer: Self) {
        if self.cause == Cause::Rules {
            self.cause = newer.cause;
        }
        self.tokens.extend(newer.tokens);
        self.uevent.absorb(newer.uevent);
    }
}
