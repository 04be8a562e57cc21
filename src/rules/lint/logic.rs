//! Owns what follows from conditions: which two exclude each other, which implies which. Every answer "yes" is certain;
//! "no" may only mean that it was not seen.

use std::borrow::Cow;

use bstr::ByteSlice;

use crate::rules::ir::{Condition, Effect, StepKind, Subject, Test};
use crate::text::{Case, Pattern};

/// One alternative of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative<'p> {
    /// As written; in lower case where case does not count.
    pub(super) text: Cow<'p, [u8]>,
    /// It holds glob characters or escapes, and they mean something.
    pub(super) special: bool,
}

/// The alternatives of a pattern, in order.
pub(super) fn alternatives(pattern: &Pattern, fold: bool) -> Vec<Alternative<'_>> {
    let text = pattern.text().as_bytes();
    let glob = text.contains(&b'*') || text.contains(&b'?') || text.contains(&b'[');
    text.split(|byte| *byte == b'|')
        .map(|one| Alternative {
            text: if fold { Cow::Owned(one.to_ascii_lowercase()) } else { Cow::Borrowed(one) },
            special: glob && one.iter().any(|byte| is_special(*byte)),
        })
        .collect()
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\')
}

impl Alternative<'_> {
    /// What every match begins with.
    fn prefix(&self) -> &[u8] {
        let end = self.text.iter().position(|byte| self.special && is_special(*byte));
        self.text.get(..end.unwrap_or(self.text.len())).unwrap_or_default()
    }

    /// What every match ends with.
    fn suffix(&self) -> &[u8] {
        let start = self.text.iter().rposition(|byte| self.special && is_special(*byte));
        self.text.get(start.map_or(0, |at| at + 1)..).unwrap_or_default()
    }

    /// The value, if there is only one.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        (!self.special).then_some(&*self.text)
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        match self.literal() {
            Some(text) => text == value,
            None => Pattern::single(&self.text, Case::Sensitive).matches(value),
        }
    }

    /// No value matches both.
    fn disjoint(&self, other: &Self) -> bool {
        match (self.literal(), other.literal()) {
            (Some(a), _) => !other.matches(a),
            (None, Some(b)) => !self.matches(b),
            (None, None) => {
                let apart = |a: &[u8], b: &[u8]| !a.starts_with(b) && !b.starts_with(a);
                let apart_behind = |a: &[u8], b: &[u8]| !a.ends_with(b) && !b.ends_with(a);
                apart(self.prefix(), other.prefix()) || apart_behind(self.suffix(), other.suffix())
            }
        }
    }

    /// Every value that matches `other` matches this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if let Some(value) = other.literal() {
            return self.matches(value);
        }
        match &*self.text {
            _ if !self.special => false,
            [front @ .., b'*'] if !front.iter().any(|b| is_special(*b)) => other.prefix().starts_with(front),
            [b'*', back @ ..] if !back.iter().any(|b| is_special(*b)) => other.suffix().ends_with(back),
            _ => false,
        }
    }
}

/// The alternatives of two patterns in one form; `None` where letters of either case count as the same in one of them
/// and a set in brackets would mean something else in lower case.
type Both<'p> = (Vec<Alternative<'p>>, Vec<Alternative<'p>>);

fn both<'p>(a: &'p Pattern, b: &'p Pattern) -> Option<Both<'p>> {
    let fold = a.case() == Case::Fold || b.case() == Case::Fold;
    let sets = a.text().contains(&b'[') || b.text().contains(&b'[');
    (!fold || !sets).then(|| (alternatives(a, fold), alternatives(b, fold)))
}

/// No value matches both patterns.
fn disjoint(a: &Pattern, b: &Pattern) -> bool {
    both(a, b).is_some_and(|(a, b)| a.iter().all(|one| b.iter().all(|other| one.disjoint(other))))
}

/// Every value that matches `inner` matches `outer`.
pub(super) fn covers(outer: &Pattern, inner: &Pattern) -> bool {
    if outer == inner {
        return true;
    }
    if outer.case() == Case::Sensitive && inner.case() == Case::Fold {
        return false;
    }
    both(outer, inner)
        .is_some_and(|(outer, inner)| inner.iter().all(|one| outer.iter().any(|other| other.covers(one))))
}

/// No value passes both tests.
pub(super) fn excluded(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::Is(a), Test::Is(b)) => disjoint(a, b),
        (Test::Is(is), Test::IsNot(not)) | (Test::IsNot(not), Test::Is(is)) => covers(not, is),
        (Test::Exists(a), Test::Exists(b)) => a != b,
        // What is not there is empty to some subjects: only a test that the empty text fails is excluded.
        (Test::Exists(false), Test::Is(is)) | (Test::Is(is), Test::Exists(false)) => !is.matches(b""),
        (Test::Exists(false), Test::Range(_)) | (Test::Range(_), Test::Exists(false)) => true,
        (Test::Range(a), Test::Range(b)) => {
            let below =
                |max: Option<i128>, min: Option<i128>| max.zip(min).is_some_and(|(max, min)| max < min);
            below(a.max, b.min) || below(b.max, a.min)
        }
        _ => false,
    }
}

