//! `udevadm trigger`: asks the kernel to send an event for devices that are there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::connection::Connection;
use super::device::{Known, Machine, bytes};
use super::listen::{Listener, Source};
use super::locate::{self, Below};
use super::select::{Filters, Kind, Wanted};
use super::{Ended, Refused, queue, reason, select};
use crate::cli::context::Context;
use crate::daemon::control::udev::packet::Message;
use crate::ids::Action;
use crate::text::time_span;

/// Ask the kernel to send an event for devices that are there
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// List the devices
    #[arg(long, short)]
    verbose: bool,
    /// Ask for no event
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Say nothing about devices for which it fails
    #[arg(long, short)]
    quiet: bool,
    /// What gets events: devices, subsystems (with drivers and modules), or all
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "devices")]
    kind: String,
    /// The event, or `help` for their names
    #[arg(long, short = 'c', value_name = "ACTION", default_value = "change")]
    action: String,
    /// These subsystems first, in this order
    #[arg(long, value_name = "SUBSYSTEM[,SUBSYSTEM...]")]
    prioritized_subsystem: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// Wait until the events have been handled
    #[arg(long, short = 'w')]
    settle: bool,
    /// Wait until the device manager answers, before
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "5")]
    wait_daemon: Option<String>,
    /// Show what the events are marked with
    #[arg(long)]
    uuid: bool,
    /// The devices above them too, whether filters let these through or not (systemd 258 and later)
    #[arg(long)]
    include_parents: bool,
    /// Device: below /dev or /sys, a unit's name, or a device id
    #[arg(value_name = "DEVICE")]
    devices: Vec<OsString>,
}

/// The names of all actions, one a line.
pub(super) fn list_actions(out: &mut dyn Write) -> io::Result<()> {
    Action::ALL.iter().try_for_each(|action| writeln!(out, "{}", action.as_str()))
}

/// The action of that name.
pub(super) fn action(name: &str) -> Result<Action, Refused> {
    Action::parse(name.as_bytes()).map_err(|_| Refused::new(format!("Unknown action '{name}'")))
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if options.action == "help" {
        list_actions(out)?;
        return Ok(0);
    }
    let machine = Machine::new(context);
    if queue::is_anothers(&machine) {
        return Ok(0);
    }
    let action = action(&options.action)?;
    let kind = match options.kind.as_str() {
        "devices" => Kind::Devices,
        "subsystems" => Kind::Subsystems,
        "all" => Kind::All,
        other => return Err(Refused::new(format!("Unknown type --type={other}"))),
    };
    options.filters.tags_are_names()?;
    let mut tops = options.filters.tops(context, &machine)?;
    for argument in &options.devices {
        let found = locate::find(context, &machine, argument, Below::Nothing).map_err(|missing| {
            let why = match missing {
                locate::Missing::BadArgument => "Invalid argument",
                locate::Missing::Unknown(_) => "No such device",
            };
            Refused::new(format!("Failed to open the device '{}': {why}", argument.to_string_lossy()))
        })?;
        tops.push(found.devpath());
    }
    if let Some(seconds) = &options.wait_daemon {
        wait_for_daemon(&machine, seconds)?;
    }
    let mut found = options.filters.select(&machine, kind, &tops, Wanted::Any);
    if options.include_parents {
        found = select::with_parents(&machine, found);
    }
    prioritize(&mut found, options);
    carry_out(options, action, &machine, &found, out)
}

fn wait_for_daemon(machine: &Machine, seconds: &str) -> Result<(), Refused> {
    let timeout = time_span(seconds).ok_or_else(|| {
        Refused::new(format!("Failed to parse timeout value '{seconds}': Invalid argument"))
    })?;
    let end = Instant::now().checked_add(timeout);
    // who may not ask will not be answered later
    if let Err(error) = Connection::open(&machine.roots)
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        return Err(Refused::new(format!("Failed to connect to udev daemon: {}", reason(&error))));
    }
    let answers = || {
        Connection::open(&machine.roots)
            .and_then(|mut connection| {
                connection.send(&Message::Ping, timeout)?;
                connection.finish(timeout)
            })
            .unwrap_or(false)
    };
    match queue::wait(machine, end, answers) {
        Ok(true) => Ok(()),
        _ => Err(Refused::new("Failed to wait for daemon to be initialized: Connection timed out")),
    }
}

/// Devices of the prioritized subsystems come first, each with those above it before.
fn prioritize(found: &mut [Known], options: &Options) {
    let first: Vec<&str> = options.prioritized_subsystem.iter().flat_map(|list| list.split(',')).collect();
    if first.is_empty() {
        return;
    }
    let mut rank = BTreeMap::new();
    for (place, subsystem) in first.iter().enumerate() {
        for known in found.iter().filter(|known| known.subsystem().is_some_and(|name| name == *subsystem)) {
            for above in known.device.chain() {
                rank.entry(above.devpath()).or_insert(place);
            }
        }
    }
    found.sort_by_key(|known| rank.get(&known.devpath()).copied().unwrap_or(usize::MAX));
}

