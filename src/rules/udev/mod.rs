//! Owns udev's rule language: the text of a `.rules` file becomes rules, and what is wrong with it is said.
//!
//! What a mistake costs is udev's: mostly its line, never more. Never reads a file (that is `load`) and never evaluates.

mod action;
mod asks;
pub mod codes;
mod differences;
mod jumps;
pub mod keys;
pub mod lex;
mod line;
mod lines;
mod order;
mod print;

use std::sync::Arc;

pub use self::action::OPTIONS;
pub use self::differences::DIFFERENCES;
pub use self::lines::{LINE_MAX, Line, LineProblem, Lines};
pub use self::order::{PARENTS, parent_turn, turn};
pub use self::print::{Unsayable, print, print_rule};
use super::ir::Rule;
use super::toml::Known;
use crate::diag::{Diagnostic, SourceFile};

/// What a text came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The rules that were understood, in the order of the file.
    pub rules: Vec<Rule>,
    /// What is wrong, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a rule file; `bytes` is what `source` was made from.
pub fn parse(source: &Arc<SourceFile>, bytes: &[u8], known: &Known<'_>) -> Parsed {
    let lines = Lines::new(source, bytes);
    let mut diagnostics = Vec::new();
    let drafts =
        lines.iter().filter_map(|text| line::parse(&lines, &text, known, &mut diagnostics)).collect();
    let rules = jumps::resolve(drafts, &mut diagnostics);
    // Stable: what is wrong with one place stays in the order in which it was found.
    diagnostics.sort_by_key(|diagnostic| diagnostic.place.span.start);
    Parsed { rules, diagnostics }
}
