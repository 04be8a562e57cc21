//! Owns links that are given twice: by one rule, by two rules under the same conditions, or to two devices.

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use super::flow::{Reached, named};
use super::{Finding, codes, logic};
use crate::diag::{Diagnostic, Place};
use crate::rules::ir::{Condition, Effect, ListOp, StepKind, Subject};
use crate::rules::template::Template;

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    let mut given: BTreeMap<BString, Vec<(&Reached<'_>, &Place)>> = BTreeMap::new();
    for rule in rules {
        let mut seen: Vec<(&Place, &BStr)> = Vec::new();
        for (place, name) in names(rule) {
            if let Some((first, _)) = seen.iter().find(|(_, other)| *other == name) {
                // Two tokens of a line that are the same are found as such.
                if *first == place {
                    out.push(duplicate(format!("`{name}` is in this list twice"), place));
                }
                continue;
            }
            seen.push((place, name));
            let earlier = given.entry(name.into()).or_default();
            let message = earlier.iter().find_map(|(other, at)| collision(rule, other, name, (place, at)));
            out.extend(message);
            earlier.push((rule, place));
        }
    }
}

fn duplicate(message: String, place: &Place) -> Finding {
    Diagnostic::warning(codes::DUPLICATE_LINK, message, place.clone()).hint("take one of them out").into()
}

/// What comes of two rules that give one link.
fn collision(
    rule: &Reached<'_>,
    other: &Reached<'_>,
    name: &BStr,
    (place, at): (&Place, &Place),
) -> Option<Finding> {
    if conditions(other).eq(conditions(rule)) {
        let message = format!("the rule at {} gives `{name}` under the same conditions", other.named(place));
        return Some(duplicate(message, place));
    }
    if priority(rule) != priority(other) || !other_device(rule, other) {
        return None;
    }
    let message =
        format!("{} gives `{name}` too: of two devices the first to come keeps it", named(at, place));
    let hint = "give one of the two rules a priority, if both devices can be there at a time";
    Some(Diagnostic::note(codes::SHARED_LINK, message, place.clone()).hint(hint).into())
}

/// The rules are for two devices: what they ask of one thing can't hold for one device.
fn other_device(a: &Reached<'_>, b: &Reached<'_>) -> bool {
    let of_device = |rule: &Reached<'_>| -> Vec<Condition> {
        rule.all().filter(|one| *logic::canonical(&one.subject) != Subject::Action).cloned().collect()
    };
    let of_parents = |rule: &Reached<'_>| -> Vec<Condition> {
        rule.groups().flatten().map(|(_, condition)| condition.clone()).collect()
    };
    let apart =
        |a: &[Condition], b: &[Condition]| a.iter().any(|one| b.iter().any(|two| logic::exclude(one, two)));
    apart(&of_device(a), &of_device(b)) || apart(&of_parents(a), &of_parents(b))
}

fn priority(rule: &Reached<'_>) -> i32 {
    let found = rule.effects().filter_map(|(_, effect, _)| match effect {
        Effect::Priority(number) => Some(*number),
        _ => None,
    });
    found.last().unwrap_or_default()
}

/// The links that are the same for every device.
fn names<'f>(rule: &Reached<'f>) -> Vec<(&'f Place, &'f BStr)> {
    let mut out = Vec::new();
    for (place, effect, _) in rule.effects() {
        let Effect::Link { op: ListOp::Add | ListOp::Set, names, split } = effect else { continue };
        for name in names.iter().filter_map(Template::constant) {
            if *split {
                out.extend(name.fields().map(|one| (place, one.as_bstr())));
            } else {
                out.push((place, name));
            }
        }
    }
    out
}

/// The conditions without their places.
fn conditions<'r>(rule: &Reached<'r>) -> impl Iterator<Item = (bool, &'r Condition)> + use<'r> {
    rule.rule.steps.iter().flat_map(|step| {
        let (parent, found): (bool, Vec<&Condition>) = match &step.kind {
            StepKind::When(condition) => (false, vec![condition]),
            StepKind::Parent(all) => (true, all.iter().map(|(_, condition)| condition).collect()),
            StepKind::Do { .. } => (false, Vec::new()),
        };
        found.into_iter().map(move |condition| (parent, condition))
    })
}
