//! Owns the builtins that stand in for udev's helper programs: one function for each, which prints what the program prints.
//!
//! A rule may name them as builtins. Where a rule calls the program and it is not installed, the function answers in its place
//! (`decide`), and `nameplate` called by such a name is that program (`cli`).

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::{BuiltinError, Context, Deed, Found};
use super::{ata_id, cdrom_id, dmi_memory_id, fido_id, mtd_probe, scsi_id, v4l_id};
use crate::properties::Properties;

/// What a helper has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Facts, printed as `KEY=VALUE`.
    pub facts: Vec<(String, BString)>,
    /// A line that is no fact: what a helper prints that was not asked for facts.
    pub line: Option<BString>,
    /// What is to be done to the machine, in order.
    pub deeds: Vec<Deed>,
}

impl Said {
    /// Facts and nothing else.
    pub(super) fn facts(facts: Vec<(String, BString)>) -> Self {
        Self { facts, ..Self::default() }
    }

    /// What the program would have printed.
    pub fn stdout(&self) -> BString {
        let mut out = BString::default();
        for (key, value) in &self.facts {
            out.extend_from_slice(&[key.as_bytes(), b"=", value, b"\n"].concat());
        }
        if let Some(line) = &self.line {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out
    }

    /// The facts as properties; those that can't be properties are left out.
    fn found(self) -> Found {
        let facts = self.facts.into_iter().filter(|(_, value)| !value.is_empty());
        Found { properties: facts.collect::<Properties>(), deeds: self.deeds }
    }
}

/// One helper: its arguments after the name, and what it may look at.
type Helper = fn(&[BString], &Context<'_>) -> Result<Said, BuiltinError>;

/// All of them, by name.
const HELPERS: &[(&str, Helper)] = &[
    ("ata_id", ata_id::say),
    ("cdrom_id", cdrom_id::say),
    ("dmi_memory_id", dmi_memory_id::say),
    ("fido_id", fido_id::say),
    ("mtd_probe", mtd_probe::say),
    ("scsi_id", scsi_id::say),
    ("v4l_id", v4l_id::say),
];

/// The name of the helper that `program` (a file name, or a path) is called by.
pub fn named(program: &[u8]) -> Option<&'static str> {
    let name = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    HELPERS.iter().map(|(helper, _)| *helper).find(|helper| helper.as_bytes() == name)
}

/// The name of the helper that answers for `program`, an absolute path: one in the helper directory that is not installed.
pub fn stand_in(program: &[u8], directory: &Path) -> Option<&'static str> {
    let name = named(program)?;
    let path = Path::new(program.to_os_str().ok()?);
    (path.parent() == Some(directory) && !path.exists()).then_some(name)
}

/// Runs the helper `name` as the program of that name would run.
pub fn say(name: &str, arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let (_, helper) = HELPERS
        .iter()
        .find(|(helper, _)| *helper == name)
        .ok_or_else(|| BuiltinError::Unknown(name.into()))?;
    helper(arguments, context)
}

/// Runs the helper `name` as a builtin: facts are what is wanted.
pub(super) fn run(name: &str, arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let export = matches!(name, "ata_id" | "scsi_id").then(|| BString::from("--export"));
    let arguments: Vec<BString> = export.into_iter().chain(arguments.iter().cloned()).collect();
    say(name, &arguments, context).map(Said::found)
}

/// An option: its long name, its letter, and whether it has a value.
pub(super) type Option_ = (&'static str, u8, bool);

/// Arguments as getopt(3) takes them apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments {
    /// Letters of the options that were given, with their values, in order.
    pub(super) options: Vec<(u8, BString)>,
    /// All else.
    pub(super) rest: Vec<BString>,
}

impl Arguments {
    /// Takes them apart. Error: an option that there is not, or that lacks its value.
    pub(super) fn parse(arguments: &[BString], known: &[Option_]) -> Result<Self, BuiltinError> {
        let mut out = Self::default();
        let mut left = arguments.iter();
        while let Some(argument) = left.next() {
            match argument.as_slice() {
                b"--" => out.rest.extend(left.by_ref().cloned()),
                [b'-', b'-', long @ ..] => out.long(long, known, &mut left)?,
                [b'-', short @ ..] if !short.is_empty() => out.short(short, known, &mut left)?,
                _ => out.rest.push(argument.clone()),
            }
        }
        Ok(out)
    }

