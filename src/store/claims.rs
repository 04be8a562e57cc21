//! Owns who wants which link and who has it: for each name an ordered set of claims, one of them the holder's.
//!
//! The highest priority wins; among equals the holder keeps the name, and when the holder goes the oldest claim takes
//! over. Every operation returns what changed and the caller carries it out: nothing here touches a file system, and
//! nothing here knows what is really in the device directory.
//!
//! Devices and links are interned: a claim costs 32 bytes, a link about 70 more plus its name, a device about 100.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::table::{Keyed, Table};
use crate::ids::{DeviceId, LinkName};

/// One device's wish for one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub link: LinkName,
    /// Who wants it.
    pub device: DeviceId,
    /// The highest wins.
    pub priority: i32,
    /// Position in the order of all claims ever made; a claim keeps it while its priority changes.
    pub since: u64,
}

/// Whom a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The device.
    pub device: DeviceId,
    /// Its node, relative to the device directory; checked as link names are.
    pub node: LinkName,
}

/// What happened to one link that a call claimed, ranked anew or released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    /// The name.
    pub link: LinkName,
    /// Who had it before.
    pub old: Option<Holder>,
    /// Who has it now.
    pub new: Option<Holder>,
}

impl LinkChange {
    /// True when the link has to lead elsewhere, come or go. False: a claim was made or withdrawn that does not hold.
    pub fn moved(&self) -> bool {
        self.old != self.new
    }
}

/// A link that more than one device wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The name.
    pub link: LinkName,
    /// Who has it.
    pub holder: Claim,
    /// Who waits, in the order in which they would take over.
    pub others: Vec<Claim>,
}

/// Place in a link's order; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: Reverse<i32>,
    since: u64,
    device: u32,
}

#[derive(Debug)]
struct LinkEntry {
    name: LinkName,
    holder: Rank,
    /// Who waits. Boxed, as hardly any link has a second claim.
    others: Option<Box<BTreeSet<Rank>>>,
}

impl LinkEntry {
    fn waiting(&self) -> impl Iterator<Item = &Rank> {
        self.others.iter().flat_map(|others| others.iter())
    }

    fn wait(&mut self, rank: Rank) {
        self.others.get_or_insert_default().insert(rank);
    }

    fn leave(&mut self, rank: &Rank) {
        if let Some(others) = &mut self.others {
            others.remove(rank);
            if others.is_empty() {
                self.others = None;
            }
        }
    }

    /// Takes the best of those who wait.
    fn next(&mut self) -> Option<Rank> {
        let best = self.others.as_mut()?.pop_first();
        if self.others.as_ref().is_some_and(|others| others.is_empty()) {
            self.others = None;
        }
        best
    }
}

/// A device's own note of a claim.
#[derive(Debug, Clone, Copy)]
struct Own {
    link: u32,
    priority: i32,
    since: u64,
}

#[derive(Debug)]
struct DeviceEntry {
    id: DeviceId,
    node: LinkName,
    /// Ordered by link number.
    own: Vec<Own>,
}

impl Keyed for LinkEntry {
    type Key = LinkName;
    fn key(&self) -> &LinkName {
        &self.name
    }
}

impl Keyed for DeviceEntry {
    type Key = DeviceId;
    fn key(&self) -> &DeviceId {
        &self.id
    }
}

/// All claims of one machine.
#[derive(Debug, Default)]
pub struct Claims {
    links: Table<LinkEntry>,
    devices: Table<DeviceEntry>,
    clock: u64,
}

impl Claims {
    /// No claims.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `links` the whole set that `device` claims: others of its claims are released, new ones made, changed
    /// priorities ranked anew. `node` is where its links lead to. Of a name given twice the higher priority counts.
    ///
    /// One change for each link whose claim is new, different or gone, released ones first; claims that stay as they
    /// were are left out, unless the device's node has another name than before and the link leads to it.
    pub fn set_links(
        &mut self,
        device: &DeviceId,
        node: &LinkName,
        links: &[(LinkName, i32)],
    ) -> Vec<LinkChange> {
        let mut wanted: BTreeMap<&LinkName, i32> = BTreeMap::new();
        for (link, priority) in links {
            let best = wanted.entry(link).or_insert(*priority);
            *best = (*best).max(*priority);
        }
        let mut changes = self.release_unless(device, |link| wanted.contains_key(link));
        changes.extend(self.set_node(device, node));
        for (link, priority) in wanted {
            changes.extend(self.claim(device, node, link, priority));
        }
        changes
    }

