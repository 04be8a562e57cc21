//! The verbs that only look (`test`, `explain`, `check`, `info`, `tree`) through the program, on trees below `--root` and on
//! recordings: a USB serial adapter, two adapters without serial numbers, a camera. As anybody; they change nothing.

// Helpers of a test may fail as loudly as the test itself: clippy's own exception knows only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "dry/machine.rs"]
mod machine;

#[path = "dry/check.rs"]
mod check;
#[path = "dry/explain.rs"]
mod explain;
#[path = "dry/look.rs"]
mod look;
#[path = "dry/plans.rs"]
mod plans;
