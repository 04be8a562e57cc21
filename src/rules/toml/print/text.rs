//! Owns the small pieces of what is printed: strings, keys, lists, templates.

use std::fmt::Write as _;

use bstr::{BStr, ByteSlice};

use super::Said;
use crate::rules::template::Template;

pub(super) fn one_or_list(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        _ => in_list(values),
    }
}

pub(super) fn in_list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

pub(super) fn utf8(text: &BStr) -> Said<&str> {
    text.to_str().map_err(|_| format!("bytes that are no UTF-8, `{text}`"))
}

/// The text of a template, if it is read as the same here.
pub(super) fn said(template: &Template) -> Said<&str> {
    let text = utf8(template.text())?;
    match Template::parse(text.as_bytes()) {
        (read, errors) if errors.is_empty() && read == *template => Ok(text),
        _ => Err(format!("the text `{text}`")),
    }
}

pub(super) fn template(template: &Template) -> Said {
    said(template).map(string)
}

/// A key: bare where that is possible.
pub(super) fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.into() } else { string(name) }
}

/// A string between the quotes that need the fewest escapes.
pub(super) fn string(text: &str) -> String {
    let verbatim = |c: char| !c.is_control() && c != '\'';
    if text.contains(['\\', '"']) && text.chars().all(verbatim) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_keys() {
        for (text, expected) in [
            ("a", "\"a\""),
            ("", "\"\""),
            ("a\"b", "'a\"b'"),
            ("a\\d", "'a\\d'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", "\"it's \\\"x\\\"\""),
            ("a\nb\u{1b}", "\"a\\nb\\u001B\""),
        ] {
            assert_eq!(string(text), expected);
        }
        for (name, expected) in
            [("ID_PATH", "ID_PATH"), ("queue/rotational", "\"queue/rotational\""), (".x", "\".x\"")]
        {
            assert_eq!(key(name), expected);
        }
    }
}
