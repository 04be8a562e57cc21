//! Owns what builtins read once and ask for many events: databases and settings of the system, each behind its own lock.
//!
//! Nothing is read before it is asked for. What has changed on disk is read again after [`Shared::refresh`].

use super::net_setup_link::LinkFiles;
use crate::roots::Roots;

/// The databases of one system.
#[derive(Debug)]
pub struct Shared {
    link_files: LinkFiles,
}

impl Shared {
    /// Those of `roots`; nothing is read yet.
    pub fn new(_roots: &Roots) -> Self {
        Self { link_files: LinkFiles::default() }
    }

    /// Lets go what was read, where the files have changed since: the next who asks reads anew. For a reload.
    pub fn refresh(&self) {
        self.link_files.forget();
    }

    /// The `.link` files of the system.
    pub(super) fn link_files(&self) -> &LinkFiles {
        &self.link_files
    }
}
