//! Owns what is odd within one line of a `.rules` file as written: expressions twice, `RESULT` before `PROGRAM`, names
//! that udev had once.

use std::ops::Range;
use std::sync::Arc;

use super::tokens::{Written, WrittenLine};
use super::{Edit, Finding, codes};
use crate::diag::{Diagnostic, SourceFile};
use crate::rules::udev::lex::Operator;

/// Keys that had other names, and what they are called now.
const OLD_KEYS: &[(&str, &str)] = &[("BUS", "SUBSYSTEMS"), ("ID", "KERNELS"), ("SYSFS", "ATTRS")];
/// Keys that are gone.
const GONE_KEYS: &[&str] = &["WAIT_FOR", "WAIT_FOR_SYSFS"];
/// Substitutions that had other names.
const OLD_WORDS: &[(&str, &str)] = &[("$tempnode", "$devnode"), ("$sysfs{", "$attr{")];
/// Options that mean nothing any more, as they begin.
const OLD_OPTIONS: &[&str] =
    &["last_rule", "ignore_device", "ignore_remove", "all_partitions", "event_timeout="];

/// What is odd about a line.
pub(super) fn find(source: &Arc<SourceFile>, line: &WrittenLine, out: &mut Vec<Finding>) {
    let mut program = false;
    for (at, token) in line.tokens.iter().enumerate() {
        duplicate(source, line, at, token, out);
        old_names(source, line, at, token, out);
        program |= token.key == "PROGRAM";
        if token.key == "RESULT" && !program && line.tokens.iter().any(|other| other.key == "PROGRAM") {
            let place = source.place(token.span.clone());
            let message = "`PROGRAM` of this line runs before this is compared";
            let hint = "write PROGRAM first: tokens count by kind, not as written";
            out.push(Diagnostic::note(codes::RESULT_FIRST, message, place).hint(hint).into());
        }
    }
}

fn same(a: &Written, b: &Written) -> bool {
    a.key == b.key
        && a.attribute == b.attribute
        && a.operator == b.operator
        && a.value == b.value
        && a.fold == b.fold
}

/// Taking the second out changes nothing: of a comparison always, of an assignment where it sets or adds to a set, with
/// nothing of the key in between that could undo the first.
fn harmless(line: &WrittenLine, first: usize, second: usize, token: &Written) -> bool {
    let between = line.tokens.get(first + 1..second).unwrap_or_default();
    match token.key.as_slice() {
        // What runs twice may say something else the second time.
        b"PROGRAM" | b"IMPORT" => false,
        _ if token.operator.is_match() => true,
        b"SYMLINK" | b"TAG" | b"RUN" | b"MODE" | b"OWNER" | b"GROUP" | b"OPTIONS" | b"NAME" => {
            between.iter().all(|other| {
                other.key != token.key
                    || other.operator.is_match()
                    || token.operator == Operator::Add && other.operator == Operator::Add
            })
        }
        _ => false,
    }
}

fn duplicate(
    source: &Arc<SourceFile>,
    line: &WrittenLine,
    at: usize,
    token: &Written,
    out: &mut Vec<Finding>,
) {
    // What these mean twice is said by the parser.
    if token.key == "GOTO" || token.key == "LABEL" {
        return;
    }
    let Some(first) = line.tokens.iter().take(at).rposition(|other| same(other, token)) else { return };
    let place = source.place(token.span.clone());
    let message = "this is in the line already";
    let diagnostic = Diagnostic::warning(codes::DUPLICATE, message, place).hint("take one of them out");
    let edit = if harmless(line, first, at, token) { without(source, line, at) } else { None };
    out.push(Finding { diagnostic, edits: edit.into_iter().collect() });
}

