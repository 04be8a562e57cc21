//! Owns the way of events to subscribers: a bounded queue for each, which the daemon never waits for.
//!
//! A subscriber that does not read loses events and is told how many, in the place where they are missing. Never filters
//! by what an event says: that is the client's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::protocol::{EventEntry, EventSource, MonitorParameters};

/// Events that one subscriber may have waiting.
const WAITING_LIMIT: usize = 2048;

/// Which events a subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Events as they come from the kernel, or beside a udevd from that.
    pub kernel: bool,
    /// Events that the rules have been applied to.
    pub handled: bool,
}

impl Filter {
    /// True when a subscriber gets events of `source`.
    pub fn takes(self, source: EventSource) -> bool {
        match source {
            EventSource::Kernel | EventSource::Udev => self.kernel,
            EventSource::Handled => self.handled,
        }
    }
}

impl From<MonitorParameters> for Filter {
    /// Neither asked for means both.
    fn from(asked: MonitorParameters) -> Self {
        let both = asked.kernel == asked.handled;
        Self { kernel: both || asked.kernel, handled: both || asked.handled }
    }
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The next event.
    Event(Arc<EventEntry>),
    /// So many events are missing here.
    Lost(u64),
    /// Nothing came in the time given.
    Nothing,
    /// The daemon is ending: nothing will come any more.
    Closed,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<EventEntry>>,
    /// Events left out since the queue was full, all of them after those in `events`.
    lost: u64,
    closed: bool,
}

#[derive(Debug)]
struct Mailbox {
    filter: Filter,
    limit: usize,
    waiting: Mutex<Waiting>,
    more: Condvar,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once something is lost, everything is, until the subscriber has read what was before the gap: so a gap has one place.
    fn put(&self, event: &Arc<EventEntry>) {
        let mut waiting = self.lock();
        if waiting.lost > 0 || waiting.events.len() >= self.limit {
            waiting.lost += 1;
        } else {
            waiting.events.push_back(Arc::clone(event));
        }
        drop(waiting);
        self.more.notify_one();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.more.notify_one();
    }
}

/// A subscriber's end; dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription(Arc<Mailbox>);

impl Subscription {
    /// The next thing to know, waiting at most `timeout` for it.
    pub fn receive(&self, timeout: Duration) -> Received {
        let end = Instant::now() + timeout;
        let mut waiting = self.0.lock();
        loop {
            if let Some(event) = waiting.events.pop_front() {
                return Received::Event(event);
            }
            if waiting.lost > 0 {
                return Received::Lost(std::mem::take(&mut waiting.lost));
            }
            if waiting.closed {
                return Received::Closed;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            waiting = self.0.more.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The daemon's end: all subscribers.
#[derive(Debug, Default)]
pub struct Broadcast {
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
    /// How many there are, to be read without the lock; some of them may have gone.
    count: AtomicUsize,
}

impl Broadcast {
    /// No subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new subscriber; it gets what is published from now on.
    pub fn subscribe(&self, filter: Filter) -> Subscription {
        self.subscribe_limited(filter, WAITING_LIMIT)
    }

    fn subscribe_limited(&self, filter: Filter, limit: usize) -> Subscription {
        let mailbox = Mailbox { filter, limit, waiting: Mutex::default(), more: Condvar::new() };
        let subscription = Subscription(Arc::new(mailbox));
        let mut mailboxes = self.lock();
        mailboxes.retain(|m| m.strong_count() > 0);
        mailboxes.push(Arc::downgrade(&subscription.0));
        self.count.store(mailboxes.len(), Ordering::Release);
        subscription
    }

    /// Gives an event to all who want it. `entry` is called only if somebody does, so that a daemon without subscribers
    /// pays one atomic read for an event. Never waits for a subscriber.
    pub fn publish(&self, source: EventSource, entry: impl FnOnce() -> EventEntry) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut mailboxes = self.lock();
        mailboxes.retain(|m| m.strong_count() > 0);
        self.count.store(mailboxes.len(), Ordering::Release);
        let wanting: Vec<_> =
            mailboxes.iter().filter_map(Weak::upgrade).filter(|m| m.filter.takes(source)).collect();
        if wanting.is_empty() {
            return;
        }
        // The lock is kept, so that all subscribers see events in one order.
        let entry = Arc::new(entry());
        wanting.iter().for_each(|mailbox| mailbox.put(&entry));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.lock().iter().filter_map(Weak::upgrade).for_each(|mailbox| mailbox.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const BOTH: Filter = Filter { kernel: true, handled: true };

    fn publish(broadcast: &Broadcast, source: EventSource, seqnum: u64) {
        broadcast.publish(source, || EventEntry { source, seqnum: Some(seqnum), ..EventEntry::default() });
    }

    fn seqnum(received: Received) -> Option<u64> {
        match received {
            Received::Event(event) => event.seqnum,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn neither_asked_for_means_both() {
        let cases = [
            (false, false, true, true),
            (true, true, true, true),
            (true, false, true, false),
            (false, true, false, true),
        ];
        for (kernel, handled, gets_kernel, gets_handled) in cases {
            let filter = Filter::from(MonitorParameters { kernel, handled });
            assert_eq!((filter.kernel, filter.handled), (gets_kernel, gets_handled));
        }
    }

    #[test]
    fn a_gap_is_told_once_in_its_place() {
        let broadcast = Broadcast::new();
        let slow = broadcast.subscribe_limited(BOTH, 2);
        let quick = broadcast.subscribe(BOTH);
        for n in 1..=5 {
            publish(&broadcast, EventSource::Kernel, n);
        }
        assert_eq!(seqnum(slow.receive(NOW)), Some(1));
        publish(&broadcast, EventSource::Kernel, 6);
        assert_eq!(seqnum(slow.receive(NOW)), Some(2));
        assert_eq!(slow.receive(NOW), Received::Lost(4));
        publish(&broadcast, EventSource::Kernel, 7);
        assert_eq!(seqnum(slow.receive(NOW)), Some(7));
        assert_eq!(slow.receive(NOW), Received::Nothing);
        for n in 1..=7 {
            assert_eq!(seqnum(quick.receive(NOW)), Some(n));
        }
    }

    #[test]
    fn nobody_pays_for_what_nobody_wants() {
        let broadcast = Broadcast::new();
        broadcast.publish(EventSource::Kernel, || panic!("nobody asked"));
        let handled = broadcast.subscribe(Filter { kernel: false, handled: true });
        broadcast.publish(EventSource::Kernel, || panic!("nobody asked for kernel events"));
        publish(&broadcast, EventSource::Handled, 1);
        assert_eq!(seqnum(handled.receive(NOW)), Some(1));
        drop(handled);
        broadcast.publish(EventSource::Handled, || panic!("nobody is left"));
    }

    #[test]
    fn the_end_is_seen_after_the_last_event() {
        let broadcast = Broadcast::new();
        let subscription = broadcast.subscribe(BOTH);
        publish(&broadcast, EventSource::Handled, 1);
        drop(broadcast);
        assert_eq!(seqnum(subscription.receive(NOW)), Some(1));
        assert_eq!(subscription.receive(Duration::from_secs(60)), Received::Closed);
    }
}
