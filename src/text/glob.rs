//! Owns glob patterns as udev rules mean them: `fnmatch(3)` without flags (`*` crosses `/`, a leading dot is nothing
//! special, `[!…]` and `[^…]` negate, `\` takes the next byte literally), with `|` between alternatives. A pattern
//! without `*`, `?` and `[` is compared byte by byte: in it a backslash is a backslash.
//!
//! A pattern is classified once; matching never parses and never allocates.

use std::fmt;

use bstr::{BStr, ByteSlice};

use super::set::{self, Element, Fault, Walk};

/// Whether ASCII letters of either case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// `A` is not `a`.
    Sensitive,
    /// ASCII letters match either case.
    Fold,
}

/// What is wrong with a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A `[` without its `]`; the offset of the `[` in bytes.
    #[error("`[` without `]`")]
    Unclosed(usize),
    /// A range whose end is before its start; the offset of the `[`.
    #[error("a range in `[…]` runs backwards")]
    Backwards(usize),
    /// A set with something in it that does not exist, as `[[:letter:]]`, or that is broken off; the offset of the `[`.
    #[error("`[…]` with a class or a symbol that does not exist")]
    Set(usize),
    /// A backslash as the last byte; its offset.
    #[error("`\\` at the end escapes nothing")]
    Trailing(usize),
}

/// A compiled pattern: any of its alternatives may match.
///
/// Rule files have tens of thousands of them, most of them one plain value: such a one is its text and nothing else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<[u8]>,
    case: Case,
    any_of: AnyOf,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum AnyOf {
    /// The whole text.
    Whole(Kind),
    /// The parts between `|`, as many as there are kinds.
    Split(Box<[Kind]>),
}

/// How one alternative is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Any,
    Literal,
    /// All but the `*` at the end.
    Prefix,
    /// All but the `*` at the beginning.
    Suffix,
    Glob,
}

/// One alternative.
#[derive(Debug, Clone, Copy)]
struct One<'p> {
    text: &'p [u8],
    kind: Kind,
}

impl Pattern {
    /// Compiles `text`: alternatives between `|`; a leading, trailing or doubled `|` adds the empty string.
    pub fn new(text: &[u8], case: Case) -> Self {
        // One glob among the alternatives makes all of them globs.
        let glob = has_glob(text);
        let any_of = match text.contains(&b'|') {
            false => AnyOf::Whole(Kind::of(text, glob)),
            true => AnyOf::Split(text.split(|&b| b == b'|').map(|one| Kind::of(one, glob)).collect()),
        };
        Self { text: text.into(), case, any_of }
    }

    /// Compiles one glob in which `|` is an ordinary byte.
    pub fn single(text: &[u8], case: Case) -> Self {
        Self { text: text.into(), case, any_of: AnyOf::Whole(Kind::of(text, true)) }
    }

    /// The alternatives.
    fn any_of(&self) -> impl Iterator<Item = One<'_>> {
        let (whole, split): (_, &[Kind]) = match &self.any_of {
            AnyOf::Whole(kind) => (Some(One { text: &self.text, kind: *kind }), &[]),
            AnyOf::Split(kinds) => (None, kinds),
        };
        let parts = self.text.split(|&b| b == b'|').zip(split);
        whole.into_iter().chain(parts.map(|(text, kind)| One { text, kind: *kind }))
    }

    /// True when one alternative matches the whole of `value`.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.any_of().any(|one| one.matches(value, self.case))
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &BStr {
        self.text.as_bstr()
    }

    /// Whether letters of either case match.
    pub fn case(&self) -> Case {
        self.case
    }

    /// The one value that it stands for, if it is plain and without alternatives.
    pub fn literal(&self) -> Option<&BStr> {
        let one = self.any_of == AnyOf::Whole(Kind::Literal) && self.case == Case::Sensitive;
        one.then(|| self.text.as_bstr())
    }

    /// The alternatives as plain values if none of them has a glob character; what an index can hash.
    pub fn literals(&self) -> Option<Vec<&BStr>> {
        self.any_of()
            .map(|one| match one.kind {
                Kind::Literal if self.case == Case::Sensitive => Some(one.text.as_bstr()),
                _ => None,
            })
            .collect()
    }

    /// For each alternative how every value begins that it matches, which may be empty; `None` if letters of either case
    /// match. What an index can hash.
    pub fn heads(&self) -> Option<Vec<&BStr>> {
        let sensitive = self.case == Case::Sensitive;
        sensitive.then(|| self.any_of().map(|one| one.head().as_bstr()).collect())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?}, {:?})", self.text.as_bstr(), self.case)
    }
}

