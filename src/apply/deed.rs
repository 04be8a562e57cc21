//! Owns carrying out what builtins ask for: modules to be loaded and the like.
//!
//! Each thing costs itself alone. Never decides what is asked for.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::builtin::Deed;
use crate::decide::DeedRunner;
use crate::device::Device;
use crate::roots::Roots;
use crate::rules::host::HostError;
use crate::sys::fs::open_dir;
use crate::sys::medium::{eject, lock_door, open_node};

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

    /// Does something to the drive of that node.
    fn drive(
        &self,
        node: &[u8],
        deed: &Deed,
        act: impl FnOnce(OwnedFd) -> Result<(), Errno>,
    ) -> Result<(), HostError> {
        let done = open_dir(&self.roots.dev).and_then(|dir| open_node(dir, node, None)).and_then(act);
        done.map_err(|errno| HostError(format!("can't {deed}: {errno}")))
    }
}

impl DeedRunner for Deeds {
    fn carry_out(&self, device: &Device, deed: &Deed) -> Result<(), HostError> {
        match deed {
            Deed::Door { node, lock } => self.drive(node, deed, |drive| lock_door(drive, *lock)),
            Deed::Eject { node } => self.drive(node, deed, eject),
            Deed::LoadModules(_) => Err(HostError(format!(
                "{}: not done: {deed} ({})",
                device.devpath(),
                self.roots.sys.display()
            ))),
        }
    }
}
