//! `nameplate trigger`: asks the kernel to send an event for devices that are there.
//!
//! A write to a device's `uevent` file, parents before children. A device that can't be written costs itself only.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use super::context::Context;
use super::device_arg::resolve;
use super::exit::{Exit, Failure};
use super::output::{self, shown};
use super::settle;
use crate::daemon::control::protocol::text;
use crate::device::{Source, Tree};
use crate::ids::{Action, DevPath};
use crate::text::{Case, Pattern, check_glob};

/// Ask the kernel to send an event for devices that are there
///
/// Without DEVICE: for all devices, parents before children. Rules that are new do not need this: the daemon applies them to
/// devices that are there by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE")]
    devices: Vec<OsString>,
    /// The event: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, short, value_name = "ACTION", default_value = "change")]
    action: Action,
    /// Only devices of this subsystem (a glob, as in rules)
    #[arg(long, short, value_name = "SUBSYSTEM", value_parser = parse_glob)]
    subsystem: Vec<Pattern>,
    /// List the devices
    #[arg(long, short)]
    verbose: bool,
    /// Only list the devices, ask for no event
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Wait until the events have been handled
    #[arg(long, short = 'w')]
    settle: bool,
}

fn parse_glob(text: &str) -> Result<Pattern, String> {
    check_glob(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Pattern::new(text.as_bytes(), Case::Sensitive))
}

/// What became of it; the JSON form.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    devices: Vec<String>,
    /// Gone in the meantime, which is no failure.
    gone: Vec<String>,
    failed: Vec<Failed>,
    #[serde(skip)]
    denied: bool,
}

#[derive(Debug, Serialize)]
struct Failed {
    device: String,
    error: String,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let devices = select(options, context)?;
    let outcome = if options.dry_run {
        Outcome { devices: devices.iter().map(|path| text(path.as_bytes())).collect(), ..Outcome::default() }
    } else {
        ask_all(&context.roots.sys, &devices, options.action)
    };
    if context.json {
        output::json(out, &outcome)?;
    } else if options.verbose || options.dry_run {
        outcome.devices.iter().try_for_each(|device| writeln!(out, "{}", shown(device)))?;
    }
    if options.settle && !options.dry_run {
        settle::settle(context, None, None)?;
    }
    ended(&outcome)
}

/// The devices that are meant, parents before children.
fn select(options: &Options, context: &Context) -> Result<Vec<DevPath>, Failure> {
    let tree = Tree::new(Source::Live(context.roots.sys.clone()));
    let devices = if options.devices.is_empty() {
        tree.walk()
    } else {
        let paths = options.devices.iter().map(|argument| resolve(context, argument));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        paths.iter().filter_map(|path| tree.load(path)).collect()
    };
    let is_meant = |subsystem: &[u8]| {
        options.subsystem.is_empty() || options.subsystem.iter().any(|glob| glob.matches(subsystem))
    };
    let meant = devices.iter().filter(|device| is_meant(&device.subsystem().unwrap_or_default()));
    Ok(meant.map(|device| device.devpath()).collect())
}

fn ask_all(sys: &Path, devices: &[DevPath], action: Action) -> Outcome {
    let mut outcome = Outcome::default();
    for devpath in devices {
        let device = text(devpath.as_bytes());
        match ask(sys, devpath, action) {
            Ok(()) => outcome.devices.push(device),
            Err(error) if is_gone(&error) => outcome.gone.push(device),
            Err(error) => {
                outcome.denied |= error.kind() == io::ErrorKind::PermissionDenied;
                outcome.failed.push(Failed { device, error: error.to_string() });
            }
        }
    }
    outcome
}

fn ask(sys: &Path, devpath: &DevPath, action: Action) -> io::Result<()> {
    let path = sys.join(OsStr::from_bytes(devpath.relative())).join("uevent");
    OpenOptions::new().write(true).open(path)?.write_all(action.as_str().as_bytes())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ENODEV)
}

/// One message for all that failed: a thousand lines say no more.
fn ended(outcome: &Outcome) -> Result<Exit, Failure> {
    let Some(first) = outcome.failed.first() else { return Ok(Exit::Ok) };
    let (count, asked) = (outcome.failed.len(), outcome.failed.len() + outcome.devices.len());
    let advice = if outcome.denied { "; only root may ask for events: try with sudo" } else { "" };
    let message = format!(
        "no event could be asked for {count} of {asked} devices, the first {}: {}{advice}",
        shown(&first.device),
        first.error
    );
    Err(if outcome.denied && outcome.devices.is_empty() {
        Failure::Denied(message)
    } else {
        Failure::Failed(message)
    })
}
