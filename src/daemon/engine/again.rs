//! Owns what changed rules make of devices that are there: foreseen for a plan, and applied. Programs that were asked before are
//! not run again.

use std::os::unix::fs::MetadataExt;

use super::{Engine, Handled, Reach};
use crate::apply::sysfs::ValueTree;
use crate::daemon::programs::Recalling;
use crate::daemon::{start, view};
use crate::decide::{Dry, Effects, Event, EventHost, Permissions, Plan, Unwriting, decide};
use crate::device::Device;
use crate::ids::DeviceId;
use crate::rules::compile::Compiled;
use crate::rules::eval::{Target, Write};
use crate::rules::trace::Unobserved;
use crate::store::record::Record;
use crate::uevent::Uevent;

impl Engine {
    /// What other rules would make of a device that is there: programs that were asked before are not run again, and
    /// nothing is changed. `None` if the device has gone, or was sent away.
    pub(in crate::daemon) fn foresee(
        &self,
        rules: &Compiled,
        device: &Device,
    ) -> Option<(Uevent, Record, Plan)> {
        let (id, uevent, old) = self.situation(device)?;
        let recalling = Recalling(self.asking(&id));
        let plan = self.replan(rules, device, (&uevent, &old), Dry::new(&recalling, &self.numbers));
        Some((uevent, old, plan))
    }

    /// Gives a device what changed rules give it: links, permissions, record. Nothing is run, and values are written by
    /// [`Engine::write`] alone.
    pub(in crate::daemon) fn reapply(&self, rules: &Compiled, uevent: &Uevent) -> Option<Handled> {
        let device = self.tree.get(&uevent.devpath)?;
        let (id, uevent, old) = self.situation(&device)?;
        let recalling = Recalling(self.asking(&id));
        let effects = Unwriting::new(&recalling, &self.numbers);
        let plan = self.replan(rules, &device, (&uevent, &old), effects);
        let record = self.new_record(&id, &plan, Some(&old));
        let links = self.carry_out(&id, Some(&old), &plan, &record);
        let changed = record != old;
        Some(Handled { plan, links, record, changed, failed: None })
    }

    /// A device as its last event left it. `None` too for one that was sent away.
    fn situation(&self, device: &Device) -> Option<(DeviceId, Uevent, Record)> {
        let id = device.id().filter(|_| !self.dismissed.has(&device.devpath()))?;
        let uevent = start::uevent_of(&self.tree, device, self.origins.action(&id))?;
        let uevent = self.complete(uevent)?;
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
    pub(in crate::daemon) fn permissions(&self, plan: &Plan) -> Option<Permissions> {
        let node = plan.node.as_ref().filter(|_| self.site.reach == Reach::Everything)?;
        let now = std::fs::symlink_metadata(self.site.roots.dev.join(view::path(&node.name))).ok()?;
        Some(Permissions { uid: now.uid(), gid: now.gid(), mode: now.mode() & 0o7777 })
    }

    /// Writes what changed rules write and the rules before them did not.
    pub(in crate::daemon) fn write(&self, write: &Write) {
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
        let done = opened
            .and_then(|tree| tree.write(view::path(&file), &write.value).map_err(|error| error.to_string()));
        if let Err(error) = done {
            tracing::warn!(RULE = %write.from, error, "a value is not written");
        }
    }
}