/// What passes `a` passes `b`.
fn implies(a: &Test, b: &Test) -> bool {
    match (a, b) {
        _ if a == b => true,
        (Test::Is(a), Test::Is(b)) => covers(b, a),
        (Test::Is(a), Test::IsNot(b)) => disjoint(a, b),
        (Test::IsNot(a), Test::IsNot(b)) => covers(a, b),
        (Test::Is(a), Test::Exists(true)) => !a.matches(b""),
        _ => false,
    }
}

/// The subject under its one name: what the kernel's properties repeat is the same thing.
pub(super) fn canonical(subject: &Subject) -> Cow<'_, Subject> {
    let Subject::Property(key) = subject else { return Cow::Borrowed(subject) };
    Cow::Owned(match key.as_slice() {
        b"DEVTYPE" => Subject::Devtype,
        b"SUBSYSTEM" => Subject::Subsystem,
        b"ACTION" => Subject::Action,
        b"DEVPATH" => Subject::Devpath,
        _ => return Cow::Borrowed(subject),
    })
}

/// Two conditions on one device that can't both hold. Tags and links are many: two of them may be there.
pub(super) fn exclude(a: &Condition, b: &Condition) -> bool {
    !matches!(a.subject, Subject::Tag | Subject::Link | Subject::Import(_) | Subject::Program(_))
        && canonical(&a.subject) == canonical(&b.subject)
        && excluded(&a.test, &b.test)
}

/// Where `a` holds, `b` holds.
pub(super) fn follows(a: &Condition, b: &Condition) -> bool {
    canonical(&a.subject) == canonical(&b.subject) && implies(&a.test, &b.test)
}

/// What a subject is can't change while the rules of an event run.
pub(super) fn is_lasting(subject: &Subject) -> bool {
    matches!(
        &*canonical(subject),
        Subject::Kernel
            | Subject::Subsystem
            | Subject::Driver
            | Subject::Devtype
            | Subject::Devpath
            | Subject::Action
            | Subject::Const(_)
    )
}

/// An effect that a step has.
pub(super) fn effect(step: &StepKind) -> Option<(&Effect, bool)> {
    match step {
        StepKind::Do { effect, fixed } => Some((effect, *fixed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        match text.strip_prefix("i:") {
            Some(text) => Pattern::new(text.as_bytes(), Case::Fold),
            None => Pattern::new(text.as_bytes(), Case::Sensitive),
        }
    }

    #[test]
    fn patterns() {
        // outer, inner, covers, disjoint
        let cases = [
            ("a", "a", true, false),
            ("a", "b", false, true),
            ("a|b", "b", true, false),
            ("b", "a|b", false, false),
            ("sd*", "sda", true, false),
            ("sd*", "sd[a-z]", true, false),
            ("sd[a-z]", "sd*", false, false),
            ("sd*", "sr*", false, true),
            ("*1", "*2", false, true),
            ("*1", "sda1", true, false),
            ("*", "x?y", true, false),
            ("?*", "", false, true),
            ("?*", "x*", false, false),
            ("i:ABC", "abc", true, false),
            ("abc", "i:ABC", false, false),
            ("i:a[b]", "ab", false, false),
            ("i:AB", "cd", false, true),
            ("a\\b", "a\\b", true, false),
            ("a\\*|x*", "a*", false, false),
            ("a||b", "", true, false),
        ];
        for (outer, inner, covered, apart) in cases {
            let (outer, inner) = (pattern(outer), pattern(inner));
            assert_eq!(covers(&outer, &inner), covered, "{outer:?} covers {inner:?}");
            assert_eq!(disjoint(&outer, &inner), apart, "{outer:?} and {inner:?}");
            assert_eq!(disjoint(&inner, &outer), apart, "{inner:?} and {outer:?}");
        }
    }

    proptest! {
        /// What is said of patterns holds for values; the alphabet is small so that they meet.
        #[test]
        fn what_follows_is_so(
            a in "[abA*?|\\\\\\[\\]]{0,5}",
            b in "[abA*?|\\\\\\[\\]]{0,5}",
            fold: (bool, bool),
            values in proptest::collection::vec("[abA|*\\\\\\[\\]]{0,4}", 20),
        ) {
            let case = |fold| if fold { Case::Fold } else { Case::Sensitive };
            let (a, b) = (Pattern::new(a.as_bytes(), case(fold.0)), Pattern::new(b.as_bytes(), case(fold.1)));
            let pieces = a.text().split(|b| *b == b'|').chain(b.text().split(|b| *b == b'|'));
            let pieces: Vec<Vec<u8>> = pieces.map(|piece| piece.replace("*", "").replace("?", "a")).collect();
            for value in values.iter().map(|value| value.as_bytes()).chain(pieces.iter().map(Vec::as_slice)) {
                let both = a.matches(value) && b.matches(value);
                prop_assert!(!both || !disjoint(&a, &b), "{a:?} {b:?} {:?}", value.as_bstr());
                let escapes = b.matches(value) && !a.matches(value);
                prop_assert!(!escapes || !covers(&a, &b), "{a:?} {b:?} {:?}", value.as_bstr());
            }
        }
    }
}
