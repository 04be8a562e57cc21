//! Owns what becomes of `GOTO` where there are no jumps: the rules that a jump skips get a condition instead.
//!
//! Where the rule that jumps has one condition that nothing can change meanwhile, they get its contrary; at the top of a
//! file, all rules together. Everywhere else the rule that would jump leaves a property that lasts as long as the
//! event, and the skipped ones ask for it.

use bstr::{BStr, ByteSlice};

use crate::diag::Place;
use crate::rules::ir::{Condition, Effect, Import, Jump, Rule, Step, StepKind, Subject, Test};
use crate::rules::template::Template;
use crate::text::{Case, Pattern};

/// Rules without jumps.
#[derive(Debug)]
pub(super) struct Flat {
    /// What every rule of the file needs.
    pub(super) file: Vec<(Place, Condition)>,
    /// The rules in order; `None` for one that did nothing but jump.
    pub(super) rules: Vec<Option<Rule>>,
}

/// A jump, and how the rules up to its target know of it.
struct Guard {
    at: usize,
    to: usize,
    place: Place,
    unless: Condition,
    by_property: Option<String>,
}

/// Puts conditions in the place of jumps.
pub(super) fn flatten(rules: &[Rule]) -> Flat {
    let mut file = Vec::new();
    let mut guards: Vec<Guard> = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let Some(jump) = &rule.jump else { continue };
        let simple = contrary(rules, at, jump).filter(|_| is_free(&guards, at, jump.to));
        if let Some((place, condition)) = &simple
            && jump.to == rules.len()
            && rules.iter().take(at + 1).all(only_jumps)
            && file.len() == at
        {
            file.push((place.clone(), condition.clone()));
            continue;
        }
        let property = simple.is_none().then(|| name(rules, jump));
        let unless = match (simple, &property) {
            (Some((_, condition)), _) => condition,
            (None, name) => {
                let key = name.as_deref().unwrap_or_default().into();
                Condition {
                    subject: Subject::Property(key),
                    test: Test::Is(Pattern::new(b"", Case::Sensitive)),
                }
            }
        };
        guards.push(Guard { at, to: jump.to, place: jump.place.clone(), unless, by_property: property });
    }
    let out = rules.iter().enumerate().map(|(at, rule)| guarded(rule, at, &guards, file.len()));
    Flat { rules: out.collect(), file }
}

/// The rule with the conditions of the jumps over it, and with what its own jump leaves.
fn guarded(rule: &Rule, at: usize, guards: &[Guard], leading: usize) -> Option<Rule> {
    let own = guards.iter().find(|guard| guard.at == at).and_then(|guard| guard.by_property.as_ref());
    if at < leading || (only_jumps(rule) && own.is_none()) {
        return None;
    }
    let mut steps: Vec<Step> = Vec::new();
    for guard in guards.iter().filter(|guard| guard.at < at && at < guard.to) {
        let kind = StepKind::When(guard.unless.clone());
        if !steps.iter().any(|step| step.kind == kind) {
            steps.push(Step { place: guard.place.clone(), kind });
        }
    }
    steps.extend(rule.steps.iter().cloned());
    if let Some((key, jump)) = own.zip(rule.jump.as_ref()) {
        let effect =
            Effect::Property { key: key.as_str().into(), value: Template::literal(b"1"), append: false };
        steps.push(Step { place: jump.place.clone(), kind: StepKind::Do { effect, fixed: false } });
    }
    Some(Rule { steps, jump: None, ..rule.clone() })
}

/// True if the rule sets nothing and runs nothing.
fn only_jumps(rule: &Rule) -> bool {
    !rule.steps.iter().any(|step| super::order::acts(&step.kind))
}

/// True if no jump over this one ends before it does: then this rule may have been skipped, and its condition alone
/// says nothing.
fn is_free(guards: &[Guard], at: usize, to: usize) -> bool {
    !guards.iter().any(|guard| guard.at < at && at < guard.to && guard.to < to)
}

/// The contrary of a rule's one condition, if that is the same from the jump to its target.
fn contrary(rules: &[Rule], at: usize, jump: &Jump) -> Option<(Place, Condition)> {
    let rule = rules.get(at)?;
    let mut conditions = rule.steps.iter().filter(|step| !matches!(step.kind, StepKind::Do { .. }));
    let (step, None) = (conditions.next()?, conditions.next()) else { return None };
    let StepKind::When(Condition { subject, test }) = &step.kind else { return None };
    let test = match test {
        Test::Is(pattern) => Test::IsNot(pattern.clone()),
        Test::IsNot(pattern) => Test::Is(pattern.clone()),
        _ => return None,
    };
    let range = rules.get(at..jump.to)?;
    let stable = match subject {
        Subject::Action
        | Subject::Kernel
        | Subject::Subsystem
        | Subject::Devpath
        | Subject::Devtype
        | Subject::Const(_) => true,
        Subject::Property(key) => {
            key == "DEVTYPE"
                || !range.iter().flat_map(|rule| &rule.steps).any(|step| may_set(step, key.as_bstr()))
        }
        _ => false,
    };
    stable.then(|| (step.place.clone(), Condition { subject: subject.clone(), test }))
}

/// True if a step may change a property.
fn may_set(step: &Step, key: &BStr) -> bool {
    match &step.kind {
        StepKind::When(Condition { subject: Subject::Import(import), .. }) => match import {
            Import::Db(name) | Import::CommandLine(name) => name.constant().is_none_or(|name| name == key),
            _ => true,
        },
        StepKind::Do { effect: Effect::Property { key: set, .. }, .. } => set == key,
        StepKind::Do { effect: Effect::Start(_), .. } => key == "SYSTEMD_WANTS",
        _ => false,
    }
}

/// The name of the property that stands for having jumped to a label. It is not kept after the event.
fn name(rules: &[Rule], jump: &Jump) -> String {
    let written = |jump: &Jump| {
        let text = jump.place.file.text.get(jump.place.span.clone()).unwrap_or_default();
        text.split('"').nth(1).unwrap_or_default().to_owned()
    };
    let label = written(jump);
    let plain: String =
        label.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    let jumps = rules.iter().filter_map(|rule| rule.jump.as_ref());
    // Properties outlive the file: a label of another file may have the same name.
    let stem = jump.place.file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stem: String = stem.chars().filter(char::is_ascii_alphanumeric).collect();
    let unique =
        plain == label && jumps.filter(|other| written(other) == label).all(|other| other.to == jump.to);
    if unique { format!(".goto_{stem}_{plain}") } else { format!(".goto_{stem}_{}_{}", plain, jump.to) }
}
