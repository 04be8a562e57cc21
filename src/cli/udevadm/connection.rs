//! Owns speaking to the device manager that runs, whoever it is: packets where `/run/udev/control` is, else Varlink.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
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
        // systemd drops packets without the sender's credentials, and asks for them only when it has accepted: what comes
        // a moment earlier has them because of this
        setsockopt(&socket, sockopt::PassCred, &true)?;
        match connect(socket.as_raw_fd(), &UnixAddr::new(&roots.udevd_control())?) {
            Ok(()) => Ok(Self::Packets(socket)),
            Err(errno) => match UnixStream::connect(roots.udevd_varlink()) {
                Ok(stream) => Ok(Self::Varlink(stream)),
                Err(_) => Err(errno.into()),
            },
        }
    }

    /// Connects to a device manager that speaks Varlink.
    pub(super) fn varlink(roots: &Roots) -> io::Result<Self> {
        Ok(Self::Varlink(UnixStream::connect(roots.udevd_varlink())?))
    }

    /// Calls a method that packets have no word for.
    pub(super) fn call(&mut self, method: &str, parameters: &Value, timeout: Duration) -> io::Result<()> {
        let Self::Varlink(stream) = self else { return Err(io::ErrorKind::Unsupported.into()) };
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

    /// Asks for something, and by Varlink waits until it is done.
    pub(super) fn send(&mut self, message: &Message, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Packets(socket) => Ok(seqpacket::send(&*socket, &packet::encode(message), None)?),
            Self::Varlink(_) => match method(message) {
                Some((method, parameters)) => self.call(method, &parameters, timeout),
                None => Ok(()),
            },
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
