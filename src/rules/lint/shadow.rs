//! Owns effects that never take place: an earlier rule has made the thing final wherever their conditions hold.

use super::flow::Reached;
use super::logic;
use super::{Finding, codes};
use crate::diag::{Diagnostic, Place};
use crate::rules::ir::{Condition, Effect, Subject};

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    let finals: Vec<(usize, String, &Place, &Reached<'_>)> = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.certain && conditions_last(rule))
        .flat_map(|(at, rule)| {
            rule.effects()
                .filter(|(_, _, fixed)| *fixed)
                .filter_map(move |(place, effect, _)| Some((at, thing(effect)?, place, rule)))
        })
        .collect();
    if finals.is_empty() {
        return;
    }
    for (at, rule) in rules.iter().enumerate() {
        for (place, effect, _) in rule.effects() {
            let Some(thing) = thing(effect) else { continue };
            let by = finals
                .iter()
                .find(|(before, other, _, by)| *before < at && *other == thing && always(rule, by));
            let Some((_, _, _, by)) = by else { continue };
            let message = format!("{} is final here already, by {}", thing, by.named(place));
            let hint = "take one of the two out, or `:=` (`final`) at the earlier one";
            out.push(Diagnostic::warning(codes::SHADOWED, message, place.clone()).hint(hint).into());
        }
    }
}

/// What can be final, in the words of messages. A tag or a property is final by its name.
fn thing(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Link { .. } => "the list of links".into(),
        Effect::Name(_) => "the interface's name".into(),
        Effect::Owner(_) => "the owner".into(),
        Effect::Group(_) => "the group".into(),
        Effect::Mode(_) => "the mode".into(),
        Effect::Priority(_) => "the priority".into(),
        Effect::Property { key, .. } => format!("the property `{key}`"),
        Effect::Tag { tag, .. } => format!("the tag `{}`", tag.constant()?),
        Effect::Run { .. } | Effect::RunBuiltin { .. } => "the list of programs".into(),
        Effect::Watch(_) => "watching".into(),
        _ => return None,
    })
}

/// Whether conditions that hold at one rule still hold at a later one.
fn conditions_last(rule: &Reached<'_>) -> bool {
    let lasting = |condition: &Condition| match &condition.subject {
        Subject::Attribute(name) => !name.constant().is_none_or(|name| name.starts_with(b"[")),
        subject => logic::is_lasting(subject),
    };
    let on_parent = |condition: &Condition| !matches!(condition.subject, Subject::Tag | Subject::Property(_));
    rule.all().all(lasting) && rule.groups().flatten().all(|(_, condition)| on_parent(condition))
}

/// Wherever `rule` has its effect, `by` had its own.
fn always(rule: &Reached<'_>, by: &Reached<'_>) -> bool {
    by.all().all(|wanted| rule.all().any(|one| logic::follows(one, wanted)))
        && by.groups().all(|wanted| {
            rule.groups().any(|group| {
                wanted.iter().all(|(_, one)| group.iter().any(|(_, other)| logic::follows(other, one)))
            })
        })
}
