//! Owns the way of one event through decide and apply: what a worker does for each, and `nameplate apply` for one.
//!
//! All that events share is here (tree, names, records, numbers); the order of events, the threads and the sockets are not.

mod again;
mod beside;
mod carry_out;
mod dismissed;
mod marks;
mod take_over;

pub use self::beside::complete;
use self::dismissed::Dismissed;
use self::marks::{PROCESSING, with};
pub(super) use self::take_over::Present;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::apply::deed::Deeds;
use crate::apply::event::{self, Programs};
use crate::apply::label::Labels;
use crate::apply::links::LinkFarm;
use crate::apply::modules::Modules;
use crate::apply::names::{LinkReport, Names};
use crate::apply::netif::exchange::Exchange;
use crate::apply::node::NodeDir;
use crate::builtin;
use crate::config::ResolveNames;
use crate::daemon::origins::Origins;
use crate::daemon::programs::{Asking, Memory};
use crate::daemon::{DaemonError, here, report};
use crate::decide::{
    DeedRunner, Effects, Event, EventHost, Globals, Live, NoDeeds, OthersRecords, Plan, ProgramRunner,
    Records, Surroundings, Unwriting, decide,
};
use crate::device::{Device, Facts, Source, Tree};
use crate::ids::{Action, DevPath, DeviceId};
use crate::log;
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::eval::Job;
use crate::rules::toml::{Accounts, accounts_of};
use crate::rules::trace::{Trace, Unobserved};
use crate::store::database::Database;
use crate::store::index::Indexes;
use crate::store::record::Record;
use crate::sys::process::Limit;
use crate::uevent::Uevent;

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
    /// A udevd is the device manager, or will be: what it found of devices counts.
    pub beside_udevd: bool,
    /// When the names of users and groups in rules are looked up.
    pub resolve_names: ResolveNames,
    /// The longest time that the programs of one event have together.
    pub event_timeout: Duration,
    /// The longest time that one program has, and what it is told then.
    pub program_limit: Limit,
    /// How long an event waits before each of the programs at its end.
    pub exec_delay: Duration,
    /// Disks are made read-only when they are added.
    pub read_only_disks: bool,
}

/// What became of one event.
#[derive(Debug)]
pub struct Handled {
    /// What was decided.
    pub plan: Plan,
    /// What became of each link.
    pub links: Vec<LinkReport>,
    /// What is known of the device from now on; after a removal, what was.
    pub record: Record,
    /// That is not what was known before.
    pub changed: bool,
    /// Why a part of it could not be done that listeners have to know of: an interface does not have its name.
    pub failed: Option<Errno>,
}

/// What is known of a device when its event begins.
struct Known<'e> {
    /// The event; its record says already that it has begun.
    event: Event<'e>,
    /// The record that its last event left.
    old: Option<&'e Record>,
    /// Programs of rules run, and what builtins ask for is done.
    runs: bool,
}

/// All that events share.
#[derive(Debug)]
pub struct Engine {
    site: Site,
    tree: Tree,
    names: Names,
    database: Database,
    numbers: Indexes,
    nodes: NodeDir,
    labels: Labels,
    accounts: Box<dyn Accounts + Send + Sync>,
    programs: Programs,
    shared: builtin::Shared,
    globals: Globals,
    deeds: Deeds,
    /// Interfaces that wait for names.
    interface_names: Exchange,
    memory: Memory,
    origins: Origins,
    dismissed: Dismissed,
    /// A former run has come to the end of its start in this very system, not in the initramfs before it.
    began_here: bool,
    /// What each rule finds and does is logged.
    traced: AtomicBool,
    /// What udevd knows of devices, beside one.
    udevds: Option<OthersRecords>,
}

