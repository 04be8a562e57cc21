//! Owns numbers as udev reads them in rules.

use super::space::trim_start;

/// A number as C reads it, behind white space if there is any: decimal, `0x…`, `0b…`, or octal behind `0` or `0o`; with a
/// sign.
pub fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(trim_start(text)).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_c_has_them() {
        for (text, expected) in [
            ("10", Some(10)),
            (" +7", Some(7)),
            ("-5", Some(-5)),
            ("010", Some(8)),
            ("0x10", Some(16)),
            ("0b11", Some(3)),
            ("0", Some(0)),
            ("", None),
            ("--1", None),
            ("1 ", None),
            ("2x", None),
            ("08", None),
            ("0x", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text}");
        }
    }
}
