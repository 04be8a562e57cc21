//! Owns the two ways in which a recording holds arbitrary bytes in one line: C escapes and hexadecimal digits.

use bstr::BString;

/// Undoes C escapes: `\b \f \n \r \t \v \\ \"`, up to three octal digits, and otherwise the byte itself.
pub(super) fn unescape(text: &[u8]) -> BString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits = octal_digits(rest);
        let (taken, after) = rest.split_at(digits.max(1).min(rest.len()));
        rest = after;
        match taken {
            [] => out.push(b'\\'),
            _ if digits > 0 => out.push(octal(taken)),
            [letter, ..] => out.push(named(*letter)),
        }
    }
    out.into()
}

/// How many octal digits begin the text: at most three, and no more than fit in a byte.
fn octal_digits(text: &[u8]) -> usize {
    let digits = text.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
    if digits == 3 && text.first().is_some_and(|&b| b > b'3') { 2 } else { digits }
}

fn octal(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |value: u8, digit| value.wrapping_mul(8).wrapping_add(digit - b'0'))
}

fn named(letter: u8) -> u8 {
    match letter {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    }
}

/// Adds `bytes` to `out` with C escapes, so that only printable ASCII is left.
pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0b => out.extend_from_slice(b"\\v"),
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            0x20..0x7f => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}

/// Bytes from pairs of hexadecimal digits; `None` for an odd count or another character.
pub(super) fn unhex(text: &[u8]) -> Option<BString> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().map(BString::from)
}

/// Adds `bytes` to `out` as upper-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("{byte:02X}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn escapes_are_undone() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"plain", b"plain"),
            (br"a\nb\t\\\x22".as_slice(), b"a\nb\t\\x22"),
            (br#"\"q\" \b\f\r\v"#, b"\"q\" \x08\x0c\r\x0b"),
            (br"\303\251", "é".as_bytes()),
            (br"\0\1x\18", b"\0\x01x\x018"),
            (br"\400", b"\x200"),
            (br"end\", b"end\\"),
            (br"\q", b"q"),
        ];
        for (text, expected) in cases {
            assert_eq!(unescape(text).as_bstr(), expected.as_bstr(), "{}", text.as_bstr());
        }
    }

    #[test]
    fn escapes_are_made() {
        let mut out = Vec::new();
        escape("é\"\\\n\x01".as_bytes(), &mut out);
        assert_eq!(out.as_bstr(), br#"\303\251\"\\\n\001"#.as_bstr());
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex(b"00fFA1").unwrap(), b"\x00\xff\xa1".as_bstr());
        assert_eq!(unhex(b""), Some("".into()));
        assert_eq!((unhex(b"0"), unhex(b"0g"), unhex(b"+1")), (None, None, None));
    }
}
