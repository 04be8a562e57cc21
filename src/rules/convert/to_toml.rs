//! Owns the way from a rule of udev's to one of TOML: the same steps in the words and the order of that language.
//!
//! What is printed is read again: a rule that does not come out as it was is named, not given away.

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::order::{acts, map_templates, reorder, toml_turn};
use super::{links, push_text, var_text};
use crate::diag::{Place, Severity, SourceFile};
use crate::rules::ir::{Command, Condition, Effect, Import, ListOp, Rule, Step, StepKind, Subject, Test};
use crate::rules::template::{Part, Template};
use crate::rules::toml::{self, Known};
use crate::rules::udev::Unsayable;
use crate::text::Pattern;
use crate::text::split_command;

/// The text of the rule.
pub(super) fn print(rule: &Rule, known: &Known<'_>) -> Result<String, Vec<Unsayable>> {
    let adapted = adapt(rule)?;
    let text = toml::print_rule(&adapted)?;
    check(&adapted, &text, known)?;
    Ok(text)
}

/// Reads what was printed.
fn check(rule: &Rule, text: &str, known: &Known<'_>) -> Result<(), Vec<Unsayable>> {
    let unsayable = |what: String| vec![Unsayable { what, place: rule.place.clone() }];
    let source = SourceFile::new(Path::new("x.toml"), text.as_bytes());
    let parsed = toml::parse(&source, known);
    if let Some(error) = parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        return Err(unsayable(error.message.clone()));
    }
    match &parsed.rules[..] {
        [read] if bare(&read.steps, &rule.place) == bare(&rule.steps, &rule.place) => Ok(()),
        _ => Err(unsayable("this in its order".into())),
    }
}

/// Steps as if all stood at one place, and conditions that change nothing in an order of their own.
fn bare(steps: &[Step], place: &Place) -> Vec<StepKind> {
    let mut steps: Vec<StepKind> = steps.iter().map(|step| step.kind.clone()).collect();
    for step in &mut steps {
        if let StepKind::Parent(group) = step {
            group.iter_mut().for_each(|(at, _)| *at = place.clone());
            group.sort_by_cached_key(|(_, condition)| format!("{condition:?}"));
        }
    }
    let plain = |step: &StepKind| matches!(step, StepKind::When(_)) && !acts(step);
    let cut = steps.iter().take_while(|step| plain(step)).count();
    if let Some(front) = steps.get_mut(..cut) {
        front.sort_by_cached_key(|step| format!("{step:?}"));
    }
    steps
}

/// The rule with templates, commands and links as TOML has them, in the order of TOML.
fn adapt(rule: &Rule) -> Result<Rule, Vec<Unsayable>> {
    let mut failed = Vec::new();
    let mut steps = Vec::with_capacity(rule.steps.len());
    let mut splits = whole_names(&rule.steps);
    for step in &rule.steps {
        match adapt_step(step, &rule.steps, &mut splits) {
            Ok(kind) => steps.push(Step { place: step.place.clone(), kind }),
            Err(what) => failed.push(Unsayable { what, place: step.place.clone() }),
        }
    }
    if !failed.is_empty() {
        return Err(failed);
    }
    let steps = reorder(&merged(steps), toml_turn).map_err(|unsayable| vec![unsayable])?;
    Ok(Rule { steps, ..rule.clone() })
}

/// True if each link of the rule is one name; else udev's splitting is asked for.
fn whole_names(steps: &[Step]) -> bool {
    steps.iter().all(|step| match &step.kind {
        StepKind::Do { effect: Effect::Link { names, .. }, .. } => {
            names.iter().all(|name| links::words(name, steps).is_some())
        }
        StepKind::Do { effect: Effect::StringEscape(_), .. } => {
            !steps.iter().any(|step| matches!(&step.kind, StepKind::Do { effect: Effect::Link { .. }, .. }))
        }
        _ => true,
    })
}

