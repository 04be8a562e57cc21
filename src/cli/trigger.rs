//! `nameplate trigger`: asks the kernel for events of devices that are there.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Ask the kernel to send an event for devices that are there
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("trigger"))
}
