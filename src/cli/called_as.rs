//! Owns what this program does when it is not a person who calls it: the probe that the daemon starts.
//!
//! Looked at before the command table is made, since it has to be fast.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use crate::probe::{self, Role};

/// Runs what was called, if it is none of the verbs.
pub(super) fn run(args: &[OsString]) -> Option<ExitCode> {
    match args {
        [_, verb, role] if verb == probe::VERB => Some(probe::inside::run(Role::of(role.as_bytes())?)),
        _ => None,
    }
}
