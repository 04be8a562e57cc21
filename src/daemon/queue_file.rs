//! Owns the file that is there as long as events are unfinished: `/run/udev/queue`, by which `udevadm settle` and
//! `udev_queue` of libudev know. Never knows the events.

use std::fs;
use std::io;
use std::path::PathBuf;

/// The file, and whether it is there.
#[derive(Debug)]
pub(super) struct QueueFile {
    path: PathBuf,
    there: bool,
}

impl QueueFile {
    /// Puts the file there: from the start on something is unfinished until the devices that are there have their names.
    pub(super) fn begin(path: PathBuf) -> Self {
        let mut file = Self { path, there: false };
        file.set(true);
        file
    }

    /// Makes the file say whether something is `unfinished`.
    pub(super) fn set(&mut self, unfinished: bool) {
        if self.there == unfinished {
            return;
        }
        self.there = unfinished;
        let done =
            if unfinished { fs::File::create(&self.path).map(drop) } else { fs::remove_file(&self.path) };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "{} does not tell whether events are unfinished", self.path.display());
            }
            _ => {}
        }
    }
}

impl Drop for QueueFile {
    fn drop(&mut self) {
        self.set(false);
    }
}
