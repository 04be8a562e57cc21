//! `udevadm monitor`: events as they come.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use bstr::{BString, ByteSlice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::device::Machine;
use super::listen::{Event, Listener, Source};
use super::{Ended, Refused, queue, reason};
use crate::cli::context::Context;

/// Show events as they come from the kernel, and when they have been handled
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The properties too
    #[arg(long, short, alias = "environment", short_alias = 'e')]
    property: bool,
    /// Only the kernel's
    #[arg(long, short)]
    kernel: bool,
    /// Only handled ones
    #[arg(long, short)]
    udev: bool,
    /// Only this subsystem, or devices of this type in it
    #[arg(long, short, value_name = "SUBSYSTEM[/DEVTYPE]")]
    subsystem_match: Vec<String>,
    /// Only handled events of devices with this tag
    #[arg(long, short, value_name = "TAG")]
    tag_match: Vec<String>,
    /// Accepted and without effect
    #[arg(hide = true)]
    ignored: Vec<std::ffi::OsString>,
}

const LAST: [&str; 5] = ["MAJOR", "MINOR", "DEVLINKS", "TAGS", "CURRENT_TAGS"];

/// The form of the event, which libudev keeps for itself.
const VERSION: &str = "UDEV_DATABASE_VERSION";

/// Runs the verb, until it is ended or nobody reads.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if queue::is_anothers(&Machine::new(context)) {
        return Ok(0);
    }
    // to be ended is how this verb ends well
    let (ended, end) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, end.try_clone()?)?;
    }
    let both = !options.kernel && !options.udev;
    let mut listeners = Vec::new();
    writeln!(out, "monitor will print the received events for:")?;
    let sources = [
        (Source::Udev, "UDEV", "the event which udev sends out after rule processing", options.udev || both),
        (Source::Kernel, "KERNEL", "the kernel uevent", options.kernel || both),
    ];
    for (source, name, what, _) in sources.into_iter().filter(|(.., wanted)| *wanted) {
        let listener = Listener::open(source)
            .map_err(|error| Refused::new(format!("Failed to start device monitor: {}", reason(&error))))?;
        writeln!(out, "{name} - {what}")?;
        listeners.push((source, name, listener));
    }
    writeln!(out)?;
    out.flush()?;
    loop {
        let mut fds = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        fds.extend(listeners.iter().map(|(.., one)| PollFd::new(one.as_fd(), PollFlags::POLLIN)));
        let _woken = poll(&mut fds, PollTimeout::NONE);
        if fds.first().and_then(PollFd::any) == Some(true) {
            return Ok(0);
        }
        drop(fds);
        for (source, name, listener) in &mut listeners {
            for event in listener.receive().iter().filter(|event| is_wanted(options, *source, event)) {
                show(options, context, name, event, out)?;
            }
            if listener.has_lost() {
                let _nobody_reads =
                    writeln!(io::stderr(), "{name}: events came faster than they were shown: some are lost");
            }
        }
        out.flush()?;
    }
}

fn is_wanted(options: &Options, source: Source, event: &Event) -> bool {
    let is = |key: &str, wanted: &str| event.get(key).is_some_and(|value| value == wanted);
    let of_subsystem = |wanted: &String| match wanted.split_once('/') {
        Some((name, kind)) => is("SUBSYSTEM", name) && is("DEVTYPE", kind),
        None => is("SUBSYSTEM", wanted),
    };
    let tags = || event.get("TAGS").into_iter().flat_map(|tags| tags.split_str(":"));
    let of_tag = |tag: &String| tags().any(|own| own == tag.as_bytes());
    (options.subsystem_match.is_empty() || options.subsystem_match.iter().any(of_subsystem))
        && (options.tag_match.is_empty() || (source == Source::Udev && options.tag_match.iter().any(of_tag)))
}

fn show(
    options: &Options,
    context: &Context,
    source: &str,
    event: &Event,
    out: &mut dyn Write,
) -> Result<(), Refused> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| Refused::new(errno.desc()))?;
    let text = |key: &str| event.get(key).cloned().unwrap_or_default();
    writeln!(
        out,
        "{source:<6}[{}.{:06}] {:<8} {} ({})",
        now.tv_sec(),
        now.tv_nsec() / 1000,
        text("ACTION"),
        text("DEVPATH"),
        text("SUBSYSTEM")
    )?;
    if !options.property {
        return Ok(());
    }
    // libudev puts these behind the others
    let is_last = |key: &BString| LAST.iter().position(|last| *last == key);
    let mut properties: Vec<_> = event.properties.iter().filter(|(key, _)| key != VERSION).collect();
    properties.sort_by_key(|(key, _)| is_last(key).map_or(0, |at| at + 1));
    for (key, value) in properties {
        let value: BString = match key.as_slice() {
            b"DEVNAME" if !value.starts_with(b"/") => {
                super::device::bytes(&context.roots.dev.join(value.to_path_lossy())).into()
            }
            _ => value.clone(),
        };
        out.write_all(&bstr::concat([key.as_slice(), b"=", &value, b"\n"]))?;
    }
    writeln!(out)?;
    Ok(())
}
