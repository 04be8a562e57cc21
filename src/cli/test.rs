//! `nameplate test`: what the rules would do with one device, changing nothing.

use std::io::{self, Write};

use super::context::Context;
use super::dry::{Machine, Means, Rules, work_out};
use super::exit::{Exit, Failure};
use super::output;
use crate::diag::{self, Diagnostic, Severity};
use crate::rules::trace::Unobserved;

/// Show what the rules would do with a device, changing nothing
///
/// Runs as any user, with the rules of this machine (or of --rules) on a device of this machine (or of --recording).
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE")]
    pub(super) device: std::ffi::OsString,
    /// The event to suppose: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, value_name = "ACTION", default_value = "add")]
    pub(super) action: crate::ids::Action,
    /// Run the programs whose output rules ask for (import, PROGRAM); without it they count as failed
    #[arg(long)]
    pub(super) run_programs: bool,
    /// Read the rules of DIR too, as the strongest directory (may be given again: strongest first)
    #[arg(long, value_name = "DIR")]
    pub(super) extra_rules: Vec<std::path::PathBuf>,
    /// Take the device from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// Shows mistakes in the rule files; of what is only odd, how much there is.
fn complain(diagnostics: &[Diagnostic]) {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        diagnostics.iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    let mut err = io::stderr().lock();
    for diagnostic in errors {
        let _nobody_reads = writeln!(err, "{}", diag::render(diagnostic, false));
    }
    if !warnings.is_empty() {
        let count = warnings.len();
        let s = if count == 1 { "" } else { "s" };
        let _nobody_reads =
            writeln!(err, "{count} warning{s} about the rule files: `nameplate check` shows them");
    }
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let machine = Machine::new(context, options.recording.as_deref())?;
    let device = machine.device(context, &options.device)?;
    // Rules may look at any device (`[subsystem/kernel]attribute`).
    machine.tree().walk();
    let means = Means::new(context, options.run_programs);
    let rules = Rules::beside(context, &options.extra_rules, &means)?;
    let mut plan = work_out(&machine, &rules, &means, (&device, options.action), &mut Unobserved);
    if context.json {
        plan.diagnostics.splice(0..0, rules.loaded.diagnostics);
        output::json(out, &plan)?;
        return Ok(Exit::Ok);
    }
    write!(out, "{plan}")?;
    if !options.run_programs {
        means.programs.say_not_run(out, context.style)?;
    }
    complain(&rules.loaded.diagnostics);
    Ok(Exit::Ok)
}
