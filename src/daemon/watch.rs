//! Owns the watches that rules ask for (`watch = true`): when the last writer closes a node, the kernel is asked for the
//! device's events (`written`). Never handles them itself: they come back through the socket like any other.
//!
//! Nodes are watched while their own events are handled too, or a writer who is done just then would go unnoticed. Programs
//! of rules may open the node for writing as well, and each event runs them: so when programs ran, a close counts only if
//! something has been written to the device since the event began, as its `stat` file says.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::written::{Written, sectors_written};
use crate::ids::DevPath;

/// How long somebody who waits for writers' events waits for one who writes all the time.
const QUIET_PATIENCE: Duration = Duration::from_secs(3);
/// The same for an event that is under way and that a writer has not waited for.
const EVENT_PATIENCE: Duration = Duration::from_secs(180);
/// A device whose node is written all the time gets one event in this time, not one for each writer.
const SHORTEST: Duration = Duration::from_millis(500);

/// Programs that write at each event make the next one: so often it is put off, each time by twice the time, and then it is
/// asked for no more.
const DOUBLINGS: u32 = 10;
/// So many writers in a row that came too soon, and somebody should know who writes all the time.
const STORM: u32 = 40;

/// How long the event after one in which programs may have written is put off, when it was so `own` times in a row. `None`:
/// for ever.
fn pause_after_own(own: u32) -> Option<Duration> {
    (own < DOUBLINGS).then(|| SHORTEST * 2_u32.pow(own))
}

#[derive(Debug)]
struct Watched {
    devpath: DevPath,
    node: PathBuf,
    /// Rules ask for it.
    wanted: bool,
    /// The device's own event is being handled.
    event: Option<Meanwhile>,
}

/// What happens while the event of a watched device is handled.
#[derive(Debug, Clone, Copy)]
struct Meanwhile {
    /// A writer has closed the node.
    closed: bool,
    /// Sectors that had been written to the device when the event began.
    written: Option<u64>,
}

/// Who may have closed a node while its own event was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closers {
    /// Somebody else.
    Others,
    /// Somebody else or a program of the event's rules.
    ProgramsToo,
}

/// How fast the writers of a node follow each other.
#[derive(Debug, Default)]
struct Pace {
    /// When the last event was asked for, or will be.
    last: Option<Instant>,
    /// Writers in a row that came too soon after another.
    too_soon: u32,
    /// Events in a row in which programs may have written.
    own: Arc<AtomicU32>,
    /// The event that is still to be asked for is to be, whatever was written.
    sure: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Nodes {
    watched: HashMap<WatchDescriptor, Watched>,
    by_node: HashMap<PathBuf, WatchDescriptor>,
    /// By device: it outlives the watch, which ends with each event and begins again.
    paces: HashMap<DevPath, Pace>,
}

impl Nodes {
    /// The entry of a watch that the kernel has, for this device from now on.
    fn enter(&mut self, descriptor: WatchDescriptor, node: &Path, devpath: &DevPath) -> &mut Watched {
        self.by_node.insert(node.into(), descriptor);
        let fresh = || Watched { devpath: devpath.clone(), node: node.into(), wanted: false, event: None };
        let entry = self.watched.entry(descriptor).or_insert_with(fresh);
        if entry.devpath != *devpath {
            entry.devpath = devpath.clone();
        }
        entry
    }

    fn forget(&mut self, descriptor: WatchDescriptor) -> Option<Watched> {
        let known = self.watched.remove(&descriptor)?;
        if self.by_node.get(&known.node) == Some(&descriptor) {
            self.by_node.remove(&known.node);
        }
        Some(known)
    }
}

/// How things stand with writers.
enum Standing {
    /// The kernel has been asked for the events of all.
    Quiet,
    /// It is still to be asked.
    Busy,
    /// It is to be asked when an event that is being handled ends.
    Owed,
}

/// The watched nodes.
#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    /// Held by who takes closes out and sorts them.
    reading: Mutex<()>,
    /// Events that are still to be asked for.
    pending: Arc<AtomicUsize>,
    sys: PathBuf,
    nodes: Mutex<Nodes>,
}

