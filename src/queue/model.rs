//! Owns the check of the queue against its definition: every pair of events, at every step. Only for tests.

use std::time::{Duration, Instant};

use bstr::BString;
use proptest::prelude::*;

use super::index::Claims;
use super::{Event, Place, Pushed, Queue, State, Ticket};
use crate::ids::{Action, DevPath, DeviceId, SeqNum};

/// An event that knows which pushed events it stands for.
#[derive(Debug, Clone)]
pub(super) struct Ev {
    pub(super) numbers: Vec<usize>,
    action: Action,
    seqnum: u64,
    claims: Claims,
    waited_for: Vec<BString>,
    synthetic: bool,
}

impl Ev {
    pub(super) fn name(&self) -> String {
        self.numbers.iter().map(usize::to_string).collect::<Vec<_>>().join("+")
    }
}

impl Event for Ev {
    fn action(&self) -> Action {
        self.action
    }
    fn seqnum(&self) -> SeqNum {
        SeqNum(self.seqnum)
    }
    fn devpath(&self) -> &DevPath {
        &self.claims.path
    }
    fn devpath_old(&self) -> Option<DevPath> {
        self.claims.path_old.clone()
    }
    fn device_id(&self) -> Option<DeviceId> {
        self.claims.id.clone()
    }
    fn devname(&self) -> Option<BString> {
        self.claims.node.clone()
    }
    fn waited_for(&self) -> Vec<BString> {
        self.waited_for.clone()
    }
    fn is_synthetic(&self) -> bool {
        self.synthetic
    }
    fn absorb(&mut self, newer: Self) {
        let numbers = [self.numbers.as_slice(), &newer.numbers].concat();
        *self = Ev { numbers, ..newer };
    }
}

/// `ACTION PATH` and then, each if wanted and in this order: `<=OLD_PATH`, `=ID`, `#NODE`, `!WAITED_FOR`, `~` (synthetic).
pub(super) fn ev(number: usize, text: &str) -> Ev {
    let (text, synthetic) = text.strip_suffix('~').map_or((text, false), |t| (t, true));
    let (text, waited_for) = text.split_once('!').unwrap_or((text, ""));
    let (text, node) = text.split_once('#').unwrap_or((text, ""));
    let (action, text) = text.split_once(' ').unwrap();
    let (text, old) = text.split_once("<=").unwrap_or((text, ""));
    let (path, id) = text.split_once('=').unwrap_or((text, ""));
    let some = |text: &str| (!text.is_empty()).then(|| BString::from(text));
    Ev {
        numbers: vec![number],
        action: action.parse().unwrap(),
        seqnum: u64::try_from(number).unwrap(),
        claims: Claims {
            path: DevPath::new(path.as_bytes()).unwrap(),
            path_old: some(old).map(|p| DevPath::new(&p).unwrap()),
            id: some(id).map(|id| DeviceId::parse(&id).unwrap()),
            node: some(node),
        },
        waited_for: some(waited_for).into_iter().collect(),
        synthetic,
    }
}

