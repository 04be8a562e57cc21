//! Runs rules over a recording of a loop device with a partition, and of a loopback interface.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};
use nameplate::decide::{Dry, Event, EventHost, Plan, ProgramRunner, Records, Surroundings, decide};
use nameplate::device::{Reader, Source, Tree};
use nameplate::diag::SourceFile;
use nameplate::ids::{Action, DevPath, DeviceId, LinkName, SeqNum, Tag};
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::host::ProgramOutput;
use nameplate::rules::ir::RuleFile;
use nameplate::rules::trace::{Trace, Unobserved};
use nameplate::rules::udev;
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

use super::effects::Device;
use super::show::known;

/// What imports read.
pub(crate) const FACTS: &str =
    "# FACT_C=1\nFACT = \"x y\" \n\nFACT_B='\\x20'\nFACT_D=\"open\nFACT_E\nFACT_F=a=b\nFACT_G=\"\"\n";

const RECORDING: &str = "\
P: /devices/virtual/block/loop777
N: loop777
K: MAJOR=7
K: MINOR=777
K: DEVNAME=loop777
K: DEVTYPE=disk
E: SUBSYSTEM=block
A: size=2048\\n
A: ro=0\\n
A: removable=0\\n
A: loop/offset=0\\n
A: loop/backing_file=<dir>/two  words \\n
A: queue/max_sectors_kb=1280\\n

P: /devices/virtual/block/loop777/loop777p1
N: loop777p1
K: MAJOR=259
K: MINOR=0
K: DEVNAME=loop777p1
K: DEVTYPE=partition
K: PARTN=1
E: SUBSYSTEM=block
A: size=1024\\n
A: partition=1\\n
A: start=8\\n
A: ro=0\\n

P: /devices/virtual/net/lo
K: INTERFACE=lo
K: IFINDEX=1
E: SUBSYSTEM=net
A: mtu=65536\\n
A: ifalias=two  words \\n
A: address=00:00:00:00:00:00\\n
A: queues/rx-0/rps_cpus=0\\n
A: queues/tx-0/xps_cpus=0\\n
";

impl Device {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Device::Partition => "/devices/virtual/block/loop777/loop777p1",
            Device::Lo => "/devices/virtual/net/lo",
        }
    }
}

/// Prints what the cases expect of it.
#[derive(Debug)]
struct Programs;

impl ProgramRunner for Programs {
    fn run(&self, argv: &[BString], told: &Properties, _: Instant, _: usize) -> ProgramOutput {
        let stdout: Option<BString> = match argv[0].as_slice() {
            b"/bin/words" => Some("one two  three\n".into()),
            b"/bin/args" => Some(bstr::join(",", &argv[1..]).into()),
            b"/bin/odd" => Some(BString::from(b"a;b\x01\xff/ $%?,|\n\n".as_slice())),
            b"/bin/facts" => Some(FACTS.into()),
            b"/bin/crlf" => Some("a\r\n".into()),
            b"/bin/nul" => Some("a\0b\n".into()),
            b"/bin/lines" => Some("a\tb\n\r\n".into()),
            b"/bin/zeros" => Some(BString::from(b"a\0b\n".as_slice())),
            b"/bin/more" => Some("MORE_A=1\rMORE_B=2\nMORE_D=\"\"\nMORE_E=\n\0MORE_C=3\n".into()),
            b"/bin/told" => {
                let keys: Vec<&[u8]> = told.iter().map(|(key, _)| key.as_bytes()).collect();
                let version = told.get("UDEV_DATABASE_VERSION").unwrap_or_default();
                let first = keys.iter().filter(|key| !key.starts_with(b"C")).take(4);
                Some(bstr::concat([version.as_bytes(), b" ", &bstr::join(",", first)]).into())
            }
            b"/bin/env" => {
                Some(told.iter().map(|(key, value)| format!("{key}={value} ")).collect::<String>().into())
            }
            program if program.ends_with(b"/helper") => {
                let below = program.windows(9).position(|part| part == b"/usr/lib/").unwrap();
                Some(program[below..].into())
            }
            _ => None,
        };
        let failure = stdout.is_none().then(|| "exit status 1".to_owned());
        ProgramOutput { success: stdout.is_some(), stdout: stdout.unwrap_or_default(), failure }
    }
}

