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
    /// Reads the words after `hwdb`; and what is wrong with some of them, for people. As for udev, a wrong option is as none.
    pub(super) fn parse(words: &[BString]) -> (Self, Vec<String>) {
        let mut question = Self::default();
        let mut mistakes = Vec::new();
        let mut words = words.iter();
        let mut only_words = false;
        while let Some(word) = words.next() {
            match if only_words { Ok(None) } else { option(word) } {
                Err(mistake) => mistakes.push(mistake),
                Ok(None) if word == "--" && !only_words => only_words = true,
                Ok(None) => question.modalias = question.modalias.or_else(|| Some(word.clone())),
                Ok(Some((letter, value))) => match value.or_else(|| words.next().cloned()) {
                    Some(value) => question.set(letter, value),
                    None => mistakes.push(format!("`{word}` needs a value")),
                },
            }
        }
        (question, mistakes)
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

    fn parse(line: &str) -> Question {
        let (question, mistakes) = all(line);
        assert_eq!(mistakes, [] as [&str; 0], "{line}");
        question
    }

    fn all(line: &str) -> (Question, Vec<String>) {
        let words: Vec<BString> = line.split_ascii_whitespace().map(BString::from).collect();
        Question::parse(&words)
    }

    #[test]
    fn every_form() {
        let usb = Question { subsystem: Some("usb".into()), ..Question::default() };
        for line in ["--subsystem=usb", "--subsystem usb", "-s usb", "-susb", "--sub=usb", "-s pci -s usb"] {
            assert_eq!(parse(line), usb, "{line}");
        }
        assert_eq!(
            parse("--filter=ID_* a:b -p evdev: --device=b8:0 -- -c"),
            Question {
                filter: Some("ID_*".into()),
                device: Some("b8:0".into()),
                subsystem: None,
                prefix: "evdev:".into(),
                modalias: Some("a:b".into()),
            }
        );
        assert_eq!(parse("-- --x").modalias.unwrap(), "--x");
        assert_eq!(parse("-").modalias.unwrap(), "-");
        assert_eq!(parse("--lookup-prefix=").prefix, "");
        for (line, error) in [
            ("--nothing=1", "`hwdb` has no option `--nothing=1`"),
            ("-x", "`hwdb` has no option `-x`"),
            ("--=x", "`hwdb` has no option `--=x`"),
            ("-s", "`-s` needs a value"),
        ] {
            assert_eq!(all(line), (Question::default(), vec![error.to_owned()]), "{line}");
        }
    }
}
