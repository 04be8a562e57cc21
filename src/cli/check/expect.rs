//! Owns running the `[[test]]`s of rule files: the device of a recording, the rules, and what came of it against what is
//! expected. Programs are not run and numbers begin at 0, so a test says the same everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bstr::ByteSlice;
use serde::Serialize;

use crate::cli::dry::{Machine, Means, Rules, work_out};
use crate::decide::Plan;
use crate::diag::{Diagnostic, Place};
use crate::rules::eval::Job;
use crate::rules::ir::Principal;
use crate::rules::toml::RuleTest;
use crate::rules::trace::Unobserved;

/// What became of a test.
#[derive(Debug, Serialize)]
pub(super) struct TestResult {
    /// Where the test is.
    pub(super) from: Place,
    pub(super) about: Option<String>,
    pub(super) device: PathBuf,
    pub(super) path: String,
    pub(super) passed: bool,
    pub(super) failures: Vec<Failed>,
}

/// One expectation that does not hold.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    /// The key's place.
    pub(super) from: Place,
    /// `links`, `mode`, `properties.ID_BUS`; `device` or `path` when there was nothing to look at.
    pub(super) key: String,
    pub(super) expected: String,
    pub(super) got: String,
    #[serde(skip)]
    hint: Option<String>,
}

impl Failed {
    /// As a mistake in the file, at the key.
    pub(super) fn diagnostic(&self) -> Diagnostic {
        let Self { from, key, expected, got, hint } = self;
        let message = format!("test failed: `{key}`: expected {expected}, got {got}");
        let diagnostic = Diagnostic::error("test-failed", message, from.clone());
        match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}

/// Runs tests, each recording read once.
#[derive(Debug)]
pub(super) struct Runner<'r> {
    rules: &'r Rules,
    means: &'r Means,
    machines: BTreeMap<PathBuf, Result<Machine, String>>,
}

impl<'r> Runner<'r> {
    pub(super) fn new(rules: &'r Rules, means: &'r Means) -> Self {
        Self { rules, means, machines: BTreeMap::new() }
    }

    /// Runs one.
    pub(super) fn run(&mut self, test: &RuleTest) -> TestResult {
        let dir = test.place.file.path.parent().unwrap_or(Path::new(""));
        let recording = dir.join(&test.device.value);
        let failures = match self.plan(test, &recording) {
            Ok(plan) => compare(test, &plan, &recording),
            Err(failed) => vec![*failed],
        };
        TestResult {
            from: test.place.clone(),
            about: test.about.clone(),
            device: recording,
            path: test.path.value.to_string(),
            passed: failures.is_empty(),
            failures,
        }
    }

    fn plan(&mut self, test: &RuleTest, recording: &Path) -> Result<Plan, Box<Failed>> {
        let machine = self.machines.entry(recording.into()).or_insert_with(|| {
            let machine = Machine::recorded(recording).map_err(|error| error.to_string())?;
            machine.tree().walk();
            Ok(machine)
        });
        let machine = machine.as_ref().map_err(|error| Failed {
            from: test.device.place.clone(),
            key: "device".into(),
            expected: "a recording that can be read".into(),
            got: error.clone(),
            hint: None,
        })?;
        let device = machine.tree().get(&test.path.value).ok_or_else(|| Failed {
            from: test.path.place.clone(),
            key: "path".into(),
            expected: "a device of the recording".into(),
            got: "none of that path".into(),
            hint: Some(format!("nameplate tree --recording {} shows them", recording.display())),
        })?;
        Ok(work_out(machine, self.rules, self.means, (&device, test.action), &mut Unobserved))
    }
}

fn compare(test: &RuleTest, plan: &Plan, recording: &Path) -> Vec<Failed> {
    let mut out = Vec::new();
    let explain = format!("nameplate explain {} --recording {}", test.path.value, recording.display());
    let mut expect = |from: &Place, key: &str, expected: String, got: String, hint: &str| {
        if expected != got {
            let hint = Some(format!("{explain}{hint} says why"));
            out.push(Failed { from: from.clone(), key: key.into(), expected, got, hint });
        }
    };
    if let Some(links) = &test.links {
        let wanted: BTreeSet<&str> = links.value.iter().map(String::as_str).collect();
        let given: Vec<String> = plan.links.iter().map(|l| lossy(l.name.as_bytes())).collect();
        let given: BTreeSet<&str> = given.iter().map(String::as_str).collect();
        let missing = wanted.difference(&given).next().map(|name| format!(" --link {name}"));
        expect(&links.place, "links", list(&wanted), list(&given), &missing.unwrap_or_default());
    }
    let node = plan.node.as_ref();
    if let Some(mode) = &test.mode {
        let got = node.and_then(|node| node.mode.as_ref()).map(|mode| mode.value);
        let shown = |mode: u32| format!("\"{mode:04o}\"");
        expect(&mode.place, "mode", shown(mode.value), got.map_or_else(none, shown), "");
    }
    let owner = node.and_then(|node| node.owner.as_ref()).map(|owner| owner.value.id);
    let group = node.and_then(|node| node.group.as_ref()).map(|group| group.value.id);
    for (key, expected, got) in [("owner", &test.owner, owner), ("group", &test.group, group)] {
        if let Some(wanted) = expected {
            let got = got.map_or_else(none, |id| id.to_string());
            expect(&wanted.place, key, number(&wanted.value), got, "");
        }
    }
    if let Some(name) = &test.name {
        let got =
            plan.netif.as_ref().map_or_else(|| plan.event.devpath.sysname(), |netif| netif.name.clone());
        expect(&name.place, "name", format!("{:?}", name.value), format!("{:?}", lossy(&got)), "");
    }
    if let Some(tags) = &test.tags {
        let given: BTreeSet<&str> = plan.tags.iter().map(|tag| tag.tag.as_str()).collect();
        let wanted: BTreeSet<&str> = tags.value.iter().map(String::as_str).collect();
        // Others may be there: they count only in what is shown.
        if !wanted.is_subset(&given) {
            expect(&tags.place, "tags", list(&wanted), list(&given), "");
        }
    }
    let properties = plan.all_properties();
    for (name, value) in &test.properties {
        let got = properties.get(name).map_or_else(String::new, |got| lossy(got));
        let key = format!("properties.{name}");
        expect(&value.place, &key, format!("{:?}", value.value), format!("{got:?}"), "");
    }
    if let Some(run) = &test.run {
        expect(&run.place, "run", format!("{:?}", run.value), format!("{:?}", programs(plan)), "");
    }
    out
}

/// The number of a user or group that a test expects.
fn number(who: &Principal) -> String {
    match who {
        Principal::Id(id) | Principal::Named { id, .. } => id.to_string(),
        Principal::Unknown(name) => format!("`{name}`, which this system has not"),
        Principal::Template(template) => lossy(template.text()),
    }
}

fn programs(plan: &Plan) -> Vec<Vec<String>> {
    let words = |job: &Job| match job {
        Job::Program(argv) => Some(argv.iter().map(|word| lossy(word)).collect()),
        Job::Builtin { .. } => None,
    };
    plan.run.iter().filter_map(|given| words(&given.value)).collect()
}

fn lossy(bytes: &[u8]) -> String {
    bytes.to_str_lossy().into_owned()
}

fn none() -> String {
    "none".into()
}

fn list(names: &BTreeSet<&str>) -> String {
    format!("{:?}", Vec::from_iter(names))
}
