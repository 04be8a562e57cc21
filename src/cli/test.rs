//! `nameplate test`: what the rules would do with one device, changing nothing.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

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
    /// Take the device from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("test"))
}
