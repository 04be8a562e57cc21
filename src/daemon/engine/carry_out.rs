//! Owns what an event leaves behind: node, names, record; and that nothing is left of a device that has gone.

use bstr::BString;

use super::{Engine, Reach};
use crate::apply::disk::{self, DiskLock};
use crate::apply::event;
use crate::apply::links::Placed;
use crate::apply::names::LinkReport;
use crate::decide::Plan;
use crate::device::{Device, Reader};
use crate::ids::{Action, DevPath, DeviceId, LinkName, NodeKind};
use crate::machine;
use crate::store::claims::Claim;
use crate::store::record::Record;
use crate::store::stacks;
use crate::uevent::Uevent;

impl Engine {
    /// Asks for a shared lock on the whole disk of an event: who changes partitions or file systems holds it alone. It is to
    /// be kept until the event has been handled.
    pub(in crate::daemon) fn lock_disk(&self, uevent: &Uevent) -> DiskLock {
        if self.site.reach != Reach::Everything
            || uevent.subsystem != "block"
            || uevent.action == Action::Remove
        {
            return DiskLock::Nothing;
        }
        let path = match uevent.devtype() {
            Some(devtype) if devtype == "partition" => uevent.devpath.parent(),
            _ => Some(uevent.devpath.clone()),
        };
        let Some(path) = path.filter(|path| !disk::is_never_locked(path.last())) else {
            return DiskLock::Nothing;
        };
        let is_own = path == uevent.devpath;
        let disk = self.tree.get(&path);
        let number = if is_own { uevent.devnum() } else { disk.as_ref().and_then(Device::devnum) };
        let of_disk = || Reader::new(&self.tree).uevent(disk.as_ref()?).get("DEVNAME").map(BString::from);
        let name = if is_own { uevent.devname().map(BString::from) } else { of_disk() };
        match (name.and_then(|name| LinkName::new(&name).ok()), number) {
            (Some(node), Some(number)) => disk::lock(&self.nodes, &node, number),
            _ => DiskLock::Nothing,
        }
    }

    /// Makes a disk that is added refuse writers, where the kernel's command line asks for it: no program, rule or stray
    /// mount changes what is on it. Disks that are made from others, or by a user, are left alone.
    pub(in crate::daemon) fn make_read_only(&self, uevent: &Uevent) {
        let asked = self.site.read_only_disks && self.site.reach == Reach::Everything;
        if !asked || !becomes_read_only(uevent) {
            return;
        }
        let name = uevent.devname().and_then(|name| LinkName::new(name).ok());
        let (Some(node), Some(number)) = (name, uevent.devnum()) else { return };
        if let Err(error) = disk::make_read_only(&self.nodes, &node, number) {
            tracing::warn!("{node} is not made read-only: {error}");
        }
    }

    /// Puts away what a former udevd has kept for itself: nobody keeps it up from now on.
    pub(in crate::daemon) fn begin_in_udevs_place(&self) {
        if self.site.reach != Reach::Everything {
            return;
        }
        if let Err(error) = stacks::clear(&self.site.roots.run_udev()) {
            tracing::warn!(%error, "what the udevd before has left is still there");
        }
    }

    /// Leaves for a udevd that comes after this daemon who claims which link and which devices are watched.
    pub(in crate::daemon) fn end_in_udevs_place(&self, watched: &[DevPath]) {
        if self.site.reach != Reach::Everything {
            return;
        }
        let watched: Vec<DeviceId> = watched.iter().filter_map(|path| self.tree.get(path)?.id()).collect();
        let claims: Vec<(Claim, Vec<u8>)> = self.names.look(|claims| {
            let all = claims.links().flat_map(|(link, _)| claims.claimants(link));
            let with_node = all.filter_map(|claim| {
                let node = claims.node_of(&claim.device)?;
                let path = self.site.roots.dev.join(crate::daemon::view::path(node.as_bytes()));
                Some((claim, path.into_os_string().into_encoded_bytes()))
            });
            with_node.collect()
        });
        let claims = claims.iter().map(|(claim, node)| (claim, &node[..]));
        if let Err(error) = stacks::write(&self.site.roots.run_udev(), claims, &watched) {
            tracing::warn!(%error, "a udevd that is started next does not know who claims which link");
        }
    }

    /// What is kept of a device after this plan. One that is not kept has no time either: it costs no file.
    pub(super) fn new_record(&self, id: &DeviceId, plan: &Plan, old: Option<&Record>) -> Record {
        let mut record = plan.record(old);
        if !self.database.keeps(id, &record) && plan.run.is_empty() {
            return Record { init_usec: None, ..record };
        }
        record.init_usec = record.init_usec.or_else(machine::uptime_usec);
        record
    }

