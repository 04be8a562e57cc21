//! Owns the queue as threads share it: who puts events in, who takes them out, who waits until they are done.
//!
//! The order of events is `queue`'s. Never handles an event.
//!
//! A thread is woken only for what it waits for: with thousands of events a second each needless wake-up costs more than
//! the work in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::job::{Cause, Job, Token};
use super::news::News;
use super::queue_file::QueueFile;
use crate::ids::{DevPath, SeqNum};
use crate::queue::{Pushed, Queue, Ticket};
use crate::uevent::Uevent;

/// Names one handing-out of a job. A worker that comes too late with its result has one that is no longer known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunId(u64);

/// A job that some worker has.
#[derive(Debug)]
struct Run {
    ticket: Ticket,
    /// Without its tokens: a worker that hangs must not hold them.
    job: Arc<Job>,
    tokens: Vec<Token>,
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
    waiting: Waiting,
    /// Who looks at `/sys` and wants to know what the kernel says meanwhile.
    listeners: Vec<Weak<News>>,
    /// Worker threads that there are, those aside that hang and were given up; and how many there should be.
    workers: usize,
    workers_wanted: usize,
    limit: usize,
    /// Tells libudev programs whether anything is unfinished.
    file: Option<QueueFile>,
    /// The devices of the start do not all have their names.
    starting: bool,
    /// Nothing is handed out until told otherwise.
    paused: bool,
    stopping: bool,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Waiting {
    /// Workers without a job.
    idle: usize,
    /// Who waits for whatever comes.
    for_news: usize,
    /// Who waits until everything up to a number is done.
    for_numbers: Vec<SeqNum>,
    /// Who waits for room, until only so many jobs are unfinished.
    for_room: Option<usize>,
}

impl Inner {
    fn tell_file(&mut self) {
        let unfinished = self.starting || !self.queue.is_empty();
        if let Some(file) = &mut self.file {
            file.set(unfinished);
        }
    }