fn carry_out(
    options: &Options,
    action: Action,
    machine: &Machine,
    found: &[Known],
    out: &mut dyn Write,
) -> Ended {
    let mut listener =
        match options.settle && !options.dry_run {
            true => Some(Listener::open(Source::Udev).map_err(|error| {
                Refused::new(format!("Failed to start device monitor: {}", reason(&error)))
            })?),
            false => None,
        };
    let mut waited = BTreeMap::new();
    let mut code = 0;
    for known in found {
        let path = known.syspath(machine);
        if options.verbose {
            writeln!(out, "{}", path.display())?;
        }
        if options.dry_run {
            continue;
        }
        let uuid = if options.uuid || options.settle { new_uuid()? } else { String::new() };
        if let Err(error) = ask(&path, action, &uuid) {
            match failed(options, known, (&path, action), &error) {
                Failed::Ignored => {}
                Failed::One => code = 1,
                Failed::All => return Ok(1),
            }
            continue;
        }
        if options.uuid {
            writeln!(out, "{uuid}")?;
        }
        if let Some(listener) = &mut listener {
            waited.insert(uuid, path);
            note(listener, options, &mut waited, out)?;
        }
    }
    if let Some(mut listener) = listener {
        wait_for(&mut listener, machine, options, &mut waited, out)?;
    }
    Ok(code)
}

/// What it means that an event could not be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// Nothing: the device has gone, or its driver is known not to do it.
    Ignored,
    /// This device gets none. Another may be the user's, as interfaces in a network namespace are.
    One,
    /// The file system is read-only: no device gets one.
    All,
}

/// Says why it failed, where that is worth a word.
fn failed(options: &Options, known: &Known, (path, action): (&Path, Action), error: &io::Error) -> Failed {
    let (failed, ignored) = match error.raw_os_error() {
        Some(nix::libc::ENOENT) => return Failed::Ignored,
        Some(nix::libc::ENODEV) => (Failed::Ignored, ", ignoring"),
        Some(nix::libc::EROFS) => (Failed::All, ""),
        _ => (Failed::One, ""),
    };
    if !options.quiet {
        let (name, action, why) = (known.device.sysname(), action.as_str(), reason(error));
        let text =
            format!("{name}: Failed to write '{action}' to '{}/uevent'{ignored}: {why}", path.display());
        let _nobody_reads = writeln!(io::stderr(), "{text}");
    }
    failed
}

fn ask(path: &Path, action: Action, uuid: &str) -> io::Result<()> {
    let text =
        if uuid.is_empty() { action.as_str().to_owned() } else { format!("{} {uuid}", action.as_str()) };
    OpenOptions::new().write(true).open(path.join("uevent"))?.write_all(text.as_bytes())
}

/// A random mark, as the kernel wants it: a UUID of version 4.
fn new_uuid() -> Result<String, Refused> {
    let random = crate::sys::random::bytes(16).map_err(|errno| Refused::new(errno.desc()))?;
    let hex: String = random
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            6 => format!("{:02x}", byte & 0x0f | 0x40),
            8 => format!("{:02x}", byte & 0x3f | 0x80),
            _ => format!("{byte:02x}"),
        })
        .collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

/// Takes what has been handled off the list.
fn note(
    listener: &mut Listener,
    options: &Options,
    waited: &mut BTreeMap<String, PathBuf>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for event in listener.receive() {
        let uuid = event.get("SYNTH_UUID").map(ToString::to_string).unwrap_or_default();
        let Some(path) = waited.remove(&uuid) else { continue };
        if options.verbose {
            out.write_all(&[b"settle ", bytes(&path), b"\n"].concat())?;
        }
        if options.uuid {
            writeln!(out, "settle {uuid}")?;
        }
    }
    Ok(())
}

/// Waits until all have been handled. A device that has gone is waited for no longer; where events were lost, the queue
/// says when all are done.
fn wait_for(
    listener: &mut Listener,
    machine: &Machine,
    options: &Options,
    waited: &mut BTreeMap<String, PathBuf>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lost = false;
    while !waited.is_empty() {
        out.flush()?;
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(Duration::from_secs(1)).unwrap_or(PollTimeout::MAX);
        if matches!(poll(&mut fds, patience), Ok(0)) {
            waited.retain(|_, path| path.exists());
            if lost && queue::is_empty(machine) {
                return Ok(());
            }
        }
        note(listener, options, waited, out)?;
        lost |= listener.has_lost();
    }
    Ok(())
}
