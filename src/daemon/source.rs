//! Owns where events come from: the kernel, or a udevd that has handled them first. The reader sees one socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
#[cfg(feature = "libudev")]
use std::sync::Arc;
#[cfg(feature = "libudev")]
use std::time::Instant;

#[cfg(feature = "libudev")]
use super::backlog::Backlog;
use super::control::protocol::EventSource;
#[cfg(feature = "libudev")]
use crate::uevent::libudev::UdevMonitor;
use crate::uevent::{Counts, Drained, DropsError, KernelSocket, OpenError, Received};

/// An open source of events.
#[derive(Debug)]
pub(super) enum Source {
    /// The kernel.
    Kernel(Box<KernelSocket>),
    /// Udevd.
    #[cfg(feature = "libudev")]
    Udevd(Box<Udevd>),
}

/// Udevd's events; the kernel's are heard beside them only to know what udevd still has to handle.
#[cfg(feature = "libudev")]
#[derive(Debug)]
pub(super) struct Udevd {
    monitor: UdevMonitor,
    kernel: KernelSocket,
    backlog: Arc<Backlog>,
    buffer: usize,
}

impl Source {
    /// What udevd makes of them. What it owes is kept in `backlog`.
    #[cfg(feature = "libudev")]
    pub(super) fn udevd(buffer: usize, backlog: Arc<Backlog>) -> Result<Self, OpenError> {
        // in this order: udevd's word on every event that the kernel's socket brings is then heard
        let monitor = UdevMonitor::open(buffer)?;
        let kernel = KernelSocket::open(buffer)?;
        Ok(Self::Udevd(Box::new(Udevd { monitor, kernel, backlog, buffer })))
    }

    /// What to poll for input.
    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Kernel(socket) => vec![socket.as_fd()],
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => vec![udevd.monitor.as_fd(), udevd.kernel.as_fd()],
        }
    }

    /// True when the events come in the order of their numbers, so that a number that is missing means something.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Self::Kernel(_))
    }

    /// Whose events these are.
    pub(super) fn sender(&self) -> EventSource {
        match self {
            Self::Kernel(_) => EventSource::Kernel,
            #[cfg(feature = "libudev")]
            Self::Udevd(_) => EventSource::Udev,
        }
    }

    /// Bytes of the receive buffer as the kernel accounts them.
    pub(super) fn receive_buffer(&self) -> io::Result<usize> {
        match self {
            Self::Kernel(socket) => socket.receive_buffer(),
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => udevd.monitor.receive_buffer(),
        }
    }

    /// Events and what was no event, so far.
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Kernel(socket) => socket.counts(),
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => {
                let (udevds, kernels) = (udevd.monitor.counts(), udevd.kernel.counts());
                Counts { foreign: kernels.foreign, overruns: udevds.overruns + kernels.overruns, ..udevds }
            }
        }
    }

    /// Hands on what is there, see [`KernelSocket::receive`].
    pub(super) fn receive(&mut self, sink: &mut dyn FnMut(Received)) -> io::Result<Drained> {
        match self {
            Self::Kernel(socket) => socket.receive(sink),
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => udevd.receive(sink),
        }
    }

    /// How many events the kernel has dropped.
    pub(super) fn drops(&self, proc: &Path) -> Result<u64, DropsError> {
        match self {
            Self::Kernel(socket) => socket.drops(proc),
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => Ok(udevd.monitor.drops(proc)? + udevd.kernel.drops(proc)?),
        }
    }

    /// Listens to udevd anew, since one has come; what the old socket still holds is lost. False: there is nothing to be
    /// opened again.
    pub(super) fn reopen(&mut self) -> Result<bool, OpenError> {
        match self {
            Self::Kernel(_) => Ok(false),
            #[cfg(feature = "libudev")]
            Self::Udevd(udevd) => {
                udevd.monitor = UdevMonitor::open(udevd.buffer)?;
                Ok(true)
            }
        }
    }
}

#[cfg(feature = "libudev")]
impl Udevd {
    fn receive(&mut self, sink: &mut dyn FnMut(Received)) -> io::Result<Drained> {
        let (backlog, now) = (&self.backlog, Instant::now());
        // before udevd's word on them
        let kernels = self.kernel.receive(&mut |received| {
            if let Ok(parsed) = received {
                backlog.sent(parsed.uevent.seqnum, now);
            }
        })?;
        let udevds = self.monitor.receive(sink)?;
        Ok(Drained { emptied: kernels.emptied && udevds.emptied, lost: kernels.lost || udevds.lost })
    }
}
