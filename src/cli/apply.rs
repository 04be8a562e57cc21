//! `nameplate apply`: one device, one event, now, without the daemon.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Apply the rules to one device now, without the daemon
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
    let _ = (options, context, out);
    Err(Failure::NotBuilt("apply"))
}
