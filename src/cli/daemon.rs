//! `nameplate daemon`: the device manager itself.

mod background;

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::site;
use crate::config::{self, Typed, value};
use crate::daemon::control::protocol::Mode;
use crate::daemon::{self, Settings, mode};
use crate::diag;
use crate::log;
use crate::sys::process::{close_inherited_on_exec, heed_inherited_signals};

/// Run the device manager
///
/// In the foreground, until SIGTERM; SIGHUP reloads. Called by the name systemd-udevd it is this verb with --mode standalone. With
/// --link-dir any user may run one: links go below that directory and nothing else is touched.
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
    /// Log what is for finding faults: --log-level debug
    #[arg(short = 'D', long, conflicts_with = "log_level")]
    debug: bool,
    /// Go on in the background; ends when clients are answered. Messages go to the kernel's log
    #[arg(short, long)]
    daemon: bool,
    /// At most so many events at a time, whatever they wait for; 0: no limit
    #[arg(short, long, value_name = "NUMBER")]
    children_max: Option<usize>,
    /// How long an event waits before each of the programs at its end
    #[arg(short, long, value_name = "SECONDS", value_parser = span)]
    exec_delay: Option<Duration>,
    /// How long an event may take
    #[arg(short = 't', long, value_name = "SECONDS", value_parser = span_of_some)]
    event_timeout: Option<Duration>,
    /// What a program gets whose time is over
    #[arg(short = 's', long, value_name = "SIGNAL", value_parser = signal)]
    timeout_signal: Option<Signal>,
    #[arg(long, hide = true, help = "Leave the session that it was started in")]
    detached: bool,
}

impl Options {
    /// What they say of the configuration.
    fn typed(&self) -> Typed {
        let level = self.log_level.as_ref().and_then(|word| word.parse().ok());
        let when = |word: &String| config::ResolveNames::WORDS.iter().find(|(known, _)| known == word);
        Typed {
            log_level: level.or(self.debug.then_some(tracing::Level::DEBUG)),
            children_max: self.children_max.map(|count| NonZeroUsize::new(count.min(config::MOST_WORKERS))),
            exec_delay: self.exec_delay,
            event_timeout: self.event_timeout,
            timeout_signal: self.timeout_signal,
            resolve_names: self.resolve_names.as_ref().and_then(when).map(|(_, when)| *when),
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    value::time_span(text).ok_or_else(|| "write a number of seconds, or numbers with units: 1min 30s".into())
}

fn span_of_some(text: &str) -> Result<Duration, String> {
    span(text)
        .and_then(|span| if span.is_zero() { Err("no event can be that fast".into()) } else { Ok(span) })
}

fn signal(text: &str) -> Result<Signal, String> {
    value::signal_of(text).ok_or_else(|| "write a name as signal(7) has it: SIGTERM".into())
}

/// True when the program was called by the name of systemd's daemon.
pub(super) fn is_called(program: Option<&OsString>) -> bool {
    let name = program.and_then(|path| Path::new(path).file_name());
    name.is_some_and(|name| name == "systemd-udevd" || name == "udevd")
}

/// The command line of this verb for one of that daemon's.
pub(super) fn as_verb(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let own = ["nameplate", "daemon", "--mode", "standalone"].map(OsString::from);
    own.into_iter().chain(arguments).collect()
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
    if options.detached {
        let _is_leader_already = nix::unistd::setsid();
    } else if options.daemon {
        return background::start(context, mode);
    }
    let mut context = context.clone();
    if mode == Mode::Standalone {
        context.config = context.config_source.read_as_manager();
    }
    let typed = options.typed();
    typed.apply(&mut context.config.config, &context.config_source.of_kernel());
    let context = &context;
    let config = &context.config.config;
    let guard = log::init(config.log_level, log::Target::detect(&context.roots)).map_err(failed)?;
    for diagnostic in &context.config.diagnostics {
        tracing::warn!("{}", diag::render(diagnostic, false));
    }
    let settings = Settings {
        site: site::of(context, mode)?,
        mode,
        mode_reason: reason(asked, mode).to_owned(),
        rule_dirs: context.rule_dirs(mode),
        workers: config.workers.map_or_else(processors, Into::into),
        queue_limit: config.queue_limit.into(),
        receive_buffer: config.receive_buffer,
        log: guard.control(),
        config_source: context.config_source.clone(),
        config: config.clone(),
        typed,
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
