//! Rules worked out on every device of the recordings, with programs that are not there.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bstr::BString;
use nameplate::builtin;
use nameplate::decide::{Dry, Event, EventHost, Plan, ProgramRunner, Records, Surroundings, decide};
use nameplate::device::{Reader, Source, Tree};
use nameplate::diag::{Severity, SourceFile};
use nameplate::ids::{Action, DeviceId, SeqNum};
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::convert::AnyAccount;
use nameplate::rules::host::ProgramOutput;
use nameplate::rules::ir::RuleFile;
use nameplate::rules::toml::{self, Known};
use nameplate::rules::trace::Unobserved;
use nameplate::rules::udev;
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

/// Rules of one text.
pub(crate) struct Rules(Compiled);

impl Rules {
    #[track_caller]
    pub(crate) fn new(text: &str, of_toml: bool) -> Self {
        let builtins = [builtin::NAMES, udev::keys::BUILTINS].concat();
        let known = Known { accounts: &AnyAccount, builtins: &builtins };
        let source = SourceFile::new(Path::new("60-case"), text.as_bytes());
        let (rules, diagnostics) = if of_toml {
            let parsed = toml::parse(&source, &known);
            (parsed.rules, parsed.diagnostics)
        } else {
            let parsed = udev::parse(&source, text.as_bytes(), &known);
            (parsed.rules, parsed.diagnostics)
        };
        let error = diagnostics.iter().find(|d| d.severity == Severity::Error);
        assert!(error.is_none(), "{error:?}\n{text}");
        Self(Compiled::new(&[Arc::new(RuleFile { source, rules })]))
    }
}

/// Says something of each command line, always the same; keeps in mind what was asked for.
#[derive(Debug, Default)]
struct Parrot(RefCell<String>);

impl ProgramRunner for Parrot {
    fn run(&self, argv: &[BString], _: &Properties, _: Instant, _: usize) -> ProgramOutput {
        writeln!(self.0.borrow_mut(), "asked {argv:?}").unwrap();
        let sum: usize = argv.iter().flat_map(|word| word.iter()).map(|b| usize::from(*b)).sum();
        let success = !sum.is_multiple_of(5);
        let stdout = format!("SAID={sum}\nOTHER=a b\n{}", argv.len());
        let failure = (!success).then(|| "it failed".to_owned());
        ProgramOutput { success, stdout: stdout.into(), failure }
    }
}

/// The recordings.
pub(crate) struct Machines(Vec<Tree>);

#[derive(Debug)]
struct Udev<'t>(&'t Tree);

impl Records for Udev<'_> {
    fn record(&self, id: &DeviceId) -> Option<Record> {
        let Source::Recording(recording) = self.0.source() else { return None };
        let device = recording.device(self.0.by_id(id)?.devpath().as_bytes())?;
        Some(Record { properties: device.udev.clone(), ..Record::default() })
    }
}

impl Machines {
    pub(crate) fn all() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths: Vec<_> =
            fs::read_dir(dir.join("tests/trees")).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.push(dir.join("rules/recordings/examples.umockdev"));
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "umockdev"));
        paths.sort();
        Self::of(paths)
    }

    /// Those that the standard rules are tested on: a device of each kind that they know.
    pub(crate) fn of_standard_rules() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/recordings");
        Self::of(["desk", "storage"].map(|name| dir.join(format!("{name}.umockdev"))).into())
    }

    fn of(paths: Vec<PathBuf>) -> Self {
        let tree = |path| {
            let tree = Tree::new(Source::Recording(Recording::parse(&fs::read(path).unwrap()).unwrap()));
            tree.walk();
            tree
        };
        Self(paths.into_iter().map(tree).collect())
    }

    /// Fails at the first device and event for which they differ.
    #[track_caller]
    pub(crate) fn compare(&self, one: &Rules, others: [&Rules; 2], what: &str) {
        self.each(|tree, devpath, action, full| {
            let expected = outcome(tree, devpath, action, full, one);
            for other in others {
                let found = outcome(tree, devpath, action, full, other);
                assert_eq!(expected, found, "{action} {devpath}\n{what}");
            }
        });
    }

    /// For how many events the rules do something.
    pub(crate) fn effects(&self, rules: &Rules) -> usize {
        let nothing = Rules::new("", true);
        let mut count = 0;
        self.each(|tree, devpath, action, full| {
            let none = outcome(tree, devpath, action, full, &nothing);
            count += usize::from(outcome(tree, devpath, action, full, rules) != none);
        });
        count
    }

    /// Each device, for each of some actions, with the kernel's properties only and with those that a udev had found.
    fn each(&self, mut run: impl FnMut(&Tree, &str, Action, bool)) {
        for tree in &self.0 {
            let Source::Recording(recording) = tree.source() else { continue };
            for device in recording.devices() {
                let path = device.path.to_string();
                for (action, full) in [
                    (Action::Add, false),
                    (Action::Add, true),
                    (Action::Change, true),
                    (Action::Remove, true),
                ] {
                    run(tree, &path, action, full);
                }
            }
        }
    }
}

