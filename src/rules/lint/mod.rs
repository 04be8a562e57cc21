//! Owns the lint: what is odd about rules that are right each by themselves. One file for each group of findings.
//!
//! Gives findings, with the change of the text where the repair is certain; never changes a file or a rule. What can't be
//! known is not said: a finding is true, or is a bug.

mod actions;
pub mod codes;
mod fix;
mod flow;
mod known;
mod lines;
mod links;
mod logic;
mod never;
mod parents;
mod properties;
mod run;
mod shadow;
mod slips;
mod style;
mod tokens;

use std::ops::Range;
use std::sync::Arc;

pub use self::fix::{Fixed, fix};
pub use self::parents::Probes;
pub use self::style::BESIDE_OPERATOR;
use super::ir::RuleFile;
use crate::diag::Diagnostic;

/// Something odd, with its repair where that is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What and where.
    pub diagnostic: Diagnostic,
    /// The changes of the file's text that repair it without changing what a rule means; empty if a person has to decide.
    pub edits: Vec<Edit>,
}

/// A change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// What comes in their place.
    pub text: String,
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, edits: Vec::new() }
    }
}

/// Looks over rules as they would be in force together: files in order of evaluation. Findings come in the order of files
/// and places.
pub fn lint(files: &[Arc<RuleFile>]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|file| flow::is_udev(file)) {
        for line in tokens::lines(&file.source) {
            style::find(&file.source, &line, &mut out);
            lines::find(&file.source, &line, &mut out);
        }
    }
    let rules = flow::reached(files);
    never::find(&rules, &mut out);
    links::find(&rules, &mut out);
    run::find(&rules, &mut out);
    actions::find(&rules, &mut out);
    shadow::find(&rules, &mut out);
    properties::find(&rules, &mut out);
    let number = |finding: &Finding| {
        files.iter().position(|file| Arc::ptr_eq(&file.source, &finding.diagnostic.place.file))
    };
    // Stable: what is odd about one place stays in the order in which it was found.
    out.sort_by_cached_key(|finding| (number(finding), finding.diagnostic.place.span.start));
    out
}
