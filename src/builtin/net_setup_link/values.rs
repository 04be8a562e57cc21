//! Owns the values of `.link` files: numbers with units, spans of time, hardware addresses, words, names of interfaces.
//!
//! Pure functions on bytes; `None` is a value that is none of its kind. Never knows which key a value belongs to.

use std::net::{Ipv4Addr, Ipv6Addr};

use bstr::{BString, ByteSlice};

use crate::text::space::is_space;
use crate::text::{self, c_escape, c_integer, time_span};

/// Lengths that a hardware address can have: IPv4 tunnels, Ethernet, IPv6 tunnels, InfiniBand.
const ADDRESS_LENGTHS: [usize; 4] = [4, 6, 16, 20];
/// Longest first name of an interface (`IFNAMSIZ - 1`), and longest of the others (`ALTIFNAMSIZ - 1`).
const NAME_MAX: usize = 15;
const ALTERNATIVE_MAX: usize = 127;

/// What is wrong with a value, and what to write instead where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl<T: Into<String>> From<T> for Wrong {
    fn from(message: T) -> Self {
        Self { message: message.into(), hint: None }
    }
}

impl Wrong {
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A whole number of 32 bits, as C writes it.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    c_integer(text).and_then(|number| u32::try_from(number).ok())
}

/// A number with a unit behind it, `K M G T P E`, each `step` times the one before: 1,024 for bytes, 1,000 for bits. `B` is
/// one; several are added, the greatest first: `1G 512M`.
pub(super) fn size(text: &[u8], step: u64) -> Option<u64> {
    const UNITS: [&str; 8] = ["E", "P", "T", "G", "M", "K", "B", ""];
    let mut rest = text.to_str().ok()?;
    let mut units = UNITS.iter().zip((0..7).rev().chain([0]));
    let mut total = 0_u64;
    loop {
        let (amount, after) = amount(rest)?;
        let after = after.trim_start();
        let (unit, power) = units.find(|(unit, _)| after.starts_with(**unit))?;
        total = total.checked_add(amount.times(step.checked_pow(power)?)?)?;
        rest = after.get(unit.len()..)?;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// A decimal number that may have a fraction.
struct Amount<'t> {
    whole: u64,
    fraction: &'t str,
}

impl Amount<'_> {
    /// So many times `factor`; what is left of a whole one is dropped.
    fn times(&self, factor: u64) -> Option<u64> {
        let parts = 10_u128.checked_pow(u32::try_from(self.fraction.len()).ok()?)?;
        let fraction: u128 = if self.fraction.is_empty() { 0 } else { self.fraction.parse().ok()? };
        let fraction = u64::try_from(fraction.checked_mul(factor.into())? / parts).ok()?;
        self.whole.checked_mul(factor)?.checked_add(fraction)
    }
}

/// The number that the text begins with, and what stands behind it. White space or a `+` may stand in front.
fn amount(text: &str) -> Option<(Amount<'_>, &str)> {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let split = |text| str::split_at(text, text.bytes().take_while(u8::is_ascii_digit).count());
    let (whole, after) = split(text);
    let (fraction, after) = after.strip_prefix('.').map_or(("", after), split);
    Some((Amount { whole: whole.parse().ok()?, fraction }, after))
}

/// A span of time (`systemd.time(7)`) in microseconds: `1ms`, `2s 500ms`; a number alone is seconds.
pub(super) fn microseconds(text: &[u8]) -> Option<u64> {
    u64::try_from(time_span(text.to_str().ok()?)?.as_micros()).ok()
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

/// What quotes and backslashes do in a list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Quotes are ordinary; a backslash takes the meaning from what follows it.
    None,
    /// Quotes hold words together; a backslash is ordinary, as it may stand in a pattern.
    Patterns,
    /// Quotes hold words together, and a backslash begins an escape of C's.
    Escapes,
}

/// Words between white space. One that is not well written is the last: what stands behind it can't be told apart.
pub(super) fn words(text: &[u8], quoting: Quoting) -> Vec<Result<BString, Wrong>> {
    let mut out = Vec::new();
    let mut rest = text::space::trim_start(text);
    while !rest.is_empty() {
        match word(rest, quoting) {
            Ok((word, len)) => {
                out.push(Ok(word));
                rest = text::space::trim_start(rest.get(len..).unwrap_or_default());
            }
            Err(wrong) => {
                out.push(Err(wrong));
                break;
            }
        }
    }
    out
}

