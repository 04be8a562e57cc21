//! Owns what builtins read once and ask for many events: databases and settings of the system, each behind its own lock.
//!
//! Nothing is read before it is asked for. What has changed on disk is read again after [`Shared::refresh`].

use crate::roots::Roots;

/// The databases of one system.
#[derive(Debug)]
pub struct Shared {}

impl Shared {
    /// Those of `roots`; nothing is read yet.
    pub fn new(_roots: &Roots) -> Self {
        Self {}
    }

    /// Lets go what was read, where the files have changed since: the next who asks reads anew. For a reload.
    pub fn refresh(&self) {}
}
