//! `nameplate status`: how the daemon is.

use std::io::{self, Write};

use super::client::Client;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style};
use crate::daemon::control::protocol::{Status, Udevd};

/// Show how the daemon is
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Runs the verb.
pub(super) fn run(_options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let status: Status =
        Client::connect(&context.control_socket())?.call("Status", &serde_json::json!({}))?;
    if context.json {
        output::json(out, &status)?;
    } else {
        show(out, context.style, &status)?;
    }
    Ok(Exit::Ok)
}

fn show(out: &mut dyn Write, style: Style, status: &Status) -> io::Result<()> {
    let mode = status.mode.in_words();
    let uptime = span(status.uptime_usec);
    let ready = if status.ready {
        style.paint(Ink::Green, "ready")
    } else {
        style.paint(Ink::Yellow, "starting: devices are still getting their names")
    };
    writeln!(out, "nameplate {}, {mode}, pid {}, up {uptime}: {ready}", status.version, status.pid)?;
    writeln!(out, "mode      {}: {}", mode, status.mode_reason)?;
    if let Some(udevd) = status.udevd {
        writeln!(out, "udevd     {}", beside(style, udevd))?;
    }
    let d = status.devices;
    writeln!(out, "devices   {} live, {} gone but held, {} bytes", d.live, d.gone_but_held, d.bytes)?;
    writeln!(out, "links     {}, {}", status.links, odd(style, status.collisions, "collisions"))?;
    let e = status.events;
    write!(out, "events    {} received, {} handled, {} coalesced, ", e.received, e.handled, e.coalesced)?;
    writeln!(out, "{}", odd(style, e.failed, "failed"))?;
    let dropped = e.foreign + e.malformed + e.truncated;
    write!(out, "lost      {}, ", odd(style, e.overruns, "overruns"))?;
    write!(out, "{} dropped by the kernel, {} gaps, {} resyncs, ", e.dropped_by_kernel, e.gaps, e.resyncs)?;
    writeln!(out, "{}", odd(style, dropped, "not the kernel's or not whole"))?;
    let q = status.queue;
    write!(out, "queue     {} waiting, {} in work by {} workers, ", q.waiting, q.running, status.workers)?;
    writeln!(out, "at most {} of {}", q.high_water, q.limit)?;
    writeln!(out, "rules     {} in {} files", status.rules.rules, status.rules.files)?;
    writeln!(
        out,
        "buffers   {} bytes for events, {} log messages dropped",
        status.receive_buffer, status.log_dropped
    )?;
    for mistake in &status.rules.mistakes {
        writeln!(out, "{}", mistake.rendered)?;
    }
    for file in &status.rules.refused {
        let head = format!("{} is refused; its older version, if any, stays in force", file.path);
        writeln!(out, "{}", style.paint(Ink::Red, head))?;
        for diagnostic in &file.diagnostics {
            writeln!(out, "{}", diagnostic.rendered)?;
        }
    }
    Ok(())
}

/// How udevd is.
fn beside(style: Style, udevd: Udevd) -> String {
    if !udevd.running {
        return style.paint(Ink::Yellow, "does not run: what is plugged in gets its names when it is back");
    }
    if !udevd.heard {
        return style.paint(Ink::Yellow, "runs, but is not heard: properties that it found can't be matched");
    }
    format!("runs, {} events and devices not handled", udevd.owed)
}

/// A count that should be 0, with its name.
fn odd(style: Style, count: u64, name: &str) -> String {
    let text = format!("{count} {name}");
    if count == 0 { text } else { style.paint(Ink::Yellow, text) }
}

/// A time span in its two largest units.
fn span(usec: u64) -> String {
    let seconds = usec / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(span(seconds * 1_000_000 + 999_999), expected);
        }
    }
}
