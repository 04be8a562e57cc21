//! Owns the arguments of `blkid`. Pure.

use bstr::{BString, ByteSlice};

use super::super::BuiltinError;
use crate::probe::Request;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments {
    offset: u64,
    hint: Option<BString>,
    no_raid: bool,
}

impl Arguments {
    /// Reads them as udev does: `--name=value` or `--name value`, the short forms too. What is no option is left alone.
    pub(super) fn parse(arguments: &[BString]) -> Result<Self, BuiltinError> {
        let mut out = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once_str(b"=") {
                Some((name, value)) if name.starts_with(b"--") => (name, Some(BString::from(value))),
                _ => (argument.as_slice(), None),
            };
            let mut value = |what| {
                let error = || BuiltinError::Arguments(format!("blkid: `{}` needs {what}", name.as_bstr()));
                value.clone().or_else(|| rest.next().cloned()).ok_or_else(error)
            };
            match name {
                b"--noraid" | b"-R" => out.no_raid = true,
                b"--hint" | b"-H" => out.hint = Some(value("a hint")?),
                b"--offset" | b"-o" => {
                    let text = value("a number of bytes")?;
                    out.offset = number(&text).ok_or_else(|| {
                        BuiltinError::Arguments(format!("blkid: `{text}` is no number of bytes"))
                    })?;
                }
                _ if name.starts_with(b"-") => {
                    let text =
                        format!("blkid: no option `{argument}`; there are: --offset, --hint, --noraid");
                    return Err(BuiltinError::Arguments(text));
                }
                _ => {}
            }
        }
        Ok(out)
    }

    /// The question for a probe.
    pub(super) fn request(self, whole: bool) -> Request {
        let Self { offset, hint, no_raid } = self;
        Request::Contents { whole, offset, hint, no_raid }
    }
}

/// A number of 63 bits, decimal or with `0x` in front.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim().to_str().ok()?;
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.ok().filter(|number| i64::try_from(*number).is_ok())
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
        for (text, says) in [
            ("--offset=-1", "`-1` is no number"),
            ("--offset=9223372036854775808", "is no number"),
            ("--offset", "needs a number"),
            ("--hint", "needs a hint"),
            ("--raid", "no option `--raid`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
