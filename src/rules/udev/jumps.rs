//! Owns `GOTO` and `LABEL`: which rule a jump leads to.

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::codes;
use super::line::{Draft, Named};
use crate::diag::Diagnostic;
use crate::rules::ir::{Jump, Rule};

/// Makes rules of lines. A line that is only a label is none; a jump leads to the first later line that has the label.
pub(super) fn resolve(drafts: Vec<Draft>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let mut labels: BTreeMap<BString, Vec<usize>> = BTreeMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(label) = &draft.label {
            labels.entry(label.name.clone()).or_default().push(at);
        }
    }
    let mut used = BTreeSet::new();
    let mut targets = Vec::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate() {
        let target = draft.goto.as_ref().and_then(|goto| {
            let found = labels.get(&goto.name).and_then(|places| {
                // Ascending, as they were found.
                places.get(places.partition_point(|to| *to <= at)).copied()
            });
            if found.is_none() {
                diagnostics.push(unknown(goto, labels.contains_key(&goto.name)));
            }
            found
        });
        used.extend(target);
        targets.push(target);
    }
    let mut numbers = Vec::with_capacity(drafts.len());
    let mut next = 0;
    for (draft, target) in drafts.iter().zip(&targets) {
        numbers.push(next);
        next += usize::from(is_rule(draft, *target));
    }
    let mut rules = Vec::with_capacity(next);
    for ((at, draft), target) in drafts.into_iter().enumerate().zip(targets) {
        if let Some(label) = draft.label.as_ref().filter(|_| !used.contains(&at)) {
            diagnostics.push(unused(label));
        }
        if is_rule(&draft, target) {
            let to = target.and_then(|to| numbers.get(to).copied());
            let jump = draft.goto.zip(to).map(|(goto, to)| Jump { place: goto.place, to });
            rules.push(Rule { place: draft.place, about: None, steps: draft.steps, jump });
        }
    }
    rules
}

/// A line with neither effect nor jump is there for its label only, or for a jump that leads nowhere.
fn is_rule(draft: &Draft, target: Option<usize>) -> bool {
    target.is_some() || draft.steps.iter().any(super::line::acts)
}

fn unknown(goto: &Named, earlier: bool) -> Diagnostic {
    let message = format!("no later line has LABEL=\"{}\": this does not jump", goto.name);
    let hint = if earlier {
        "a jump leads forward only; move the label behind it".to_owned()
    } else {
        format!("write LABEL=\"{}\" on a line further down in this file", goto.name)
    };
    Diagnostic::error(codes::UNKNOWN_LABEL, message, goto.place.clone()).hint(hint)
}

fn unused(label: &Named) -> Diagnostic {
    let message = format!("no earlier line has GOTO=\"{}\"", label.name);
    Diagnostic::warning(codes::UNUSED_LABEL, message, label.place.clone()).hint("take the label out")
}
