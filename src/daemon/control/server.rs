//! Owns the control socket: its file, the accepting, how many may be connected, and the end of it all.
//!
//! One thread for each connection, so that a slow or silent client costs only itself. Of the places for connections, some
//! are kept for those who may change something: a user who holds all the others can't keep root out. Never looks into a
//! message.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use varlink::VarlinkService;

use super::connection::{self, Peer};
use super::{Commands, protocol};

/// Most connections at a time.
const CONNECTION_LIMIT: usize = 64;
/// Most connections of all those who may not change anything.
const GUEST_LIMIT: usize = 48;
/// Most connections of one user who may not change anything.
const GUEST_LIMIT_EACH: usize = 16;
/// How long the end waits for connections that are still in a command.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How long accepting pauses when there are no more descriptors, in milliseconds.
const ACCEPT_PAUSE: u16 = 100;
/// Longest path of a unix socket (`sun_path` without its NUL).
const SOCKET_PATH_MAX: usize = 107;

/// Why the control socket can't be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody serves it already.
    #[error("another nameplate daemon runs with {}: stop it, or use another --link-dir or --root", .0.display())]
    AnotherDaemon(PathBuf),
    /// A unix socket can't have such a long path.
    #[error("{} is longer than the {SOCKET_PATH_MAX} bytes that a socket's path may have: use a shorter directory", .0.display())]
    PathTooLong(PathBuf),
    /// Something that is not a socket has the name.
    #[error("{} is in the way and not a socket: remove it", .0.display())]
    InTheWay(PathBuf),
    /// Making the directory, the lock or the socket failed.
    #[error("can't listen on {}: {source}", path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the socket is in a run directory.
pub fn socket_path(run: &Path) -> PathBuf {
    run.join(protocol::INTERFACE)
}

/// The listening socket. Dropping it takes the socket's file away and ends all connections.
#[derive(Debug)]
pub struct Server {
    /// The socket's file, unless the service manager owns it.
    path: Option<PathBuf>,
    shared: Arc<Shared>,
    wake: UnixStream,
    accepting: Option<JoinHandle<()>>,
    /// Held as long as the socket is served.
    lock: Option<Lock>,
}

/// Makes what answers on one connection: who is at the other end, and the stream.
pub(super) type Services = dyn Fn(Peer, UnixStream) -> VarlinkService + Send + Sync;

impl Server {
    /// Listens at `path` and serves until dropped. The directory is made if it is missing; the socket of a dead daemon is
    /// replaced.
    pub fn start(path: &Path, commands: Arc<dyn Commands>) -> Result<Self, StartError> {
        check_length(path)?;
        let lock = Lock::take(path)?;
        // Anybody may ask; what may be changed is decided by the kernel's word on who asks.
        let mut server = Self::listen(path, 0o666, connection::services(commands))?;
        server.lock = Some(lock);
        Ok(server)
    }

    /// The same with a file mode and other services, for who has the lock of another socket.
    pub(super) fn listen(path: &Path, mode: u32, services: Arc<Services>) -> Result<Self, StartError> {
        let failed = |source| StartError::Io { path: path.into(), source };
        check_length(path)?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
        let mut server = Self::adopt(path, listener, services)?;
        server.path = Some(path.into());
        Ok(server)
    }

    /// Serves on a socket that listens already; its file stays. `path` is for messages.
    pub(super) fn adopt(
        path: &Path,
        listener: UnixListener,
        services: Arc<Services>,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Io { path: path.into(), source };
        listener.set_nonblocking(true).map_err(failed)?;
        let (wake, woken) = UnixStream::pair().map_err(failed)?;
        let shared = Arc::new(Shared { services, connections: Mutex::default(), ended: Condvar::new() });
        let accepting = {
            let shared = Arc::clone(&shared);
            let accept = move || accept_all(&listener, &woken, &shared);
            thread::Builder::new().name("control".into()).spawn(accept).map_err(failed)?
        };
        Ok(Self { path: None, shared, wake, accepting: Some(accepting), lock: None })
    }
}

fn check_length(path: &Path) -> Result<(), StartError> {
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(StartError::PathTooLong(path.into()));
    }
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _gone = fs::remove_file(path);
        }
        let _wakes = self.wake.shutdown(std::net::Shutdown::Both);
        if let Some(Err(_)) = self.accepting.take().map(JoinHandle::join) {
            tracing::error!("the control socket's thread had panicked");
        }
        self.shared.end_connections();
    }
}

