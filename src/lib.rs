//! nameplate: a device manager for Linux. Devices get the names their rules give them, and keep them.
//!
//! The library owns everything but the command line's `main`. A folder is a room on the way of an event
//! (uevent, queue, device, rules, decide, apply); a file at this level is vocabulary. A module uses only modules of a
//! lower level: `tests/layers.rs` holds the table and checks it.

// level 0: vocabulary
pub mod diag;
pub mod ids;
pub mod properties;
pub mod roots;
pub mod sys;
pub mod text;

// level 1
pub mod config;
pub mod log;
pub mod machine;
pub mod recording;

// level 2
pub mod probe;
pub mod queue;
pub mod store;
pub mod uevent;

// level 3
pub mod device;

// level 4
pub mod builtin;
pub mod rules;

// level 5 to 8
pub mod apply;
pub mod cli;
pub mod daemon;
pub mod decide;

/// For tests that can't run here.
#[cfg(test)]
#[path = "../tests/common/skip.rs"]
mod skipping;
