//! `nameplate info`: what is known of devices.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Show what is known of devices
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE", required = true)]
    pub(super) devices: Vec<std::ffi::OsString>,
    /// Only the properties, as KEY=VALUE lines
    #[arg(long)]
    pub(super) properties: bool,
    /// The attributes too, as rules can match them
    #[arg(long)]
    pub(super) attributes: bool,
    /// The devices on the way up too, as rules can match them with `parent`
    #[arg(long)]
    pub(super) parents: bool,
    /// Take the devices from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("info"))
}
