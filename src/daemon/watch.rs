//! Owns the watches that rules ask for (`watch = true`): when the last writer closes a node, the kernel is asked for a
//! `change` event of its device; for a whole disk it is first asked to read the partitions again, and says then itself what
//! has changed. Never handles that event itself: it comes back through the socket like any other.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::ids::DevPath;
use crate::sys::block::reread_partitions;

/// How long somebody who waits for writers' events waits for one who writes all the time.
const QUIET_PATIENCE: Duration = Duration::from_secs(3);
/// A device whose node is written all the time gets one event in this time, not one for each writer.
const SHORTEST: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Watched {
    devpath: DevPath,
    node: PathBuf,
}

/// How fast the writers of a node follow each other.
#[derive(Debug, Default)]
struct Pace {
    /// When the last event was asked for, or will be.
    last: Option<Instant>,
    /// Writers in a row that came too soon after another.
    too_soon: u32,
}

#[derive(Debug, Default)]
struct Nodes {
    watched: HashMap<WatchDescriptor, Watched>,
    /// By device: it outlives the watch, which ends with each event and begins again.
    paces: HashMap<DevPath, Pace>,
}

/// So many of them, and somebody should know who writes all the time.
const STORM: u32 = 40;

/// The watched nodes.
#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    /// The listener is at what it has read.
    busy: AtomicBool,
    /// Events that are still to be asked for.
    pending: Arc<AtomicUsize>,
    sys: PathBuf,
    nodes: Mutex<Nodes>,
}

impl Watches {
    /// No watch yet; `sys` is where devpaths begin. Starts the thread that listens for ever.
    pub(super) fn start(sys: &Path) -> io::Result<Arc<Self>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let watches = Arc::new(Self {
            inotify,
            busy: AtomicBool::new(false),
            pending: Arc::default(),
            sys: sys.into(),
            nodes: Mutex::default(),
        });
        let listener = Arc::clone(&watches);
        std::thread::Builder::new().name("watch".into()).spawn(move || listener.listen())?;
        Ok(watches)
    }

    /// Watches `node` for `devpath`; a second call for the same node changes nothing.
    pub(super) fn add(&self, node: &Path, devpath: &DevPath) -> io::Result<()> {
        // locked before: the listener must not look for a watch that is not entered yet
        let mut nodes = self.nodes();
        let descriptor = self.inotify.add_watch(node, AddWatchFlags::IN_CLOSE_WRITE)?;
        nodes.watched.insert(descriptor, Watched { devpath: devpath.clone(), node: node.into() });
        Ok(())
    }

    /// Ends the watch on `node`, if there is one, and forgets how fast the writers of `devpath` came.
    pub(super) fn remove(&self, node: &Path, devpath: &DevPath) {
        self.pause(node);
        self.nodes().paces.remove(devpath);
    }

    /// The devices that are watched now.
    pub(super) fn devices(&self) -> Vec<DevPath> {
        self.nodes().watched.values().map(|watched| watched.devpath.clone()).collect()
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the watch on `node`, if there is one, till [`Watches::add`] begins it again.
    pub(super) fn pause(&self, node: &Path) {
        let watched = &mut self.nodes().watched;
        let found = watched.iter().find(|(_, w)| w.node == node).map(|(descriptor, _)| *descriptor);
        if let Some(descriptor) = found {
            watched.remove(&descriptor);
            // the node may have gone, and its watch with it
            let _gone = self.inotify.rm_watch(descriptor);
        }
    }

    fn listen(&self) {
        loop {
            let waited = self.readable(PollTimeout::NONE);
            // said before anything is taken out, so that who asks in between is not told that all is quiet
            self.busy.store(true, Ordering::SeqCst);
            let read = waited.and_then(|_| self.inotify.read_events());
            match read {
                Ok(events) => events.iter().for_each(|event| self.closed(event.wd, event.mask)),
                Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!(%error, "nodes are no longer watched for writers");
                    self.busy.store(false, Ordering::SeqCst);
                    return;
                }
            }
            self.busy.store(false, Ordering::SeqCst);
        }
    }

    fn readable(&self, patience: PollTimeout) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, patience).map(|ready| ready > 0)
    }

    /// True when the kernel has been asked for the events of every writer that has closed a node before this call.
    fn is_quiet(&self) -> bool {
        // in the order in which a writer goes through them
        self.readable(PollTimeout::ZERO) == Ok(false)
            && !self.busy.load(Ordering::SeqCst)
            && self.pending.load(Ordering::SeqCst) == 0
    }

    /// Waits until the events of writers that have closed their nodes are asked for, at most some seconds: somebody may
    /// write all the time.
    pub(super) fn wait_until_quiet(&self) {
        let end = Instant::now() + QUIET_PATIENCE;
        while !self.is_quiet() && Instant::now() < end {
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
        let mut nodes = self.nodes();
        let Nodes { watched, paces } = &mut *nodes;
        if mask.contains(AddWatchFlags::IN_IGNORED) {
            watched.remove(&descriptor);
            return;
        }
        let Some(entry) = watched.get(&descriptor) else { return };
        let pace = paces.entry(entry.devpath.clone()).or_default();
        let now = Instant::now();
        let wait = match pace.last {
            // one is already on its way, and it will see what this writer wrote
            Some(last) if last > now => return,
            Some(last) => SHORTEST.saturating_sub(now - last),
            None => Duration::ZERO,
        };
        pace.last = Some(now + wait);
        pace.too_soon = if wait.is_zero() { 0 } else { pace.too_soon.saturating_add(1) };
        if pace.too_soon == STORM {
            let node = entry.node.display();
            tracing::warn!(DEVPATH = %entry.devpath, "{node} is opened for writing and closed all the time: its events are held back");
        }
        let written = Written {
            device: self.sys.join(Path::new(OsStr::from_bytes(entry.devpath.relative()))),
            node: entry.node.clone(),
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
            written.ask();
            pending.fetch_sub(1, Ordering::SeqCst);
        });
        if let Err(error) = later {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "no thread for the events after a writer");
        }
    }
}

