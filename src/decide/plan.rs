//! Owns the plan: the ordered, printable list of effects of one event, each with the place that it came from.
//!
//! Plain data. Never carries anything out and never asks anything.

use std::collections::BTreeSet;
use std::fmt;

use bstr::{BString, ByteSlice};

use crate::diag::{Diagnostic, Place};
use crate::ids::{Action, DevNum, DevPath, DeviceId, IfIndex, LinkName, SeqNum, Tag};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::eval::{Account, EventFacts, Given, Job, Outcome, Write, lasting};
use crate::rules::ir::Dump;
use crate::store::record::Record;

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The kernel said so.
    Kernel,
    /// The record of an earlier event.
    Record,
    /// A rule.
    Rule(Place),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Kernel => f.write_str("kernel"),
            Origin::Record => f.write_str("record"),
            Origin::Rule(place) => place.fmt(f),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub from: Origin,
}

impl<T> From<Given<T>> for Sourced<T> {
    fn from(given: Given<T>) -> Self {
        Self { value: given.value, from: Origin::Rule(given.from) }
    }
}

/// The event that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEvent {
    /// What happened.
    pub action: Action,
    /// The device's path.
    pub devpath: DevPath,
    /// The event's number; `None` if no event asked.
    pub seqnum: Option<SeqNum>,
    /// The subsystem.
    pub subsystem: Option<BString>,
    /// The name of the device's record; `None` for a device that can have none.
    pub id: Option<DeviceId>,
}

/// What the node of a device gets. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// The node, relative to the device directory.
    pub name: BString,
    /// Its number: what is at that name and has another number is not this node.
    pub number: DevNum,
    /// Its owner.
    pub owner: Option<Sourced<Account>>,
    /// Its group.
    pub group: Option<Sourced<Account>>,
    /// Its permissions, 0 to 0o7777.
    pub mode: Option<Sourced<u32>>,
    /// Security labels: module and label.
    pub labels: Vec<(String, Given<BString>)>,
}

/// A link that the device claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLink {
    /// Its name.
    pub name: LinkName,
    /// The priority of the claim.
    pub priority: i32,
    /// The rule.
    pub from: Place,
}

/// A property of the device after the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedProperty {
    /// Its name.
    pub key: BString,
    /// Its value.
    pub value: BString,
    /// Its origin.
    pub from: Origin,
    /// When it was set, among those that rules set: the greater, the later. Records keep this order.
    pub turn: u32,
}

/// A tag of the device after the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTag {
    /// The tag.
    pub tag: Tag,
    /// Its origin; [`Origin::Record`] for one that an earlier event gave and this one did not.
    pub from: Origin,
}

/// The new name of a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetifPlan {
    /// The interface.
    pub index: IfIndex,
    /// Its name now.
    pub old: BString,
    /// Its name to be.
    pub name: BString,
    /// The rule.
    pub from: Place,
}

/// What one event changes. The fields stand in the order in which they are carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The event.
    pub event: PlanEvent,
    /// What was written while the rules ran (or, dry, would have been).
    pub writes: Vec<Write>,
    /// The interface's new name.
    pub netif: Option<NetifPlan>,
    /// The node; `None` if the device has none or is removed.
    pub node: Option<NodePlan>,
    /// The links that the device claims from now on, by name; none after a removal.
    pub links: Vec<PlannedLink>,
    /// The priority of the device's links, also when it has none.
    pub priority: i32,
    /// The device's properties, by name, without those that last as long as the event only.
    pub properties: Vec<PlannedProperty>,
    /// Tags that are current: given in this event.
    pub tags: Vec<PlannedTag>,
    /// Tags that the device once had and has no more; who listens for one is still told of the device.
    pub past_tags: BTreeSet<Tag>,
    /// The record outlives the clean-up between initramfs and root file system.
    pub persist: Option<Place>,
    /// Whether writers of the node are watched.
    pub watch: Option<Given<bool>>,
    /// What runs when all of this is done, in order.
    pub run: Vec<Given<Job>>,
    /// How much the rest of the event logs, as syslog counts (0 to 7); `None` is as configured.
    pub log_level: Option<u8>,
    /// The plan is to be logged, in these forms.
    pub dump: Vec<Dump>,
    /// What was wrong with values of rules.
    pub diagnostics: Vec<Diagnostic>,
}

