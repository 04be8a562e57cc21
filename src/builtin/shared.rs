//! Owns what builtins read once and ask for many events: databases and settings of the system, each behind its own lock.
//!
//! Nothing is read before it is asked for. What has changed on disk is read again after [`Shared::refresh`].

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::hwdb::Hwdb;
use super::net_setup_link::LinkFiles;
use crate::probe::Probes;
use crate::roots::Roots;

/// The databases of one system, and the processes that read media.
#[derive(Debug)]
pub struct Shared {
    link_files: LinkFiles,
    hwdb_files: Vec<PathBuf>,
    hwdb: Mutex<Option<(Stamp, Opened)>>,
    probes: Probes,
    library_missed: AtomicBool,
}

/// A database, or why it is not used.
type Opened = Result<Arc<Hwdb>, String>;

/// What tells a file from the one that replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of the first of `paths` that is there.
    fn first(paths: &[PathBuf]) -> Option<Self> {
        paths.iter().find_map(|path| {
            let meta = fs::metadata(path).ok()?;
            Some(Self {
                path: path.clone(),
                device: meta.dev(),
                inode: meta.ino(),
                size: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
            })
        })
    }
}

impl Shared {
    /// Those of `roots`; nothing is read yet. Media are read by this program run again.
    pub fn new(roots: &Roots) -> Self {
        Self {
            link_files: LinkFiles::default(),
            hwdb_files: roots.hwdb_files(),
            hwdb: Mutex::default(),
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
    pub fn refresh(&self) {
        self.link_files.forget();
        let mut hwdb = self.hwdb.lock().unwrap_or_else(PoisonError::into_inner);
        let stale =
            hwdb.as_ref().is_some_and(|(stamp, _)| Stamp::first(&self.hwdb_files).as_ref() != Some(stamp));
        if stale {
            *hwdb = None;
        }
    }

    /// The `.link` files of the system.
    pub(super) fn link_files(&self) -> &LinkFiles {
        &self.link_files
    }

    /// The hardware database. It is looked for each time, so that a new one counts from the next event on. Error: why
    /// there is none, said once in the log and then only to who asks.
    pub(super) fn hwdb(&self) -> Opened {
        let Some(stamp) = Stamp::first(&self.hwdb_files) else {
            return Err("there is no hardware database (hwdb.bin)".into());
        };
        let mut kept = self.hwdb.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hwdb)) = kept.as_ref().filter(|(of, _)| *of == stamp) {
            return hwdb.clone();
        }
        let opened = Hwdb::open(&stamp.path).map(Arc::new).map_err(|error| error.to_string());
        if let Err(error) = &opened {
            tracing::error!(%error, "the hardware database is not used");
        }
        *kept = Some((stamp, opened.clone()));
        opened
    }
}