fn has_glob(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// True for a text that means something else as a glob than as it stands.
fn is_special(text: &[u8]) -> bool {
    has_glob(text) || text.contains(&b'\\')
}

impl Kind {
    fn of(text: &[u8], glob: bool) -> Self {
        match text {
            b"*" => Kind::Any,
            _ if !glob || !is_special(text) => Kind::Literal,
            [front @ .., b'*'] if !is_special(front) => Kind::Prefix,
            [b'*', back @ ..] if !is_special(back) => Kind::Suffix,
            _ => Kind::Glob,
        }
    }
}

impl<'p> One<'p> {
    /// The text without the `*` that its kind stands for.
    fn plain(self) -> &'p [u8] {
        match (self.kind, self.text) {
            (Kind::Prefix, [front @ .., _]) => front,
            (Kind::Suffix, [_, back @ ..]) => back,
            (_, text) => text,
        }
    }

    fn head(self) -> &'p [u8] {
        match self.kind {
            Kind::Literal | Kind::Prefix => self.plain(),
            Kind::Glob => {
                let end = self.text.find_byteset(b"*?[\\").unwrap_or(self.text.len());
                self.text.get(..end).unwrap_or_default()
            }
            Kind::Any | Kind::Suffix => b"",
        }
    }

    fn matches(self, value: &[u8], case: Case) -> bool {
        let text = self.plain();
        let same = |a: &[u8], b: &[u8]| match case {
            Case::Sensitive => a == b,
            Case::Fold => a.eq_ignore_ascii_case(b),
        };
        match self.kind {
            Kind::Any => true,
            Kind::Literal => same(text, value),
            Kind::Prefix => value.get(..text.len()).is_some_and(|front| same(text, front)),
            Kind::Suffix => value
                .len()
                .checked_sub(text.len())
                .and_then(|at| value.get(at..))
                .is_some_and(|back| same(text, back)),
            Kind::Glob => fnmatch(text, value, case),
        }
    }
}

