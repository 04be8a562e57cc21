//! Owns what the verbs that only look share: a machine (this one, a tree below `--root`, a recording), the rules of a
//! command line, and working out one event on them. Needs no daemon and no right, and changes nothing.

mod find;
mod machine;
mod programs;

use std::time::{Duration, Instant};

use super::context::Context;
pub(super) use machine::Machine;
pub(super) use programs::Asked;

use crate::builtin;
use crate::decide::{Dry, Event, EventHost, Plan, ProgramRunner, Surroundings, decide};
use crate::device::{Device, Reader};
use crate::ids::{Action, SeqNum};
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::load::{Loaded, load};
use crate::rules::toml::{Known, accounts_of};
use crate::rules::trace::Observer;
use crate::store::index::Indexes;
use crate::uevent::Uevent;

/// Longest time that the programs of one event have, as in the daemon.
const EVENT_TIME: Duration = Duration::from_secs(180);

/// Rules as read and as compiled.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) loaded: Loaded,
    pub(super) compiled: Compiled,
}

impl Rules {
    /// Those of the rule directories.
    pub(super) fn of(context: &Context) -> Self {
        Self::new(with_known(context, |known| load(&context.rule_dirs, known)))
    }

    pub(super) fn new(loaded: Loaded) -> Self {
        let compiled = Compiled::new(&loaded.files);
        Self { loaded, compiled }
    }
}

/// Gives `read` what rule files are checked against: the builtins, and the accounts of the system or of `--root`.
pub(super) fn with_known<T>(context: &Context, read: impl FnOnce(&Known<'_>) -> T) -> T {
    read(&Known { accounts: &*accounts_of(&context.roots), builtins: &builtin::NAMES })
}

/// What an event is worked out with, beside machine and rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'w> {
    pub(super) roots: &'w Roots,
    pub(super) programs: &'w dyn ProgramRunner,
    pub(super) numbers: &'w Indexes,
}

/// What the rules would make of an event of that device.
pub(super) fn work_out<O: Observer>(
    machine: &Machine,
    rules: &Rules,
    means: Means<'_>,
    (device, action): (&Device, Action),
    observer: &mut O,
) -> Plan {
    let properties = (*Reader::new(machine.tree()).uevent(device)).clone();
    let subsystem = device.subsystem().unwrap_or_default();
    let uevent = Uevent::from_facts(action, device.devpath(), subsystem, SeqNum(0), properties);
    let record = machine.record_of(device);
    let event = Event { uevent: &uevent, device: Some(device), record: record.as_ref() };
    let accounts = accounts_of(means.roots);
    let around =
        Surroundings { tree: machine.tree(), roots: means.roots, records: machine, accounts: &*accounts };
    let effects = Dry::new(means.programs, means.numbers);
    let mut host = EventHost::new(around, &event, Instant::now() + EVENT_TIME, effects);
    decide(&rules.compiled, &event, means.roots, &mut host, observer)
}
