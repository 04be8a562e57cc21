//! Owns the compiled rule set: all rules of all files in order, with an index by which a rule that can't match an event
//! costs nothing (another subsystem) or one comparison of bits (another action, no node, no interface).
//!
//! Made once from rule files and never changed: a reload makes a new one. Never evaluates a condition that depends on
//! anything but the event's subsystem and action.

use std::collections::{BTreeSet, HashMap};
use std::ops::BitOr;
use std::sync::Arc;

use bstr::{BStr, BString};

use super::eval::EventFacts;
use super::ir::{Condition, Effect, Rule, RuleFile, StepKind, Subject, Test};
use crate::ids::Action;

/// A rule set in force.
#[derive(Debug, Default)]
pub struct Compiled {
    files: Vec<Arc<RuleFile>>,
    /// All rules, in the order of evaluation.
    entries: Vec<Entry>,
    /// For each subsystem that a rule names literally: the rules that may match there, ascending.
    by_subsystem: HashMap<BString, Box<[usize]>>,
    /// The rules that may match in a subsystem that none names, ascending.
    others: Box<[usize]>,
}

/// A rule's place in its file, and what it needs of an event.
#[derive(Debug)]
struct Entry {
    file: usize,
    rule: usize,
    guard: Guard,
}

/// What an event has to have before a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Guard {
    /// One bit for each action, in the order of [`Action::ALL`].
    actions: u8,
    /// What the rule's effects need, at least one of them.
    needs: Needs,
}

/// A set of what a rule's effects can work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs(u8);

impl Needs {
    /// No effect at all: such a rule is still shown by `explain`, but never has to run.
    const NOTHING: Needs = Needs(0);
    /// Some effect works on every event.
    const ANY_EVENT: Needs = Needs(1);
    /// Some effect works on a device node that is there.
    const NODE: Needs = Needs(2);
    /// Some effect works on a network interface that is there.
    const NETIF: Needs = Needs(4);

    fn meets(self, other: Needs) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Needs {
    type Output = Needs;

    fn bitor(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}

/// Why a rule of the set is not looked at for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// All that it sets belongs to a node or an interface, and the device is going.
    Removed,
    /// All that it sets belongs to a node, and the device has none.
    NoNode,
    /// All that it sets belongs to a network interface, and the device is none.
    NoInterface,
    /// It sets nothing.
    NoEffect,
    /// A rule before it jumped over it.
    Jumped,
}

impl Skip {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::Removed => "the rule only names a node or an interface, and the device is removed",
            Skip::NoNode => "the rule only names a node, and the device has none",
            Skip::NoInterface => "the rule only names a network interface, and the device is none",
            Skip::NoEffect => "the rule has no effect",
            Skip::Jumped => "an earlier rule jumped over it",
        }
    }
}

impl Compiled {
    /// Compiles the files, in the order given.
    pub fn new(files: &[Arc<RuleFile>]) -> Self {
        let mut entries = Vec::new();
        let mut literals: Vec<Option<Vec<BString>>> = Vec::new();
        for (file, source) in files.iter().enumerate() {
            for (rule, content) in source.rules.iter().enumerate() {
                entries.push(Entry { file, rule, guard: guard(content) });
                literals.push(subsystems(content));
            }
        }
        let named: BTreeSet<&BString> = literals.iter().flatten().flatten().collect();
        let by_subsystem =
            named.into_iter().map(|name| (name.clone(), bucket(&literals, Some(name)))).collect();
        let others = bucket(&literals, None);
        Self { files: files.into(), entries, by_subsystem, others }
    }

    /// The files, in order.
    pub fn files(&self) -> &[Arc<RuleFile>] {
        &self.files
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All rules, in order, with their numbers.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Rule)> {
        (0..self.entries.len()).filter_map(|at| self.rule(at).map(|rule| (at, rule)))
    }

    /// The rules that have to be looked at for an event, in order, with their numbers.
    pub fn candidates(&self, event: &EventFacts) -> impl Iterator<Item = (usize, &Rule)> {
        let subsystem = event.subsystem.as_ref().map_or(BStr::new(b""), |s| BStr::new(s));
        let list = self.by_subsystem.get(subsystem).unwrap_or(&self.others);
        let (action, has) = (action_bit(event.action), has(event));
        list.iter().filter_map(move |&at| {
            let entry = self.entries.get(at)?;
            let fits = entry.guard.actions & action != 0 && entry.guard.needs.meets(has);
            fits.then(|| self.rule(at).map(|rule| (at, rule)))?
        })
    }

