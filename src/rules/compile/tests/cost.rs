//! What rules that can't match cost: counted, never timed.

use std::cell::Cell;
use std::rc::Rc;

use bstr::BString;

use super::*;
use crate::device::Device;
use crate::ids::Tag;
use crate::properties::Properties;
use crate::rules::host::{Host, HostError, Numbered, ProgramOutput};
use crate::rules::ir::ConstKey;

/// What 10,000 more rules may cost: this many conditions and attribute reads more. The machine's speed has no part in it.
#[test]
fn long_lists_cost_next_to_nothing() {
    // The second line asks for a value too, and stands right before the list.
    let base = "KERNEL==\"tty*\", ENV{BASE}=\"1\"\nENV{NONE}==\"1\", ENV{X}=\"1\"\n";
    let own = PARENTS.replace("ATTRS", "ATTR");
    let property = "ENV{V}==\"VENDOR\", ENV{P}==\"PRODUCT\", ENV{HIT}=\"1\"";
    let mixed = "ATTRS{idVendor}==\"VENDOR\", ATTRS{idProduct}==\"PRODUCT\", ENV{HIT}=\"1\"\n\
                 SUBSYSTEMS==\"usb\", ATTRS{idVendor}==\"f00VENDOR\", ENV{HIT}=\"2\"";
    for (line, path, conditions, reads) in [
        ("ACTION==\"remove\", KERNEL==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("ACTION==\"remove\", ATTRS{idProduct}==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("KERNEL==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("KERNEL==\"PRODUCT*\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("SUBSYSTEM==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("DEVPATH==\"/devices/PRODUCT/*\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("ENV{DEVTYPE}==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        ("SUBSYSTEM==\"usb\", ATTR{idProduct}==\"PRODUCT\", ENV{HIT}=\"1\"", TTY, 0, 0),
        // no device on the way up has one
        (PARENTS, DISK, 0, 3),
        // one line matches: its own conditions, on each of the four devices up to the adapter
        (PARENTS, TTY, 5, 24),
        (&own, USB, 2, 6),
        (property, TTY, 0, 0),
        (mixed, TTY, 5, 30),
    ] {
        let rules = rules("t.rules", &list(base, line, 10_000, ""));
        MACHINE.with(|machine| {
            let mut counts = Counts::default();
            let mut host = Counting::new(machine);
            evaluate(&rules, &machine.facts(Action::Add, path), &mut host, &mut counts);
            assert!(counts.lines.len() <= 3, "{line}: {:?}", counts.lines);
            assert!(counts.conditions <= conditions + 2, "{line}: {} conditions", counts.conditions);
            assert!(host.asked.get() <= reads, "{line}: {} attributes asked for", host.asked.get());
        });
    }
}

/// Counts the attributes that are asked for.
#[derive(Debug)]
struct Counting<'t> {
    inner: Scripted<'t>,
    asked: Cell<usize>,
}

impl<'t> Counting<'t> {
    fn new(machine: &'t Machine) -> Self {
        Self { inner: Scripted::new(machine), asked: Cell::new(0) }
    }
}

impl Host for Counting<'_> {
    fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString> {
        self.asked.set(self.asked.get() + 1);
        self.inner.attribute(device, name)
    }
    fn attribute_mode(&self, device: &Device, name: &[u8]) -> Option<u32> {
        self.inner.attribute_mode(device, name)
    }
    fn driver(&self, device: &Device) -> Option<BString> {
        self.inner.driver(device)
    }
    fn uevent(&self, device: &Device) -> Rc<Properties> {
        self.inner.uevent(device)
    }
    fn properties(&self, device: &Device) -> Properties {
        self.inner.properties(device)
    }
    fn tags(&self, device: &Device) -> Vec<Tag> {
        self.inner.tags(device)
    }
    fn find(&self, subsystem: &[u8], kernel: &[u8]) -> Option<Device> {
        self.inner.find(subsystem, kernel)
    }
    fn recorded(&self, key: &[u8]) -> Option<BString> {
        self.inner.recorded(key)
    }
    fn sysctl(&self, name: &[u8]) -> Option<BString> {
        self.inner.sysctl(name)
    }
    fn constant(&self, key: ConstKey) -> Option<BString> {
        self.inner.constant(key)
    }
    fn file_mode(&self, path: &[u8]) -> Option<u32> {
        self.inner.file_mode(path)
    }
    fn read_file(&self, path: &[u8]) -> Result<Option<BString>, HostError> {
        self.inner.read_file(path)
    }
    fn command_line(&self, key: &[u8]) -> Option<BString> {
        self.inner.command_line(key)
    }
    fn user(&self, name: &[u8]) -> Option<u32> {
        self.inner.user(name)
    }
    fn group(&self, name: &[u8]) -> Option<u32> {
        self.inner.group(name)
    }
    fn dev_root(&self) -> BString {
        self.inner.dev_root()
    }
    fn sys_root(&self) -> BString {
        self.inner.sys_root()
    }
    fn program(&mut self, argv: &[BString], environment: &Properties) -> ProgramOutput {
        self.inner.program(argv, environment)
    }
    fn builtin(&mut self, name: &str, words: &[BString], all: &Properties) -> Result<Properties, HostError> {
        self.inner.builtin(name, words, all)
    }
    fn write_attribute(&mut self, device: &Device, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.inner.write_attribute(device, name, value)
    }
    fn write_sysctl(&mut self, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.inner.write_sysctl(name, value)
    }
    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        self.inner.index(pool, identity)
    }
}