impl Engine {
    /// Opens the directories of `site`, making its own where they are missing. The tree is empty.
    pub fn open(site: Site) -> Result<Self, DaemonError> {
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| DaemonError::Directory { path, source }
        };
        let farm = LinkFarm::open(&site.link_dir, &site.roots.dev).map_err(failed(&site.link_dir))?;
        let database = match site.reach {
            Reach::Everything => {
                Database::udev(&site.roots.run_udev()).map_err(failed(&site.roots.run_udev()))?
            }
            Reach::LinkDir | Reach::Companion => {
                Database::own(&site.run_dir).map_err(failed(&site.run_dir))?
            }
        };
        let nodes = NodeDir::open(&site.roots.dev).map_err(failed(&site.roots.dev))?;
        Ok(Self {
            nodes,
            labels: Labels::of_system(&site.roots),
            accounts: accounts_of(&site.roots, site.resolve_names),
            tree: Tree::new(Source::Live(site.roots.sys.clone())),
            names: Names::new(farm),
            database,
            numbers: Indexes::new(&site.state_dir),
            programs: Programs::new(&site.roots, site.program_limit),
            shared: builtin::Shared::new(&site.roots),
            globals: Globals::default(),
            deeds: Deeds::new(&site.roots),
            interface_names: Exchange::default(),
            memory: Memory::default(),
            origins: Origins::default(),
            dismissed: Dismissed::default(),
            began_here: here::is_marked(&site.run_dir, &site.roots.top()),
            traced: AtomicBool::new(false),
            udevds: site.beside_udevd.then(|| OthersRecords::new(&site.roots)),
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

    /// How many programs of rules have run.
    pub(super) fn programs_run(&self) -> u64 {
        self.programs.ended()
    }

    /// True when programs of rules have run for this plan, or would have if they had not before.
    pub(super) fn runs_programs(&self, plan: &Plan) -> bool {
        let at_the_end = plan.run.iter().any(|given| matches!(given.value, Job::Program(_)));
        at_the_end || plan.event.id.as_ref().is_some_and(|id| self.memory.has(id))
    }

    /// From now on what each rule finds and does is logged, or not.
    pub(super) fn set_trace(&self, on: bool) {
        self.traced.store(on, Ordering::Relaxed);
    }

    /// The device directory.
    pub(super) fn nodes(&self) -> &NodeDir {
        &self.nodes
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
        crate::decide::Records::record(self.database.records(), id)
    }

    /// True when something of the device is there from before: its node in the tree, or its record.
    pub(super) fn knows(&self, uevent: &Uevent) -> bool {
        self.tree.get(&uevent.devpath).is_some() || self.record(&uevent.device_id()).is_some()
    }

    /// Logs what became of links, with the rule that asked: that of `id`, the event's device, or else the holder's.
    fn tell(&self, id: Option<&DeviceId>, reports: &[LinkReport]) {
        for report in reports {
            let rule_of = |id| self.origins.of_link(id, &report.link);
            let holders = || report.new.as_ref().and_then(|holder| rule_of(&holder.device));
            report::link(report, id.and_then(rule_of).or_else(holders).as_ref());
        }
    }

    /// Compares the links with the claims and repairs the links.
    pub(super) fn repair_links(&self) {
        self.tell(None, &self.names.repair().reports);
    }

    /// True when sysfs has the device's directory.
    pub(super) fn is_in_sysfs(&self, path: &DevPath) -> bool {
        self.site.roots.sys.join(crate::daemon::view::path(path.relative())).exists()
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

    /// The same for a device that was there when the daemon started: what a former run in this system has finished with,
    /// programs included, does not have its programs run once more. What was left by an initramfs is looked at as new.
    pub(super) fn resume(
        &self,
        rules: &Compiled,
        uevent: &Uevent,
        wanted: impl Fn() -> bool,
    ) -> Option<Handled> {
        let finished = |old: &Record| self.began_here && marks::is_finished(old);
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
        // What a former run has done to a device is not done again: its user may have changed it since.
        let runs = runs(old.as_ref());
        let begun = old.as_ref().filter(|_| runs && before.is_none());
        let begun = begun.and_then(|old| self.begin(uevent, &id, old));
        let record = begun.as_ref().or(old.as_ref());
        let event = Event { uevent, device: device.as_ref(), record };
        let handled = self.carry_with(rules, &Known { event, old: old.as_ref(), runs }, wanted);
        if let Some(before) = before.filter(|_| handled.is_some()) {
            self.tell(Some(&before), &self.forget(&before));
        }
        handled
    }

    fn carry_with(&self, rules: &Compiled, known: &Known<'_>, wanted: impl Fn() -> bool) -> Option<Handled> {
        let id = known.event.uevent.device_id();
        self.memory.forget(&id);
        let asking = self.asking(&id);
        let deeds: &dyn DeedRunner = if known.runs { &self.deeds } else { &NoDeeds };
        match self.site.reach {
            Reach::LinkDir => self.carry(rules, known, wanted, Unwriting::new(&asking, &self.numbers)),
            Reach::Companion => self.carry(rules, known, wanted, self.live(&asking, &NoDeeds)),
            Reach::Everything => self.carry(rules, known, wanted, self.live(&asking, deeds)),
        }
    }

    fn live<'w>(&'w self, programs: &'w dyn ProgramRunner, deeds: &'w dyn DeedRunner) -> Live<'w> {
        Live { programs, numbers: &self.numbers, deeds }
    }

    fn carry<E: Effects>(
        &self,
        rules: &Compiled,
        known: &Known<'_>,
        wanted: impl Fn() -> bool,
        effects: E,
    ) -> Option<Handled> {
        let Known { event, old, runs } = known;
        let (uevent, id) = (event.uevent, event.uevent.device_id());
        let deadline = self.deadline();
        let mut host = EventHost::new(self.surroundings(), event, deadline, effects);
        let mut plan = if self.traced.load(Ordering::Relaxed) {
            let mut trace = Trace::default();
            let plan = decide(rules, event, &self.site.roots, &mut host, &mut trace);
            report::trace(&trace);
            plan
        } else {
            decide(rules, event, &self.site.roots, &mut host, &mut Unobserved)
        };
        // a rule may have taken it over from the record
        plan.drop_property(PROCESSING);
        if !wanted() {
            return None;
        }
        // To the end of the event.
        let _louder = plan.log_level.map(log::here);
        report::decided(&plan);
        let removed = uevent.action == Action::Remove;
        let failed = if removed || !runs { None } else { self.rename(&id, &mut plan, event.record) };
        let runs = !plan.run.is_empty() && *runs;
        let record =
            if removed { last_record(&plan, *old) } else { self.new_record(&id, &plan, event.record) };
        let changed = removed || *old != Some(&record);
        let links = if removed {
            self.withdraw(&id, &plan)
        } else {
            let written = if runs { with(&record, PROCESSING) } else { record.clone() };
            self.carry_out(&id, *old, &plan, &written)
        };
        if runs {
            let mut environment = plan.shown_properties(&record, &self.site.roots);
            if !removed {
                let _valid = environment.set(PROCESSING, "1");
            }
            let delay = self.site.exec_delay;
            event::run(&plan, &environment, &self.programs, &mut host, deadline, delay);
        }
        if removed {
            self.depart(uevent, event.device);
        } else if runs && wanted() {
            self.write_record(&id, &record);
        }
        Some(Handled { plan, links, record, changed, failed })
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            tree: &self.tree,
            roots: &self.site.roots,
            records: self.database.records(),
            others: self.udevds.as_ref().map(|records| records as &dyn Records),
            accounts: &*self.accounts,
            shared: &self.shared,
            globals: &self.globals,
        }
    }

