//! Owns the maps by which the queue finds what an event has to wait for: by path (own, ancestors, descendants), device
//! id and node name.
//!
//! Each event costs O(depth · log n) to enter, to ask about and to take out; the queue itself is never scanned. Never
//! knows what an event is, only its claims and its place.

use std::collections::BTreeSet;
use std::ops::Bound;

use bstr::{BStr, BString};
use hashbrown::HashMap;

use super::Place;
use crate::ids::{DevPath, DeviceId};

/// What an event lays hands on. Two events that share one of these, or one of whose paths is above one of the other's,
/// are handled one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// The devpath.
    pub(super) path: DevPath,
    /// The devpath before a move.
    pub(super) path_old: Option<DevPath>,
    /// The device's id.
    pub(super) id: Option<DeviceId>,
    /// The node's name.
    pub(super) node: Option<BString>,
}

impl Claims {
    fn paths(&self) -> impl Iterator<Item = &DevPath> {
        std::iter::once(&self.path).chain(&self.path_old)
    }

    /// True when two events with these claims may not run at once.
    pub(super) fn conflict(&self, other: &Claims) -> bool {
        let same_line = |a: &DevPath, b: &DevPath| a == b || a.is_ancestor_of(b) || b.is_ancestor_of(a);
        self.paths().any(|a| other.paths().any(|b| same_line(a, b)))
            || (self.id.is_some() && self.id == other.id)
            || (self.node.is_some() && self.node == other.node)
    }
}

/// The events of one path of the tree, and of all paths below it.
#[derive(Debug, Default)]
struct Spot {
    own: BTreeSet<Place>,
    below: BTreeSet<Place>,
}

/// The maps. An event is in them from `insert` to `remove`, under the same claims.
#[derive(Debug, Default)]
pub(super) struct Index {
    spots: HashMap<Vec<u8>, Spot>,
    ids: HashMap<DeviceId, BTreeSet<Place>>,
    nodes: HashMap<BString, BTreeSet<Place>>,
    /// How often somebody asked for a blocker.
    #[cfg(test)]
    pub(super) asked: std::cell::Cell<usize>,
}

fn last_before(places: &BTreeSet<Place>, place: Place) -> Option<Place> {
    places.range(..place).next_back().copied()
}

/// The strict ancestors' paths, nearest first.
fn ancestors(path: &DevPath) -> impl Iterator<Item = &[u8]> {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().rev().filter(|(at, b)| **b == b'/' && *at != 0);
    slashes.filter_map(move |(at, _)| bytes.get(..at))
}

fn take_from<K, Q>(map: &mut HashMap<K, BTreeSet<Place>>, key: &Q, place: Place)
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(places) = map.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            map.remove(key);
        }
    }
}

impl Index {
    pub(super) fn insert(&mut self, claims: &Claims, place: Place) {
        for path in claims.paths() {
            self.spots.entry_ref(path.as_bytes()).or_default().own.insert(place);
            for above in ancestors(path) {
                self.spots.entry_ref(above).or_default().below.insert(place);
            }
        }
        if let Some(id) = &claims.id {
            self.ids.entry_ref(id).or_default().insert(place);
        }
        if let Some(node) = &claims.node {
            self.nodes.entry_ref(node).or_default().insert(place);
        }
    }

    pub(super) fn remove(&mut self, claims: &Claims, place: Place) {
        for path in claims.paths() {
            self.leave(path.as_bytes(), |spot| &mut spot.own, place);
            for above in ancestors(path) {
                self.leave(above, |spot| &mut spot.below, place);
            }
        }
        if let Some(id) = &claims.id {
            take_from(&mut self.ids, id, place);
        }
        if let Some(node) = &claims.node {
            take_from(&mut self.nodes, node, place);
        }
    }

    fn leave(&mut self, path: &[u8], which: fn(&mut Spot) -> &mut BTreeSet<Place>, place: Place) {
        if let Some(spot) = self.spots.get_mut(path) {
            which(spot).remove(&place);
            if spot.own.is_empty() && spot.below.is_empty() {
                self.spots.remove(path);
            }
        }
    }

    /// An event before `place` that an event with these claims has to wait for. Of each kind the newest one: it waits
    /// for the older ones itself (those of one path, id or node name all wait for each other), so that
    /// of a long chain each link is looked at a few times and not once for each link before it.
    pub(super) fn blocker(&self, claims: &Claims, place: Place) -> Option<Place> {
        #[cfg(test)]
        self.asked.set(self.asked.get() + 1);
        self.same_before(claims, place)
            .or_else(|| self.above_before(claims, place))
            .or_else(|| self.below_before(claims, place))
    }

