//! Owns what libudev's listeners are told: one message for each handled event, when all that it says is true.
//!
//! Events of one device that were made one with another are one message: that of the last.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::engine::Handled;
use crate::ids::{SeqNum, Tag};
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
        let properties = handled.plan.shown_properties(&handled.record, &self.roots);
        self.send(uevent, properties, &handled.record.tags);
    }

    /// Tells of an event that could not be handled: listeners that wait for the device learn that nothing more comes.
    pub(super) fn failed(&self, uevent: &Uevent) {
        let mut properties = uevent.properties.clone();
        if let Some(node) = uevent.devname() {
            put(&mut properties, "DEVNAME", absolute(&self.roots, node));
        }
        put(&mut properties, "UDEV_WORKER_FAILED", "1");
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

fn put(properties: &mut Properties, key: &str, value: impl AsRef<[u8]>) {
    let _checked_when_it_was_made = properties.set(key, value);
}

fn absolute(roots: &Roots, name: &[u8]) -> BString {
    if name.starts_with(b"/") {
        return name.into();
    }
    bstr::concat([roots.dev.as_os_str().as_encoded_bytes().as_bstr(), b"/".as_bstr(), name.as_bstr()]).into()
}
