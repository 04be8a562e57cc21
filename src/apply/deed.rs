//! Owns carrying out what builtins ask for: modules to be loaded, input devices to be set up, nodes to be given to a user.
//!
//! Each thing costs itself alone. Never decides what is asked for.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::modules::Modules;
use super::netif::setup;
use super::node::NodeDir;
use super::{acl, input};
use crate::builtin::{Access, Deed};
use crate::decide::DeedRunner;
use crate::device::Device;
use crate::ids::LinkName;
use crate::roots::Roots;
use crate::rules::host::HostError;
use crate::sys::medium::{eject, lock_door};

/// Does what builtins ask for, on one system.
#[derive(Debug)]
pub struct Deeds {
    roots: Roots,
    modules: Modules,
}

impl Deeds {
    /// For the system of `roots`.
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone(), modules: Modules::new(roots.kernel_modules()) }
    }

    /// The modules that are being loaded.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    fn give(&self, device: &Device, access: &Access) -> Result<(), HostError> {
        let failed = |error: String| HostError(format!("{access}: {error}"));
        let number = device.devnum().ok_or_else(|| failed("the device has no number".into()))?;
        let nodes = NodeDir::open(&self.roots.dev).map_err(|error| failed(error.to_string()))?;
        let node = match nodes.open_node(&access.node, number, OFlag::O_PATH) {
            Ok(node) => node,
            // it went while this was on its way
            Err(error) if error.errno == Errno::ENOENT => return Ok(()),
            Err(error) => return Err(failed(error.to_string())),
        };
        match acl::give(&node, access.user) {
            Ok(true) => tracing::debug!("{access}"),
            Ok(false) => {}
            // a file system without lists has none to take entries out of
            Err(Errno::EOPNOTSUPP) if access.user.is_none() => {}
            Err(errno) => return Err(failed(errno.to_string())),
        }
        Ok(())
    }

    /// Does something to the drive of that node, if it is the device's own: a name may be another's by now.
    fn drive(
        &self,
        (device, node): (&Device, &LinkName),
        deed: &Deed,
        act: impl FnOnce(OwnedFd) -> Result<(), Errno>,
    ) -> Result<(), HostError> {
        let failed = |error: String| HostError(format!("can't {deed}: {error}"));
        let number = device.devnum().ok_or_else(|| failed("the device has no number".into()))?;
        let nodes = NodeDir::open(&self.roots.dev).map_err(|error| failed(error.to_string()))?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let drive = nodes.open_node(node, number, flags).map_err(|error| failed(error.to_string()))?;
        act(drive).map_err(|errno| failed(errno.to_string()))
    }
}

impl DeedRunner for Deeds {
    fn carry_out(&self, device: &Device, deed: &Deed) -> Result<(), HostError> {
        match deed {
            Deed::Interface(interface) => {
                for (setting, error) in setup::set_up(&self.roots, device, interface) {
                    tracing::warn!("interface {}: not set: {setting}: {error}", device.sysname());
                }
                Ok(())
            }
            Deed::Door { node, lock } => self.drive((device, node), deed, |drive| lock_door(drive, *lock)),
            Deed::Eject { node } => self.drive((device, node), deed, eject),
            Deed::LoadModules(names) => names
                .iter()
                .try_for_each(|name| self.modules.ask(name))
                .map_err(|full| HostError(full.to_string())),
            Deed::Keyboard(wanted) => input::set(&self.roots, device, wanted).map_err(HostError),
            Deed::Access(access) => self.give(device, access),
        }
    }
}