/// Iterative matcher: on a mismatch it goes back to the last `*` only, so the time is at most pattern × value.
fn fnmatch(pattern: &[u8], value: &[u8], case: Case) -> bool {
    let (mut p, mut v) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, v));
                p += 1;
                continue;
            }
            None if v == value.len() => return true,
            None => None,
            Some(_) => value.get(v).and_then(|&byte| match_one(pattern, p, byte, case)),
        };
        match (step, star) {
            (Some(next), _) => (p, v) = (next, v + 1),
            (None, Some((after, from))) if from < value.len() => {
                star = Some((after, from + 1));
                (p, v) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Matches `byte` with the element at `at`; the offset after the element if it fits.
fn match_one(pattern: &[u8], at: usize, byte: u8, case: Case) -> Option<usize> {
    let same = |a: u8, b: u8| a == b || (case == Case::Fold && a.eq_ignore_ascii_case(&b));
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'\\' => {
            let literal = *pattern.get(at + 1)?;
            same(literal, byte).then_some(at + 2)
        }
        b'[' => set::matched(pattern, at, byte, case),
        literal => same(literal, byte).then_some(at + 1),
    }
}

/// Checks a pattern as a person wrote it: what `fnmatch` would take for something else than was meant is an error.
pub fn check_glob(text: &[u8]) -> Result<(), GlobError> {
    let mut i = 0;
    while let Some(&byte) = text.get(i) {
        match byte {
            b'\\' if i + 1 == text.len() => return Err(GlobError::Trailing(i)),
            b'\\' => i += 2,
            b'[' => i = check_set(text, i)?,
            _ => i += 1,
        }
    }
    Ok(())
}

/// The offset behind the set at `at`.
fn check_set(text: &[u8], at: usize) -> Result<usize, GlobError> {
    let mut walk = Walk::new(text, at);
    loop {
        match walk.next() {
            Ok(Some(Element::Range(low, high))) if low.value() > high.value() => {
                return Err(GlobError::Backwards(at));
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(Fault::Unclosed) => return Err(GlobError::Unclosed(at)),
            Err(Fault::Broken) => return Err(GlobError::Set(at)),
        }
    }
    // Alternatives are split before sets are looked for.
    let inside = text.get(at..walk.at).unwrap_or_default();
    if inside.contains(&b'|') { Err(GlobError::Unclosed(at)) } else { Ok(walk.at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let yes = [
            ("*", ""),
            ("*", "a/b"),
            ("?*", "a"),
            ("sd*", "sda1"),
            ("*1", "sda1"),
            ("sd[a-z]", "sdb"),
            ("sd[!a-c]", "sdd"),
            ("sd[^a-c]", "sdd"),
            ("a*b*c", "a-b-b-c"),
            ("a|b|", ""),
            ("a|b*", "bcd"),
            ("\\*", "*"),
            ("a\\x20b", "a\\x20b"),
            ("q|a\\x20b", "a\\x20b"),
            ("a\\x20*", "ax20b"),
            ("q*|a\\x20b", "ax20b"),
            ("[]]", "]"),
            ("[a", "[a"),
            ("[[:digit:]]x", "7x"),
            ("*.?", ".hidden.c"),
            ("[a-]", "-"),
            ("ttyUSB[0-9]*", "ttyUSB12"),
        ];
        for (pattern, value) in yes {
            assert!(
                Pattern::new(pattern.as_bytes(), Case::Sensitive).matches(value.as_bytes()),
                "{pattern} {value}"
            );
        }
        let no = [
            ("?*", ""),
            ("?", ""),
            ("sd*", "xsd"),
            ("a|b", "ab"),
            ("sd[a-z]", "sd1"),
            ("SD*", "sda"),
            ("\\*", "a"),
            ("a\\x20b", "ax20b"),
            ("a\\x20*", "a\\x20b"),
            ("q*|a\\x20b", "a\\x20b"),
            ("a*b", "a"),
            ("", "x"),
        ];
        for (pattern, value) in no {
            assert!(
                !Pattern::new(pattern.as_bytes(), Case::Sensitive).matches(value.as_bytes()),
                "{pattern} {value}"
            );
        }
    }

    #[test]
    fn folded() {
        for (pattern, value) in [("SD*", "sda"), ("abc", "ABC"), ("[a-c]x", "BX"), ("*FOO", "xfoo")] {
            assert!(
                Pattern::new(pattern.as_bytes(), Case::Fold).matches(value.as_bytes()),
                "{pattern} {value}"
            );
        }
    }

    #[test]
    fn heads() {
        for (pattern, expected) in [
            ("sda|sd*|*1", &["sda", "sd", ""][..]),
            ("a\\x20b", &["a\\x20b"]),
            ("q*|a\\x20b", &["q", "a"]),
            ("tty[A-Z]*|x?y||*", &["tty", "x", "", ""]),
        ] {
            let pattern = Pattern::new(pattern.as_bytes(), Case::Sensitive);
            assert_eq!(pattern.heads().unwrap(), expected, "{pattern:?}");
        }
        assert_eq!(Pattern::new(b"sda", Case::Fold).heads(), None);
    }

    #[test]
    fn checks() {
        assert_eq!(check_glob(b"sd[a-z]*|x?"), Ok(()));
        assert_eq!(check_glob(b"ab[c"), Err(GlobError::Unclosed(2)));
        assert_eq!(check_glob(b"[z-a]"), Err(GlobError::Backwards(0)));
        assert_eq!(check_glob(b"a\\"), Err(GlobError::Trailing(1)));
        assert_eq!(check_glob(b"[a|b]"), Err(GlobError::Unclosed(0)));
    }

    #[test]
    fn many_stars_end_soon() {
        let value = [b'a'; 4096];
        assert!(!Pattern::new(b"*a*a*a*a*a*a*a*a*b", Case::Sensitive).matches(&value));
    }
}