    fn standing(&mut self, seqnum: SeqNum) -> Standing {
        self.resyncs.retain(|token| token.strong_count() > 0);
        Standing {
            done: self.queue.is_done(seqnum) && self.resyncs.is_empty(),
            unfinished: self.queue.len(),
            emptied: self.emptied,
        }
    }
}

impl Waiting {
    fn no_longer(&mut self, number: SeqNum) {
        if let Some(at) = self.for_numbers.iter().position(|n| *n == number) {
            self.for_numbers.swap_remove(at);
        }
    }
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
    pub(super) job: Arc<Job>,
    pub(super) elapsed: Duration,
}

impl Work {
    /// An empty queue for at most `limit` events. `file` tells others whether it is empty.
    pub(super) fn new(limit: usize, file: Option<QueueFile>) -> Self {
        let inner = Inner {
            queue: Queue::new(limit),
            runs: BTreeMap::new(),
            next_run: 0,
            seen: SeqNum(0),
            emptyings: 0,
            emptied: 0,
            resyncs: Vec::new(),
            waiting: Waiting::default(),
            listeners: Vec::new(),
            workers: 0,
            workers_wanted: 0,
            limit,
            file,
            starting: true,
            paused: false,
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
        if job.cause == Cause::Kernel {
            inner.listeners.retain(|listener| match listener.upgrade() {
                Some(news) => {
                    news.note(&job.uevent);
                    true
                }
                None => false,
            });
        }
        self.put_in(&mut inner, job, known)
    }

    fn put_in(&self, inner: &mut Inner, job: Job, known: impl FnOnce(&Job) -> bool) -> Pushed {
        let pushed = inner.queue.push(job, known);
        inner.tell_file();
        // what became one with another or nothing may have held up others
        self.call_workers(inner);
        if pushed != Pushed::Queued {
            // with the events their tokens may be gone
            self.done.notify_all();
        }
        pushed
    }

    /// From now on the kernel's events are noted in what is returned, as long as it is held.
    pub(super) fn listen(&self) -> Arc<News> {
        let news = Arc::default();
        self.lock().listeners.push(Arc::downgrade(&news));
        news
    }

    /// Puts in a job that the daemon has made itself: when fewer than `room` jobs are unfinished, and unless there is
    /// news of its device. Both are looked at and the job is put in without anything coming in between. True: it is in.
    pub(super) fn push_own(&self, job: Job, room: usize, news: Option<&News>) -> bool {
        let mut inner = self.lock();
        let room = room.min(inner.limit).max(1);
        if inner.queue.len() >= room {
            // till half of it is free: who puts jobs in is not to be woken for each
            while inner.queue.len() > room / 2 && !inner.stopping {
                inner.waiting.for_room = inner.waiting.for_room.max(Some(room / 2));
                inner = self.done.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if inner.stopping || news.is_some_and(|news| news.concerns(&job.uevent.devpath)) {
            return false;
        }
        self.put_in(&mut inner, job, |_| true) != Pushed::Overflow
    }

    /// The devices of the start have their names.
    pub(super) fn started(&self) {
        let mut inner = self.lock();
        inner.starting = false;
        inner.tell_file();
    }

    /// Hands out nothing from now on, or does again. What is begun is finished, and what comes is put in.
    pub(super) fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.ready.notify_all();
    }

    /// True once the daemon stops.
    pub(super) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    fn call_workers(&self, inner: &Inner) {
        let ready = if inner.paused { 0 } else { inner.queue.ready() };
        match ready.min(inner.waiting.idle) {
            0 => {}
            1 => self.ready.notify_one(),
            _ => self.ready.notify_all(),
        }
    }

    /// Waits for a job; `None` when the daemon stops or has more workers than it needs: then the worker ends.
    pub(super) fn take(&self) -> Option<(RunId, Arc<Job>)> {
        let mut inner = self.lock();
        loop {
            if inner.stopping || inner.workers > inner.workers_wanted {
                inner.workers = inner.workers.saturating_sub(1);
                return None;
            }
            let now = Instant::now();
            let taken = if inner.paused { None } else { inner.queue.take(now) };
            if let Some((ticket, mut job)) = taken {
                inner.next_run += 1;
                let run = RunId(inner.next_run);
                let tokens = std::mem::take(&mut job.tokens);
                let job = Arc::new(job);
                let begun = Run { ticket, job: Arc::clone(&job), tokens, since: now, warned: false };
                inner.runs.insert(run, begun);
                return Some((run, job));
            }
            inner.waiting.idle += 1;
            inner = match inner.queue.next_deadline().filter(|_| !inner.paused) {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    self.ready.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
            inner.waiting.idle -= 1;
        }
    }

    /// The job of this run is over. False: it was given up meanwhile, and its result counts for nothing.
    pub(super) fn finish(&self, run: RunId) -> bool {
        let mut inner = self.lock();
        let Some(Run { ticket, tokens, .. }) = inner.runs.remove(&run) else { return false };
        inner.queue.finish(ticket);
        inner.tell_file();
        let ends_batch = tokens.iter().any(Token::is_nearly_last);
        // before anybody is told
        drop(tokens);
        self.call_workers(&inner);
        let Inner { queue, waiting, .. } = &mut *inner;
        let room = waiting.for_room.take_if(|low| queue.len() <= *low).is_some();
        let reached = waiting.for_numbers.iter().any(|number| queue.is_done(*number));
        if ends_batch || room || reached || waiting.for_news > 0 {
            self.done.notify_all();
        }
        true
    }

    /// Puts off a run that can't begin yet (somebody holds the disk); its job comes again at `not_before`.
    pub(super) fn put_off(&self, run: RunId, not_before: Instant) {
        let mut inner = self.lock();
        if let Some(Run { ticket, job, tokens, .. }) = inner.runs.remove(&run) {
            let job = Job {
                tokens,
                held_since: job.held_since.or(Some(Instant::now())),
                ..Arc::unwrap_or_clone(job)
            };
            inner.queue.retry(ticket, job, not_before);
        }
    }

    /// Gives up a run that hangs, and its worker with it: its job is tried again at `not_before`, or never.
    pub(super) fn give_up(&self, run: RunId, not_before: Option<Instant>) {
        let mut inner = self.lock();
        let Some(not_before) = not_before else {
            drop(inner);
            if self.finish(run) {
                let mut inner = self.lock();
                inner.workers = inner.workers.saturating_sub(1);
            }
            return;
        };
        if let Some(Run { ticket, job, tokens, .. }) = inner.runs.remove(&run) {
            inner.workers = inner.workers.saturating_sub(1);
            let hangs = job.hangs + 1;
            let job = Job { tokens, hangs, ..Arc::unwrap_or_clone(job) };
            inner.queue.retry(ticket, job, not_before);
            self.ready.notify_all();
        }
    }

    /// True as long as a run has not been given up.
    pub(super) fn is_current(&self, run: RunId) -> bool {
        self.lock().runs.contains_key(&run)
    }

    /// How many workers have to be started so that there are `base` and, for each that has been busy with one job for
    /// `slow`, two more, at most `extra`. They count as started; see [`Work::not_started`].
    pub(super) fn staff(&self, base: usize, slow: Duration, extra: usize) -> usize {
        let now = Instant::now();
        let mut inner = self.lock();
        let busy = inner.runs.values().filter(|run| now - run.since >= slow).count();
        inner.workers_wanted = base.saturating_add(busy.saturating_mul(2).min(extra));
        if inner.workers > inner.workers_wanted {
            self.ready.notify_all();
        }
        let missing = inner.workers_wanted.saturating_sub(inner.workers);
        inner.workers += missing;
        missing
    }

    /// So many workers could not be started.
    pub(super) fn not_started(&self, workers: usize) {
        let mut inner = self.lock();
        inner.workers = inner.workers.saturating_sub(workers);
    }

    /// The events that workers are at.
    pub(super) fn running(&self) -> Vec<Uevent> {
        self.lock().runs.values().map(|run| run.job.uevent.clone()).collect()
    }

    /// After [`Work::stop`]: waits until no worker is at an event, at most `patience`. How many are left.
    pub(super) fn wait_for_workers(&self, patience: Duration) -> usize {
        let mut inner = self.lock();
        inner.waiting.for_news += 1;
        let waited = self.done.wait_timeout_while(inner, patience, |inner| !inner.runs.is_empty());
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.waiting.for_news -= 1;
        inner.runs.len()
    }

    /// Jobs that have been worked on for longer than `limit`, each reported once; and those beyond `end`, each time.
    pub(super) fn late(&self, limit: Duration, end: Duration) -> Vec<Late> {
        let now = Instant::now();
        let mut late = Vec::new();
        for (id, run) in &mut self.lock().runs {
            let elapsed = now - run.since;
            if elapsed >= end || (elapsed >= limit && !run.warned) {
                run.warned = true;
                late.push(Late { run: *id, job: Arc::clone(&run.job), elapsed });
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
        let mut inner = self.lock();
        inner.emptied = emptying;
        if inner.waiting.for_news > 0 || !inner.waiting.for_numbers.is_empty() {
            self.done.notify_all();
        }
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
        self.lock().standing(seqnum)
    }

    /// Waits until everything up to `seqnum` is done or the socket is found empty, at most `timeout`. Returns at once
    /// if that has come about since the queue was as `before`.
    pub(super) fn wait_for_news(&self, seqnum: SeqNum, before: &Standing, timeout: Duration) {
        let mut inner = self.lock();
        let now = inner.standing(seqnum);
        if (now.done, now.emptied) != (before.done, before.emptied) {
            return;
        }
        inner.waiting.for_numbers.push(seqnum);
        let waited = self.done.wait_timeout(inner, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting.no_longer(seqnum);
    }

    /// Waits until `reached`, which is asked again at each piece of news; returns early when the daemon stops.
    pub(super) fn wait_until(&self, reached: impl Fn() -> bool) {
        let mut inner = self.lock();
        inner.waiting.for_news += 1;
        while !reached() && !inner.stopping {
            let waited = self.done.wait_timeout(inner, Duration::from_millis(200));
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.waiting.for_news -= 1;
    }

    /// Waits until everything up to `seqnum` is done (resyncs aside), at most `patience`: true if it is. Returns early
    /// when the daemon stops.
    pub(super) fn wait_for_seqnum(&self, seqnum: SeqNum, patience: Duration) -> bool {
        let mut inner = self.lock();
        inner.waiting.for_numbers.push(seqnum);
        let unfinished = |inner: &mut Inner| !inner.queue.is_done(seqnum) && !inner.stopping;
        let waited = self.done.wait_timeout_while(inner, patience, unfinished);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.waiting.no_longer(seqnum);
        inner.queue.is_done(seqnum)
    }

    /// Ends all waiting; nothing is handed out any more.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.ready.notify_all();
        self.done.notify_all();
    }

    /// Nobody is told of unfinished events any more: they are the next start's.
    pub(super) fn end(&self) {
        self.lock().file = None;
    }

    /// Waiting, running, most ever.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        let running = inner.queue.running();
        (inner.queue.len() - running, running, inner.queue.high_water())
    }
}

#[cfg(test)]
mod tests;