    /// The properties that every event has.
    pub(crate) fn globals(&self) -> &Globals {
        &self.globals
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.site.event_timeout
    }

    fn asking<'w>(&'w self, device: &'w DeviceId) -> Asking<'w> {
        Asking { runner: &self.programs as &dyn ProgramRunner, memory: &self.memory, device }
    }

    /// Ends a device in the tree, with all that is below it, unless it was only sent away.
    fn depart(&self, uevent: &Uevent, device: Option<&Device>) {
        if uevent.is_synthetic() && self.is_in_sysfs(&uevent.devpath) {
            self.dismissed.add(uevent.devpath.clone());
            return;
        }
        self.forget_all(device.map(|device| self.tree.children(device)).unwrap_or_default());
        self.tree.remove(&uevent.devpath);
    }

    /// Brings the tree up to the event. After a removal the device is still there: rules may ask it.
    fn enter(&self, uevent: &Uevent) -> Option<Device> {
        let facts = Facts {
            subsystem: Some(uevent.subsystem.clone()).filter(|s| !s.is_empty()),
            devnum: uevent.devnum(),
            ifindex: uevent.ifindex(),
        };
        self.dismissed.take_back(&uevent.devpath);
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
}

/// What listeners of a removal are shown: what was known of the device, and what rules have added to it.
fn last_record(plan: &Plan, old: Option<&Record>) -> Record {
    let (old, new) = (old.cloned().unwrap_or_default(), plan.record(old));
    Record {
        links: &old.links | &new.links,
        tags: &old.tags | &new.tags,
        current_tags: &old.current_tags | &new.current_tags,
        ..old
    }
}
