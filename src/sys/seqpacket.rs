//! Owns pairs of connected sockets that carry whole messages, each with at most one open file (`SCM_RIGHTS`, unix(7)).
//!
//! Never takes a message apart.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, accept4, recvmsg,
    sendmsg, socketpair,
};

/// What [`receive`] received.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the message; 0: the other end is closed.
    pub len: usize,
    /// The message was longer than the buffer, or had more files than one: those are closed.
    pub cut: bool,
    /// The file that came with it; closes when a program is run.
    pub file: Option<OwnedFd>,
}

/// A connected pair; both ends close when a program is run.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Takes a waiting connection of a listening socket; it closes when a program is run. Error: the kernel's (`EAGAIN`: none
/// waits).
pub fn accept(listener: impl AsFd) -> Result<OwnedFd, Errno> {
    let fd = accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the call has just opened this descriptor and nobody else knows it
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends one message and a file with it. Errors: `EPIPE` (never a signal) when the other end is closed, and the kernel's.
pub fn send(socket: impl AsFd, message: &[u8], file: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let files: Vec<RawFd> = file.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&files)];
    let rights: &[ControlMessage<'_>] = if files.is_empty() { &[] } else { &rights };
    let parts = [IoSlice::new(message)];
    loop {
        let sent = sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None);
        match sent {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message into `buffer`, waiting for it as the socket is set. Error: the kernel's.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut room = nix::cmsg_space!([RawFd; 2]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        let received = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut room), flags);
        match received {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let mut files = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just opened these for this process, and nobody else knows them
            files.extend(received.into_iter().map(|file| unsafe { OwnedFd::from_raw_fd(file) }));
        }
    }
    let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) || files.len() > 1;
    Ok(Received { len: message.bytes, cut, file: files.into_iter().next() })
}

/// Waits until a message or the end can be received. False: it is `until`.
pub fn wait(socket: impl AsFd, until: Instant) -> Result<bool, Errno> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // rounded up, so that time is over when it returns
        let millis = i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if Instant::now() >= until => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_message_with_a_file() {
        let (a, b) = pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"inside").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        send(&a, b"hello", Some(file.as_fd())).unwrap();
        send(&a, b"without", None).unwrap();
        let mut buffer = [0; 16];
        let first = receive(&b, &mut buffer).unwrap();
        assert_eq!((&buffer[..first.len], first.cut), (&b"hello"[..], false));
        let mut text = String::new();
        std::fs::File::from(first.file.unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        let second = receive(&b, &mut buffer).unwrap();
        assert!(second.len == 7 && second.file.is_none());
    }

    #[test]
    fn long_messages_and_ends() {
        let (a, b) = pair().unwrap();
        assert!(!wait(&b, Instant::now()).unwrap());
        send(&a, b"too long", None).unwrap();
        assert!(wait(&b, Instant::now() + Duration::from_secs(60)).unwrap());
        let received = receive(&b, &mut [0; 3]).unwrap();
        assert_eq!((received.len, received.cut), (3, true));
        drop(a);
        assert_eq!(receive(&b, &mut [0; 3]).unwrap().len, 0);
        assert_eq!(send(&b, b"x", None), Err(Errno::EPIPE));
    }
}
