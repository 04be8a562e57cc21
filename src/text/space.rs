//! Owns what counts as white space: to udev four bytes, to C six, and never a character of more than one byte.

/// udev's white space: space, tab, newline and carriage return.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// White space as `isspace(3)` has it: vertical tab and form feed too.
pub fn is_c_space(byte: u8) -> bool {
    is_space(byte) || matches!(byte, 0x0b | 0x0c)
}

/// The text without udev's white space at its beginning.
pub fn trim_start(text: &[u8]) -> &[u8] {
    let at = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

/// The text without udev's white space at its end.
pub fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// The text without udev's white space at both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// Where the word at the text's beginning ends.
pub fn word_end(text: &[u8]) -> usize {
    text.iter().position(|byte| is_space(*byte)).unwrap_or(text.len())
}

/// The words between udev's white space.
pub fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        for (text, expected) in [
            (&b" \t\r\na b \n"[..], &b"a b"[..]),
            (b"", b""),
            (b" \n", b""),
            (b"\x0ba\x0c", b"\x0ba\x0c"),
            ("\u{a0}a\u{2028}".as_bytes(), "\u{a0}a\u{2028}".as_bytes()),
            (b" \xff ", b"\xff"),
        ] {
            assert_eq!(trim(text), expected);
        }
        assert_eq!(words(b" a\tb\x0cc \n").collect::<Vec<_>>(), [&b"a"[..], b"b\x0cc"]);
        assert!(is_c_space(0x0b) && !is_space(0x0b) && !is_c_space(0xa0));
    }
}
