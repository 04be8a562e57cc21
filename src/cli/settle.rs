//! `nameplate settle`: waits until the events that have been sent by now are handled.
//!
//! A barrier by sequence number: later events do not lengthen the wait, so that it ends on a machine that is never quiet.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::{Client, ClientError};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output;
use crate::daemon::control::protocol::{Progress, SettleParameters};

/// Wait until the events that have been sent by now are handled
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Longest wait in seconds
    #[arg(long, short, value_name = "SECONDS", default_value = "120", value_parser = parse_seconds)]
    timeout: Duration,
    /// Wait for events up to this number in place of the last one sent by now
    #[arg(long, value_name = "NUMBER")]
    seqnum: Option<u64>,
}

/// A number of seconds, with a fraction if need be.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, as in 2.5".to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Runs the verb. The answer is no when the time is up.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let last = settle(context, options.seqnum, Some(options.timeout))?;
    if context.json {
        output::json(out, &last)?;
    }
    Ok(Exit::Ok)
}

/// Waits until all events up to `seqnum` are handled, with a progress bar on a terminal. `None`: up to the last one that the
/// kernel has sent when the events of writers that were done have been asked for.
pub(super) fn settle(
    context: &Context,
    seqnum: Option<u64>,
    timeout: Option<Duration>,
) -> Result<Progress, ClientError> {
    let mut client = Client::connect(&context.control_socket())?;
    let timeout_usec = timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
    client.call_more("Settle", &SettleParameters { seqnum, timeout_usec })?;
    // The daemon keeps the time; the margin is for one that has stopped keeping it.
    let limit = timeout.map(|timeout| timeout.saturating_add(Duration::from_secs(5)));
    let bar = Bar::new(context);
    loop {
        let (progress, more): (Progress, bool) = client.receive(limit)?;
        bar.show(progress);
        if !more {
            return Ok(progress);
        }
    }
}

/// A progress bar, taken away when it is dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new(context: &Context) -> Self {
        let wanted = !context.json && io::stderr().is_terminal();
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} events, {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn show(&self, progress: Progress) {
        self.0.set_length(progress.done.saturating_add(progress.waiting));
        self.0.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        assert_eq!(parse_seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(parse_seconds("0"), Ok(Duration::ZERO));
        for bad in ["", "x", "-1", "nan", "inf", "1e30"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