impl Plan {
    /// Makes the plan from what the rules made of an event. `kernel` holds the event's own properties.
    pub fn new(facts: &EventFacts, kernel: &Properties, outcome: Outcome) -> Self {
        let removed = facts.action == Action::Remove;
        let priority = outcome.priority.as_ref().map_or(0, |given| given.value);
        let links = if removed { Default::default() } else { outcome.links.clone() };
        let past_tags: BTreeSet<Tag> = outcome.past_tags(facts).cloned().collect();
        Self {
            event: PlanEvent {
                action: facts.action,
                devpath: facts.devpath.clone(),
                seqnum: facts.seqnum,
                subsystem: facts.subsystem.clone(),
                id: device_id(facts),
            },
            netif: netif(facts, &outcome),
            node: node(facts, kernel, &outcome),
            links: links.into_iter().map(|(name, from)| PlannedLink { name, priority, from }).collect(),
            priority,
            properties: properties(kernel, &outcome),
            past_tags,
            tags: outcome
                .tags
                .into_iter()
                .map(|(tag, place)| PlannedTag { tag, from: Origin::Rule(place) })
                .collect(),
            persist: outcome.persist,
            watch: outcome.watch,
            run: outcome.run,
            writes: outcome.writes,
            log_level: outcome.log_level,
            dump: outcome.dump,
            diagnostics: outcome.diagnostics,
        }
    }

    /// What has to be kept of the device: links, priority, the properties that rules set, tags. `old` is the record of
    /// the last event: it says since when the device is known (`None` there: the caller sets it at the first event).
    pub fn record(&self, old: Option<&Record>) -> Record {
        let set = self.properties.iter().filter(|property| matches!(property.from, Origin::Rule(_)));
        let mut set: Vec<_> = set.collect();
        set.sort_unstable_by_key(|property| property.turn);
        let current_tags: BTreeSet<Tag> = self.tags.iter().map(|planned| planned.tag.clone()).collect();
        Record {
            node: self.node.as_ref().and_then(|node| LinkName::new(&node.name).ok()),
            links: self.links.iter().map(|link| link.name.clone()).collect(),
            priority: self.priority,
            init_usec: old.and_then(|record| record.init_usec),
            properties: set.into_iter().map(|property| (&property.key, &property.value)).collect(),
            tags: self.past_tags.union(&current_tags).cloned().collect(),
            current_tags,
            persist: self.persist.is_some(),
        }
    }

    /// The interface has its new name: programs at the end and listeners know it by that, by the name before too, and by the
    /// property `mark` till the kernel's own word comes. The plan's rules know nothing of it.
    pub fn take_name(&mut self, mark: &str) {
        let Some(NetifPlan { old, name, from, .. }) = self.netif.clone() else { return };
        let above = self.event.devpath.parent();
        let path = bstr::concat([above.as_ref().map_or(&b""[..], DevPath::as_bytes), b"/", &name]);
        if let Ok(path) = DevPath::new(&path) {
            self.put("DEVPATH", path.as_bytes(), Origin::Kernel);
            self.event.devpath = path;
        }
        self.put("INTERFACE", &name, Origin::Kernel);
        self.put("INTERFACE_OLD", &old, Origin::Kernel);
        self.put(mark, b"1", Origin::Rule(from));
    }

    /// Takes a property away.
    pub fn drop_property(&mut self, key: &str) {
        self.properties.retain(|property| property.key != key);
    }

    /// Sets a property, after all others that there are.
    fn put(&mut self, key: &str, value: &[u8], from: Origin) {
        let turn = self.properties.iter().map(|property| property.turn + 1).max().unwrap_or(0);
        let property = PlannedProperty { key: key.into(), value: value.into(), from, turn };
        match self.properties.binary_search_by(|there| there.key.as_bytes().cmp(key.as_bytes())) {
            Ok(at) => self.properties.splice(at..=at, [property]),
            Err(at) => self.properties.splice(at..at, [property]),
        };
    }

