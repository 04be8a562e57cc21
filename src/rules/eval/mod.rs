//! Owns the evaluator: runs compiled rules over one event and returns the outcome.
//!
//! A rule's steps run in order; the first condition that fails ends the rule. All that is asked of the world goes through
//! the [`Host`]. A bad value costs itself alone and leaves a diagnostic; nothing here ends an event.

mod attribute;
mod condition;
mod effect;
mod expand;
mod known;
mod outcome;
#[cfg(test)]
mod reads;
mod refusal;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeSet;

use bstr::BString;

pub(super) use self::condition::holds;
pub use self::outcome::{Account, Before, EventFacts, Given, Job, Outcome, Target, Write};
pub use self::refusal::CODES;
use super::compile::Compiled;
use super::host::Host;
use super::ir::{Condition, Rule, Step, StepKind, StringEscape, Subject};
use super::trace::{Observer, Seen, Spot};
use crate::diag::Place;
use crate::ids::{LinkName, Tag};
use crate::properties::Properties;

/// Runs the rules over an event.
pub fn evaluate<H: Host, O: Observer>(
    rules: &Compiled,
    event: &EventFacts,
    host: &mut H,
    observer: &mut O,
) -> Outcome {
    let mut evaluation = Evaluation::new(event, host);
    if O::EVERY_RULE {
        evaluation.every_rule(rules, observer);
    } else {
        evaluation.candidates(rules, observer);
    }
    evaluation.out
}

/// The properties without the temporary ones (`.KEY`): what programs, listeners and the record get.
pub fn lasting(properties: &Properties) -> Properties {
    condition::lasting(properties)
}

/// One event on its way through the rules.
struct Evaluation<'e, H> {
    facts: &'e EventFacts,
    host: &'e mut H,
    out: Outcome,
    /// The device that met the last group of conditions on the way up.
    matched: Option<Spot>,
    /// Links and tags of the last event that a device which is removed still has.
    old_links: BTreeSet<LinkName>,
    old_tags: BTreeSet<Tag>,
    /// The output of the last program.
    result: BString,
    /// The number of the rule's `index`.
    index: Option<u32>,
    /// How the rule's links and properties are escaped.
    escape: Option<StringEscape>,
    /// The rule that runs.
    rule: usize,
    /// What rules have made final, and which rule it was.
    fixed: Vec<(effect::Thing<'e>, usize)>,
}

impl<'e, H: Host> Evaluation<'e, H> {
    fn new(facts: &'e EventFacts, host: &'e mut H) -> Self {
        Self {
            facts,
            host,
            out: Outcome { properties: facts.properties.clone(), ..Outcome::default() },
            matched: None,
            old_links: facts.before.links.clone(),
            old_tags: facts.before.current_tags.clone(),
            result: BString::default(),
            index: None,
            escape: None,
            rule: 0,
            fixed: Vec::new(),
        }
    }

    /// Runs a rule; true if all its conditions held.
    fn rule<'r: 'e>(&mut self, at: usize, rule: &'r Rule, observer: &mut impl Observer) -> bool {
        (self.rule, self.index, self.escape) = (at, None, None);
        let mut steps = rule.steps.iter();
        let held = steps.by_ref().all(|step| self.step(step, observer));
        self.look_on(steps, observer);
        if held && let Some(jump) = &rule.jump {
            observer.jump(&jump.place, jump.to);
        }
        held
    }

    /// Shows the harmless conditions behind the one that failed to an observer that wants them.
    fn look_on<'r, O: Observer>(&mut self, rest: impl Iterator<Item = &'r Step>, observer: &mut O) {
        if !O::EVERY_RULE {
            return;
        }
        for step in rest {
            match &step.kind {
                StepKind::When(Condition { subject: Subject::Program(_) | Subject::Import(_), .. }) => return,
                StepKind::When(condition) => {
                    self.test(&step.place, condition, &Spot::Event, Circumstance::LATE, observer);
                }
                StepKind::Parent(group) => {
                    let found = self.climb(group, Circumstance::LATE_GROUP, observer);
                    observer.parent(&step.place, found.as_ref());
                }
                StepKind::Do { .. } => {}
            }
        }
    }

    /// Runs one step; false ends the rule.
    fn step<'r: 'e>(&mut self, step: &'r Step, observer: &mut impl Observer) -> bool {
        match &step.kind {
            StepKind::When(condition) => match self.act(&step.place, &condition.subject) {
                None => self.test(&step.place, condition, &Spot::Event, Circumstance::PLAIN, observer),
                Some(value) => {
                    let passed = condition::holds(condition, &value);
                    let seen = Circumstance::PLAIN.seen(&step.place, condition, &Spot::Event);
                    observer.condition(&Seen { value: &value, passed, ..seen });
                    passed
                }
            },
            StepKind::Parent(group) => {
                self.matched = self.climb(group, Circumstance::GROUP, observer);
                observer.parent(&step.place, self.matched.as_ref());
                self.matched.is_some()
            }
            StepKind::Do { effect, fixed } => {
                let applied = self.apply(&step.place, effect, *fixed);
                observer.effect(&step.place, effect, &applied);
                true
            }
        }
    }

    /// The first device on the way up, the event's own first, that meets all conditions of a group.
    fn climb(
        &self,
        group: &[(Place, Condition)],
        how: Circumstance,
        observer: &mut impl Observer,
    ) -> Option<Spot> {
        let mut spot = Spot::Event;
        loop {
            if group.iter().all(|(place, condition)| self.test(place, condition, &spot, how, observer)) {
                return Some(spot);
            }
            spot = self.above(&spot)?;
        }
    }

    /// The next device on the way up.
    fn above(&self, spot: &Spot) -> Option<Spot> {
        let device = match spot {
            Spot::Event => self.facts.device.as_ref()?,
            Spot::Above(device) => device,
        };
        device.parent().map(Spot::Above)
    }

    fn test(
        &self,
        place: &Place,
        condition: &Condition,
        on: &Spot,
        how: Circumstance,
        observer: &mut impl Observer,
    ) -> bool {
        let value = match &condition.subject {
            // The device that is tried is the one that `$id` in the name means.
            Subject::Attribute(name) if how.in_group => self.attribute(name, on, Some(on)),
            subject => self.value_of(subject, on),
        };
        let passed = condition::holds(condition, &value);
        observer.condition(&Seen { value: &value, passed, ..how.seen(place, condition, on) });
        passed
    }
}

/// In which circumstances a condition is tested; for the observer only.
#[derive(Debug, Clone, Copy)]
struct Circumstance {
    in_group: bool,
    late: bool,
}

impl Circumstance {
    const PLAIN: Self = Self { in_group: false, late: false };
    const GROUP: Self = Self { in_group: true, late: false };
    const LATE: Self = Self { in_group: false, late: true };
    const LATE_GROUP: Self = Self { in_group: true, late: true };

    fn seen<'a>(self, place: &'a Place, condition: &'a Condition, on: &'a Spot) -> Seen<'a> {
        let Self { in_group, late } = self;
        Seen { place, condition, on, value: &super::trace::Value::Absent, passed: false, in_group, late }
    }
}
