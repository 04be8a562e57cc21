//! Owns what an event made from sysfs lacks beside a udevd: the properties that udevd found.

use super::{Engine, Site};
use crate::roots::Roots;
use crate::uevent::Uevent;

impl Site {
    /// True where udevd's own word can be had. Libudev knows no directories but the running system's.
    pub fn asks_udevd(&self) -> bool {
        self.beside_udevd && is_heard(&self.roots)
    }
}

impl Engine {
    /// An event made from sysfs, with what udevd found of its device. `None`: udevd has not handled the device.
    pub fn complete(&self, uevent: Uevent) -> Option<Uevent> {
        if self.site.beside_udevd { complete(&self.site.roots, uevent) } else { Some(uevent) }
    }
}

fn is_heard(roots: &Roots) -> bool {
    let system = Roots::system();
    cfg!(feature = "libudev") && roots.sys == system.sys && roots.run == system.run
}

/// An event made from sysfs beside a udevd, with what that one found of its device; `None` if it has not handled the device.
pub fn complete(roots: &Roots, uevent: Uevent) -> Option<Uevent> {
    if is_heard(roots) { with_udevds(roots, uevent) } else { Some(uevent) }
}

#[cfg(not(feature = "libudev"))]
fn with_udevds(_: &Roots, uevent: Uevent) -> Option<Uevent> {
    Some(uevent)
}

#[cfg(feature = "libudev")]
fn with_udevds(roots: &Roots, mut uevent: Uevent) -> Option<Uevent> {
    use crate::daemon::view;
    use crate::ids::Action;
    use crate::uevent::libudev;

    if uevent.action == Action::Remove {
        return Some(uevent);
    }
    let Some(known) = libudev::known(&roots.sys.join(view::path(uevent.devpath.relative()))) else {
        // it has gone, and the next event says so
        return Some(uevent);
    };
    if !known.is_handled {
        return None;
    }
    for (key, value) in known.properties.iter() {
        if uevent.properties.get(key).is_none() {
            let _valid_before = uevent.properties.set(key, value);
        }
    }
    Some(uevent)
}
