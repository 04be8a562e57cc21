//! Owns carrying out what builtins ask for: modules to be loaded and the like.
//!
//! Each thing costs itself alone. Never decides what is asked for.

use super::netif::setup;
use crate::builtin::Deed;
use crate::decide::DeedRunner;
use crate::device::Device;
use crate::roots::Roots;
use crate::rules::host::HostError;

/// Does what builtins ask for, on one system.
#[derive(Debug, Clone)]
pub struct Deeds {
    roots: Roots,
}

impl Deeds {
    /// For the system of `roots`.
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
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
            Deed::LoadModules(_) => Err(HostError(format!(
                "{}: not done: {deed} ({})",
                device.devpath(),
                self.roots.sys.display()
            ))),
        }
    }
}
