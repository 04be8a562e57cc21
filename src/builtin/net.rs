//! Owns asking the running kernel about the event's interface, for the builtins about networks.
//!
//! Whether the running kernel can be asked at all is decided here: a recording, or a directory that only looks like
//! sysfs, has names that may be another interface's on this machine. Never changes an interface.

use bstr::{BString, ByteSlice};
use nix::net::if_::if_indextoname;
use nix::sys::statfs::{SYSFS_MAGIC, statfs};

use super::{BuiltinError, Context};
use crate::device::{Source, Tree};
use crate::ids::IfIndex;
use crate::sys::ethtool::Ethtool;
use crate::sys::rtnetlink::{Link, Route};

/// An interface of the running kernel.
#[derive(Debug)]
pub(super) struct Card {
    name: BString,
    index: IfIndex,
}

impl Card {
    /// That of the event. Errors: [`BuiltinError::NotAnInterface`], and [`BuiltinError::NotLive`] if the kernel has no
    /// interface of this name and index where this process is.
    pub(super) fn of(context: &Context<'_>) -> Result<Self, BuiltinError> {
        let index = context.device.ifindex().ok_or(BuiltinError::NotAnInterface)?;
        let name = context.device.sysname();
        // Not the index by the name: the kernel tells of a new name a moment before it finds the interface by it. What
        // asks by name through ethtool waits for that moment to pass.
        let is_it = || if_indextoname(index.get()).is_ok_and(|found| found.to_bytes() == name.as_slice());
        if is_live(context.reader.tree()) && is_it() {
            Ok(Self { name, index })
        } else {
            Err(BuiltinError::NotLive)
        }
    }

    /// The name of its driver, if the driver says one.
    pub(super) fn driver(&self) -> Option<BString> {
        let driver = Ethtool::open(&self.name).and_then(|card| card.driver()).ok()?;
        Some(driver.trim().into()).filter(|driver: &BString| !driver.is_empty())
    }

    /// What rtnetlink says of it; the permanent address as ethtool has it where rtnetlink has none.
    pub(super) fn link(&self) -> Option<Link> {
        let mut link = Route::open().and_then(|route| route.link(self.index.get())).ok()?;
        if link.permanent_address.is_empty() {
            let permanent = Ethtool::open(&self.name).and_then(|card| card.permanent_address());
            link.permanent_address = permanent.unwrap_or_default();
        }
        Some(link)
    }
}

/// True when the tree is read from a mounted sysfs.
fn is_live(tree: &Tree) -> bool {
    match tree.source() {
        Source::Live(path) => statfs(path).is_ok_and(|fs| fs.filesystem_type() == SYSFS_MAGIC),
        Source::Recording(_) => false,
    }
}