    /// All properties of the event.
    pub fn all_properties(&self) -> Properties {
        self.properties.iter().map(|property| (&property.key, &property.value)).collect()
    }

    /// All that libudev shows of the device, for listeners and for the programs that run at the end: the properties, and
    /// what `record` says of it (links, which are below the `/dev` of `roots`, tags, and since when it is known).
    pub fn shown_properties(&self, record: &Record, roots: &Roots) -> Properties {
        let mut all = self.all_properties();
        let mut put = |key: &str, value: &[u8]| {
            let _checked_when_it_was_made = all.set(key, value);
        };
        for key in ["DEVLINKS", "TAGS", "CURRENT_TAGS", "USEC_INITIALIZED"] {
            if let Some(value) = record.shown(key.as_bytes(), roots.dev.as_os_str().as_encoded_bytes()) {
                put(key, &value);
            }
        }
        put("UDEV_DATABASE_VERSION", b"1");
        all
    }
}

fn device_id(facts: &EventFacts) -> Option<DeviceId> {
    if let Some(number) = facts.devnum {
        return Some(DeviceId::Node(number));
    }
    if let Some(index) = facts.ifindex {
        return Some(DeviceId::Net(index));
    }
    if let Some(id) = facts.device.as_ref().and_then(|device| device.id()) {
        return Some(id);
    }
    let subsystem = facts.subsystem.clone()?;
    Some(DeviceId::Named { subsystem, name: facts.devpath.last().into() })
}

/// Interfaces are named when they come, never later: who uses one knows it by its name.
fn netif(facts: &EventFacts, outcome: &Outcome) -> Option<NetifPlan> {
    let (index, given) = (facts.ifindex?, outcome.name.as_ref()?);
    let old = facts.devpath.sysname();
    let new = facts.action == Action::Add && given.value != old;
    new.then(|| NetifPlan { index, old, name: given.value.clone(), from: given.from.clone() })
}

/// The node's permissions: what rules say, else what the driver asked for; a group without a mode may read and write.
fn node(facts: &EventFacts, kernel: &Properties, outcome: &Outcome) -> Option<NodePlan> {
    let (number, name) = (facts.devnum?, facts.node.clone()?);
    if facts.action == Action::Remove {
        return None;
    }
    let account = |given: &Option<Given<Account>>, key: &str| {
        given.clone().map(Sourced::from).or_else(|| {
            let name: BString = kernel.get(key)?.into();
            let id = name.to_str().ok()?.parse().ok()?;
            Some(Sourced { value: Account { id, name }, from: Origin::Kernel })
        })
    };
    let group = account(&outcome.group, "DEVGID");
    let asked = || {
        let bits = u32::from_str_radix(kernel.get("DEVMODE")?.to_str().ok()?, 8).ok()?;
        Some(Sourced { value: bits & 0o7777, from: Origin::Kernel })
    };
    let by_group = || {
        let group = group.as_ref().filter(|group| group.value.id != 0)?;
        Some(Sourced { value: 0o660, from: group.from.clone() })
    };
    let mode = outcome.mode.clone().map(Sourced::from).or_else(asked).or_else(by_group);
    let owner = account(&outcome.owner, "DEVUID");
    Some(NodePlan { name, number, owner, group, mode, labels: outcome.labels.clone() })
}

fn properties(kernel: &Properties, outcome: &Outcome) -> Vec<PlannedProperty> {
    let all = lasting(&outcome.properties);
    let origin = |key: &BString| match outcome.set.get(key) {
        Some(place) => Origin::Rule(place.clone()),
        None if kernel.get(key).is_some() => Origin::Kernel,
        None => Origin::Record,
    };
    all.iter()
        .zip(all.turns())
        .map(|((key, value), turn)| {
            let key: BString = key.into();
            PlannedProperty { from: origin(&key), key, value: value.into(), turn }
        })
        .collect()
}
