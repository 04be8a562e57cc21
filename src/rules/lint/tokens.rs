//! Owns the tokens of a `.rules` file with their ranges in its text, for what is about how a rule is written.

use std::ops::Range;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use crate::diag::SourceFile;
use crate::rules::udev::lex::{self, Operator};
use crate::rules::udev::{Line, Lines};

/// A token as written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) key: BString,
    pub(super) attribute: Option<BString>,
    pub(super) operator: Operator,
    pub(super) value: BString,
    pub(super) fold: bool,
    /// The whole token; all ranges are in the file's text.
    pub(super) span: Range<usize>,
    pub(super) key_span: Range<usize>,
    pub(super) attribute_span: Option<Range<usize>>,
    pub(super) operator_span: Range<usize>,
    pub(super) value_span: Range<usize>,
}

/// A line's tokens up to the first mistake.
#[derive(Debug)]
pub(super) struct WrittenLine {
    /// Everything but white space at the ends.
    pub(super) span: Range<usize>,
    pub(super) tokens: Vec<Written>,
    /// All of the line was read.
    pub(super) whole: bool,
}

/// The lines of a file.
pub(super) fn lines(source: &Arc<SourceFile>) -> Vec<WrittenLine> {
    let lines = Lines::new(source, source.text.as_bytes());
    lines.all().iter().filter(|line| line.problem.is_none()).map(|line| read(&lines, line)).collect()
}

fn read(lines: &Lines<'_>, line: &Line) -> WrittenLine {
    let span = |range: &Range<usize>| lines.place(line, range).span;
    let mut out =
        WrittenLine { span: span(&(0..line.text.trim_end().len())), tokens: Vec::new(), whole: false };
    let mut at = 0;
    loop {
        match lex::token(&line.text, at) {
            Ok(Some(token)) => {
                at = token.span.end;
                out.tokens.push(Written {
                    key: token.key.into(),
                    attribute: token.attribute.as_ref().map(|(name, _)| (*name).into()),
                    operator: token.operator.0,
                    value: token.value.clone(),
                    fold: token.fold,
                    span: span(&token.span),
                    key_span: span(&token.key_span),
                    attribute_span: token.attribute.as_ref().map(|(_, range)| span(range)),
                    operator_span: span(&token.operator.1),
                    value_span: span(&token.value_span),
                });
            }
            Ok(None) => {
                out.whole = true;
                return out;
            }
            Err(_) => return out,
        }
    }
}
