//! Owns the queue as threads share it: who puts events in, who takes them out, who waits until they are done.
//!
//! The order of events is `queue`'s. Never handles an event.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::job::{Job, Token};
use crate::ids::{DevPath, SeqNum};
use crate::queue::{Pushed, Queue, Ticket};

/// Names one handing-out of a job. A worker that comes too late with its result has one that is no longer known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunId(u64);

/// A job that some worker has.
#[derive(Debug)]
struct Run {
    ticket: Ticket,
    job: Job,
    since: Instant,
    warned: bool,
}

#[derive(Debug)]
struct Inner {
    queue: Queue<Job>,
    runs: BTreeMap<RunId, Run>,
    next_run: u64,
    /// The highest number that the socket has given.
    seen: SeqNum,
    /// Emptyings of the socket begun, and the last of them that ended with an empty socket.
    emptyings: u64,
    emptied: u64,
    /// Comparisons with sysfs that are asked for, under way, or have put events in that are not done.
    resyncs: Vec<Weak<()>>,
    stopping: bool,
}

/// The shared queue.
#[derive(Debug)]
pub(super) struct Work {
    inner: Mutex<Inner>,
    ready: Condvar,
    done: Condvar,
}

/// How far the queue is, for a barrier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Nothing up to the number is waiting or in work.
    pub(super) done: bool,
    /// Unfinished events, whatever their number.
    pub(super) unfinished: usize,
    /// The last emptying of the socket that has ended.
    pub(super) emptied: u64,
}

/// A job that has been worked on for too long.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) run: RunId,
    pub(super) devpath: DevPath,
    pub(super) elapsed: Duration,
    /// How often it had been tried before.
    pub(super) earlier_attempts: u32,
}

