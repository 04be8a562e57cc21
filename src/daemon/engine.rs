//! Owns the way of one event through decide and apply: what a worker does for each, and `nameplate apply` for one.
//!
//! All that events share is here (tree, names, records, numbers); the order of events, the threads and the sockets are not.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::origins::Origins;
use super::programs::{Asking, Memory, Recalling};
use super::{DaemonError, report};
use crate::apply::deed::Deeds;
use crate::apply::event::{self, Programs};
use crate::apply::modules::Modules;

use crate::apply::links::LinkFarm;
use crate::apply::names::{Former, LinkReport, Names};
use crate::apply::node::NodeDir;
use crate::apply::sysfs::ValueTree;
use crate::builtin;
use crate::decide::{
    DeedRunner, Dry, Effects, Event, EventHost, Live, NoDeeds, Permissions, Plan, ProgramRunner,
    Surroundings, Unwriting, decide,
};
use crate::device::{Device, Facts, Source, Tree};
use crate::ids::{Action, DevPath, DeviceId, LinkName};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::eval::{Target, Write};
use crate::rules::toml::{Accounts, accounts_of};
use crate::rules::trace::Unobserved;
use crate::store::files::RecordDir;
use crate::store::index::Indexes;
use crate::store::record::Record;
use crate::uevent::Uevent;

/// In a record while the programs of its last event have not ended; systemd's name for the same.
const PROCESSING: &str = "ID_PROCESSING";

/// How far the daemon's arm reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Links below a directory of the user's, and nothing else. Programs of rules run: they are the user's own.
    LinkDir,
    /// Links in the device directory, and the values that rules write: somebody else (udevd) is the device manager.
    Companion,
    /// Permissions, network names and watches too.
    Everything,
}

/// Where an engine works, and how far it reaches.
#[derive(Debug, Clone)]
pub struct Site {
    /// The system's directories.
    pub roots: Roots,
    /// Where links are made.
    pub link_dir: PathBuf,
    /// The daemon's own directory: records, control socket.
    pub run_dir: PathBuf,
    /// Where the numbers of `index` are kept.
    pub state_dir: PathBuf,
    /// What may be changed.
    pub reach: Reach,
    /// The longest time that the programs of one event have together.
    pub event_timeout: Duration,
    /// The longest time that one program has.
    pub program_timeout: Duration,
}

/// A device that was there at the start.
#[derive(Debug)]
pub struct Present {
    /// The device.
    pub device: Device,
    /// Its `uevent` file, so that it is not read twice.
    pub properties: Properties,
}

/// What became of one event.
#[derive(Debug)]
pub struct Handled {
    /// What was decided.
    pub plan: Plan,
    /// What became of each link.
    pub links: Vec<LinkReport>,
}

/// All that events share.
#[derive(Debug)]
pub struct Engine {
    site: Site,
    tree: Tree,
    names: Names,
    records: RecordDir,
    numbers: Indexes,
    nodes: NodeDir,
    accounts: Box<dyn Accounts + Send + Sync>,
    programs: Programs,
    shared: builtin::Shared,
    deeds: Deeds,
    memory: Memory,
    origins: Origins,
}

