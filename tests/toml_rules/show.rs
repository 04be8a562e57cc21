//! Rules, tests and diagnostics as short text, so that a case is one line.

use std::path::Path;

use nameplate::diag::{Diagnostic, SourceFile};
use nameplate::rules::ir::{
    Command, Condition, Effect, Import, ListOp, Mode, Principal, Rule, StepKind, Subject, Test,
};
use nameplate::rules::template::Template;
use nameplate::rules::toml::{Accounts, Known, Parsed, RuleTest, parse as parse_source};
use nameplate::text::Case;

#[derive(Debug)]
struct Accounts1;

impl Accounts for Accounts1 {
    fn user(&self, name: &str) -> Option<u32> {
        (name == "ann").then_some(1000)
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "dialout").then_some(20)
    }
}

pub(crate) fn known() -> Known<'static> {
    Known { accounts: &Accounts1, builtins: &["kmod", "path_id", "usb_id"] }
}

pub(crate) fn parse(text: &str) -> Parsed {
    parse_source(&SourceFile::new(Path::new("50-case.toml"), text.as_bytes()), &known())
}

pub(crate) fn diagnostics(all: &[Diagnostic]) -> String {
    let all: Vec<String> =
        all.iter().map(|d| format!("{}@{}:{}", d.code, d.place.line, d.place.column)).collect();
    all.join(" ")
}

pub(crate) fn rule(rule: &Rule) -> String {
    let about = rule.about.iter().map(|about| format!("({about})"));
    let steps = rule.steps.iter().map(|step| match &step.kind {
        StepKind::When(one) => condition(one),
        StepKind::Parent(all) => {
            let all: Vec<String> = all.iter().map(|(_, one)| condition(one)).collect();
            format!("parent[{}]", all.join(", "))
        }
        StepKind::Do { effect: what, fixed } => {
            format!("{}{}", effect(what), if *fixed { " final" } else { "" })
        }
    });
    about.chain(steps).collect::<Vec<_>>().join("; ")
}

fn condition(condition: &Condition) -> String {
    let subject = match &condition.subject {
        Subject::Attribute(name) => format!("attr {}", name.text()),
        Subject::Property(name) => format!("property {name}"),
        Subject::Sysctl(name) => format!("sysctl {}", name.text()),
        Subject::Const(key) => format!("const {}", format!("{key:?}").to_lowercase()),
        Subject::File(path) => format!("file {}", path.text()),
        Subject::Import(source) if condition.test == Test::Exists(true) => {
            return format!("import {}", import(source));
        }
        Subject::Import(source) => format!("import {}", import(source)),
        Subject::Program(what) => format!("program {}", command(what)),
        other => format!("{other:?}").to_lowercase(),
    };
    match &condition.test {
        Test::Is(pattern) if pattern.case() == Case::Fold => {
            format!("{subject} is {} in any case", pattern.text())
        }
        Test::Is(pattern) => format!("{subject} is {}", pattern.text()),
        Test::IsNot(pattern) => format!("{subject} is not {}", pattern.text()),
        Test::Exists(yes) => format!("{subject} {}", if *yes { "exists" } else { "is absent" }),
        Test::Range(bounds) => {
            let bound = |bound: Option<i128>| bound.map(|n| n.to_string()).unwrap_or_default();
            format!("{subject} in {}..{}", bound(bounds.min), bound(bounds.max))
        }
        Test::Mode(bits) => format!("{subject} mode {bits:o}"),
        Test::NoMode(bits) => format!("{subject} no mode {bits:o}"),
    }
}

fn words(all: &[Template]) -> String {
    all.iter().map(|word| word.text().to_string()).collect::<Vec<_>>().join("|")
}

fn command(command: &Command) -> String {
    match command {
        Command::Argv(all) => words(all),
        Command::Line(line) => format!("LINE {}", line.text()),
    }
}

