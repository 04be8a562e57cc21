//! Owns what the service manager has opened for the daemon: the sockets of udev's socket units, by their names.

use std::os::fd::OwnedFd;

use super::control::udev::Inherited;
use crate::sys::activation;
use crate::uevent::{KernelSocket, OpenError};

/// Sockets of udev's units.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The kernel's uevents (`systemd-udevd-kernel.socket`).
    pub(super) kernel: Option<OwnedFd>,
    /// udevadm's.
    pub(super) control: Inherited,
}

/// Takes what was handed over; what is of no use is closed.
pub(super) fn take() -> Sockets {
    let mut sockets = Sockets::default();
    for (name, fd) in activation::take() {
        let place = match name.as_str() {
            "systemd-udevd-kernel.socket" | "kernel" => &mut sockets.kernel,
            "systemd-udevd-control.socket" | "control" => &mut sockets.control.packets,
            "systemd-udevd-varlink.socket" | "varlink" => &mut sockets.control.varlink,
            _ => {
                tracing::warn!("the socket `{name}` that was handed over is of no use here");
                continue;
            }
        };
        *place = Some(fd);
    }
    sockets
}

/// The socket of the kernel's uevents: what was handed over, or one of our own.
pub(super) fn kernel_socket(
    inherited: Option<OwnedFd>,
    receive_buffer: usize,
) -> Result<KernelSocket, OpenError> {
    let adopted = inherited.map(|fd| KernelSocket::adopt(fd, receive_buffer));
    match adopted {
        Some(Ok(socket)) => Ok(socket),
        Some(Err(error)) => {
            tracing::warn!(%error, "the daemon opens its own socket for uevents");
            KernelSocket::open(receive_buffer)
        }
        None => KernelSocket::open(receive_buffer),
    }
}
