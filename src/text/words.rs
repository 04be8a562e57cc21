//! Owns how udev takes texts apart that a shell or C would read: words with quotes, numbers.

use bstr::{BString, ByteSlice};

use super::space::{is_space, trim_start};

/// Splits a command line at white space; `'…'` and `"…"` hold words together, a backslash is an ordinary byte. A quote
/// that is not closed reaches to the end.
pub fn split_command(line: &[u8]) -> Vec<BString> {
    let mut words = Vec::new();
    let mut word: Option<BString> = None;
    let mut quote: Option<u8> = None;
    for &byte in line {
        match quote {
            Some(end) if byte == end => quote = None,
            Some(_) => word.get_or_insert_default().push(byte),
            None if matches!(byte, b'\'' | b'"') => {
                word.get_or_insert_default();
                quote = Some(byte);
            }
            None if is_space(byte) => words.extend(word.take()),
            None => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

/// A number as C reads it: white space and a sign in front; decimal, `0x…`, `0b…`, or octal behind `0` or `0o`.
pub fn c_integer(text: &[u8]) -> Option<i64> {
    let text = trim_start(text).to_str().ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8), ("0", 8)];
    let prefixed = prefixes.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)));
    let (digits, radix) = prefixed.filter(|(digits, _)| !digits.is_empty()).unwrap_or((digits, 10));
    // A second sign would be taken by `from_str_radix`.
    let number = i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']))?;
    Some(if negative { -number } else { number })
}

/// The word that was probably meant: the one with the fewest letters put in, left out or changed, if these are few.
pub fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = if word.len() > 5 { 2 } else { 1 };
    known
        .map(|candidate| (slips(&word, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

fn slips(a: &str, b: &str) -> usize {
    // One row of the table of distances between the beginnings of both words.
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (diagonal + usize::from(ca != cb)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let cases: &[(&str, &[&str])] = &[
            ("a b", &["a", "b"]),
            ("  a\t b  ", &["a", "b"]),
            ("", &[]),
            ("/bin/echo 'a b' c", &["/bin/echo", "a b", "c"]),
            ("x\"y z\"w", &["xy zw"]),
            ("a '' b", &["a", "", "b"]),
            ("a\\ b", &["a\\", "b"]),
            ("a 'b c", &["a", "b c"]),
            ("a \"it's\"", &["a", "it's"]),
            ("a\x0bb\x0cc", &["a\x0bb\x0cc"]),
        ];
        for (line, expected) in cases {
            let expected: Vec<BString> = expected.iter().map(|w| BString::from(*w)).collect();
            assert_eq!(split_command(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn numbers() {
        let cases = [
            ("7", Some(7)),
            (" +7", Some(7)),
            ("-5", Some(-5)),
            ("0x1F", Some(31)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0b11", Some(3)),
            ("0", Some(0)),
            ("0x", None),
            ("--5", None),
            ("0x-5", None),
            ("08", None),
            ("7 ", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(c_integer(text.as_bytes()), expected, "{text}");
        }
    }
}
