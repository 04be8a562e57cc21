//! Owns which devices somebody has sent away (`udevadm trigger --action=remove`) though they are there. What they had is taken
//! from them as by any removal; neither a comparison with sysfs nor changed rules give it back before their next event, since
//! udevd does not either. Never knows devices that have really gone.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::ids::DevPath;

/// The devices, by path.
#[derive(Debug, Default)]
pub(super) struct Dismissed(Mutex<HashSet<DevPath>>);

impl Dismissed {
    pub(super) fn add(&self, path: DevPath) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }

    pub(super) fn take_back(&self, path: &DevPath) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    pub(super) fn has(&self, path: &DevPath) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }
}
