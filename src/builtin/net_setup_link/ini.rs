//! Owns reading systemd's configuration syntax (`systemd.syntax(7)`): sections, `Key=Value`, comments, continued lines.
//!
//! Says where each assignment stands. Never knows which keys there are.

use std::ops::Range;

use bstr::{BString, ByteSlice};

/// What a file says, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// `[Section]`.
    Section { name: BString, span: Range<usize> },
    /// `Key=Value`, both trimmed; continued lines are one, with a space between.
    Assignment { key: BString, value: BString, span: Range<usize> },
    /// A line that is neither.
    Nonsense { span: Range<usize> },
}

/// All items of a file.
pub(super) fn items(text: &[u8]) -> Vec<Item> {
    logical_lines(text).into_iter().filter_map(|(line, span)| item(&line, span)).collect()
}

fn item(line: &[u8], span: Range<usize>) -> Option<Item> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    if let Some(name) = line.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        return Some(Item::Section { name: name.into(), span });
    }
    Some(match line.split_once_str(b"=") {
        Some((key, value)) if !key.trim().is_empty() => {
            Item::Assignment { key: key.trim().into(), value: value.trim().into(), span }
        }
        _ => Item::Nonsense { span },
    })
}

/// Lines with their continuations, and the bytes that they stand in. Comments are left out, also between a line and its
/// continuation.
fn logical_lines(text: &[u8]) -> Vec<(Vec<u8>, Range<usize>)> {
    let mut out: Vec<(Vec<u8>, Range<usize>)> = Vec::new();
    let (mut at, mut continued) = (0, false);
    for physical in text.split_inclusive(|&b| b == b'\n') {
        let span = at..at + physical.trim_end_with(|c| matches!(c, '\n' | '\r')).len();
        at += physical.len();
        let line = text.get(span.clone()).unwrap_or_default();
        let start = line.trim_start();
        if start.starts_with(b"#") || start.starts_with(b";") {
            continue;
        }
        let (line, goes_on) = match line.strip_suffix(b"\\") {
            Some(line) => (line, true),
            None => (line, false),
        };
        match out.last_mut().filter(|_| continued) {
            Some((whole, whole_span)) => {
                whole.push(b' ');
                whole.extend_from_slice(line);
                whole_span.end = span.end;
            }
            None => out.push((line.into(), span)),
        }
        continued = goes_on;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says() {
        let text = b"# about\n[Match]\nMACAddress = aa \\\n; between\n  bb\n\nName=\n=x\nword\n [Link] \nA=b=c\r\nLast=1\\";
        let shown: Vec<String> = items(text)
            .into_iter()
            .map(|item| match item {
                Item::Section { name, .. } => format!("[{name}]"),
                Item::Assignment { key, value, span } => {
                    format!("{key}|{value}|{}", text[span].lines().count())
                }
                Item::Nonsense { span } => format!("?{}", text[span].as_bstr()),
            })
            .collect();
        assert_eq!(
            shown,
            ["[Match]", "MACAddress|aa    bb|3", "Name||1", "?=x", "?word", "[Link]", "A|b=c|1", "Last|1|1"]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for item in items(&text) {
                let (Item::Section { span, .. } | Item::Assignment { span, .. } | Item::Nonsense { span }) = item;
                proptest::prop_assert!(span.end <= text.len() && span.start <= span.end);
            }
        }
    }
}
