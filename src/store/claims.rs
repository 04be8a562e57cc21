//! Owns who wants which link and who has it: for each name an ordered set of claims, one of them the holder's.
//!
//! The highest priority wins; among equals the holder keeps the name, and when the holder goes the oldest claim takes
//! over. Every operation returns what changed and the caller carries it out: nothing here touches a file system, and
//! nothing here knows what is really in the device directory.
//!
//! Devices and links are interned and each name is stored once: 20,000 devices with two links each take 6.4 MB, the names
//! included.

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
    /// Who waits; allocates nothing as long as it is empty, as it nearly always is.
    others: BTreeSet<Rank>,
}

impl LinkEntry {
    /// The holder's rank, then the others' in the order in which they would take over.
    fn ranks(&self) -> impl Iterator<Item = &Rank> {
        std::iter::once(&self.holder).chain(&self.others)
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
            None => {
                self.devices.insert(DeviceEntry { id: device.clone(), node: node.clone(), own: Vec::new() })
            }
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
        entry.map_or_else(Vec::new, |entry| entry.ranks().filter_map(|rank| self.show(entry, rank)).collect())
    }

    /// True when one of those who claim `link` has this node.
    pub fn is_claimants_node(&self, link: &LinkName, node: &LinkName) -> bool {
        let entry = self.links.find(link).and_then(|at| self.links.get(at));
        entry.is_some_and(|entry| {
            entry.ranks().any(|rank| self.devices.get(rank.device).is_some_and(|d| d.node == *node))
        })
    }

    /// The node of a device that claims something.
    pub fn node_of(&self, device: &DeviceId) -> Option<&LinkName> {
        Some(&self.devices.get(self.devices.find(device)?)?.node)
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
        let contested = self.links.iter().filter(|entry| !entry.others.is_empty());
        let mut out: Vec<Collision> = contested
            .filter_map(|entry| {
                Some(Collision {
                    link: entry.name.clone(),
                    holder: self.show(entry, &entry.holder)?,
                    others: entry.others.iter().filter_map(|rank| self.show(entry, rank)).collect(),
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
            Err(at) => {
                // a device claims few links, and all at once
                entry.own.reserve_exact(1);
                entry.own.insert(at, own);
            }
        }
    }

    fn claim_new(&mut self, device: u32, link: &LinkName, priority: i32) -> LinkChange {
        self.clock += 1;
        let rank = Rank { priority: Reverse(priority), since: self.clock, device };
        let (at, old) = match self.links.find(link) {
            None => (
                self.links.insert(LinkEntry { name: link.clone(), holder: rank, others: BTreeSet::new() }),
                None,
            ),
            Some(at) => {
                let old = self.links.get(at).map(|entry| entry.holder);
                if let Some(entry) = self.links.get_mut(at) {
                    entry.others.insert(rank);
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
            entry.others.remove(&before);
            entry.others.insert(own.rank(device));
        }
        let name = entry.name.clone();
        self.settle(own.link);
        self.note(device, own);
        Some(self.change(name, self.holder_of(&old), own.link))
    }

    /// Hands the link to the best of those who wait if that one's priority is higher than the holder's.
    fn settle(&mut self, link: u32) {
        let Some(entry) = self.links.get_mut(link) else { return };
        // the least is the one with the highest priority
        let Some(best) = entry.others.first().copied() else { return };
        if best.priority < entry.holder.priority {
            entry.others.remove(&best);
            let loser = std::mem::replace(&mut entry.holder, best);
            entry.others.insert(loser);
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
            entry.others.remove(&own.rank(device));
        } else if let Some(next) = entry.others.pop_first() {
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
mod tests;
