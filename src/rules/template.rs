//! Owns templates: text with udev's substitutions (`$attr{…}`, `%k`, `$env{…}`), parsed once when rules are loaded.
//!
//! Never looks a value up: expansion is `eval`'s.

use std::fmt;
use std::ops::Deref;

use bstr::{BStr, BString, ByteSlice};

use super::prepared::{Owner, Prepare};
use crate::text::c_integer;

/// Text with substitutions.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Template {
    /// As written; `None` if it is its only part, or empty.
    text: Option<Box<[u8]>>,
    parts: Box<[Part]>,
    limit: Limit,
}

/// How long what a template gives may become. udev has buffers; TOML has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// The values of udev: less than 512 bytes.
    Value,
    /// The paths and lists of links of udev: less than 1,024 bytes.
    Path,
    /// The command lines of udev: less than 16,384 bytes.
    Line,
    /// As long as it comes.
    None,
}

impl Limit {
    /// The longest value, in bytes.
    pub fn most(self) -> usize {
        match self {
            Limit::Value => 511,
            Limit::Path => 1023,
            Limit::Line => 16_383,
            Limit::None => usize::MAX,
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text that stands for itself.
    Text(BString),
    /// A value of the event.
    Var(Var),
}

/// A substitution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Var {
    /// `$devnode`, `%N`: the node with the device directory in front.
    Devnode,
    /// `$attr{NAME}`, `%s{NAME}`: an attribute of the device, else of the matched parent.
    Attr(AttributeName),
    /// `$env{NAME}`, `%E{NAME}`: a property.
    Env(BString),
    /// `$kernel`, `%k`.
    Kernel,
    /// `$number`, `%n`: the digits at the end of the kernel name.
    Number,
    /// `$driver`, `%d`: driver of the matched parent.
    Driver,
    /// `$devpath`, `%p`.
    Devpath,
    /// `$id`, `%b`: kernel name of the matched parent.
    Id,
    /// `$major`, `%M`.
    Major,
    /// `$minor`, `%m`.
    Minor,
    /// `$result`, `%c`, with `{N}` or `{N+}`.
    Result(Words),
    /// `$parent`, `%P`: the parent's node name.
    Parent,
    /// `$name`, `%D`.
    Name,
    /// `$links`, `%L`.
    Links,
    /// `$root`, `%r`: the device directory.
    Root,
    /// `$sys`, `%S`.
    Sys,
    /// `$index`: the number of the rule's `index` (TOML only).
    Index,
}

/// The name in `$attr{…}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributeName {
    text: BString,
    owner: Owner,
}

impl From<&[u8]> for AttributeName {
    fn from(text: &[u8]) -> Self {
        Self { text: text.into(), owner: Owner::prepare(text) }
    }
}

impl Deref for AttributeName {
    type Target = BString;

    fn deref(&self) -> &BString {
        &self.text
    }
}

impl AttributeName {
    /// Whose attribute it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

/// Which words of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Words {
    /// The whole output.
    All,
    /// The n-th word, from 1.
    One(u32),
    /// The n-th word and all behind it.
    From(u32),
}

/// Something odd in a template, with its offset in bytes. udev keeps going with all of them; TOML refuses them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `$x` or `%x` that is no substitution; udev keeps it as text.
    #[error("`{word}` is no substitution")]
    Unknown {
        /// Offset of the `$` or `%`.
        at: usize,
        /// What was found.
        word: String,
    },
    /// `$attr` or `$env` without `{…}`, a missing `}`, an empty `{}`: udev ends the text there.
    #[error("`{word}` needs a name in braces")]
    Braces {
        /// Offset of the `$` or `%`.
        at: usize,
        /// What was found.
        word: String,
    },
}

impl TemplateError {
    /// Offset of the odd part in the template's text, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            TemplateError::Unknown { at, .. } | TemplateError::Braces { at, .. } => *at,
        }
    }
}

