//! `udevadm control`: tells the device manager what to do.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::connection::Connection;
use super::device::Machine;
use super::{Ended, Refused, credentials, queue, reason, truth};
use crate::cli::context::Context;
use crate::daemon::control::udev::packet::Message;
use crate::text::{FOREVER, time_span};

/// Tell the device manager what to do
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// End
    #[arg(long, short)]
    exit: bool,
    /// Log so much: emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7
    #[arg(long, short, value_name = "LEVEL", alias = "log-priority")]
    log_level: Option<String>,
    /// Begin no event: they are only queued
    #[arg(long, short, overrides_with = "start_exec_queue")]
    stop_exec_queue: bool,
    /// Begin events again
    #[arg(long, short = 'S', overrides_with = "stop_exec_queue")]
    start_exec_queue: bool,
    /// Read rules and databases again
    #[arg(long, short = 'R', alias = "reload-rules")]
    reload: bool,
    /// A property for all events from now on; an empty value takes it away
    #[arg(long, short, value_name = "KEY=VALUE", alias = "env")]
    property: Vec<String>,
    /// At most so many events at a time
    #[arg(long, short = 'm', value_name = "NUMBER")]
    children_max: Option<String>,
    /// Answer when all events that there are have been read
    #[arg(long)]
    ping: bool,
    /// Log all that rules do, or no longer (systemd 258 and later)
    #[arg(long, value_name = "BOOL")]
    trace: Option<String>,
    /// Take back what was set with the other options (systemd 258 and later)
    #[arg(long)]
    revert: bool,
    /// Longest wait for the answer
    #[arg(long, short, value_name = "SECONDS", default_value = "60")]
    timeout: String,
    /// Make files in /run/udev of the rules and the configuration among the service manager's credentials
    #[arg(long)]
    load_credentials: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// Something that is sent, with what it is called in messages.
type Named<T> = (&'static str, T);
/// A method of Varlink's with its parameters.
type Call = (&'static str, Value);

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What is asked, in the order in which it is sent, each with what it is called in messages.
fn messages(options: &Options) -> Result<Vec<Named<Message>>, Refused> {
    let mut out = Vec::new();
    let mut put = |wanted: bool, name: &'static str, message| {
        if wanted {
            out.push((name, message));
        }
    };
    put(options.exit, "exit request", Message::Exit);
    if let Some(level) = &options.log_level {
        put(true, "request to set log level", Message::SetLogLevel(level_of(level)?));
    }
    put(options.stop_exec_queue, "request to stop exec queue", Message::StopExecQueue);
    put(options.start_exec_queue, "request to start exec queue", Message::StartExecQueue);
    put(options.reload, "reload request", Message::Reload);
    for property in &options.property {
        if !property.contains('=') {
            return Err(Refused::new(format!("expect <KEY>=<value> instead of '{property}'")));
        }
        put(true, "request to update environment", Message::SetEnv(property.as_str().into()));
    }
    if let Some(count) = &options.children_max {
        let parsed = count.parse::<u32>().ok().and_then(|count| i32::try_from(count).ok());
        let parsed = parsed.ok_or_else(|| {
            Refused::new(format!("Failed to parse maximum number of children '{count}': Invalid argument"))
        })?;
        put(true, "request to set number of children", Message::SetChildrenMax(parsed));
    }
    put(options.ping, "a ping message", Message::Ping);
    Ok(out)
}

/// What packets have no word for.
fn calls(options: &Options) -> Result<Vec<Named<Call>>, Refused> {
    let mut out = Vec::new();
    if let Some(trace) = &options.trace {
        let enable = truth(trace).ok_or_else(|| {
            Refused::new(format!("Failed to parse trace value '{trace}': Invalid argument"))
        })?;
        out.push(("request to set trace", ("io.systemd.Udev.SetTrace", json!({ "enable": enable }))));
    }
    if options.revert {
        out.push(("request to revert", ("io.systemd.Udev.Revert", json!({}))));
    }
    Ok(out)
}

fn level_of(text: &str) -> Result<i32, Refused> {
    let by_name = LEVELS.iter().position(|name| *name == text);
    let level = by_name.or_else(|| text.parse().ok().filter(|level| *level < LEVELS.len()));
    let level = level.and_then(|level| i32::try_from(level).ok());
    level.ok_or_else(|| Refused::new(format!("Failed to parse log level '{text}'")))
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context) -> Ended {
    let machine = Machine::new(context);
    if queue::is_anothers(&machine) {
        return Ok(0);
    }
    if let Some(extra) = options.extra.first() {
        return Err(Refused::new(format!("Extraneous argument: {extra}")));
    }
    let timeout = time_span(&options.timeout).ok_or_else(|| {
        Refused::new(format!("Failed to parse timeout value '{}': Invalid argument", options.timeout))
    })?;
    // a timeout of zero is none
    let timeout = if timeout.is_zero() { FOREVER } else { timeout };
    let (messages, calls) = (messages(options)?, calls(options)?);
    let nothing = messages.is_empty() && calls.is_empty();
    if nothing && !options.load_credentials {
        return Err(Refused::new("No control command option is specified."));
    }
    if options.load_credentials {
        let dir = std::env::var_os("CREDENTIALS_DIRECTORY");
        credentials::load(dir.as_deref().map(Path::new), &context.roots)?;
    }
    if nothing { Ok(0) } else { send(&machine, &messages, &calls, timeout) }
}

fn send(machine: &Machine, messages: &[Named<Message>], calls: &[Named<Call>], timeout: Duration) -> Ended {
    let failed = |name: &str, error: &io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => "\nNo device manager runs here.",
            ErrorKind::PermissionDenied => "\nOnly root may do this.",
            _ => "",
        };
        Refused::new(format!("Failed to send {name}: {}{hint}", reason(error)))
    };
    let mut names = calls.iter().map(|(name, _)| *name).chain(messages.iter().map(|(name, _)| *name));
    let first = names.next().unwrap_or_default();
    let open = if calls.is_empty() { Connection::open } else { Connection::varlink };
    let mut connection = open(&machine.roots).map_err(|error| failed(first, &error))?;
    for (name, (method, parameters)) in calls {
        connection.call(method, parameters, timeout).map_err(|error| failed(name, &error))?;
    }
    for (name, message) in messages {
        connection.send(message, timeout).map_err(|error| failed(name, &error))?;
    }
    match connection.finish(timeout) {
        Ok(true) => Ok(0),
        Ok(false) => Err(Refused::new("Failed to wait for daemon to reply: Connection timed out")),
        Err(error) => Err(Refused::new(format!("Failed to wait for daemon to reply: {}", reason(&error)))),
    }
}
