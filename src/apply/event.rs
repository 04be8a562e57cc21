//! Owns what of a plan is not names: the interface's name, the node's permissions, the programs at the end.
//!
//! Each is carried out by itself; what fails is logged with its rule and costs itself alone. Never decides.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;

use super::label::{self, Labels};
use super::netif::exchange::Exchange;
use super::netif::{self, Renamed};
use super::node::{NodeChange, NodeDir, Permissions};
use super::program;
use crate::builtin::helper;
use crate::decide::{NetifPlan, Plan, ProgramRunner};
use crate::ids::{Action, LinkName};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::eval::{Given, Job};
use crate::rules::host::{Host, ProgramOutput};
use crate::sys::process::{End, Finished, Limit, Places};

/// What became of an interface that was to have another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// It has it; the kernel says so in a `move` event.
    Named,
    /// It keeps its own, and that is in order: it is in use, has gone, or no rule asked.
    Kept,
    /// It could have had it.
    Refused(Errno),
}

/// Gives an interface the name of the plan, if it has one, now or when the interface that has the name gets another.
pub fn interface(names: &Exchange, plan: &Plan) -> Naming {
    let Some(NetifPlan { index, old, name, from }) = &plan.netif else { return Naming::Kept };
    let exchanged = match names.rename(*index, name) {
        Ok(exchanged) => exchanged,
        Err(error) => {
            tracing::error!(RULE = %from, %error, "interface {old} keeps its name");
            return Naming::Refused(error.errno());
        }
    };
    for (other, name) in &exchanged.others {
        tracing::info!("interface {other} is now {name}, which it was waiting for");
    }
    match exchanged.renamed {
        Renamed::Done => {
            tracing::info!(RULE = %from, "interface {old} is now {name}");
            return Naming::Named;
        }
        Renamed::Busy => match netif::add_name(*index, name) {
            Ok(()) => {
                tracing::info!(RULE = %from, "interface {old} is up and keeps its name: it is called {name} too")
            }
            Err(error) => tracing::info!(RULE = %from, %error, "interface {old} is up and keeps its name"),
        },
        Renamed::Taken => {
            tracing::warn!(RULE = %from, "another interface is called {name}: {old} keeps its name until it is free");
            return Naming::Refused(Errno::EEXIST);
        }
        Renamed::Gone => tracing::debug!("interface {old} has gone"),
    }
    Naming::Kept
}

/// Gives the node the owner, group and mode that rules ask for, and its security labels: those of rules, or the policy's. A
/// node that has gone is no error.
pub fn permissions(nodes: &NodeDir, labels: &Labels, plan: &Plan) {
    let Some(node) = &plan.node else { return };
    let want = Permissions {
        owner: node.owner.as_ref().map(|owner| owner.value.id),
        group: node.group.as_ref().map(|group| group.value.id),
        mode: node.mode.as_ref().map(|mode| mode.value),
    };
    let Ok(name) = LinkName::new(&node.name) else { return };
    let done = nodes.set(&name, node.number, &want);
    let changed = matches!(done, Ok(NodeChange::Changed { .. }));
    match done {
        Ok(NodeChange::Unchanged) => {}
        Ok(NodeChange::Changed { before, after }) => tracing::debug!(
            "node {name}: {}:{} {:04o} is now {}:{} {:04o}",
            before.owner,
            before.group,
            before.mode,
            after.owner,
            after.group,
            after.mode
        ),
        Ok(NodeChange::Missing) => tracing::debug!("node {name} has gone"),
        Ok(NodeChange::Another(_)) => {
            tracing::warn!("what is called {name} is not this device's node: left alone")
        }
        Err(error) => tracing::error!(%error, "the node keeps its permissions"),
    }
    // as udev does: who labels a node by hand keeps that until it is a new node, or has other permissions
    if !changed && plan.event.action != Action::Add {
        return;
    }
    for (module, label) in labels.of_node(&name, node.number) {
        let is_of_rules = node.labels.iter().any(|(of, _)| of == module);
        if !is_of_rules
            && let Err(error) = nodes.set_label(&name, node.number, label::attribute(module), &label)
        {
            tracing::warn!(%error, "the node keeps its label");
        }
    }
    for (module, label) in &node.labels {
        if let Err(error) = nodes.set_label(&name, node.number, label::attribute(module), &label.value) {
            tracing::warn!(RULE = %label.from, %error, "the node keeps its label");
        }
    }
}

