//! Owns the control sockets by which systemd's own `udevadm` speaks to a device manager: packets up to 257, Varlink from
//! 258 on. Served only where the daemon is the device manager: libudev takes the socket's file for a sign that there is one.
//!
//! The daemon stands behind [`DeviceManager`]; nothing here decides anything about devices.

pub mod packet;
mod packets;
mod varlink;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use bstr::{BStr, BString};

use super::StartError;
use super::server::Server;
use packets::PacketServer;

/// What the daemon does for udevadm. Called from many threads at once; who asks is root.
pub trait DeviceManager: Send + Sync {
    /// Returns when every event that the kernel has sent by now has been read.
    fn ping(&self);

    /// Reads the rules again and applies what is different; returns when that is done.
    fn reload(&self);

    /// Logs so much, as syslog counts (0 to 7); `None`: as configured.
    fn set_log_level(&self, level: Option<u8>);

    /// Logs what each rule that is looked at finds and does, or does so no longer.
    fn set_trace(&self, on: bool);

    /// Begins no event from now on, or does again.
    fn pause(&self, paused: bool);

    /// A property that every event has; `None` takes it away.
    fn set_global(&self, key: &BStr, value: Option<&BStr>);

    /// The properties that every event has, as `KEY=VALUE`.
    fn globals(&self) -> Vec<BString>;

    /// Takes all of them away.
    fn clear_globals(&self);

    /// At most so many events at a time; `None`: as configured.
    fn set_children_max(&self, count: Option<usize>);

    /// Asks the daemon to end; returns at once.
    fn exit(&self);
}

/// Sockets that systemd has opened for the daemon.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Listens for packets.
    pub packets: Option<OwnedFd>,
    /// Listens for Varlink.
    pub varlink: Option<OwnedFd>,
}

/// Both sockets. Dropping it takes away the files that are ours, and ends all connections.
#[derive(Debug)]
pub struct UdevSockets {
    _packets: PacketServer,
    _varlink: Server,
}

impl UdevSockets {
    /// Listens at the two paths, or on what was inherited, and serves until dropped.
    pub fn start(
        packets: &Path,
        varlink: &Path,
        inherited: Inherited,
        manager: &Arc<dyn DeviceManager>,
    ) -> Result<Self, StartError> {
        let services = varlink::services(Arc::clone(manager));
        Ok(Self {
            _packets: PacketServer::start(packets, inherited.packets, Arc::clone(manager))?,
            _varlink: match inherited.varlink {
                Some(fd) => Server::adopt(varlink, UnixListener::from(fd), services)?,
                None => Server::listen(varlink, 0o600, services)?,
            },
        })
    }
}
