//! Owns the queue's cases: a table for each promise. Only for tests.

use super::model::{Ev, ev};
use super::*;
use std::time::Duration;

fn new(_: &Ev) -> bool {
    false
}

/// Pushes `ACTION PATH` words (numbered 1, 2, …); what is handed out, round by round, everything of a round together.
fn rounds(words: &[&str]) -> Vec<String> {
    let mut queue = Queue::new(100);
    for (number, word) in (1..).zip(words) {
        let _pushed = queue.push(ev(number, word), new);
    }
    let mut out = Vec::new();
    let now = Instant::now();
    while !queue.is_empty() {
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(now)).collect();
        out.push(taken.iter().map(|(_, e)| e.name()).collect::<Vec<_>>().join(" "));
        taken.into_iter().for_each(|(ticket, _)| queue.finish(ticket));
    }
    assert!(queue.index.is_empty());
    assert!(queue.covered.is_empty() && queue.ready.is_empty() && queue.running.is_empty());
    out
}

#[test]
fn order() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["add /a", "add /b", "add /a/x"], &["1 2", "3"]),
        (&["add /a", "add /a/x", "add /a/y", "bind /a"], &["1", "2 3", "4"]),
        (&["add /a", "add /ab"], &["1 2"]),
        // Both sides of a move.
        (&["bind /a/x", "move /b/x<=/a/x", "bind /b/x", "add /a/x", "add /c"], &["1 5", "2", "3 4"]),
        (&["add /b", "move /c<=/b/x", "bind /c/y"], &["1", "2", "3"]),
        // The same number or node name elsewhere.
        (&["add /a=b8:0", "add /b=b8:0", "add /c=c8:0"], &["1 3", "2"]),
        (&["bind /a#sda", "add /b#sda"], &["1", "2"]),
    ];
    for (words, expected) in cases {
        assert_eq!(rounds(words), *expected, "{words:?}");
    }
}

#[test]
fn changes_become_one() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["change /a", "change /a", "change /a"], &["1+2+3"]),
        (&["change /a", "change /b", "change /a"], &["1+3 2"]),
        // Behind an `add` that is not begun it stays a change of its own.
        (&["add /a", "change /a", "change /a"], &["1", "2+3"]),
        // An event of the device in between.
        (&["change /a", "bind /a", "change /a"], &["1", "2", "3"]),
        // A child's event in between needs the first one before it: the first place.
        (&["change /a", "add /a/x", "change /a"], &["1+3", "2"]),
        // The parent's event in between belongs before the second one: the second place.
        (&["change /a/x", "change /a", "change /a/x"], &["2", "1+3"]),
        // Both in between: both stay.
        (&["change /a/x", "change /a", "add /a/x/y", "change /a/x"], &["1", "2", "3", "4"]),
        // The second one may be of another device.
        (&["change /a/x", "move /b<=/a", "change /a/x"], &["1", "2", "3"]),
        (&["change /a/x", "remove /a", "change /a/x"], &["1", "2", "3"]),
        // Somebody waits for each of them.
        (&["change /a!u1", "change /a!u2", "change /a!u2"], &["1", "2+3"]),
        (&["change /a!u1", "change /a"], &["1", "2"]),
        // Not the same device.
        (&["change /a=b8:0", "change /a=b8:1"], &["1", "2"]),
        (&["change /a=b8:0", "bind /b=b8:0", "change /a=b8:0"], &["1", "2", "3"]),
    ];
    for (words, expected) in cases {
        assert_eq!(rounds(words), *expected, "{words:?}");
    }
}

#[test]
fn a_tree_that_changes_all_the_time_stays_small() {
    let mut queue = Queue::new(1000);
    for number in (1..3000).step_by(3) {
        for (more, path) in [(0, "/a"), (1, "/a/x"), (2, "/a/x/y")] {
            let _pushed = queue.push(ev(number + more, &format!("change {path}")), new);
        }
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.oldest_unfinished(), Some(SeqNum(1)));
}