/// A device whose node somebody has written to.
struct Written {
    /// Its directory in sysfs.
    device: PathBuf,
    node: PathBuf,
}

impl Written {
    fn ask(&self) {
        let is_read = self.is_whole_disk() && self.reread();
        let partitions = self.partitions();
        if is_read && !partitions.is_empty() {
            // the kernel says what became of the disk and of each partition; of a disk that has none any more it says nothing
            return;
        }
        change(&self.device);
        partitions.iter().for_each(|partition| change(partition));
    }

    /// Disks made by the device mapper have no partitions of the kernel's.
    fn is_whole_disk(&self) -> bool {
        let is_block =
            std::fs::read_link(self.device.join("subsystem")).is_ok_and(|to| to.ends_with("block"));
        let is_mapped = self.device.file_name().is_some_and(|name| name.as_bytes().starts_with(b"dm-"));
        is_block && !is_mapped && !self.device.join("partition").exists()
    }

    fn partitions(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.device).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.join("partition").exists()).collect()
    }

    /// Makes the kernel read the partitions again; false if it can't, or if somebody has the disk for himself.
    fn reread(&self) -> bool {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let Ok(disk) = OpenOptions::new().read(true).custom_flags(flags).open(&self.node) else {
            return false;
        };
        match Flock::lock(disk, FlockArg::LockExclusiveNonblock) {
            Ok(disk) => reread_partitions(&*disk).is_ok(),
            Err(_) => false,
        }
    }
}

fn change(device: &Path) {
    if let Err(error) = std::fs::write(device.join("uevent"), "change") {
        tracing::debug!(device = %device.display(), %error, "no change event after a writer");
    }
}