impl Work {
    /// An empty queue for at most `limit` events.
    pub(super) fn new(limit: usize) -> Self {
        let inner = Inner {
            queue: Queue::new(limit),
            runs: BTreeMap::new(),
            next_run: 0,
            seen: SeqNum(0),
            emptyings: 0,
            emptied: 0,
            resyncs: Vec::new(),
            stopping: false,
        };
        Self { inner: Mutex::new(inner), ready: Condvar::new(), done: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // a panic while the lock is held would be a bug of the queue; the other devices go on
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job in. `known`: whether anything of its device is there from before.
    pub(super) fn push(&self, job: Job, known: impl FnOnce(&Job) -> bool) -> Pushed {
        let mut inner = self.lock();
        inner.seen = inner.seen.max(job.uevent.seqnum);
        let pushed = inner.queue.push(job, known);
        match pushed {
            Pushed::Queued => self.ready.notify_one(),
            Pushed::Coalesced | Pushed::Cancelled { .. } | Pushed::Overflow => self.done.notify_all(),
        }
        pushed
    }

    /// Waits until fewer than `limit` jobs are unfinished.
    pub(super) fn wait_for_room(&self, limit: usize) {
        let mut inner = self.lock();
        while inner.queue.len() >= limit && !inner.stopping {
            inner = self.done.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a job; `None` when the daemon stops.
    pub(super) fn take(&self) -> Option<(RunId, Job)> {
        let mut inner = self.lock();
        loop {
            if inner.stopping {
                return None;
            }
            let now = Instant::now();
            if let Some((ticket, job)) = inner.queue.take(now) {
                inner.next_run += 1;
                let run = RunId(inner.next_run);
                inner.runs.insert(run, Run { ticket, job: job.clone(), since: now, warned: false });
                return Some((run, job));
            }
            inner = match inner.queue.next_deadline() {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    self.ready.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The job of this run is over; drop your own copy before, for who waits for its tokens. False: it was given up meanwhile, and its result counts for nothing.
    pub(super) fn finish(&self, run: RunId) -> bool {
        let mut inner = self.lock();
        let Some(Run { ticket, job, .. }) = inner.runs.remove(&run) else { return false };
        inner.queue.finish(ticket);
        // with its tokens, and before anybody is told
        drop(job);
        drop(inner);
        // what waited for this one may be ready; barriers may be reached
        self.ready.notify_all();
        self.done.notify_all();
        true
    }

    /// Gives up a run that hangs: its job is tried again at `not_before`.
    pub(super) fn retry(&self, run: RunId, not_before: Instant) {
        let mut inner = self.lock();
        if let Some(Run { ticket, job, .. }) = inner.runs.remove(&run) {
            inner.queue.retry(ticket, job, not_before);
            self.ready.notify_all();
        }
    }

    /// Jobs that have been worked on for longer than `limit`, each reported once; and those beyond `end`, each time.
    pub(super) fn late(&self, limit: Duration, end: Duration) -> Vec<Late> {
        let now = Instant::now();
        let mut late = Vec::new();
        for (id, run) in &mut self.lock().runs {
            let elapsed = now - run.since;
            if elapsed >= end || (elapsed >= limit && !run.warned) {
                run.warned = true;
                let devpath = run.job.uevent.devpath.clone();
                late.push(Late {
                    run: *id,
                    devpath,
                    elapsed,
                    earlier_attempts: run.ticket.earlier_attempts(),
                });
            }
        }
        late
    }

    /// An emptying of the socket begins: its number, for [`Work::emptied`].
    pub(super) fn emptying(&self) -> u64 {
        let mut inner = self.lock();
        inner.emptyings += 1;
        inner.emptyings
    }

    /// That emptying has ended: all that was in the socket when it began is in the queue, or lost and asked for.
    pub(super) fn emptied(&self, emptying: u64) {
        self.lock().emptied = emptying;
        self.done.notify_all();
    }

    /// The first emptying that is sure to begin after this call.
    pub(super) fn next_emptying(&self) -> u64 {
        self.lock().emptyings + 1
    }

    /// The highest number that the socket has given.
    pub(super) fn seen(&self) -> SeqNum {
        self.lock().seen
    }

    /// A comparison with sysfs is needed; barriers wait until its token and those of its jobs are gone.
    pub(super) fn resync_wanted(&self) -> Token {
        let token = Token::default();
        self.lock().resyncs.push(token.weak());
        token
    }

    /// Waits until `batch` is the last of its tokens; returns early when the daemon stops.
    pub(super) fn wait_for_batch(&self, batch: &Token) {
        let mut inner = self.lock();
        while !batch.is_last() && !inner.stopping {
            inner = self.done.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// True when an unfinished event is about the device at `path`.
    pub(super) fn concerns(&self, path: &DevPath) -> bool {
        self.lock().queue.concerns(path)
    }

    /// How far the queue is with everything up to `seqnum`.
    pub(super) fn standing(&self, seqnum: SeqNum) -> Standing {
        let mut inner = self.lock();
        inner.resyncs.retain(|token| token.strong_count() > 0);
        Standing {
            done: inner.queue.is_done(seqnum) && inner.resyncs.is_empty(),
            unfinished: inner.queue.len(),
            emptied: inner.emptied,
        }
    }

    /// Waits until something is finished or the socket is found empty, at most `timeout`.
    pub(super) fn wait_for_news(&self, timeout: Duration) {
        let inner = self.lock();
        drop(self.done.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until `reached`, which is asked again at each piece of news; returns early when the daemon stops.
    pub(super) fn wait_until(&self, reached: impl Fn() -> bool) {
        let mut inner = self.lock();
        while !reached() && !inner.stopping {
            let waited = self.done.wait_timeout(inner, Duration::from_millis(200));
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything up to `seqnum` is done (resyncs aside); returns early when the daemon stops.
    pub(super) fn wait_for_seqnum(&self, seqnum: SeqNum) {
        let mut inner = self.lock();
        while !inner.queue.is_done(seqnum) && !inner.stopping {
            inner = self.done.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waiting; nothing is handed out any more.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.ready.notify_all();
        self.done.notify_all();
    }

    /// Waiting, running, most ever.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        let running = inner.queue.running();
        (inner.queue.len() - running, running, inner.queue.high_water())
    }
}