impl Watches {
    /// No watch yet; `sys` is where devpaths begin. Starts the thread that listens for ever.
    pub(super) fn start(sys: &Path) -> io::Result<Arc<Self>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let watches = Arc::new(Self {
            inotify,
            reading: Mutex::default(),
            pending: Arc::default(),
            sys: sys.into(),
            nodes: Mutex::default(),
        });
        let listener = Arc::clone(&watches);
        std::thread::Builder::new().name("watch".into()).spawn(move || listener.listen())?;
        Ok(watches)
    }

    /// The event of `devpath` begins: who closes `node` from now on is remembered till it ends, whether its rules have asked
    /// for a watch before or will now.
    pub(super) fn begin(&self, node: &Path, devpath: &DevPath) {
        let written = sectors_written(&self.device(devpath));
        let mut nodes = self.nodes();
        // a node that can't be watched now is looked at when the event ends
        let Ok(descriptor) = self.inotify.add_watch(node, AddWatchFlags::IN_CLOSE_WRITE) else { return };
        let entry = nodes.enter(descriptor, node, devpath);
        entry.event.get_or_insert(Meanwhile { closed: false, written });
    }

    /// Whether `node` is watched.
    pub(super) fn has(&self, node: &Path) -> bool {
        self.nodes().by_node.contains_key(node)
    }

    /// The event ends, and `node` is watched from now on; who has closed it meanwhile counts.
    pub(super) fn keep(&self, node: &Path, devpath: &DevPath, closers: Closers) -> io::Result<()> {
        let _reading = self.take_all()?;
        let meanwhile = {
            // locked before: the listener must not look for a watch that is not entered yet
            let mut nodes = self.nodes();
            let descriptor = self.inotify.add_watch(node, AddWatchFlags::IN_CLOSE_WRITE)?;
            let stale = nodes.by_node.get(node).copied().filter(|known| *known != descriptor);
            let before = stale.and_then(|stale| self.end(&mut nodes, stale));
            let entry = nodes.enter(descriptor, node, devpath);
            entry.wanted = true;
            entry.event.take().or(before)
        };
        let unless = |meanwhile: Meanwhile| (closers == Closers::ProgramsToo).then_some(meanwhile.written);
        let closed = meanwhile.filter(|meanwhile| meanwhile.closed).map(unless);
        if closed.is_none_or(|unless| unless.is_none())
            && let Some(pace) = self.nodes().paces.get(devpath)
        {
            pace.own.store(0, Ordering::SeqCst);
        }
        if let Some(unless) = closed {
            self.writer_is_done(devpath, node, unless);
        }
        Ok(())
    }

    /// The event ends without having said whether the node is to be watched: it is if it was, and who has closed it counts.
    pub(super) fn leave(&self, node: &Path, devpath: &DevPath) {
        let wanted = {
            let nodes = self.nodes();
            let known = nodes.by_node.get(node).and_then(|descriptor| nodes.watched.get(descriptor));
            known.is_some_and(|known| known.wanted)
        };
        let kept = wanted && self.keep(node, devpath, Closers::ProgramsToo).is_ok();
        if !kept {
            self.pause(node);
        }
    }

    /// Ends the watch on `node`, if there is one, and forgets how fast the writers of `devpath` came.
    pub(super) fn remove(&self, node: &Path, devpath: &DevPath) {
        self.pause(node);
        self.nodes().paces.remove(devpath);
    }

    fn pause(&self, node: &Path) {
        let mut nodes = self.nodes();
        if let Some(descriptor) = nodes.by_node.get(node).copied() {
            self.end(&mut nodes, descriptor);
        }
    }

    /// The devices that are watched now.
    pub(super) fn devices(&self) -> Vec<DevPath> {
        let nodes = self.nodes();
        nodes
            .watched
            .values()
            .filter(|watched| watched.wanted)
            .map(|watched| watched.devpath.clone())
            .collect()
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a watch; what has happened while the event of its device was handled, if one was.
    fn end(&self, nodes: &mut Nodes, descriptor: WatchDescriptor) -> Option<Meanwhile> {
        // the node may have gone, and its watch with it
        let _gone = self.inotify.rm_watch(descriptor);
        nodes.forget(descriptor)?.event
    }

    fn listen(&self) {
        loop {
            match self.readable(PollTimeout::NONE).and_then(|_| self.take_all().map(drop)) {
                Ok(()) => {}
                Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!(%error, "nodes are no longer watched for writers");
                    return;
                }
            }
        }
    }

    /// Sorts all closes that there have been; nobody else does until the answer is dropped.
    fn take_all(&self) -> Result<MutexGuard<'_, ()>, Errno> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.inotify.read_events() {
                Ok(events) => events.iter().for_each(|event| self.closed(event.wd, event.mask)),
                Err(Errno::EAGAIN) => return Ok(reading),
                Err(error) => return Err(error),
            }
        }
    }

    /// The directory of a device in sysfs.
    fn device(&self, devpath: &DevPath) -> PathBuf {
        self.sys.join(Path::new(OsStr::from_bytes(devpath.relative())))
    }

    fn readable(&self, patience: PollTimeout) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, patience).map(|ready| ready > 0)
    }

    /// How things stand with writers that have closed a node before this call.
    fn standing(&self) -> Standing {
        let Ok(_reading) = self.reading.try_lock() else { return Standing::Busy };
        if self.readable(PollTimeout::ZERO) != Ok(false) || self.pending.load(Ordering::SeqCst) > 0 {
            return Standing::Busy;
        }
        let closed = |watched: &Watched| watched.event.is_some_and(|meanwhile| meanwhile.closed);
        if self.nodes().watched.values().any(closed) { Standing::Owed } else { Standing::Quiet }
    }

    /// Waits until the events of writers that have closed their nodes are asked for, at most some seconds: somebody may
    /// write all the time.
    pub(super) fn wait_until_quiet(&self) {
        let begin = Instant::now();
        loop {
            let patience = match self.standing() {
                Standing::Quiet => return,
                Standing::Busy => QUIET_PATIENCE,
                Standing::Owed => EVENT_PATIENCE,
            };
            if begin.elapsed() > patience {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn closed(&self, descriptor: WatchDescriptor, mask: AddWatchFlags) {
        if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            // whose writers were missed is not known: all are looked at
            let all: Vec<WatchDescriptor> = self.nodes().watched.keys().copied().collect();
            all.into_iter().for_each(|descriptor| self.closed(descriptor, AddWatchFlags::IN_CLOSE_WRITE));
            return;
        }
        let (devpath, node) = {
            let mut nodes = self.nodes();
            if mask.contains(AddWatchFlags::IN_IGNORED) {
                nodes.forget(descriptor);
                return;
            }
            let Some(entry) = nodes.watched.get_mut(&descriptor) else { return };
            if let Some(meanwhile) = &mut entry.event {
                meanwhile.closed = true;
                return;
            }
            (entry.devpath.clone(), entry.node.clone())
        };
        self.writer_is_done(&devpath, &node, None);
    }

    /// Asks for the events after a writer, soon; with `unless`, if more has been written by then.
    fn writer_is_done(&self, devpath: &DevPath, node: &Path, unless: Option<Option<u64>>) {
        let mut nodes = self.nodes();
        let pace = nodes.paces.entry(devpath.clone()).or_default();
        let now = Instant::now();
        let own = if unless.is_some() { pace.own.fetch_add(1, Ordering::SeqCst) } else { 0 };
        let Some(shortest) = pause_after_own(own) else {
            if own == DOUBLINGS {
                let node = node.display();
                tracing::warn!(DEVPATH = %devpath, "programs of rules write to {node} at each event of it: what they write makes no more events");
            }
            return;
        };
        let wait = match pace.last {
            // one is already on its way, and it will see what this writer wrote
            Some(last) if last > now => {
                pace.sure.fetch_or(unless.is_none(), Ordering::SeqCst);
                return;
            }
            Some(last) => shortest.saturating_sub(now - last),
            None => Duration::ZERO,
        };
        pace.last = Some(now + wait);
        pace.sure = Arc::new(AtomicBool::new(unless.is_none()));
        pace.too_soon = if wait.is_zero() { 0 } else { pace.too_soon.saturating_add(1) };
        if pace.too_soon == STORM {
            let node = node.display();
            tracing::warn!(DEVPATH = %devpath, "{node} is opened for writing and closed all the time: its events are held back");
        }
        let written = Written {
            device: self.device(devpath),
            node: node.into(),
            sure: Arc::clone(&pace.sure),
            own: Arc::clone(&pace.own),
            before: unless.flatten(),
        };
        drop(nodes);
        self.ask_for_events(written, wait);
    }

    /// Asks for the events of a device after `wait`.
    fn ask_for_events(&self, written: Written, wait: Duration) {
        let pending = Arc::clone(&self.pending);
        pending.fetch_add(1, Ordering::SeqCst);
        let later = std::thread::Builder::new().name("watch-later".into()).spawn(move || {
            std::thread::sleep(wait);
            if written.is_sure() {
                written.ask();
            } else {
                written.own.store(0, Ordering::SeqCst);
            }
            pending.fetch_sub(1, Ordering::SeqCst);
        });
        if let Err(error) = later {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "no thread for the events after a writer");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_always_write_do_not_go_on_for_ever() {
        let pauses: Vec<_> = (0..).map_while(pause_after_own).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000]);

        let dir = tempfile::tempdir().unwrap();
        let devpath = DevPath::new(b"/devices/virtual/block/x").unwrap();
        let device = dir.path().join("devices/virtual/block/x");
        std::fs::create_dir_all(&device).unwrap();
        let (node, uevent) = (dir.path().join("node"), device.join("uevent"));
        let write =
            |sectors: u32| std::fs::write(device.join("stat"), format!("0 0 0 0 0 0 {sectors}")).unwrap();
        let watches = Watches::start(dir.path()).unwrap();
        for (own, is_asked) in [(0, true), (DOUBLINGS, false)] {
            std::fs::write(&uevent, "").unwrap();
            std::fs::write(&node, "").unwrap();
            write(1);
            let pace = Pace { own: Arc::new(AtomicU32::new(own)), ..Pace::default() };
            watches.nodes().paces.insert(devpath.clone(), pace);
            watches.begin(&node, &devpath);
            std::fs::write(&node, "x").unwrap();
            write(2);
            watches.keep(&node, &devpath, Closers::ProgramsToo).unwrap();
            while watches.pending.load(Ordering::SeqCst) > 0 {
                std::thread::yield_now();
            }
            let asked = std::fs::read_to_string(&uevent).unwrap();
            assert_eq!(asked, if is_asked { "change" } else { "" }, "{own} times before");
            watches.remove(&node, &devpath);
        }
    }
}
