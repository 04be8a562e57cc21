//! Owns what can be seen of an evaluation: the `Observer` that the evaluator reports to, the one that sees nothing (the
//! daemon's), and the `Trace` that `explain` shows.
//!
//! Never takes part in a decision. What it is shown is borrowed: an observer that keeps nothing costs nothing.

use std::borrow::Cow;
use std::fmt;

use bstr::{BStr, BString, ByteSlice};

use super::compile::Skip;
use super::ir::{
    Access, Bounds, Builtin, Command, Condition, ConstKey, Dump, Effect, Import, ListOp, Mode, Principal,
    Rule, StringEscape, Subject, Test,
};
use crate::device::Device;
use crate::diag::Place;
use crate::ids::DevPath;
use crate::text::{Case, Pattern};

/// The value that a condition found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// There is none.
    Absent,
    /// There is none, of a device that was named: it is compared as an empty text (udev).
    Blank,
    /// One text.
    One(Cow<'a, BStr>),
    /// A set of texts: tags, links.
    Many(Vec<Cow<'a, BStr>>),
    /// A file's mode.
    Mode(u32),
    /// A program or an import succeeded.
    Worked,
    /// A program or an import did not succeed, and why.
    Failed(Cow<'a, str>),
    /// The question can't be put, and why: no test is met, not even the contrary one.
    Unasked(Cow<'a, str>),
}

/// The device that a condition was tested on.
#[derive(Debug, Clone)]
pub enum Spot {
    /// The event's own.
    Event,
    /// One further up.
    Above(Device),
}

/// One tested condition.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Where the condition stands.
    pub place: &'a Place,
    /// The condition.
    pub condition: &'a Condition,
    /// The device it was tested on.
    pub on: &'a Spot,
    /// What was found.
    pub value: &'a Value<'a>,
    /// Whether that is what the condition asks for.
    pub passed: bool,
    /// One of a group that one device on the way up has to meet whole.
    pub in_group: bool,
    /// The rule had failed before: the condition was tested for the observer only.
    pub late: bool,
}

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is part of the outcome.
    Yes,
    /// It does not concern this device, or an earlier rule forbids it.
    No(&'static str),
    /// Its value, or one of its values, is bad; the outcome holds a diagnostic.
    Refused,
}

/// Sees an evaluation. All methods do nothing unless they are written.
pub trait Observer {
    /// True to be shown every rule, the ones that the index would leave out as well, and every harmless condition
    /// behind the first that failed.
    const EVERY_RULE: bool = false;

    /// A rule begins.
    fn rule(&mut self, _rule: &Rule) {}
    /// The rule that began is not looked at.
    fn skipped(&mut self, _why: Skip) {}
    /// A condition was tested.
    fn condition(&mut self, _seen: &Seen<'_>) {}
    /// A group of conditions on the way up ended: with the device that meets all of them, or with none.
    fn parent(&mut self, _place: &Place, _found: Option<&Spot>) {}
    /// The rule's conditions held and it jumps to the rule of that number in its file.
    fn jump(&mut self, _place: &Place, _to: usize) {}
    /// An effect was applied, or not.
    fn effect(&mut self, _place: &Place, _effect: &Effect, _applied: &Applied) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Everything that was seen of one event, for `explain`.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// All rules, in order.
    pub rules: Vec<RuleTrace>,
    /// The tests of the group on the way up that is being tested.
    group: Vec<Tested>,
}

/// What was seen of one rule.
#[derive(Debug, Clone)]
pub struct RuleTrace {
    /// Where the rule begins.
    pub place: Place,
    /// What its author calls it.
    pub about: Option<String>,
    /// Why it was not looked at.
    pub skipped: Option<Skip>,
    /// Its steps, as far as they were run.
    pub steps: Vec<StepTrace>,
}

/// What was seen of one step.
#[derive(Debug, Clone)]
pub enum StepTrace {
    /// A condition on the event's device.
    Condition(Tested),
    /// A group of conditions on the way up: all tests made, device by device, and the device that met them all.
    Parent {
        /// Where the group begins.
        place: Place,
        /// The tests, in order; each device's end with its first that failed.
        tests: Vec<Tested>,
        /// The device that was found.
        found: Option<On>,
    },
    /// An effect.
    Effect {
        /// Where it stands.
        place: Place,
        /// What it does, in the words of TOML rules.
        what: String,
        /// What became of it.
        applied: Applied,
    },
}

/// The device of a test, as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// The event's own.
    Event,
    /// One further up.
    Above(DevPath),
}

/// A condition, what it asked for and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Where it stands.
    pub place: Place,
    /// What was looked at, as `attr.serial`.
    pub subject: String,
    /// What it has to be: the pattern as written, or the test in words.
    pub wanted: String,
    /// The value found, as shown to people; `None` if there is none.
    pub found: Option<BString>,
    /// The device.
    pub on: On,
    /// Whether it holds.
    pub passed: bool,
    /// Tested though the rule had failed already.
    pub late: bool,
}

impl RuleTrace {
    /// True when the rule's conditions all held and it was looked at.
    pub fn applied(&self) -> bool {
        self.skipped.is_none() && self.first_failed().is_none()
    }

    /// The condition that ended the rule. For a group on the way up that is the failed test of the device that came
    /// furthest: the one that was most likely meant.
    pub fn first_failed(&self) -> Option<&Tested> {
        self.steps.iter().find_map(|step| match step {
            StepTrace::Condition(tested) if !tested.passed && !tested.late => Some(tested),
            StepTrace::Parent { tests, found: None, .. } if !tests.iter().any(|t| t.late) => {
                nearest_miss(tests)
            }
            _ => None,
        })
    }
}

fn nearest_miss(tests: &[Tested]) -> Option<&Tested> {
    let mut best: Option<(usize, &Tested)> = None;
    let mut passed = 0;
    for tested in tests {
        if tested.passed {
            passed += 1;
            continue;
        }
        if best.is_none_or(|(most, _)| passed > most) {
            best = Some((passed, tested));
        }
        passed = 0;
    }
    best.map(|(_, tested)| tested)
}

impl Observer for Trace {
    const EVERY_RULE: bool = true;

    fn rule(&mut self, rule: &Rule) {
        self.rules.push(RuleTrace {
            place: rule.place.clone(),
            about: rule.about.clone(),
            skipped: None,
            steps: Vec::new(),
        });
    }

    fn skipped(&mut self, why: Skip) {
        if let Some(rule) = self.rules.last_mut() {
            rule.skipped = Some(why);
        }
    }

    fn condition(&mut self, seen: &Seen<'_>) {
        let tested = Tested::from(seen);
        if seen.in_group {
            self.group.push(tested);
        } else {
            self.push(StepTrace::Condition(tested));
        }
    }

    fn parent(&mut self, place: &Place, found: Option<&Spot>) {
        let tests = std::mem::take(&mut self.group);
        self.push(StepTrace::Parent { place: place.clone(), tests, found: found.map(On::from) });
    }

    fn jump(&mut self, place: &Place, _to: usize) {
        let place = place.clone();
        self.push(StepTrace::Effect { place, what: "goto".into(), applied: Applied::Yes });
    }

    fn effect(&mut self, place: &Place, effect: &Effect, applied: &Applied) {
        let what = describe_effect(effect);
        self.push(StepTrace::Effect { place: place.clone(), what, applied: applied.clone() });
    }
}

impl Trace {
    fn push(&mut self, step: StepTrace) {
        if let Some(rule) = self.rules.last_mut() {
            rule.steps.push(step);
        }
    }
}

impl From<&Spot> for On {
    fn from(spot: &Spot) -> Self {
        match spot {
            Spot::Event => On::Event,
            Spot::Above(device) => On::Above(device.devpath()),
        }
    }
}

impl From<&Seen<'_>> for Tested {
    fn from(seen: &Seen<'_>) -> Self {
        Self {
            place: seen.place.clone(),
            subject: describe_subject(&seen.condition.subject),
            wanted: describe_test(&seen.condition.test),
            found: describe_value(seen.value),
            on: seen.on.into(),
            passed: seen.passed,
            late: seen.late,
        }
    }
}

