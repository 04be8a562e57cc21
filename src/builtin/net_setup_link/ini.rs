//! Owns reading systemd's configuration syntax (`systemd.syntax(7)`): sections, `Key=Value`, comments, continued lines.
//!
//! Says where each assignment stands. Never knows which keys there are.

use std::ops::Range;

use bstr::{BString, ByteSlice};

use crate::text::space::{trim, trim_start};

/// What a file says, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// `[Section]`.
    Section { name: BString, span: Range<usize> },
    /// `Key=Value`, both trimmed; continued lines are one, with a space between.
    Assignment { key: BString, value: BString, span: Range<usize> },
    /// A line that is none of these, and why.
    Nonsense { why: Nonsense, span: Range<usize> },
}

/// What is wrong with a line as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nonsense {
    /// `[Section` without its end: whatever it was to be, the section before it has ended.
    Unclosed,
    /// No `=`.
    NoAssignment,
    /// Nothing in front of the `=`.
    NoKey,
    NotUtf8,
}

/// All items of a file.
pub(super) fn items(text: &[u8]) -> Vec<Item> {
    logical_lines(text).into_iter().filter_map(|(line, span)| item(&line, span)).collect()
}

fn item(line: &[u8], span: Range<usize>) -> Option<Item> {
    let line = trim(line);
    if line.is_empty() {
        return None;
    }
    Some(match line {
        _ if line.to_str().is_err() => Item::Nonsense { why: Nonsense::NotUtf8, span },
        [b'[', name @ .., b']'] => Item::Section { name: name.into(), span },
        [b'[', ..] => Item::Nonsense { why: Nonsense::Unclosed, span },
        [b'=', ..] => Item::Nonsense { why: Nonsense::NoKey, span },
        _ => match line.split_once_str(b"=") {
            Some((key, value)) => Item::Assignment { key: trim(key).into(), value: trim(value).into(), span },
            None => Item::Nonsense { why: Nonsense::NoAssignment, span },
        },
    })
}

/// Lines with their continuations, and the bytes that they stand in. Comments are left out, also between a line and its
/// continuation.
fn logical_lines(text: &[u8]) -> Vec<(Vec<u8>, Range<usize>)> {
    let mut out: Vec<(Vec<u8>, Range<usize>)> = Vec::new();
    let mut continued = false;
    for span in physical_lines(text) {
        let line = trim_start(text.get(span.clone()).unwrap_or_default());
        if line.starts_with(b"#") || line.starts_with(b";") {
            continue;
        }
        match out.last_mut().filter(|_| continued) {
            Some((whole, whole_span)) => {
                whole.extend_from_slice(line);
                whole_span.end = span.end;
            }
            None => out.push((line.into(), span)),
        }
        let last = out.last_mut().and_then(|(whole, _)| open_end(whole));
        continued = last.is_some();
        if let Some(backslash) = last {
            *backslash = b' ';
        }
    }
    out
}

/// The backslash at the end, unless the one before it takes its meaning away.
fn open_end(line: &mut [u8]) -> Option<&mut u8> {
    let backslashes = line.iter().rev().take_while(|&&b| b == b'\\').count();
    line.last_mut().filter(|_| backslashes % 2 == 1)
}

/// Where lines stand, without their ends. Newline, carriage return and NUL end a line, and several different ones
/// together end it once; a mark of the byte order in front is none of the first.
fn physical_lines(text: &[u8]) -> Vec<Range<usize>> {
    let ends = |at: usize| text.get(at).copied().filter(|b| b"\n\r\0".contains(b));
    let mut out = Vec::new();
    let mut start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while start < text.len() {
        let end = (start..text.len()).find(|&at| ends(at).is_some()).unwrap_or(text.len());
        out.push(start..end);
        start = end;
        let mut seen = Vec::new();
        while let Some(byte) = ends(start).filter(|byte| !seen.contains(byte) && !seen.contains(&0)) {
            seen.push(byte);
            start += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> Vec<String> {
        let one = |item| match item {
            Item::Section { name, .. } => format!("[{name}]"),
            Item::Assignment { key, value, span } => {
                format!("{key}|{value}|{}", text[span].lines().count())
            }
            Item::Nonsense { why, span } => format!("{why:?} {}", text[span].as_bstr()),
        };
        items(text).into_iter().map(one).collect()
    }

    #[test]
    fn what_a_file_says() {
        let text = b"# about\n[Match]\nMACAddress = aa \\\n; between\n  bb\n\nName=\n=x\nword\n [Link] \nA=b=c\r\nLast=1\\";
        assert_eq!(
            shown(text),
            [
                "[Match]",
                "MACAddress|aa  bb|3",
                "Name||1",
                "NoKey =x",
                "NoAssignment word",
                "[Link]",
                "A|b=c|1",
                "Last|1|1"
            ]
        );
    }

    /// As systemd 257 reads them.
    #[test]
    fn odd_lines() {
        for (text, expected) in [
            (&b"\xef\xbb\xbf[A]\nB=1"[..], &["[A]", "B|1|1"][..]),
            (b"[A]\rB=1\n\rC=2\0D=3\0\nE=4", &["[A]", "B|1|1", "C|2|1", "D|3|1", "E|4|1"]),
            (b"A=1\\\\\nB=2", &[r"A|1\\|1", "B|2|1"]),
            (b"A=1\\\\\\\nB=2", &[r"A|1\\ B=2|2"]),
            (b"A=1\\\n\nB=2", &["A|1|1", "B|2|1"]),
            (b"A=1\\\n#\\\n  2\\\n3", &["A|1 2 3|4"]),
            (b"[A\nB=1", &["Unclosed [A", "B|1|1"]),
            (b"[ A ]\n[]", &["[ A ]", "[]"]),
            (b"A=\xff\nB=1", &["NotUtf8 A=\u{fffd}", "B|1|1"]),
            (b"A=\x0b1\x0c\nB=\xc2\xa0", &["A|\x0b1\x0c|1", "B|\u{a0}|1"]),
        ] {
            assert_eq!(shown(text), expected, "{}", text.as_bstr());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for item in items(&text) {
                let (Item::Section { span, .. } | Item::Assignment { span, .. } | Item::Nonsense { span, .. }) = item;
                proptest::prop_assert!(span.end <= text.len() && span.start <= span.end);
            }
        }
    }
}
