//! What a set of rules makes of a device, as lines that can be compared; no program runs and nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nameplate::builtin;
use nameplate::builtin::hwdb::compile::{Sources, compile_text};
use nameplate::decide::{
    Dry, Event, EventHost, Plan, Records, SkippedPrograms, Sourced, Surroundings, decide,
};
use nameplate::device::{Reader, Source, Tree};
use nameplate::diag::{Place, Severity, SourceFile};
use nameplate::ids::{Action, DevPath, DeviceId, SeqNum};
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::compile::Skip;
use nameplate::rules::convert::AnyAccount;
use nameplate::rules::eval::Account;
use nameplate::rules::ir::{Condition, Rule, Subject};
use nameplate::rules::load::{Loaded, load, load_files};
use nameplate::rules::toml::{self, Known};
use nameplate::rules::trace::{Observer, Seen, Spot};
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

/// Rules of some files.
pub(crate) struct Rules {
    compiled: Compiled,
    /// Where each rule begins.
    pub(crate) places: Vec<Place>,
    /// Rules by file name.
    pub(crate) counts: BTreeMap<String, usize>,
    /// The files that these would give way to.
    pub(crate) stands_for: Vec<String>,
}

fn known() -> Known<'static> {
    Known { accounts: &AnyAccount, builtins: builtin::NAMES }
}

impl Rules {
    pub(crate) fn directory(dir: &Path) -> Self {
        Self::load(&[dir.into()])
    }

    pub(crate) fn load(dirs: &[PathBuf]) -> Self {
        Self::new(&load(dirs, &known()))
    }

    pub(crate) fn files(files: &[PathBuf]) -> Self {
        Self::new(&load_files(files, &known()))
    }

    fn new(loaded: &Loaded) -> Self {
        let error = loaded.diagnostics.iter().find(|one| one.severity == Severity::Error);
        assert!(error.is_none(), "{error:?}");
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let counts = loaded.files.iter().map(|file| (name(&file.source.path), file.rules.len()));
        let toml = loaded.files.iter().filter(|file| name(&file.source.path).ends_with(".toml"));
        let parsed = toml
            .map(|file| toml::parse(&SourceFile::new(Path::new(""), file.source.text.as_bytes()), &known()));
        Self {
            compiled: Compiled::new(&loaded.files),
            counts: counts.collect(),
            places: loaded.files.iter().flat_map(|file| &file.rules).map(|rule| rule.place.clone()).collect(),
            stands_for: parsed.flat_map(|file| file.gives_way_to).map(|(_, name)| name).collect(),
        }
    }
}

/// Devices of a recording, or of this machine.
pub(crate) struct Machine {
    /// What it is called.
    pub(crate) name: String,
    tree: Tree,
    /// In place of `/usr/lib`, `/proc` and so on of a recorded machine.
    root: tempfile::TempDir,
}

/// A machine's hardware database and the kernel's command line.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::below(root.path());
    let text = include_bytes!("machine.hwdb");
    let hwdb = compile_text(Path::new("machine.hwdb"), text, Sources::Left);
    assert!(hwdb.problems.is_empty(), "{:?}", hwdb.problems);
    let directory = roots.etc.join("udev");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("hwdb.bin"), hwdb.bytes).unwrap();
    fs::create_dir_all(&roots.proc).unwrap();
    fs::write(roots.proc.join("cmdline"), "quiet nomodeset\n").unwrap();
    root
}

impl Machine {
    pub(crate) fn recorded(file: &Path) -> Self {
        let recording = Recording::parse(&fs::read(file).unwrap()).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        Self { name, tree: walked(Source::Recording(recording)), root: root() }
    }

    pub(crate) fn live() -> Self {
        Self { name: "this machine".into(), tree: walked(Source::Live(Roots::system().sys)), root: root() }
    }

    pub(crate) fn paths(&self) -> Vec<DevPath> {
        self.tree.devices().iter().map(|device| device.devpath()).collect()
    }

    /// True while the device is there.
    pub(crate) fn has(&self, path: &DevPath) -> bool {
        match self.tree.source() {
            Source::Live(sys) => sys.join(path.to_string().trim_start_matches('/')).exists(),
            Source::Recording(_) => true,
        }
    }

    /// Its hardware database.
    pub(crate) fn hwdb(&self) -> PathBuf {
        Roots::below(self.root.path()).etc.join("udev/hwdb.bin")
    }

