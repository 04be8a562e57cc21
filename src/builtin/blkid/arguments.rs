//! Owns the arguments of `blkid`. Pure.

use bstr::{BString, ByteSlice};

use super::super::BuiltinError;
use super::super::helper::{Arguments as Given, Option_};
use crate::probe::Request;

/// The options of udev's builtin.
const OPTIONS: &[Option_] = &[("hint", b'H', true), ("offset", b'o', true), ("noraid", b'R', false)];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments {
    offset: u64,
    hint: Option<BString>,
    no_raid: bool,
}

impl Arguments {
    /// Reads them as udev does: a wrong option is as none, and what is no option is left alone. Error: an offset that is none.
    pub(super) fn parse(arguments: &[BString]) -> Result<Self, BuiltinError> {
        let (given, mistakes) = Given::take(arguments, OPTIONS);
        mistakes.iter().for_each(|mistake| tracing::warn!("blkid: {mistake}: it is left out"));
        let offset = given.value(b'o').map_or(Ok(0), |text| {
            number(text)
                .ok_or_else(|| BuiltinError::Arguments(format!("blkid: `{text}` is no number of bytes")))
        })?;
        Ok(Self { offset, hint: given.value(b'H').cloned(), no_raid: given.has(b'R') })
    }

    /// The question for a probe.
    pub(super) fn request(self, whole: bool) -> Request {
        let Self { offset, hint, no_raid } = self;
        Request::Contents { whole, offset, hint, no_raid }
    }
}

/// A number of 63 bits: decimal, or as C writes it with `0x` or `0` in front.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim().to_str().ok()?;
    let (base, digits) = match text.strip_prefix('0') {
        None | Some("") => (10, text),
        Some(rest) => rest.strip_prefix(['x', 'X']).map_or((8, rest), |digits| (16, digits)),
    };
    u64::from_str_radix(digits, base).ok().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, BuiltinError> {
        let words: Vec<BString> = text.split_whitespace().map(BString::from).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn arguments() {
        let hint = |hint: &str| Some(BString::from(hint));
        for (text, expected) in [
            ("", Arguments::default()),
            ("--noraid", Arguments { no_raid: true, ..Default::default() }),
            ("--offset=4096 -R", Arguments { offset: 4096, no_raid: true, hint: None }),
            ("--off=1 -- -R", Arguments { offset: 1, ..Default::default() }),
            ("-Ro16", Arguments { offset: 16, no_raid: true, hint: None }),
            ("-o 010", Arguments { offset: 8, ..Default::default() }),
            ("-o 0", Arguments::default()),
            // wrong ones
            ("--raid --offset", Arguments::default()),
            ("--noraid=1 -x --hint", Arguments::default()),
            ("--offset 0x10", Arguments { offset: 16, ..Default::default() }),
            ("--hint=session_offset=7", Arguments { hint: hint("session_offset=7"), ..Default::default() }),
            (
                "-H session_offset=7 -o 1",
                Arguments { hint: hint("session_offset=7"), offset: 1, no_raid: false },
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, says) in
            [("--offset=-1", "`-1` is no number"), ("--offset=9223372036854775808", "is no number")]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