/// One step of a test.
#[derive(Debug, Clone)]
enum Step {
    /// Push; `late`: with a number that much lower than its turn.
    Push {
        text: String,
        late: u64,
        known: bool,
    },
    Take,
    Finish(prop::sample::Index),
    Retry(prop::sample::Index, u64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = prop::sample::select(vec!["/a", "/a/x", "/a/x/y", "/a/z", "/b", "/b/x"]);
    let action = prop_oneof![
        4 => Just("change"), 3 => Just("add"), 3 => Just("remove"), 1 => Just("bind"), 1 => Just("unbind")
    ];
    let tail = prop_oneof![
        6 => Just(""), 3 => Just("=b8:0"), 1 => Just("=n3"), 1 => Just("#sda"), 1 => Just("!u"), 1 => Just("~")
    ];
    let moved = (path.clone(), path.clone()).prop_map(|(new, old)| format!("move {new}<={old}"));
    let plain = (action, path, tail).prop_map(|(action, path, tail)| format!("{action} {path}{tail}"));
    let text = prop_oneof![9 => plain, 1 => moved];
    let late = prop_oneof![8 => Just(0u64), 1 => 1..5u64];
    let step = prop_oneof![
        6 => (text, late, any::<bool>()).prop_map(|(text, late, known)| Step::Push { text, late, known }),
        3 => Just(Step::Take),
        2 => any::<prop::sample::Index>().prop_map(Step::Finish),
        1 => (any::<prop::sample::Index>(), 0..20u64).prop_map(|(i, ms)| Step::Retry(i, ms)),
        1 => (0..20u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

#[derive(Debug, PartialEq)]
enum Fate {
    Waits,
    Runs,
    Done,
    Nothing,
}

/// What was pushed: the definition works on these, the queue on what it made of them.
#[derive(Debug)]
struct Pushee {
    event: Ev,
    place: Place,
    /// It came behind one with a higher number.
    late: bool,
    coalesced: bool,
    begun: bool,
    fate: Fate,
}

struct Model {
    queue: Queue<Ev>,
    pushed: Vec<Pushee>,
    running: Vec<(Ticket, Ev)>,
    now: Instant,
}

impl Model {
    fn step(&mut self, step: Step) {
        match step {
            Step::Push { text, late, known } => self.push(&text, late, known),
            Step::Take => {
                self.take();
            }
            Step::Finish(which) if !self.running.is_empty() => {
                let (ticket, event) = self.running.swap_remove(which.index(self.running.len()));
                self.set(&event, |p| p.fate = Fate::Done);
                self.queue.finish(ticket);
            }
            Step::Retry(which, ms) if !self.running.is_empty() => {
                let (ticket, event) = self.running.swap_remove(which.index(self.running.len()));
                self.set(&event, |p| p.fate = Fate::Waits);
                self.queue.retry(ticket, event, self.now + Duration::from_millis(ms));
            }
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
            Step::Finish(_) | Step::Retry(..) => {}
        }
        self.check();
    }

    fn set(&mut self, event: &Ev, change: impl Fn(&mut Pushee)) {
        event.numbers.iter().for_each(|n| change(&mut self.pushed[*n]));
    }

    fn push(&mut self, text: &str, late: u64, known: bool) {
        let turn = self.pushed.len();
        let mut event = ev(turn, text);
        event.seqnum = (event.seqnum + 10).saturating_sub(late);
        let place = Place { number: event.seqnum, arrival: u64::try_from(turn + 1).unwrap() };
        let late = self.pushed.iter().any(|p| p.place > place);
        let before = self.queue.len();
        let pushed = self.queue.push(event.clone(), |_| known);
        self.pushed.push(Pushee { event, place, late, coalesced: false, begun: false, fate: Fate::Waits });
        match pushed {
            Pushed::Queued => assert_eq!(self.queue.len(), before + 1),
            Pushed::Coalesced => {
                assert_eq!(self.queue.len(), before);
                self.mark_coalesced(turn);
            }
            Pushed::Cancelled { events } => {
                assert_eq!(self.queue.len() + events - 1, before);
                assert!(!known);
                self.cancelled(turn);
            }
            Pushed::Overflow => panic!("the limit is higher than the number of steps"),
        }
    }

    fn mark_coalesced(&mut self, turn: usize) {
        let group =
            self.waiting().find(|e| e.numbers.contains(&turn)).expect("it is in another").numbers.clone();
        for &n in &group {
            assert_eq!(self.pushed[n].event.action, Action::Change);
            assert_eq!(self.pushed[n].event.claims, self.pushed[turn].event.claims);
            assert_eq!(self.pushed[n].event.waited_for, self.pushed[turn].event.waited_for);
            self.pushed[n].coalesced = true;
        }
    }

    /// All that is no more in the queue has to be one device's life, from an `add` on, and never begun.
    fn cancelled(&mut self, turn: usize) {
        let still: Vec<usize> = self.waiting().flat_map(|e| e.numbers.clone()).collect();
        let path = self.pushed[turn].event.claims.path.clone();
        let mut actions = Vec::new();
        for (n, pushee) in (0..).zip(&mut self.pushed) {
            if pushee.fate == Fate::Waits && !still.contains(&n) {
                assert!(!pushee.begun && pushee.event.waited_for.is_empty(), "{pushee:?}");
                assert!(pushee.event.claims.path == path && pushee.event.claims.path_old.is_none());
                assert!(
                    !pushee.event.synthetic
                        || pushee.event.action == Action::Change
                        || pushee.event.action == Action::Bind
                        || pushee.event.action == Action::Unbind
                );
                pushee.fate = Fate::Nothing;
                actions.push((pushee.place, pushee.event.action));
            }
        }
        actions.sort();
        let actions: Vec<_> = actions.into_iter().map(|(_, a)| a).collect();
        assert_eq!((actions.first(), actions.last()), (Some(&Action::Add), Some(&Action::Remove)));
        let ends =
            actions.iter().filter(|a| matches!(a, Action::Add | Action::Remove | Action::Move)).count();
        assert_eq!(ends, 2, "{actions:?}");
    }

    fn waiting(&self) -> impl Iterator<Item = &Ev> {
        self.queue.entries.values().filter_map(|entry| entry.event.as_ref())
    }

    /// The definition: whatever comes before it and conflicts is done, and nothing that runs conflicts.
    fn take(&mut self) -> bool {
        let Some((ticket, event)) = self.queue.take(self.now) else { return false };
        for &n in &event.numbers {
            let later = &self.pushed[n];
            for (m, earlier) in (0..).zip(&self.pushed) {
                if event.numbers.contains(&m) || !earlier.event.claims.conflict(&later.event.claims) {
                    continue;
                }
                assert_ne!(earlier.fate, Fate::Runs, "{earlier:?} runs, and then {later:?}");
                // The one liberty: a parent's event and a child's, one of them coalesced.
                let child = &earlier.event.claims;
                let mut children = std::iter::once(&child.path).chain(&child.path_old);
                let parent = children.any(|child| later.event.claims.path.is_ancestor_of(child));
                // What comes in the wrong order, between events that are one already, can't part them again.
                let too_late = earlier.late || later.late;
                let liberty = (parent || too_late) && (later.coalesced || earlier.coalesced);
                if earlier.place < later.place && earlier.fate == Fate::Waits && !liberty {
                    panic!("{earlier:?} waits, and before it {later:?}");
                }
            }
        }
        self.set(&event, |p| {
            assert_eq!(p.fate, Fate::Waits);
            p.fate = Fate::Runs;
            p.begun = true;
        });
        self.running.push((ticket, event));
        true
    }

    /// What holds at every moment.
    fn check(&self) {
        let queue = &self.queue;
        assert_eq!(queue.running(), self.running.len());
        let unfinished = self.pushed.iter().filter(|p| matches!(p.fate, Fate::Waits | Fate::Runs));
        assert_eq!(queue.oldest_unfinished().map(|s| s.0), unfinished.map(|p| p.event.seqnum).min());
        for (place, entry) in &queue.entries {
            match entry.state {
                State::Ready => assert!(queue.ready.contains(place)),
                State::Running => assert!(queue.running.contains(place)),
                State::Delayed(due) => assert!(queue.delayed.contains(&(due, *place))),
                // It is noted where it will be found, and for a reason: so nothing waits for ever or for nothing.
                State::Blocked(by) => {
                    let by_entry = &queue.entries[&by];
                    assert!(by_entry.waiters.contains(place));
                    assert!(by_entry.claims.conflict(&entry.claims));
                    assert!(by < *place || by_entry.state == State::Running);
                }
            }
        }
        let states = [queue.ready.len(), queue.running.len(), queue.delayed.len()].iter().sum::<usize>();
        let blocked = queue.entries.values().map(|e| e.waiters.len()).sum::<usize>();
        assert_eq!(states + blocked, queue.len());
        assert_eq!(queue.covered.len(), queue.len());
    }

    fn drain(&mut self) {
        self.now += Duration::from_secs(1);
        loop {
            while self.take() {}
            let Some((ticket, event)) = self.running.pop() else { break };
            self.set(&event, |p| p.fate = Fate::Done);
            self.queue.finish(ticket);
            self.check();
        }
        assert!(self.queue.is_empty() && self.queue.index.is_empty(), "{:?}", self.queue);
        assert!(self.pushed.iter().all(|p| matches!(p.fate, Fate::Done | Fate::Nothing)));
    }
}

proptest! {
    #[test]
    fn the_queue_keeps_to_its_definition(steps in steps()) {
        let queue = Queue::new(1000);
        let mut model = Model { queue, pushed: Vec::new(), running: Vec::new(), now: Instant::now() };
        steps.into_iter().for_each(|step| model.step(step));
        model.drain();
    }
}