impl Engine {
    /// Opens the directories of `site`, making its own where they are missing. The tree is empty.
    pub fn open(site: Site) -> Result<Self, DaemonError> {
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| DaemonError::Directory { path, source }
        };
        let farm = LinkFarm::open(&site.link_dir, &site.roots.dev).map_err(failed(&site.link_dir))?;
        let records = RecordDir::open(&site.run_dir.join("data")).map_err(failed(&site.run_dir))?;
        let nodes = NodeDir::open(&site.roots.dev).map_err(failed(&site.roots.dev))?;
        Ok(Self {
            nodes,
            accounts: accounts_of(&site.roots),
            tree: Tree::new(Source::Live(site.roots.sys.clone())),
            names: Names::new(farm),
            records,
            numbers: Indexes::new(&site.state_dir),
            programs: Programs::new(&site.roots, site.program_timeout),
            shared: builtin::Shared::new(&site.roots),
            deeds: Deeds::new(&site.roots),
            memory: Memory::default(),
            origins: Origins::default(),
            site,
        })
    }

    /// Where it works.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The kernel modules that are being loaded beside the events.
    pub fn modules(&self) -> &Modules {
        self.deeds.modules()
    }

    /// Lets databases that have changed on disk be read anew. For a reload.
    pub fn refresh(&self) {
        self.shared.refresh();
        self.modules().refresh();
    }

    /// The devices.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Users and groups, for names in rules.
    pub fn accounts(&self) -> &dyn Accounts {
        &*self.accounts
    }

    /// The names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Which rules asked for a device's links, and what its last event was.
    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// The record of a device; a record that can't be read counts as none, and its repair is the next event.
    pub fn record(&self, id: &DeviceId) -> Option<Record> {
        crate::decide::Records::record(&self.records, id)
    }

    /// True when something of the device is there from before: its node in the tree, or its record.
    pub(super) fn knows(&self, uevent: &Uevent) -> bool {
        self.tree.get(&uevent.devpath).is_some() || self.record(&uevent.device_id()).is_some()
    }

    /// Fills the tree and takes over the names and records of a former run: who held a name keeps it, and what belongs
    /// to devices that are no longer there is removed. To be called before the first event; all devices, parents first.
    pub fn take_over(&self) -> Result<Vec<Present>, DaemonError> {
        let mut devices = Vec::new();
        self.tree.walk_with(|device, properties| {
            devices.push(Present { device: device.clone(), properties });
        });
        self.adopt()?;
        Ok(devices)
    }

    fn adopt(&self) -> Result<(), DaemonError> {
        let source = |source| DaemonError::Directory { path: self.site.run_dir.clone(), source };
        self.records.clean().map_err(source)?;
        let listing = self.records.take_over().map_err(source)?;
        for (id, problem) in &listing.problems {
            tracing::warn!(device = %id, %problem, "a line of a record is left out");
        }
        for error in &listing.errors {
            tracing::warn!(%error, "a record is left out");
        }
        let (there, gone): (Vec<_>, Vec<_>) =
            listing.records.into_iter().partition(|(id, _)| self.tree.by_id(id).is_some());
        let gone_ids: Vec<DeviceId> = gone.iter().map(|(id, _)| id.clone()).collect();
        let former = |(device, record): (DeviceId, Record)| Former {
            device,
            node: record.node,
            links: record.links,
            priority: record.priority,
            init_usec: record.init_usec,
        };
        let mut reports = self.names.adopt(there.into_iter().chain(gone).map(former).collect());
        for id in gone_ids {
            reports.extend(self.names.release_all(&id));
            self.delete_record(&id);
        }
        self.tell(None, &reports);
        Ok(())
    }

    /// Logs what became of links, with the rule that asked: that of `id`, the event's device, or else the holder's.
    fn tell(&self, id: Option<&DeviceId>, reports: &[LinkReport]) {
        for report in reports {
            let rule_of = |id| self.origins.of_link(id, &report.link);
            let holders = || report.new.as_ref().and_then(|holder| rule_of(&holder.device));
            report::link(report, id.and_then(rule_of).or_else(holders).as_ref());
        }
    }

    /// Puts in order what the former run left and no event of the start has looked at.
    pub(super) fn finish_take_over(&self) {
        self.tell(None, &self.names.finish_adoption().reports);
    }

    /// Compares the links with the claims and repairs the links.
    pub(super) fn repair_links(&self) {
        self.tell(None, &self.names.repair().reports);
    }

    /// True when sysfs has the device's directory.
    pub(super) fn is_in_sysfs(&self, path: &DevPath) -> bool {
        self.site.roots.sys.join(super::view::path(path.relative())).exists()
    }

    /// Carries one event through: tree, decision, interface, node, names, record, programs. `None`: what was decided is
    /// not `wanted` any more, and was not carried out.
    pub(super) fn handle_if(
        &self,
        rules: &Compiled,
        uevent: &Uevent,
        wanted: impl Fn() -> bool,
    ) -> Option<Handled> {
        self.carry_through(rules, uevent, |_| true, wanted)
    }

    /// Carries one event through: tree, decision, interface, node, names, record, programs.
    pub fn handle(&self, rules: &Compiled, uevent: &Uevent) -> Option<Handled> {
        self.handle_if(rules, uevent, || true)
    }

    /// The same for a device that was there when the daemon started: what a former run has finished with, programs
    /// included, does not have its programs run once more.
    pub(super) fn resume(
        &self,
        rules: &Compiled,
        uevent: &Uevent,
        wanted: impl Fn() -> bool,
    ) -> Option<Handled> {
        let finished = |old: &Record| old.init_usec.is_some() && old.properties.get(PROCESSING).is_none();
        self.carry_through(rules, uevent, |old| !old.is_some_and(finished), wanted)
    }

    fn carry_through(
        &self,
        rules: &Compiled,
        uevent: &Uevent,
        runs: impl FnOnce(Option<&Record>) -> bool,
        wanted: impl Fn() -> bool,
    ) -> Option<Handled> {
        let id = uevent.device_id();
        let before = self.id_before(uevent).filter(|before| *before != id);
        let device = self.enter(uevent);
        let old = self.record(before.as_ref().unwrap_or(&id));
        let handled = self.carry_with(rules, uevent, device, old, runs, wanted);
        if let Some(before) = before.filter(|_| handled.is_some()) {
            self.tell(Some(&before), &self.forget(&before));
        }
        handled
    }

    fn carry_with(
        &self,
        rules: &Compiled,
        uevent: &Uevent,
        device: Option<Device>,
        old: Option<Record>,
        runs: impl FnOnce(Option<&Record>) -> bool,
        wanted: impl Fn() -> bool,
    ) -> Option<Handled> {
        let id = uevent.device_id();
        let event = Event { uevent, device: device.as_ref(), record: old.as_ref() };
        self.memory.forget(&id);
        let asking = self.asking(&id);
        match self.site.reach {
            Reach::LinkDir => self.carry(rules, &event, runs, wanted, Unwriting::new(&asking, &self.numbers)),
            Reach::Companion => self.carry(rules, &event, runs, wanted, self.live(&asking, &NoDeeds)),
            Reach::Everything => self.carry(rules, &event, runs, wanted, self.live(&asking, &self.deeds)),
        }
    }

    fn live<'w>(&'w self, programs: &'w dyn ProgramRunner, deeds: &'w dyn DeedRunner) -> Live<'w> {
        Live { programs, numbers: &self.numbers, deeds }
    }

    fn carry<E: Effects>(
        &self,
        rules: &Compiled,
        event: &Event<'_>,
        runs: impl FnOnce(Option<&Record>) -> bool,
        wanted: impl Fn() -> bool,
        effects: E,
    ) -> Option<Handled> {
        let (uevent, old, id) = (event.uevent, event.record, event.uevent.device_id());
        let deadline = self.deadline();
        let mut host = EventHost::new(self.surroundings(), event, deadline, effects);
        let plan = decide(rules, event, &self.site.roots, &mut host, &mut Unobserved);
        if !wanted() {
            return None;
        }
        report::decided(&plan);
        let runs = !plan.run.is_empty() && runs(old);
        let links = if uevent.action == Action::Remove {
            self.withdraw(&id, &plan)
        } else {
            if self.site.reach == Reach::Everything {
                event::interface(&plan);
            }
            let mut record = self.new_record(&plan, old);
            if runs {
                let _valid = record.properties.set(PROCESSING, "1");
            }
            self.carry_out(&id, old, &plan, &record)
        };
        if runs {
            event::run(&plan, &self.programs, &mut host, deadline);
        }
        if uevent.action == Action::Remove {
            self.forget_all(event.device.map(|device| self.tree.children(device)).unwrap_or_default());
            self.tree.remove(&uevent.devpath);
        } else if runs && wanted() {
            self.write_record(&id, &self.new_record(&plan, old));
        }
        Some(Handled { plan, links })
    }

    /// What other rules would make of a device that is there: programs that were asked before are not run again, and
    /// nothing is changed. `None` if the device has gone.
    pub(super) fn foresee(&self, rules: &Compiled, device: &Device) -> Option<(Uevent, Record, Plan)> {
        let (id, uevent, old) = self.situation(device)?;
        let recalling = Recalling(self.asking(&id));
        let plan = self.replan(rules, device, (&uevent, &old), Dry::new(&recalling, &self.numbers));
        Some((uevent, old, plan))
    }

    /// Gives a device what changed rules give it: links, permissions, record. Nothing is run, and values are written by
    /// [`Engine::write`] alone.
    pub(super) fn reapply(&self, rules: &Compiled, uevent: &Uevent) -> Option<Handled> {
        let device = self.tree.get(&uevent.devpath)?;
        let (id, uevent, old) = self.situation(&device)?;
        let recalling = Recalling(self.asking(&id));
        let effects = Unwriting::new(&recalling, &self.numbers);
        let plan = self.replan(rules, &device, (&uevent, &old), effects);
        let record = self.new_record(&plan, Some(&old));
        let links = self.carry_out(&id, Some(&old), &plan, &record);
        Some(Handled { plan, links })
    }

    /// A device as its last event left it.
    fn situation(&self, device: &Device) -> Option<(DeviceId, Uevent, Record)> {
        let id = device.id()?;
        let uevent = super::start::uevent_of(&self.tree, device, self.origins.action(&id))?;
        let old = self.record(&id).unwrap_or_default();
        Some((id, uevent, old))
    }

    fn replan<E: Effects>(
        &self,
        rules: &Compiled,
        device: &Device,
        (uevent, old): (&Uevent, &Record),
        effects: E,
    ) -> Plan {
        let event = Event { uevent, device: Some(device), record: Some(old) };
        let mut host = EventHost::new(self.surroundings(), &event, self.deadline(), effects);
        decide(rules, &event, &self.site.roots, &mut host, &mut Unobserved)
    }

    /// How the plan's node is now; `None` where permissions are not ours to change.
    pub(super) fn permissions(&self, plan: &Plan) -> Option<Permissions> {
        let node = plan.node.as_ref().filter(|_| self.site.reach == Reach::Everything)?;
        let now = std::fs::symlink_metadata(self.site.roots.dev.join(super::view::path(&node.name))).ok()?;
        Some(Permissions { uid: now.uid(), gid: now.gid(), mode: now.mode() & 0o7777 })
    }

    /// Writes what changed rules write and the rules before them did not.
    pub(super) fn write(&self, write: &Write) {
        if self.site.reach == Reach::LinkDir {
            return;
        }
        let roots = &self.site.roots;
        let (tree, file) = match &write.target {
            Target::Attribute { devpath, name } => {
                (roots.sys.clone(), [devpath.relative(), b"/", name.as_slice()].concat())
            }
            Target::Sysctl(name) => (roots.proc.join("sys"), name.to_vec()),
        };
        let opened = ValueTree::open(&tree).map_err(|error| error.to_string());
        let done = opened.and_then(|tree| {
            tree.write(super::view::path(&file), &write.value).map_err(|error| error.to_string())
        });
        if let Err(error) = done {
            tracing::warn!(RULE = %write.from, error, "a value is not written");
        }
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            tree: &self.tree,
            roots: &self.site.roots,
            records: &self.records,
            accounts: &*self.accounts,
            shared: &self.shared,
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.site.event_timeout
    }

    fn asking<'w>(&'w self, device: &'w DeviceId) -> Asking<'w> {
        Asking { runner: &self.programs as &dyn ProgramRunner, memory: &self.memory, device }
    }

    /// Brings the tree up to the event. After a removal the device is still there: rules may ask it.
    fn enter(&self, uevent: &Uevent) -> Option<Device> {
        let facts = Facts {
            subsystem: Some(uevent.subsystem.clone()).filter(|s| !s.is_empty()),
            devnum: uevent.devnum(),
            ifindex: uevent.ifindex(),
        };
        if uevent.action != Action::Remove && self.is_anothers(uevent) {
            // its removal was lost: whoever comes under a path is a new device
            self.forget_all(self.tree.get(&uevent.devpath).into_iter().collect());
            self.tree.remove(&uevent.devpath);
        }
        match (uevent.action, uevent.devpath_old()) {
            (Action::Remove, _) => self.tree.get(&uevent.devpath),
            (Action::Move, Some(old)) => Some(self.tree.rename(&old, &uevent.devpath, &facts)),
            _ => Some(self.tree.add(&uevent.devpath, &facts).into_device()),
        }
    }

    /// True when the tree has a device of another number, or index, under the event's path.
    fn is_anothers(&self, uevent: &Uevent) -> bool {
        let is_number = |id: &DeviceId| matches!(id, DeviceId::Node(_) | DeviceId::Net(_));
        let there = self.tree.get(&uevent.devpath).and_then(|device| device.id()).filter(is_number);
        let id = uevent.device_id();
        there.is_some_and(|there| is_number(&id) && there != id)
    }

    /// The id of a device without number or index before its `move`: its record goes with it.
    fn id_before(&self, uevent: &Uevent) -> Option<DeviceId> {
        let old = uevent.devpath_old().filter(|_| uevent.action == Action::Move)?;
        self.tree.get(&old)?.id().filter(|id| matches!(id, DeviceId::Named { .. }))
    }

    /// Ends the names and records of these devices and of all that the tree has below them: what is below has gone with
    /// what is above, and if its own event was lost nobody else does it.
    fn forget_all(&self, mut gone: Vec<Device>) {
        while let Some(device) = gone.pop() {
            gone.extend(self.tree.children(&device));
            let own = device.id().filter(|id| self.tree.by_id(id).is_some_and(|now| now.same_as(&device)));
            if let Some(id) = own {
                self.tell(Some(&id), &self.forget(&id));
            }
        }
    }

    /// What is kept of a device after this plan. One that rules gave nothing has no time either: it costs no file.
    fn new_record(&self, plan: &Plan, old: Option<&Record>) -> Record {
        let mut record = plan.record(old);
        if is_nothing(&record) && plan.run.is_empty() {
            return Record { init_usec: None, ..record };
        }
        record.init_usec = record.init_usec.or_else(report::now_usec);
        record
    }

    /// Node, names and record of a device that is there. The record says what is claimed before a link is made and until
    /// it is gone, so that after a kill at any moment the next start knows every link that is ours.
    fn carry_out(
        &self,
        id: &DeviceId,
        old: Option<&Record>,
        plan: &Plan,
        record: &Record,
    ) -> Vec<LinkReport> {
        if self.site.reach == Reach::Everything {
            event::permissions(&self.nodes, plan);
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
    fn withdraw(&self, id: &DeviceId, plan: &Plan) -> Vec<LinkReport> {
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
    fn forget(&self, id: &DeviceId) -> Vec<LinkReport> {
        let reports = self.names.release_all(id);
        self.delete_record(id);
        self.memory.forget(id);
        self.origins.forget(id);
        reports
    }

    fn write_record(&self, id: &DeviceId, record: &Record) {
        if is_nothing(record) && record.init_usec.is_none() {
            self.delete_record(id);
        } else if let Err(error) = self.records.write(id, record) {
            tracing::error!(%error, "what is known of this device is lost at the next start");
        }
    }

    fn delete_record(&self, id: &DeviceId) {
        if let Err(error) = self.records.delete(id) {
            tracing::error!(%error, "the next start finds a record of a device that is gone");
        }
    }
}

/// True when rules gave the device nothing that is kept.
fn is_nothing(record: &Record) -> bool {
    *record == Record { init_usec: record.init_usec, node: record.node.clone(), ..Record::default() }
}