/// Takes a token out, with what separates it from its neighbour; `None` if it is the only one, or lines would have to be
/// joined.
fn without(source: &Arc<SourceFile>, line: &WrittenLine, at: usize) -> Option<Edit> {
    let token = line.tokens.get(at)?;
    let one_line = |span: Range<usize>| {
        let gap = source.text.get(span.clone()).filter(|gap| !gap.contains('\n'));
        gap.map(|_| Edit { span, text: String::new() })
    };
    let behind = line.tokens.get(at + 1).map(|next| token.span.start..next.span.start);
    let before = at.checked_sub(1).and_then(|at| line.tokens.get(at));
    let before = before.map(|before| before.span.end..token.span.end);
    behind.and_then(one_line).or_else(|| before.and_then(one_line))
}

fn old_names(
    source: &Arc<SourceFile>,
    line: &WrittenLine,
    at: usize,
    token: &Written,
    out: &mut Vec<Finding>,
) {
    let old = |span: Range<usize>, message: String, hint: String, edit: Option<Edit>| Finding {
        diagnostic: Diagnostic::warning(codes::OLD_NAME, message, source.place(span)).hint(hint),
        edits: edit.into_iter().collect(),
    };
    let (key, value) = (token.key.as_slice(), token.value.as_slice());
    let span = token.key_span.clone();
    if let Some((_, new)) = OLD_KEYS.iter().find(|(old, _)| old.as_bytes() == key) {
        let edit = token.operator.is_match().then(|| Edit { span: span.clone(), text: (*new).into() });
        out.push(old(span, format!("`{}` is called `{new}` now", token.key), format!("write `{new}`"), edit));
    } else if GONE_KEYS.iter().any(|gone| gone.as_bytes() == key) {
        let hint = "take it out: attributes are there before the event".to_owned();
        out.push(old(span, format!("`{}` is gone, and costs the line", token.key), hint, None));
    } else if key == b"NAME" && value == b"%k" && token.operator == Operator::Assign {
        let message = "`NAME=\"%k\"` says nothing, and costs the line".to_owned();
        out.push(old(token.span.clone(), message, "take it out".into(), without(source, line, at)));
    } else if key == b"OPTIONS" && OLD_OPTIONS.iter().any(|old| value.starts_with(old.as_bytes())) {
        let message = format!("the option `{}` means nothing any more", token.value);
        out.push(old(token.span.clone(), message, "take it out".into(), without(source, line, at)));
    } else if key == b"RUN" && value.starts_with(b"socket:") {
        let message = "events are not sent to sockets any more: this is run as a program".to_owned();
        let hint = "take it out; `nameplate monitor` and libudev show events".to_owned();
        out.push(old(token.span.clone(), message, hint, None));
    }
    for span in token.attribute_span.iter().chain([&token.value_span]) {
        if token.operator.is_match() && Some(span) == Some(&token.value_span) && !expands(key) {
            continue;
        }
        for (span, new) in old_words(source, span) {
            let word = source.text.get(span.clone()).unwrap_or_default();
            let message = format!("`{word}` is called `{new}` now");
            let edit = Edit { span: span.clone(), text: new.into() };
            out.push(old(span, message, format!("write `{new}`"), Some(edit)));
        }
    }
}

/// Keys whose value is a template where it is compared, too.
fn expands(key: &[u8]) -> bool {
    matches!(key, b"TEST" | b"PROGRAM" | b"IMPORT")
}

/// Where old substitutions stand in a range, each with its new name.
fn old_words(source: &Arc<SourceFile>, span: &Range<usize>) -> Vec<(Range<usize>, &'static str)> {
    let text = source.text.get(span.clone()).unwrap_or_default();
    let mut out = Vec::new();
    for (old, new) in OLD_WORDS {
        for (at, _) in text.match_indices(old) {
            // `$$tempnode` is a `$` and a word.
            let dollars = text
                .as_bytes()
                .get(..at)
                .unwrap_or_default()
                .iter()
                .rev()
                .take_while(|b| **b == b'$')
                .count();
            if dollars % 2 == 0 {
                out.push((span.start + at..span.start + at + old.len(), *new));
            }
        }
    }
    out
}