#[test]
fn nothing_out_of_two() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["add /a", "remove /a", "add /b"], &["3"]),
        (&["add /a", "bind /a", "change /a", "unbind /a", "remove /a"], &[]),
        (&["add /a", "add /a/x", "remove /a/x", "remove /a"], &[]),
        (&["change /a", "add /a/x", "remove /a/x"], &["1"]),
        (&["remove /a", "add /a", "remove /a"], &["1"]),
        (&["remove /a", "add /a", "remove /a", "add /a"], &["1", "4"]),
        // Not the device's first event: somebody asked for it.
        (&["add /a~", "remove /a"], &["1", "2"]),
        (&["add /a", "remove /a~"], &["1", "2"]),
        (&["add /a", "remove /a!cookie"], &["1", "2"]),
        (&["add /a", "change /a!cookie", "remove /a"], &["1", "2", "3"]),
        // What moved here was something else before.
        (&["add /a", "move /b<=/a", "remove /b"], &["1", "2", "3"]),
        (&["change /a", "remove /a"], &["1", "2"]),
        // A child that nobody removed, another device with its number.
        (&["add /a", "add /a/x", "remove /a"], &["1", "2", "3"]),
        (&["add /a=b8:0", "add /b=b8:0", "remove /a=b8:0"], &["1", "2", "3"]),
    ];
    for (words, expected) in cases {
        assert_eq!(rounds(words), *expected, "{words:?}");
    }
}

/// How often an event of these was looked at, when as many as can run at once and finish in that order, or, for
/// `backwards`, in the opposite one.
fn looks(words: impl Iterator<Item = String>, backwards: bool) -> usize {
    let mut queue = Queue::new(usize::MAX);
    for (number, word) in (1..).zip(words) {
        let _pushed = queue.push(ev(number, &word), |_| true);
    }
    let now = Instant::now();
    while !queue.is_empty() {
        let mut taken: Vec<_> = std::iter::from_fn(|| queue.take(now)).collect();
        if backwards {
            taken.reverse();
        }
        taken.into_iter().for_each(|(ticket, _)| queue.finish(ticket));
    }
    queue.index.asked.get()
}

#[test]
fn the_work_grows_with_the_events_not_with_their_square() {
    const N: usize = 2000;
    for backwards in [false, true] {
        // Each is looked at when it comes and when it is handed out.
        assert_eq!(looks((0..N).map(|n| format!("add /a/{n}")), backwards), 2 * N);
        // One more for each that waits for the one before it.
        assert!(looks((0..N).map(|n| format!("{} /a", ["bind", "unbind"][n % 2])), backwards) <= 3 * N);
        let below = (0..N).map(|n| format!("add /a/{n}"));
        let parents = (0..100).map(|_| "bind /a".to_owned());
        // Children behind a hundred of the parent's events, between such, before such.
        assert!(looks(parents.clone().chain(below.clone()), backwards) <= 3 * N + 300);
        assert!(looks(parents.clone().chain(below.clone()).chain(parents.clone()), backwards) <= 4 * N + 600);
        let mixed = (0..N).flat_map(|n| [format!("bind /a/{n}"), "bind /a".to_owned()]);
        assert!(looks(mixed, backwards) <= 8 * N);
    }
}

#[test]
fn a_device_that_was_known_before_is_removed() {
    let mut queue = Queue::new(10);
    assert_eq!(queue.push(ev(1, "add /a"), new), Pushed::Queued);
    assert_eq!(queue.push(ev(2, "remove /a"), |add| add.name() == "1"), Pushed::Queued);
    assert_eq!(queue.push(ev(3, "add /b"), new), Pushed::Queued);
    assert_eq!(queue.push(ev(4, "remove /b"), new), Pushed::Cancelled { events: 2 });
    // Begun: it has to be undone, even if it is to be begun anew.
    let _ = queue.push(ev(5, "add /c"), new);
    let (ticket, event) = queue.take(Instant::now()).unwrap();
    assert_eq!(event.name(), "1");
    queue.finish(ticket);
    let (_remove_a, _) = queue.take(Instant::now()).unwrap();
    let (ticket, event) = queue.take(Instant::now()).unwrap();
    assert_eq!(event.name(), "5");
    queue.retry(ticket, event, Instant::now());
    assert_eq!(queue.push(ev(6, "remove /c"), new), Pushed::Queued);
}

#[test]
fn neighbours_in_the_wrong_order() {
    let now = Instant::now();
    let mut queue = Queue::new(10);
    let _ = queue.push(ev(2, "bind /a"), new);
    let _ = queue.push(ev(1, "add /a"), new);
    let (one, event) = queue.take(now).unwrap();
    assert_eq!(event.name(), "1");
    assert!(queue.take(now).is_none());
    queue.finish(one);
    let (two, event) = queue.take(now).unwrap();
    assert_eq!(event.name(), "2");
    // Too late for its place: but never beside what runs.
    let _ = queue.push(ev(0, "bind /a/x"), new);
    let mut late = ev(1, "bind /a");
    late.numbers = vec![77];
    let _ = queue.push(late, new);
    assert!(queue.take(now).is_none());
    // What ran goes behind it when it has to be tried again.
    queue.retry(two, event, now);
    let (ticket, event) = queue.take(now).unwrap();
    assert_eq!(event.name(), "77");
    queue.finish(ticket);
    assert_eq!(queue.take(now).unwrap().1.name(), "2");
}

