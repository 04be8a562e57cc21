//! Owns the order of events: which may be handled now, which has to wait, which is not needed any more. A pure state
//! machine; what time it is, is an argument. Never handles an event and never looks at a device.
//!
//! **Order.** An event waits for every earlier unfinished event of the same devpath, of an ancestor, of a descendant (a
//! move counts for both its paths), of the same device id or node name. Earlier is by sequence number, then by arrival:
//! the kernel can deliver neighbours in the wrong order. An event that comes after a later one of its device was begun
//! waits for that one, as it can't be helped any more.
//!
//! Each waiting event is noted at one unfinished event that holds it up, and looked at again when that one is gone.
//!
//! **Coalescing.** A `change` says "look again", so of several that wait for one device one is enough. The one that stays
//! is handled after all that made any of them wait, and before all that waits for any of them, with one liberty: it
//! need not wait for events of its descendants, nor hold up its ancestors', since a parent takes nothing from its
//! children. Where no place would do, both stay.
//!
//! **Nothing out of two.** `add` … `remove` of a device of which nothing was begun and nothing is known from before is
//! nothing, and what came for it in between goes too.
//!
//! **Bounded.** At its limit the queue takes no further event and says so; the caller compares with `/sys` later, which
//! brings what was refused. What coalesces or cancels out is taken even then.

mod index;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Instant;

use bstr::BString;
use hashbrown::HashMap;

use crate::ids::{Action, DevPath, DeviceId, SeqNum};
use index::{Claims, Index};

/// How many events of its ancestors a `change` is compared with before it is rather kept as it is.
const LOOK_BACK: usize = 16;

/// What the queue has to know of an event.
pub trait Event {
    /// What happened.
    fn action(&self) -> Action;
    /// The kernel's number; 0 for an event that has none, which then counts as newest.
    fn seqnum(&self) -> SeqNum;
    /// The device's path.
    fn devpath(&self) -> &DevPath;
    /// Its path before a move.
    fn devpath_old(&self) -> Option<DevPath>;
    /// The name of its record.
    fn device_id(&self) -> Option<DeviceId>;
    /// The name of its node.
    fn devname(&self) -> Option<BString>;
    /// By what somebody waits for this very event; events that differ in it are never made one, and an event with any
    /// never becomes nothing.
    fn waited_for(&self) -> Vec<BString>;
    /// True when the event was asked for, and so does not say that a device came or went.
    fn is_synthetic(&self) -> bool;
    /// Becomes one event that stands for this one and `newer`.
    fn absorb(&mut self, newer: Self);
}

/// What became of a pushed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It will be handed out.
    Queued,
    /// It is one with a `change` that was waiting.
    Coalesced,
    /// It and events before it amount to nothing.
    Cancelled {
        /// How many events that were, this one included.
        events: usize,
    },
    /// The queue is full: it was not taken. The devices have to be compared with `/sys`.
    Overflow,
}

/// An event that was handed out and is not finished. Give it back to [`Queue::finish`] or [`Queue::retry`], whatever
/// happens: until then other events wait.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    place: Place,
    attempt: u32,
}

impl Ticket {
    /// How often the event was handed out before.
    pub fn earlier_attempts(&self) -> u32 {
        self.attempt
    }
}

/// Where an event stands: by number, among equals by arrival. Unique in the queue's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    number: u64,
    arrival: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing held it up when it was last looked at.
    Ready,
    /// That event has to be gone first. It has this one among its `waiters`.
    Blocked(Place),
    /// To be tried again at that time.
    Delayed(Instant),
    /// Handed out.
    Running,
}

/// How a `change` joins an older one that waits.
#[derive(Debug, Clone, Copy)]
enum Merge {
    /// Both are handled where the older one stands.
    AtOlder(Place),
    /// The older one moves to where the newer one stands.
    AtNewer(Place),
}

