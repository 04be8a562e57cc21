//! Owns the lines of a `.rules` file: which physical lines make one rule, and where each byte of a rule stands in the
//! file.
//!
//! Never looks inside a rule: that is `lex`.

use std::ops::Range;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use crate::diag::{Place, SourceFile};
use crate::text::space::is_space;

/// A line of this many bytes, or a continued one of this many altogether, is refused (udev's limit).
pub const LINE_MAX: usize = 16_384;

/// A file cut into rules.
#[derive(Debug)]
pub struct Lines<'a> {
    file: &'a Arc<SourceFile>,
    bytes: &'a [u8],
    /// The bytes are UTF-8, so that an offset in them is one in the file's text.
    exact: bool,
}

/// A rule's text: physical lines joined, without leading white space, backslashes at line ends and comments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The joined text.
    pub text: BString,
    pieces: Vec<Piece>,
    /// Why it is no rule.
    pub problem: Option<LineProblem>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// One physical line is too long, or all together are.
    #[error("the line has {LINE_MAX} bytes or more")]
    TooLong,
    /// The file ends behind a backslash.
    #[error("the file ends after a line that goes on")]
    Unfinished,
}

/// Where a part of the joined text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Offset in the joined text.
    at: usize,
    /// Offset in the file's bytes.
    raw: usize,
    line: Start,
}

/// The beginning of a line of the file, as editors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    /// Number, from 1.
    number: u32,
    /// Offset in the file's bytes.
    raw: usize,
    /// Offset in the file's text, in which bad bytes are replaced.
    shown: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `bytes`, from which `file` was made.
    pub fn new(file: &'a Arc<SourceFile>, bytes: &'a [u8]) -> Self {
        Self { file, bytes, exact: file.text.as_bytes() == bytes }
    }

    /// The place of a range of a line's text.
    pub fn place(&self, line: &Line, range: &Range<usize>) -> Place {
        let start = line.piece(range.start);
        let end = line.piece(range.end.saturating_sub(1).max(range.start));
        // What is odd may be one byte of a character: the whole of it is shown.
        let span = self.file.characters(self.shown(start, range.start)..self.shown(end, range.end));
        let before = self.file.text.get(start.line.shown..span.start).unwrap_or_default();
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        Place { file: Arc::clone(self.file), line: start.line.number, column, span }
    }

    /// The offset in the file's text of an offset in a piece.
    fn shown(&self, piece: &Piece, at: usize) -> usize {
        let raw = piece.raw + at.saturating_sub(piece.at);
        if self.exact {
            return raw;
        }
        let before = self.bytes.get(piece.line.raw..raw).unwrap_or_default();
        piece.line.shown + before.to_str_lossy().len()
    }

    /// All rules of the file, those that are too long or unfinished as well. Empty lines and comments are none.
    pub fn all(&self) -> Vec<Line> {
        self.iter().collect()
    }

    /// The same, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Line> {
        let mut physical = self.physical();
        std::iter::from_fn(move || self.next(&mut physical))
    }

    fn next(&self, physical: &mut impl Iterator<Item = (Start, Range<usize>)>) -> Option<Line> {
        let mut joined: Option<Line> = None;
        for (start, range) in physical {
            let whole = self.bytes.get(range.clone()).unwrap_or_default();
            let skipped = whole.iter().take_while(|b| is_space(**b)).count();
            let text = whole.get(skipped..).unwrap_or_default();
            if text.starts_with(b"#") {
                continue;
            }
            let (text, mut goes_on) = match text.strip_suffix(b"\\") {
                Some(front) => (front, true),
                None => (text, false),
            };
            let mut line = joined.take().unwrap_or_default();
            line.push(text, range.start + skipped, start, whole.len(), goes_on);
            // Two backslashes before an empty line: the first of them is at the end now.
            let again = line.problem.is_none() && line.text.last() == Some(&b'\\');
            if !goes_on && text.is_empty() && again {
                line.text.pop();
                goes_on = true;
            }
            if goes_on {
                joined = Some(line);
            } else if !line.text.is_empty() || line.problem.is_some() {
                return Some(line);
            }
        }
        joined.map(|line| Line { problem: Some(LineProblem::Unfinished), ..line })
    }

    /// The physical lines without their ends: LF, CR, NUL, or different ones of these in a row.
    fn physical(&self) -> impl Iterator<Item = (Start, Range<usize>)> {
        let mut start = Start { number: 1, raw: 0, shown: 0 };
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let len = rest.find_byteset(b"\n\r\0").unwrap_or(rest.len());
            let found = (start, at..at + len);
            let ends = rest.get(len..).unwrap_or_default();
            let count = ends
                .iter()
                .enumerate()
                .take_while(|(i, b)| b"\n\r\0".contains(b) && !ends.iter().take(*i).any(|seen| seen == *b))
                .count();
            let next = at + len + count;
            if let Some(newline) = ends.iter().take(count).position(|b| *b == b'\n') {
                let raw = at + len + newline + 1;
                let shown = if self.exact {
                    raw
                } else {
                    let line = self.bytes.get(start.raw..raw).unwrap_or_default();
                    start.shown + line.to_str_lossy().len()
                };
                start = Start { number: start.number.saturating_add(1), raw, shown };
            }
            at = next;
            Some(found)
        })
    }
}