#[test]
fn tried_again() {
    let now = Instant::now();
    let later = now + Duration::from_millis(200);
    let mut queue = Queue::new(10);
    let _ = queue.push(ev(1, "change /a"), new);
    let _ = queue.push(ev(2, "bind /a"), new);
    let (ticket, event) = queue.take(now).unwrap();
    assert_eq!(ticket.earlier_attempts(), 0);
    queue.retry(ticket, event, later);
    assert_eq!(queue.next_deadline(), Some(later));
    assert!(queue.take(now).is_none(), "what is behind it waits too");
    let (ticket, event) = queue.take(later).unwrap();
    assert_eq!((ticket.earlier_attempts(), event.name()), (1, "1".into()));
    assert_eq!((queue.running(), queue.next_deadline()), (1, None));
    queue.retry(ticket, event, later);
    // News of the device: at once.
    let _ = queue.push(ev(3, "unbind /a"), new);
    let (ticket, event) = queue.take(now).unwrap();
    assert_eq!((ticket.earlier_attempts(), event.name()), (2, "1".into()));
    // News of a partition: the whole disk may not be locked any more.
    queue.retry(ticket, event, later);
    let _ = queue.push(ev(4, "bind /b"), new);
    assert_eq!(queue.take(now).unwrap().1.name(), "4", "no news");
    let _ = queue.push(ev(5, "bind /a/x"), new);
    let (ticket, event) = queue.take(now).unwrap();
    assert_eq!((ticket.earlier_attempts(), event.name()), (3, "1".into()));
    queue.finish(ticket);
}

#[test]
fn a_change_joins_one_that_is_to_be_tried_again() {
    let now = Instant::now();
    let later = now + Duration::from_millis(200);
    let mut queue = Queue::new(10);
    let _ = queue.push(ev(1, "change /a"), new);
    let (ticket, event) = queue.take(now).unwrap();
    assert_eq!(queue.push(ev(2, "change /a"), new), Pushed::Queued, "it runs: look again after it");
    assert_eq!(queue.push(ev(3, "change /a"), new), Pushed::Coalesced);
    queue.finish(ticket);
    let (ticket, event2) = queue.take(now).unwrap();
    queue.retry(ticket, event2, later);
    assert_eq!(queue.push(ev(4, "change /a"), new), Pushed::Coalesced);
    let (ticket, joined) = queue.take(now).unwrap();
    assert_eq!((event.name(), joined.name()), ("1".into(), "2+3+4".into()));
    queue.finish(ticket);
    assert!(queue.is_empty());
}

#[test]
fn barriers() {
    let now = Instant::now();
    let mut queue = Queue::new(10);
    assert!(queue.is_done(SeqNum(u64::MAX)));
    for (number, word) in [(5, "change /a/x"), (6, "change /a"), (7, "change /a/x"), (8, "add /b")] {
        let _ = queue.push(ev(number, word), new);
    }
    // 5 is handled at 7's place.
    assert_eq!(queue.oldest_unfinished(), Some(SeqNum(5)));
    assert!(queue.is_done(SeqNum(4)) && !queue.is_done(SeqNum(5)));
    let (six, event) = queue.take(now).unwrap();
    assert_eq!(event.name(), "6");
    queue.finish(six);
    assert!(!queue.is_done(SeqNum(5)));
    let (seven, event) = queue.take(now).unwrap();
    assert_eq!(event.name(), "5+7");
    queue.finish(seven);
    assert!(queue.is_done(SeqNum(7)) && !queue.is_done(SeqNum(8)));
    // An event without a number counts as the newest.
    let _ = queue.push(ev(0, "add /c"), new);
    let (eight, _) = queue.take(now).unwrap();
    queue.finish(eight);
    assert_eq!(queue.oldest_unfinished(), Some(SeqNum(8)));
}

#[test]
fn the_limit() {
    let mut queue = Queue::new(2);
    assert_eq!(queue.push(ev(1, "add /a"), new), Pushed::Queued);
    assert_eq!(queue.push(ev(2, "change /b"), new), Pushed::Queued);
    assert_eq!(queue.push(ev(3, "add /c"), new), Pushed::Overflow);
    assert_eq!(queue.push(ev(4, "change /b"), new), Pushed::Coalesced);
    assert_eq!(queue.push(ev(5, "remove /a"), new), Pushed::Cancelled { events: 2 });
    assert_eq!((queue.len(), queue.high_water(), queue.is_full()), (1, 2, false));
    assert_eq!(queue.push(ev(6, "add /c"), new), Pushed::Queued);
}
