//! Owns what several verbs wait for: the device manager's queue, and lengths of time as people write them for systemd.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;

use super::device::Machine;

/// A wait looks again so often, whatever it is told: what it is told may be lost.
const TICK: Duration = Duration::from_millis(500);

/// A time as systemd writes it: seconds, or numbers with `us`, `ms`, `s`, `min`, `h`, `d`; `infinity` is a very long time.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "infinity" {
        return Some(Duration::from_secs(u64::from(u32::MAX)));
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.trim_start().split_at_checked(unit_len)?;
        let unit = match unit {
            "us" | "usec" => 1e-6,
            "ms" | "msec" => 1e-3,
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        sum = sum.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

/// True when no event is unfinished.
pub(super) fn is_empty(machine: &Machine) -> bool {
    !machine.run("queue").exists()
}

/// True when this process is not at home: systemd's udevadm does nothing then, since the device manager is another's.
pub(super) fn is_in_chroot(machine: &Machine) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    match (identity(Path::new("/")), identity(&machine.roots.proc.join("1/root"))) {
        (Ok(here), Ok(there)) => here != there,
        _ => false,
    }
}

/// Waits until `reached`, looking again when something in the device manager's directory changes. False: `end` has come.
pub(super) fn wait(machine: &Machine, end: Option<Instant>, reached: impl Fn() -> bool) -> io::Result<bool> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let _not_there = inotify.add_watch(
        &machine.run(""),
        AddWatchFlags::IN_DELETE | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
    );
    loop {
        if reached() {
            return Ok(true);
        }
        let left = end.map_or(TICK, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(false);
        }
        let mut fds = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::MAX);
        let _woken = poll(&mut fds, timeout);
        let _events = inotify.read_events();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("5", Some(5.0)),
            ("0", Some(0.0)),
            ("2.5", Some(2.5)),
            ("500ms", Some(0.5)),
            ("1min 30s", Some(90.0)),
            ("2h", Some(7200.0)),
            ("x", None),
            ("", None),
            ("5 parsecs", None),
        ] {
            assert_eq!(seconds(text).map(|time| time.as_secs_f64()), expected, "{text}");
        }
    }
}