/// The disk has a record.
#[derive(Debug)]
struct Known;

impl Records for Known {
    fn record(&self, id: &DeviceId) -> Option<Record> {
        (id.to_string() == "b7:777")
            .then(|| record(&[("ID_A", "a"), ("ID_B", "b"), ("OTHER", "o")], &["of_disk"]))
    }
}

fn record(properties: &[(&str, &str)], tags: &[&str]) -> Record {
    let tags: BTreeSet<Tag> = tags.iter().map(|tag| Tag::new(tag.as_bytes()).unwrap()).collect();
    Record {
        properties: properties.iter().copied().collect(),
        current_tags: tags.clone(),
        tags,
        ..Record::default()
    }
}

/// The machine, with files below a directory that goes with it.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    tree: Tree,
    roots: Roots,
    numbers: Indexes,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        for (file, text) in [
            ("facts", FACTS),
            ("proc/sys/kernel/ostype", "Linux\n"),
            ("proc/cmdline", "ro quiet name=value name with-dash=1 \"quoted=a b\" empty=\n"),
        ] {
            fs::create_dir_all(at.join(file).parent().unwrap()).unwrap();
            fs::write(at.join(file), text).unwrap();
        }
        let text = RECORDING.replace("<dir>", at.to_str().unwrap());
        let tree = Tree::new(Source::Recording(Recording::parse(text.as_bytes()).unwrap()));
        tree.walk();
        let system = Roots::system();
        let roots = Roots { sys: system.sys, dev: system.dev, ..Roots::below(at) };
        let numbers = Indexes::new(&roots.state());
        Self { dir, tree, roots, numbers }
    }

    /// What the rules of a text plan for a device; the same with and without the index.
    pub(crate) fn plan(&self, device: Device, action: Action, text: &str) -> Plan {
        self.explain(device, action, text).0
    }

    /// The same with all that was seen on the way.
    pub(crate) fn explain(&self, device: Device, action: Action, text: &str) -> (Plan, Trace) {
        let links = [LinkName::new(b"of_before").unwrap()].into();
        let old = Record { links, ..record(&[("KEPT", "yes")], &["tag_of_before"]) };
        self.after(&old, device, action, text)
    }

    /// The same where earlier events left a record.
    pub(crate) fn after(&self, old: &Record, device: Device, action: Action, text: &str) -> (Plan, Trace) {
        let source = SourceFile::new(std::path::Path::new("x.rules"), text.as_bytes());
        let parsed = udev::parse(&source, text.as_bytes(), &known());
        let rules = Compiled::new(&[RuleFile { source, rules: parsed.rules }.into()]);
        let path = DevPath::new(device.path().as_bytes()).unwrap();
        let found = self.tree.get(&path).unwrap();
        let properties = (*Reader::new(&self.tree).uevent(&found)).clone();
        let uevent = Uevent::from_facts(action, path, found.subsystem().unwrap(), SeqNum(0), properties);
        let event = Event { uevent: &uevent, device: Some(&found), record: Some(old) };
        let known = known();
        let shared = nameplate::builtin::Shared::new(&self.roots);
        let globals = nameplate::decide::Globals::default();
        globals.set("FOR_ALL".into(), Some("g".into())).unwrap();
        let around = Surroundings {
            tree: &self.tree,
            roots: &self.roots,
            records: &Known,
            accounts: known.accounts,
            shared: &shared,
            others: None,
            globals: &globals,
        };
        let host = || {
            let effects = Dry::new(&Programs, &self.numbers);
            EventHost::new(around, &event, Instant::now() + Duration::from_secs(60), effects)
        };
        let plan = decide(&rules, &event, &self.roots, &mut host(), &mut Unobserved);
        let mut trace = Trace::default();
        let observed = decide(&rules, &event, &self.roots, &mut host(), &mut trace);
        assert_eq!(plan, observed, "{text}");
        (plan, trace)
    }
}
