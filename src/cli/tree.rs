//! `nameplate tree`: the devices as a tree.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Show the devices as a tree
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only this device and what is below it: node, link, /sys path, devpath or device id
    #[arg(value_name = "DEVICE")]
    pub(super) device: Option<std::ffi::OsString>,
    /// A list in the order in which devices can be switched off: children and consumers first
    #[arg(long)]
    pub(super) power_off_order: bool,
    /// Take the devices from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("tree"))
}