impl fmt::Display for Tested {
    /// `attr.serial is "A*": found "B17" on /devices/…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.subject, self.wanted)?;
        match &self.found {
            Some(found) => write!(f, "found {found:?}")?,
            None => f.write_str("there is none")?,
        }
        match &self.on {
            On::Event => Ok(()),
            On::Above(path) => write!(f, " on {path}"),
        }
    }
}

/// What a condition looks at, in the words of TOML rules.
pub fn describe_subject(subject: &Subject) -> String {
    match subject {
        Subject::Kernel => "kernel".into(),
        Subject::Subsystem => "subsystem".into(),
        Subject::Driver => "driver".into(),
        Subject::Devtype => "devtype".into(),
        Subject::Devpath => "devpath".into(),
        Subject::Action => "action".into(),
        Subject::Tag => "tag".into(),
        Subject::Name => "name".into(),
        Subject::Link => "link".into(),
        Subject::Attribute(name) => format!("attr.{}", name.text()),
        Subject::Property(key) => format!("property.{key}"),
        Subject::Sysctl(name) => format!("sysctl.{}", name.text()),
        Subject::Const(ConstKey::Arch) => "const.arch".into(),
        Subject::Const(ConstKey::Virt) => "const.virt".into(),
        Subject::Const(ConstKey::Cvm) => "const.cvm".into(),
        Subject::File(path) => format!("test {}", path.text()),
        Subject::Program(command) => format!("program {}", describe_command(command)),
        Subject::Result => "result".into(),
        Subject::Import(import) => describe_import(import),
    }
}

