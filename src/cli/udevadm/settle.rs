//! `udevadm settle`: waits until the device manager has no event left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::device::Machine;
use super::{Ended, Refused, queue};
use crate::cli::context::Context;
use crate::daemon::control::udev::packet::Message;
use crate::text::time_span;

/// Wait until no event is left
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Longest wait
    #[arg(long, short, value_name = "SECONDS", default_value = "120")]
    timeout: String,
    /// Wait no longer when this file is there
    #[arg(long, short = 'E', value_name = "FILE")]
    exit_if_exists: Option<PathBuf>,
    /// Accepted and without effect
    #[arg(hide = true)]
    ignored: Vec<std::ffi::OsString>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context) -> Ended {
    let timeout = time_span(&options.timeout).ok_or_else(|| {
        Refused::new(format!("Failed to parse timeout value '{}': Invalid argument", options.timeout))
    })?;
    let machine = Machine::new(context);
    if queue::is_anothers(&machine) {
        return Ok(0);
    }
    let end = Instant::now().checked_add(timeout);
    if nix::unistd::geteuid().is_root() {
        // what the kernel has sent is in the queue when the ping is answered; where nobody answers nothing is waited for
        let Ok(mut connection) = Connection::open(&machine.roots) else { return Ok(0) };
        let patience = timeout.max(Duration::from_secs(5));
        let answered = connection
            .send(&Message::Ping, patience)
            .and_then(|()| connection.finish(patience))
            .unwrap_or(false);
        if !answered {
            return Err(Refused::new("Failed to wait for daemon to reply: Connection timed out"));
        }
    } else if !machine.roots.udevd_control().exists() && !machine.roots.udevd_varlink().exists() {
        return Err(Refused::new("systemd-udevd is not running."));
    }
    let is_there = || options.exit_if_exists.as_ref().is_some_and(|file| file.exists());
    let settled = queue::wait(&machine, end, || is_there() || queue::is_empty(&machine))?;
    if settled { Ok(0) } else { Err(Refused::new("Timed out while waiting for udev queue to empty.")) }
}
