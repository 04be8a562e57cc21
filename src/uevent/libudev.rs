//! Owns libudev: the socket on which udevd tells of events that it has handled, and what its database says of a device.
//!
//! For who stands beside a udevd. Libudev knows no other directories than the running system's. Like the kernel's socket this
//! one never waits (the caller polls) and never logs.
//!
//! **Overrun.** Libudev gives nothing when nothing can be had and says why in `errno`: `ENOBUFS` when the kernel has dropped
//! messages, `EINVAL` for one that is longer than libudev's buffer (8 KiB in systemd 252). Either is a loss, and told once
//! the socket is empty, as `socket` does it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::kernel::{Parsed, Uevent};
use super::socket::{Counts, Drained, DropsError, OpenError, Received, drops};
use crate::properties::{Properties, PropertyError};
use crate::roots::Roots;

/// Events after which [`UdevMonitor::receive`] returns even if there are more, so that a flood can't hold its caller.
const EVENTS_MAX: usize = 4096;

/// The socket. Poll its descriptor for input, then [`UdevMonitor::receive`].
pub struct UdevMonitor {
    socket: udev::MonitorSocket,
    counts: Counts,
    /// Something was lost since the socket was last empty.
    lost: bool,
}

impl std::fmt::Debug for UdevMonitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdevMonitor").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl UdevMonitor {
    /// Listens to udevd in this network namespace. `receive_buffer` as for the kernel's socket. Where there is no udevd and
    /// the device directory is no devtmpfs (a container), libudev makes a socket that never hears anything: open another
    /// one when a udevd has come.
    pub fn open(receive_buffer: usize) -> Result<Self, OpenError> {
        let builder = udev::MonitorBuilder::new().map_err(OpenError::Socket)?;
        if setsockopt(&builder, sockopt::RcvBufForce, &receive_buffer).is_err() {
            setsockopt(&builder, sockopt::RcvBuf, &receive_buffer)
                .map_err(|e| OpenError::Option("the receive buffer's size", e.into()))?;
        }
        let socket = builder.listen().map_err(OpenError::Bind)?;
        Ok(Self { socket, counts: Counts::default(), lost: false })
    }

    /// Bytes of the receive buffer as the kernel accounts them.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        Ok(getsockopt(&self.socket, sockopt::RcvBuf)?)
    }

    /// Messages so far. Those that libudev itself refuses (not sent by root) are in none of the counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Hands everything that is in the socket to `sink`, in order, without waiting. An error is a fault of the socket
    /// itself, never of a message, and never an overrun.
    pub fn receive(&mut self, sink: &mut dyn FnMut(Received)) -> io::Result<Drained> {
        for _ in 0..EVENTS_MAX {
            let event = self.socket.iter().next();
            // libudev's own word on why there is none; nothing was called since
            let errno = Errno::last();
            match event {
                Some(event) => {
                    let received = read(&event);
                    match &received {
                        Ok(_) => self.counts.received += 1,
                        Err(_) => self.counts.malformed += 1,
                    }
                    sink(received);
                }
                None => {
                    self.note(errno)?;
                    // what libudev refuses is gone from the socket, and more may be behind it
                    if !self.has_more()? {
                        return Ok(Drained { emptied: true, lost: std::mem::take(&mut self.lost) });
                    }
                }
            }
        }
        Ok(Drained { emptied: false, lost: false })
    }

    fn note(&mut self, errno: Errno) -> io::Result<()> {
        match errno {
            Errno::EAGAIN | Errno::EINTR => {}
            Errno::ENOBUFS => {
                self.counts.overruns += 1;
                self.lost = true;
            }
            Errno::EBADF | Errno::ENOTSOCK | Errno::ENOTCONN => return Err(errno.into()),
            _ => {
                self.counts.truncated += 1;
                self.lost = true;
            }
        }
        Ok(())
    }

    fn has_more(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How many messages the kernel has dropped on this socket since it was opened, from `net/netlink` below `proc`.
    pub fn drops(&self, proc: &Path) -> Result<u64, DropsError> {
        drops(self.socket.as_fd(), proc)
    }
}

impl AsFd for UdevMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn read(event: &udev::Event) -> Received {
    let mut dropped = Vec::new();
    let properties = properties(event, &mut dropped);
    Ok(Parsed { uevent: Uevent::from_properties(properties)?, dropped })
}

/// A device's properties as libudev has them, in the kernel's form: the node's name is relative to the device directory.
fn properties(device: &udev::Device, dropped: &mut Vec<PropertyError>) -> Properties {
    let dev = Roots::system().dev;
    let mut out = Properties::new();
    for entry in device.properties() {
        let mut value = entry.value().as_bytes();
        if entry.name() == "DEVNAME" {
            let below =
                value.strip_prefix(dev.as_os_str().as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
            value = below.unwrap_or(value);
        }
        dropped.extend(out.set(entry.name().as_bytes(), value).err());
    }
    out
}

/// What udevd knows of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// All properties: the kernel's, and those that udevd found.
    pub properties: Properties,
    /// It has handled the device. Devices without a number or index have no mark of that: then this is true.
    pub is_handled: bool,
}

/// What udevd knows of the device with that directory below `/sys`; `None` if it has gone.
pub fn known(directory: &Path) -> Option<Known> {
    let device = udev::Device::from_syspath(directory).ok()?;
    let properties = properties(&device, &mut Vec::new());
    let is_marked = ["MAJOR", "IFINDEX"].iter().any(|key| properties.get(key).is_some());
    Some(Known { is_handled: !is_marked || device.is_initialized(), properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_the_running_system() {
        let null = Roots::system().sys.join("devices/virtual/mem/null");
        if !null.is_dir() {
            return crate::skipping::skip("the system's devices are not there");
        }
        let Known { properties, .. } = known(&null).unwrap();
        let value = |key: &str| properties.get(key).map(ToString::to_string).unwrap_or_default();
        assert_eq!(
            ["DEVPATH", "SUBSYSTEM", "DEVNAME", "MAJOR", "MINOR"].map(value),
            ["/devices/virtual/mem/null", "mem", "null", "1", "3"]
        );
        assert_eq!(known(&null.with_file_name("no such device")), None);
    }

    #[test]
    fn why_there_is_nothing() {
        let mut monitor = UdevMonitor::open(1 << 20).unwrap();
        let nothing = monitor.receive(&mut |received| panic!("{received:?}")).unwrap();
        assert_eq!(nothing, Drained { emptied: true, lost: false });
        monitor.note(Errno::ENOBUFS).unwrap();
        monitor.note(Errno::EINVAL).unwrap();
        assert!(monitor.note(Errno::EBADF).is_err());
        assert_eq!(monitor.counts(), Counts { overruns: 1, truncated: 1, ..Counts::default() });
        let after = monitor.receive(&mut |received| panic!("{received:?}")).unwrap();
        assert_eq!(after, Drained { emptied: true, lost: true });
        assert!(monitor.receive_buffer().unwrap() >= 1 << 18);
    }
}
