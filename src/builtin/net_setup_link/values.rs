//! Owns the values of `.link` files: numbers with units, spans of time, hardware addresses, words, names of interfaces.
//!
//! Pure functions on bytes; `None` is a value that is none of its kind. Never knows which key a value belongs to.

use std::net::{Ipv4Addr, Ipv6Addr};

use bstr::{BString, ByteSlice};

/// Lengths that a hardware address can have: IPv4 tunnels, Ethernet, IPv6 tunnels, InfiniBand.
const ADDRESS_LENGTHS: [usize; 4] = [4, 6, 16, 20];
/// Longest first name of an interface (`IFNAMSIZ - 1`), and longest of the others (`ALTIFNAMSIZ - 1`).
const NAME_MAX: usize = 15;
const ALTERNATIVE_MAX: usize = 127;

/// A whole number of 32 bits, decimal.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    // `parse` would take a sign
    let digits = text.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

/// A number with `K`, `M`, `G`, `T` behind it, each so many times the one before: 1,024 for bytes, 1,000 for bits.
pub(super) fn size(text: &[u8], step: u64) -> Option<u64> {
    let text = text.to_str().ok()?;
    let (digits, unit) = match text.bytes().last()? {
        b'B' if step == 1024 => return size(text.strip_suffix('B')?.as_bytes(), step),
        b'K' | b'k' => (&text[..text.len() - 1], 1),
        b'M' => (&text[..text.len() - 1], 2),
        b'G' => (&text[..text.len() - 1], 3),
        b'T' => (&text[..text.len() - 1], 4),
        _ => (text, 0),
    };
    let factor = step.checked_pow(unit)?;
    let (whole, fraction) = digits.trim_end().split_once('.').unwrap_or((digits.trim_end(), "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u128>().ok()?.checked_mul(u128::from(factor))? / parts;
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(u64::try_from(fraction).ok()?)
}

/// Units of time in microseconds, longest name first where one begins with another.
const UNITS: [(&str, u64); 22] = [
    ("microseconds", 1),
    ("microsecond", 1),
    ("milliseconds", 1_000),
    ("millisecond", 1_000),
    ("seconds", 1_000_000),
    ("second", 1_000_000),
    ("minutes", 60_000_000),
    ("minute", 60_000_000),
    ("hours", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("usec", 1),
    ("msec", 1_000),
    ("sec", 1_000_000),
    ("min", 60_000_000),
    ("hr", 3_600_000_000),
    ("us", 1),
    ("µs", 1),
    ("μs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];

/// A span of time (`systemd.time(7)`) in microseconds: `1ms`, `2s 500ms`; a number alone is seconds.
pub(super) fn microseconds(text: &[u8]) -> Option<u64> {
    let mut rest = text.to_str().ok()?.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (amount, after) = rest.split_at(digits);
        let after = after.trim_start();
        let (name, factor) = UNITS
            .into_iter()
            .find(|(name, _)| {
                after.strip_prefix(name).is_some_and(|r| !r.starts_with(|c: char| c.is_alphabetic()))
            })
            .unwrap_or(("", 1_000_000));
        total = total.checked_add(fixed(amount, factor)?)?;
        let next = after.strip_prefix(name)?.trim_start();
        if next.len() == rest.len() {
            return None;
        }
        rest = next;
    }
    Some(total)
}

/// `1.5` times `factor`.
fn fixed(text: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(factor)? / parts;
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(fraction)
}

/// A hardware address: `12:34:56:78:90:ab`, `12-34-…`, `1234.5678.90ab`, or the address of a tunnel's end.
pub(super) fn address(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.to_str().ok()?;
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.octets().into());
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(address.octets().into());
    }
    let fields = |by: char, digits: usize| -> Option<Vec<u8>> {
        let fields = text.split(by).map(|field| {
            let fits =
                !field.is_empty() && field.len() <= digits && field.bytes().all(|b| b.is_ascii_hexdigit());
            u16::from_str_radix(field, 16).ok().filter(|_| fits)
        });
        let numbers = fields.collect::<Option<Vec<u16>>>()?;
        let bytes =
            numbers.iter().flat_map(|n| n.to_be_bytes().into_iter().skip(if digits == 2 { 1 } else { 0 }));
        Some(bytes.collect())
    };
    let found = match text.bytes().find(|b| b":-.".contains(b))? {
        b':' => fields(':', 2),
        b'-' => fields('-', 2),
        _ => fields('.', 4),
    };
    found.filter(|address| ADDRESS_LENGTHS.contains(&address.len()))
}

/// Words between white space; quotes hold words together, a backslash takes the meaning from what follows it.
/// `None` for a quote that does not end.
pub(super) fn quoted_words(text: &[u8]) -> Option<Vec<BString>> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<Vec<u8>>, None);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.get_or_insert_default().push(bytes.next()?),
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if byte.is_ascii_whitespace() && quote.is_none() => {
                words.extend(word.take().map(BString::from))
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word.map(BString::from));
    quote.is_none().then_some(words)
}

