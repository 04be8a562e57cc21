//! Owns the names of devices: the table of claims and the directory of links, changed together.
//!
//! One lock is held while a claim is decided and its link changed, so that two workers can't carry out their changes of
//! one name in the other order. A link operation takes some microseconds; there is nothing to be gained by more locks.
//!
//! A link that was already there, just as it would be made, when its first claim came is somebody else's (udevd asked
//! for the same name): it is never removed or led elsewhere. Links of a former run are made known by [`Names::adopt`], so a
//! device's record has to be written before links that it adds are made and after links that it gives up are removed,
//! and has to be kept as long as the links.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::links::{Found, LinkError, LinkFarm, Placed, Refusal, Removed, parent_path};
use crate::ids::{DeviceId, LinkName};
use crate::store::claims::{Claims, Holder, LinkChange};

/// What became of one link that a device claims, claimed or wants no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The name.
    pub link: LinkName,
    /// Who had it by the table of claims before.
    pub old: Option<Holder>,
    /// Who has it now.
    pub new: Option<Holder>,
    /// What was done in the directory.
    pub result: Result<Outcome, LinkError>,
}

/// What was done with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Made.
    Created,
    /// Led elsewhere.
    Replaced,
    /// It was there, as it should be.
    AlreadyThere,
    /// Taken away.
    Removed,
    /// It was to be taken away and was not there.
    NotThere,
    /// Nothing: another device has the name, before and after.
    Waiting,
    /// Nothing: what has the name is not ours.
    Refused(Refusal),
    /// Nothing: it was there before us and stays.
    Left,
}

/// What a former run knew of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The device.
    pub device: DeviceId,
    /// Its node, from the tree or from the record; `None` if the device has gone and the record does not say.
    pub node: Option<LinkName>,
    /// The links that it claimed.
    pub links: BTreeSet<LinkName>,
    /// Their priority.
    pub priority: i32,
    /// When it was first handled; the earlier claims are the older ones.
    pub init_usec: Option<u64>,
}

/// What [`Names::repair`] found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Links that were not as the table says; those that were are left out.
    pub reports: Vec<LinkReport>,
    /// How many links under temporary names a killed run had left.
    pub temporaries: usize,
}

/// Claims and links of one directory. Shared between threads.
#[derive(Debug)]
pub struct Names {
    farm: LinkFarm,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    claims: Claims,
    /// Claimed names under which there is something that we have not made.
    foreign: HashSet<LinkName>,
    /// Nodes that a link may still lead to because a change failed: still ours to change.
    debts: HashMap<LinkName, Vec<LinkName>>,
    /// Links of a former run that nobody has looked at since.
    adopted: HashSet<LinkName>,
    /// Directories of links of a former run.
    dirs: BTreeSet<Vec<u8>>,
}

impl Names {
    /// Nothing claimed yet.
    pub fn new(farm: LinkFarm) -> Self {
        Self { farm, table: Mutex::default() }
    }

    /// The directory of links.
    pub fn farm(&self) -> &LinkFarm {
        &self.farm
    }

    /// Makes `links` the whole set of `device`, whose node is `node`, and carries out what changes. Links that it has and
    /// keeps are looked at too, and made again if they are missing. One report for each link that the device claims
    /// anew, gives up, or has.
    pub fn set(&self, device: &DeviceId, node: &LinkName, links: &[(LinkName, i32)]) -> Vec<LinkReport> {
        let mut table = self.lock();
        let changes = table.claims.set_links(device, node, links);
        // a device has few links
        let changed = |link: &LinkName| changes.iter().any(|change| change.link == *link);
        let kept: Vec<LinkName> = table
            .claims
            .claims_of(device)
            .into_iter()
            .filter(|(claim, has)| *has && !changed(&claim.link))
            .map(|(claim, _)| claim.link)
            .collect();
        let mut reports: Vec<LinkReport> =
            changes.into_iter().map(|change| table.carry_out(&self.farm, device, change)).collect();
        reports.extend(kept.into_iter().map(|link| table.ensure(&self.farm, link)));
        reports
    }

    /// Withdraws all claims of a device that has gone.
    pub fn release_all(&self, device: &DeviceId) -> Vec<LinkReport> {
        let mut table = self.lock();
        let changes = table.claims.release_all(device);
        changes.into_iter().map(|change| table.carry_out(&self.farm, device, change)).collect()
    }

