//! Owns properties that are compared though nothing sets them, or before anything does.

use std::collections::BTreeMap;

use bstr::{BStr, ByteSlice};

use super::flow::{Reached, named};
use super::known::{self, listed};
use super::{Finding, codes};
use crate::diag::{Diagnostic, Place};
use crate::ids::Action;
use crate::rules::ir::{Command, Condition, Effect, Import, StepKind, Subject, Test};
use crate::rules::template::{Part, Template, Var};
use crate::text::Pattern;

/// Where a property may come from.
#[derive(Debug)]
enum Source<'r> {
    /// One property.
    Key(&'r BStr),
    /// Some of a known list.
    List(&'static [&'static str]),
    /// Those of the parent that match.
    Parent(&'r Pattern),
    /// Nobody knows.
    Anything,
}

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    let sources: Vec<(usize, &Place, Source<'_>)> = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| of_rule(rule).into_iter().map(move |(place, source)| (at, place, source)))
        .collect();
    let mut answers: BTreeMap<&BStr, bool> = BTreeMap::new();
    for (at, rule) in rules.iter().enumerate() {
        for (place, condition) in rule.own() {
            let Subject::Property(key) = &condition.subject else { continue };
            if !needs_value(&condition.test) {
                continue;
            }
            let key = key.as_bstr();
            let somewhere = *answers.entry(key).or_insert_with(|| {
                is_outside(key) || is_udevs(key) || sources.iter().any(|(_, _, source)| source.names(key))
            });
            if somewhere {
                out.extend(too_early(rules, &sources, (at, rule), (place, key)));
                continue;
            }
            let reaching = || {
                let meets = |from: &usize| rules.get(*from).is_some_and(|other| !other.apart(rule));
                sources.iter().filter(move |(from, _, _)| meets(from)).map(|(_, _, source)| source)
            };
            if reaching().any(|source| matches!(source, Source::Anything)) {
                continue;
            }
            // A machine's hardware database may hold any name; one that nearly is another is a slip all the same.
            let near = near(key, &sources);
            if near.is_some() || !reaching().any(Source::is_hwdb) {
                out.push(unset(place, key, near));
            }
        }
    }
}

/// A test that fails while the property is not there.
fn needs_value(test: &Test) -> bool {
    match test {
        Test::Is(pattern) => !pattern.matches(b""),
        Test::IsNot(pattern) => pattern.matches(b""),
        Test::Exists(wanted) => *wanted,
        Test::Range(_) => true,
        Test::Mode(_) | Test::NoMode(_) => false,
    }
}

/// It comes with the event, or other packages may set it.
fn is_outside(key: &BStr) -> bool {
    listed(known::KERNEL, key) || listed(known::FAMILIES, key)
}

/// Known from udev's own rules and programs, whether or not these are among the rules looked at.
fn is_udevs(key: &BStr) -> bool {
    let lists = known::BUILTINS.iter().chain(known::PROGRAMS).map(|(_, list)| *list);
    lists.chain([known::STOCK]).any(|list| listed(list, key))
}

impl Source<'_> {
    /// It is known to give the property.
    fn names(&self, key: &BStr) -> bool {
        match self {
            Source::Key(given) => *given == key,
            Source::List(list) => listed(list, key),
            Source::Parent(_) | Source::Anything => false,
        }
    }

    /// It looks into the hardware database.
    fn is_hwdb(&self) -> bool {
        matches!(self, Source::List(list) if std::ptr::eq(*list, known::HWDB))
    }

    /// It may give the property.
    fn may_give(&self, key: &BStr) -> bool {
        match self {
            // What a parent has was set in an event of its own.
            Source::Parent(pattern) => pattern.matches(key),
            Source::Anything => true,
            source => source.names(key),
        }
    }
}

fn unset(place: &Place, key: &BStr, near: Option<String>) -> Finding {
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "set it in an earlier rule, or look at what the device has: nameplate info DEVICE".to_owned(),
    };
    let message = format!("nothing sets `{key}`: no rule, no builtin, and not the kernel");
    Diagnostic::warning(codes::UNSET_PROPERTY, message, place.clone()).hint(hint).into()
}

