//! `nameplate daemon`: the device manager itself.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::site;
use crate::config;
use crate::daemon::control::protocol::Mode;
use crate::daemon::{self, Settings, mode};
use crate::diag;
use crate::log;
use crate::sys::process::{close_inherited_on_exec, heed_inherited_signals};

/// Run the device manager
///
/// In the foreground, until SIGTERM; SIGHUP reloads. With --link-dir any user may run one: links go below that directory and
/// nothing else is touched.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How to stand to udevd; auto: companion where a udevd runs, else standalone
    #[arg(long, value_enum, value_name = "MODE")]
    pub(super) mode: Option<ModeArg>,
    /// When to look up the names of users and groups in rules: at start, at each event, or never
    #[arg(short = 'N', long, value_name = "WHEN", value_parser = ["early", "late", "never"])]
    pub(super) resolve_names: Option<String>,
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

impl From<ModeArg> for config::Mode {
    fn from(typed: ModeArg) -> Self {
        match typed {
            ModeArg::Auto => config::Mode::Auto,
            ModeArg::Standalone => config::Mode::Standalone,
            ModeArg::Companion => config::Mode::Companion,
        }
    }
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, _out: &mut dyn Write) -> Result<Exit, Failure> {
    let asked = options.mode.map_or(context.config.config.mode, Into::into);
    let mode = mode::choose(asked, &context.roots);
    let mut context = context.clone();
    if mode == Mode::Standalone {
        context.config = context.config_source.read_as_manager();
    }
    let context = &context;
    let config = &context.config.config;
    let level = options.log_level.as_ref().and_then(|word| word.parse().ok()).unwrap_or(config.log_level);
    let guard = log::init(level, log::Target::detect(&context.roots)).map_err(failed)?;
    for diagnostic in &context.config.diagnostics {
        tracing::warn!("{}", diag::render(diagnostic, false));
    }
    let mut site = site::of(context, mode)?;
    let typed = |word: &String| config::ResolveNames::WORDS.iter().find(|(known, _)| known == word);
    if let Some((_, when)) = options.resolve_names.as_ref().and_then(typed) {
        site.resolve_names = *when;
    }
    let settings = Settings {
        site,
        mode,
        mode_reason: reason(asked, mode).to_owned(),
        rule_dirs: context.rule_dirs(mode),
        workers: config.workers.map_or_else(processors, Into::into),
        queue_limit: config.queue_limit.into(),
        receive_buffer: config.receive_buffer,
        log: guard.control(),
        config_source: context.config_source.clone(),
        config: config.clone(),
    };
    heed_inherited_signals();
    if let Err(error) = close_inherited_on_exec() {
        tracing::debug!(%error, "programs of rules inherit what this process was started with");
    }
    daemon::run(settings).map_err(failed)?;
    Ok(Exit::Ok)
}

/// Why it is this mode.
fn reason(asked: config::Mode, mode: Mode) -> &'static str {
    match (asked, mode) {
        (config::Mode::Auto, Mode::Companion) => "a udevd answers",
        (config::Mode::Auto, Mode::Standalone) => "no udevd answers",
        _ => "as configured",
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The message with its causes, as one line.
pub(super) fn failed(error: impl std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Failure::Failed(text)
}
