//! Owns the search for holes in the sequence numbers of events. Pure; knows no socket and no clock.
//!
//! A hole is a hint that an event was lost, never a proof: the kernel counts the events of all network namespaces with
//! one counter and shows each only its own, and a kernel that counts without a lock may deliver neighbours in the wrong
//! order. So a number is called missing only when [`GAP_WINDOW`] further events came without it, or when the caller
//! says that nothing more is under way. Whether something was lost then says the socket: its count of drops has grown.

use std::collections::VecDeque;

use crate::ids::SeqNum;

/// How many events a number may be late. Two neighbours change places only while two processors send at once, so
/// a small multiple of the processors of a large machine is plenty.
pub const GAP_WINDOW: u64 = 256;

/// Numbers that did not come: first and last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first missing number.
    pub first: SeqNum,
    /// The last missing number.
    pub last: SeqNum,
}

impl Missing {
    /// How many numbers that are.
    pub fn count(&self) -> u64 {
        (self.last.0 - self.first.0).saturating_add(1)
    }
}

/// Watches the numbers go by. Holds at most two ranges for each of the last [`GAP_WINDOW`] events.
#[derive(Debug, Clone, Default)]
pub struct GapDetector {
    /// The highest number seen.
    newest: Option<u64>,
    /// Events seen in all.
    seen: u64,
    /// Holes that may still be filled, oldest first, each with what `seen` was when it opened.
    open: VecDeque<(Missing, u64)>,
}

impl GapDetector {
    /// Begins with the first number that is fed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins behind `last`, the number of the last event before the socket was bound.
    pub fn after(last: SeqNum) -> Self {
        Self { newest: Some(last.0), ..Self::default() }
    }

    /// Takes note of one event's number; the holes that are now too old to be filled.
    pub fn feed(&mut self, seqnum: SeqNum) -> Vec<Missing> {
        self.seen += 1;
        match self.newest {
            Some(newest) if seqnum.0 <= newest => self.fill(seqnum.0),
            Some(newest) => {
                if seqnum.0 - newest > 1 {
                    let hole = Missing { first: SeqNum(newest + 1), last: SeqNum(seqnum.0 - 1) };
                    self.open.push_back((hole, self.seen));
                }
                self.newest = Some(seqnum.0);
            }
            None => self.newest = Some(seqnum.0),
        }
        let old = self.open.iter().take_while(|(_, opened)| self.seen - opened >= GAP_WINDOW).count();
        self.open.drain(..old).map(|(hole, _)| hole).collect()
    }

    /// The holes that are still open, for the moment when nothing more is under way (the socket was empty for a while).
    pub fn flush(&mut self) -> Vec<Missing> {
        self.open.drain(..).map(|(hole, _)| hole).collect()
    }

    /// A late number closes its hole, or a part of it.
    fn fill(&mut self, number: u64) {
        let Some(at) = self.open.iter().position(|(m, _)| (m.first.0..=m.last.0).contains(&number)) else {
            return;
        };
        let Some((hole, opened)) = self.open.remove(at) else { return };
        // Both halves go back to where the whole was; the right one first, so that the left one stands before it.
        if number < hole.last.0 {
            self.open.insert(at, (Missing { first: SeqNum(number + 1), last: hole.last }, opened));
        }
        if number > hole.first.0 {
            self.open.insert(at, (Missing { first: hole.first, last: SeqNum(number - 1) }, opened));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn missing(first: u64, last: u64) -> Missing {
        Missing { first: SeqNum(first), last: SeqNum(last) }
    }

    fn after(numbers: &[u64]) -> Vec<Missing> {
        let mut gaps = GapDetector::new();
        for &n in numbers {
            assert_eq!(gaps.feed(SeqNum(n)), []);
        }
        gaps.flush()
    }

    #[test]
    fn holes() {
        assert_eq!(after(&[5, 6, 7]), []);
        assert_eq!(after(&[5, 8]), [missing(6, 7)]);
        assert_eq!(after(&[5, 8, 7]), [missing(6, 6)]);
        assert_eq!(after(&[5, 8, 7, 6]), []);
        assert_eq!(after(&[5, 9, 7]), [missing(6, 6), missing(8, 8)]);
        assert_eq!(after(&[5, 7, 5, 4, 7]), [missing(6, 6)]);
        assert_eq!(missing(6, 8).count(), 3);
    }

    #[test]
    fn from_the_number_before_the_first() {
        let mut gaps = GapDetector::after(SeqNum(10));
        assert_eq!(gaps.feed(SeqNum(13)), []);
        assert_eq!(gaps.flush(), [missing(11, 12)]);
        assert_eq!(gaps.flush(), []);
    }

    #[test]
    fn reported_once_the_window_is_over() {
        let mut gaps = GapDetector::new();
        gaps.feed(SeqNum(1));
        gaps.feed(SeqNum(3));
        for n in 0..GAP_WINDOW - 1 {
            assert_eq!(gaps.feed(SeqNum(4 + n)), []);
        }
        assert_eq!(gaps.feed(SeqNum(1000)), [missing(2, 2)]);
        // Too late: it is not reported again, and closes nothing.
        assert_eq!(gaps.feed(SeqNum(2)), []);
        assert_eq!(gaps.flush(), [missing(GAP_WINDOW + 3, 999)]);
    }

    proptest! {
        #[test]
        fn exactly_what_did_not_come(numbers in proptest::collection::vec(0..300u64, 1..400)) {
            let mut gaps = GapDetector::after(SeqNum(0));
            let mut found: Vec<Missing> = numbers.iter().flat_map(|&n| gaps.feed(SeqNum(n))).collect();
            found.extend(gaps.flush());
            let newest = numbers.iter().copied().max().unwrap();
            let in_time = &numbers[..numbers.len().min(usize::try_from(GAP_WINDOW).unwrap())];
            for n in 1..newest {
                let reported = found.iter().any(|m| (m.first.0..=m.last.0).contains(&n));
                // A number that came within the window is not reported; one that never came always is.
                prop_assert!(reported || numbers.contains(&n), "{} is missing", n);
                prop_assert!(!reported || !in_time.contains(&n));
            }
        }
    }
}
