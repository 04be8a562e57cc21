//! Owns carrying out repairs on a text. Pure: writing the file is the caller's.

use std::path::Path;
use std::sync::Arc;

use super::{Edit, Finding, lint, slips};
use crate::diag::{Diagnostic, Severity, SourceFile};
use crate::rules::ir::RuleFile;
use crate::rules::toml::{self, Known};
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

/// Carries out all certain repairs of a rule file; `None` if there are none, or if the text after them would have
/// mistakes that it does not have now (then a repair was not certain).
pub fn fix(path: &Path, text: &str, known: &Known<'_>) -> Option<Fixed> {
    let mut out = Fixed { text: text.to_owned(), done: Vec::new() };
    for _ in 0..ROUNDS {
        let mut done = Vec::new();
        let edits = select(findings(path, &out.text, known), &mut done);
        if edits.is_empty() {
            break;
        }
        out.text = apply(&out.text, &edits);
        out.done.extend(done);
    }
    // A file that is no TOML any more has one error, and nothing of it counts.
    let errors = |text: &str| {
        let all = read(path, text, known).1;
        let broken = is_toml(path) && all.iter().any(|one| one.code == toml::codes::SYNTAX);
        (broken, all.iter().filter(|one| one.severity == Severity::Error).count())
    };
    (!out.done.is_empty() && errors(&out.text) <= errors(text)).then_some(out)
}

/// What can be repaired in a text.
fn findings(path: &Path, text: &str, known: &Known<'_>) -> Vec<Finding> {
    let (file, diagnostics) = read(path, text, known);
    if is_toml(path) { slips::findings(diagnostics) } else { lint(&[file]) }
}

/// The rules of a text, and what is wrong with it.
fn read(path: &Path, text: &str, known: &Known<'_>) -> (Arc<RuleFile>, Vec<Diagnostic>) {
    let source = SourceFile::new(path, text.as_bytes());
    let (rules, diagnostics) = if is_toml(path) {
        let parsed = toml::parse(&source, known);
        (parsed.rules, parsed.diagnostics)
    } else {
        let parsed = udev::parse(&source, text.as_bytes(), known);
        (parsed.rules, parsed.diagnostics)
    };
    (Arc::new(RuleFile { source, rules }), diagnostics)
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
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
