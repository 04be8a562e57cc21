//! Owns the way back: a rule as the text of a `[[rule]]`. Reading what was printed gives the same rule, if its steps are
//! in the order of this language.
//!
//! What the language can't say is named with its place, never left out. Comments are the caller's.

mod condition;
mod effect;
mod text;

use std::fmt::Write as _;

use self::condition::{parents, runs, table};
use self::effect::{EFFECTS, finals};
use self::text::string;
use crate::diag::Place;
use crate::rules::ir::{Condition, Effect, Rule, Step, StepKind, Subject};
use crate::rules::udev::Unsayable;

/// A line may be this long before a table is taken apart.
const WIDTH: usize = 110;

type Said<T = String> = Result<T, String>;

/// Keys and values.
type Entries = Vec<(String, String)>;

/// The text of a rule, from `[[rule]]` to the end of its last line.
pub fn print_rule(rule: &Rule) -> Result<String, Vec<Unsayable>> {
    let mut failed = Vec::new();
    let mut out: Entries = rule.about.iter().map(|about| ("about".into(), string(about))).collect();
    if let Some(jump) = &rule.jump {
        failed.push(Unsayable { what: "a jump".into(), place: jump.place.clone() });
    }
    let mut keep = |place: &Place, read: Said<Entries>| match read {
        Ok(entries) => out.extend(entries),
        Err(what) => failed.push(Unsayable { what, place: place.clone() }),
    };
    let plain: Vec<(&Place, &Condition)> = rule.steps.iter().filter_map(plain).collect();
    keep(&rule.place, table("match", &plain));
    let parents: Vec<&Vec<(Place, Condition)>> = rule.steps.iter().filter_map(parent).collect();
    keep(&rule.place, self::parents(&parents));
    keep(&rule.place, self::runs(&rule.steps));
    let effects: Vec<(&Place, &Effect, bool)> = rule.steps.iter().filter_map(effect).collect();
    for (keys, print) in EFFECTS {
        let of_key: Vec<&Effect> =
            effects.iter().filter(|(_, effect, _)| keys(effect)).map(|(_, e, _)| *e).collect();
        if !of_key.is_empty() {
            let place = effects.iter().find(|(_, effect, _)| keys(effect)).map(|(place, ..)| *place);
            keep(place.unwrap_or(&rule.place), print(&of_key));
        }
    }
    keep(&rule.place, finals(&effects));
    for (place, effect, _) in &effects {
        if !EFFECTS.iter().any(|(keys, _)| keys(effect)) {
            let what = format!("this effect, {effect:?}");
            failed.push(Unsayable { what, place: (*place).clone() });
        }
    }
    if failed.is_empty() { Ok(lines("[[rule]]", &out)) } else { Err(failed) }
}

/// The text of `[file]` with conditions that every rule needs.
pub fn print_file(conditions: &[(Place, Condition)]) -> Result<String, Vec<Unsayable>> {
    let all: Vec<_> = conditions.iter().map(|(place, condition)| (place, condition)).collect();
    match (table("match", &all), conditions.first()) {
        (Ok(entries), _) => Ok(lines("[file]", &entries)),
        (Err(what), Some((place, _))) => Err(vec![Unsayable { what, place: place.clone() }]),
        (Err(_), None) => Ok(String::new()),
    }
}

fn lines(header: &str, entries: &Entries) -> String {
    let short = |key: &str| key.len() <= 8 && !key.contains('.');
    let width = entries.iter().filter(|(key, _)| short(key)).map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut out = format!("{header}\n");
    for (key, value) in entries {
        let width = if short(key) { width } else { 0 };
        let _infallible = writeln!(out, "{key:<width$} = {value}");
    }
    out
}

fn plain(step: &Step) -> Option<(&Place, &Condition)> {
    match &step.kind {
        StepKind::When(Condition {
            subject: Subject::Program(_) | Subject::Import(_) | Subject::Result,
            ..
        }) => None,
        StepKind::When(condition) => Some((&step.place, condition)),
        _ => None,
    }
}

fn parent(step: &Step) -> Option<&Vec<(Place, Condition)>> {
    if let StepKind::Parent(group) = &step.kind { Some(group) } else { None }
}

fn effect(step: &Step) -> Option<(&Place, &Effect, bool)> {
    match &step.kind {
        StepKind::Do { effect, fixed } => Some((&step.place, effect, *fixed)),
        _ => None,
    }
}
