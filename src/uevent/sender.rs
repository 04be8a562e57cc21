//! Owns the socket on which handled events are told to libudev's listeners: one message, everybody who listens.
//!
//! Never waits for a listener, and knows nothing of what a message says (that is `monitor`'s).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, sendto, setsockopt, socket,
    sockopt,
};

use super::monitor::GROUP;

/// Room for one message: a device may have thousands of links and tags.
const SEND_BUFFER: usize = 16 << 20;

/// The sending socket.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// Opens the socket. Error: the kernel's; `EPERM` for a sandbox without netlink.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            // who may not go beyond the limit goes up to it: only the longest messages need more
            let _kept_as_it_is = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { socket })
    }

    /// Sends a message to all listeners; that there are none is no error. Errors: `EMSGSIZE` for one that no socket takes,
    /// `EPERM` for who may not (it needs CAP_NET_ADMIN).
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        loop {
            match sendto(self.socket.as_raw_fd(), message, &NetlinkAddr::new(0, GROUP), MsgFlags::empty()) {
                Ok(_) | Err(Errno::ECONNREFUSED) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
