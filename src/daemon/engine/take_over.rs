//! Owns what is there when the daemon starts: the devices, and the names and records of a former run. Never handles an event.

use std::collections::HashMap;

use super::{Engine, Reach};
use crate::apply::names::Former;
use crate::daemon::{DaemonError, start};
use crate::device::Device;
use crate::ids::{DeviceId, LinkName};
use crate::properties::Properties;
use crate::store::record::Record;

/// A device that was there at the start.
#[derive(Debug)]
pub struct Present {
    /// The device.
    pub device: Device,
    /// Its `uevent` file, so that it is not read twice.
    pub properties: Properties,
}

impl Engine {
    /// Fills the tree and takes over the names and records of a former run: who held a name keeps it, and what belongs
    /// to devices that are no longer there is removed. To be called before the first event; all devices, parents first.
    pub fn take_over(&self) -> Result<Vec<Present>, DaemonError> {
        let mut devices = Vec::new();
        self.tree.walk_with(|device, properties| {
            devices.push(Present { device: device.clone(), properties });
        });
        if self.site.reach == Reach::Everything {
            devices.extend(start::enter_modules(&self.tree, &self.site.roots.sys));
        }
        self.adopt(&devices)?;
        Ok(devices)
    }

    fn adopt(&self, devices: &[Present]) -> Result<(), DaemonError> {
        let nodes = nodes_of(devices);
        let source = |source| DaemonError::Directory { path: self.site.run_dir.clone(), source };
        let listing = self.database.take_over().map_err(source)?;
        for (id, problem) in &listing.problems {
            tracing::warn!(device = %id, %problem, "a line of a record is left out");
        }
        for error in &listing.errors {
            tracing::warn!(%error, "a record is left out");
        }
        let (there, gone): (Vec<_>, Vec<_>) =
            listing.records.into_iter().partition(|(id, _)| self.tree.by_id(id).is_some());
        let gone_ids: Vec<DeviceId> = gone.iter().map(|(id, _)| id.clone()).collect();
        let former = |(device, record): (DeviceId, Record)| Former {
            node: record.node.or_else(|| nodes.get(&device).cloned()),
            device,
            links: record.links,
            priority: record.priority,
            init_usec: record.init_usec,
        };
        let mut reports = self.names.adopt(there.into_iter().chain(gone).map(former).collect());
        for id in gone_ids {
            reports.extend(self.names.release_all(&id));
            self.number_link(&id, None);
            self.delete_record(&id);
        }
        self.tell(None, &reports);
        Ok(())
    }

    /// Puts in order what the former run left and no event of the start has looked at.
    pub(in crate::daemon) fn finish_take_over(&self) {
        self.tell(None, &self.names.finish_adoption().reports);
    }
}

/// The nodes of devices, by id. A record of udev's does not say the name of the node, and a link of a former run is known by it.
fn nodes_of(devices: &[Present]) -> HashMap<DeviceId, LinkName> {
    let node = |present: &Present| {
        let name = present.properties.get("DEVNAME")?;
        Some((present.device.id()?, LinkName::new(name).ok()?))
    };
    devices.iter().filter_map(node).collect()
}
