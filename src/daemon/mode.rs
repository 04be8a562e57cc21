//! Owns the choice between the two ways to run: device manager, or companion of a udevd that is there.

use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

use super::control::{protocol, socket_path};
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
/// socket file of a udevd that has ended does not answer, and a nameplate that is the device manager is no udevd.
pub fn udevd_answers(roots: &Roots) -> bool {
    let sockets = [(roots.udevd_control(), SockType::SeqPacket), (roots.udevd_varlink(), SockType::Stream)];
    let own = listener(&socket_path(&roots.run_nameplate()), SockType::Stream);
    let handed_over = handed_over();
    sockets.iter().any(|(path, kind)| match listener(path, *kind) {
        Some(Listener::Process(pid)) => {
            // systemd listens for whom it starts
            let ours = own == Some(Listener::Process(pid)) || (handed_over && pid == 1);
            !ours
        }
        Some(Listener::Unknown) => true,
        None => false,
    })
}

/// True when the daemon that is this process serves clients: its own, and as device manager udevadm.
pub fn serves(pid: u32, own: &Path, roots: &Roots, is_manager: bool) -> bool {
    let is_it = |who| i32::try_from(pid).is_ok_and(|pid| who == Some(Listener::Process(pid)));
    is_it(listener(own, SockType::Stream))
        && (!is_manager || is_it(listener(&roots.udevd_control(), SockType::SeqPacket)))
}

/// True when the service manager has handed sockets over to this process: those of udev's units are then our own.
fn handed_over() -> bool {
    std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string())
        && std::env::var("LISTEN_FDNAMES")
            .is_ok_and(|names| names.contains("udevd") || names.contains("control"))
}

/// Who listens at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Process(i32),
    /// Somebody.
    Unknown,
}

/// Who listens at a path; `None`: nobody.
fn listener(path: &Path, kind: SockType) -> Option<Listener> {
    let address = UnixAddr::new(path).ok()?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, kind, flags, None).ok()?;
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => {
            let peer = getsockopt(&socket, PeerCredentials).map(|peer| Listener::Process(peer.pid()));
            Some(peer.unwrap_or(Listener::Unknown))
        }
        // a full backlog is an answer too: somebody listens. Root's socket may be closed to others: it is there.
        Err(Errno::EAGAIN) => Some(Listener::Unknown),
        Err(Errno::EACCES) => path.exists().then_some(Listener::Unknown),
        Err(_) => None,
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
        // the same process listens at nameplate's own socket: it is the device manager
        std::fs::create_dir_all(roots.run_nameplate()).unwrap();
        let own = UnixListener::bind(socket_path(&roots.run_nameplate())).unwrap();
        assert_eq!(choose(config::Mode::Auto, &roots), protocol::Mode::Standalone);
        drop(own);
        assert_eq!(choose(config::Mode::Auto, &roots), protocol::Mode::Companion);
        drop(listener);
        assert_eq!(
            choose(config::Mode::Auto, &roots),
            protocol::Mode::Standalone,
            "nobody listens at the old socket"
        );
    }
}
