//! Owns sets of rules as bits, one for each rule of the set in force: cheap to intersect, and walked in order.

/// Bits in a word.
const WORD: usize = 64;

/// A set of rule numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rules) struct Bits(Box<[u64]>);

impl Bits {
    /// No rule of `len`.
    pub(super) fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(WORD)].into())
    }

    /// The rules of `len` for which `wanted` says so.
    pub(super) fn of(len: usize, wanted: impl Fn(usize) -> bool) -> Self {
        let mut bits = Self::none(len);
        (0..len).filter(|at| wanted(*at)).for_each(|at| bits.insert(at));
        bits
    }

    /// Puts a rule in; one beyond the end is left out.
    pub(super) fn insert(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / WORD) {
            *word |= 1 << (at % WORD);
        }
    }

    /// Puts all of `other` in.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&*other.0).for_each(|(word, more)| *word |= more);
    }

    /// Keeps what `other` has too.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&*other.0).for_each(|(word, same)| *word &= same);
    }

    /// The first rule of the set that is not before `from`.
    pub(in crate::rules) fn next(&self, from: usize) -> Option<usize> {
        let first = from / WORD;
        let head = self.0.get(first)? & (u64::MAX << (from % WORD));
        if head != 0 {
            return Some(first * WORD + trailing(head));
        }
        let (at, word) = self.0.iter().enumerate().skip(first + 1).find(|(_, word)| **word != 0)?;
        Some(at * WORD + trailing(*word))
    }

    /// How many rules are in the set.
    #[cfg(test)]
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

fn trailing(word: u64) -> usize {
    usize::try_from(word.trailing_zeros()).unwrap_or(WORD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn walked_in_order() {
        let members = [0, 1, 63, 64, 127, 200];
        let bits = Bits::of(201, |at| members.contains(&at));
        assert_eq!(bits.count(), 6);
        for (from, expected) in [
            (0, Some(0)),
            (2, Some(63)),
            (63, Some(63)),
            (64, Some(64)),
            (65, Some(127)),
            (128, Some(200)),
            (201, None),
            (9999, None),
        ] {
            assert_eq!(bits.next(from), expected, "{from}");
        }
        assert_eq!(Bits::none(0).next(0), None);
    }

    proptest! {
        #[test]
        fn as_sets_do(a in prop::collection::btree_set(0usize..150, 0..40), b in prop::collection::btree_set(0usize..150, 0..40)) {
            let (left, right) = (Bits::of(150, |at| a.contains(&at)), Bits::of(150, |at| b.contains(&at)));
            let walk = |bits: &Bits| -> Vec<usize> { std::iter::successors(bits.next(0), |at| bits.next(at + 1)).collect() };
            let (mut both, mut any) = (left.clone(), left);
            both.keep(&right);
            any.add(&right);
            prop_assert_eq!(walk(&both), a.intersection(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(walk(&any), a.union(&b).copied().collect::<Vec<_>>());
        }
    }
}
