//! Owns where an engine works for the options of a command line: the daemon's and that of `apply`.

use super::context::Context;
use super::exit::Failure;
use crate::config::Config;
use crate::daemon::control::protocol::Mode;
use crate::daemon::{Reach, Site};
use crate::sys::process::Limit;

/// How long a program may run, and what it is told then.
pub(super) fn program_limit(config: &Config) -> Limit {
    Limit { timeout: config.program_timeout, signal: config.timeout_signal }
}

/// The directories, made where they are missing, and how far the arm reaches.
pub(super) fn of(context: &Context, mode: Mode) -> Result<Site, Failure> {
    let link_dir = context.link_dir().to_owned();
    if context.own_link_dir.is_some() {
        std::fs::create_dir_all(&link_dir)
            .map_err(|source| Failure::File { path: link_dir.clone(), source })?;
    }
    Ok(Site {
        roots: context.roots.clone(),
        run_dir: context.run_dir(),
        state_dir: context.state_dir(),
        reach: match (&context.own_link_dir, mode) {
            (Some(_), _) => Reach::LinkDir,
            (None, Mode::Companion) => Reach::Companion,
            (None, Mode::Standalone) => Reach::Everything,
        },
        beside_udevd: mode == Mode::Companion,
        resolve_names: context.config.config.resolve_names,
        event_timeout: context.config.config.event_timeout,
        program_limit: program_limit(&context.config.config),
        exec_delay: context.config.config.exec_delay,
        read_only_disks: context.config.config.read_only_disks,
        link_dir,
    })
}