/// Runs the plan's programs and builtins one after the other in this environment; one that fails does not stop the next.
/// Each program is waited with for `delay`, which people set to see which one does the harm.
pub fn run(
    plan: &Plan,
    environment: &Properties,
    programs: &Programs,
    host: &mut impl Host,
    deadline: Instant,
    delay: Duration,
) {
    for Given { value, from } in &plan.run {
        if matches!(value, Job::Program(_)) {
            std::thread::sleep(delay.min(deadline.saturating_duration_since(Instant::now())));
        }
        let failure = match value {
            Job::Program(argv) if programs.is_missing_helper(argv) => host.program(argv, environment).failure,
            Job::Program(argv) => programs.finish(argv, environment, deadline).failure,
            Job::Builtin { name, arguments } => {
                host.builtin(name, arguments, environment).err().map(|error| error.to_string())
            }
        };
        if let Some(failure) = failure {
            tracing::warn!(RULE = %from, "`{value}`: {failure}");
        }
    }
}

/// Runs the programs of rules.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Where programs without a `/` in front are.
    helpers: PathBuf,
    /// Where processes are shown.
    proc: PathBuf,
    /// The longest time that one program has, and what it is told then.
    longest: Limit,
    /// Programs that have ended.
    ended: Arc<AtomicU64>,
}

impl Programs {
    /// Relative programs are those of the helper directory of `roots`. No program runs for longer than `longest`.
    pub fn new(roots: &Roots, longest: Limit) -> Self {
        Self { helpers: roots.helper_dir(), proc: roots.proc.clone(), longest, ended: Arc::default() }
    }

    /// How many have ended.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// True for a helper of udev's that is not installed: the host answers in its place.
    fn is_missing_helper(&self, argv: &[BString]) -> bool {
        argv.first().is_some_and(|program| {
            let path = self.helpers.join(program.to_os_str_lossy());
            helper::stand_in(path.as_os_str().as_encoded_bytes(), &self.helpers).is_some()
        })
    }

    fn finish(&self, argv: &[BString], environment: &Properties, deadline: Instant) -> ProgramOutput {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Limit { timeout: left.min(self.longest.timeout), ..self.longest };
        let places = Places { helpers: &self.helpers, proc: &self.proc };
        let finished = program::run(argv, environment, places, limit);
        // what it has left running is there by now
        self.ended.fetch_add(1, Ordering::Relaxed);
        let failure = failure(&finished);
        ProgramOutput { success: finished.success(), stdout: finished.stdout, failure }
    }
}

impl ProgramRunner for Programs {
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput {
        let mut output = self.finish(argv, environment, deadline);
        output.stdout.truncate(limit);
        output
    }
}

/// Why a program did not succeed, with the end of what it complained of.
fn failure(finished: &Finished) -> Option<String> {
    let what = match finished.end {
        End::Exited(0) => return None,
        End::Exited(status) => format!("exit status {status}"),
        End::Signalled(signal) => format!("killed by signal {signal}"),
        End::TimedOut => "killed: it ran for too long".to_owned(),
        End::NotStarted(errno) => format!("can't be started: {errno}"),
        End::Lost(errno) => format!("how it ended is not known: {errno}"),
    };
    match finished.stderr.trim().lines().next_back() {
        Some(line) => Some(format!("{what}: {}", line.as_bstr())),
        None => Some(what),
    }
}
