//! Owns the sets of globs: `[…]`, with ranges, classes `[:alpha:]`, `[=a=]` and `[.a.]`, in the C locale.
//!
//! Sets that are written wrong mean what they mean to the C library's `fnmatch`, which reads a set from the left, as far
//! as the first element that holds the byte, and from there looks for the end only. So what is wrong behind that element
//! may go unseen, and the fuzz target that compares the two can ask for the same answer on every pattern.

use bstr::ByteSlice;

use super::Case;

/// Longest name of a class that is read.
const CLASS_MAX: usize = 2048;

/// Why a set has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The `]` is not there: the `[` is an ordinary byte.
    Unclosed,
    /// Something in it is broken off, or a class or symbol that does not exist: nothing matches.
    Broken,
}

/// One element of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element<'p> {
    /// One byte.
    One(Byte),
    /// All bytes from the first to the second.
    Range(Byte, Byte),
    /// The bytes of a class.
    Class(&'p [u8]),
    /// No byte at all.
    Nothing,
}

/// A byte of a set, by itself or as an end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Byte {
    /// As written.
    Plain(u8),
    /// `[=a=]` or `[.a.]`: the byte itself, never its other case.
    Exact(u8),
}

/// The offset behind the set that begins at `at`, if `byte` is matched by it (or by its `[` as an ordinary byte).
pub(super) fn matched(pattern: &[u8], at: usize, byte: u8, case: Case) -> Option<usize> {
    match answer(pattern, at, byte, case) {
        Ok((hit, end)) => hit.then_some(end),
        Err(Fault::Unclosed) => (byte == b'[').then_some(at + 1),
        Err(Fault::Broken) => None,
    }
}

/// Whether the set matches, and the offset behind it.
fn answer(pattern: &[u8], at: usize, byte: u8, case: Case) -> Result<(bool, usize), Fault> {
    let mut walk = Walk::new(pattern, at);
    while let Some(element) = walk.next()? {
        if element.holds(byte, case) {
            return end_behind(pattern, walk.at).map(|end| (!walk.negated, end));
        }
    }
    Ok((walk.negated, walk.at))
}

/// Reads a set's elements from the left.
#[derive(Debug)]
pub(super) struct Walk<'p> {
    pattern: &'p [u8],
    /// Where the next element begins; behind the set when all are read.
    pub(super) at: usize,
    first: usize,
    negated: bool,
    /// The element before was the start of a range that the pattern's end cuts off.
    cut: bool,
}

impl<'p> Walk<'p> {
    /// The set whose `[` is at `at`.
    pub(super) fn new(pattern: &'p [u8], at: usize) -> Self {
        let negated = matches!(pattern.get(at + 1), Some(b'!' | b'^'));
        let first = at + 1 + usize::from(negated);
        Self { pattern, at: first, first, negated, cut: false }
    }

    /// The next element; `None` at the end of the set.
    pub(super) fn next(&mut self) -> Result<Option<Element<'p>>, Fault> {
        if self.cut {
            return Err(Fault::Broken);
        }
        let byte = *self.pattern.get(self.at).ok_or(Fault::Unclosed)?;
        if byte == b']' && self.at > self.first {
            self.at += 1;
            return Ok(None);
        }
        if let Some((class, end)) = class(self.pattern, self.at)? {
            self.at = end;
            return Ok(Some(class));
        }
        let (low, behind) = bound(self.pattern, self.at)?;
        let (element, end) = self.range(low, behind)?;
        self.at = end;
        Ok(Some(element))
    }

    /// The range that begins with `low`, or `low` alone.
    fn range(&mut self, low: Byte, behind: usize) -> Result<(Element<'p>, usize), Fault> {
        match (self.pattern.get(behind..).unwrap_or_default(), low) {
            ([b'-'], _) => {
                self.cut = true;
                Ok((Element::One(low), behind))
            }
            // A symbol is taken for the start of a range even here, and so stands for nothing.
            ([b'-', b']', ..], Byte::Exact(_)) => Ok((Element::Nothing, behind)),
            ([b'-', b']', ..], Byte::Plain(_)) => Ok((Element::One(low), behind)),
            ([b'-', ..], _) => {
                let (high, end) = bound(self.pattern, behind + 1).map_err(|_| Fault::Broken)?;
                Ok((Element::Range(low, high), end))
            }
            _ => Ok((Element::One(low), behind)),
        }
    }
}

impl Element<'_> {
    fn holds(self, byte: u8, case: Case) -> bool {
        match self {
            Element::One(one @ Byte::Plain(_)) => one.folded(case) == Byte::Plain(byte).folded(case),
            Element::One(Byte::Exact(one)) => one == byte,
            Element::Range(low, high) => {
                (low.folded(case)..=high.folded(case)).contains(&Byte::Plain(byte).folded(case))
            }
            Element::Class(name) => in_class(name, byte) == Some(true),
            Element::Nothing => false,
        }
    }
}

impl Byte {
    /// The byte, whatever stands for it.
    pub(super) fn value(self) -> u8 {
        let (Byte::Plain(byte) | Byte::Exact(byte)) = self;
        byte
    }

    fn folded(self, case: Case) -> u8 {
        match (self, case) {
            (Byte::Plain(byte), Case::Fold) => byte.to_ascii_lowercase(),
            _ => self.value(),
        }
    }
}

