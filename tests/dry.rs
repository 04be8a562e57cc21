//! The verbs that only look (`test`, `explain`, `check`, `info`, `tree`) through the program, on trees below `--root` and on
//! recordings: a USB serial adapter, two adapters without serial numbers, a camera. As anybody; they change nothing.

#![cfg(test)]

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
#[path = "dry/udev.rs"]
mod udev;