    /// Claims one link beside those that the device claims already. `None`: it had this claim with this priority.
    pub fn claim(
        &mut self,
        device: &DeviceId,
        node: &LinkName,
        link: &LinkName,
        priority: i32,
    ) -> Option<LinkChange> {
        let device = match self.devices.find(device) {
            Some(at) => at,
            None => self.devices.insert(DeviceEntry {
                id: device.clone(),
                node: node.clone(),
                own: Vec::with_capacity(1),
            }),
        };
        match self.own(device, link) {
            Some(own) if own.priority == priority => None,
            Some(own) => self.rank_anew(device, own, priority),
            None => Some(self.claim_new(device, link, priority)),
        }
    }

    /// Withdraws one claim. `None`: there was none.
    pub fn release(&mut self, device: &DeviceId, link: &LinkName) -> Option<LinkChange> {
        self.release_unless(device, |other| other != link).pop()
    }

    /// Withdraws all claims of a device.
    pub fn release_all(&mut self, device: &DeviceId) -> Vec<LinkChange> {
        self.release_unless(device, |_| false)
    }

    /// Who has `link`.
    pub fn holder(&self, link: &LinkName) -> Option<Holder> {
        let entry = self.links.get(self.links.find(link)?)?;
        self.holder_of(&entry.holder)
    }

    /// All claims for `link`: the holder's, then the others in the order in which they would take over.
    pub fn claimants(&self, link: &LinkName) -> Vec<Claim> {
        let entry = self.links.find(link).and_then(|at| self.links.get(at));
        entry.map_or_else(Vec::new, |entry| {
            std::iter::once(&entry.holder)
                .chain(entry.waiting())
                .filter_map(|rank| self.show(entry, rank))
                .collect()
        })
    }

    /// The nodes of all who claim `link`, the holder's first.
    pub fn nodes(&self, link: &LinkName) -> Vec<LinkName> {
        let entry = self.links.find(link).and_then(|at| self.links.get(at));
        entry.map_or_else(Vec::new, |entry| {
            std::iter::once(&entry.holder)
                .chain(entry.waiting())
                .filter_map(|rank| self.devices.get(rank.device).map(|d| d.node.clone()))
                .collect()
        })
    }

    /// What `device` claims, ordered by name; the flag says whether it has the link.
    pub fn claims_of(&self, device: &DeviceId) -> Vec<(Claim, bool)> {
        let Some((at, entry)) = self.devices.find(device).and_then(|at| Some((at, self.devices.get(at)?)))
        else {
            return Vec::new();
        };
        let mut out: Vec<(Claim, bool)> = entry
            .own
            .iter()
            .filter_map(|own| {
                let link = self.links.get(own.link)?;
                Some((self.show(link, &own.rank(at))?, link.holder.device == at))
            })
            .collect();
        out.sort_by(|(a, _), (b, _)| a.link.cmp(&b.link));
        out
    }

    /// Every link with its holder, in no order.
    pub fn links(&self) -> impl Iterator<Item = (&LinkName, Holder)> {
        self.links.iter().filter_map(|entry| Some((&entry.name, self.holder_of(&entry.holder)?)))
    }

    /// Links that more than one device wants, ordered by name.
    pub fn collisions(&self) -> Vec<Collision> {
        let contested = self.links.iter().filter(|entry| entry.others.is_some());
        let mut out: Vec<Collision> = contested
            .filter_map(|entry| {
                Some(Collision {
                    link: entry.name.clone(),
                    holder: self.show(entry, &entry.holder)?,
                    others: entry.waiting().filter_map(|rank| self.show(entry, rank)).collect(),
                })
            })
            .collect();
        out.sort_by(|a, b| a.link.cmp(&b.link));
        out
    }

