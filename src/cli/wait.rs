//! `nameplate wait`: until devices or links are there, or gone.
//!
//! Subscribes to handled events first and looks afterwards, so that nothing can come between; looks again after each event.

use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

use super::client::{Client, ClientError};
use super::context::Context;
use super::device_arg::{DeviceArgError, leaves_a_trace, resolve};
use super::exit::{Exit, Failure};
use super::output::{self, shown};
use super::settle;
use crate::daemon::control::protocol::{MonitorParameters, MonitorReply};

/// Wait until devices or links are there (or gone)
///
/// A device counts as there when its events have been handled: its links and permissions are in place.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1); all of them are waited for
    #[arg(value_name = "DEVICE", required = true)]
    devices: Vec<OsString>,
    /// Longest wait in seconds (without it: no limit)
    #[arg(long, short, value_name = "SECONDS", value_parser = settle::parse_seconds)]
    timeout: Option<Duration>,
    /// Wait until none of them is there any more
    #[arg(long)]
    removed: bool,
}

/// Runs the verb. The answer is no when the time is up.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let end = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
    let mut client = Client::connect(&context.control_socket())?;
    client.call_more("Monitor", &MonitorParameters { kernel: false, handled: true })?;
    loop {
        match client.receive::<MonitorReply>(left()) {
            // Once the time is up nothing is read any more; what is there now decides.
            Ok(_) | Err(ClientError::NoAnswer) => {}
            Err(error) => return Err(error.into()),
        }
        if missing(options, context)?.is_empty() && are_handled(options, context, left())? {
            return show(options, context, out, Exit::Ok);
        }
        if left().is_some_and(|left| left.is_zero()) {
            return show(options, context, out, Exit::No);
        }
    }
}

/// The arguments that are not yet as they are waited for.
fn missing<'o>(options: &'o Options, context: &Context) -> Result<Vec<&'o OsString>, DeviceArgError> {
    let mut out = Vec::new();
    for argument in &options.devices {
        let is_missing = if options.removed {
            leaves_a_trace(context, argument)?
        } else {
            match resolve(context, argument) {
                Ok(_) => false,
                Err(DeviceArgError::Malformed { argument, why }) => {
                    return Err(DeviceArgError::Malformed { argument, why });
                }
                Err(_) => true,
            }
        };
        if is_missing {
            out.push(argument);
        }
    }
    Ok(out)
}

/// A device is in sysfs before its event is handled: waits for the events up to now, then looks once more.
fn are_handled(options: &Options, context: &Context, left: Option<Duration>) -> Result<bool, Failure> {
    match settle::settle(context, None, left) {
        Ok(_) => Ok(missing(options, context)?.is_empty()),
        Err(ClientError::TimedOut(_) | ClientError::NoAnswer) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn show(options: &Options, context: &Context, out: &mut dyn Write, exit: Exit) -> Result<Exit, Failure> {
    let late = if exit == Exit::Ok { Vec::new() } else { missing(options, context)? };
    if context.json {
        let devices: Vec<_> = options
            .devices
            .iter()
            .map(|argument| {
                let devpath = resolve(context, argument).map(|path| path.to_string()).ok();
                serde_json::json!({
                    "device": argument.to_string_lossy(),
                    "devpath": devpath,
                    "done": !late.contains(&argument),
                })
            })
            .collect();
        output::json(out, &devices)?;
    } else {
        for argument in late {
            let state = if options.removed { "still there" } else { "not there" };
            writeln!(out, "{}: {state}", shown(&argument.to_string_lossy()))?;
        }
    }
    Ok(exit)
}
