//! Owns the watch on rule and configuration directories: a burst of changes becomes one message to the main loop.
//!
//! Never reads a rule. A directory that is not there yet is watched through its nearest existing parent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Message;

/// Editors write a file in several steps: the rules are read when there was no change for that long.
const QUIET: Duration = Duration::from_millis(200);
/// A directory that never gets quiet is read all the same after that long.
const LONGEST: Duration = Duration::from_secs(2);

/// The watch; ends when dropped.
#[derive(Debug)]
pub(super) struct RuleWatch {
    _watcher: RecommendedWatcher,
}

impl RuleWatch {
    /// Watches `dirs`. Error: the system has no inotify instance left.
    pub(super) fn start(dirs: &[PathBuf], main: Sender<Message>) -> notify::Result<Self> {
        let (touched, touches) = crossbeam_channel::unbounded();
        let interesting: Vec<PathBuf> = dirs.to_vec();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                Ok(event) if !concerns(&event, &interesting) => {}
                // an error may hide a change: look again rather than miss it
                _ => drop(touched.send(())),
            })?;
        for dir in dirs {
            watch(&mut watcher, dir);
        }
        std::thread::Builder::new().name("rule-watch".into()).spawn(move || gather(&touches, &main))?;
        Ok(Self { _watcher: watcher })
    }
}

fn watch(watcher: &mut RecommendedWatcher, dir: &Path) {
    let Some(there) = dir.ancestors().find(|d| d.is_dir()) else { return };
    if let Err(error) = watcher.watch(there, RecursiveMode::NonRecursive) {
        tracing::warn!(dir = %there.display(), %error, "changes of rules in this directory go unnoticed: reload by hand");
    }
}

/// Reading is no change; other files beside a missing directory's parent are none of ours.
fn concerns(event: &notify::Event, dirs: &[PathBuf]) -> bool {
    !matches!(event.kind, EventKind::Access(_))
        && (event.need_rescan()
            || event.paths.iter().any(|p| dirs.iter().any(|d| p.starts_with(d) || d.starts_with(p))))
}

fn gather(touches: &Receiver<()>, main: &Sender<Message>) {
    while touches.recv().is_ok() {
        let first = Instant::now();
        while first.elapsed() < LONGEST && touches.recv_timeout(QUIET).is_ok() {}
        if main.send(Message::RulesTouched).is_err() {
            return;
        }
    }
}