fn import(import: &Import) -> String {
    match import {
        Import::Program(program) => format!("program {}", command(program)),
        Import::Builtin(builtin) => {
            format!("builtin {} {}", builtin.name, command(&builtin.arguments)).trim().into()
        }
        Import::File(path) => format!("file {}", path.text()),
        Import::Db(key) => format!("db {}", key.text()),
        Import::CommandLine(key) => format!("cmdline {}", key.text()),
        Import::ParentNamed(pattern) => format!("parent {}", pattern.text()),
        Import::Parent(pattern) => format!("parent {}", pattern.text()),
    }
}

fn principal(who: &Principal) -> String {
    match who {
        Principal::Id(id) => id.to_string(),
        Principal::Named { name, id } => format!("{name}={id}"),
        Principal::Unknown(name) => format!("unknown {name}"),
        Principal::Template(template) => format!("template {}", template.text()),
    }
}

fn change(op: ListOp) -> &'static str {
    match op {
        ListOp::Add => "",
        ListOp::Set => "set ",
        ListOp::Remove => "remove ",
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Link { op, names, split } => {
            format!("{}link {}{}", change(*op), if *split { "words " } else { "" }, words(names))
        }
        Effect::Name(name) => format!("name {}", name.text()),
        Effect::Owner(who) => format!("owner {}", principal(who)),
        Effect::Group(who) => format!("group {}", principal(who)),
        Effect::Mode(Mode::Bits(bits)) => format!("mode {bits:o}"),
        Effect::Mode(Mode::Template(template)) => format!("mode template {}", template.text()),
        Effect::Priority(n) => format!("priority {n}"),
        Effect::Property { key, value, append } => {
            format!("{key}{}={}", if *append { "+" } else { "" }, value.text())
        }
        Effect::Tag { op, tag } => format!("{}tag {}", change(*op), tag.text()),
        Effect::SecurityLabel { op, module, label } => {
            format!("{}label {module} {}", change(*op), label.text())
        }
        Effect::StaticNode { node, tags } => {
            let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
            format!("node {node} [{}]", tags.join(" "))
        }
        Effect::WriteAttribute { name, value } => format!("write attr {} {}", name.text(), value.text()),
        Effect::WriteSysctl { name, value } => format!("write sysctl {} {}", name.text(), value.text()),
        Effect::Run { op, command: what } => format!("{}run {}", change(*op), command(what)),
        Effect::RunBuiltin { op, builtin } => {
            format!("{}builtin {} {}", change(*op), builtin.name, command(&builtin.arguments)).trim().into()
        }
        Effect::Index { pool, by } => format!("index {} in {pool}", by.text()),
        Effect::Start(unit) => format!("start {}", unit.text()),
        other => format!("{other:?}"),
    }
}

pub(crate) fn test(test: &RuleTest) -> String {
    let mut out = vec![format!("{} {} {}", test.device.value.display(), test.path.value, test.action)];
    out.extend(test.about.iter().map(|about| format!("({about})")));
    out.extend(test.links.iter().map(|links| format!("links {}", links.value.join("|"))));
    out.extend(test.mode.iter().map(|mode| format!("mode {:o}", mode.value)));
    out.extend(test.owner.iter().map(|owner| format!("owner {}", principal(&owner.value))));
    out.extend(test.group.iter().map(|group| format!("group {}", principal(&group.value))));
    out.extend(test.name.iter().map(|name| format!("name {}", name.value)));
    out.extend(test.tags.iter().map(|tags| format!("tags {}", tags.value.join("|"))));
    out.extend(test.properties.iter().map(|(key, value)| format!("{key}={}", value.value)));
    let vectors =
        |run: &Vec<Vec<String>>| run.iter().map(|argv| argv.join("|")).collect::<Vec<_>>().join(" & ");
    out.extend(test.run.iter().map(|run| format!("run {}", vectors(&run.value))));
    out.join("; ")
}
