//! Owns the packet socket `/run/udev/control`: its file, a thread for each connection, and who may speak.
//!
//! A client sends packets, the last of them END, and waits until its connection is closed: that is the only answer there
//! is. So a connection stays open until what was asked is done; after EXIT until the daemon has ended.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bstr::{BStr, ByteSlice};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket,
};

use super::DeviceManager;
use super::packet::{self, Message, PACKET_LEN};
use crate::daemon::control::StartError;
use crate::sys::seqpacket;

/// Most connections at a time. Only root connects; this is for a script gone mad.
const CONNECTION_LIMIT: usize = 64;
/// A client that says nothing for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(60);

/// The listening socket. Dropping it takes the file away, unless systemd owns it.
#[derive(Debug)]
pub(super) struct PacketServer {
    path: Option<PathBuf>,
    wake: UnixStream,
    accepting: Option<JoinHandle<()>>,
}

impl PacketServer {
    /// Listens at `path`, or on what was inherited. The socket of a daemon that is dead is replaced.
    pub(super) fn start(
        path: &Path,
        inherited: Option<OwnedFd>,
        manager: Arc<dyn DeviceManager>,
    ) -> Result<Self, StartError> {
        let failed = |source: io::Error| StartError::Io { path: path.into(), source };
        let own = inherited.is_none().then(|| path.to_owned());
        let listener = match inherited {
            Some(fd) => fd,
            None => open(path)?,
        };
        let (wake, woken) = UnixStream::pair().map_err(failed)?;
        let accept = move || accept_all(&listener, &woken, &manager);
        let accepting = thread::Builder::new().name("udev-control".into()).spawn(accept).map_err(failed)?;
        Ok(Self { path: own, wake, accepting: Some(accepting) })
    }
}

impl Drop for PacketServer {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _gone = fs::remove_file(path);
        }
        let _wakes = self.wake.shutdown(std::net::Shutdown::Both);
        if let Some(Err(_)) = self.accepting.take().map(JoinHandle::join) {
            tracing::error!("the thread of udev's control socket had panicked");
        }
    }
}

fn open(path: &Path) -> Result<OwnedFd, StartError> {
    let failed = |source: io::Error| StartError::Io { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => return Err(StartError::InTheWay(path.into())),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(_) => {}
    }
    let os = |errno: Errno| failed(errno.into());
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(os)?;
    bind(listener.as_raw_fd(), &UnixAddr::new(path).map_err(os)?).map_err(os)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    listen(&listener, Backlog::MAXCONN).map_err(os)?;
    Ok(listener)
}

/// Accepts until `woken` is closed.
fn accept_all(listener: &OwnedFd, woken: &UnixStream, manager: &Arc<dyn DeviceManager>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let mut fds =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        if let Err(errno) = poll(&mut fds, PollTimeout::NONE)
            && errno != Errno::EINTR
        {
            tracing::error!("udev's control socket can't be waited for: {errno}");
            return;
        }
        let [ours, end] = fds.map(|fd| fd.any().unwrap_or(false));
        if end {
            return;
        }
        if !ours {
            continue;
        }
        match seqpacket::accept(listener) {
            Ok(connection) => welcome(connection, manager, &open),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                tracing::warn!("a connection to udev's control socket could not be accepted: {errno}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn welcome(connection: OwnedFd, manager: &Arc<dyn DeviceManager>, open: &Arc<AtomicUsize>) {
    let peer = getsockopt(&connection, PeerCredentials).map(|peer| peer.uid());
    if peer != Ok(0) || open.load(Ordering::Relaxed) >= CONNECTION_LIMIT {
        tracing::warn!("a connection to udev's control socket was refused");
        return;
    }
    open.fetch_add(1, Ordering::Relaxed);
    let (manager, counted) = (Arc::clone(manager), Arc::clone(open));
    let serve = move || {
        serve(&connection, &*manager);
        counted.fetch_sub(1, Ordering::Relaxed);
    };
    if let Err(error) = thread::Builder::new().name("udev-client".into()).spawn(serve) {
        open.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(%error, "a connection to udev's control socket could not be served");
    }
}

/// Serves a connection to its end.
fn serve(connection: &OwnedFd, manager: &dyn DeviceManager) {
    let mut ending = false;
    loop {
        match seqpacket::wait(connection, Instant::now() + SILENCE) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::debug!(%error, "a client of udev's control socket is gone"),
        }
        // one byte more, so that a longer packet shows
        let mut buffer = [0; PACKET_LEN + 1];
        let len = match seqpacket::receive(connection, &mut buffer) {
            Ok(received) if received.len > 0 => received.len,
            Ok(_) | Err(_) => return,
        };
        match packet::decode(buffer.get(..len).unwrap_or_default()) {
            Ok(Message::End) if ending => return wait_for_end(connection),
            Ok(Message::End) => return,
            Ok(message) => {
                ending |= message == Message::Exit;
                obey(message, manager);
            }
            Err(error) => tracing::warn!("udev's control socket: {error}"),
        }
    }
}

/// Keeps the connection until the daemon has ended: who asked for the end waits for that.
fn wait_for_end(connection: &OwnedFd) {
    let mut fds = [PollFd::new(connection.as_fd(), PollFlags::empty())];
    let _hung_up = poll(&mut fds, PollTimeout::NONE);
}

fn obey(message: Message, manager: &dyn DeviceManager) {
    match message {
        Message::End => {}
        Message::SetLogLevel(level) => match u8::try_from(level) {
            Ok(level @ 0..=7) => manager.set_log_level(Some(level)),
            _ => tracing::warn!("udev's control socket: {level} is no log level"),
        },
        Message::StopExecQueue => manager.pause(true),
        Message::StartExecQueue => manager.pause(false),
        Message::Reload => manager.reload(),
        Message::SetEnv(text) => set_global(manager, text.as_bstr()),
        Message::SetChildrenMax(count) => match usize::try_from(count) {
            Ok(0) => manager.set_children_max(None),
            Ok(count) => manager.set_children_max(Some(count)),
            Err(_) => tracing::warn!("udev's control socket: {count} is no number of workers"),
        },
        Message::Ping => manager.ping(),
        Message::Exit => manager.exit(),
    }
}

/// `KEY=VALUE`; an empty value takes the key away.
pub(super) fn set_global(manager: &dyn DeviceManager, text: &BStr) {
    if let Some((key, value)) = text.split_once_str(b"=") {
        manager.set_global(key.into(), Some(value.as_bstr()).filter(|value| !value.is_empty()));
    }
}