fn outcome(tree: &Tree, devpath: &str, action: Action, full: bool, rules: &Rules) -> String {
    let path = nameplate::ids::DevPath::new(devpath.as_bytes()).unwrap();
    let device = tree.get(&path).unwrap();
    let mut properties = (*Reader::new(tree).uevent(&device)).clone();
    let Source::Recording(recording) = tree.source() else { panic!("a recording") };
    let recorded = recording.device(path.as_bytes()).unwrap();
    if full {
        for (key, value) in recorded.udev.iter() {
            properties.set(key, value).unwrap();
        }
    }
    let subsystem = device.subsystem().unwrap_or_default();
    let uevent = Uevent::from_facts(action, path, subsystem, SeqNum(0), properties);
    let record = Record { properties: recorded.udev.clone(), ..Record::default() };
    let event = Event { uevent: &uevent, device: Some(&device), record: Some(&record) };
    let roots = Roots::below(Path::new("/nowhere"));
    let records = Udev(tree);
    let shared = builtin::Shared::new(&roots);
    let globals = nameplate::decide::Globals::default();
    let around = Surroundings {
        tree,
        roots: &roots,
        records: &records,
        accounts: &AnyAccount,
        shared: &shared,
        others: None,
        globals: &globals,
    };
    let programs = Parrot::default();
    let numbers = Indexes::new(Path::new(""));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut host = EventHost::new(around, &event, deadline, Dry::new(&programs, &numbers));
    let plan = decide(&rules.0, &event, &roots, &mut host, &mut Unobserved);
    show(&plan) + &programs.0.borrow()
}

/// The plan without the places that things come from.
fn show(plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    if let Some(node) = &plan.node {
        let of = |account: &Option<nameplate::decide::Sourced<nameplate::rules::eval::Account>>| {
            account.as_ref().map(|account| account.value.clone())
        };
        let labels: Vec<_> = node.labels.iter().map(|(module, label)| (module, &label.value)).collect();
        let mode = node.mode.as_ref().map(|mode| mode.value);
        line(format!("node {:?} {:?} {mode:?} {labels:?}", of(&node.owner), of(&node.group)));
    }
    line(format!("netif {:?}", plan.netif.as_ref().map(|netif| &netif.name)));
    plan.links.iter().for_each(|link| line(format!("link {} {}", link.name, link.priority)));
    line(format!("priority {}", plan.priority));
    plan.properties.iter().for_each(|one| line(format!("{}={}", one.key, one.value)));
    plan.tags.iter().for_each(|one| line(format!("tag {}", one.tag.as_str())));
    line(format!(
        "{:?} {} {:?}",
        plan.past_tags,
        plan.persist.is_some(),
        plan.watch.as_ref().map(|w| w.value)
    ));
    plan.run.iter().for_each(|job| line(format!("run {:?}", job.value)));
    plan.writes.iter().for_each(|write| line(format!("write {:?} {:?}", write.target, write.value)));
    out
}
