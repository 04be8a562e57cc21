//! Owns the watch on rule directories and configuration files: a burst of changes becomes one message to the main loop.
//!
//! Never reads a rule. What is not there yet, and a file, is watched through its nearest existing directory.

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
    /// Watches `places`. Error: the system has no inotify instance left.
    pub(super) fn start(places: &[PathBuf], main: Sender<Message>) -> notify::Result<Self> {
        let (touched, touches) = crossbeam_channel::unbounded();
        let interesting: Vec<PathBuf> = places.to_vec();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                Ok(event) if !concerns(&event, &interesting) => {}
                // an error may hide a change: look again rather than miss it
                _ => drop(touched.send(())),
            })?;
        for place in places {
            watch(&mut watcher, place);
        }
        std::thread::Builder::new().name("rule-watch".into()).spawn(move || gather(&touches, &main))?;
        Ok(Self { _watcher: watcher })
    }
}

fn watch(watcher: &mut RecommendedWatcher, place: &Path) {
    let Some(there) = place.ancestors().find(|d| d.is_dir()) else { return };
    if let Err(error) = watcher.watch(there, RecursiveMode::NonRecursive) {
        tracing::warn!(dir = %there.display(), %error, "changes of rules in this directory go unnoticed: reload by hand");
    }
}

/// Reading is no change; other files in a parent directory are none of ours.
fn concerns(event: &notify::Event, places: &[PathBuf]) -> bool {
    !matches!(event.kind, EventKind::Access(_))
        && (event.need_rescan()
            || event
                .paths
                .iter()
                .any(|p| places.iter().any(|place| p.starts_with(place) || place.starts_with(p))))
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
