//! Owns the order of a rule's steps: whether they can stand in another one without anybody noticing.

use std::collections::BTreeSet;

use bstr::BString;

use crate::diag::Place;
use crate::rules::ir::{Command, Effect, Import, Mode, Principal, Step, StepKind, StringEscape, Subject};
use crate::rules::template::{Part, Template, Var};
use crate::rules::udev::Unsayable;

/// The turn of a step in a rule of TOML; lower ones come first. A mistake here shows: what is printed is read again.
pub(super) fn toml_turn(step: &StepKind) -> u8 {
    match step {
        StepKind::When(condition) => match condition.subject {
            Subject::File(_) => 2,
            Subject::Program(_) => 3,
            Subject::Import(_) => 4,
            Subject::Result => 5,
            _ => 0,
        },
        StepKind::Parent(_) => 1,
        StepKind::Do { effect, .. } => match effect {
            Effect::Index { .. } => 10,
            Effect::StringEscape(_) => 11,
            Effect::Property { .. } => 12,
            Effect::Name(_) => 13,
            Effect::Tag { .. } => 14,
            // Within a turn of TOML: as they are printed.
            Effect::Owner(_) => 15,
            Effect::Group(_) => 16,
            Effect::Mode(_) => 17,
            Effect::SecurityLabel { .. } => 18,
            Effect::Link { .. } => 19,
            Effect::Priority(_) => 20,
            Effect::WriteAttribute { .. } | Effect::WriteSysctl { .. } => 21,
            Effect::Access(_) => 22,
            Effect::Watch(_) => 23,
            Effect::DbPersist | Effect::LogLevel(_) | Effect::Dump(_) => 24,
            Effect::StaticNode { .. } => 25,
            Effect::RunBuiltin { .. } => 26,
            Effect::Run { .. } => 27,
            Effect::Start(_) => 28,
        },
    }
}

/// The steps in the order of their turns; an error if one of them would then see something else.
pub(super) fn reorder(steps: &[Step], turn: fn(&StepKind) -> u8) -> Result<Vec<Step>, Unsayable> {
    for (at, later) in steps.iter().enumerate() {
        let passed = steps.iter().take(at).filter(|earlier| turn(&earlier.kind) > turn(&later.kind));
        for earlier in passed {
            if !commute(&earlier.kind, &later.kind) {
                let what = format!("this behind what line {} does", line(&earlier.place));
                return Err(Unsayable { what, place: later.place.clone() });
            }
        }
    }
    let mut out = steps.to_vec();
    out.sort_by_key(|step| turn(&step.kind));
    Ok(out)
}

fn line(place: &Place) -> u32 {
    place.line
}

/// Something that steps leave for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Property(BString),
    Name,
    Links,
    Tags,
    Result,
    Matched,
    World,
    Escape,
    Index,
    Runs,
}

/// True if two steps can change places.
fn commute(a: &StepKind, b: &StepKind) -> bool {
    let is_condition = |step: &StepKind| !matches!(step, StepKind::Do { .. });
    // A condition that fails ends the rule: what changes something stays on its side of it.
    if (is_condition(a) || is_condition(b)) && (acts(a) || acts(b)) {
        return false;
    }
    let (reads_a, writes_a) = (reads(a), writes(a));
    let (reads_b, writes_b) = (reads(b), writes(b));
    writes_a.is_disjoint(&reads_b) && writes_b.is_disjoint(&reads_a) && writes_a.is_disjoint(&writes_b)
}

/// True for a step that changes more than which device is the matched one.
pub(super) fn acts(step: &StepKind) -> bool {
    match step {
        StepKind::When(condition) => matches!(condition.subject, Subject::Program(_) | Subject::Import(_)),
        StepKind::Parent(_) => false,
        StepKind::Do { .. } => true,
    }
}

fn writes(step: &StepKind) -> BTreeSet<Thing> {
    let mut out = BTreeSet::new();
    match step {
        StepKind::When(_) => {}
        StepKind::Parent(_) => drop(out.insert(Thing::Matched)),
        StepKind::Do { effect, .. } => match effect {
            Effect::Property { key, .. } => drop(out.insert(Thing::Property(key.clone()))),
            Effect::Name(_) => drop(out.insert(Thing::Name)),
            Effect::Link { .. } => drop(out.insert(Thing::Links)),
            Effect::Tag { .. } => drop(out.insert(Thing::Tags)),
            Effect::Access(_) => out.extend([Thing::Tags, Thing::Runs]),
            Effect::Start(_) => {
                out.extend([Thing::Tags, Thing::Property("SYSTEMD_WANTS".into())]);
            }
            Effect::WriteAttribute { .. } | Effect::WriteSysctl { .. } => drop(out.insert(Thing::World)),
            Effect::StringEscape(StringEscape::None | StringEscape::Replace) => {
                out.insert(Thing::Escape);
            }
            Effect::Index { .. } => drop(out.insert(Thing::Index)),
            Effect::Run { .. } | Effect::RunBuiltin { .. } => drop(out.insert(Thing::Runs)),
            _ => {}
        },
    }
    out
}