/// Long name, short letter. The order counts: a name is found by its beginning.
type Table = [(&'static str, u8)];

/// udev's own.
const UDEV_TABLE: &Table = TABLE.split_at(20).0;

const TABLE: [(&str, u8); 21] = [
    ("devnode", b'N'),
    ("tempnode", b'N'),
    ("attr", b's'),
    ("sysfs", b's'),
    ("env", b'E'),
    ("kernel", b'k'),
    ("number", b'n'),
    ("driver", b'd'),
    ("devpath", b'p'),
    ("id", b'b'),
    ("major", b'M'),
    ("minor", b'm'),
    ("result", b'c'),
    ("parent", b'P'),
    ("name", b'D'),
    ("links", b'L'),
    ("root", b'r'),
    ("sys", b'S'),
    ("$", b'$'),
    ("%", b'%'),
    ("index", b'i'),
];

impl Template {
    /// Parses `text`. What udev would let pass comes back as errors beside a template that does what udev does.
    pub fn parse(text: &[u8]) -> (Self, Vec<TemplateError>) {
        Self::parse_with(text, &TABLE)
    }

    /// The same for udev's own language, which has no `$index`.
    pub fn parse_udev(text: &[u8]) -> (Self, Vec<TemplateError>) {
        Self::parse_with(text, UDEV_TABLE)
    }

    fn parse_with(text: &[u8], table: &Table) -> (Self, Vec<TemplateError>) {
        if text.find_byteset(b"$%").is_none() {
            return (Self::literal(text), Vec::new());
        }
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut literal = BString::default();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match substitution(text, at, table) {
                Ok(Some((Piece::Byte(b), next))) => {
                    literal.push(b);
                    at = next;
                }
                Ok(Some((Piece::Var(var), next))) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Var(var));
                    at = next;
                }
                Ok(None) => {
                    literal.push(byte);
                    at += 1;
                }
                Err(error @ TemplateError::Unknown { .. }) => {
                    errors.push(error);
                    literal.push(byte);
                    at += 1;
                }
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        (Self::new(text, parts.into()), errors)
    }

    /// A template that stands for `text` itself.
    pub fn literal(text: &[u8]) -> Self {
        let parts = if text.is_empty() { [].into() } else { [Part::Text(text.into())].into() };
        Self::new(text, parts)
    }

    fn new(text: &[u8], parts: Box<[Part]>) -> Self {
        let same = match &*parts {
            [] => text.is_empty(),
            [Part::Text(part)] => part == text,
            _ => false,
        };
        Self { text: (!same).then(|| text.into()), parts, limit: Limit::None }
    }

    /// The same with a limit to what it gives.
    #[must_use]
    pub fn within(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    /// How long what it gives may become.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The text as written.
    pub fn text(&self) -> &BStr {
        match (&self.text, &*self.parts) {
            (Some(text), _) => text.as_bstr(),
            (None, [Part::Text(part)]) => part.as_bstr(),
            (None, _) => BStr::new(""),
        }
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The value, if it needs no event: the template holds no substitution.
    pub fn constant(&self) -> Option<&BStr> {
        match &*self.parts {
            [] => Some(BStr::new("")),
            [Part::Text(text)] => Some(text.as_bstr()),
            _ => None,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.text())
    }
}

enum Piece {
    Byte(u8),
    Var(Var),
}

/// Reads a substitution at `at`: the piece and the offset behind it, or `None` for an ordinary byte.
fn substitution(text: &[u8], at: usize, table: &Table) -> Result<Option<(Piece, usize)>, TemplateError> {
    let rest = text.get(at + 1..).unwrap_or_default();
    let found = match text.get(at) {
        Some(b'$') => table
            .iter()
            .find(|(long, _)| *long != "%" && rest.starts_with(long.as_bytes()))
            .map(|(long, short)| (*short, long.len())),
        Some(b'%') => rest
            .first()
            .filter(|b| **b != b'$' && **b != b'i')
            .and_then(|b| table.iter().find(|(_, short)| short == b))
            .map(|(_, short)| (*short, 1)),
        _ => return Ok(None),
    };
    let Some((letter, len)) = found else {
        return Err(TemplateError::Unknown { at, word: word_at(text, at) });
    };
    if matches!(letter, b'$' | b'%') {
        return Ok(Some((Piece::Byte(letter), at + 1 + len)));
    }
    let behind = at + 1 + len;
    let braces = || TemplateError::Braces { at, word: word_at(text, at) };
    let (argument, next) = match text.get(behind) {
        Some(b'{') => {
            let inner = text.get(behind + 1..).unwrap_or_default();
            let is_name = |end: &usize| (1..=Limit::Path.most()).contains(end);
            let end = inner.find_byte(b'}').filter(is_name).ok_or_else(braces)?;
            (inner.get(..end), behind + 1 + end + 1)
        }
        _ => (None, behind),
    };
    match var(letter, argument) {
        Some(var) => Ok(Some((Piece::Var(var), next))),
        None => Err(braces()),
    }
}

fn var(letter: u8, argument: Option<&[u8]>) -> Option<Var> {
    Some(match letter {
        b'N' => Var::Devnode,
        b's' => Var::Attr(argument?.into()),
        b'E' => Var::Env(argument?.into()),
        b'k' => Var::Kernel,
        b'n' => Var::Number,
        b'd' => Var::Driver,
        b'p' => Var::Devpath,
        b'b' => Var::Id,
        b'M' => Var::Major,
        b'm' => Var::Minor,
        b'c' => Var::Result(words(argument)?),
        b'P' => Var::Parent,
        b'D' => Var::Name,
        b'L' => Var::Links,
        b'r' => Var::Root,
        b'S' => Var::Sys,
        b'i' => Var::Index,
        _ => return None,
    })
}

fn words(argument: Option<&[u8]>) -> Option<Words> {
    let Some(argument) = argument else { return Some(Words::All) };
    let (digits, onward) = argument.strip_suffix(b"+").map_or((argument, false), |digits| (digits, true));
    let number = u32::try_from(c_integer(digits)?).ok()?;
    Some(match (number, onward) {
        (0, _) => Words::All,
        (_, true) => Words::From(number),
        (_, false) => Words::One(number),
    })
}

fn word_at(text: &[u8], at: usize) -> String {
    let rest = text.get(at..).unwrap_or_default();
    let len = 1 + rest.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'{').count();
    rest.get(..len.max(1)).unwrap_or_default().to_str_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Part {
        Part::Text(s.into())
    }

    #[test]
    fn parses() {
        let cases: Vec<(&str, Vec<Part>)> = vec![
            ("gps", vec![text("gps")]),
            ("", vec![]),
            ("gps%n", vec![text("gps"), Part::Var(Var::Number)]),
            ("$env{ID_PATH}x", vec![Part::Var(Var::Env("ID_PATH".into())), text("x")]),
            ("%s{a b}", vec![Part::Var(Var::Attr(b"a b"[..].into()))]),
            ("$attr{size}$kernel", vec![Part::Var(Var::Attr(b"size"[..].into())), Part::Var(Var::Kernel)]),
            ("$kernelx", vec![Part::Var(Var::Kernel), text("x")]),
            ("100%%$$", vec![text("100%$")]),
            ("%c{0}", vec![Part::Var(Var::Result(Words::All))]),
            ("%c{2+}", vec![Part::Var(Var::Result(Words::From(2)))]),
            (
                "%c{0x2}%c{ +010+}",
                vec![Part::Var(Var::Result(Words::One(2))), Part::Var(Var::Result(Words::From(8)))],
            ),
            ("$result", vec![Part::Var(Var::Result(Words::All))]),
            ("cam/$index", vec![text("cam/"), Part::Var(Var::Index)]),
            ("$devnode|$devpath", vec![Part::Var(Var::Devnode), text("|"), Part::Var(Var::Devpath)]),
        ];
        for (given, expected) in cases {
            let (template, errors) = Template::parse(given.as_bytes());
            assert_eq!(template.parts(), expected, "{given}");
            assert_eq!(errors, [], "{given}");
        }
    }

    #[test]
    fn udev_has_no_index() {
        let (template, errors) = Template::parse_udev(b"$index$id");
        assert_eq!(template.parts(), [text("$index"), Part::Var(Var::Id)]);
        assert_eq!(errors, [TemplateError::Unknown { at: 0, word: "$index".into() }]);
    }

    #[test]
    fn odd_ones_do_what_udev_does() {
        let (template, errors) = Template::parse(b"a%z b");
        assert_eq!(template.constant().unwrap(), "a%z b");
        assert_eq!(errors, [TemplateError::Unknown { at: 1, word: "%z".into() }]);
        for cut in [
            "a$attr", "a$attr{", "a$env{}", "a%s", "a%c{}", "a%c{x}b", "a%c{+}b", "a%c{2x}b", "a%c{-1}",
            "a%c{2 }b", "a%k{}",
        ] {
            let (template, errors) = Template::parse(cut.as_bytes());
            assert_eq!(template.constant().unwrap(), "a", "{cut}");
            assert!(matches!(errors[..], [TemplateError::Braces { at: 1, .. }]), "{cut}");
        }
    }
}