/// The property that was probably meant.
fn near(key: &BStr, sources: &[(usize, &Place, Source<'_>)]) -> Option<String> {
    let set = sources.iter().filter_map(|(_, _, source)| match source {
        Source::Key(key) => key.to_str().ok(),
        _ => None,
    });
    let mut names: Vec<&str> = known::names().collect();
    names.extend(set);
    nearest(&key.to_str_lossy(), &names).map(str::to_owned)
}

/// A name that differs in one place or two.
fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let slips = |name: &str| {
        let (a, b) = (word.as_bytes(), name.as_bytes());
        let front = a.iter().zip(b).take_while(|(x, y)| x == y).count();
        let rest = a.len().min(b.len()) - front;
        let back = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
        a.len().max(b.len()) - front - back
    };
    let found = names.iter().map(|name| (slips(name), *name)).min_by_key(|(slips, _)| *slips);
    found.filter(|(slips, _)| *slips <= 2 && word.len() > 4).map(|(_, name)| name)
}

/// The property is set by later rules only.
fn too_early(
    rules: &[Reached<'_>],
    sources: &[(usize, &Place, Source<'_>)],
    (at, rule): (usize, &Reached<'_>),
    (place, key): (&Place, &BStr),
) -> Option<Finding> {
    // On `remove` the properties of the last record are there from the start.
    let begins_empty = Action::ALL.iter().any(|action| *action != Action::Remove && rule.allows(*action));
    if is_outside(key) || !begins_empty {
        return None;
    }
    let meets = |from: usize| rules.get(from).is_some_and(|other| !other.apart(rule));
    let possible = sources.iter().any(|(from, _, source)| *from < at && source.may_give(key) && meets(*from));
    if possible {
        return None;
    }
    let (_, later, _) =
        sources.iter().find(|(from, _, source)| *from >= at && source.names(key) && meets(*from))?;
    let message = format!("`{key}` is not there yet: it is set only later, at {}", named(later, place));
    let hint = if later.file.path == place.file.path {
        "move this rule behind it"
    } else {
        "give this file a name that comes after that one"
    };
    Some(Diagnostic::warning(codes::PROPERTY_SET_LATER, message, place.clone()).hint(hint).into())
}

/// What a rule may set.
fn of_rule<'r>(rule: &Reached<'r>) -> Vec<(&'r Place, Source<'r>)> {
    let mut out = Vec::new();
    for step in &rule.rule.steps {
        let source = match &step.kind {
            StepKind::When(Condition { subject: Subject::Import(import), .. }) => of_import(import),
            StepKind::Do { effect: Effect::Property { key, value, .. }, .. } if !value.text().is_empty() => {
                Source::Key(key.as_bstr())
            }
            _ => continue,
        };
        out.push((&step.place, source));
    }
    out
}

fn of_import(import: &Import) -> Source<'_> {
    let in_table = |table: &'static [(&str, &'static [&'static str])], name: &[u8]| {
        table.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, list)| Source::List(list))
    };
    match import {
        Import::Builtin(builtin) => {
            // Helper programs are builtins, too.
            let name = builtin.name.as_bytes();
            let known = in_table(known::BUILTINS, name).or_else(|| in_table(known::PROGRAMS, name));
            known.unwrap_or(Source::List(&[]))
        }
        Import::Program(command) => {
            let first = match command {
                Command::Argv(words) => words.first().map(|word| word.text()).unwrap_or_default(),
                Command::Line(line) => line.text().fields().next().unwrap_or_default().as_bstr(),
            };
            let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            in_table(known::PROGRAMS, name).unwrap_or(Source::Anything)
        }
        Import::Db(name) | Import::CommandLine(name) => name.constant().map_or(Source::Anything, Source::Key),
        Import::Parent(pattern) => Source::Parent(pattern),
        Import::File(_) | Import::ParentNamed(_) => Source::Anything,
    }
}

/// True if the rule compares the property, or puts it into something.
pub(super) fn uses(rule: &Reached<'_>, key: &BStr) -> bool {
    let in_template = |template: &Template| {
        template.parts().iter().any(|part| matches!(part, Part::Var(Var::Env(name)) if name == key))
    };
    let in_command = |command: &Command| match command {
        Command::Argv(words) => words.iter().any(in_template),
        Command::Line(line) => in_template(line),
    };
    rule.rule.steps.iter().any(|step| match &step.kind {
        StepKind::When(Condition { subject, .. }) => match subject {
            Subject::Property(name) => name == key,
            Subject::Program(command) | Subject::Import(Import::Program(command)) => in_command(command),
            Subject::Attribute(name) | Subject::File(name) => in_template(name),
            Subject::Sysctl(name) => in_template(name),
            Subject::Import(Import::Builtin(builtin)) => in_command(&builtin.arguments),
            Subject::Import(Import::File(name)) => in_template(name),
            _ => false,
        },
        StepKind::Parent(group) => {
            group.iter().any(|(_, one)| matches!(&one.subject, Subject::Property(name) if name == key))
        }
        StepKind::Do { effect, .. } => match effect {
            Effect::Link { names, .. } => names.iter().any(in_template),
            Effect::Name(value) | Effect::Start(value) | Effect::Tag { tag: value, .. } => in_template(value),
            Effect::Property { value, .. } => in_template(value),
            Effect::WriteAttribute { value, .. } | Effect::WriteSysctl { value, .. } => in_template(value),
            Effect::Run { command, .. } => in_command(command),
            Effect::RunBuiltin { builtin, .. } => in_command(&builtin.arguments),
            Effect::Index { by, .. } => in_template(by),
            _ => false,
        },
    })
}