    /// How many links are claimed.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// True when nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn own(&self, device: u32, link: &LinkName) -> Option<Own> {
        let link = self.links.find(link)?;
        let own = &self.devices.get(device)?.own;
        own.binary_search_by_key(&link, |o| o.link).ok().and_then(|at| own.get(at)).copied()
    }

    fn note(&mut self, device: u32, own: Own) {
        let Some(entry) = self.devices.get_mut(device) else { return };
        match entry.own.binary_search_by_key(&own.link, |o| o.link) {
            Ok(at) => {
                if let Some(old) = entry.own.get_mut(at) {
                    *old = own;
                }
            }
            Err(at) => entry.own.insert(at, own),
        }
    }

    fn claim_new(&mut self, device: u32, link: &LinkName, priority: i32) -> LinkChange {
        self.clock += 1;
        let rank = Rank { priority: Reverse(priority), since: self.clock, device };
        let (at, old) = match self.links.find(link) {
            None => (self.links.insert(LinkEntry { name: link.clone(), holder: rank, others: None }), None),
            Some(at) => {
                let old = self.links.get(at).map(|entry| entry.holder);
                if let Some(entry) = self.links.get_mut(at) {
                    entry.wait(rank);
                }
                self.settle(at);
                (at, old)
            }
        };
        self.note(device, Own { link: at, priority, since: self.clock });
        self.change(link.clone(), old.and_then(|rank| self.holder_of(&rank)), at)
    }

    fn rank_anew(&mut self, device: u32, own: Own, priority: i32) -> Option<LinkChange> {
        let before = own.rank(device);
        let own = Own { priority, ..own };
        let entry = self.links.get_mut(own.link)?;
        let old = entry.holder;
        if old == before {
            entry.holder = own.rank(device);
        } else {
            entry.leave(&before);
            entry.wait(own.rank(device));
        }
        let name = entry.name.clone();
        self.settle(own.link);
        self.note(device, own);
        Some(self.change(name, self.holder_of(&old), own.link))
    }

    /// Hands the link to the best of those who wait if that one's priority is higher than the holder's.
    fn settle(&mut self, link: u32) {
        let Some(entry) = self.links.get_mut(link) else { return };
        let best = entry.waiting().next().copied();
        if best.is_some_and(|best| best.priority < entry.holder.priority)
            && let Some(best) = entry.next()
        {
            let loser = std::mem::replace(&mut entry.holder, best);
            entry.wait(loser);
        }
    }

    fn release_unless(&mut self, device: &DeviceId, keep: impl Fn(&LinkName) -> bool) -> Vec<LinkChange> {
        let Some(device) = self.devices.find(device) else { return Vec::new() };
        let own = self.devices.get_mut(device).map(|d| std::mem::take(&mut d.own)).unwrap_or_default();
        let (kept, gone): (Vec<Own>, Vec<Own>) =
            own.into_iter().partition(|own| self.links.get(own.link).is_some_and(|l| keep(&l.name)));
        let mut changes: Vec<LinkChange> =
            gone.into_iter().filter_map(|own| self.release_one(device, own)).collect();
        changes.sort_by(|a, b| a.link.cmp(&b.link));
        if kept.is_empty() {
            self.devices.remove(device);
        } else if let Some(entry) = self.devices.get_mut(device) {
            entry.own = kept;
        }
        changes
    }

    fn release_one(&mut self, device: u32, own: Own) -> Option<LinkChange> {
        let entry = self.links.get_mut(own.link)?;
        let old = entry.holder;
        let name = entry.name.clone();
        if old.device != device {
            entry.leave(&own.rank(device));
        } else if let Some(next) = entry.next() {
            entry.holder = next;
        } else {
            self.links.remove(own.link);
            return Some(LinkChange { link: name, old: self.holder_of(&old), new: None });
        }
        Some(self.change(name, self.holder_of(&old), own.link))
    }

    fn set_node(&mut self, device: &DeviceId, node: &LinkName) -> Vec<LinkChange> {
        let Some(at) = self.devices.find(device) else { return Vec::new() };
        let Some(entry) = self.devices.get_mut(at) else { return Vec::new() };
        if entry.node == *node {
            return Vec::new();
        }
        let old = Holder { device: device.clone(), node: std::mem::replace(&mut entry.node, node.clone()) };
        let new = Holder { device: device.clone(), node: node.clone() };
        let own: Vec<u32> = entry.own.iter().map(|own| own.link).collect();
        let held = own.into_iter().filter_map(|link| self.links.get(link)).filter(|l| l.holder.device == at);
        held.map(|l| LinkChange { link: l.name.clone(), old: Some(old.clone()), new: Some(new.clone()) })
            .collect()
    }

    fn change(&self, link: LinkName, old: Option<Holder>, at: u32) -> LinkChange {
        let new = self.links.get(at).and_then(|entry| self.holder_of(&entry.holder));
        LinkChange { link, old, new }
    }

    fn holder_of(&self, rank: &Rank) -> Option<Holder> {
        self.devices.get(rank.device).map(|d| Holder { device: d.id.clone(), node: d.node.clone() })
    }

    fn show(&self, link: &LinkEntry, rank: &Rank) -> Option<Claim> {
        Some(Claim {
            link: link.name.clone(),
            device: self.devices.get(rank.device)?.id.clone(),
            priority: rank.priority.0,
            since: rank.since,
        })
    }
}

