//! Owns the descriptors that the service manager has opened for this process (sd_listen_fds(3)).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

/// The first of them.
const FIRST: RawFd = 3;
/// More than anybody hands over.
const MOST: RawFd = 64;

/// The descriptors with their names, none if they are meant for another process. To be called once: they belong to the
/// caller afterwards, and close when a program is run.
pub fn take() -> Vec<(String, OwnedFd)> {
    let variable = |name| std::env::var(name).ok();
    let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok()).filter(|_| is_ours).unwrap_or(0);
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let fds = FIRST..FIRST + RawFd::clamp(count, 0, MOST);
    fds.map(|fd| (names.next().unwrap_or_default().to_owned(), fd)).filter_map(adopt).collect()
}

fn adopt((name, fd): (String, RawFd)) -> Option<(String, OwnedFd)> {
    // SAFETY: takes two integers and touches no memory
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, and was handed over to this process, of which nothing else knows it
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some((name, owned))
}