impl Line {
    /// Adds a physical line of so many bytes; the backslash at the end of one that goes on counts for the limit.
    fn push(&mut self, text: &[u8], raw: usize, line: Start, physical: usize, goes_on: bool) {
        self.pieces.push(Piece { at: self.text.len(), raw, line });
        if physical >= LINE_MAX || self.text.len() + text.len() + usize::from(goes_on) >= LINE_MAX {
            self.problem = Some(LineProblem::TooLong);
        }
        if self.problem.is_none() {
            self.text.extend_from_slice(text);
        }
    }

    /// The piece that holds an offset.
    fn piece(&self, at: usize) -> &Piece {
        const NOWHERE: &Piece = &Piece { at: 0, raw: 0, line: Start { number: 1, raw: 0, shown: 0 } };
        let behind = self.pieces.partition_point(|piece| piece.at <= at);
        self.pieces.get(behind.saturating_sub(1)).unwrap_or(NOWHERE)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let file = SourceFile::new(Path::new("x.rules"), bytes);
        let lines = Lines::new(&file, bytes);
        let show = |line: Line| {
            let place = lines.place(&line, &(0..line.text.len()));
            let problem = line.problem.map(|problem| format!(" {problem:?}")).unwrap_or_default();
            format!("{}:{} {}{problem}", place.line, place.column, line.text.escape_ascii())
        };
        lines.all().into_iter().map(show).collect()
    }

    #[test]
    fn joining() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n \n\t\n", &[]),
            ("a", &["1:1 a"]),
            ("a\nb\n", &["1:1 a", "2:1 b"]),
            ("  a  \n", &["1:3 a  "]),
            ("# a\\\nb\n", &["2:1 b"]),
            ("a, \\\n  b\n", &["1:1 a, b"]),
            ("a, \\\n# comment\n  b\nc", &["1:1 a, b", "4:1 c"]),
            ("a \\\n  # comment \\\nb", &["1:1 a b"]),
            ("a\\\n\nb", &["1:1 a", "3:1 b"]),
            ("a\\\n \t \nb", &["1:1 a", "3:1 b"]),
            ("a\\\\\n\nb", &["1:1 ab"]),
            ("a\\\\\nb", &["1:1 a\\\\b"]),
            ("a\\", &["1:1 a Unfinished"]),
            ("a\\\n# comment\n", &["1:1 a Unfinished"]),
            ("a\\ \nb", &["1:1 a\\\\ ", "2:1 b"]),
            ("\\\na", &["2:1 a"]),
            ("a\r\nb\r\n", &["1:1 a", "2:1 b"]),
            ("a\\\r\nb", &["1:1 ab"]),
            ("a\rb\n", &["1:1 a", "1:3 b"]),
            ("a\0b\n", &["1:1 a", "1:3 b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(lines(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let most = "a".repeat(LINE_MAX - 1);
        assert_eq!(lines(most.as_bytes()), [format!("1:1 {most}")]);
        assert_eq!(lines(format!("{most}a\nb").as_bytes()), ["1:1  TooLong", "2:1 b"]);
        let half = "a".repeat(LINE_MAX / 2);
        let long = format!("{half}\\\n{half}\\\nc\nd");
        assert_eq!(lines(long.as_bytes()), [format!("1:1 {half} TooLong"), "4:1 d".into()]);
        let many = "a\\\n".repeat(10_000) + "a\n";
        assert_eq!(lines(many.as_bytes()), [format!("1:1 {}", "a".repeat(10_001))]);
    }

    #[test]
    fn places_across_lines_and_bad_bytes() {
        let bytes = b"# \xff\xfe\n\xfca, \\\n  bc\n";
        let file = SourceFile::new(Path::new("x.rules"), bytes);
        let lines = Lines::new(&file, bytes);
        let line = &lines.all()[0];
        assert_eq!(line.text, b"\xfca, bc".as_bstr());
        let place = lines.place(line, &(5..6));
        assert_eq!((place.line, place.column, &file.text[place.span]), (3, 4, "c"));
        let place = lines.place(line, &(1..6));
        assert_eq!((place.line, place.column, &file.text[place.span]), (2, 2, "a, \\\n  bc"));
    }
}
