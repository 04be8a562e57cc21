//! Owns listening to events on netlink: the kernel's, and those that the device manager sends on when it has handled them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bstr::{BString, ByteSlice};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket, sockopt,
};

use crate::sys::netlink::Batch;
use crate::uevent::monitor;

/// Whose events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The kernel's.
    Kernel,
    /// The device manager's.
    Udev,
}

/// One event: its properties as they came.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) properties: Vec<(BString, BString)>,
}

impl Event {
    /// The value of a property.
    pub(super) fn get(&self, key: &str) -> Option<&BString> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// A socket in one of the groups.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    source: Source,
    batch: Batch,
    lost: bool,
}

/// Room for one datagram.
const SLOT: usize = 64 << 10;
/// Bytes of the receive buffer.
const BUFFER: usize = 128 << 20;

impl Listener {
    /// Listens from now on.
    pub(super) fn open(source: Source) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkKObjectUEvent)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        setsockopt(&socket, sockopt::PassCred, &true)?;
        let group = if source == Source::Kernel { 1 } else { monitor::GROUP };
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, group))?;
        Ok(Self { socket, source, batch: Batch::new(SLOT), lost: false })
    }

    /// True when the kernel has dropped events since it was asked last: the buffer was full.
    pub(super) fn has_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// The events that are there.
    pub(super) fn receive(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        loop {
            match self.batch.receive(self.socket.as_fd()) {
                Ok(0) => return out,
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {
                    self.lost = true;
                    continue;
                }
                Err(_) => return out,
            }
            for datagram in self.batch.datagrams() {
                let by_root = datagram.credentials.is_some_and(|who| who.uid == 0);
                let by_kernel = datagram.sender.is_some_and(|sender| sender.port == 0);
                if by_root && !datagram.is_cut() && (self.source == Source::Udev || by_kernel) {
                    out.extend(self.event(datagram.bytes));
                }
            }
        }
    }

    fn event(&self, bytes: &[u8]) -> Option<Event> {
        let body = match self.source {
            // what comes before is the action and the path once more
            Source::Kernel => bytes.split_once_str(b"\0")?.1,
            Source::Udev => monitor::body(bytes).ok()?,
        };
        let lines = body.split(|&b| b == 0).filter_map(|line| line.split_once_str(b"="));
        let properties = lines.map(|(key, value)| (key.into(), value.into())).collect();
        Some(Event { properties })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
