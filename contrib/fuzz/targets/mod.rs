//! Owns what fuzzing asks of each border: one function for each, that takes any bytes and panics where the code behind
//! the border does not keep its word.
//!
//! libFuzzer calls them through `bin/`, `tests/fuzz_short.rs` of the package above with a few thousand inputs in every
//! test run. Never touches the file system and never reads a clock: one input, one answer.

pub mod builtins;
pub mod config;
pub mod control_frame;
pub mod glob;
pub mod hwdb;
pub mod monitor;
pub mod names;
pub mod record;
pub mod recording;
mod rules;
pub mod template;
pub mod toml_rules;
pub mod udev_rules;
pub mod uevent;

/// One target: it panics on an input that shows a mistake.
pub type Check = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: &[(&str, Check)] = &[
    ("builtins", builtins::check),
    ("config", config::check),
    ("control_frame", control_frame::check),
    ("glob", glob::check),
    ("hwdb", hwdb::check),
    ("monitor", monitor::check),
    ("names", names::check),
    ("record", record::check),
    ("recording", recording::check),
    ("template", template::check),
    ("toml_rules", toml_rules::check),
    ("udev_rules", udev_rules::check),
    ("uevent", uevent::check),
];

/// The parts of an input that its NUL bytes separate: `count` of them, the last with what is left (NUL bytes too).
fn parts(data: &[u8], count: usize) -> Vec<&[u8]> {
    let mut out: Vec<&[u8]> = data.splitn(count, |&b| b == 0).collect();
    out.resize(count, b"");
    out
}