fn reads(step: &StepKind) -> BTreeSet<Thing> {
    let mut out = BTreeSet::new();
    match step {
        StepKind::When(condition) => match &condition.subject {
            Subject::Result => drop(out.insert(Thing::Result)),
            Subject::Property(key) => drop(out.insert(Thing::Property(key.clone()))),
            _ => {}
        },
        StepKind::Parent(_) => {}
        StepKind::Do { effect: Effect::Property { .. } | Effect::Name(_) | Effect::Link { .. }, .. } => {
            out.insert(Thing::Escape);
        }
        StepKind::Do { .. } => {}
    }
    for part in templates(step).into_iter().flat_map(|template| template.parts()) {
        let Part::Var(var) = part else { continue };
        match var {
            Var::Env(key) => drop(out.insert(Thing::Property(key.clone()))),
            Var::Attr(_) => out.extend([Thing::Matched, Thing::World]),
            Var::Driver | Var::Id => drop(out.insert(Thing::Matched)),
            Var::Result(_) => drop(out.insert(Thing::Result)),
            Var::Name => drop(out.insert(Thing::Name)),
            Var::Links => drop(out.insert(Thing::Links)),
            Var::Index => drop(out.insert(Thing::Index)),
            _ => {}
        }
    }
    out
}

/// All templates of a step.
fn templates(step: &StepKind) -> Vec<&Template> {
    match step {
        StepKind::When(condition) => of_subject(&condition.subject),
        StepKind::Parent(group) => {
            group.iter().flat_map(|(_, condition)| of_subject(&condition.subject)).collect()
        }
        StepKind::Do { effect, .. } => of_effect(effect),
    }
}

fn of_subject(subject: &Subject) -> Vec<&Template> {
    match subject {
        Subject::Attribute(name) | Subject::File(name) => vec![name],
        Subject::Sysctl(name) => vec![name],
        Subject::Program(command) => of_command(command),
        Subject::Import(Import::Program(command)) => of_command(command),
        Subject::Import(Import::Builtin(builtin)) => of_command(&builtin.arguments),
        Subject::Import(
            Import::File(name) | Import::Db(name) | Import::CommandLine(name) | Import::ParentNamed(name),
        ) => vec![name],
        _ => Vec::new(),
    }
}

fn of_command(command: &Command) -> Vec<&Template> {
    match command {
        Command::Argv(words) => words.iter().collect(),
        Command::Line(line) => vec![line],
    }
}

fn of_effect(effect: &Effect) -> Vec<&Template> {
    match effect {
        Effect::Link { names, .. } => names.iter().collect(),
        Effect::Name(one)
        | Effect::Owner(Principal::Template(one))
        | Effect::Group(Principal::Template(one))
        | Effect::Mode(Mode::Template(one))
        | Effect::Property { value: one, .. }
        | Effect::Tag { tag: one, .. }
        | Effect::Index { by: one, .. }
        | Effect::Start(one)
        | Effect::SecurityLabel { label: one, .. } => vec![one],
        Effect::WriteAttribute { name, value } => vec![name, value],
        Effect::WriteSysctl { name, value } => vec![name, value],
        Effect::Run { command, .. } => of_command(command),
        Effect::RunBuiltin { builtin, .. } => of_command(&builtin.arguments),
        _ => Vec::new(),
    }
}

/// The step with each of its templates changed.
pub(super) fn map_templates<E>(
    step: &mut StepKind,
    change: &mut impl FnMut(&mut Template) -> Result<(), E>,
) -> Result<(), E> {
    match step {
        StepKind::When(condition) => map_subject(&mut condition.subject, change),
        StepKind::Parent(group) => {
            group.iter_mut().try_for_each(|(_, condition)| map_subject(&mut condition.subject, change))
        }
        StepKind::Do { effect, .. } => map_effect(effect, change),
    }
}

fn map_subject<E>(
    subject: &mut Subject,
    change: &mut impl FnMut(&mut Template) -> Result<(), E>,
) -> Result<(), E> {
    match subject {
        Subject::Attribute(name) | Subject::File(name) => name.change(change),
        Subject::Sysctl(name) => name.change(change),
        Subject::Program(command) | Subject::Import(Import::Program(command)) => map_command(command, change),
        Subject::Import(Import::Builtin(builtin)) => map_command(&mut builtin.arguments, change),
        Subject::Import(
            Import::File(name) | Import::Db(name) | Import::CommandLine(name) | Import::ParentNamed(name),
        ) => change(name),
        _ => Ok(()),
    }
}

fn map_command<E>(
    command: &mut Command,
    change: &mut impl FnMut(&mut Template) -> Result<(), E>,
) -> Result<(), E> {
    match command {
        Command::Argv(words) => words.iter_mut().try_for_each(change),
        Command::Line(line) => line.change(change),
    }
}

fn map_effect<E>(
    effect: &mut Effect,
    change: &mut impl FnMut(&mut Template) -> Result<(), E>,
) -> Result<(), E> {
    match effect {
        Effect::Link { names, .. } => names.iter_mut().try_for_each(change),
        Effect::Name(one)
        | Effect::Owner(Principal::Template(one))
        | Effect::Group(Principal::Template(one))
        | Effect::Mode(Mode::Template(one))
        | Effect::Property { value: one, .. }
        | Effect::Tag { tag: one, .. }
        | Effect::Index { by: one, .. }
        | Effect::Start(one)
        | Effect::SecurityLabel { label: one, .. } => change(one),
        Effect::WriteAttribute { name, value } => {
            name.change(&mut *change)?;
            change(value)
        }
        Effect::WriteSysctl { name, value } => {
            name.change(&mut *change)?;
            change(value)
        }
        Effect::Run { command, .. } => map_command(command, change),
        Effect::RunBuiltin { builtin, .. } => map_command(&mut builtin.arguments, change),
        _ => Ok(()),
    }
}