/// Held by the one process that may change what belongs to a socket's directory: its daemon, or `nameplate apply` while
/// there is none. The kernel lets go of it when that process dies, however it dies.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock beside the socket at `path`, making the directory if it is missing. Error: somebody else has it.
    pub fn take(path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::Io { path: path.into(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(name).map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(StartError::AnotherDaemon(path.into())),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }
}

/// Removes the socket of a daemon that is dead. One that answers without holding the lock is a live stranger.
fn clear(path: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::Io { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(StartError::InTheWay(path.into())),
        Ok(_) => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(StartError::AnotherDaemon(path.into()));
    }
    fs::remove_file(path).map_err(failed)
}

/// What the threads share.
struct Shared {
    services: Arc<Services>,
    connections: Mutex<Connections>,
    ended: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("connections", &self.connections).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Connections {
    open: Vec<Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    peer: Peer,
    stream: UnixStream,
}

impl Connections {
    fn has_place_for(&self, peer: Peer) -> bool {
        let guests = || self.open.iter().filter(|open| !open.peer.may_change);
        self.open.len() < CONNECTION_LIMIT
            && (peer.may_change
                || (guests().count() < GUEST_LIMIT
                    && guests().filter(|open| open.peer.uid == peer.uid).count() < GUEST_LIMIT_EACH))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a new connection; `None` when there is none left.
    fn enter(self: &Arc<Self>, peer: Peer, stream: UnixStream) -> Option<Place> {
        let mut connections = self.lock();
        if !connections.has_place_for(peer) {
            return None;
        }
        let number = connections.next;
        connections.next += 1;
        connections.open.push(Open { number, peer, stream });
        Some(Place { number, shared: Arc::clone(self) })
    }

    fn end_connections(&self) {
        let connections = self.lock();
        for open in &connections.open {
            let _closes = open.stream.shutdown(std::net::Shutdown::Both);
        }
        let waited = self.ended.wait_timeout_while(connections, END_PATIENCE, |c| !c.open.is_empty());
        let (connections, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !connections.open.is_empty() {
            tracing::warn!("{} control connections were still busy at the end", connections.open.len());
        }
    }
}

/// A connection's entry among the open ones; leaves it when its thread ends, also by a panic.
struct Place {
    number: u64,
    shared: Arc<Shared>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().open.retain(|open| open.number != self.number);
        self.shared.ended.notify_all();
    }
}

/// Accepts until `woken` is closed.
fn accept_all(listener: &UnixListener, woken: &UnixStream, shared: &Arc<Shared>) {
    loop {
        let mut fds =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                tracing::error!("the control socket can't be waited for: {errno}");
                return;
            }
        }
        if is_ready(&fds, 1) {
            return;
        }
        if !is_ready(&fds, 0) {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => welcome(stream, shared),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                // No descriptors left, most likely: the waiting client stays in the kernel's queue.
                tracing::warn!("a control connection could not be accepted: {error}");
                let mut end = [PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
                let _pause = poll(&mut end, ACCEPT_PAUSE);
            }
        }
    }
}

fn is_ready(fds: &[PollFd<'_>], at: usize) -> bool {
    fds.get(at).and_then(PollFd::any).unwrap_or(false)
}

/// Gives a new connection its thread, or says why not. Never waits for the client.
fn welcome(stream: UnixStream, shared: &Arc<Shared>) {
    let started = start_connection(stream, shared);
    if let Err(error) = started {
        tracing::warn!("a control connection could not be served: {error}");
    }
}

fn start_connection(stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let peer = Peer::new(getsockopt(&stream, PeerCredentials)?.uid());
    let Some(place) = shared.enter(peer, stream.try_clone()?) else {
        tracing::warn!("a control connection of uid {} was refused: too many are open", peer.uid);
        return connection::refuse(&stream);
    };
    let serve = move || connection::serve(stream, peer, &*place.shared.services);
    thread::Builder::new().name("control-client".into()).spawn(serve).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_for_those_who_may_change() {
        let mut connections = Connections::default();
        let guest = |uid| Peer { uid, may_change: false };
        let root = Peer { uid: 0, may_change: true };
        let enter = |connections: &mut Connections, peer, times| {
            for _ in 0..times {
                assert!(connections.has_place_for(peer), "{peer:?} {}", connections.open.len());
                let stream = UnixStream::pair().unwrap().0;
                connections.open.push(Open { number: 0, peer, stream });
            }
        };
        enter(&mut connections, guest(1), 16);
        assert!(!connections.has_place_for(guest(1)));
        enter(&mut connections, guest(2), 16);
        enter(&mut connections, guest(3), 16);
        assert!(!connections.has_place_for(guest(4)));
        enter(&mut connections, root, 16);
        assert!(!connections.has_place_for(root));
    }
}
