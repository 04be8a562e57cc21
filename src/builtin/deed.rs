//! Owns what builtins ask to have done to the machine, as values. Never does it: that is `apply`'s.

use std::fmt;

use bstr::BString;

use super::interface::Interface;
use super::{Access, Keyboard};
use crate::ids::LinkName;

/// One thing to be done to the device of the event, or for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Load the kernel modules of these names or aliases (`modprobe(8)`), in order; one that there is not is no failure.
    LoadModules(Vec<BString>),
    /// Set up the network interface of the event.
    Interface(Interface),
    /// Set up an input device: keys, axes, speed.
    Keyboard(Keyboard),
    /// Let a user, and no other that is named, use the device's node.
    Access(Access),
    /// Lock the door of an optical drive, so that its button asks for an event; or unlock it.
    Door {
        /// The drive's node; whoever else's node that is, it is left alone.
        node: LinkName,
        /// Lock it.
        lock: bool,
    },
    /// Open the tray of an optical drive.
    Eject {
        /// The drive's node; whoever else's node that is, it is left alone.
        node: LinkName,
    },
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Door { node, lock: true } => write!(f, "lock the door of {node}"),
            Deed::Door { node, lock: false } => write!(f, "unlock the door of {node}"),
            Deed::Eject { node } => write!(f, "eject the medium of {node}"),
            Deed::LoadModules(names) => write!(f, "load modules: {}", bstr::join(" ", names).escape_ascii()),
            Deed::Interface(interface) => interface.fmt(f),
            Deed::Keyboard(wanted) => wanted.fmt(f),
            Deed::Access(access) => access.fmt(f),
        }
    }
}