/// Words between white space.
pub(super) fn words(text: &[u8]) -> Vec<BString> {
    text.fields().map(BString::from).collect()
}

/// True for a name that an interface can have first.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.len() <= NAME_MAX && is_alternative_name(name)
}

/// True for a name that an interface can have beside its first one.
pub(super) fn is_alternative_name(name: &[u8]) -> bool {
    let odd = |b: &u8| !b.is_ascii_graphic() || matches!(b, b':' | b'/' | b'%');
    !name.is_empty()
        && name.len() <= ALTERNATIVE_MAX
        && !name.iter().any(odd)
        && !name.iter().all(u8::is_ascii_digit)
        && !matches!(name, b"." | b".." | b"all" | b"default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, step, expected) in [
            ("1500", 1024, Some(1500)),
            ("1K", 1024, Some(1024)),
            ("1.5K", 1024, Some(1536)),
            ("64KB", 1024, Some(65536)),
            ("10M", 1000, Some(10_000_000)),
            ("2.5G", 1000, Some(2_500_000_000)),
            ("1T", 1000, Some(1_000_000_000_000)),
            ("", 1024, None),
            ("K", 1024, None),
            ("-1", 1024, None),
            ("1X", 1024, None),
            ("99999999999999999999", 1024, None),
        ] {
            assert_eq!(size(text.as_bytes(), step), expected, "{text}");
        }
    }

    #[test]
    fn spans_of_time() {
        for (text, expected) in [
            ("1", Some(1_000_000)),
            ("50us", Some(50)),
            ("50µs", Some(50)),
            ("1ms", Some(1000)),
            ("2s 500ms", Some(2_500_000)),
            ("1.5s", Some(1_500_000)),
            ("2 min", Some(120_000_000)),
            ("1minute", Some(60_000_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("1x", None),
            ("-1", None),
        ] {
            assert_eq!(microseconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn addresses() {
        let six = Some(vec![0x12, 0x34, 0x56, 0x78, 0x90, 0xab]);
        for (text, expected) in [
            ("12:34:56:78:90:ab", six.clone()),
            ("12-34-56-78-90-AB", six.clone()),
            ("1234.5678.90ab", six),
            ("192.168.0.1", Some(vec![192, 168, 0, 1])),
            ("::1", Some([vec![0; 15], vec![1]].concat())),
            ("1:2:3:4:5:6", Some(vec![1, 2, 3, 4, 5, 6])),
            ("12:34:56:78:90", None),
            ("123:4:56:78:90:ab", None),
            ("12:34:56:78:90:ag", None),
            ("12:34:56-78:90:ab", None),
            ("", None),
        ] {
            assert_eq!(address(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn words_with_quotes() {
        for (text, expected) in [
            ("a  b", Some(vec!["a", "b"])),
            (r#"A=1 "B=x y" "C=\"q\"""#, Some(vec!["A=1", "B=x y", "C=\"q\""])),
            ("''", Some(vec![""])),
            ("\"a", None),
            ("", Some(vec![])),
        ] {
            let expected = expected.map(|words| words.into_iter().map(BString::from).collect::<Vec<_>>());
            assert_eq!(quoted_words(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn names() {
        for name in ["lan0", "a.b", "0x", "x12345678901234"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in
            ["", "123", "a b", "a/b", "a:b", "eth%d", ".", "..", "all", "default", "x123456789012345", "ä"]
        {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
        assert!(is_alternative_name(&[b'x'; 127]) && !is_alternative_name(&[b'x'; 128]));
    }
}
