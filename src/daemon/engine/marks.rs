//! Owns what a record says while an event of its device is under way, in systemd's words: that it is, and that an interface
//! is about to have another name. Readers take such a device for one that is not ready yet.
//!
//! A record that has these marks at a start is of a device whose event was cut off: it is handled anew, programs included.
//! In udevd an event that fails leaves its mark for ever; here who gives an event up takes it away.

use nix::errno::Errno;

use super::{Engine, Reach};
use crate::apply::event::{self, Naming};
use crate::decide::Plan;
use crate::ids::{Action, DeviceId};
use crate::machine;
use crate::store::record::Record;
use crate::uevent::Uevent;

/// In a record from the beginning of an event to the end of its programs.
pub(super) const PROCESSING: &str = "ID_PROCESSING";
/// In the record of an interface from before its renaming until the kernel's `move` has been handled.
pub(super) const RENAMING: &str = "ID_RENAMING";

pub(super) fn with(record: &Record, mark: &str) -> Record {
    let mut record = record.clone();
    let _valid = record.properties.set(mark, "1");
    record
}

/// True when the last event of the device came to its end.
pub(super) fn is_finished(record: &Record) -> bool {
    [PROCESSING, RENAMING].iter().all(|mark| record.properties.get(mark).is_none())
}

impl Engine {
    /// Says in the record that an event of its device has begun; the record as it stands from now on. `None`: others' events
    /// are no business of this database's readers.
    pub(super) fn begin(&self, uevent: &Uevent, id: &DeviceId, old: &Record) -> Option<Record> {
        if self.site.reach != Reach::Everything || uevent.action == Action::Remove {
            return None;
        }
        let mut begun = with(old, PROCESSING);
        begun.properties.remove(RENAMING);
        begun.init_usec = begun.init_usec.or_else(machine::uptime_usec);
        if let Err(error) = self.database.mark(id, &begun) {
            tracing::error!(%error, "readers do not see that this device is being handled");
        }
        Some(begun)
    }

    /// The event of a device is given up: its record says no longer that it is under way. What the last good event left there
    /// stays.
    pub(in crate::daemon) fn leave(&self, uevent: &Uevent) {
        let id = uevent.device_id();
        if self.site.reach != Reach::Everything {
            return;
        }
        if let Some(mut record) = self.record(&id)
            && record.properties.remove(PROCESSING).is_some()
        {
            self.write_record(&id, &record);
        }
    }

