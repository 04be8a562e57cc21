//! `udevadm wait`: until devices or links are there and handled, or gone.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use super::device::Machine;
use super::listen::{Listener, Source};
use super::{Ended, Refused, locate, queue, reason};
use crate::cli::context::Context;
use crate::cli::device_arg::{below_dev, below_sys};

/// Wait until devices or links are there, or gone
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Longest wait (without it: no limit)
    #[arg(long, short, value_name = "SECONDS")]
    timeout: Option<String>,
    /// Whether the device manager has to have handled them
    #[arg(long, value_name = "BOOL", default_value = "yes", overrides_with = "removed")]
    initialized: String,
    /// Wait until they are gone
    #[arg(long, overrides_with = "initialized")]
    removed: bool,
    /// Wait until no event is left, too
    #[arg(long)]
    settle: bool,
    /// Below /dev or /sys
    #[arg(value_name = "DEVICE")]
    devices: Vec<OsString>,
}

/// Looks again so often, whatever is heard: links come a moment before the event that tells of them, and removals of
/// what was never handled are not told at all.
const TICK: Duration = Duration::from_millis(250);

/// Waits until `look` finds something, looking at each event. `None`: `end` has come.
pub(super) fn until<T>(
    _context: &Context,
    end: Option<Instant>,
    look: impl Fn() -> Option<T>,
) -> Result<Option<T>, Refused> {
    let listener = Listener::open(Source::Udev);
    let mut listener = listener
        .map_err(|error| Refused::new(format!("Failed to start device monitor: {}", reason(&error))))?;
    loop {
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let left = end.map_or(TICK, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let _woken = poll(&mut fds, PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::MAX));
        let _events = listener.receive();
    }
}

/// A yes or no as systemd reads it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context) -> Ended {
    let refused = |text: String| Err(Refused::new(text));
    let timeout = match &options.timeout {
        None => None,
        Some(text) => match queue::seconds(text) {
            Some(timeout) => Some(timeout),
            None => return refused(format!("Failed to parse -t/--timeout= parameter: {text}")),
        },
    };
    let Some(initialized) = truth(&options.initialized) else {
        return refused(format!("Failed to parse --initialized= parameter: {}", options.initialized));
    };
    if options.devices.is_empty() {
        return refused("Too few arguments, expected at least one device path or device symlink.".into());
    }
    for device in &options.devices {
        let bytes = device.as_bytes();
        if below_dev(bytes).is_none() && below_sys(bytes).is_none() {
            let text = device.to_string_lossy();
            return refused(format!("Specified path \"{text}\" does not start with \"/dev/\" or \"/sys/\"."));
        }
    }
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let reached = || {
        // a tree of its own for each look: devices come and go
        let machine = Machine::new(context);
        let all =
            options.devices.iter().all(|device| is_met(options, initialized, context, &machine, device));
        (all && (!options.settle || queue::is_empty(&machine))).then_some(())
    };
    match until(context, end, reached)? {
        Some(()) => Ok(0),
        None if options.removed => refused("Timed out for waiting devices being removed.".into()),
        None if initialized => refused("Timed out for waiting devices being initialized.".into()),
        None => refused("Timed out for waiting devices being created.".into()),
    }
}

fn is_met(
    options: &Options,
    initialized: bool,
    context: &Context,
    machine: &Machine,
    device: &OsString,
) -> bool {
    let found = locate::at(context, machine, Path::new(device));
    if options.removed {
        let path = locate::absolute(context, device, locate::Below::Nothing);
        let trace = path.map_or(io::Result::Ok(false), |path| path.try_exists()).unwrap_or(false);
        return found.is_none() && !trace;
    }
    found.is_some_and(|known| !initialized || known.is_initialized())
}