fn describe_import(import: &Import) -> String {
    match import {
        Import::Program(command) => format!("import from program {}", describe_command(command)),
        Import::Builtin(builtin) => format!("import from builtin {}", describe_builtin(builtin)),
        Import::File(path) => format!("import from file {}", path.text()),
        Import::Db(key) => format!("import from record {}", key.text()),
        Import::CommandLine(key) => format!("import from kernel command line {}", key.text()),
        Import::ParentNamed(pattern) => format!("import from parent {}", pattern.text()),
        Import::Parent(pattern) => format!("import from parent {}", pattern.text()),
    }
}

fn describe_command(command: &Command) -> String {
    match command {
        Command::Argv(arguments) => {
            let words: Vec<String> = arguments.iter().map(|a| a.text().to_string()).collect();
            words.join(" ")
        }
        Command::Line(line) => line.text().to_string(),
    }
}

fn describe_builtin(builtin: &Builtin) -> String {
    let arguments = describe_command(&builtin.arguments);
    if arguments.is_empty() { builtin.name.clone() } else { format!("{} {arguments}", builtin.name) }
}

/// What a condition asks for, in words: `is "usb*"`, `is not "x"`, `is 5 or more`.
pub fn describe_test(test: &Test) -> String {
    let fold = |pattern: &Pattern| match pattern.case() {
        Case::Sensitive => "",
        Case::Fold => " in letters of either case",
    };
    match test {
        Test::Is(pattern) => format!("is {:?}{}", pattern.text(), fold(pattern)),
        Test::IsNot(pattern) => format!("is not {:?}{}", pattern.text(), fold(pattern)),
        Test::Exists(true) => "exists".into(),
        Test::Exists(false) => "does not exist".into(),
        Test::Range(bounds) => match **bounds {
            Bounds { min: Some(min), max: Some(max) } => format!("is between {min} and {max}"),
            Bounds { min: Some(min), max: None } => format!("is {min} or more"),
            Bounds { min: None, max: Some(max) } => format!("is {max} or less"),
            Bounds { min: None, max: None } => "is a number".into(),
        },
        Test::Mode(mask) => format!("has any of the mode bits {mask:04o}"),
        Test::NoMode(mask) => format!("has none of the mode bits {mask:04o}"),
    }
}

