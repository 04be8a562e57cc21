//! Owns which rules an explanation is about: those that could give a link, the one at a place, those that nearly matched.

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::RulePlace;
use crate::cli::device_arg::below_dev;
use crate::cli::dry::Rules;
use crate::diag::{Diagnostic, Place};
use crate::rules::ir::{Effect, ListOp, Rule, StepKind};
use crate::rules::template::{Part, Template};
use crate::rules::trace::{RuleTrace, StepTrace, Tested};
use crate::text::{Case, Pattern};

/// Why no rule is at a place.
#[derive(Debug)]
pub(super) enum Missing<'r> {
    /// No file of that name is in force.
    File,
    /// The file has no rule there.
    Rule,
    /// The rule there has mistakes and is not in force.
    LeftOut(Vec<&'r Diagnostic>),
}

/// True when one of the rule's link templates could become that name, in this event or another.
pub(super) fn could_give(rule: &Rule, link: &[u8]) -> bool {
    rule.steps.iter().any(|step| match &step.kind {
        StepKind::Do { effect: Effect::Link { op: ListOp::Set | ListOp::Add, names, .. }, .. } => {
            names.iter().any(|name| could_become(name, link))
        }
        _ => false,
    })
}

/// A template as a pattern: its texts stand for themselves, each substitution for anything.
fn could_become(template: &Template, link: &[u8]) -> bool {
    let mut pattern = BString::default();
    for part in template.parts() {
        match part {
            Part::Var(_) => pattern.push(b'*'),
            Part::Text(text) => {
                for &byte in text.iter() {
                    if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                        pattern.push(b'\\');
                    }
                    pattern.push(byte);
                }
            }
        }
    }
    Pattern::single(&pattern, Case::Sensitive).matches(link)
}

/// The number of the rule of udev's that a line is part of.
fn at_line<'r>(rules: &'r Rules, path: &Path, line: u32) -> Result<usize, Missing<'r>> {
    let covers = |place: &Place| {
        place.file.path == path && (place.line..=place.file.position(place.span.end).0).contains(&line)
    };
    if let Some((at, _)) = rules.compiled.all().find(|(_, rule)| covers(&rule.place)) {
        return Ok(at);
    }
    let mistakes: Vec<&Diagnostic> = rules.loaded.diagnostics.iter().filter(|d| covers(&d.place)).collect();
    Err(if mistakes.is_empty() { Missing::Rule } else { Missing::LeftOut(mistakes) })
}

/// The number of the rule at a place: the one whose `[[rule]]` is nearest above the line.
pub(super) fn at_place<'r>(rules: &'r Rules, place: &RulePlace) -> Result<usize, Missing<'r>> {
    let absolute = std::path::absolute(&place.file).unwrap_or_else(|_| place.file.clone());
    let is_it = |path: &Path| path == absolute || path.ends_with(&place.file);
    let mut files = rules.loaded.files.iter().map(|file| &file.source);
    let source = files.find(|source| is_it(&source.path)).ok_or(Missing::File)?;
    if source.path.extension().is_some_and(|extension| extension == "rules") {
        return at_line(rules, &source.path, place.line);
    }
    let headers = source.text.lines().zip(1u32..).filter(|(text, _)| text.trim_start().starts_with("[["));
    let (above, below): (Vec<u32>, Vec<u32>) =
        headers.map(|(_, line)| line).partition(|line| *line <= place.line);
    let begin = above.last().copied().unwrap_or(1);
    let end = below.first().copied().unwrap_or(u32::MAX);
    let inside = |line: u32| (begin..end).contains(&line);
    let of_file = rules.compiled.all().filter(|(_, rule)| rule.place.file.path == source.path);
    let within = of_file.filter(|(_, rule)| inside(rule.place.line) && rule.place.line <= place.line);
    if let Some((at, _)) = within.last() {
        return Ok(at);
    }
    let mistakes = rules.loaded.diagnostics.iter();
    let mistakes: Vec<&Diagnostic> =
        mistakes.filter(|d| d.place.file.path == source.path && inside(d.place.line)).collect();
    Err(if mistakes.is_empty() { Missing::Rule } else { Missing::LeftOut(mistakes) })
}

/// The one condition that kept a rule from applying, if all others hold. Rules for other subsystems and other actions
/// are about something else, and rules with that one condition only say nothing of this device.
pub(super) fn nearly(trace: &RuleTrace) -> Option<&Tested> {
    if trace.skipped.is_some() {
        return None;
    }
    let (mut held, mut failed) = (0, 0);
    for step in &trace.steps {
        match step {
            StepTrace::Condition(tested) if tested.passed => held += 1,
            // a program that was not run, or failed, gave no result
            StepTrace::Condition(tested) if tested.late && tested.subject == "result" => {}
            StepTrace::Condition(_) | StepTrace::Parent { found: None, .. } => failed += 1,
            StepTrace::Parent { .. } => held += 1,
            StepTrace::Effect { .. } => {}
        }
    }
    let first = trace.first_failed().filter(|_| failed == 1 && held > 0)?;
    let other_kind = matches!(first.subject.as_str(), "subsystem" | "action" | "devtype");
    let in_group =
        !trace.steps.iter().any(|step| matches!(step, StepTrace::Condition(t) if std::ptr::eq(t, first)));
    (in_group || !other_kind).then_some(first)
}

/// A link's name as typed: with the device directory in front, or without.
pub(super) fn link_name(typed: &[u8], dirs: [&Path; 2]) -> BString {
    let below = |dir: &Path| {
        typed.strip_prefix(dir.as_os_str().as_encoded_bytes()).and_then(|rest| rest.strip_prefix(b"/"))
    };
    let below = dirs.into_iter().find_map(below).or_else(|| below_dev(typed));
    below.unwrap_or(typed).trim_start_with(|c| c == '/').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_could_become() {
        for (template, link, could) in [
            ("gps", "gps", true),
            ("gps", "gps2", false),
            ("camera/$index", "camera/0", true),
            ("camera/by-port/$env{ID_PATH}", "camera/0", false),
            ("$kernel", "anything/at/all", true),
            ("a*b", "axb", false),
            ("a*b-%n", "a*b-7", true),
            ("by/$env{A}-$env{B}", "by/x-y", true),
        ] {
            assert_eq!(
                could_become(&Template::parse(template.as_bytes()).0, link.as_bytes()),
                could,
                "{template} {link}"
            );
        }
    }

    #[test]
    fn names_of_links_as_people_type_them() {
        let dirs = [Path::new("/home/me/dev"), Path::new("/tree/dev")];
        for typed in ["gps", "/dev/gps", "/home/me/dev/gps", "/tree/dev/gps"] {
            assert_eq!(link_name(typed.as_bytes(), dirs), "gps");
        }
    }
}