    /// Takes over what a former run left, before anything else is claimed. Who has a link now keeps it among equals.
    /// Changes no link but one: those of devices that have gone without a known node are removed if they lead to
    /// nothing, or to the number that the device had. For devices that have gone and whose node is known, call
    /// [`Names::release_all`] afterwards.
    pub fn adopt(&self, mut formers: Vec<Former>) -> Vec<LinkReport> {
        let mut table = self.lock();
        formers.sort_by_key(|former| former.init_usec.unwrap_or(u64::MAX));
        let mut waiting = Vec::new();
        let mut lost = Vec::new();
        for former in &formers {
            for link in &former.links {
                table.dirs.insert(parent_path(link).to_vec());
                table.adopted.insert(link.clone());
                let Some(node) = &former.node else {
                    lost.push((&former.device, link));
                    continue;
                };
                match self.farm.look(link) {
                    Ok(Found::Link(there)) if self.farm.node(link, &there).as_ref() == Some(node) => {
                        table.claims.claim(&former.device, node, link, former.priority);
                    }
                    _ => waiting.push((&former.device, node, link, former.priority)),
                }
            }
        }
        for (device, node, link, priority) in waiting {
            table.claims.claim(device, node, link, priority);
        }
        lost.into_iter().filter_map(|(device, link)| table.remove_lost(&self.farm, device, link)).collect()
    }

    /// Compares the table with the directory and repairs the directory: links of ours that are missing, lead elsewhere or
    /// should have gone, and what a killed run left: links under temporary names, empty directories.
    pub fn repair(&self) -> Repair {
        let mut table = self.lock();
        let links: Vec<LinkName> = table.claims.links().map(|(link, _)| link.clone()).collect();
        table.dirs.extend(links.iter().map(|link| parent_path(link).to_vec()));
        table.repair(&self.farm, links)
    }

    /// The same for what may not be as it should: links that [`Names::adopt`] took over and nobody has looked at since,
    /// and those that could not be made. The rest has been looked at. To be called when all devices of the start are
    /// done.
    pub fn finish_adoption(&self) -> Repair {
        let mut table = self.lock();
        let doubtful: BTreeSet<&LinkName> =
            table.adopted.iter().chain(&table.foreign).chain(table.debts.keys()).collect();
        let claimed = doubtful.into_iter().filter(|link| table.claims.holder(link).is_some());
        let links = claimed.cloned().collect();
        table.repair(&self.farm, links)
    }

