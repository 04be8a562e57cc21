//! Owns what goes into an evaluation and what comes out of it: the facts of the event, and the outcome with the place of
//! the rule behind each part. Values only; never decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bstr::BString;

use crate::device::Device;
use crate::diag::{Diagnostic, Place};
use crate::ids::{Action, DevNum, DevPath, IfIndex, LinkName, SeqNum, Tag};
use crate::properties::Properties;
use crate::rules::ir::Dump;

/// What is known of an event before any rule.
#[derive(Debug, Clone)]
pub struct EventFacts {
    /// What happened.
    pub action: Action,
    /// The device's path.
    pub devpath: DevPath,
    /// The event's number; `None` if no event asked (start, reload, `test`).
    pub seqnum: Option<SeqNum>,
    /// The subsystem.
    pub subsystem: Option<BString>,
    /// The number of the device's node.
    pub devnum: Option<DevNum>,
    /// The index of the network interface.
    pub ifindex: Option<IfIndex>,
    /// The node's name, relative to the device directory.
    pub node: Option<BString>,
    /// The properties that rules start with.
    pub properties: Properties,
    /// The device in the tree; `None` when it has gone and nobody kept it: then it has no attributes and no parents.
    pub device: Option<Device>,
    /// What earlier events left.
    pub before: Before,
}

/// What is known of a device from earlier events.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The links of one that is removed; nothing else has links before the rules give it some.
    pub links: BTreeSet<LinkName>,
    /// The tags that it has, of one that is removed.
    pub current_tags: BTreeSet<Tag>,
    /// All tags that it ever had.
    pub tags: BTreeSet<Tag>,
    /// When it was seen first, in microseconds since the system's start.
    pub init_usec: Option<u64>,
}

/// A value and the place of the rule that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// The rule's key.
    pub from: Place,
}

/// A user or a group: its number, and its name as the rule had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The number.
    pub id: u32,
    /// The name as written; the number in decimal if the rule had the number.
    pub name: BString,
}

/// Something to run when links and record exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// A program with its arguments; the program's path is as the rule had it.
    Program(Vec<BString>),
    /// A builtin with its arguments.
    Builtin {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<BString>,
    },
}

impl fmt::Display for Job {
    /// Its words, with spaces between them: for people, not for a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |f: &mut fmt::Formatter<'_>, words: &[BString]| {
            words
                .iter()
                .enumerate()
                .try_for_each(|(at, word)| write!(f, "{}{word}", if at > 0 { " " } else { "" }))
        };
        match self {
            Job::Program(argv) => words(f, argv),
            Job::Builtin { name, arguments } if arguments.is_empty() => f.write_str(name),
            Job::Builtin { name, arguments } => write!(f, "{name} ").and_then(|()| words(f, arguments)),
        }
    }
}

/// What was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An attribute of a device.
    Attribute {
        /// The device.
        devpath: DevPath,
        /// The attribute's name.
        name: BString,
    },
    /// A value below `/proc/sys`, with `/` between its parts.
    Sysctl(BString),
}

/// A write that a rule made through the host, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What was written to.
    pub target: Target,
    /// What was written.
    pub value: BString,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// The rule's key.
    pub from: Place,
}

/// What the rules made of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The links, by name.
    pub links: BTreeMap<LinkName, Place>,
    /// The priority of all the links; 0 if no rule says.
    pub priority: Option<Given<i32>>,
    /// The name of the network interface.
    pub name: Option<Given<BString>>,
    /// The node's owner.
    pub owner: Option<Given<Account>>,
    /// The node's group.
    pub group: Option<Given<Account>>,
    /// The node's permissions, as a rule gave them.
    pub mode: Option<Given<u32>>,
    /// All properties: those that the event came with and those that rules set, the temporary ones (`.KEY`) as well.
    pub properties: Properties,
    /// Which of the properties rules set, and where.
    pub set: BTreeMap<BString, Place>,
    /// The tags that rules gave in this event.
    pub tags: BTreeMap<Tag, Place>,
    /// Tags that rules gave and took away again: they stay in the set of all tags that the device ever had.
    pub dropped_tags: BTreeSet<Tag>,
    /// Tags were set anew: those of earlier events and earlier rules are forgotten.
    pub forgets_tags: bool,
    /// What to run, in order.
    pub run: Vec<Given<Job>>,
    /// What was written while the rules ran, in order.
    pub writes: Vec<Write>,
    /// Whether writers of the node are watched.
    pub watch: Option<Given<bool>>,
    /// The record outlives the clean-up between initramfs and root file system.
    pub persist: Option<Place>,
    /// Security labels: module and label, in order.
    pub labels: Vec<(String, Given<BString>)>,
    /// How much the rest of the event logs, as syslog counts (0 to 7); `None` is as configured.
    pub log_level: Option<u8>,
    /// The outcome is to be logged, in which forms.
    pub dump: Vec<Dump>,
    /// What was wrong with values, in order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// The tags that the device had, in earlier events or by a rule of this one, and that no rule gives it now.
    pub fn past_tags<'o>(&'o self, facts: &'o EventFacts) -> impl Iterator<Item = &'o Tag> {
        let earlier = facts.before.tags.iter().filter(|_| !self.forgets_tags);
        earlier.chain(&self.dropped_tags).filter(|tag| !self.tags.contains_key(*tag))
    }
}
