//! Owns what is odd about rules that are right each by themselves. Gives warnings; never changes a rule.

use std::sync::Arc;

use super::ir::{Condition, Effect, Rule, RuleFile, StepKind, Subject, Test};
use super::template::Template;
use super::toml::codes;
use crate::diag::{Diagnostic, Place};

/// Looks over the rules in force.
pub fn lint(files: &[Arc<RuleFile>]) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for file in files {
        for (at, rule) in file.rules.iter().enumerate() {
            never_holds(rule, &mut out);
            duplicate_links(rule, file.rules.get(..at).unwrap_or_default(), &mut out);
        }
    }
    out
}

/// Two conditions on one subject that exclude each other, as `[file]` and a rule may have them.
fn never_holds(rule: &Rule, out: &mut Vec<Diagnostic>) {
    let conditions: Vec<(&Place, &Condition)> = rule
        .steps
        .iter()
        .filter_map(|step| match &step.kind {
            StepKind::When(condition) => Some((&step.place, condition)),
            _ => None,
        })
        .collect();
    for (at, (place, condition)) in conditions.iter().enumerate() {
        // An import may have changed what a property is; tags and links are many.
        if matches!(condition.subject, Subject::Tag | Subject::Link | Subject::Import(_)) {
            continue;
        }
        let earlier = conditions.iter().take(at);
        let mut against = earlier.filter(|(_, other)| {
            other.subject == condition.subject && excluded(&other.test, &condition.test)
        });
        if let Some((other, _)) = against.next() {
            let message = format!("this can't hold together with line {}", other.line);
            let hint = "change or take out one of the two";
            out.push(Diagnostic::warning(codes::NEVER_HOLDS, message, (*place).clone()).hint(hint));
        }
    }
}

/// True only if no value passes both.
fn excluded(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::Is(a), Test::Is(b)) => match (a.literals(), b.literals()) {
            (Some(a), Some(b)) => !a.iter().any(|value| b.contains(value)),
            (Some(a), None) => !a.iter().any(|value| b.matches(value)),
            (None, Some(b)) => !b.iter().any(|value| a.matches(value)),
            (None, None) => false,
        },
        (Test::Is(is), Test::IsNot(not)) | (Test::IsNot(not), Test::Is(is)) => {
            is.literals().is_some_and(|values| values.iter().all(|value| not.matches(value)))
        }
        (Test::Exists(a), Test::Exists(b)) => a != b,
        // What is not there is empty to some subjects: only a test that the empty text fails is excluded.
        (Test::Exists(false), Test::Is(is)) | (Test::Is(is), Test::Exists(false)) => !is.matches(b""),
        (Test::Exists(false), Test::Range { .. }) | (Test::Range { .. }, Test::Exists(false)) => true,
        (Test::Range { min: a_min, max: a_max }, Test::Range { min: b_min, max: b_max }) => {
            let below = |max: &Option<i128>, min: &Option<i128>| matches!((max, min), (Some(max), Some(min)) if max < min);
            below(a_max, b_min) || below(b_max, a_min)
        }
        _ => false,
    }
}

/// A link that the rule gives twice, or that an earlier rule of the file with the same conditions gives.
fn duplicate_links(rule: &Rule, earlier: &[Rule], out: &mut Vec<Diagnostic>) {
    let mut seen: Vec<&Template> = Vec::new();
    for (place, name) in links(rule) {
        let elsewhere = earlier.iter().filter(|other| conditions(other).eq(conditions(rule)));
        let first = elsewhere.flat_map(links).find(|(_, other)| *other == name).map(|(place, _)| place.line);
        let message = match first {
            _ if seen.contains(&name) => format!("`{}` is in this list twice", name.text()),
            Some(line) => {
                format!("the rule at line {line} gives `{}` under the same conditions", name.text())
            }
            None => {
                seen.push(name);
                continue;
            }
        };
        out.push(
            Diagnostic::warning(codes::DUPLICATE_LINK, message, place.clone()).hint("take one of them out"),
        );
    }
}

fn links(rule: &Rule) -> impl Iterator<Item = (&Place, &Template)> {
    rule.steps.iter().flat_map(|step| {
        let names = match &step.kind {
            // A number may differ, so the same text may be another link.
            StepKind::Do { effect: Effect::Link { names, .. }, .. } => names.as_slice(),
            _ => &[],
        };
        names.iter().filter(|name| name.constant().is_some()).map(move |name| (&step.place, name))
    })
}

/// The conditions without their places.
fn conditions(rule: &Rule) -> impl Iterator<Item = (bool, &Condition)> {
    rule.steps.iter().flat_map(|step| {
        let (parent, found): (bool, Vec<&Condition>) = match &step.kind {
            StepKind::When(condition) => (false, vec![condition]),
            StepKind::Parent(all) => (true, all.iter().map(|(_, condition)| condition).collect()),
            StepKind::Do { .. } => (false, Vec::new()),
        };
        found.into_iter().map(move |condition| (parent, condition))
    })
}
