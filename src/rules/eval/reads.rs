//! Checks that an event opens each attribute of each device at most once, by watching the files of a machine.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::evaluate;
use super::testing::{Machine, Scripted, TTY, append, compile, is, is_not, link, parent, property};
use crate::ids::Action;
use crate::rules::trace::{Trace, Unobserved};

/// Watches the directories of a device and all above it. Files are shown with the device's directory.
struct Opened {
    inotify: Inotify,
    names: BTreeMap<nix::sys::inotify::WatchDescriptor, String>,
}

impl Opened {
    fn watch(machine: &Machine) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        let mut names = BTreeMap::new();
        let sys = machine.dir.path().join("sys");
        for devpath in Path::new(TTY).ancestors().filter(|path| path.starts_with("/devices/pci0")) {
            let directory = sys.join(devpath.strip_prefix("/").unwrap());
            if directory.is_dir() {
                let descriptor = inotify.add_watch(&directory, AddWatchFlags::IN_OPEN).unwrap();
                names.insert(descriptor, devpath.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        Self { inotify, names }
    }

    /// How often each file was opened.
    fn files(&self) -> BTreeMap<String, usize> {
        let mut out = BTreeMap::new();
        while let Ok(events) = self.inotify.read_events() {
            for event in events.iter().filter(|event| !event.mask.contains(AddWatchFlags::IN_ISDIR)) {
                if let Some(name) = &event.name {
                    let file = format!("{}/{}", self.names[&event.wd], name.to_str().unwrap());
                    *out.entry(file).or_default() += 1;
                }
            }
        }
        out
    }
}

#[test]
fn an_attribute_is_read_at_most_once_in_an_event() {
    let machine = Machine::new();
    let mut rules = vec![
        vec![is("attr.size", "0x10"), is_not("attr.size", "1"), property("A", "$attr{size}")],
        vec![is("attr.size", "17"), link("never")],
        vec![
            parent(&[("attr.idVendor", "1546"), ("attr.idProduct", "01a7")]),
            property("B", "$attr{idVendor}"),
        ],
        vec![parent(&[("attr.idVendor", "1547")]), link("never")],
        vec![parent(&[("attr.idVendor", "15*")]), append("C", "$attr{serial}$attr{serial}")],
        vec![parent(&[("attr.serial", "hub"), ("property.DEVTYPE", "usb_device")]), link("a-$attr{serial}")],
        vec![parent(&[("property.DEVTYPE", "?*")]), link("b-$attr{size}$parent")],
        vec![is("attr.[usb/1-2]serial", "A*"), property("D", "$attr{[usb/1-2]serial}")],
        vec![is_not("attr.[usb/1-2]serial", "B*"), property("E", "$attr{[usb/1-2]idVendor}")],
    ];
    for n in 0..20 {
        rules.push(vec![parent(&[("attr.idVendor", &format!("2{n:03}"))]), link("never")]);
        rules.push(vec![is("attr.size", &format!("{n}")), link("never")]);
    }
    let rules = compile(rules);
    let facts = machine.facts(Action::Add, TTY);
    let opened = Opened::watch(&machine);
    for watched in [true, false] {
        let mut host = Scripted::new(&machine);
        let outcome = match watched {
            true => evaluate(&rules, &facts, &mut host, &mut Trace::default()),
            false => evaluate(&rules, &facts, &mut host, &mut Unobserved),
        };
        assert_eq!(outcome.properties.get("C").unwrap(), "A50285BIA50285BI");
        assert_eq!(outcome.properties.get("D").unwrap(), "A50285BI");
        assert_eq!(outcome.properties.get("E").unwrap(), "1546");
        let files = opened.files();
        assert!(files.values().all(|times| *times == 1), "{files:?}");
        // self and chain: what is there was read, on the adapter and on the hub above it
        for file in
            ["ttyUSB0/size", "1-2/idVendor", "1-2/idProduct", "1-2/serial", "usb1/serial", "1-2:1.0/uevent"]
        {
            assert!(files.contains_key(file), "{file}: {files:?}");
        }
    }
}
