//! Owns what is known of devices beside their records: which rule asked for each link, and what the last event was.
//!
//! In memory only, for `list` and for changed rules; a device that got nothing from rules costs nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::decide::Plan;
use crate::diag::Place;
use crate::ids::{Action, DeviceId, LinkName};

#[derive(Debug, Clone)]
struct Origin {
    action: Action,
    links: Box<[(LinkName, Place)]>,
}

/// Origins by device.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<DeviceId, Origin>>);

impl Origins {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Origin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a plan says.
    pub(super) fn keep(&self, id: &DeviceId, plan: &Plan) {
        let links: Box<[_]> = plan.links.iter().map(|l| (l.name.clone(), l.from.clone())).collect();
        let mut origins = self.lock();
        if links.is_empty() && plan.event.action == Action::Add {
            origins.remove(id);
        } else {
            origins.insert(id.clone(), Origin { action: plan.event.action, links });
        }
    }

    /// Forgets a device.
    pub(super) fn forget(&self, id: &DeviceId) {
        self.lock().remove(id);
    }

    /// The last event of a device: rules that ask for the action see it again.
    pub(super) fn action(&self, id: &DeviceId) -> Action {
        self.lock().get(id).map_or(Action::Add, |origin| origin.action)
    }

    /// The rule that asked for a link of a device.
    pub(super) fn of_link(&self, id: &DeviceId, link: &LinkName) -> Option<Place> {
        let origins = self.lock();
        origins.get(id)?.links.iter().find(|(name, _)| name == link).map(|(_, place)| place.clone())
    }
}