fn describe_value(value: &Value<'_>) -> Option<BString> {
    match value {
        Value::Absent | Value::Blank => None,
        Value::One(text) => Some(text.trim_end().into()),
        Value::Many(texts) => Some(bstr::join(" ", texts.iter().map(|t| t.as_bytes())).into()),
        Value::Mode(mode) => Some(format!("mode {:04o}", mode & 0o7777).into()),
        Value::Worked => Some("success".into()),
        Value::Failed(why) | Value::Unasked(why) => Some(why.as_bytes().into()),
    }
}

/// What an effect does, in the words of TOML rules.
pub fn describe_effect(effect: &Effect) -> String {
    let sign = |op: &ListOp| match op {
        ListOp::Set => "=",
        ListOp::Add => "+=",
        ListOp::Remove => "-=",
    };
    match effect {
        Effect::Link { op, names, .. } => {
            let names: Vec<String> = names.iter().map(|n| n.text().to_string()).collect();
            format!("link {} {}", sign(op), names.join(" "))
        }
        Effect::Name(name) => format!("name = {}", name.text()),
        Effect::Owner(who) => format!("owner = {}", describe_principal(who)),
        Effect::Group(who) => format!("group = {}", describe_principal(who)),
        Effect::Mode(Mode::Bits(bits)) => format!("mode = {bits:04o}"),
        Effect::Mode(Mode::Template(mode)) => format!("mode = {}", mode.text()),
        Effect::Priority(priority) => format!("priority = {priority}"),
        Effect::Property { key, value, append } => {
            format!("property.{key} {} {}", if *append { "+=" } else { "=" }, value.text())
        }
        Effect::Tag { op, tag } => format!("tag {} {}", sign(op), tag.text()),
        Effect::WriteAttribute { name, value } => format!("write.attr.{} = {}", name.text(), value.text()),
        Effect::WriteSysctl { name, value } => format!("write.sysctl.{} = {}", name.text(), value.text()),
        Effect::Run { op, command } => format!("run {} {}", sign(op), describe_command(command)),
        Effect::RunBuiltin { op, builtin } => format!("builtin {} {}", sign(op), describe_builtin(builtin)),
        Effect::Index { pool, by } => format!("index in {pool} by {}", by.text()),
        Effect::Access(Access::ActiveUser) => "access = active-user".into(),
        Effect::Watch(yes) => format!("watch = {yes}"),
        Effect::DbPersist => "options = db_persist".into(),
        Effect::LogLevel(Some(level)) => format!("options = log_level={level}"),
        Effect::Dump(Dump::Text) => "options = dump".into(),
        Effect::Dump(Dump::Json) => "options = dump-json".into(),
        Effect::LogLevel(None) => "options = log_level=reset".into(),
        Effect::StringEscape(StringEscape::None) => "options = string_escape=none".into(),
        Effect::StringEscape(StringEscape::Replace) => "options = string_escape=replace".into(),
        Effect::Start(unit) => format!("start = {}", unit.text()),
        Effect::SecurityLabel { op, module, label } => {
            format!("security label {module} {} {}", sign(op), label.text())
        }
        Effect::StaticNode { node, .. } => format!("static node {node}"),
    }
}

fn describe_principal(who: &Principal) -> String {
    match who {
        Principal::Id(id) => id.to_string(),
        Principal::Named { name, .. } | Principal::Unknown(name) => name.to_string(),
        Principal::Template(name) => name.text().to_string(),
    }
}