/// The first word, and how many bytes it takes.
fn word(text: &[u8], quoting: Quoting) -> Result<(BString, usize), Wrong> {
    let (mut out, mut quote, mut at) = (BString::default(), None, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' if quoting != Quoting::Patterns => {
                let rest = text.get(at..).unwrap_or_default();
                let (bytes, len) = escaped(rest, quoting)?;
                out.extend_from_slice(&bytes);
                at += len;
            }
            b'"' | b'\'' if quoting == Quoting::None => out.push(byte),
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => quote = Some(byte),
            _ if is_space(byte) && quote.is_none() => return Ok((out, at)),
            _ => out.push(byte),
        }
    }
    match quote {
        Some(_) => Err(Wrong::from("a quote does not end").hint("close it, or leave the quotes away")),
        None => Ok((out, at)),
    }
}

/// What stands behind a backslash, and how many bytes it takes.
fn escaped(rest: &[u8], quoting: Quoting) -> Result<(BString, usize), Wrong> {
    let found = match quoting {
        Quoting::Escapes => c_escape(rest).filter(|(bytes, _)| !bytes.contains(&0)),
        _ => rest.first().map(|byte| (BString::from([*byte]), 1)),
    };
    let shown = || format!("there is no escape `\\{}`", rest.get(..1).unwrap_or_default().as_bstr());
    found.ok_or_else(|| Wrong::from(shown()).hint(r"write a backslash as `\\`"))
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
        // what could be an index, in whatever writing
        && !name.iter().all(u8::is_ascii_digit)
        && c_integer(name).is_none_or(|index| index <= 0)
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
            ("64B", 1024, Some(64)),
            ("1.K", 1024, Some(1024)),
            ("1K1", 1024, Some(1025)),
            ("1M 1K", 1024, Some(1049600)),
            (" +1 K", 1024, Some(1024)),
            ("2E", 1000, Some(2_000_000_000_000_000_000)),
            ("1B", 1000, Some(1)),
            ("64KB", 1024, None),
            ("1k", 1024, None),
            ("1 1K", 1024, None),
            ("1K 1M", 1024, None),
            (".5K", 1024, None),
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

    /// As systemd 257 takes values apart.
    #[test]
    fn words_with_quotes() {
        use Quoting::{Escapes, None, Patterns};
        for (text, quoting, expected) in [
            ("a  b", Escapes, "a|b"),
            (r#"A=1 "B=x y" "C=\"q\"""#, Escapes, "A=1|B=x y|C=\"q\""),
            (r"a\x20b\tc '\s'", Escapes, "a b\tc| "),
            ("''", Escapes, ""),
            ("a\"b c\"d", Escapes, "ab cd"),
            ("a \"b", Escapes, "a|!a quote does not end"),
            (r"a b\qc d", Escapes, r"a|!there is no escape `\q`"),
            (r"a b\x00 d", Escapes, r"a|!there is no escape `\x`"),
            (r#"\* "a\""#, Patterns, r"\*|a\"),
            (r#""a b" \c\ d"#, None, r#""a|b"|c d"#),
            (r"a\", None, r"!there is no escape `\`"),
        ] {
            let shown: Vec<String> = words(text.as_bytes(), quoting)
                .into_iter()
                .map(|word| word.map_or_else(|wrong| format!("!{}", wrong.message), |w| w.to_string()))
                .collect();
            assert_eq!(shown.join("|"), expected, "{text}");
        }
        assert_eq!(words(b" ", Escapes), []);
        assert_eq!(words(b"''", Escapes).len(), 1);
    }

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("16", Some(16)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0b11", Some(3)),
            ("+1", Some(1)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("08", None),
            ("-1", None),
            ("1 ", None),
            ("", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn names() {
        for name in ["lan0", "a.b", "0x", "-1", "+x", "08x", "x12345678901234"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "123",
            "0",
            "+1",
            "0x10",
            "0b11",
            "a b",
            "a/b",
            "a:b",
            "eth%d",
            ".",
            "..",
            "all",
            "default",
            "x123456789012345",
            "ä",
        ] {
            assert!(!is_name(name.as_bytes()), "{name}");
        }
        assert!(is_alternative_name(&[b'x'; 127]) && !is_alternative_name(&[b'x'; 128]));
    }
}