/// A class or `[=a=]` at `at`, with the offset behind it; `None` if what begins like one is none.
fn class(pattern: &[u8], at: usize) -> Result<Option<(Element<'_>, usize)>, Fault> {
    let rest = pattern.get(at..).unwrap_or_default();
    match rest {
        [b'[', b':', rest @ ..] => {
            let length = spelled(rest);
            if length >= CLASS_MAX {
                return Err(Fault::Broken);
            }
            let Some((name, [b':', b']', ..])) = rest.split_at_checked(length) else { return Ok(None) };
            in_class(name, 0).ok_or(Fault::Broken)?;
            Ok(Some((Element::Class(name), at + length + 4)))
        }
        [b'[', b'=', byte, b'=', b']', ..] => Ok(Some((Element::One(Byte::Exact(*byte)), at + 5))),
        _ => Ok(None),
    }
}

/// How much of `rest` could be the name of a class. A `z` ends it too: no class has one.
fn spelled(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| matches!(b, b'a'..=b'y')).count()
}

/// Whether a class's name of `length` bytes ends as it must.
fn is_closed(rest: &[u8], length: usize) -> bool {
    rest.get(length..).is_some_and(|end| end.starts_with(b":]"))
}

/// One end of a range at `at`, or a byte by itself: `[.a.]`, `\a`, `a`.
fn bound(pattern: &[u8], at: usize) -> Result<(Byte, usize), Fault> {
    match pattern.get(at..).unwrap_or_default() {
        [b'[', b'.', byte, b'.', b']', ..] => Ok((Byte::Exact(*byte), at + 5)),
        // Other symbols do not exist in the C locale.
        [b'[', b'.', ..] | [b'\\'] => Err(Fault::Broken),
        [b'\\', byte, ..] => Ok((Byte::Plain(*byte), at + 2)),
        [byte, ..] => Ok((Byte::Plain(*byte), at + 1)),
        [] => Err(Fault::Unclosed),
    }
}

/// The offset behind the set's `]`, from within it.
fn end_behind(pattern: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at = match pattern.get(at..).unwrap_or_default() {
            [] => return Err(Fault::Unclosed),
            [b']', ..] => return Ok(at + 1),
            [b'\\'] => return Err(Fault::Broken),
            [b'\\', ..] => at + 2,
            // Here nobody asks whether there is such a class.
            [b'[', b':', rest @ ..] => match spelled(rest) {
                length if length + 1 >= CLASS_MAX => return Err(Fault::Broken),
                length if is_closed(rest, length) => at + length + 4,
                _ => at + 1,
            },
            [b'[', b'=', _, b'=', b']', ..] => at + 5,
            [b'[', b'=', ..] => return Err(Fault::Broken),
            [b'[', b'.', rest @ ..] => at + 2 + rest.find(b".]").ok_or(Fault::Broken)? + 2,
            _ => at + 1,
        };
    }
}

/// POSIX character classes in the C locale; `None` if there is no such class.
fn in_class(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Case, Pattern};

    fn matches(pattern: &str, value: &str, case: Case) -> bool {
        Pattern::single(pattern.as_bytes(), case).matches(value.as_bytes())
    }

    /// Sets that are written wrong: the answers are those of glibc 2.36.
    #[test]
    fn broken_sets() {
        for (pattern, value, expected) in [
            ("[[:al@ptha:[:alptha:]]*", "[0Sh]x", true),
            ("[[:al@ptha:[:alptha:]]*", "x0Sh]x", false),
            ("[a[:nope:]]", "a", true),
            ("[a[:nope:]]", "b", false),
            ("[a[:nope:]", "a", false),
            ("[a[:nope:]", "[a[:nope:]", false),
            ("[a[:nozpe:]", "a", true),
            ("[=a=]", "a", true),
            ("[[=a=]", "a", false),
            ("[[=a=]]", "a", true),
            ("[[.a.]]", "a", true),
            ("[[.a.]-]", "a", false),
            ("[[.a.]-]", "-", true),
            ("[[.ab.]]", "a", false),
            ("[[.a.]-c]", "b", true),
            ("[a-]", "a", true),
            ("[[-", "[[-", true),
            ("[[-", "x[-", false),
            ("[a-", "[a-", false),
            ("x[a-", "x[a-", false),
            ("[", "[", true),
            ("[!", "[!", true),
            ("[]", "[]", true),
            ("[]a", "[]a", true),
            ("[\\", "[\\", false),
            ("[a\\]", "[a]", true),
            ("[a\\]]", "]", true),
            ("[z-a]", "m", false),
            ("[!z-a]", "m", true),
        ] {
            assert_eq!(matches(pattern, value, Case::Sensitive), expected, "`{pattern}` on `{value}`");
        }
    }

    #[test]
    fn symbols_keep_their_case() {
        for (pattern, value, expected) in [
            ("[[.A.]]", "a", false),
            ("[[=A=]]", "A", true),
            ("[0!-[.A.]]", "\\", false),
            ("[0!-A]", "\\", true),
            ("[[.A.]-z]", "[", true),
            ("[A-z]", "[", false),
        ] {
            assert_eq!(matches(pattern, value, Case::Fold), expected, "`{pattern}` on `{value}`");
        }
    }

    #[test]
    fn long_names_of_classes() {
        for (length, front, expected) in
            [(2046, "[a[:", true), (2047, "[a[:", false), (2047, "[z[:", false), (2047, "[![:", false)]
        {
            let pattern = format!("{front}{}:]]", "a".repeat(length));
            assert_eq!(matches(&pattern, "a", Case::Sensitive), expected, "{length} {front}");
        }
    }
}
