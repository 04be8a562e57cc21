//! Owns the arguments of `hwdb` as rules write them: `--subsystem=usb`, `--subsystem usb`, `-s usb`, `-susb`.
//!
//! Never looks at a device.

use bstr::{BString, ByteSlice};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Question {
    /// Only properties whose key this glob matches.
    pub(super) filter: Option<BString>,
    /// Ask for the device of this id in place of the event's.
    pub(super) device: Option<BString>,
    /// Ask only for devices of this subsystem.
    pub(super) subsystem: Option<BString>,
    /// What is put in front of each modalias.
    pub(super) prefix: BString,
    /// Ask for this modalias, and for no device.
    pub(super) modalias: Option<BString>,
}

/// The options: long and short name.
const OPTIONS: [(&str, u8); 4] =
    [("filter", b'f'), ("device", b'd'), ("subsystem", b's'), ("lookup-prefix", b'p')];

impl Question {
    /// Reads the words after `hwdb`. Error: what is wrong, for people.
    pub(super) fn parse(words: &[BString]) -> Result<Self, String> {
        let mut question = Self::default();
        let mut words = words.iter();
        let mut only_words = false;
        while let Some(word) = words.next() {
            let option = if only_words { None } else { option(word)? };
            match option {
                None if word == "--" && !only_words => only_words = true,
                None => question.modalias = question.modalias.or_else(|| Some(word.clone())),
                Some((letter, value)) => {
                    let value = value.or_else(|| words.next().cloned());
                    let value = value.ok_or_else(|| format!("`{word}` needs a value"))?;
                    question.set(letter, value);
                }
            }
        }
        Ok(question)
    }

    fn set(&mut self, letter: u8, value: BString) {
        match letter {
            b'f' => self.filter = Some(value),
            b'd' => self.device = Some(value),
            b's' => self.subsystem = Some(value),
            _ => self.prefix = value,
        }
    }
}

/// The option's letter, and its value where it is in the same word.
fn option(word: &[u8]) -> Result<Option<(u8, Option<BString>)>, String> {
    let unknown = || format!("`hwdb` has no option `{}`", word.as_bstr());
    if let Some(long) = word.strip_prefix(b"--") {
        if long.is_empty() {
            return Ok(None);
        }
        let (name, value) = match long.split_once_str(b"=") {
            Some((name, value)) => (name, Some(BString::from(value))),
            None => (long, None),
        };
        // a name may be cut short as long as it says which
        let mut found = OPTIONS.iter().filter(|(option, _)| option.as_bytes().starts_with(name));
        return match (found.next(), found.next()) {
            (Some((_, letter)), None) if !name.is_empty() => Ok(Some((*letter, value))),
            _ => Err(unknown()),
        };
    }
    match word {
        [b'-', letter, value @ ..] => {
            let known = OPTIONS.iter().any(|(_, known)| known == letter);
            let value = Some(BString::from(value)).filter(|value| !value.is_empty());
            if known { Ok(Some((*letter, value))) } else { Err(unknown()) }
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Question, String> {
        let words: Vec<BString> = line.split_ascii_whitespace().map(BString::from).collect();
        Question::parse(&words)
    }

    #[test]
    fn every_form() {
        let usb = Question { subsystem: Some("usb".into()), ..Question::default() };
        for line in ["--subsystem=usb", "--subsystem usb", "-s usb", "-susb", "--sub=usb", "-s pci -s usb"] {
            assert_eq!(parse(line), Ok(usb.clone()), "{line}");
        }
        assert_eq!(
            parse("--filter=ID_* a:b -p evdev: --device=b8:0 -- -c"),
            Ok(Question {
                filter: Some("ID_*".into()),
                device: Some("b8:0".into()),
                subsystem: None,
                prefix: "evdev:".into(),
                modalias: Some("a:b".into()),
            })
        );
        assert_eq!(parse("-- --x").unwrap().modalias.unwrap(), "--x");
        assert_eq!(parse("-").unwrap().modalias.unwrap(), "-");
        assert_eq!(parse("--lookup-prefix=").unwrap().prefix, "");
        for (line, error) in [
            ("--nothing=1", "`hwdb` has no option `--nothing=1`"),
            ("-x", "`hwdb` has no option `-x`"),
            ("--=x", "`hwdb` has no option `--=x`"),
            ("-s", "`-s` needs a value"),
        ] {
            assert_eq!(parse(line), Err(error.to_owned()), "{line}");
        }
    }
}