    /// Gives an interface the name of the plan, if it has one. From before that till its `move` is handled its record says
    /// that it will have another name; `begun` is what the record says otherwise. Returns why it could not have the name.
    pub(super) fn rename(&self, id: &DeviceId, plan: &mut Plan, begun: Option<&Record>) -> Option<Errno> {
        if self.site.reach != Reach::Everything || plan.netif.is_none() {
            return None;
        }
        let nothing = Record::default();
        self.write_record(id, &with(begun.unwrap_or(&nothing), RENAMING));
        match event::interface(&self.interface_names, plan) {
            Naming::Named => plan.take_name(RENAMING),
            Naming::Kept => {}
            Naming::Refused(errno) => return Some(errno),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use nix::sys::signal::Signal;

    use super::*;
    use crate::config::ResolveNames;
    use crate::daemon::Site;
    use crate::diag::SourceFile;
    use crate::ids::{DevPath, SeqNum};
    use crate::properties::Properties;
    use crate::roots::Roots;
    use crate::rules::eval::{Before, EventFacts, Given, Outcome};
    use crate::sys::process::Limit;

    fn engine(root: &Path, reach: Reach) -> Engine {
        let roots = Roots::below(root);
        fs::create_dir_all(&roots.dev).unwrap();
        let site = Site {
            link_dir: roots.dev.clone(),
            run_dir: roots.run_nameplate(),
            state_dir: roots.state(),
            reach,
            beside_udevd: false,
            resolve_names: ResolveNames::Early,
            event_timeout: Duration::from_secs(180),
            program_limit: Limit { timeout: Duration::from_secs(180), signal: Signal::SIGKILL },
            exec_delay: Duration::ZERO,
            read_only_disks: false,
            roots,
        };
        Engine::open(site).unwrap()
    }

    fn event(action: Action) -> Uevent {
        let path = DevPath::new(b"/devices/virtual/net/npx").unwrap();
        let properties: Properties = [("IFINDEX", "2147483646"), ("INTERFACE", "npx")].into_iter().collect();
        Uevent::from_facts(action, path, "net".into(), SeqNum(1), properties)
    }

    #[test]
    fn an_event_that_is_given_up_leaves_no_mark() {
        let temp = tempfile::tempdir().unwrap();
        let engine = engine(temp.path(), Reach::Everything);
        let file = temp.path().join("run/udev/data/n2147483646");
        let text = || fs::read_to_string(&file).unwrap();
        let uevent = event(Action::Change);
        let id = uevent.device_id();
        engine.leave(&uevent);
        assert!(!file.exists());
        fs::write(&file, "I:5\nE:X=1\nE:ID_RENAMING=1\nG:t\nQ:t\nV:1\n").unwrap();
        let old = engine.record(&id).unwrap();
        let begun = engine.begin(&uevent, &id, &old).unwrap();
        assert_eq!(text(), "I:5\nE:X=1\nE:ID_PROCESSING=1\nG:t\nQ:t\nV:1\n");
        assert_eq!(engine.record(&id), Some(begun));
        engine.leave(&uevent);
        assert_eq!(text(), "I:5\nE:X=1\nG:t\nQ:t\nV:1\n");
        assert_eq!(engine.begin(&event(Action::Remove), &id, &old), None);
        assert_eq!(text(), "I:5\nE:X=1\nG:t\nQ:t\nV:1\n");
    }

    #[test]
    fn others_databases_have_no_marks() {
        for reach in [Reach::LinkDir, Reach::Companion] {
            let temp = tempfile::tempdir().unwrap();
            let engine = engine(temp.path(), reach);
            let uevent = event(Action::Change);
            assert_eq!(engine.begin(&uevent, &uevent.device_id(), &Record::default()), None);
        }
    }

    fn facts(uevent: &Uevent) -> EventFacts {
        EventFacts {
            action: uevent.action,
            devpath: uevent.devpath.clone(),
            seqnum: Some(uevent.seqnum),
            subsystem: Some(uevent.subsystem.clone()),
            devnum: None,
            ifindex: uevent.ifindex(),
            node: None,
            properties: uevent.properties.clone(),
            device: None,
            before: Before::default(),
        }
    }

    fn named(name: &str) -> Outcome {
        let from = SourceFile::new(Path::new("x.rules"), b"NAME").place(0..4);
        Outcome { name: Some(Given { value: name.into(), from }), ..Outcome::default() }
    }

    #[test]
    fn an_interface_is_marked_before_it_is_renamed() {
        let temp = tempfile::tempdir().unwrap();
        let engine = engine(temp.path(), Reach::Everything);
        let uevent = event(Action::Add);
        let id = uevent.device_id();
        let file = temp.path().join("run/udev/data/n2147483646");
        let begun = Record::parse(b"I:5\nE:X=1\nE:ID_PROCESSING=1\nV:1\n").0;
        for (begun, expected) in [
            (None, "E:ID_RENAMING=1\nV:1\n"),
            (Some(&begun), "I:5\nE:X=1\nE:ID_PROCESSING=1\nE:ID_RENAMING=1\nV:1\n"),
        ] {
            let mut plan = crate::decide::Plan::new(&facts(&uevent), &uevent.properties, named("npy"));
            // there is no such interface: it keeps its name, and the mark is what was written before
            let _for_root_alone = engine.rename(&id, &mut plan, begun);
            assert_eq!(fs::read_to_string(&file).unwrap(), expected);
            assert_eq!(plan.event.devpath, uevent.devpath);
            plan.take_name(RENAMING);
            let all = plan.all_properties();
            let keys = ["DEVPATH", "INTERFACE", "INTERFACE_OLD", RENAMING];
            let expected = ["/devices/virtual/net/npy", "npy", "npx", "1"];
            assert_eq!(keys.map(|key| all.get(key).unwrap().to_string()), expected);
            let record = plan.record(None);
            assert_eq!(record.to_bytes(), b"E:ID_RENAMING=1\nV:1\n");
        }
    }

    #[test]
    fn what_was_cut_off() {
        for (text, expected) in [
            ("", true),
            ("I:5\nE:X=1\nV:1\n", true),
            ("I:5\nE:X=1\nE:ID_PROCESSING=1\nV:1\n", false),
            ("E:ID_RENAMING=1\nV:1\n", false),
        ] {
            assert_eq!(is_finished(&Record::parse(text.as_bytes()).0), expected, "{text:?}");
        }
    }
}
