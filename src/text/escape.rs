//! Owns udev's rules for characters in names: which bytes are safe, and how the others are replaced or escaped; and the
//! escapes of C that files of udev's and systemd's may hold.

use bstr::{BString, ByteSlice};

use super::space::{is_c_space, trim_start};

/// Bytes that a use allows beyond the safe set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafeExtra {
    /// None: one component of a name.
    None,
    /// `/`: a name with directories.
    Slash,
    /// `/` and space: a list of names.
    SlashSpace,
    /// `/ $%?,`: attribute values and what programs print.
    Value,
}

impl SafeExtra {
    fn allows(self, byte: u8) -> bool {
        match self {
            SafeExtra::None => false,
            SafeExtra::Slash => byte == b'/',
            SafeExtra::SlashSpace => matches!(byte, b'/' | b' '),
            SafeExtra::Value => matches!(byte, b'/' | b' ' | b'$' | b'%' | b'?' | b','),
        }
    }
}

/// True for `0-9 A-Z a-z # + - . : = @ _`, the bytes that udev leaves alone in names.
fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

/// Replaces every byte that is neither safe, nor allowed by `extra`, nor part of a multi-byte UTF-8 character, nor the
/// start of a literal `\x`, by `_`. Where space is allowed, other white space becomes a space.
pub fn replace_unsafe(text: &[u8], extra: SafeExtra) -> BString {
    let mut out = BString::from(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let take = if is_safe(byte) || extra.allows(byte) {
            1
        } else if rest.starts_with(b"\\x") {
            2
        } else {
            multi_byte_len(rest)
        };
        let (kept, after) = rest.split_at(take.max(1));
        match take {
            0 if is_c_space(byte) && extra.allows(b' ') => out.push(b' '),
            0 => out.push(b'_'),
            _ => out.extend_from_slice(kept),
        }
        rest = after;
    }
    out
}

/// Length in bytes of the valid UTF-8 character of two or more bytes at the start of `text`, 0 if there is none.
fn multi_byte_len(text: &[u8]) -> usize {
    let (ch, len) = bstr::decode_utf8(text);
    if ch.is_some() && len > 1 { len } else { 0 }
}

/// Trims white space at both ends and makes each inner run one `_`. At the front vertical tab and form feed are none, as for
/// udev: the run that begins with one is an inner one, unless it is all there is.
pub fn collapse_whitespace(text: &[u8]) -> BString {
    let text = trim_start(text);
    let words: Vec<&[u8]> = text.split(|byte| is_c_space(*byte)).filter(|w| !w.is_empty()).collect();
    let mut out = BString::from(words.join(&b'_'));
    if !words.is_empty() && text.first().is_some_and(|byte| is_c_space(*byte)) {
        out.insert(0, b'_');
    }
    out
}

/// Escapes for the `_ENC` properties: every byte that is not safe and not part of a multi-byte UTF-8 character, and
/// every backslash, becomes `\xNN` with lower-case digits.
pub fn encode_node_name(text: &[u8]) -> BString {
    encode_node_name_within(text, usize::MAX)
}

/// As [`encode_node_name`], of at most `limit` bytes: it ends before the first character that has no room.
pub fn encode_node_name_within(text: &[u8], limit: usize) -> BString {
    let mut out = BString::default();
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let take = if is_safe(byte) { 1 } else { multi_byte_len(rest) };
        let (kept, after) = rest.split_at(take.max(1));
        let escape = format!("\\x{byte:02x}");
        let next = if take == 0 { escape.as_bytes() } else { kept };
        if out.len() + next.len() > limit {
            break;
        }
        out.extend_from_slice(next);
        rest = after;
    }
    out
}

/// The bytes of one escape of C's, as udev and systemd read it, and its length; `rest` begins behind the backslash. `None`
/// for one that there is not. It may be the byte 0.
pub fn c_escape(rest: &[u8]) -> Option<(BString, usize)> {
    let number = |from: usize, len: usize, radix: u32| {
        let digits = rest.get(from..from + len)?;
        let plain = digits.iter().all(|b| char::from(*b).is_digit(radix));
        u32::from_str_radix(digits.to_str().ok().filter(|_| plain)?, radix).ok()
    };
    let unicode = |len| {
        let code = number(1, len, 16)?;
        let bytes = match char::from_u32(code) {
            Some(code) => BString::from(code.to_string()),
            // udev writes half of a surrogate pair as if it were a character.
            None if len == 4 => three_bytes(code).into(),
            None => return None,
        };
        Some((bytes, 1 + len))
    };
    let one = |byte: u8| Some((BString::from([byte]), 1));
    match rest.first()? {
        b'a' => one(0x07),
        b'b' => one(0x08),
        b'f' => one(0x0c),
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'v' => one(0x0b),
        b's' => one(b' '),
        byte @ (b'\\' | b'"' | b'\'') => one(*byte),
        b'x' => Some((BString::from([u8::try_from(number(1, 2, 16)?).ok()?]), 3)),
        b'u' => unicode(4),
        b'U' => unicode(8),
        b'0'..=b'7' => Some((BString::from([u8::try_from(number(0, 3, 8)?).ok()?]), 3)),
        _ => None,
    }
}

/// The three bytes that UTF-8 would have for a number of 16 bits.
fn three_bytes(code: u32) -> Vec<u8> {
    let part = |shift: u32, mask: u32| u8::try_from((code >> shift) & mask).unwrap_or_default();
    vec![0xe0 | part(12, 0x0f), 0x80 | part(6, 0x3f), 0x80 | part(0, 0x3f)]
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn unsafe_bytes() {
        let cases: &[(&[u8], SafeExtra, &[u8])] = &[
            (b"abc-1.2:3", SafeExtra::None, b"abc-1.2:3"),
            (b"a/b c", SafeExtra::None, b"a_b_c"),
            (b"a/b c", SafeExtra::Slash, b"a/b_c"),
            (b"a/b\tc", SafeExtra::SlashSpace, b"a/b c"),
            (b"$x,%?", SafeExtra::Value, b"$x,%?"),
            ("Gerät".as_bytes(), SafeExtra::None, "Gerät".as_bytes()),
            (b"\xff\xfe", SafeExtra::None, b"__"),
            (b"a\\x20b", SafeExtra::None, b"a\\x20b"),
            (b"a\\b", SafeExtra::None, b"a_b"),
            (b"\"'`;", SafeExtra::Value, b"____"),
            (b"a\x0bb\x0cc\rd", SafeExtra::Value, b"a b c d"),
        ];
        for (text, extra, expected) in cases {
            assert_eq!(replace_unsafe(text, *extra).as_bstr(), expected.as_bstr(), "{text:?} {extra:?}");
        }
    }

    #[test]
    fn whitespace() {
        for (text, expected) in [
            ("  a  b\tc ", "a_b_c"),
            ("", ""),
            ("   ", ""),
            ("x", "x"),
            ("\x0bx\x0b\x0cy", "_x_y"),
            (" \x0c\x0b x\x0b ", "_x"),
            ("\x0b ", ""),
        ] {
            assert_eq!(collapse_whitespace(text.as_bytes()), expected);
        }
    }

    #[test]
    fn encoding() {
        for (text, expected) in
            [("USB Disk", "USB\\x20Disk"), ("a\\b", "a\\x5cb"), ("é/", "é\\x2f"), ("a.b", "a.b")]
        {
            assert_eq!(encode_node_name(text.as_bytes()), expected);
        }
    }
}
