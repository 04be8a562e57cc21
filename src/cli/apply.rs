//! `nameplate apply`: one device, one event, now, without the daemon.

use std::io::Write;

use super::context::Context;
use super::daemon::failed;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, shown};
use super::{device_arg, site};
use crate::apply::names::{LinkReport, Outcome};
use crate::builtin;
use crate::daemon::control::protocol::text;
use crate::daemon::{Engine, Handled, control, uevent_of};
use crate::diag;
use crate::rules::compile::Compiled;
use crate::rules::load;
use crate::rules::toml::Known;

/// Apply the rules to one device now, without the daemon
///
/// Names, permissions, record and programs, as the daemon would for that event; exits with 1 if a link could not be made.
/// Where a daemon runs, ask it with `nameplate trigger DEVICE`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE")]
    pub(super) device: std::ffi::OsString,
    /// The event: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, value_name = "ACTION", default_value = "add")]
    pub(super) action: crate::ids::Action,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let path = device_arg::resolve(context, &options.device)?;
    // two writers of one set of links would undo each other's work; the lock is held until the end
    let _alone = control::Lock::take(&context.control_socket()).map_err(|error| {
        Failure::Failed(format!(
            "{error}: ask it with `nameplate trigger --action {} DEVICE`",
            options.action
        ))
    })?;
    let mode = context.mode();
    let engine = Engine::open(site::of(context, mode)?).map_err(failed)?;
    engine.take_over().map_err(failed)?;
    let gone = || Failure::Failed(format!("{path} has gone"));
    let device = engine.tree().get(&path).ok_or_else(gone)?;
    let no_events = || Failure::Failed(format!("{path} has no subsystem: such a device has no events"));
    let uevent = uevent_of(engine.tree(), &device, options.action).ok_or_else(no_events)?;
    let unhandled = || Failure::Failed(format!("udevd has not handled {path} yet: try again when it has"));
    let uevent = engine.complete(uevent).ok_or_else(unhandled)?;

    let known = Known { accounts: engine.accounts(), builtins: builtin::NAMES };
    let loaded = load::load(&context.rule_dirs(mode), &known);
    for diagnostic in &loaded.diagnostics {
        let _nobody_reads = writeln!(std::io::stderr(), "{}", diag::render(diagnostic, false));
    }
    let handled = engine.handle(&Compiled::new(&loaded.files), &uevent).ok_or_else(gone)?;
    show(&handled, context, out)?;
    Ok(if handled.links.iter().all(is_well) { Exit::Ok } else { Exit::No })
}

fn is_well(report: &LinkReport) -> bool {
    !matches!(report.result, Err(_) | Ok(Outcome::Refused(_)))
}

fn show(handled: &Handled, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    if context.json {
        output::json(out, &handled.plan)?;
        return Ok(());
    }
    write!(out, "{}", handled.plan)?;
    for report in &handled.links {
        let name = shown(&text(report.link.as_bytes()));
        let (ink, what) = match &report.result {
            Ok(Outcome::Created | Outcome::Replaced) => (Ink::Bold, "made".to_owned()),
            Ok(Outcome::Removed) => (Ink::Bold, "removed".to_owned()),
            Ok(Outcome::Waiting) => (Ink::Yellow, "another device has it".to_owned()),
            Ok(Outcome::Refused(why)) => (Ink::Yellow, why.to_string()),
            Ok(Outcome::AlreadyThere | Outcome::NotThere | Outcome::Left) => {
                (Ink::Dim, "as it was".to_owned())
            }
            Err(error) => (Ink::Yellow, error.to_string()),
        };
        writeln!(out, "  {} {name}: {what}", context.style.paint(ink, "link"))?;
    }
    Ok(())
}
