//! `nameplate daemon`: the device manager itself.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Run the device manager
///
/// In the foreground, until SIGTERM; SIGHUP reloads. With --link-dir any user may run one: links go below that directory and
/// nothing else is touched.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How to stand to udevd; auto: companion where a udevd runs, else standalone
    #[arg(long, value_enum, value_name = "MODE")]
    pub(super) mode: Option<ModeArg>,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(super) log_level: Option<String>,
}

/// `--mode` as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ModeArg {
    /// Companion where a udevd runs, else standalone
    Auto,
    /// nameplate is the device manager
    Standalone,
    /// udevd is; nameplate adds the names of its own rules
    Companion,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("daemon"))
}
