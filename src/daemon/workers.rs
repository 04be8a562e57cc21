//! Owns the worker threads: each takes a ready job, carries it through, and says that it is over.
//!
//! A worker that panics costs its event. One that hangs is reported, another takes its place, and its device is tried
//! again later; the record of its last good event stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::core::Core;
use super::engine::Handled;
use super::job::{Cause, Job};
use super::work::RunId;
use super::{report, view};
use crate::apply::disk::DiskLock;
use crate::daemon::control::protocol::EventSource;
use crate::ids::Action;

/// So often a device is tried again whose worker hung.
const ATTEMPTS: u32 = 3;
/// The first wait before another try; it doubles with each.
const BACK_OFF: Duration = Duration::from_secs(5);

/// How many workers there are, and a number for the next one's name.
#[derive(Debug, Default)]
pub(super) struct Workers {
    started: AtomicUsize,
}

impl Workers {
    /// Starts the workers that there always are.
    pub(super) fn start(core: &Arc<Core>) -> std::io::Result<()> {
        (0..Self::missing(core)).try_for_each(|_| Self::start_one(core))
    }

    /// How many are to be started. Who has set a limit gets no more workers than that, whatever they wait for.
    fn missing(core: &Core) -> usize {
        match core.children_max.load(Ordering::Relaxed) {
            0 => core.work.staff(core.worker_count, SLOW, EXTRA),
            limit => {
                let base = limit.min(core.worker_count.max(EXTRA));
                core.work.staff(base, SLOW, limit - base)
            }
        }
    }

    fn start_one(core: &Arc<Core>) -> std::io::Result<()> {
        let number = core.workers.started.fetch_add(1, Ordering::Relaxed);
        let core = Arc::clone(core);
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || work(&core))?;
        Ok(())
    }

    /// Looks for jobs that take too long. Called by the main loop now and then.
    pub(super) fn look_after(core: &Arc<Core>) {
        let site = core.engine.site();
        let end = site.event_timeout + site.exec_delay + GRACE;
        for late in core.work.late(end / 3, end) {
            let (devpath, seconds) = (&late.job.uevent.devpath, late.elapsed.as_secs());
            if late.elapsed < end {
                tracing::warn!(DEVPATH = %devpath, "this device has been worked on for {seconds} s");
                continue;
            }
            core.counters.failed.count();
            if late.job.hangs < ATTEMPTS {
                let wait = BACK_OFF * 2_u32.saturating_pow(late.job.hangs);
                tracing::error!(DEVPATH = %devpath, "a worker hangs: tried again in {} s", wait.as_secs());
                core.work.give_up(late.run, Some(Instant::now() + wait));
            } else {
                tracing::error!(DEVPATH = %devpath, "workers hang on this device again and again: given up until its next event");
                core.engine.leave(&late.job.uevent);
                if let Some(listeners) = &core.listeners {
                    listeners.failed(&late.job.uevent, Some(nix::errno::Errno::ETIMEDOUT));
                }
                core.work.give_up(late.run, None);
            }
        }
        Self::reinforce(core);
    }

    /// Others take the place of workers that are busy with one event for long: programs that never end hold up their own
    /// devices and nobody else's.
    pub(super) fn reinforce(core: &Arc<Core>) {
        let missing = Self::missing(core);
        for started in 0..missing {
            if let Err(error) = Self::start_one(core) {
                tracing::error!(%error, "no thread for another worker");
                core.work.not_started(missing - started);
                return;
            }
        }
    }
}

/// A worker that is at one event for so long has others take its place.
const SLOW: Duration = Duration::from_secs(1);
/// At most so many more workers than configured.
const EXTRA: usize = 64;
/// What an event has beyond the time of its programs before its worker counts as hanging.
const GRACE: Duration = Duration::from_secs(10);

fn work(core: &Core) {
    while let Some((run, job)) = core.work.take() {
        let _fields = report::span(&job.uevent).entered();
        // nothing that was half done is relied on afterwards: locks are recovered, and the next event looks anew
        match catch_unwind(AssertUnwindSafe(|| carry_through(core, &job, run))) {
            Ok(Carried::Through) => core.counters.handled.count(),
            Ok(Carried::Busy) => {
                put_off(core, &job, run);
                continue;
            }
            Err(_) => {
                core.counters.failed.count();
                core.leave_watch(&job.uevent);
                core.engine.leave(&job.uevent);
                if let Some(listeners) = &core.listeners {
                    listeners.failed(&job.uevent, None);
                }
                tracing::error!(
                    "this event is lost: its worker panicked; please report the message before this one"
                );
            }
        }
        if !core.work.finish(run) {
            // it was given up, and another worker has taken this one's place
            return;
        }
    }
}

/// How far a job came.
enum Carried {
    /// To its end.
    Through,
    /// Not at all: somebody has the disk for himself.
    Busy,
}

/// The job comes again soon, and at once with the next event of its device. Whoever repartitions a disk may hold it as long
/// as he likes: the event is not lost. (systemd-udevd drops it after three minutes.)
fn put_off(core: &Core, job: &Job, run: RunId) {
    let now = Instant::now();
    let held = job.held_since.map_or(Duration::ZERO, |since| now - since);
    if (LONG_HELD..LONG_HELD + HELD_AGAIN).contains(&held) {
        tracing::warn!(
            "somebody has held a lock on this disk for {} s (fuser(1) names him): the event waits for it",
            held.as_secs()
        );
    }
    core.work.put_off(run, now + if held < LONG_HELD { HELD_SOON } else { HELD_AGAIN });
}

/// A disk that is locked is looked at again so soon at first, and so soon when it has been locked for long.
const HELD_SOON: Duration = Duration::from_millis(200);
const HELD_AGAIN: Duration = Duration::from_secs(2);
const LONG_HELD: Duration = Duration::from_secs(180);

fn carry_through(core: &Core, job: &Job, run: RunId) -> Carried {
    let (rules, uevent) = (core.rules.compiled(), &job.uevent);
    let resync = job.cause == Cause::Resync && uevent.action != Action::Remove;
    if resync && !core.engine.is_in_sysfs(&uevent.devpath) {
        // it went after it was found, and that may have been said before. What the start finds needs no such look, which
        // would be the dearest part of it: the socket was listening, and the kernel's word comes after this event
        return Carried::Through;
    }
    let _lock = match core.engine.lock_disk(uevent) {
        DiskLock::Busy => return Carried::Busy,
        lock => lock,
    };
    core.engine.make_read_only(uevent);
    core.begin_watch(uevent);
    let wanted = || core.work.is_current(run);
    let handled = match job.cause {
        Cause::Rules => core.engine.reapply(&rules, uevent),
        Cause::Start => core.engine.resume(&rules, uevent, wanted),
        Cause::Kernel | Cause::Resync => core.engine.handle_if(&rules, uevent, wanted),
    };
    let Some(handled) = handled else {
        core.leave_watch(uevent);
        return Carried::Through;
    };
    core.keep_watch(&handled.plan);
    if let Some(listeners) = &core.listeners
        && is_news(job.cause, &handled)
    {
        listeners.handled(uevent, &handled);
    }
    core.broadcast.publish(EventSource::Handled, || view::handled_event(&job.uevent, &handled));
    Carried::Through
}

/// Listeners hear of what the kernel sent, and of what the daemon found itself where that says something new.
fn is_news(cause: Cause, handled: &Handled) -> bool {
    cause == Cause::Kernel || handled.changed
}
