//! Owns speaking to the device manager that runs, whoever it is: packets where `/run/udev/control` is, else Varlink.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde_json::{Value, json};

use crate::daemon::control::frame::{REPLY_LIMIT, read_message, write_message};
use crate::daemon::control::udev::packet::{self, Message};
use crate::roots::Roots;
use crate::sys::seqpacket;

/// A connection.
#[derive(Debug)]
pub(super) enum Connection {
    Packets(OwnedFd),
    Varlink(UnixStream),
}

impl Connection {
    /// Connects to the device manager. Error: none answers, or the user may not.
    pub(super) fn open(roots: &Roots) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        match connect(socket.as_raw_fd(), &UnixAddr::new(&roots.udevd_control())?) {
            Ok(()) => Ok(Self::Packets(socket)),
            Err(errno) => match UnixStream::connect(roots.udevd_varlink()) {
                Ok(stream) => Ok(Self::Varlink(stream)),
                Err(_) => Err(errno.into()),
            },
        }
    }

    /// Asks for something, and by Varlink waits until it is done.
    pub(super) fn send(&mut self, message: &Message, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Packets(socket) => Ok(seqpacket::send(&*socket, &packet::encode(message), None)?),
            Self::Varlink(stream) => {
                let Some((method, parameters)) = method(message) else { return Ok(()) };
                stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
                write_message(&mut &*stream, &json!({ "method": method, "parameters": parameters }))
                    .map_err(io::Error::other)?;
                let reply = read_message(&mut io::BufReader::new(&*stream), REPLY_LIMIT);
                let reply = reply.map_err(io::Error::other)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                let reply: Value = serde_json::from_slice(&reply)?;
                match reply.get("error") {
                    Some(error) => Err(io::Error::other(error.to_string())),
                    None => Ok(()),
                }
            }
        }
    }

    /// Says that nothing more comes and waits until all is done. False: it is not, after `timeout`.
    pub(super) fn finish(mut self, timeout: Duration) -> io::Result<bool> {
        self.send(&Message::End, timeout)?;
        let Self::Packets(socket) = &self else { return Ok(true) };
        if !seqpacket::wait(socket, Instant::now() + timeout)? {
            return Ok(false);
        }
        Ok(seqpacket::receive(socket, &mut [0; 1]).map_or(true, |received| received.len == 0))
    }
}

/// The Varlink call for a message.
fn method(message: &Message) -> Option<(&'static str, Value)> {
    Some(match message {
        Message::End => return None,
        Message::SetLogLevel(level) => ("io.systemd.service.SetLogLevel", json!({ "level": level })),
        Message::StopExecQueue => ("io.systemd.Udev.StopExecQueue", json!({})),
        Message::StartExecQueue => ("io.systemd.Udev.StartExecQueue", json!({})),
        Message::Reload => ("io.systemd.service.Reload", json!({})),
        Message::SetEnv(text) => {
            ("io.systemd.Udev.SetEnvironment", json!({ "assignments": [text.to_string()] }))
        }
        Message::SetChildrenMax(count) => ("io.systemd.Udev.SetChildrenMax", json!({ "number": count })),
        Message::Ping => ("io.systemd.service.Ping", json!({})),
        Message::Exit => ("io.systemd.Udev.Exit", json!({})),
    })
}
