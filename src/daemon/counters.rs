//! Owns the counters that `status` shows. Each only grows; reading one never stops the event path.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(super) fn count(&self) {
        self.add(1);
    }

    /// `n` more.
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number so far.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that somebody else counts, as last read.
#[derive(Debug, Default)]
pub(super) struct Reading(AtomicU64);

impl Reading {
    /// It is this now.
    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// As last read.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What has happened since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Good events from the kernel.
    pub(super) received: Counter,
    /// Events carried through: decided, applied, recorded.
    pub(super) handled: Counter,
    /// Events that a panic or a time-out ended.
    pub(super) failed: Counter,
    /// Events that became one with another of the same device, or nothing.
    pub(super) coalesced: Counter,
    /// Datagrams that were not the kernel's.
    pub(super) foreign: Counter,
    /// Datagrams that were no uevent.
    pub(super) malformed: Counter,
    /// Datagrams longer than the buffer.
    pub(super) truncated: Counter,
    /// Times that the kernel said ENOBUFS.
    pub(super) overruns: Counter,
    /// Events that the kernel says it dropped at our socket; read after each overrun.
    pub(super) dropped_by_kernel: Reading,
    /// Sequence numbers that never came.
    pub(super) gaps: Counter,
    /// Comparisons of the tree with sysfs.
    pub(super) resyncs: Counter,
}
