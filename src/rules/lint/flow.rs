//! Owns the way through a file: which conditions a rule has beside its own, because an earlier rule jumps over it
//! wherever they do not hold.

use std::sync::Arc;

use super::logic;
use crate::diag::Place;
use crate::ids::Action;
use crate::rules::ir::{Condition, Effect, Rule, RuleFile, StepKind, Subject, Test};

/// A condition that holds wherever a rule is reached.
#[derive(Debug, Clone)]
pub(super) struct Guard<'f> {
    /// The jump's condition.
    pub(super) place: &'f Place,
    /// What holds behind it.
    pub(super) condition: Condition,
}

/// A rule with what is known of the devices that reach it.
#[derive(Debug)]
pub(super) struct Reached<'f> {
    pub(super) file: &'f Arc<RuleFile>,
    pub(super) rule: &'f Rule,
    pub(super) guards: Vec<Guard<'f>>,
    /// The guards say exactly when the rule is reached.
    pub(super) certain: bool,
}

/// All rules of all files, in order.
pub(super) fn reached(files: &[Arc<RuleFile>]) -> Vec<Reached<'_>> {
    files.iter().flat_map(of_file).collect()
}

fn of_file(file: &Arc<RuleFile>) -> Vec<Reached<'_>> {
    let mut jumps: Vec<(usize, &Rule, usize)> = Vec::new();
    let mut out = Vec::with_capacity(file.rules.len());
    for (at, rule) in file.rules.iter().enumerate() {
        let mut guards = Vec::new();
        let mut certain = true;
        for (from, jump, _) in jumps.iter().filter(|(_, _, to)| *to > at) {
            // Another jump may lead around this one, to a place between it and the rule.
            let around = jumps.iter().any(|(other, _, to)| other < from && to > from && *to <= at);
            match behind(jump).filter(|_| !around) {
                Some(guard) => guards.push(guard),
                None => certain = false,
            }
        }
        out.push(Reached { file, rule, guards, certain });
        if let Some(jump) = &rule.jump {
            jumps.push((at, rule, jump.to));
        }
    }
    out
}

/// What holds behind a rule that jumps on one condition.
fn behind(jump: &Rule) -> Option<Guard<'_>> {
    let mut conditions = jump.steps.iter().filter_map(|step| match &step.kind {
        StepKind::When(condition) => Some(Some((&step.place, condition))),
        StepKind::Parent(_) => Some(None),
        StepKind::Do { .. } => None,
    });
    let (place, condition) = conditions.next()??;
    if conditions.next().is_some() {
        return None;
    }
    let test = match &condition.test {
        Test::Is(pattern) => Test::IsNot(pattern.clone()),
        Test::IsNot(pattern) => Test::Is(pattern.clone()),
        _ => return None,
    };
    let lasting = logic::is_lasting(&condition.subject) || matches!(condition.subject, Subject::Attribute(_));
    lasting.then(|| Guard { place, condition: Condition { subject: condition.subject.clone(), test } })
}

impl<'f> Reached<'f> {
    /// The rule's own conditions on the event's device.
    pub(super) fn own(&self) -> impl Iterator<Item = (&'f Place, &'f Condition)> {
        self.rule.steps.iter().filter_map(|step| match &step.kind {
            StepKind::When(condition) => Some((&step.place, condition)),
            _ => None,
        })
    }

    /// Own conditions and those of jumps.
    pub(super) fn all(&self) -> impl Iterator<Item = &Condition> {
        self.own().map(|(_, condition)| condition).chain(self.guards.iter().map(|guard| &guard.condition))
    }

    /// The groups of conditions on a device on the way up.
    pub(super) fn groups(&self) -> impl Iterator<Item = &'f [(Place, Condition)]> {
        self.rule.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Parent(group) => Some(group.as_slice()),
            _ => None,
        })
    }

    /// The effects with their places.
    pub(super) fn effects(&self) -> impl Iterator<Item = (&'f Place, &'f Effect, bool)> {
        self.rule
            .steps
            .iter()
            .filter_map(|step| logic::effect(&step.kind).map(|(effect, fixed)| (&step.place, effect, fixed)))
    }

    /// Whether an event of that action can get through.
    pub(super) fn allows(&self, action: Action) -> bool {
        let word = action.as_str().as_bytes();
        self.all().all(|condition| match (&*logic::canonical(&condition.subject), &condition.test) {
            (Subject::Action, Test::Is(pattern)) => pattern.matches(word),
            (Subject::Action, Test::IsNot(pattern)) => !pattern.matches(word),
            _ => true,
        })
    }

    /// No device can get through both rules, by what can't change between them.
    pub(super) fn apart(&self, other: &Reached<'_>) -> bool {
        self.all()
            .filter(|one| logic::is_lasting(&one.subject))
            .any(|one| other.all().any(|two| logic::exclude(one, two)))
    }

    /// True for a rule of udev's language.
    pub(super) fn is_udev(&self) -> bool {
        is_udev(self.file)
    }

    /// Place of the rule as others name it: the line in the same file, `file:line` in another.
    pub(super) fn named(&self, from: &Place) -> String {
        named(&self.rule.place, from)
    }
}

/// A place as seen from another one.
pub(super) fn named(place: &Place, from: &Place) -> String {
    if Arc::ptr_eq(&place.file, &from.file) { format!("line {}", place.line) } else { place.to_string() }
}

/// True for a file of udev's language.
pub(super) fn is_udev(file: &RuleFile) -> bool {
    file.source.path.extension().is_none_or(|extension| extension != "toml")
}
