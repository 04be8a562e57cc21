//! `udevadm wait`: until devices or links are there and handled, or gone.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::device::Machine;
use super::listen::{Listener, Source};
use super::{Ended, Refused, locate, queue, reason, truth};
use crate::cli::context::Context;
use crate::cli::device_arg::{below_dev, below_sys};
use crate::text::time_span;

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

/// Looks again so often, whatever is heard: links may be anybody's, and events may be lost.
const TICK: Duration = Duration::from_millis(250);

/// Waits until `look` finds something, looking at each event. `None`: `end` has come.
pub(super) fn until<T>(end: Option<Instant>, look: impl Fn() -> Option<T>) -> Result<Option<T>, Refused> {
    let listen = |source| {
        Listener::open(source)
            .map_err(|error| Refused::new(format!("Failed to start device monitor: {}", reason(&error))))
    };
    // the kernel's too: for what was never handled nothing else comes
    let mut listeners = [listen(Source::Udev)?, listen(Source::Kernel)?];
    loop {
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let left = end.map_or(TICK, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        let mut fds = listeners.each_ref().map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN));
        let _woken = poll(&mut fds, PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::MAX));
        for listener in &mut listeners {
            let _events = listener.receive();
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Initialized,
    Added,
    Removed,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Initialized => "initialized",
            State::Added => "added",
            State::Removed => "removed",
        }
    }
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context) -> Ended {
    let refused = |text: String| Err(Refused::new(text));
    let timeout = match &options.timeout {
        None => None,
        Some(text) => match time_span(text) {
            Some(timeout) => Some(timeout),
            None => return refused(format!("Failed to parse -t/--timeout= parameter: {text}")),
        },
    };
    let state = match (options.removed, truth(&options.initialized)) {
        (true, _) => State::Removed,
        (false, Some(true)) => State::Initialized,
        (false, Some(false)) => State::Added,
        (false, None) => {
            return refused(format!("Failed to parse --initialized= parameter: {}", options.initialized));
        }
    };
    if options.devices.is_empty() {
        return refused("Too few arguments, expected at least one device path or device symlink.".into());
    }
    for device in &options.devices {
        let bytes = device.as_bytes();
        if bytes.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return refused("Device path cannot contain \"..\".".into());
        }
        if below_dev(bytes).is_none() && below_sys(bytes).is_none() {
            let text = device.to_string_lossy();
            return refused(format!("Specified path \"{text}\" does not start with \"/dev/\" or \"/sys/\"."));
        }
    }
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let reached = || {
        // a tree of its own for each look: devices come and go
        let machine = Machine::new(context);
        let is_met = |device: &OsString| is_met(state, context, &machine, Path::new(device));
        let all = (!options.settle || queue::is_empty(&machine)) && options.devices.iter().all(is_met);
        all.then_some(())
    };
    match until(end, reached)? {
        Some(()) => Ok(0),
        None => refused(format!("Timed out for waiting devices being {}.", state.as_str())),
    }
}

fn is_met(state: State, context: &Context, machine: &Machine, path: &Path) -> bool {
    let found = || locate::at(context, machine, path);
    match state {
        State::Added => found().is_some(),
        State::Initialized => found().is_some_and(|known| known.is_initialized()),
        // a link that leads nowhere is there all the same
        State::Removed => locate::below_roots(context, path)
            .symlink_metadata()
            .is_err_and(|error| error.kind() == ErrorKind::NotFound),
    }
}