#[derive(Debug)]
struct Entry<E> {
    claims: Claims,
    action: Action,
    /// `None` while it is handed out.
    event: Option<E>,
    state: State,
    /// It was handed out before: some of its effects may be there.
    begun: bool,
    attempts: u32,
    /// The lowest sequence number that it stands for.
    covers: u64,
    waiters: BTreeSet<Place>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue<E> {
    limit: usize,
    arrivals: u64,
    /// The highest number seen.
    newest: u64,
    entries: HashMap<Place, Entry<E>>,
    index: Index,
    ready: BTreeSet<Place>,
    running: BTreeSet<Place>,
    delayed: BTreeSet<(Instant, Place)>,
    /// The `covers` of all entries.
    covered: BTreeSet<(u64, Place)>,
    high_water: usize,
}

impl<E: Event> Queue<E> {
    /// An empty queue for at most `limit` unfinished events.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            arrivals: 0,
            newest: 0,
            entries: HashMap::new(),
            index: Index::default(),
            ready: BTreeSet::new(),
            running: BTreeSet::new(),
            delayed: BTreeSet::new(),
            covered: BTreeSet::new(),
            high_water: 0,
        }
    }

    /// Takes an event in. `known` is asked when an `add` (its argument) and this `remove` could be nothing: whether
    /// anything of the device is there from before (record, node of the tree, link), which the `remove` has to clear.
    pub fn push(&mut self, event: E, known: impl FnOnce(&E) -> bool) -> Pushed {
        let claims = Claims {
            path: event.devpath().clone(),
            path_old: event.devpath_old(),
            id: event.device_id(),
            node: event.devname(),
        };
        self.arrivals += 1;
        self.newest = self.newest.max(event.seqnum().0);
        let number = if event.seqnum().0 == 0 { self.newest } else { event.seqnum().0 };
        let place = Place { number, arrival: self.arrivals };
        match event.action() {
            Action::Change => {
                if let Some(merge) = self.mergeable(&event, &claims, place) {
                    self.coalesce(merge, event, place);
                    return Pushed::Coalesced;
                }
            }
            Action::Remove => {
                if let Some(events) = self.cancel(&event, &claims, place, known) {
                    return Pushed::Cancelled { events };
                }
            }
            _ => {}
        }
        if self.is_full() {
            return Pushed::Overflow;
        }
        // News of a device, or of one just below, whose event waits for its next attempt: the reason to wait (a lock on a disk
        // with its partitions) may be over.
        if !self.delayed.is_empty() {
            let near = [Some(claims.path.clone()), claims.path.parent()];
            let oldest: Vec<Place> =
                near.iter().flatten().filter_map(|path| self.index.at(path).next_back()).collect();
            oldest.into_iter().for_each(|oldest| self.hurry(oldest));
        }
        self.insert(place, Entry::new(event, claims, number));
        Pushed::Queued
    }

    /// Hands out the oldest event that has to wait for nothing.
    pub fn take(&mut self, now: Instant) -> Option<(Ticket, E)> {
        while let Some(&(due, place)) = self.delayed.first() {
            if due > now {
                break;
            }
            self.hurry(place);
        }
        while let Some(place) = self.ready.pop_first() {
            // Looked at again: an event that belongs before it may have come since.
            if let Some(blocker) = self.blocker(place) {
                self.block(place, blocker);
                continue;
            }
            let Some(entry) = self.entries.get_mut(&place) else { continue };
            let Some(event) = entry.event.take() else { continue };
            entry.state = State::Running;
            entry.begun = true;
            self.running.insert(place);
            return Some((Ticket { place, attempt: entry.attempts }, event));
        }
        None
    }

    /// The event of this ticket is done, well or badly.
    pub fn finish(&mut self, ticket: Ticket) {
        self.take_out(ticket.place);
    }

    /// The event of this ticket is to be handed out again, not before that time (or when news of its device comes). It
    /// keeps its place: what waited for it waits on.
    pub fn retry(&mut self, ticket: Ticket, event: E, not_before: Instant) {
        let place = ticket.place;
        let Some(entry) = self.entries.get_mut(&place) else { return };
        entry.event = Some(event);
        entry.attempts = ticket.attempt.saturating_add(1);
        entry.state = State::Delayed(not_before);
        // Earlier ones had to wait only because it ran; now it has to wait for them.
        let later = entry.waiters.split_off(&place);
        let earlier = std::mem::replace(&mut entry.waiters, later);
        self.running.remove(&place);
        self.delayed.insert((not_before, place));
        for waiter in earlier {
            self.examine(waiter);
        }
    }

    /// When [`Queue::take`] may have something that it has not now, even if nothing is pushed or finished.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Unfinished events: waiting and handed out.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when every event is finished.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Events that are handed out and not finished.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Events that were found to wait for nothing but to be handed out.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// True when the next event may not be taken.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }

    /// The most unfinished events there ever were at once.
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// The lowest number that is not done. All events pushed so far with lower numbers are: finished, cancelled, or
    /// handled as a part of another.
    pub fn oldest_unfinished(&self) -> Option<SeqNum> {
        self.covered.first().map(|(number, _)| SeqNum(*number))
    }

    /// True when an unfinished event is about the device at `path`.
    pub fn concerns(&self, path: &DevPath) -> bool {
        self.index.at(path).next().is_some()
    }

    /// The barrier: true when every event pushed so far with a number up to `seqnum` is done.
    pub fn is_done(&self, seqnum: SeqNum) -> bool {
        self.oldest_unfinished().is_none_or(|oldest| oldest > seqnum)
    }

    /// The waiting `change` that this one can be one with, and where.
    fn mergeable(&self, event: &E, claims: &Claims, place: Place) -> Option<Merge> {
        let last = self.index.at(&claims.path).next().filter(|last| *last < place)?;
        let entry = self.entries.get(&last)?;
        let older = entry.event.as_ref()?;
        let alike = entry.action == Action::Change
            && entry.claims == *claims
            && older.waited_for() == event.waited_for()
            && self.index.same_before(claims, place) == Some(last);
        if !alike {
            None
        } else if self.index.above_before(claims, place) < Some(last) {
            // No ancestor's event came since: the old place is as good as the new one.
            Some(Merge::AtOlder(last))
        } else {
            self.may_move_behind(claims, last, place).then_some(Merge::AtNewer(last))
        }
    }

    fn coalesce(&mut self, merge: Merge, event: E, place: Place) {
        match merge {
            Merge::AtOlder(older) => {
                if let Some(into) = self.entries.get_mut(&older).and_then(|entry| entry.event.as_mut()) {
                    into.absorb(event);
                }
                self.hurry(older);
            }
            Merge::AtNewer(older) => {
                if let Some(mut entry) = self.take_out(older) {
                    match &mut entry.event {
                        Some(into) => into.absorb(event),
                        none => *none = Some(event),
                    }
                    self.insert(place, entry);
                }
            }
        }
    }

    /// True when a `change` may be handled at a later place than its own: no descendant's event came since that would
    /// miss it, and what came of the ancestors is a few changes (after a move or a removal the path may be another device's).
    fn may_move_behind(&self, claims: &Claims, older: Place, place: Place) -> bool {
        let is_change = |at: Place| self.entries.get(&at).is_some_and(|entry| entry.action == Action::Change);
        let mut between = self.index.above_between(claims, older, place);
        self.index.below_before(claims, place) < Some(older)
            && between.by_ref().take(LOOK_BACK).all(is_change)
            && between.next().is_none()
    }

    /// Takes out the `add` of the device that is now removed and all that came for it since, if none of that was begun
    /// and nothing else hangs on it. How many events are nothing, the `remove` included.
    fn cancel(
        &mut self,
        remove: &E,
        claims: &Claims,
        place: Place,
        known: impl FnOnce(&E) -> bool,
    ) -> Option<usize> {
        if remove.is_synthetic() || !remove.waited_for().is_empty() {
            return None;
        }
        let mut nothing = BTreeSet::new();
        let mut add = None;
        for at in self.index.at(&claims.path) {
            let entry = self.entries.get(&at).filter(|e| !e.begun && e.claims == *claims && at < place)?;
            let event = entry.event.as_ref().filter(|e| e.waited_for().is_empty())?;
            nothing.insert(at);
            match event.action() {
                Action::Add if !event.is_synthetic() => {
                    add = Some((at, event));
                    break;
                }
                Action::Change | Action::Bind | Action::Unbind | Action::Online | Action::Offline => {}
                _ => return None,
            }
        }
        let (first, event) = add?;
        if self.index.entangled_after(claims, first).any(|at| !nothing.contains(&at)) || known(event) {
            return None;
        }
        for at in &nothing {
            self.take_out(*at);
        }
        Some(nothing.len() + 1)
    }

    fn insert(&mut self, place: Place, entry: Entry<E>) {
        self.index.insert(&entry.claims, place);
        self.covered.insert((entry.covers, place));
        self.entries.insert(place, entry);
        self.high_water = self.high_water.max(self.entries.len());
        self.examine(place);
    }

    /// Takes an event out of everything; those that waited for it are looked at again.
    fn take_out(&mut self, place: Place) -> Option<Entry<E>> {
        let mut entry = self.entries.remove(&place)?;
        self.index.remove(&entry.claims, place);
        self.covered.remove(&(entry.covers, place));
        match entry.state {
            State::Ready => self.ready.remove(&place),
            State::Running => self.running.remove(&place),
            State::Delayed(due) => self.delayed.remove(&(due, place)),
            State::Blocked(by) => self.entries.get_mut(&by).is_some_and(|by| by.waiters.remove(&place)),
        };
        for waiter in std::mem::take(&mut entry.waiters) {
            self.examine(waiter);
        }
        Some(entry)
    }

    /// Finds out whether the event has to wait. Its old state counts for nothing.
    fn examine(&mut self, place: Place) {
        match self.blocker(place) {
            Some(blocker) => self.block(place, blocker),
            None => self.make_ready(place),
        }
    }

    fn blocker(&self, place: Place) -> Option<Place> {
        let claims = &self.entries.get(&place)?.claims;
        self.index.blocker(claims, place).or_else(|| {
            // Few: not more than there are workers, and only if this event came too late.
            let mut later = self.running.range((Bound::Excluded(place), Bound::Unbounded)).copied();
            later.find(|at| self.entries.get(at).is_some_and(|e| e.claims.conflict(claims)))
        })
    }

    fn block(&mut self, place: Place, blocker: Place) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.state = State::Blocked(blocker);
        }
        if let Some(by) = self.entries.get_mut(&blocker) {
            by.waiters.insert(place);
        }
    }

    fn make_ready(&mut self, place: Place) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.state = State::Ready;
            self.ready.insert(place);
        }
    }

    /// Ends the delay of an event, if it has one.
    fn hurry(&mut self, place: Place) {
        if let Some(&State::Delayed(due)) = self.entries.get(&place).map(|entry| &entry.state) {
            self.delayed.remove(&(due, place));
            self.make_ready(place);
        }
    }
}

impl<E: Event> Entry<E> {
    fn new(event: E, claims: Claims, covers: u64) -> Self {
        Self {
            claims,
            action: event.action(),
            event: Some(event),
            state: State::Ready,
            begun: false,
            attempts: 0,
            covers,
            waiters: BTreeSet::new(),
        }
    }
}
