//! Owns what builtins read once and ask for many events: databases and settings of the system, each behind its own lock.
//!
//! Nothing is read before it is asked for. What has changed on disk is read again after [`Shared::refresh`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::probe::Probes;
use crate::roots::Roots;

/// The databases of one system, and the processes that read media.
#[derive(Debug)]
pub struct Shared {
    probes: Probes,
    library_missed: AtomicBool,
}

impl Shared {
    /// Those of `roots`; nothing is read yet. Media are read by this program run again.
    pub fn new(_roots: &Roots) -> Self {
        Self {
            probes: Probes::new(crate::sys::process::this_program()),
            library_missed: AtomicBool::new(false),
        }
    }

    /// The same, with media read by another program than the running one, which is then no nameplate (a test).
    #[must_use]
    pub fn with_probe(self, program: PathBuf) -> Self {
        Self { probes: Probes::new(program), ..self }
    }

    /// The processes that read media.
    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    /// True for the first that finds libblkid missing, who says so.
    pub(super) fn is_first_without_library(&self) -> bool {
        !self.library_missed.swap(true, Ordering::Relaxed)
    }

    /// Lets go what was read, where the files have changed since: the next who asks reads anew. For a reload.
    pub fn refresh(&self) {}
}