fn adapt_step(step: &Step, steps: &[Step], whole: &mut bool) -> Result<StepKind, String> {
    let mut kind = step.kind.clone();
    match &mut kind {
        StepKind::When(condition) => adapt_condition(condition),
        StepKind::Parent(_) => {}
        StepKind::Do { effect, .. } => match effect {
            Effect::Link { names, split, .. } if *whole => {
                *names = names.iter().filter_map(|name| links::words(name, steps)).flatten().collect();
                *split = false;
            }
            Effect::Run { command, .. } => vector(command),
            Effect::RunBuiltin { builtin, .. } => builtin_words(&mut builtin.arguments),
            _ => {}
        },
    }
    map_templates(&mut kind, &mut |template| {
        *template = in_toml(template).ok_or_else(|| format!("the text `{}`", template.text()))?;
        Ok::<(), String>(())
    })?;
    Ok(kind)
}

fn adapt_condition(condition: &mut Condition) {
    match &mut condition.subject {
        Subject::Property(key) if key == "DEVTYPE" => condition.subject = Subject::Devtype,
        Subject::Program(command) | Subject::Import(Import::Program(command)) => vector(command),
        Subject::Import(Import::Builtin(builtin)) => builtin_words(&mut builtin.arguments),
        _ => {}
    }
}

/// A line without substitutions is the words that it is split into.
fn vector(command: &mut Command) {
    let Command::Line(line) = command else { return };
    let words = line.constant().map(|line| split_command(line)).unwrap_or_default();
    if words.first().is_some_and(|program| !program.is_empty()) {
        *command = Command::Argv(words.iter().map(|word| literal(word)).collect());
    }
}

/// The same for the arguments of a builtin, of which there may be none.
fn builtin_words(command: &mut Command) {
    let Command::Line(line) = command else { return };
    let Some(line) = line.constant() else { return };
    let words = split_command(line);
    let plain = |word: &BString| !word.is_empty() && !word.iter().any(u8::is_ascii_whitespace);
    if words.iter().all(plain) {
        *command = Command::Argv(words.iter().map(|word| literal(word)).collect());
    }
}

fn literal(text: &[u8]) -> Template {
    let mut escaped = BString::default();
    push_text(&mut escaped, text);
    Template::parse(&escaped).0
}

/// The template as it is written in TOML, which takes no `$` or `%` for itself.
fn in_toml(template: &Template) -> Option<Template> {
    let (same, errors) = Template::parse(template.text());
    if errors.is_empty() && same.parts() == template.parts() {
        return Some(same);
    }
    let mut text = BString::default();
    for part in template.parts() {
        match part {
            Part::Text(part) => push_text(&mut text, part),
            Part::Var(var) => text.extend_from_slice(&var_text(var)),
        }
    }
    let (written, errors) = Template::parse(&text);
    (errors.is_empty() && written.parts() == template.parts()).then_some(written)
}

/// What stands side by side under one key of TOML as one step: links that are added, patterns that must not match.
fn merged(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        let links = matches!(&step.kind, StepKind::Do { .. });
        // Lists are changed in order: only what is next to each other goes together.
        let from = if links { out.len().saturating_sub(1) } else { 0 };
        if !out.iter_mut().skip(from).any(|before| absorbs(before, &step)) {
            out.push(step);
        }
    }
    out
}

fn absorbs(before: &mut Step, step: &Step) -> bool {
    match (&mut before.kind, &step.kind) {
        (StepKind::When(first), StepKind::When(second)) => not_either(first, second),
        (
            StepKind::Do { effect: Effect::Link { op, names, split }, fixed },
            StepKind::Do { effect: Effect::Link { op: op2, names: more, split: split2 }, fixed: fixed2 },
        ) if op == op2 && split == split2 && fixed == fixed2 && *op != ListOp::Set => {
            names.extend(more.iter().cloned());
            true
        }
        _ => false,
    }
}

/// Makes one condition of two that ask for the contrary of patterns.
fn not_either(first: &mut Condition, second: &Condition) -> bool {
    if first == second {
        return true;
    }
    let (Test::IsNot(a), Test::IsNot(b)) = (&first.test, &second.test) else { return false };
    // Among alternatives a backslash may mean something else than alone.
    let plain = |pattern: &Pattern| !pattern.text().contains(&b'\\');
    if first.subject != second.subject || a.case() != b.case() || !plain(a) || !plain(b) {
        return false;
    }
    let joined = bstr::concat([a.text().as_bytes(), b"|", b.text()]);
    first.test = Test::IsNot(Pattern::new(&joined, a.case()));
    true
}
