//! Owns what the verbs that only look share: a machine (this one, a tree below `--root`, a recording), the rules of a
//! command line, and working out one event on them. Needs no daemon and no right, and changes nothing.

mod find;
mod machine;
mod programs;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::context::Context;
use super::exit::Failure;
use super::site;
pub(super) use machine::Machine;
pub(super) use programs::Asked;

use crate::builtin;
use crate::daemon;
use crate::decide::{Dry, Event, EventHost, Globals, Plan, Surroundings, decide};
use crate::device::{Device, Reader};
use crate::ids::{Action, SeqNum};
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::load::{Loaded, load};
use crate::rules::toml::{Accounts, Known, accounts_of};
use crate::rules::trace::Observer;
use crate::store::index::Indexes;
use crate::uevent::Uevent;

/// Rules as read and as compiled.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) loaded: Loaded,
    pub(super) compiled: Compiled,
}

impl Rules {
    /// Those of the rule directories, behind some that are stronger.
    pub(super) fn of(context: &Context, extra: &[PathBuf], means: &Means) -> Self {
        Self::new(load(&context.rules_to_look_at(extra), &means.known()))
    }

    /// The same where somebody named the extra directories: each has to be there.
    pub(super) fn beside(context: &Context, extra: &[PathBuf], means: &Means) -> Result<Self, Failure> {
        for dir in extra {
            std::fs::read_dir(dir).map_err(|source| Failure::File { path: dir.clone(), source })?;
        }
        Ok(Self::of(context, extra, means))
    }

    pub(super) fn new(loaded: Loaded) -> Self {
        let compiled = Compiled::new(&loaded.files);
        Self { loaded, compiled }
    }
}

/// What rules are read and worked out with, beside the machine.
pub(super) struct Means {
    roots: Roots,
    /// Accounts of the system or of `--root`. A tree without any account file takes those of the running system.
    accounts: Box<dyn Accounts>,
    numbers: Indexes,
    shared: builtin::Shared,
    event_timeout: Duration,
    /// The programs that rules asked for.
    pub(super) programs: Asked,
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl Means {
    /// Those of a command line.
    pub(super) fn new(context: &Context, run_programs: bool) -> Self {
        let config = &context.config.config;
        Self {
            roots: context.roots.clone(),
            accounts: accounts_of(&context.roots, config.resolve_names),
            numbers: Indexes::new(&context.state_dir()),
            shared: builtin::Shared::new(&context.roots),
            event_timeout: config.event_timeout,
            programs: Asked::new(run_programs.then_some((&context.roots, site::program_limit(config)))),
        }
    }

    /// Those that are the same everywhere: no program runs, and no number has been given yet.
    pub(super) fn anywhere(context: &Context) -> Self {
        // No directory has the empty name; nothing is kept, so it is never missed.
        Self { numbers: Indexes::new(Path::new("")), ..Self::new(context, false) }
    }

    /// What rule files are checked against.
    pub(super) fn known(&self) -> Known<'_> {
        Known { accounts: &*self.accounts, builtins: builtin::NAMES }
    }
}

/// What the rules would make of an event of that device.
pub(super) fn work_out<O: Observer>(
    machine: &Machine,
    rules: &Rules,
    means: &Means,
    (device, action): (&Device, Action),
    observer: &mut O,
) -> Plan {
    let properties = (*Reader::new(machine.tree()).uevent(device)).clone();
    let subsystem = device.subsystem().unwrap_or_default();
    let uevent = Uevent::from_facts(action, device.devpath(), subsystem, SeqNum(0), properties);
    // what udevd has not handled yet is looked at as the kernel has it
    let complete = machine.others().and_then(|_| daemon::complete(&means.roots, uevent.clone()));
    let uevent = complete.unwrap_or(uevent);
    let record = machine.record_of(device);
    let event = Event { uevent: &uevent, device: Some(device), record: record.as_ref() };
    let Means { roots, accounts, numbers, shared, event_timeout, programs } = means;
    let globals = &Globals::default();
    let around = Surroundings {
        tree: machine.tree(),
        roots,
        records: machine,
        others: machine.others(),
        accounts: &**accounts,
        shared,
        globals,
    };
    let deadline = Instant::now() + *event_timeout;
    let mut host = EventHost::new(around, &event, deadline, Dry::new(programs, numbers));
    decide(&rules.compiled, &event, roots, &mut host, observer)
}
