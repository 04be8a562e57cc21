//! Owns the question whether all keys of one parent sit on one parent of a given device: it is put to the evaluator as
//! rules of its own, one for each key and one for all together.

use std::sync::Arc;

use super::flow::{self, Reached};
use super::{codes, logic};
use crate::diag::{Diagnostic, Place};
use crate::ids::sysname;
use crate::rules::compile::Skip;
use crate::rules::ir::{Condition, Effect, Rule, RuleFile, Step, StepKind, Subject};
use crate::rules::trace::{Observer, Seen, Spot, describe_subject};

/// Rules that ask where keys sit, for one group of parent's keys after another.
#[derive(Debug, Default)]
pub struct Probes {
    groups: Vec<Vec<(Place, Condition)>>,
    /// Which group a rule asks about, and which key of it (none: all).
    asks: Vec<(usize, Option<usize>)>,
    rules: Vec<Rule>,
}

impl Probes {
    /// The probes for all rules that ask for more than one thing of one parent.
    pub fn new(files: &[Arc<RuleFile>]) -> Self {
        let mut out = Self::default();
        for rule in flow::reached(files) {
            for group in rule.groups().filter(|group| group.len() > 1) {
                let number = out.groups.len();
                out.groups.push(group.to_vec());
                out.ask(&rule, group.to_vec(), (number, None));
                for (at, one) in group.iter().enumerate() {
                    out.ask(&rule, vec![one.clone()], (number, Some(at)));
                }
            }
        }
        out
    }

    fn ask(&mut self, rule: &Reached<'_>, group: Vec<(Place, Condition)>, asks: (usize, Option<usize>)) {
        // What else the rule asks of the device, as far as it does not depend on the event.
        let concerns = |one: &Condition| {
            let subject = logic::canonical(&one.subject);
            *subject != Subject::Action
                && (logic::is_lasting(&subject) || matches!(*subject, Subject::Attribute(_)))
        };
        let place = &rule.rule.place;
        let when = rule.all().filter(|one| concerns(one)).cloned().map(StepKind::When);
        // A rule without effect is never looked at.
        let effect = StepKind::Do { effect: Effect::DbPersist, fixed: false };
        let kinds = when.chain([StepKind::Parent(group), effect]);
        let steps = kinds.map(|kind| Step { place: place.clone(), kind }).collect();
        self.rules.push(Rule { place: place.clone(), about: None, steps, jump: None });
        self.asks.push(asks);
    }

    /// The rules to evaluate; `None` if there is nothing to ask.
    pub fn file(&self) -> Option<Arc<RuleFile>> {
        let source = Arc::clone(&self.rules.first()?.place.file);
        Some(Arc::new(RuleFile { source, rules: self.rules.clone() }))
    }

    /// Takes in what one evaluation of the probes shows.
    pub fn watch(&self) -> Watch<'_> {
        Watch { probes: self, next: 0, at: None, found: vec![Found::default(); self.groups.len()] }
    }
}

/// Where the keys of a group sit.
#[derive(Debug, Clone, Default)]
struct Found {
    /// They were looked for.
    asked: bool,
    /// One device has all.
    together: bool,
    /// The nearest device that has it, for each key.
    each: Vec<(usize, String)>,
}

/// Sees an evaluation of probes.
#[derive(Debug)]
pub struct Watch<'p> {
    probes: &'p Probes,
    next: usize,
    at: Option<(usize, Option<usize>)>,
    found: Vec<Found>,
}

impl Observer for Watch<'_> {
    const EVERY_RULE: bool = true;

    fn rule(&mut self, _rule: &Rule) {
        self.at = self.probes.asks.get(self.next).copied();
        self.next += 1;
    }

    fn skipped(&mut self, _why: Skip) {
        self.at = None;
    }

    fn condition(&mut self, seen: &Seen<'_>) {
        // The rule does not concern the device.
        if !seen.in_group && !seen.passed {
            self.at = None;
        }
    }

    fn parent(&mut self, _place: &Place, found: Option<&Spot>) {
        let Some((group, key)) = self.at else { return };
        let Some(into) = self.found.get_mut(group) else { return };
        match (key, found) {
            (None, found) => {
                into.asked = true;
                into.together = found.is_some();
            }
            (Some(key), Some(Spot::Event)) => into.each.push((key, "the device itself".into())),
            (Some(key), Some(Spot::Above(device))) => {
                into.each.push((key, format!("`{}`", device.sysname())))
            }
            (Some(_), None) => {}
        }
    }
}

impl Watch<'_> {
    /// The groups whose keys are all there, and not on one parent. `device` names the device that was asked.
    pub fn findings(&self, device: &[u8]) -> Vec<Diagnostic> {
        let all = self.probes.groups.iter().zip(&self.found);
        all.filter(|(group, found)| found.asked && !found.together && found.each.len() == group.len())
            .filter_map(|(group, found)| {
                let (place, _) = group.first()?;
                let names = found.each.iter().filter_map(|(key, on)| {
                    let (_, condition) = group.get(*key)?;
                    Some(format!("{} is on {on}", describe(condition, place)))
                });
                let names: Vec<String> = names.collect();
                let device = sysname(device);
                let message = format!("no parent of `{device}` has all of these: {}", names.join(", "));
                let hint = "all parents' keys of a line have to be met by one parent: leave out those of the others, or \
                            (TOML) write `parent` as a list";
                Some(Diagnostic::warning(codes::PARENTS_APART, message, place.clone()).hint(hint))
            })
            .collect()
    }
}

/// A key of a parent in the words of the file's language.
fn describe(condition: &Condition, place: &Place) -> String {
    let udev = place.file.path.extension().is_some_and(|extension| extension == "rules");
    match &condition.subject {
        Subject::Kernel if udev => "KERNELS".into(),
        Subject::Subsystem if udev => "SUBSYSTEMS".into(),
        Subject::Driver if udev => "DRIVERS".into(),
        Subject::Tag if udev => "TAGS".into(),
        Subject::Attribute(name) if udev => format!("ATTRS{{{}}}", name.text()),
        subject => describe_subject(subject),
    }
}
