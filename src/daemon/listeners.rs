//! Owns what libudev's listeners are told: one message for each handled event, when all that it says is true.
//!
//! Events of one device that were made one with another are one message: that of the last.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};
use nix::errno::Errno;

use super::engine::Handled;
use crate::ids::{SeqNum, Tag};
use crate::machine;
use crate::properties::Properties;
use crate::roots::Roots;
use crate::uevent::{Sender, Uevent, monitor};

/// Tells listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    sender: Sender,
    roots: Roots,
}

impl Listeners {
    /// Opens the way to them.
    pub(super) fn open(roots: &Roots) -> std::io::Result<Self> {
        Ok(Self { sender: Sender::open()?, roots: roots.clone() })
    }

    /// Tells of an event that was carried through.
    pub(super) fn handled(&self, uevent: &Uevent, handled: &Handled) {
        let mut properties = handled.plan.shown_properties(&handled.record, &self.roots);
        // a device of which nothing is kept is seen for the first time at each of its events
        if handled.record.init_usec.is_none()
            && let Some(usec) = machine::uptime_usec()
        {
            put(&mut properties, "USEC_INITIALIZED", usec.to_string());
        }
        if handled.failed.is_some() {
            put_failure(&mut properties, handled.failed);
        }
        self.send(uevent, properties, &handled.record.tags);
    }

    /// Tells of an event that could not be handled, and by what error where there is one: listeners that wait for the device
    /// learn that nothing more comes.
    pub(super) fn failed(&self, uevent: &Uevent, error: Option<Errno>) {
        let properties = failure(&self.roots, uevent, error);
        self.send(uevent, properties, &BTreeSet::new());
    }

    fn send(&self, uevent: &Uevent, mut properties: Properties, tags: &BTreeSet<Tag>) {
        if uevent.subsystem.is_empty() {
            return;
        }
        if uevent.seqnum == SeqNum(0) {
            // listeners take no event without a number; what the start found happened before the last one
            let last = super::last_seqnum(&self.roots).0.max(1);
            put(&mut properties, "SEQNUM", last.to_string());
        }
        let told = Uevent { properties, ..uevent.clone() };
        if let Err(error) = self.sender.send(&monitor::encode(&told, tags)) {
            tracing::error!(%error, "listeners are not told of this event");
        }
    }
}

/// What the kernel said of the device, and that handling it failed. That no process has died is true as well: there is neither
/// a signal nor an exit status.
fn failure(roots: &Roots, uevent: &Uevent, error: Option<Errno>) -> Properties {
    let mut properties = uevent.properties.clone();
    if let Some(node) = uevent.devname() {
        put(&mut properties, "DEVNAME", absolute(roots, node));
    }
    put_failure(&mut properties, error);
    properties
}

fn put_failure(properties: &mut Properties, error: Option<Errno>) {
    put(properties, "UDEV_WORKER_FAILED", "1");
    if let Some(error) = error {
        put(properties, "UDEV_WORKER_ERRNO", (error as i32).to_string());
        put(properties, "UDEV_WORKER_ERRNO_NAME", format!("{error:?}"));
    }
}

fn put(properties: &mut Properties, key: &str, value: impl AsRef<[u8]>) {
    let _checked_when_it_was_made = properties.set(key, value);
}

fn absolute(roots: &Roots, name: &[u8]) -> BString {
    if name.starts_with(b"/") {
        return name.into();
    }
    bstr::concat([roots.dev.as_os_str().as_encoded_bytes().as_bstr(), b"/".as_bstr(), name.as_bstr()]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Action, DevPath};

    #[test]
    fn what_a_failure_says() {
        let properties: Properties = [("ACTION", "add"), ("DEVNAME", "np0")].into_iter().collect();
        let path = DevPath::new(b"/devices/np0").unwrap();
        let uevent = Uevent::from_facts(Action::Add, path, "np".into(), SeqNum(7), properties);
        let said = |error| {
            let all = failure(&Roots::system(), &uevent, error);
            [
                "DEVNAME",
                "UDEV_WORKER_FAILED",
                "UDEV_WORKER_ERRNO",
                "UDEV_WORKER_ERRNO_NAME",
                "UDEV_WORKER_SIGNAL",
            ]
            .map(|key| all.get(key).map(|value| value.to_string()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(said(None), [some("/dev/np0"), some("1"), None, None, None]);
        let timed_out = [some("/dev/np0"), some("1"), some("110"), some("ETIMEDOUT"), None];
        assert_eq!(said(Some(Errno::ETIMEDOUT)), timed_out);
    }
}
