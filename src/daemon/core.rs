//! Owns what the daemon's threads share: engine, queue, rules in force, counters, subscribers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crossbeam_channel::Sender;
use nix::sys::eventfd::EventFd;

use super::Message;
use super::backlog::Backlog;
use super::control::Broadcast;
use super::control::protocol::Mode;
use super::counters::Counters;
use super::engine::{Engine, Reach};
use super::listeners::Listeners;
use super::watch::{Closers, Watches};
use super::work::Work;
use super::workers::Workers;
use crate::builtin;
use crate::config;
use crate::decide::Plan;
use crate::diag::{self, Diagnostic, Severity};
use crate::ids::Action;
use crate::log;
use crate::rules::compile::Compiled;
use crate::rules::load::{self, Loaded, Refused};
use crate::rules::toml::{Accounts, Known};
use crate::uevent::Uevent;

/// The rules that events are evaluated with, and what they were made from.
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// Files, tests and diagnostics of the texts in force.
    pub(super) loaded: Loaded,
    /// Files of which another text, or none, is in force.
    pub(super) refused: Vec<Refused>,
}

/// Shared by all threads.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) work: Arc<Work>,
    /// libudev's listeners; `None` where telling them is another's.
    pub(super) listeners: Option<Listeners>,
    pub(super) workers: Workers,
    pub(super) worker_count: usize,
    /// A limit on them, whatever they wait for; 0: none.
    pub(super) children_max: AtomicUsize,
    pub(super) counters: Arc<Counters>,
    pub(super) broadcast: Arc<Broadcast>,
    pub(super) wake: Arc<EventFd>,
    /// Tells the reader to listen to udevd anew.
    pub(super) reopen: Arc<AtomicBool>,
    /// What udevd owes; `None` where events are the kernel's own.
    pub(super) backlog: Option<Arc<Backlog>>,
    /// Whether there is a udevd, as last seen.
    pub(super) udevd_there: AtomicBool,
    pub(super) mode: Mode,
    pub(super) mode_reason: String,
    pub(super) rule_dirs: Vec<PathBuf>,
    pub(super) queue_limit: usize,
    pub(super) receive_buffer: usize,
    pub(super) started: Instant,
    pub(super) ready: AtomicBool,
    pub(super) main: Sender<Message>,
    pub(super) log: log::Control,
    pub(super) config_source: config::Source,
    /// The configuration as last read.
    pub(super) config: Mutex<config::Config>,
    /// What was said on the command line.
    pub(super) typed: config::Typed,
    pub(super) watches: Option<Arc<Watches>>,
    pub(super) rules: RulesInForce,
}

/// The rules, replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct RulesInForce {
    compiled: RwLock<Arc<Compiled>>,
    files: Mutex<InForce>,
}

impl RulesInForce {
    /// What events are evaluated with from now on.
    pub(super) fn replace(&self, new: InForce) -> Arc<Compiled> {
        let compiled = Arc::new(Compiled::new(&new.loaded.files));
        *self.compiled.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&compiled);
        *self.files() = new;
        compiled
    }

    /// What events are evaluated with now.
    pub(super) fn compiled(&self) -> Arc<Compiled> {
        Arc::clone(&self.compiled.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The files behind it.
    pub(super) fn files(&self) -> MutexGuard<'_, InForce> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the rule directories would put in force now: a file that is broken leaves its old text in force.
    pub(super) fn read(&self, dirs: &[PathBuf], accounts: &dyn Accounts) -> InForce {
        let merged = load::merge(&self.files().loaded, load_all(dirs, accounts));
        InForce { loaded: merged.loaded, refused: merged.refused }
    }
}

/// What the rule directories put in force at the start: nothing is older than a broken file, so that of each file holds
/// what can be understood.
pub(super) fn first(dirs: &[PathBuf], accounts: &dyn Accounts) -> InForce {
    InForce { loaded: load_all(dirs, accounts), refused: Vec::new() }
}

fn load_all(dirs: &[PathBuf], accounts: &dyn Accounts) -> Loaded {
    load::load(dirs, &Known { accounts, builtins: builtin::NAMES })
}

impl InForce {
    /// Says in the log what is wrong with the files.
    pub(super) fn complain(&self) {
        self.loaded.diagnostics.iter().for_each(complain);
        for refused in &self.refused {
            tracing::error!("{} is refused: what was in force before stays", refused.path.display());
            refused.diagnostics.iter().for_each(complain);
        }
    }
}

fn complain(diagnostic: &Diagnostic) {
    let text = diag::render(diagnostic, false);
    match diagnostic.severity {
        Severity::Error => tracing::error!(RULE = %diagnostic.place, "{text}"),
        Severity::Warning => tracing::warn!(RULE = %diagnostic.place, "{text}"),
        Severity::Note => tracing::debug!(RULE = %diagnostic.place, "{text}"),
    }
}

/// The limit on workers that is configured; 0: none.
pub(super) fn limit_of(config: &config::Config) -> usize {
    config.children_max.map_or(0, Into::into)
}

impl Core {
    /// An event that the daemon made itself, with what udevd found of its device. `None`: udevd has not handled the device,
    /// and its event will come.
    pub(super) fn complete(&self, uevent: Uevent) -> Option<Uevent> {
        let path = uevent.devpath.clone();
        let complete = self.engine.complete(uevent);
        if let (None, Some(backlog)) = (&complete, &self.backlog) {
            backlog.is_left(path, Instant::now());
        }
        complete
    }

    /// Waits until writers that have closed a watched node have had their events asked for: what they wrote is among the
    /// kernel's events then.
    pub(super) fn wait_for_writers(&self) {
        if let Some(watches) = &self.watches {
            watches.wait_until_quiet();
        }
    }

    /// The event of a device begins: writers of a disk, and of what is watched, are noticed meanwhile.
    pub(super) fn begin_watch(&self, uevent: &Uevent) {
        let Some((watches, path)) = self.watched_node(uevent) else { return };
        match uevent.action {
            Action::Remove => watches.remove(&path, &uevent.devpath),
            _ if uevent.subsystem == "block" || watches.has(&path) => watches.begin(&path, &uevent.devpath),
            _ => {}
        }
    }

    /// The event of a device ends without a plan.
    pub(super) fn leave_watch(&self, uevent: &Uevent) {
        if let Some((watches, path)) = self.watched_node(uevent) {
            watches.leave(&path, &uevent.devpath);
        }
    }

    fn watched_node(&self, uevent: &Uevent) -> Option<(&Watches, PathBuf)> {
        let (watches, node) = (self.watches.as_ref()?, uevent.devname()?);
        Some((watches, self.engine.site().roots.dev.join(super::view::path(node))))
    }

    /// Watches the node of a device whose rules ask for it, and no longer that of one whose rules do not.
    pub(super) fn keep_watch(&self, plan: &Plan) {
        let (Some(watches), Some(node)) = (&self.watches, &plan.node) else { return };
        if self.engine.site().reach != Reach::Everything {
            return;
        }
        let path = self.engine.site().roots.dev.join(super::view::path(&node.name));
        let there = plan.event.action != Action::Remove;
        if there && plan.watch.as_ref().is_some_and(|watch| watch.value) {
            let closers = match self.engine.runs_programs(plan) {
                true => Closers::ProgramsToo,
                false => Closers::Others,
            };
            match watches.keep(&path, &plan.event.devpath, closers) {
                Ok(()) => {}
                // it has gone meanwhile, and its removal comes
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, "writers of {} are not noticed", path.display()),
            }
        } else {
            watches.remove(&path, &plan.event.devpath);
        }
    }
}