    /// `name`, `name=value`; a name may be cut short as long as it says which.
    fn long<'a>(
        &mut self,
        long: &[u8],
        known: &[Option_],
        left: &mut impl Iterator<Item = &'a BString>,
    ) -> Result<(), BuiltinError> {
        let wrong = |what| wrong(&[b"--", long].concat(), what);
        let (name, value) = match long.split_once_str(b"=") {
            Some((name, value)) => (name, Some(BString::from(value))),
            None => (long, None),
        };
        let exact = known.iter().find(|(option, ..)| option.as_bytes() == name);
        let mut begins = known.iter().filter(|(option, ..)| option.as_bytes().starts_with(name));
        let option = match (exact, begins.next(), begins.next()) {
            (Some(option), ..) | (None, Some(option), None) => option,
            _ => return Err(wrong("there is no such option")),
        };
        match option {
            (_, letter, false) if value.is_none() => self.options.push((*letter, BString::default())),
            (_, _, false) => return Err(wrong("it has no value")),
            (_, letter, true) => {
                let value =
                    value.or_else(|| left.next().cloned()).ok_or_else(|| wrong("it needs a value"))?;
                self.options.push((*letter, value));
            }
        }
        Ok(())
    }

    /// Letters behind one `-`; one that has a value takes what is left of the word, or the next one.
    fn short<'a>(
        &mut self,
        word: &[u8],
        known: &[Option_],
        left: &mut impl Iterator<Item = &'a BString>,
    ) -> Result<(), BuiltinError> {
        let wrong = |what| wrong(&[b"-", word].concat(), what);
        let mut rest = word;
        while let Some((letter, after)) = rest.split_first() {
            rest = after;
            let option = known.iter().find(|(_, short, _)| short == letter);
            let (.., takes) = option.ok_or_else(|| wrong("there is no such option"))?;
            let value = match std::mem::take(&mut rest) {
                more if !takes => {
                    rest = more;
                    BString::default()
                }
                b"" => left.next().cloned().ok_or_else(|| wrong("it needs a value"))?,
                value => value.into(),
            };
            self.options.push((*letter, value));
        }
        Ok(())
    }

    /// True when the option of that letter was given.
    pub(super) fn has(&self, letter: u8) -> bool {
        self.options.iter().any(|(given, _)| *given == letter)
    }

    /// The last value of the option of that letter.
    pub(super) fn value(&self, letter: u8) -> Option<&BString> {
        self.options.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value)
    }
}

/// What a device calls itself, as a fact: only if it is a text, and one of one line.
pub(super) fn text(bytes: &[u8]) -> Option<BString> {
    let text = bytes.to_str().ok().filter(|text| !text.contains(char::is_control))?;
    Some(text.into())
}

fn wrong(argument: &[u8], what: &str) -> BuiltinError {
    BuiltinError::Arguments(format!("`{}`: {what}", argument.as_bstr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        const KNOWN: &[Option_] = &[
            ("export", b'x', false),
            ("device", b'd', true),
            ("page", b'p', true),
            ("pages", b'q', false),
            ("verbose", b'v', false),
        ];
        let parse = |text: &str| {
            let words: Vec<BString> = text.split_whitespace().map(BString::from).collect();
            Arguments::parse(&words, KNOWN).map(|a| {
                let options =
                    a.options.iter().map(|(letter, value)| format!("{}:{value}", char::from(*letter)));
                let rest = a.rest.iter().map(|word| format!("+{word}"));
                options.chain(rest).collect::<Vec<_>>().join(" ")
            })
        };
        for (text, expected) in [
            ("", Ok("")),
            ("--export -d /dev/sda", Ok("x: d:/dev/sda")),
            ("--device=/dev/sda -p0x83 x", Ok("d:/dev/sda p:0x83 +x")),
            ("--device /dev/sda -- -x", Ok("d:/dev/sda +-x")),
            ("-xvp0x83 -", Ok("x: v: p:0x83 +-")),
            ("-xd /dev/sda", Ok("x: d:/dev/sda")),
            ("--exp --dev=x --page=1 --pages", Ok("x: d:x p:1 q:")),
            ("-d", Err("`-d`: it needs a value")),
            ("-xz", Err("`-xz`: there is no such option")),
            ("--pag=1", Err("`--pag=1`: there is no such option")),
            ("--export=1", Err("`--export=1`: it has no value")),
            ("--what", Err("`--what`: there is no such option")),
        ] {
            assert_eq!(
                parse(text).map_err(|e| e.to_string()),
                expected.map(String::from).map_err(String::from)
            );
        }
    }

    #[test]
    fn who_stands_in() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ata_id"), "").unwrap();
        let stand_in = |path: &str| stand_in(path.as_bytes(), dir.path());
        let below = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        assert_eq!(stand_in(&below("scsi_id")), Some("scsi_id"));
        assert_eq!(stand_in(&below("ata_id")), None, "installed");
        assert_eq!(stand_in(&below("collect")), None, "none of ours");
        assert_eq!(stand_in("/usr/local/bin/scsi_id"), None, "somebody's own");
        assert_eq!(named(b"/usr/lib/udev/v4l_id"), Some("v4l_id"));
    }

    #[test]
    fn what_is_printed() {
        let mut said = Said::facts(vec![("A".into(), "1".into()), ("B".into(), "x y".into())]);
        assert_eq!(said.stdout(), "A=1\nB=x y\n");
        said = Said { line: Some("Disk_1".into()), ..Said::default() };
        assert_eq!(said.stdout(), "Disk_1\n");
    }
}
