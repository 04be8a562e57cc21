//! Owns the form of `.rules` lines: `KEY=="value", KEY="value"`, as everybody else writes them. Changes nothing that a
//! rule means, so every finding has its repair.

use std::ops::Range;
use std::sync::Arc;

use super::tokens::{Written, WrittenLine};
use super::{Edit, Finding, codes};
use crate::diag::{Diagnostic, SourceFile};

/// What is said of white space beside an operator, which `udevadm verify` takes for no fault.
pub const BESIDE_OPERATOR: &str = "white space beside an operator";

/// What is odd about the form of a line.
pub(super) fn find(source: &Arc<SourceFile>, line: &WrittenLine, out: &mut Vec<Finding>) {
    let look = Look { source };
    if let (Some(first), Some(last)) = (line.tokens.first(), line.tokens.last()) {
        look.end(line.span.start..first.span.start, "a comma begins the line", out);
        if line.whole {
            look.end(last.span.end..line.span.end, "a comma ends the line", out);
        }
    }
    for pair in line.tokens.windows(2) {
        if let [one, other] = pair {
            look.between(one.span.end..other.span.start, out);
        }
    }
    for token in &line.tokens {
        look.operator(token, out);
    }
}

struct Look<'s> {
    source: &'s Arc<SourceFile>,
}

impl Look<'_> {
    fn text(&self, span: &Range<usize>) -> &str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    /// A note; `instead` is what belongs there, if that is one thing on one line.
    fn note(&self, code: &'static str, message: &str, span: Range<usize>, instead: Option<&str>) -> Finding {
        let shown = if span.is_empty() { span.start..span.end + 1 } else { span.clone() };
        let diagnostic = Diagnostic::note(code, message, self.source.place(shown))
            .hint("write KEY==\"value\", KEY=\"value\"");
        let edits = instead.map(|text| Edit { span, text: text.into() });
        Finding { diagnostic, edits: edits.into_iter().collect() }
    }

    /// Commas before the first or behind the last token.
    fn end(&self, span: Range<usize>, message: &str, out: &mut Vec<Finding>) {
        let text = self.text(&span);
        if text.contains(',') {
            let instead = (!text.contains('\n')).then_some("");
            out.push(self.note(codes::STYLE_COMMA, message, span, instead));
        }
    }

    fn between(&self, span: Range<usize>, out: &mut Vec<Finding>) {
        let gap = self.text(&span);
        let one_line = !gap.contains('\n');
        // A comment inside of a continued line may hold commas.
        let own: String = gap.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let commas = own.matches(',').count();
        let instead = if one_line { Some(", ") } else { None };
        if commas == 0 {
            let finding = if one_line {
                self.note(codes::STYLE_COMMA, "a comma belongs between two tokens", span, instead)
            } else {
                let at = span.start..span.start;
                self.note(codes::STYLE_COMMA, "a comma belongs between two tokens", at, Some(","))
            };
            out.push(finding);
        } else if commas > 1 {
            out.push(self.note(codes::STYLE_COMMA, "more than one comma between two tokens", span, instead));
        } else if gap.starts_with([' ', '\t']) && gap.trim_start_matches([' ', '\t']).starts_with(',') {
            let len = gap.len() - gap.trim_start_matches([' ', '\t']).len();
            let before = span.start..span.start + len;
            out.push(self.note(codes::STYLE_SPACE, "white space before a comma", before, Some("")));
        } else if gap.starts_with(",\\") {
            let behind = span.start + 1..span.start + 1;
            out.push(self.note(codes::STYLE_SPACE, "white space belongs behind a comma", behind, Some(" ")));
        } else if gap == "," {
            out.push(self.note(codes::STYLE_SPACE, "white space belongs behind a comma", span, instead));
        }
    }

    fn operator(&self, token: &Written, out: &mut Vec<Finding>) {
        let key_end = token.attribute_span.as_ref().map_or(token.key_span.end, |span| span.end + 1);
        let gaps = [key_end..token.operator_span.start, token.operator_span.end..token.value_span.start];
        for gap in gaps {
            let text = self.text(&gap);
            if !text.is_empty() {
                let instead = text.chars().all(|c| c == ' ' || c == '\t').then_some("");
                out.push(self.note(codes::STYLE_SPACE, BESIDE_OPERATOR, gap, instead));
            }
        }
    }
}
