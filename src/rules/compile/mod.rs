//! Owns the compiled rule set: all rules of all files in order, with two indexes. By the first (`facts`) a rule that can't
//! match an event's action, subsystem, kernel name, devpath, devtype or kind of device costs one bit; by the second
//! (`runs`) a long stretch of lines that differ in the values of the same keys costs a look-up.
//!
//! Made once from rule files and never changed: a reload makes a new one. Never evaluates a condition that depends on
//! anything which a rule can change.

mod bits;
mod facts;
mod runs;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::BitOr;
use std::sync::Arc;

use bstr::BStr;

pub(super) use self::bits::Bits;
pub(super) use self::facts::Givens;
use self::facts::{Fact, FactIndex};
pub(super) use self::runs::{Form, Level, Node, Run};
use super::eval::{EventFacts, holds};
use super::ir::{Condition, Effect, Rule, RuleFile, StepKind, Subject};
use super::trace::Value;
use crate::ids::Action;

/// A rule set in force.
#[derive(Debug, Default)]
pub struct Compiled {
    files: Vec<Arc<RuleFile>>,
    /// All rules, in the order of evaluation.
    entries: Vec<Entry>,
    /// For each action, in the order of [`Action::ALL`], the rules whose leading conditions on the action hold.
    by_action: [Bits; Action::ALL.len()],
    /// For each of [`KINDS`] the rules that have something to do there.
    by_kind: [Bits; KINDS.len()],
    /// For each of [`Fact::ALL`].
    by_fact: [FactIndex; Fact::ALL.len()],
    runs: Vec<Run>,
}

/// A rule's place in its file, and what is known of it.
#[derive(Debug)]
struct Entry {
    file: usize,
    rule: usize,
    needs: Needs,
    /// The run that it is part of.
    run: Option<usize>,
}

/// What events can have to offer.
const KINDS: [Needs; 4] = [Needs(1), Needs(1 | 2), Needs(1 | 4), Needs(1 | 2 | 4)];

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
        let mut rules = Vec::new();
        for (file, source) in files.iter().enumerate() {
            for (rule, content) in source.rules.iter().enumerate() {
                entries.push(Entry { file, rule, needs: needs(content), run: None });
                rules.push(content);
            }
        }
        let runs = runs::find(&rules);
        for (number, run) in runs.iter().enumerate() {
            entries
                .get_mut(run.range.clone())
                .into_iter()
                .flatten()
                .for_each(|entry| entry.run = Some(number));
        }
        let by_action = Action::ALL
            .map(|action| Bits::of(rules.len(), |at| rules.get(at).is_some_and(|rule| allows(rule, action))));
        let by_kind = KINDS.map(|kind| {
            Bits::of(rules.len(), |at| entries.get(at).is_some_and(|entry| entry.needs.meets(kind)))
        });
        let by_fact = Fact::ALL.map(|fact| {
            let on_it = |c: &&Condition| Fact::of(&c.subject) == Some(fact);
            FactIndex::new(rules.len(), rules.iter().map(|rule| leading(rule).filter(on_it).collect()))
        });
        Self { files: files.into(), entries, by_action, by_kind, by_fact, runs }
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

    /// The rules that have to be looked at for an event: those with something to do for it whose leading conditions on
    /// what no rule changes hold.
    pub(super) fn candidates(&self, event: &EventFacts, givens: &Givens<'_>) -> Bits {
        let has = has(event);
        let at = |all: &[Bits], at: Option<usize>| at.and_then(|at| all.get(at)).cloned().unwrap_or_default();
        let mut bits = at(&self.by_action, Action::ALL.iter().position(|action| *action == event.action));
        bits.keep(&at(&self.by_kind, KINDS.iter().position(|kind| *kind == has)));
        for (fact, index) in Fact::ALL.into_iter().zip(&self.by_fact) {
            index.narrow(givens.get(fact), &mut bits);
        }
        bits
    }

    /// The run that a rule is part of.
    pub(super) fn run(&self, at: usize) -> Option<&Run> {
        self.runs.get(self.entries.get(at)?.run?)
    }

    /// Why a rule is left out for an event though its conditions may hold; what `explain` tells.
    pub fn skip(&self, at: usize, event: &EventFacts) -> Option<Skip> {
        let needs = self.entries.get(at)?.needs;
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

    /// The rule of that number.
    pub(super) fn rule(&self, at: usize) -> Option<&Rule> {
        let entry = self.entries.get(at)?;
        self.files.get(entry.file)?.rules.get(entry.rule)
    }
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

/// True if the rule's leading conditions on the action hold.
fn allows(rule: &Rule, action: Action) -> bool {
    let word = Value::One(Cow::Borrowed(BStr::new(action.as_str())));
    leading(rule).filter(|c| c.subject == Subject::Action).all(|condition| holds(condition, &word))
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

/// What an event has to offer for a rule to be worth running.
fn needs(rule: &Rule) -> Needs {
    // A jump matters whatever the device has.
    let start = if rule.jump.is_some() { Needs::ANY_EVENT } else { Needs::NOTHING };
    rule.steps.iter().map(|step| step_needs(&step.kind)).fold(start, BitOr::bitor)
}

/// What a step needs to be worth running. Programs and imports count as effects: they set `$result` or properties.
fn step_needs(step: &StepKind) -> Needs {
    let StepKind::Do { effect, .. } = step else {
        return match step {
            StepKind::When(Condition { subject: Subject::Program(_) | Subject::Import(_), .. }) => {
                Needs::ANY_EVENT
            }
            _ => Needs::NOTHING,
        };
    };
    match effect {
        Effect::Link { .. } | Effect::Owner(_) | Effect::Group(_) | Effect::Mode(_) => Needs::NODE,
        Effect::Name(_) => Needs::NETIF,
        Effect::StaticNode { .. } | Effect::Index { .. } => Needs::NOTHING,
        _ => Needs::ANY_EVENT,
    }
}
