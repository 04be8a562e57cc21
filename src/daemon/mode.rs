//! Owns the choice between the two ways to run: device manager, or companion of a udevd that is there.

use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::control::protocol;
use crate::config;
use crate::roots::Roots;

/// What `asked` comes to on this system: `auto` is companion where a udevd answers, standalone otherwise.
pub fn choose(asked: config::Mode, roots: &Roots) -> protocol::Mode {
    match asked {
        config::Mode::Standalone => protocol::Mode::Standalone,
        config::Mode::Companion => protocol::Mode::Companion,
        config::Mode::Auto if udevd_answers(roots) => protocol::Mode::Companion,
        config::Mode::Auto => protocol::Mode::Standalone,
    }
}

/// True when a udevd has its control socket open: the packet socket, or the Varlink one of systemd 258 and later. A
/// socket file of a udevd that has ended does not answer.
pub fn udevd_answers(roots: &Roots) -> bool {
    let sockets = [(roots.udevd_control(), SockType::SeqPacket), (roots.udevd_varlink(), SockType::Stream)];
    sockets.iter().any(|(path, kind)| answers(path, *kind))
}

fn answers(path: &Path, kind: SockType) -> bool {
    let Ok(address) = UnixAddr::new(path) else { return false };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(socket) = socket(AddressFamily::Unix, kind, flags, None) else { return false };
    match connect(socket.as_raw_fd(), &address) {
        // a full backlog is an answer too: somebody listens. Root's socket may be closed to others: it is there.
        Ok(()) | Err(nix::errno::Errno::EAGAIN) => true,
        Err(nix::errno::Errno::EACCES) => path.exists(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn auto_looks_for_a_udevd_that_answers() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        assert_eq!(choose(config::Mode::Auto, &roots), protocol::Mode::Standalone);
        std::fs::create_dir_all(roots.run.join("udev")).unwrap();
        let listener = UnixListener::bind(roots.udevd_varlink()).unwrap();
        assert_eq!(choose(config::Mode::Auto, &roots), protocol::Mode::Companion);
        assert_eq!(choose(config::Mode::Standalone, &roots), protocol::Mode::Standalone);
        drop(listener);
        assert_eq!(
            choose(config::Mode::Auto, &roots),
            protocol::Mode::Standalone,
            "nobody listens at the old socket"
        );
    }
}
