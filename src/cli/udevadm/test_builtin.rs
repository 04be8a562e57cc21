//! `udevadm test-builtin`: what one builtin says of a device.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use super::device::{Machine, Order};
use super::{Ended, Refused, test, trigger};
use crate::builtin::{self, BUILTINS, Shared};
use crate::cli::context::Context;
use crate::device::{Device, Reader};
use crate::log;
use crate::properties::Properties;
use crate::text::split_command;

/// Show what one builtin says of a device
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The event to suppose, or `help` for their names
    #[arg(long, short, value_name = "ACTION", default_value = "add")]
    action: String,
    /// The builtin with its arguments, and the device
    #[arg(value_name = "COMMAND DEVPATH")]
    arguments: Vec<OsString>,
}

/// As long as udev gives an event.
const LONGEST: Duration = Duration::from_secs(180);

/// Builtins that only change something. They run for events alone, with whatever arguments.
const CHANGING: [&str; 3] = ["keyboard", "kmod", "uaccess"];

/// The builtins, one a line.
pub(super) fn names() -> String {
    let lines = BUILTINS.iter().map(|one| format!("  {:<15} {}", one.name, one.about));
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if options.action == "help" {
        trigger::list_actions(out)?;
        return Ok(0);
    }
    let action = trigger::action(&options.action)?;
    let [command, device] = options.arguments.as_slice() else {
        return Err(Refused::new("Expected two arguments: command string and device path."));
    };
    let words = split_command(command.as_bytes());
    let (name, arguments) = words.split_first().map_or((&b""[..], &[][..]), |(name, rest)| (&**name, rest));
    let Some(builtin) = builtin::find(name) else {
        let _nobody_reads = writeln!(std::io::stderr(), "{}", names());
        return Err(Refused::new(format!("Unknown command '{}'", String::from_utf8_lossy(name))));
    };
    // what is wrong with the files that the builtin reads is said as the daemon says it
    let _log = log::init(tracing::Level::WARN, log::Target::Stderr);
    let machine = Machine::new(context);
    let known = test::device(context, &machine, device)?;
    if CHANGING.contains(&builtin.name) {
        return Ok(0);
    }
    // builtins may look at any device
    machine.tree().walk();
    let reader = Reader::new(machine.tree());
    let shared = Shared::new(&context.roots);
    let properties: Properties = known.properties(&machine, Order::FileFirst).into_iter().collect();
    let of_another = |device: &Device| {
        machine.known(device.clone()).properties(&machine, Order::FileFirst).into_iter().collect()
    };
    let around = builtin::Context {
        device: &known.device,
        reader: &reader,
        action,
        properties: &properties,
        known: builtin::Known(&of_another),
        roots: &context.roots,
        shared: &shared,
        deadline: Instant::now() + LONGEST,
    };
    let found = (builtin.run)(arguments, &around).map_err(|error| {
        Refused::new(format!("{}: Failed to run builtin '{}': {error}", known.device.sysname(), builtin.name))
    })?;
    for (key, value) in found.properties.in_order() {
        out.write_all(&bstr::concat([&**key, b"=", value, b"\n"]))?;
    }
    Ok(0)
}