    /// Why a rule is left out for an event though its conditions may hold; what `explain` tells.
    pub fn skip(&self, at: usize, event: &EventFacts) -> Option<Skip> {
        let needs = self.entries.get(at)?.guard.needs;
        if needs.meets(has(event)) {
            return None;
        }
        Some(match needs {
            Needs::NOTHING => Skip::NoEffect,
            _ if event.action == Action::Remove => Skip::Removed,
            Needs::NETIF => Skip::NoInterface,
            _ => Skip::NoNode,
        })
    }

    /// The number of the rule to which a rule jumps, if it does; that of the next file's first one if it jumps to the
    /// end of its own.
    pub fn jump(&self, at: usize) -> Option<usize> {
        let entry = self.entries.get(at)?;
        let jump = self.files.get(entry.file)?.rules.get(entry.rule)?.jump.as_ref()?;
        Some(at.saturating_sub(entry.rule).saturating_add(jump.to))
    }

    fn rule(&self, at: usize) -> Option<&Rule> {
        let entry = self.entries.get(at)?;
        self.files.get(entry.file)?.rules.get(entry.rule)
    }
}

/// The rules for one subsystem: those that name it and those that name none.
fn bucket(literals: &[Option<Vec<BString>>], subsystem: Option<&BString>) -> Box<[usize]> {
    let may_match = |names: &Option<Vec<BString>>| match (names, subsystem) {
        (None, _) => true,
        (Some(names), Some(subsystem)) => names.contains(subsystem),
        (Some(_), None) => false,
    };
    literals.iter().enumerate().filter(|(_, names)| may_match(names)).map(|(at, _)| at).collect()
}

/// The conditions that a rule begins with: what stands before the first step that changes anything or may fail for
/// other reasons. Only they can be tested ahead of their turn.
fn leading(rule: &Rule) -> impl Iterator<Item = &Condition> {
    rule.steps.iter().map_while(|step| match &step.kind {
        StepKind::When(Condition { subject: Subject::Program(_) | Subject::Import(_), .. }) => None,
        StepKind::When(condition) => Some(condition),
        StepKind::Parent(_) | StepKind::Do { .. } => None,
    })
}

/// The subsystems that a rule can match, if it names them literally.
fn subsystems(rule: &Rule) -> Option<Vec<BString>> {
    leading(rule).find_map(|condition| match condition {
        Condition { subject: Subject::Subsystem, test: Test::Is(pattern) } => {
            Some(pattern.literals()?.into_iter().map(BString::from).collect())
        }
        _ => None,
    })
}

fn guard(rule: &Rule) -> Guard {
    let allowed = |action: Action| {
        leading(rule).all(|condition| match condition {
            Condition { subject: Subject::Action, test: Test::Is(pattern) } => pattern.matches(word(action)),
            Condition { subject: Subject::Action, test: Test::IsNot(pattern) } => {
                !pattern.matches(word(action))
            }
            _ => true,
        })
    };
    let actions = Action::ALL.into_iter().filter(|a| allowed(*a)).map(action_bit).fold(0, BitOr::bitor);
    // A jump matters whatever the device has.
    let start = if rule.jump.is_some() { Needs::ANY_EVENT } else { Needs::NOTHING };
    let needs = rule.steps.iter().map(|step| needs(&step.kind)).fold(start, BitOr::bitor);
    Guard { actions, needs }
}

fn word(action: Action) -> &'static [u8] {
    action.as_str().as_bytes()
}

fn action_bit(action: Action) -> u8 {
    match action {
        Action::Add => 1,
        Action::Remove => 1 << 1,
        Action::Change => 1 << 2,
        Action::Move => 1 << 3,
        Action::Online => 1 << 4,
        Action::Offline => 1 << 5,
        Action::Bind => 1 << 6,
        Action::Unbind => 1 << 7,
    }
}

/// What an event has to offer.
fn has(event: &EventFacts) -> Needs {
    let mut has = Needs::ANY_EVENT;
    if event.action != Action::Remove {
        if event.devnum.is_some() {
            has = has | Needs::NODE;
        }
        if event.ifindex.is_some() {
            has = has | Needs::NETIF;
        }
    }
    has
}

/// What a step needs to be worth running. Programs and imports count as effects: they set `$result` or properties.
fn needs(step: &StepKind) -> Needs {
    let StepKind::Do { effect, .. } = step else {
        return match step {
            StepKind::When(Condition { subject: Subject::Program(_) | Subject::Import(_), .. }) => {
                Needs::ANY_EVENT
            }
            _ => Needs::NOTHING,
        };
    };
    match effect {
        Effect::Link { .. } | Effect::Owner(_) | Effect::Group(_) | Effect::Mode(_) | Effect::Priority(_) => {
            Needs::NODE
        }
        Effect::Name(_) => Needs::NETIF,
        Effect::StringEscape(_) | Effect::StaticNode { .. } | Effect::Index { .. } => Needs::NOTHING,
        _ => Needs::ANY_EVENT,
    }
}
