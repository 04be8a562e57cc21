//! Owns the way of one event through decide and apply: what a worker does for each, and `nameplate apply` for one.
//!
//! All that events share is here (tree, names, records, numbers); the order of events, the threads and the sockets are not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::DaemonError;
use super::programs::{Asking, Memory, Recalling};
use super::watch::Watches;
use crate::apply::links::LinkFarm;
use crate::apply::names::{Former, LinkReport, Names, Outcome};
use crate::apply::program::Programs;
use crate::apply::{node, netif};
use crate::decide::{self, Difference, Dry, Event, EventHost, Live, Permissions, Plan, Surroundings, decide};
use crate::device::{Device, Facts, Source, Tree};
use crate::diag::Place;
use crate::ids::{Action, DevPath, DeviceId, LinkName};
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::eval::Job as RunJob;
use crate::rules::host::Host;
use crate::rules::trace::Silent;
use crate::store::files::RecordDir;
use crate::store::index::Indexes;
use crate::store::record::Record;
use crate::uevent::Uevent;

/// How far the daemon's arm reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Links only: somebody else (udevd) is the device manager, or the links are not in the device directory.
    Links,
    /// Links, permissions, network names, watches.
    Everything,
}

/// Whether the programs of a plan run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs0 {
    /// A real event.
    Run,
}

/// Where an engine works.
#[derive(Debug, Clone)]
pub struct Site {
    /// The system's directories.
    pub roots: Roots,
    /// Where links are made.
    pub link_dir: PathBuf,
    /// The daemon's own directory: records, control socket.
    pub run_dir: PathBuf,
    /// Where numbers of `index` are kept.
    pub state_dir: PathBuf,
    /// What may be changed.
    pub reach: Reach,
    /// Longest time that one event's programs have.
    pub event_timeout: Duration,
}

/// What is known of a device beside its record: which rule asked for its links, and what its last event was.
#[derive(Debug, Clone)]
struct Origin {
    action: Action,
    links: Box<[(LinkName, Place)]>,
}

/// All that events share.
#[derive(Debug)]
pub struct Engine {
    site: Site,
    tree: Tree,
    names: Names,
    records: RecordDir,
    numbers: Indexes,
    programs: Programs,
    memory: Memory,
    origins: Mutex<HashMap<DeviceId, Origin>>,
}

/// What became of one event.
#[derive(Debug)]
pub struct Handled {
    /// What was decided.
    pub plan: Plan,
    /// What became of each link.
    pub links: Vec<LinkReport>,
    /// What went wrong on the way, in words; each cost only itself.
    pub problems: Vec<String>,
}
