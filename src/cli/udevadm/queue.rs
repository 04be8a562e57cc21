//! Owns what several verbs ask of the device manager's surroundings: whether its queue is empty, and whether it is ours at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;

use super::device::Machine;
use crate::roots::Roots;

/// A wait looks again so often, whatever it is told: what it is told may be lost.
const TICK: Duration = Duration::from_millis(500);

/// True when no event is unfinished.
pub(super) fn is_empty(machine: &Machine) -> bool {
    !machine.run("queue").exists()
}

/// True when this process is not at home, which is said then: the device manager is another's, and who installs packages
/// in a chroot must not fail for that.
pub(super) fn is_anothers(machine: &Machine) -> bool {
    // a tree that was named is looked at as it is
    let anothers = machine.roots == Roots::system() && is_in_chroot(machine);
    if anothers {
        let _nobody_reads = writeln!(io::stderr(), "Running in chroot, ignoring request.");
    }
    anothers
}

fn is_in_chroot(machine: &Machine) -> bool {
    let ignored = std::env::var("SYSTEMD_IGNORE_CHROOT").ok();
    if ignored.and_then(|text| super::truth(&text)) == Some(true) {
        return false;
    }
    let proc = &machine.roots.proc;
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    match (identity(&machine.roots.top()), identity(&proc.join("1/root"))) {
        (Ok(here), Ok(there)) => here != there,
        // without /proc there is no telling: what begins as process 1 will mount it, all others are in a tree half made
        (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            !proc.join("self").exists() && std::process::id() != 1
        }
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
