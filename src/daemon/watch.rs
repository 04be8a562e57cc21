//! Owns the watches that rules ask for (`watch = true`): when the last writer closes a node, the kernel is asked for a
//! `change` event of its device. Never handles that event itself: it comes back through the socket like any other.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::ids::DevPath;

/// A device whose node is written all the time gets one event in this time, not one for each writer.
const SHORTEST: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Watched {
    devpath: DevPath,
    node: PathBuf,
    last: Option<Instant>,
}

/// The watched nodes.
#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    sys: PathBuf,
    watched: Mutex<HashMap<WatchDescriptor, Watched>>,
}

impl Watches {
    /// No watch yet; `sys` is where devpaths begin. Starts the thread that listens for ever.
    pub(super) fn start(sys: &Path) -> io::Result<Arc<Self>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let watches = Arc::new(Self { inotify, sys: sys.into(), watched: Mutex::default() });
        let listener = Arc::clone(&watches);
        std::thread::Builder::new().name("watch".into()).spawn(move || listener.listen())?;
        Ok(watches)
    }

    /// Watches `node` for `devpath`; a second call for the same node changes nothing.
    pub(super) fn add(&self, node: &Path, devpath: &DevPath) -> io::Result<()> {
        // locked before: the listener must not look for a watch that is not entered yet
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = self.inotify.add_watch(node, AddWatchFlags::IN_CLOSE_WRITE)?;
        let last = watched.get(&descriptor).and_then(|w| w.last);
        watched.insert(descriptor, Watched { devpath: devpath.clone(), node: node.into(), last });
        Ok(())
    }

    /// Ends the watch on `node`, if there is one.
    pub(super) fn remove(&self, node: &Path) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let found = watched.iter().find(|(_, w)| w.node == node).map(|(descriptor, _)| *descriptor);
        if let Some(descriptor) = found {
            watched.remove(&descriptor);
            // the node may have gone, and its watch with it
            let _gone = self.inotify.rm_watch(descriptor);
        }
    }

    fn listen(&self) {
        loop {
            match self.inotify.read_events() {
                Ok(events) => events.iter().for_each(|event| self.closed(event.wd, event.mask)),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!(%error, "nodes are no longer watched for writers");
                    return;
                }
            }
        }
    }

    fn closed(&self, descriptor: WatchDescriptor, mask: AddWatchFlags) {
        if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            // whose writers were missed is not known: all are looked at
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let all: Vec<WatchDescriptor> = watched.keys().copied().collect();
            drop(watched);
            all.into_iter().for_each(|descriptor| self.closed(descriptor, AddWatchFlags::IN_CLOSE_WRITE));
            return;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if mask.contains(AddWatchFlags::IN_IGNORED) {
            watched.remove(&descriptor);
            return;
        }
        let Some(entry) = watched.get_mut(&descriptor) else { return };
        let now = Instant::now();
        let wait = match entry.last {
            // one is already on its way, and it will see what this writer wrote
            Some(last) if last > now => return,
            Some(last) => SHORTEST.saturating_sub(now - last),
            None => Duration::ZERO,
        };
        entry.last = Some(now + wait);
        let file = self.sys.join(Path::new(OsStr::from_bytes(entry.devpath.relative()))).join("uevent");
        drop(watched);
        ask_for_change(file, wait);
    }
}

/// Writes `change` to the device's `uevent` file after `wait`.
fn ask_for_change(file: PathBuf, wait: Duration) {
    let write = move || {
        if let Err(error) = std::fs::write(&file, "change") {
            tracing::debug!(file = %file.display(), %error, "no change event after a writer");
        }
    };
    if wait.is_zero() {
        write();
        return;
    }
    let later = std::thread::Builder::new().name("watch-later".into()).spawn(move || {
        std::thread::sleep(wait);
        write();
    });
    if let Err(error) = later {
        tracing::warn!(%error, "no thread for a delayed change event");
    }
}
