//! Owns an explanation as people read it: one screen for a usual rule, marks that can be told apart without colours.

use std::io::{self, Write};

use super::view::{Candidate, ConditionView, ParentView, RuleView, StepView};
use crate::cli::output::{Ink, Style, shown};

/// Shows a rule with every condition.
pub(super) fn rule(out: &mut dyn Write, style: Style, rule: &RuleView) -> io::Result<()> {
    let about = rule.about.as_ref().map(|about| format!("  {}", shown(about))).unwrap_or_default();
    let verdict = match (rule.skipped, rule.applied) {
        (Some(why), _) => style.paint(Ink::Yellow, format!("is not looked at: {why}")),
        (None, true) => style.paint(Ink::Green, "applies"),
        (None, false) => style.paint(Ink::Red, "does not apply"),
    };
    writeln!(out, "{}{about}: {verdict}", style.paint(Ink::Bold, shown(&rule.from)))?;
    let width = rule.steps.iter().map(width_of).max().unwrap_or(0).min(50);
    for step in &rule.steps {
        match step {
            StepView::Condition(tested) => condition(out, style, tested, "  ", width)?,
            StepView::Parent(group) => parent(out, style, group, width)?,
        }
    }
    let word = if rule.applied { "sets" } else { "would set" };
    for effect in &rule.sets {
        let why_not = effect.why_not.map(|why| format!("  (not: {why})")).unwrap_or_default();
        let (ink, mark) = if effect.applied { (Ink::Green, "=") } else { (Ink::Dim, " ") };
        let line =
            format!("  {mark} {word} {}{why_not}", shown(effect.token.as_ref().unwrap_or(&effect.what)));
        writeln!(out, "{}", style.paint(ink, line))?;
    }
    Ok(())
}

fn asked(condition: &ConditionView) -> String {
    match &condition.token {
        Some(token) => shown(token),
        None => shown(&format!("{} {}", condition.subject, condition.pattern)),
    }
}

fn found(condition: &ConditionView) -> String {
    match &condition.value {
        Some(value) if condition.runs => shown(value),
        Some(value) => format!("found \"{}\"", shown(value)),
        None => "there is none".into(),
    }
}

fn width_of(step: &StepView) -> usize {
    let of = |condition: &ConditionView| asked(condition).chars().count();
    match step {
        StepView::Condition(condition) => of(condition),
        StepView::Parent(group) => {
            let best = group.candidates.first();
            best.into_iter().flat_map(|best| &best.conditions).map(of).max().unwrap_or(0)
        }
    }
}

fn condition(
    out: &mut dyn Write,
    style: Style,
    tested: &ConditionView,
    indent: &str,
    width: usize,
) -> io::Result<()> {
    let (mark, ink) = match (tested.passed, tested.late) {
        (true, false) => ("ok", Ink::Green),
        (false, false) => ("NO", Ink::Red),
        (true, true) => ("ok", Ink::Dim),
        (false, true) => ("no", Ink::Dim),
    };
    let end = match (tested.first_failed, tested.late) {
        (true, _) => style.paint(Ink::Red, "  <- the first that failed"),
        (false, true) => style.paint(Ink::Dim, "  (after the first that failed)"),
        _ => String::new(),
    };
    let (asked, found) = (asked(tested), found(tested));
    let line = style.paint(Ink::Dim, format!("line {}", tested.line));
    writeln!(out, "{indent}{} {asked:<width$}  {found}  {line}{end}", style.paint(ink, mark))
}

fn parent(out: &mut dyn Write, style: Style, group: &ParentView, width: usize) -> io::Result<()> {
    let (mark, ink, what) = match &group.found {
        Some(device) => ("ok", Ink::Green, format!("parent: {} has all of it", shown(device))),
        None => ("NO", Ink::Red, "parent: no device on the way up has all of it".into()),
    };
    let (ink, late) = if group.late { (Ink::Dim, "  (after the first that failed)") } else { (ink, "") };
    writeln!(out, "  {} {what}{}", style.paint(ink, mark), style.paint(Ink::Dim, late))?;
    let Some((best, others)) = group.candidates.split_first() else { return Ok(()) };
    if group.found.is_none() {
        writeln!(out, "     nearest: {}", style.paint(Ink::Bold, shown(&best.device)))?;
    }
    best.conditions.iter().try_for_each(|tested| condition(out, style, tested, "     ", width))?;
    if group.found.is_none() {
        others.iter().try_for_each(|other| writeln!(out, "{}", style.paint(Ink::Dim, tried(other))))?;
    }
    Ok(())
}

/// A device that came less far, on one line.
fn tried(candidate: &Candidate) -> String {
    let name = candidate.device.rsplit('/').next().unwrap_or_default();
    let failed = candidate.conditions.iter().find(|condition| !condition.passed);
    let failed = failed.map(|f| format!("{}, {}", asked(f), found(f))).unwrap_or_default();
    format!("     {}: {} held, then {failed}", shown(name), candidate.passed)
}
