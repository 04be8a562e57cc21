//! What the targets of both rule languages ask of rules and diagnostics.

use std::sync::Arc;

use bstr::ByteSlice;
use nameplate::diag::{Diagnostic, Place, SourceFile, render};
use nameplate::rules::compile::Compiled;
use nameplate::rules::ir::{
    Command, Condition, Effect, Import, Mode, Principal, Rule, RuleFile, Step, StepKind, Subject, Test,
};
use nameplate::rules::lint::lint;
use nameplate::rules::template::Template;
use nameplate::rules::toml::{Accounts, Known};
use nameplate::text::{Case, Pattern};

#[derive(Debug)]
struct TwoAccounts;

impl Accounts for TwoAccounts {
    fn user(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "dialout").then_some(20)
    }
}

/// A system with one user, one group and some builtins.
pub(super) fn known() -> Known<'static> {
    Known { accounts: &TwoAccounts, builtins: &["kmod", "path_id", "usb_id"] }
}

/// Every diagnostic has its place inside the text, and can be shown.
pub(super) fn diagnostics(all: &[Diagnostic], source: &SourceFile) {
    for diagnostic in all {
        place(&diagnostic.place, source);
        assert!(!diagnostic.message.is_empty() && !diagnostic.code.is_empty(), "{diagnostic:?}");
    }
    // Showing costs time, and one mistake is shown as another.
    for diagnostic in all.iter().take(4) {
        assert!(render(diagnostic, false).contains(diagnostic.code), "{diagnostic:?}");
    }
}

fn place(place: &Place, source: &SourceFile) {
    let span = &place.span;
    assert!(source.text.get(span.clone()).is_some(), "{span:?} is not in the text, or cuts a character");
    assert_eq!((place.line, place.column), source.position(span.start), "{span:?}");
}

/// Every step has its place, every template and pattern is what its text says, and the set can be compiled and looked
/// over.
pub(super) fn hold_together(rules: &[Rule], source: &Arc<SourceFile>) {
    for rule in rules {
        place(&rule.place, source);
        rule.steps.iter().for_each(|one| step(one, source));
    }
    let file = Arc::new(RuleFile { source: Arc::clone(source), rules: rules.to_vec() });
    let compiled = Compiled::new(&[Arc::clone(&file)]);
    assert_eq!(compiled.len(), rules.len());
    let found: Vec<Diagnostic> = lint(&[file]).into_iter().map(|finding| finding.diagnostic).collect();
    diagnostics(&found, source);
}

fn step(step: &Step, source: &SourceFile) {
    place(&step.place, source);
    match &step.kind {
        StepKind::When(one) => condition(one),
        StepKind::Parent(all) => {
            assert!(!all.is_empty(), "conditions of no parent");
            for (at, one) in all {
                place(at, source);
                condition(one);
            }
        }
        StepKind::Do { effect: one, .. } => effect(one),
    }
}

fn condition(condition: &Condition) {
    match &condition.subject {
        Subject::Attribute(name) | Subject::File(name) => template(name),
        Subject::Sysctl(name) => template(name),
        Subject::Program(program) => command(program),
        Subject::Import(Import::Program(program)) => command(program),
        Subject::Import(Import::Builtin(builtin)) => command(&builtin.arguments),
        Subject::Import(Import::File(name) | Import::Db(name) | Import::CommandLine(name)) => template(name),
        Subject::Import(Import::Parent(names)) => pattern(names),
        Subject::Property(key) => assert!(!key.is_empty(), "a property without a name"),
        _ => {}
    }
    match &condition.test {
        Test::Is(text) | Test::IsNot(text) => pattern(text),
        Test::Range(bounds) => {
            assert!(bounds.min.zip(bounds.max).is_none_or(|(min, max)| min <= max), "{bounds:?}")
        }
        _ => {}
    }
}

fn effect(effect: &Effect) {
    match effect {
        Effect::Link { names, .. } => names.iter().for_each(template),
        Effect::Name(text)
        | Effect::Owner(Principal::Template(text))
        | Effect::Group(Principal::Template(text))
        | Effect::Mode(Mode::Template(text))
        | Effect::Property { value: text, .. }
        | Effect::Tag { tag: text, .. }
        | Effect::Index { by: text, .. }
        | Effect::Start(text)
        | Effect::SecurityLabel { label: text, .. } => template(text),
        Effect::Mode(Mode::Bits(bits)) => assert!(*bits <= 0o7777, "{bits:o}"),
        Effect::WriteAttribute { name, value } => {
            template(name);
            template(value);
        }
        Effect::WriteSysctl { name, value } => {
            template(name);
            template(value);
        }
        Effect::Run { command: program, .. } => command(program),
        Effect::RunBuiltin { builtin, .. } => command(&builtin.arguments),
        Effect::LogLevel(level) => assert!(level.is_none_or(|level| level <= 7), "{level:?}"),
        _ => {}
    }
}

fn command(command: &Command) {
    match command {
        Command::Argv(all) => all.iter().for_each(template),
        Command::Line(line) => template(line),
    }
}

/// A template is what its text means to one of the languages, or stands for itself.
fn template(template: &Template) {
    let text = template.text();
    let again = [Template::parse(text).0, Template::parse_udev(text).0, Template::literal(text)]
        .map(|again| again.within(template.limit()));
    assert!(again.contains(template), "{template:?} is not what its text says: {:?}", template.parts());
}

fn pattern(pattern: &Pattern) {
    let text: &[u8] = pattern.text().as_bytes();
    let again =
        [Case::Sensitive, Case::Fold].map(|case| [Pattern::new(text, case), Pattern::single(text, case)]);
    assert!(again.as_flattened().contains(pattern), "{pattern:?} is not what its text says");
}

/// True for rules that differ in nothing but their places.
pub(super) fn same(a: &Rule, b: &Rule) -> bool {
    let to = |rule: &Rule| rule.jump.as_ref().map(|jump| jump.to);
    let steps = || a.steps.iter().zip(&b.steps);
    to(a) == to(b) && a.steps.len() == b.steps.len() && steps().all(|(a, b)| same_kind(&a.kind, &b.kind))
}

fn same_kind(a: &StepKind, b: &StepKind) -> bool {
    match (a, b) {
        (StepKind::Parent(a), StepKind::Parent(b)) => {
            a.iter().map(|(_, one)| one).eq(b.iter().map(|(_, one)| one))
        }
        _ => a == b,
    }
}