    pub(crate) fn subsystem(&self, path: &DevPath) -> String {
        let subsystem = self.tree.get(path).and_then(|device| device.subsystem());
        subsystem.unwrap_or_default().to_string()
    }

    /// What the udev of that day made of a device.
    fn recorded_record(&self, path: &DevPath) -> Record {
        let Source::Recording(recording) = self.tree.source() else { return Record::default() };
        let properties = recording.device(path.as_bytes()).map(|device| device.udev.clone());
        Record { properties: properties.unwrap_or_default(), ..Record::default() }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Records for Machine {
    fn record(&self, id: &DeviceId) -> Option<Record> {
        Some(self.recorded_record(&self.tree.by_id(id)?.devpath()))
    }
}

fn walked(source: Source) -> Tree {
    let tree = Tree::new(source);
    tree.walk();
    tree
}

/// All that the rules say of an event of that device, a line each.
pub(crate) fn facts(
    machine: &Machine,
    path: &DevPath,
    action: Action,
    rules: &Rules,
    observer: &mut impl Observer,
) -> BTreeSet<String> {
    let tree = &machine.tree;
    // On a live machine it may be gone by now.
    let Some(device) = tree.get(path) else { return BTreeSet::new() };
    let properties = (*Reader::new(tree).uevent(&device)).clone();
    let subsystem = device.subsystem().unwrap_or_default();
    let uevent = Uevent::from_facts(action, path.clone(), subsystem, SeqNum(0), properties);
    let record = machine.recorded_record(path);
    let event = Event { uevent: &uevent, device: Some(&device), record: Some(&record) };
    let roots = match tree.source() {
        Source::Live(_) => Roots::system(),
        Source::Recording(_) => Roots::below(machine.root.path()),
    };
    let shared = builtin::Shared::new(&roots);
    let globals = nameplate::decide::Globals::default();
    let around = Surroundings {
        tree,
        roots: &roots,
        records: machine,
        accounts: &AnyAccount,
        shared: &shared,
        others: None,
        globals: &globals,
    };
    let numbers = Indexes::new(Path::new(""));
    let programs = SkippedPrograms::default();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut host = EventHost::new(around, &event, deadline, Dry::new(&programs, &numbers));
    lines(&decide(&rules.compiled, &event, &roots, &mut host, observer))
}

fn lines(plan: &Plan) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    if let Some(node) = &plan.node {
        let mut account = |what: &str, account: &Option<Sourced<Account>>| {
            out.extend(account.as_ref().map(|account| format!("{what} {:?}", account.value)));
        };
        account("owner", &node.owner);
        account("group", &node.group);
        out.extend(node.mode.as_ref().map(|mode| format!("mode {:04o}", mode.value)));
    }
    out.extend(plan.netif.as_ref().map(|netif| format!("name {}", netif.name)));
    out.extend(plan.links.iter().map(|link| format!("link {} {}", link.name, link.priority)));
    out.extend(plan.properties.iter().map(|one| format!("property {}={}", one.key, one.value)));
    out.extend(plan.tags.iter().map(|one| format!("tag {}", one.tag.as_str())));
    out.extend(plan.watch.as_ref().map(|watch| format!("watch {}", watch.value)));
    out.extend(plan.run.iter().map(|job| format!("run {:?}", job.value)));
    out.extend(plan.writes.iter().map(|write| format!("write {:?} {:?}", write.target, write.value)));
    out
}

/// Which rules had all their conditions met, but those that ask a builtin, a program or a file.
#[derive(Debug, Default)]
pub(crate) struct Met {
    now: Option<String>,
    met: BTreeSet<String>,
}

impl Met {
    /// Where these rules begin.
    pub(crate) fn places(mut self) -> BTreeSet<String> {
        self.met.extend(self.now.take());
        self.met
    }
}

impl Observer for Met {
    fn rule(&mut self, rule: &Rule) {
        self.met.extend(self.now.replace(rule.place.to_string()));
    }

    fn skipped(&mut self, _: Skip) {
        self.now = None;
    }

    fn condition(&mut self, seen: &Seen<'_>) {
        let asks =
            |condition: &Condition| matches!(condition.subject, Subject::Import(_) | Subject::Program(_));
        if !seen.passed && !seen.in_group && !asks(seen.condition) {
            self.now = None;
        }
    }

    fn parent(&mut self, _: &Place, found: Option<&Spot>) {
        if found.is_none() {
            self.now = None;
        }
    }
}
