//! Owns carrying out repairs on a text. Pure: writing the file is the caller's.

use std::path::Path;
use std::sync::Arc;

use super::{Edit, Finding, lint};
use crate::diag::{Diagnostic, Severity, SourceFile};
use crate::rules::ir::RuleFile;
use crate::rules::toml::Known;
use crate::rules::udev;

/// A repair may uncover another (a token that is taken out leaves a comma); more rounds than this are none.
const ROUNDS: usize = 8;

/// A repaired text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The new text.
    pub text: String,
    /// What was repaired; places are those of the text before the round that did it.
    pub done: Vec<Diagnostic>,
}

/// Carries out all certain repairs of a `.rules` file; `None` if there are none, or if the text after them would have
/// mistakes that it does not have now (then a repair was not certain).
pub fn fix(path: &Path, text: &str, known: &Known<'_>) -> Option<Fixed> {
    let mut out = Fixed { text: text.to_owned(), done: Vec::new() };
    for _ in 0..ROUNDS {
        let (file, _) = read(path, &out.text, known);
        let mut done = Vec::new();
        let edits = select(lint(&[file]), &mut done);
        if edits.is_empty() {
            break;
        }
        out.text = apply(&out.text, &edits);
        out.done.extend(done);
    }
    let errors = |text: &str| read(path, text, known).1;
    (!out.done.is_empty() && errors(&out.text) <= errors(text)).then_some(out)
}

/// The rules of a text, and how many errors it has.
fn read(path: &Path, text: &str, known: &Known<'_>) -> (Arc<RuleFile>, usize) {
    let source = SourceFile::new(path, text.as_bytes());
    let parsed = udev::parse(&source, text.as_bytes(), known);
    let errors = parsed.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    (Arc::new(RuleFile { source, rules: parsed.rules }), errors)
}

/// Edits that do not touch each other, in order; what overlaps waits for the next round.
fn select(findings: Vec<Finding>, done: &mut Vec<Diagnostic>) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for finding in findings {
        let free = |edit: &Edit| {
            edits.iter().all(|other| edit.span.end < other.span.start || other.span.end < edit.span.start)
        };
        if !finding.edits.is_empty() && finding.edits.iter().all(free) {
            edits.extend(finding.edits);
            done.push(finding.diagnostic);
        }
    }
    edits.sort_by_key(|edit| edit.span.start);
    edits
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.span.start).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
