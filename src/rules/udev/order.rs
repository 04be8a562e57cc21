//! Owns the order in which the tokens of one line count: by kind, and as written within a kind.
//!
//! udev's rules depend on it: `ENV` is compared before `IMPORT` runs, `RESULT` after `PROGRAM`, `SYMLINK` sees what the
//! same line put into `ENV`.

use crate::rules::ir::{Effect, Import, Mode, Principal, StepKind, StringEscape, Subject};

/// The turn of a condition on a device further up: all of them together take one.
pub const PARENTS: u8 = 12;

/// The turn of a step; lower ones come first.
pub fn turn(step: &StepKind) -> u8 {
    match step {
        StepKind::When(condition) => condition_turn(&condition.subject),
        StepKind::Parent(_) => PARENTS,
        StepKind::Do { effect, .. } => effect_turn(effect),
    }
}

/// The turn of a condition on the event's own device.
fn condition_turn(subject: &Subject) -> u8 {
    match subject {
        Subject::Action => 0,
        Subject::Devpath => 1,
        Subject::Kernel => 2,
        Subject::Link => 3,
        Subject::Name => 4,
        Subject::Property(_) | Subject::Devtype => 5,
        Subject::Const(_) => 6,
        Subject::Tag => 7,
        Subject::Subsystem => 8,
        Subject::Driver => 9,
        Subject::Attribute(_) => 10,
        Subject::Sysctl(_) => 11,
        Subject::File(_) => 20,
        Subject::Program(_) => 21,
        Subject::Import(Import::File(_)) => 22,
        Subject::Import(Import::Program(_)) => 23,
        Subject::Import(Import::Builtin(_)) => 24,
        Subject::Import(Import::Db(_)) => 25,
        Subject::Import(Import::CommandLine(_)) => 26,
        Subject::Import(Import::Parent(_) | Import::ParentNamed(_)) => 27,
        Subject::Result => 28,
    }
}

/// The turn of a condition among those on a device further up.
pub fn parent_turn(subject: &Subject) -> u8 {
    match subject {
        Subject::Kernel => 0,
        Subject::Subsystem => 1,
        Subject::Driver => 2,
        Subject::Attribute(_) => 3,
        _ => 4,
    }
}

fn effect_turn(effect: &Effect) -> u8 {
    match effect {
        Effect::StringEscape(StringEscape::None) => 40,
        Effect::StringEscape(StringEscape::Replace) => 41,
        Effect::DbPersist => 42,
        Effect::Watch(_) => 43,
        Effect::Priority(_) => 44,
        Effect::LogLevel(_) | Effect::Dump(_) => 45,
        Effect::Owner(Principal::Template(_)) => 46,
        Effect::Group(Principal::Template(_)) => 47,
        Effect::Mode(Mode::Template(_)) => 48,
        Effect::Owner(_) => 49,
        Effect::Group(_) => 50,
        Effect::Mode(Mode::Bits(_)) => 51,
        Effect::Tag { .. } | Effect::Access(_) => 52,
        Effect::StaticNode { .. } => 53,
        Effect::SecurityLabel { .. } => 54,
        Effect::Property { .. } | Effect::Start(_) | Effect::Index { .. } => 55,
        Effect::Name(_) => 56,
        Effect::Link { .. } => 57,
        Effect::WriteAttribute { .. } => 58,
        Effect::WriteSysctl { .. } => 59,
        Effect::RunBuiltin { .. } => 60,
        Effect::Run { .. } => 61,
    }
}