    /// Looks at the claims; changes are held up meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&Claims) -> R) -> R {
        look(&self.lock().claims)
    }

    /// Claimed names that something of somebody else's has, in order.
    pub fn foreign(&self) -> Vec<LinkName> {
        let mut out: Vec<LinkName> = self.lock().foreign.iter().cloned().collect();
        out.sort();
        out
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // a panic costs its event; the table is whole after every statement that changes it
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Brings the directory to where `change`, made by `device`, leads.
    fn carry_out(&mut self, farm: &LinkFarm, device: &DeviceId, change: LinkChange) -> LinkReport {
        let LinkChange { link, old, new } = change;
        let result = match &new {
            Some(new) if old.as_ref() == Some(new) && new.device != *device => Ok(Outcome::Waiting),
            Some(new) => self.place(farm, &link, old.as_ref(), new),
            None => self.remove(farm, &link, old.as_ref()),
        };
        LinkReport { link, old, new, result }
    }

    /// Repairs those links, everything that is owed, and the directories of the former run's links.
    fn repair(&mut self, farm: &LinkFarm, links: Vec<LinkName>) -> Repair {
        let mut reports: Vec<LinkReport> = links.into_iter().map(|link| self.ensure(farm, link)).collect();
        let debts: Vec<LinkName> = self.debts.keys().cloned().collect();
        for link in debts {
            if self.claims.holder(&link).is_none() {
                let result = self.remove(farm, &link, None);
                reports.push(LinkReport { link, old: None, new: None, result });
            }
        }
        reports.retain(|report| report.result != Ok(Outcome::AlreadyThere));
        let mut dirs = std::mem::take(&mut self.dirs);
        dirs.insert(Vec::new());
        let temporaries = dirs.iter().map(|dir| farm.tidy(dir)).sum();
        self.adopted = HashSet::new();
        Repair { reports, temporaries }
    }

    /// Makes sure that a link that is claimed leads to its holder.
    fn ensure(&mut self, farm: &LinkFarm, link: LinkName) -> LinkReport {
        let holder = self.claims.holder(&link);
        let result = match &holder {
            Some(new) => self.place(farm, &link, Some(new), new),
            None => Ok(Outcome::NotThere),
        };
        LinkReport { link, old: holder.clone(), new: holder, result }
    }

    fn place(
        &mut self,
        farm: &LinkFarm,
        link: &LinkName,
        old: Option<&Holder>,
        new: &Holder,
    ) -> Result<Outcome, LinkError> {
        let known = old.is_some() || self.is_debt(link);
        match farm.place(link, &new.node, |node| self.is_ours(link, old, node)) {
            Ok(placed) => {
                self.adopted.remove(link);
                self.debts.remove(link);
                let mine = match &placed {
                    Placed::Created | Placed::Replaced => true,
                    Placed::AlreadyThere => known && !self.foreign.contains(link),
                    Placed::Refused(_) => false,
                };
                if mine {
                    self.foreign.remove(link);
                } else {
                    self.foreign.insert(link.clone());
                }
                Ok(placed.into())
            }
            Err(error) => {
                self.owe(link, old);
                Err(error)
            }
        }
    }

    fn remove(
        &mut self,
        farm: &LinkFarm,
        link: &LinkName,
        old: Option<&Holder>,
    ) -> Result<Outcome, LinkError> {
        if self.foreign.remove(link) {
            return Ok(Outcome::Left);
        }
        match farm.remove(link, |node| self.is_ours(link, old, node)) {
            Ok(removed) => {
                self.adopted.remove(link);
                self.debts.remove(link);
                Ok(removed.into())
            }
            Err(error) => {
                self.owe(link, old);
                Err(error)
            }
        }
    }

    /// True when a link that leads to `node` is ours: it was made for the old holder, for somebody of whom a change
    /// failed, or for any who claim the name (somebody killed may have been about to hand it over).
    fn is_ours(&self, link: &LinkName, old: Option<&Holder>, node: &LinkName) -> bool {
        !self.foreign.contains(link)
            && (old.is_some_and(|old| old.node == *node)
                || self.debts.get(link).is_some_and(|debts| debts.contains(node))
                || self.claims.is_claimants_node(link, node))
    }

    fn is_debt(&self, link: &LinkName) -> bool {
        self.debts.contains_key(link)
    }

    fn owe(&mut self, link: &LinkName, old: Option<&Holder>) {
        let debts = self.debts.entry(link.clone()).or_default();
        if let Some(old) = old
            && !debts.contains(&old.node)
        {
            debts.push(old.node.clone());
        }
    }

    /// Removes a link of a device that has gone and whose node nobody knows any more, if the link shows that it is its.
    fn remove_lost(&mut self, farm: &LinkFarm, device: &DeviceId, link: &LinkName) -> Option<LinkReport> {
        if self.claims.holder(link).is_some() {
            return None;
        }
        let Ok(Found::Link(there)) = farm.look(link) else { return None };
        let node = farm.node(link, &there)?;
        if farm.leads_to(link).is_some_and(|number| DeviceId::Node(number) != *device) {
            return None;
        }
        let old = Some(Holder { device: device.clone(), node: node.clone() });
        let result = farm.remove(link, |there| *there == node).map(Outcome::from);
        Some(LinkReport { link: link.clone(), old, new: None, result })
    }
}

impl From<Placed> for Outcome {
    fn from(placed: Placed) -> Self {
        match placed {
            Placed::Created => Outcome::Created,
            Placed::Replaced => Outcome::Replaced,
            Placed::AlreadyThere => Outcome::AlreadyThere,
            Placed::Refused(why) => Outcome::Refused(why),
        }
    }
}

impl From<Removed> for Outcome {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Removed => Outcome::Removed,
            Removed::Nothing => Outcome::NotThere,
            Removed::Refused(why) => Outcome::Refused(why),
        }
    }
}

#[cfg(test)]
mod tests;
