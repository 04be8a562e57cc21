//! Owns the difference between what a device has and what a new plan gives it: what changed rules change for a device
//! that is there already. Pure; no program and no interface is part of it.

use std::collections::BTreeSet;
use std::fmt;

use bstr::BString;

use super::plan::{Plan, PlannedLink};
use crate::diag::Place;
use crate::ids::{LinkName, Tag};
use crate::properties::Properties;
use crate::store::record::Record;

/// Owner, group and permission bits of a node as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {:04o}", self.uid, self.gid, self.mode)
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The device gives up a link.
    LinkGone(LinkName),
    /// The device claims a link.
    LinkNew(PlannedLink),
    /// The priority of its links is another.
    Priority {
        /// Before.
        old: i32,
        /// From now on.
        new: i32,
    },
    /// The node's owner, group or permissions are others.
    Node {
        /// Before.
        old: Permissions,
        /// From now on.
        new: Permissions,
    },
    /// A property is there that was not, has another value, or is gone (`new` is `None`).
    Property {
        /// Its name.
        key: BString,
        /// Its value before.
        old: Option<BString>,
        /// Its value from now on.
        new: Option<BString>,
    },
    /// The device has a new tag.
    TagNew(Tag),
    /// The device has lost a tag.
    TagGone(Tag),
}

/// All changes for one device, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// The changes.
    pub changes: Vec<Change>,
}

impl Difference {
    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// What the new plan changes of what the record says. `node` is how the node is now; `None` if it has none.
pub fn difference(old: &Record, node: Option<Permissions>, new: &Plan) -> Difference {
    let record = new.record(Some(old));
    let mut changes: Vec<Change> =
        old.links.difference(&record.links).cloned().map(Change::LinkGone).collect();
    changes.extend(node.and_then(|node| permissions(node, new)));
    if old.priority != record.priority && !record.links.is_empty() {
        changes.push(Change::Priority { old: old.priority, new: record.priority });
    }
    changes.extend(new.links.iter().filter(|l| !old.links.contains(&l.name)).cloned().map(Change::LinkNew));
    changes.extend(properties(&old.properties, &record.properties));
    changes.extend(old.current_tags.difference(&record.current_tags).cloned().map(Change::TagGone));
    changes.extend(record.current_tags.difference(&old.current_tags).cloned().map(Change::TagNew));
    Difference { changes }
}

fn permissions(old: Permissions, plan: &Plan) -> Option<Change> {
    let node = plan.node.as_ref()?;
    let new = Permissions {
        uid: node.owner.as_ref().map_or(old.uid, |owner| owner.value.id),
        gid: node.group.as_ref().map_or(old.gid, |group| group.value.id),
        mode: node.mode.as_ref().map_or(old.mode, |mode| mode.value),
    };
    (new != old).then_some(Change::Node { old, new })
}

fn properties(old: &Properties, new: &Properties) -> Vec<Change> {
    let keys: BTreeSet<_> = old.iter().chain(new.iter()).map(|(key, _)| key).collect();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Change::Property {
            key: key.into(),
            old: old.get(key).map(BString::from),
            new: new.get(key).map(BString::from),
        })
        .collect()
}

impl Change {
    /// The rule behind the change, where one is known.
    pub fn from(&self) -> Option<&Place> {
        match self {
            Change::LinkNew(link) => Some(&link.from),
            _ => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::LinkGone(name) => write!(f, "- link {name}"),
            Change::LinkNew(link) => {
                write!(f, "+ link {} (priority {}, {})", link.name, link.priority, link.from)
            }
            Change::Priority { old, new } => write!(f, "~ priority {old} -> {new}"),
            Change::Node { old, new } => write!(f, "~ node {old} -> {new}"),
            Change::Property { key, old: None, new: Some(new) } => write!(f, "+ property {key}={new}"),
            Change::Property { key, old: Some(old), new: None } => write!(f, "- property {key}={old}"),
            Change::Property { key, old, new } => {
                let text = |value: &Option<BString>| value.clone().unwrap_or_default();
                write!(f, "~ property {key}: {} -> {}", text(old), text(new))
            }
            Change::TagNew(tag) => write!(f, "+ tag {tag}"),
            Change::TagGone(tag) => write!(f, "- tag {tag}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))
    }
}
