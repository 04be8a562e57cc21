//! Owns the worker threads: each takes a ready job, carries it through, and says that it is over.
//!
//! A worker that panics costs its event. One that hangs is reported, another takes its place, and its device is tried
//! again later; the record of its last good event stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::core::Core;
use super::job::{Cause, Job};
use super::work::RunId;
use super::{report, view};
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
        (0..core.work.staff(core.worker_count, SLOW, EXTRA)).try_for_each(|_| Self::start_one(core))
    }

    fn start_one(core: &Arc<Core>) -> std::io::Result<()> {
        let number = core.workers.started.fetch_add(1, Ordering::Relaxed);
        let core = Arc::clone(core);
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || work(&core))?;
        Ok(())
    }

    /// Looks for jobs that take too long. Called by the main loop now and then.
    pub(super) fn look_after(core: &Arc<Core>) {
        let end = core.engine.site().event_timeout + GRACE;
        for late in core.work.late(end / 3, end) {
            let (devpath, seconds) = (&late.devpath, late.elapsed.as_secs());
            if late.elapsed < end {
                tracing::warn!(DEVPATH = %devpath, "this device has been worked on for {seconds} s");
                continue;
            }
            core.counters.failed.count();
            if late.earlier_attempts < ATTEMPTS {
                let wait = BACK_OFF * 2_u32.saturating_pow(late.earlier_attempts);
                tracing::error!(DEVPATH = %devpath, "a worker hangs: tried again in {} s", wait.as_secs());
                core.work.give_up(late.run, Some(Instant::now() + wait));
            } else {
                tracing::error!(DEVPATH = %devpath, "workers hang on this device again and again: given up until its next event");
                core.work.give_up(late.run, None);
            }
        }
        Self::reinforce(core);
    }

    /// Others take the place of workers that are busy with one event for long: programs that never end hold up their own
    /// devices and nobody else's.
    fn reinforce(core: &Arc<Core>) {
        let missing = core.work.staff(core.worker_count, SLOW, EXTRA);
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
            Ok(()) => core.counters.handled.count(),
            Err(_) => {
                core.counters.failed.count();
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

fn carry_through(core: &Core, job: &Job, run: RunId) {
    let (rules, uevent) = (core.rules.compiled(), &job.uevent);
    let resync = job.cause == Cause::Resync && uevent.action != Action::Remove;
    if resync && !core.engine.is_in_sysfs(&uevent.devpath) {
        // it went after it was found, and that may have been said before. What the start finds needs no such look, which
        // would be the dearest part of it: the socket was listening, and the kernel's word comes after this event
        return;
    }
    let wanted = || core.work.is_current(run);
    let handled = match job.cause {
        Cause::Rules => core.engine.reapply(&rules, uevent),
        Cause::Start => core.engine.resume(&rules, uevent, wanted),
        Cause::Kernel | Cause::Resync => core.engine.handle_if(&rules, uevent, wanted),
    };
    let Some(handled) = handled else { return };
    core.keep_watch(&handled.plan);
    core.broadcast.publish(EventSource::Handled, || view::handled_event(&job.uevent, &handled));
}
