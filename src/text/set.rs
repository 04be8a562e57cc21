//! Owns the sets of globs: `[…]`, with ranges, classes `[:alpha:]`, `[=a=]` and `[.a.]`, in the C locale.
//!
//! Sets that are written wrong mean what they mean to the C library's `fnmatch`, which reads a set from the left, as far
//! as the first element that holds the byte, and from there looks for the end only. So what is wrong behind that element
//! may go unseen, and the fuzz target that compares the two can ask for the same answer on every pattern.

use bstr::ByteSlice;

use super::Case;

/// Longest name of a class that is read.
const CLASS_MAX: usize = 256;

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
    /// A byte, as written.
    Byte(u8),
    /// `[=a=]` or `[.a.]`: the byte itself, never its other case.
    Exact(u8),
    /// All bytes from the first to the second.
    Range(u8, u8),
    /// The bytes of a class.
    Class(&'p [u8]),
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
}

impl<'p> Walk<'p> {
    /// The set whose `[` is at `at`.
    pub(super) fn new(pattern: &'p [u8], at: usize) -> Self {
        let negated = matches!(pattern.get(at + 1), Some(b'!' | b'^'));
        let first = at + 1 + usize::from(negated);
        Self { pattern, at: first, first, negated }
    }

    /// The next element; `None` at the end of the set.
    pub(super) fn next(&mut self) -> Result<Option<Element<'p>>, Fault> {
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
    fn range(&self, low: Element<'p>, behind: usize) -> Result<(Element<'p>, usize), Fault> {
        if self.pattern.get(behind) != Some(&b'-') || self.pattern.get(behind + 1) == Some(&b']') {
            return Ok((low, behind));
        }
        let (high, end) = bound(self.pattern, behind + 1).map_err(|_| Fault::Broken)?;
        Ok((Element::Range(low.byte(), high.byte()), end))
    }
}

impl Element<'_> {
    fn byte(self) -> u8 {
        match self {
            Element::Byte(byte) | Element::Exact(byte) | Element::Range(byte, _) => byte,
            Element::Class(_) => 0,
        }
    }

    fn holds(self, byte: u8, case: Case) -> bool {
        let fold = |byte: u8| if case == Case::Fold { byte.to_ascii_lowercase() } else { byte };
        match self {
            Element::Byte(one) => fold(one) == fold(byte),
            Element::Exact(one) => one == byte,
            Element::Range(low, high) => (fold(low)..=fold(high)).contains(&fold(byte)),
            Element::Class(name) => in_class(name, byte) == Some(true),
        }
    }
}

/// A class or `[=a=]` at `at`, with the offset behind it; `None` if what begins like one is none.
fn class(pattern: &[u8], at: usize) -> Result<Option<(Element<'_>, usize)>, Fault> {
    let rest = pattern.get(at..).unwrap_or_default();
    match rest {
        [b'[', b':', rest @ ..] => {
            // A `z` ends the name too: no class has one.
            let length = rest.iter().take_while(|b| matches!(b, b'a'..=b'y')).count();
            if length >= CLASS_MAX {
                return Err(Fault::Broken);
            }
            let Some((name, [b':', b']', ..])) = rest.split_at_checked(length) else { return Ok(None) };
            in_class(name, 0).ok_or(Fault::Broken)?;
            Ok(Some((Element::Class(name), at + length + 4)))
        }
        [b'[', b'=', byte, b'=', b']', ..] => Ok(Some((Element::Exact(*byte), at + 5))),
        _ => Ok(None),
    }
}

/// One end of a range at `at`, or a byte by itself: `[.a.]`, `\a`, `a`.
fn bound(pattern: &[u8], at: usize) -> Result<(Element<'_>, usize), Fault> {
    match pattern.get(at..).unwrap_or_default() {
        [b'[', b'.', byte, b'.', b']', ..] => Ok((Element::Exact(*byte), at + 5)),
        // Other symbols do not exist in the C locale.
        [b'[', b'.', ..] | [b'\\'] => Err(Fault::Broken),
        [b'\\', byte, ..] => Ok((Element::Byte(*byte), at + 2)),
        [byte, ..] => Ok((Element::Byte(*byte), at + 1)),
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
            [b'[', b':', ..] => {
                class(pattern, at).map_or(Some(at + 1), |c| c.map(|(_, end)| end)).unwrap_or(at + 1)
            }
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