impl Own {
    fn rank(&self, device: u32) -> Rank {
        Rank { priority: Reverse(self.priority), since: self.since, device }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{DevNum, NodeKind};

    fn link(name: &str) -> LinkName {
        LinkName::new(name.as_bytes()).unwrap()
    }

    fn disk(minor: u32) -> DeviceId {
        DeviceId::Node(DevNum { kind: NodeKind::Block, major: 8, minor })
    }

    fn node(minor: u32) -> LinkName {
        link(&format!("sd{minor}"))
    }

    /// Minor of the holder before and after.
    fn minors(change: &LinkChange) -> (Option<u32>, Option<u32>) {
        let minor = |holder: &Option<Holder>| match holder.as_ref()?.device {
            DeviceId::Node(n) => Some(n.minor),
            _ => None,
        };
        (minor(&change.old), minor(&change.new))
    }

    #[test]
    fn priority_then_holder_then_age() {
        // (minor, Some(priority) claims or None releases, holder before, holder after)
        let steps = [
            (1, Some(0), None, Some(1)),
            (2, Some(0), Some(1), Some(1)),
            (3, Some(0), Some(1), Some(1)),
            (4, Some(5), Some(1), Some(4)),
            (3, Some(5), Some(4), Some(4)),
            (4, Some(0), Some(4), Some(3)),
            (3, Some(0), Some(3), Some(3)),
            (3, None, Some(3), Some(1)),
            (1, None, Some(1), Some(2)),
            (4, None, Some(2), Some(2)),
            (2, None, Some(2), None),
        ];
        let mut claims = Claims::new();
        for (at, (minor, priority, old, new)) in steps.into_iter().enumerate() {
            let change = match priority {
                Some(p) => claims.claim(&disk(minor), &node(minor), &link("x"), p),
                None => claims.release(&disk(minor), &link("x")),
            };
            assert_eq!(minors(&change.unwrap()), (old, new), "step {at}");
        }
        assert!(claims.is_empty());
    }

    #[test]
    fn a_set_replaces_the_set_before() {
        let mut claims = Claims::new();
        let set = |claims: &mut Claims, links: &[(&str, i32)]| -> Vec<String> {
            let links: Vec<_> = links.iter().map(|(l, p)| (link(l), *p)).collect();
            claims.set_links(&disk(1), &node(1), &links).iter().map(|c| c.link.to_string()).collect()
        };
        assert_eq!(set(&mut claims, &[("b", 0), ("a", 0), ("a", 3)]), ["a", "b"]);
        assert_eq!(claims.claimants(&link("a"))[0].priority, 3);
        assert!(set(&mut claims, &[("a", 3), ("b", 0)]).is_empty());
        assert_eq!(set(&mut claims, &[("c", 0), ("a", 3)]), ["b", "c"]);
        assert_eq!(set(&mut claims, &[]), ["a", "c"]);
        assert!(claims.is_empty());
        assert_eq!(claims.devices.len(), 0);
    }

    #[test]
    fn another_node_name_moves_what_the_device_holds() {
        let mut claims = Claims::new();
        let links = [(link("a"), 0), (link("b"), 0)];
        claims.claim(&disk(2), &node(2), &link("b"), 1);
        claims.set_links(&disk(1), &node(1), &links);
        let changes = claims.set_links(&disk(1), &link("new"), &links);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].link.clone(), changes[0].moved()), (link("a"), true));
        assert_eq!(claims.holder(&link("a")).unwrap().node, link("new"));
    }

    #[test]
    fn collisions_are_listed() {
        let mut claims = Claims::new();
        for (minor, name, priority) in [(1, "z", 0), (2, "z", 0), (3, "z", 9), (1, "alone", 0), (2, "a", 0)] {
            claims.claim(&disk(minor), &node(minor), &link(name), priority);
        }
        let collisions = claims.collisions();
        assert_eq!(collisions.len(), 1);
        assert_eq!(collisions[0].holder.device, disk(3));
        assert_eq!(collisions[0].others.iter().map(|c| &c.device).collect::<Vec<_>>(), [&disk(1), &disk(2)]);
        let of_1: Vec<_> = claims.claims_of(&disk(1)).into_iter().map(|(c, has)| (c.link, has)).collect();
        assert_eq!(of_1, [(link("alone"), true), (link("z"), false)]);
        assert_eq!(claims.nodes(&link("z")), [node(3), node(1), node(2)]);
    }

    /// The rule written down plainly: a list of claims and who has which name.
    #[derive(Default)]
    struct Model {
        claims: Vec<(u32, u32, i32)>,
        holder: BTreeMap<u32, u32>,
    }

    impl Model {
        fn set(&mut self, device: u32, wanted: &BTreeMap<u32, i32>) {
            self.claims.retain(|(d, l, _)| *d != device || wanted.contains_key(l));
            for (&l, &p) in wanted {
                match self.claims.iter_mut().find(|(d, l2, _)| (*d, *l2) == (device, l)) {
                    Some(claim) => claim.2 = p,
                    None => self.claims.push((device, l, p)),
                }
            }
            for l in 0..4 {
                let of: Vec<_> = self.claims.iter().filter(|c| c.1 == l).collect();
                let Some(best) = of.iter().map(|c| c.2).max() else {
                    self.holder.remove(&l);
                    continue;
                };
                let stays = self.holder.get(&l).is_some_and(|h| of.iter().any(|c| c.0 == *h && c.2 == best));
                if !stays {
                    let oldest = of.iter().find(|c| c.2 == best).unwrap();
                    self.holder.insert(l, oldest.0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn same_as_the_plain_model(
            steps in prop::collection::vec((0u32..6, prop::collection::btree_map(0u32..4, -1i32..2, 0..4)), 1..60)
        ) {
            let mut claims = Claims::new();
            let mut model = Model::default();
            for (device, wanted) in steps {
                let before: Vec<_> = (0..4).map(|l| claims.holder(&link(&format!("l{l}")))).collect();
                let links: Vec<_> = wanted.iter().map(|(l, p)| (link(&format!("l{l}")), *p)).collect();
                let changes = claims.set_links(&disk(device), &node(device), &links);
                model.set(device, &wanted);
                for l in 0..4u32 {
                    let name = link(&format!("l{l}"));
                    let now = claims.holder(&name);
                    prop_assert_eq!(now.as_ref().map(|h| h.device.clone()), model.holder.get(&l).map(|d| disk(*d)));
                    // no claim is lost, none is left over
                    let mut have: Vec<_> = claims.claimants(&name).into_iter().map(|c| (c.device, c.priority)).collect();
                    let mut want: Vec<_> = model.claims.iter().filter(|c| c.1 == l).map(|c| (disk(c.0), c.2)).collect();
                    have.sort();
                    want.sort();
                    prop_assert_eq!(have, want);
                    // what is returned is what changed
                    let moved = changes.iter().find(|c| c.link == name && c.moved());
                    prop_assert_eq!(moved.is_some(), before[l as usize] != now);
                    if let Some(change) = moved {
                        prop_assert_eq!(&change.old, &before[l as usize]);
                        prop_assert_eq!(&change.new, &now);
                    }
                }
            }
        }
    }
}