    /// Node, names and record of a device that is there. The record says what is claimed before a link is made and until
    /// it is gone, so that after a kill at any moment the next start knows every link that is ours.
    pub(super) fn carry_out(
        &self,
        id: &DeviceId,
        old: Option<&Record>,
        plan: &Plan,
        record: &Record,
    ) -> Vec<LinkReport> {
        if self.site.reach == Reach::Everything {
            event::permissions(&self.nodes, &self.labels, plan);
        }
        let kept = old.map(|old| &old.links).into_iter().flatten();
        let going: Vec<LinkName> = kept.filter(|link| !record.links.contains(*link)).cloned().collect();
        let changes = !going.is_empty();
        if changes {
            let mut claimed = record.clone();
            claimed.links.extend(going);
            self.write_record(id, &claimed);
        } else {
            self.write_record(id, record);
        }
        let links: Vec<(LinkName, i32)> = plan.links.iter().map(|l| (l.name.clone(), l.priority)).collect();
        self.number_link(id, record.node.as_ref());
        let reports = match &record.node {
            Some(node) => self.names.set(id, node, &links),
            None => self.names.release_all(id),
        };
        if changes {
            self.write_record(id, record);
        }
        self.origins.keep(id, plan);
        self.tell(Some(id), &reports);
        reports
    }

    /// Names and record of a device that has gone.
    pub(super) fn withdraw(&self, id: &DeviceId, plan: &Plan) -> Vec<LinkReport> {
        // the number may already be another device's: then the names are that one's business
        let reused = self.tree.by_id(id).is_some_and(|now| now.devpath() != plan.event.devpath);
        if reused {
            return Vec::new();
        }
        let reports = self.forget(id);
        self.tell(Some(id), &reports);
        reports
    }

    /// Names, record and memory of a device end.
    pub(super) fn forget(&self, id: &DeviceId) -> Vec<LinkReport> {
        let reports = self.names.release_all(id);
        self.number_link(id, None);
        self.delete_record(id);
        self.memory.forget(id);
        self.origins.forget(id);
        reports
    }

    /// The link by which every node can be found from its number, `block/MAJOR:MINOR` or `char/MAJOR:MINOR`: the device
    /// manager makes it whatever rules say, and nobody else can claim it. `None`: the device has gone.
    pub(super) fn number_link(&self, id: &DeviceId, node: Option<&LinkName>) {
        let DeviceId::Node(number) = id else { return };
        if self.site.reach != Reach::Everything {
            return;
        }
        let kind = if number.kind == NodeKind::Block { "block" } else { "char" };
        let name = format!("{kind}/{}:{}", number.major, number.minor);
        let Ok(link) = LinkName::new(name.as_bytes()) else { return };
        let farm = self.names.farm();
        let done = match node {
            Some(node) => farm.place(&link, node, |_| true).map(|placed| {
                if let Placed::Refused(why) = placed {
                    tracing::warn!(LINK = %link, "link {link} can't be made: {why}");
                }
            }),
            None if self.is_anothers_now(id, &name) => return,
            None => farm.remove(&link, |_| true).map(drop),
        };
        if let Err(error) = done {
            tracing::error!(LINK = %link, %error, "link {link} is not as it should be");
        }
    }

    /// True when sysfs has another device under the number (`block/MAJOR:MINOR`) of the one that goes: its event is still to
    /// come, and the link is already right.
    fn is_anothers_now(&self, id: &DeviceId, number: &str) -> bool {
        let Ok(target) = std::fs::read_link(self.site.roots.sys.join("dev").join(number)) else {
            return false;
        };
        let goes = self.tree.by_id(id).map(|device| device.devpath());
        goes.is_none_or(|goes| !target.ends_with(crate::daemon::view::path(goes.relative())))
    }

    pub(super) fn write_record(&self, id: &DeviceId, record: &Record) {
        if let Err(error) = self.database.write(id, record) {
            tracing::error!(%error, "what is known of this device is lost at the next start");
        }
    }

    pub(super) fn delete_record(&self, id: &DeviceId) {
        if let Err(error) = self.database.delete(id) {
            tracing::error!(%error, "the next start finds a record of a device that is gone");
        }
    }
}

/// True for an event with which a disk becomes read-only.
fn becomes_read_only(uevent: &Uevent) -> bool {
    let is_disk = uevent.subsystem == "block" && !disk::stays_writable(uevent.devpath.last());
    is_disk && uevent.action == Action::Add
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SeqNum;

    #[test]
    fn which_disks_become_read_only() {
        for (action, subsystem, name, expected) in [
            (Action::Add, "block", "sda", true),
            (Action::Add, "block", "sda1", true),
            (Action::Add, "block", "nvme0n1", true),
            (Action::Add, "block", "ram0", true),
            (Action::Change, "block", "sda", false),
            (Action::Bind, "block", "sda", false),
            (Action::Remove, "block", "sda", false),
            (Action::Add, "bdi", "sda", false),
            (Action::Add, "block", "dm-0", false),
            (Action::Add, "block", "md127", false),
            (Action::Add, "block", "drbd1", false),
            (Action::Add, "block", "loop0", false),
            (Action::Add, "block", "loop0p1", false),
            (Action::Add, "block", "nbd3", false),
            (Action::Add, "block", "zram0", false),
        ] {
            let path = DevPath::new(format!("/devices/x/{name}").as_bytes()).unwrap();
            let uevent = Uevent::from_facts(action, path, subsystem.into(), SeqNum(1), Default::default());
            assert_eq!(becomes_read_only(&uevent), expected, "{action} {subsystem} {name}");
        }
    }
}
