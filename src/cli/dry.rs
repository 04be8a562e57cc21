//! Owns what the verbs that only look share: a machine (this one, a tree below `--root`, a recording), the rules of a
//! command line, and working out one event on them. Needs no daemon and no right, and changes nothing.

mod find;
mod machine;
mod programs;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bstr::BString;

use super::context::Context;
pub(super) use machine::Machine;
pub(super) use programs::Asked;

use crate::builtin;
use crate::decide::{Dry, Event, EventHost, IndexNumbers, Plan, ProgramRunner, Surroundings, decide};
use crate::device::{Device, Reader};
use crate::ids::{Action, SeqNum};
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::host::HostError;
use crate::rules::load::{Loaded, load};
use crate::rules::toml::{AccountFiles, Accounts, Known, SystemAccounts};
use crate::rules::trace::Observer;
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

/// Gives `read` what rule files are checked against: the builtins, and the accounts of the system or of `--root`. A tree
/// without any account file takes those of the running system.
pub(super) fn with_known<T>(context: &Context, read: impl FnOnce(&Known<'_>) -> T) -> T {
    let files = account_files(&context.roots);
    let accounts: &dyn Accounts = match &files {
        Some(files) => files,
        None => &SystemAccounts,
    };
    read(&Known { accounts, builtins: &builtin::NAMES })
}

fn account_files(roots: &Roots) -> Option<AccountFiles> {
    if *roots == Roots::system() {
        return None;
    }
    let text =
        |name| std::fs::read(roots.etc.join(name)).ok().map(|b| String::from_utf8_lossy(&b).into_owned());
    let (passwd, group) = (text("passwd"), text("group"));
    (passwd.is_some() || group.is_some())
        .then(|| AccountFiles::parse(&passwd.unwrap_or_default(), &group.unwrap_or_default()))
}

/// What an event is worked out with, beside machine and rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'w> {
    pub(super) roots: &'w Roots,
    pub(super) programs: &'w dyn ProgramRunner,
    pub(super) numbers: &'w dyn IndexNumbers,
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
    let around = Surroundings { tree: machine.tree(), roots: means.roots, records: machine };
    let effects = Dry::new(means.programs, means.numbers);
    let mut host = EventHost::new(around, &event, Instant::now() + EVENT_TIME, effects);
    decide(&rules.compiled, &event, means.roots, &mut host, observer)
}

/// Numbers of `index` on a machine where none has been given yet: what a `[[test]]` sees, whatever this machine has.
#[derive(Debug, Default)]
pub(super) struct NoNumbersYet(Mutex<BTreeMap<String, Vec<BString>>>);

impl IndexNumbers for NoNumbersYet {
    fn number(&self, pool: &str, identity: &[u8]) -> Result<u32, HostError> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given = pools.entry(pool.into()).or_default();
        let at = given.iter().position(|known| known == identity).unwrap_or_else(|| {
            given.push(identity.into());
            given.len() - 1
        });
        u32::try_from(at).map_err(|_| HostError("there are no more numbers".into()))
    }

    fn foresee(&self, pool: &str, identity: &[u8]) -> Result<u32, HostError> {
        self.number(pool, identity)
    }
}
