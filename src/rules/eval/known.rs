//! Owns what is known of the event's device while rules run: what earlier events left, and what rules have made of it so
//! far. Never changes anything.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bstr::{BStr, BString};

use super::Evaluation;
use super::condition::lasting;
use crate::ids::{LinkName, Tag};
use crate::properties::Properties;
use crate::rules::host::Host;

/// The properties that nobody sets: libudev makes them of links, tags and record when it is asked.
const DERIVED: [&str; 4] = ["CURRENT_TAGS", "DEVLINKS", "TAGS", "USEC_INITIALIZED"];

impl<H: Host> Evaluation<'_, H> {
    /// The tags that rules have given in this event; of a device that is removed also those that it has.
    pub(super) fn current_tags(&self) -> BTreeSet<&Tag> {
        self.old_tags.iter().chain(self.out.tags.keys()).collect()
    }

    /// The links that rules have given so far; of a device that is removed also those that it has.
    pub(super) fn links_so_far(&self) -> BTreeSet<&LinkName> {
        self.old_links.iter().chain(self.out.links.keys()).collect()
    }

    /// A property of the event, or one that every event has.
    pub(super) fn property_of_event(&self, key: &[u8]) -> Option<Cow<'_, BStr>> {
        let own = self.out.properties.get(key).map(Cow::Borrowed);
        own.or_else(|| self.derived(key).or_else(|| self.host.global(key)).map(Cow::Owned))
    }

    /// What programs that run now are given: all properties that are not for the event only.
    pub(super) fn environment(&self) -> Properties {
        let mut all = lasting(&self.out.properties);
        for key in DERIVED {
            if let Some(value) = self.derived(key.as_bytes()).filter(|_| all.get(key).is_none()) {
                let _always_valid = all.set(key, value);
            }
        }
        let _always_valid = all.set("UDEV_DATABASE_VERSION", "1");
        all
    }

    /// A property that nobody sets; `None` if there is nothing to make it of.
    fn derived(&self, key: &[u8]) -> Option<BString> {
        match key {
            b"DEVLINKS" => {
                let paths: Vec<_> =
                    self.links_so_far().into_iter().map(|link| self.below_dev(link.as_bytes())).collect();
                (!paths.is_empty()).then(|| bstr::join(" ", paths).into())
            }
            b"TAGS" => {
                let all: BTreeSet<&Tag> =
                    self.out.past_tags(self.facts).chain(self.out.tags.keys()).collect();
                Tag::list(all)
            }
            b"CURRENT_TAGS" => Tag::list(self.current_tags()),
            b"USEC_INITIALIZED" => self.facts.before.init_usec.map(|usec| usec.to_string().into()),
            _ => None,
        }
    }
}
