//! Owns the properties that nobody sets: what libudev makes of links, tags and record when it is asked. Never changes the
//! outcome.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bstr::{BStr, BString};

use super::Evaluation;
use super::condition::lasting;
use crate::ids::{LinkName, Tag};
use crate::properties::Properties;
use crate::rules::host::Host;

/// Their names.
pub(super) const MADE: [&str; 4] = ["CURRENT_TAGS", "DEVLINKS", "TAGS", "USEC_INITIALIZED"];

impl<H: Host> Evaluation<'_, H> {
    /// A property of the event as rules see it: one that is set, else one that is made, else one of all devices.
    pub(super) fn seen(&self, key: &[u8]) -> Option<Cow<'_, BStr>> {
        match self.out.properties.get(key) {
            Some(value) => Some(Cow::Borrowed(value)),
            None => self.made(key).or_else(|| self.host.global(key)).map(Cow::Owned),
        }
    }

    /// The environment of a program: all properties that last, as libudev shows them.
    pub(super) fn environment(&self) -> Properties {
        let mut all = lasting(&self.out.properties);
        for key in MADE {
            if let Some(value) = self.made(key.as_bytes()).filter(|_| all.get(key).is_none()) {
                let _always_valid = all.set(key, value);
            }
        }
        let _always_valid = all.set("UDEV_DATABASE_VERSION", "1");
        all
    }

    /// The links that the device has at this point, in order.
    pub(super) fn links_so_far(&self) -> impl Iterator<Item = &LinkName> {
        let old: BTreeSet<&LinkName> = self.old_links.iter().chain(self.out.links.keys()).collect();
        old.into_iter()
    }

    /// The tags that it has.
    pub(super) fn tags(&self) -> impl Iterator<Item = &Tag> {
        let all: BTreeSet<&Tag> = self.old_tags.iter().chain(self.out.tags.keys()).collect();
        all.into_iter()
    }

    fn made(&self, key: &[u8]) -> Option<BString> {
        let before = &self.facts.before;
        match key {
            b"DEVLINKS" => {
                let links: Vec<BString> =
                    self.links_so_far().map(|link| self.below_dev(link.as_bytes())).collect();
                (!links.is_empty()).then(|| bstr::join(" ", links).into())
            }
            b"TAGS" => tag_list(self.tags().chain(&before.tags).chain(&self.out.dropped_tags)),
            b"CURRENT_TAGS" => tag_list(self.tags()),
            b"USEC_INITIALIZED" => before.init_usec.map(|usec| usec.to_string().into()),
            _ => None,
        }
    }
}

fn tag_list<'t>(tags: impl Iterator<Item = &'t Tag>) -> Option<BString> {
    let tags: BTreeSet<&str> = tags.map(Tag::as_str).collect();
    let tags: Vec<&str> = tags.into_iter().collect();
    (!tags.is_empty()).then(|| format!(":{}:", tags.join(":")).into())
}
