//! Owns the thread that empties the uevent socket, whatever the rest is doing, and puts what it reads into the queue.
//!
//! What is not an event is counted and, at most a few times a minute, named in the log. Never handles an event.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::backlog::Backlog;
use super::counters::Counters;
use super::job::Job;
use super::source::Source;
use super::work::Work;
use super::{Message, control::Broadcast, view};
use crate::ids::SeqNum;
use crate::queue::Pushed;
use crate::uevent::{Counts, GapDetector, Received, Rejected, Uevent};

/// At most one message about rejected datagrams in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What the reader works with.
pub(super) struct Reader {
    pub(super) socket: Source,
    /// What udevd owes, where events are its own.
    pub(super) backlog: Option<Arc<Backlog>>,
    /// A udevd has come: it has to be listened to anew.
    pub(super) reopen: Arc<AtomicBool>,
    pub(super) wake: Arc<EventFd>,
    /// Events up to this number happened before the walk, which sees what they did.
    pub(super) before: SeqNum,
    pub(super) work: Arc<Work>,
    pub(super) counters: Arc<Counters>,
    pub(super) broadcast: Arc<Broadcast>,
    /// Whether anything of an event's device is there from before.
    pub(super) known: Box<dyn Fn(&Uevent) -> bool + Send>,
    pub(super) proc: PathBuf,
    pub(super) main: Sender<Message>,
}

/// What one emptying of the socket found beside events.
struct Found {
    gaps: GapDetector,
    lost: bool,
    last_complaint: Option<Instant>,
}

impl Reader {
    /// Reads until the socket fails or the daemon stops.
    pub(super) fn run(mut self) {
        let mut found = Found { gaps: GapDetector::after(self.before), lost: false, last_complaint: None };
        loop {
            if let Err(error) = self.wait() {
                tracing::error!(%error, "can't wait for uevents");
                let _ending = self.main.send(Message::Failed("the uevent socket can't be waited for"));
                return;
            }
            if let Err(error) = self.empty(&mut found) {
                tracing::error!(%error, "the uevent socket can't be read");
                let _ending = self.main.send(Message::Failed("the uevent socket can't be read"));
                return;
            }
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.listen_anew();
            }
        }
    }

    /// What was said while nobody was heard is looked for.
    fn listen_anew(&mut self) {
        match self.socket.reopen() {
            Ok(true) => self.ask_for_resync("udevd has come"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "udevd can't be listened to");
                let _ending = self.main.send(Message::Failed("udevd can't be listened to"));
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let sources = self.socket.fds();
        let all = sources.into_iter().chain([self.wake.as_fd()]);
        let mut fds: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // not ready is no error: it does not block
        let _count = self.wake.read();
        Ok(())
    }

    /// Takes everything out of the socket. A barrier that was set before this call is behind everything it read.
    fn empty(&mut self, found: &mut Found) -> io::Result<()> {
        let emptying = self.work.emptying();
        loop {
            let mut batch = Vec::new();
            let before = self.socket.counts();
            let drained = self.socket.receive(&mut |received| batch.push(received))?;
            self.count(before);
            for received in batch {
                self.take(received, found);
            }
            if drained.lost || found.lost {
                found.lost = false;
                self.ask_for_resync("the kernel dropped events");
            }
            if drained.emptied {
                self.work.emptied(emptying);
                return Ok(());
            }
        }
    }

    fn take(&self, received: Received, found: &mut Found) {
        let parsed = match received {
            Ok(parsed) => parsed,
            Err(rejected) => return complain(&rejected, found),
        };
        for problem in &parsed.dropped {
            tracing::debug!(DEVPATH = %parsed.uevent.devpath, %problem, "a property is left out");
        }
        let uevent = parsed.uevent;
        if self.socket.is_ordered() {
            let missing: u64 = found.gaps.feed(uevent.seqnum).iter().map(|missing| missing.count()).sum();
            if missing > 0 {
                self.counters.gaps.add(missing);
                let _ending = self.main.send(Message::Gap);
            }
        }
        if uevent.seqnum <= self.before {
            return;
        }
        let source = self.socket.sender();
        self.broadcast.publish(source, || view::heard_event(source, &uevent));
        let heard = self.backlog.as_ref().map(|backlog| (backlog, uevent.clone()));
        let pushed = self.work.push(Job::of_kernel(uevent), |job| (self.known)(&job.uevent));
        // not before: who waits for udevd looks into the queue next
        if let Some((backlog, uevent)) = heard {
            backlog.handled(&uevent);
        }
        match pushed {
            Pushed::Queued => {}
            Pushed::Coalesced => self.counters.coalesced.count(),
            Pushed::Cancelled { events } => self.counters.coalesced.add(u64::try_from(events).unwrap_or(0)),
            Pushed::Overflow => found.lost = true,
        }
    }

    fn ask_for_resync(&self, why: &'static str) {
        // before the socket counts as empty, so that a barrier waits for it
        let token = self.work.resync_wanted();
        let _ending = self.main.send(Message::Resync(why, token));
    }

    fn count(&self, before: Counts) {
        let now = self.socket.counts();
        self.counters.received.add(now.received - before.received);
        self.counters.foreign.add(now.foreign - before.foreign);
        self.counters.truncated.add(now.truncated - before.truncated);
        self.counters.malformed.add(now.malformed - before.malformed);
        self.counters.overruns.add(now.overruns - before.overruns);
        if now.overruns > before.overruns
            && let Ok(drops) = self.socket.drops(&self.proc)
        {
            self.counters.dropped_by_kernel.set(drops);
        }
    }
}

fn complain(rejected: &Rejected, found: &mut Found) {
    let now = Instant::now();
    if found.last_complaint.is_none_or(|last| now - last >= COMPLAIN_EVERY) {
        found.last_complaint = Some(now);
        tracing::warn!(%rejected, "a datagram is dropped (`nameplate status` counts them)");
    }
}

/// Makes the reader look at its socket now.
pub(super) fn wake(wake: &EventFd) {
    if let Err(error) = wake.write(1) {
        tracing::debug!(%error, "the reader is awake already");
    }
}

/// An eventfd for [`wake`].
pub(super) fn wake_fd() -> io::Result<Arc<EventFd>> {
    let flags = nix::sys::eventfd::EfdFlags::EFD_CLOEXEC | nix::sys::eventfd::EfdFlags::EFD_NONBLOCK;
    Ok(Arc::new(EventFd::from_value_and_flags(0, flags)?))
}