    /// The newest event before `place` with one of the paths, the id or the node name.
    pub(super) fn same_before(&self, claims: &Claims, place: Place) -> Option<Place> {
        let spots = claims.paths().filter_map(|path| self.spots.get(path.as_bytes()).map(|s| &s.own));
        let ids = claims.id.as_ref().and_then(|id| self.ids.get(id));
        let nodes = claims.node.as_ref().and_then(|node| self.nodes.get(node));
        spots.chain(ids).chain(nodes).filter_map(|places| last_before(places, place)).max()
    }

    /// The newest event before `place` on an ancestor.
    pub(super) fn above_before(&self, claims: &Claims, place: Place) -> Option<Place> {
        let spots = claims.paths().flat_map(ancestors).filter_map(|above| self.spots.get(above));
        spots.filter_map(|spot| last_before(&spot.own, place)).max()
    }

    /// The events between two places on ancestors, those of each ancestor in order.
    pub(super) fn above_between(
        &self,
        claims: &Claims,
        after: Place,
        before: Place,
    ) -> impl Iterator<Item = Place> {
        let spots = claims.paths().flat_map(ancestors).filter_map(|above| self.spots.get(above));
        let between = (Bound::Excluded(after), Bound::Excluded(before));
        spots.flat_map(move |spot| spot.own.range(between).copied())
    }

    /// The newest event before `place` on a descendant.
    pub(super) fn below_before(&self, claims: &Claims, place: Place) -> Option<Place> {
        let spots = claims.paths().filter_map(|path| self.spots.get(path.as_bytes()));
        spots.filter_map(|spot| last_before(&spot.below, place)).max()
    }

    /// The events of exactly this path, newest first.
    pub(super) fn at(&self, path: &DevPath) -> impl DoubleEndedIterator<Item = Place> {
        self.spots.get(path.as_bytes()).into_iter().flat_map(|spot| spot.own.iter().rev().copied())
    }

    /// The events behind `place` that have the id or the node name, or are below the path.
    pub(super) fn entangled_after(&self, claims: &Claims, place: Place) -> impl Iterator<Item = Place> {
        let below = self.spots.get(claims.path.as_bytes()).map(|spot| &spot.below);
        let ids = claims.id.as_ref().and_then(|id| self.ids.get(id));
        let nodes = claims.node.as_deref().and_then(|node| self.nodes.get(BStr::new(node)));
        let after = (Bound::Excluded(place), Bound::Unbounded);
        below.into_iter().chain(ids).chain(nodes).flat_map(move |places| places.range(after).copied())
    }

    /// True when nothing is in the maps.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty() && self.ids.is_empty() && self.nodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(path: &str, path_old: &str, id: &str, node: &str) -> Claims {
        let some = |text: &str| (!text.is_empty()).then(|| BString::from(text));
        Claims {
            path: DevPath::new(path.as_bytes()).unwrap(),
            path_old: some(path_old).map(|p| DevPath::new(&p).unwrap()),
            id: some(id).map(|id| DeviceId::parse(&id).unwrap()),
            node: some(node),
        }
    }

    #[test]
    fn what_conflicts() {
        let disk = claims("/devices/a/sda", "", "b8:0", "sda");
        let cases = [
            (claims("/devices/a/sda", "", "", ""), true),
            (claims("/devices/a", "", "", ""), true),
            (claims("/devices/a/sda/sda1", "", "b8:1", "sda1"), true),
            (claims("/devices/a/sdb", "", "b8:16", "sdb"), false),
            (claims("/devices/a/sda1", "", "b8:1", "sda1"), false),
            (claims("/devices/b/x", "", "b8:0", ""), true),
            (claims("/devices/b/x", "", "c8:0", ""), false),
            (claims("/devices/b/x", "", "", "sda"), true),
            (claims("/devices/b/x", "/devices/a/sda", "", ""), true),
            (claims("/devices/b/x", "/devices/a", "", ""), true),
            (claims("/devices/b/x", "/devices/a/sda/y", "", ""), true),
        ];
        for (other, expected) in cases {
            assert_eq!(disk.conflict(&other), expected, "{other:?}");
            assert_eq!(other.conflict(&disk), expected, "{other:?} the other way");
            // The maps and the definition say the same.
            let mut index = Index::default();
            let (first, second) = (Place { number: 1, arrival: 0 }, Place { number: 2, arrival: 1 });
            index.insert(&disk, first);
            index.insert(&other, second);
            assert_eq!(index.blocker(&other, second), expected.then_some(first), "{other:?}");
            assert_eq!(index.blocker(&disk, first), None);
            index.remove(&disk, first);
            assert_eq!(index.blocker(&other, second), None);
            index.remove(&other, second);
            assert!(index.is_empty(), "{index:?}");
        }
    }

    #[test]
    fn ancestors_nearest_first() {
        let path = DevPath::new(b"/devices/a/b").unwrap();
        assert_eq!(ancestors(&path).collect::<Vec<_>>(), [&b"/devices/a"[..], b"/devices"]);
        assert_eq!(ancestors(&DevPath::new(b"/devices").unwrap()).count(), 0);
    }
}
