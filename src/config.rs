//! Owns the configuration: what may stand in `nameplate.toml`, its defaults, and where the file is looked for.
//!
//! [`KEYS`] is the one table of keys: the reader, the man page and the tests follow it. A key that is wrong is reported
//! and keeps the value it had; the rest goes on. Never decides what a value means for a running daemon.

mod udev;
pub mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use toml::de::{DeTable, DeValue};

use crate::diag::{Diagnostic, Place, SourceFile};
use crate::roots::Roots;

/// The name of the configuration file in its directories.
pub const FILE_NAME: &str = "nameplate.toml";
/// The directory beside it whose files are read after it.
pub const DROP_IN_DIR: &str = "conf.d";
/// Most threads that carry out events, whoever asks for more.
pub const MOST_WORKERS: usize = 1024;

/// Codes of the diagnostics of this module.
pub mod codes {
    /// The file can't be read.
    pub const UNREADABLE: &str = "unreadable";
    /// The text is no TOML.
    pub const SYNTAX: &str = "syntax";
    /// A key that does not exist.
    pub const UNKNOWN_KEY: &str = "unknown-key";
    /// A value of another type than the key's.
    pub const WRONG_TYPE: &str = "wrong-type";
    /// A value of the right type that can't be taken.
    pub const BAD_VALUE: &str = "bad-value";
}

/// How nameplate stands to udevd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Companion where a udevd runs, standalone otherwise.
    #[default]
    Auto,
    /// nameplate is the device manager.
    Standalone,
    /// udevd is; nameplate adds the names that its own rules ask for.
    Companion,
}

impl Mode {
    /// The words of the key, in the order of the variants.
    pub const WORDS: &[(&str, Mode)] =
        &[("auto", Mode::Auto), ("standalone", Mode::Standalone), ("companion", Mode::Companion)];
}

/// When the names of users and groups in rules are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResolveNames {
    /// Once, when rules are read.
    #[default]
    Early,
    /// At each event.
    Late,
    /// Never: only numbers count.
    Never,
}

impl ResolveNames {
    /// The words of the key, in the order of the variants.
    pub const WORDS: &[(&str, ResolveNames)] =
        &[("early", ResolveNames::Early), ("late", ResolveNames::Late), ("never", ResolveNames::Never)];
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How nameplate stands to udevd.
    pub mode: Mode,
    /// Worker threads; `None` is one for each processor.
    pub workers: Option<NonZeroUsize>,
    /// At most so many events are handled at a time, as udevd's files, the kernel's command line or that of the daemon ask. No
    /// key of the file.
    pub children_max: Option<NonZeroUsize>,
    /// How long one event may take, its programs included.
    pub event_timeout: Duration,
    /// How long one program may run.
    pub program_timeout: Duration,
    /// The signal that a program gets when its time is over.
    pub timeout_signal: Signal,
    /// How long an event waits before each of the programs at its end.
    pub exec_delay: Duration,
    /// Disks are made read-only when they are added, as the kernel's command line asks. No key of the file.
    pub read_only_disks: bool,
    /// Bytes of the uevent socket's receive buffer; 1 to `i32::MAX`, which is what the kernel takes.
    pub receive_buffer: usize,
    /// Unfinished events that are kept at most.
    pub queue_limit: NonZeroUsize,
    /// The least important messages that are logged.
    pub log_level: tracing::Level,
    /// When the names of users and groups in rules are looked up.
    pub resolve_names: ResolveNames,
    /// Where links are made in place of the device directory; then nothing else is touched.
    pub link_dir: Option<PathBuf>,
    /// Directories of rules beside the standard ones, stronger than these, strongest first.
    pub rules: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            workers: None,
            children_max: None,
            event_timeout: Duration::from_secs(180),
            program_timeout: Duration::from_secs(180),
            timeout_signal: Signal::SIGKILL,
            exec_delay: Duration::ZERO,
            read_only_disks: false,
            receive_buffer: 128 << 20,
            queue_limit: NonZeroUsize::MIN.saturating_add(65_535),
            log_level: tracing::Level::INFO,
            resolve_names: ResolveNames::Early,
            link_dir: None,
            rules: Vec::new(),
        }
    }
}

/// What the daemon's command line says: it is stronger than every file, and weaker than the kernel's command line, by which
/// a machine is saved whose own configuration keeps it from coming up. `None`: nothing.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// In the place of `log_level`.
    pub log_level: Option<tracing::Level>,
    /// In the place of `children_max`; inside `None` for no limit.
    pub children_max: Option<Option<NonZeroUsize>>,
    /// In the place of `exec_delay`.
    pub exec_delay: Option<Duration>,
    /// In the place of `event_timeout`.
    pub event_timeout: Option<Duration>,
    /// In the place of `timeout_signal`.
    pub timeout_signal: Option<Signal>,
    /// In the place of `resolve_names`.
    pub resolve_names: Option<ResolveNames>,
}

impl Typed {
    /// Lays it over what the files say; `kernel` is what the kernel's command line makes of a configuration without files.
    pub fn apply(&self, config: &mut Config, kernel: &Config) {
        fn put<T: PartialEq>(to: &mut T, typed: Option<T>, kernel: T, unsaid: &T) {
            match typed {
                Some(_) if kernel != *unsaid => *to = kernel,
                Some(typed) => *to = typed,
                None => {}
            }
        }
        let (kernel, unsaid) = (kernel.clone(), Config::default());
        put(&mut config.exec_delay, self.exec_delay, kernel.exec_delay, &unsaid.exec_delay);
        put(&mut config.event_timeout, self.event_timeout, kernel.event_timeout, &unsaid.event_timeout);
        put(&mut config.log_level, self.log_level, kernel.log_level, &unsaid.log_level);
        put(&mut config.children_max, self.children_max, kernel.children_max, &unsaid.children_max);
        put(&mut config.timeout_signal, self.timeout_signal, kernel.timeout_signal, &unsaid.timeout_signal);
        put(&mut config.resolve_names, self.resolve_names, kernel.resolve_names, &unsaid.resolve_names);
    }
}

/// One key of the configuration file.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What kind of value it takes, for people.
    pub kind: &'static str,
    /// The default as it would stand in the file; `None` where the key has none.
    pub default: Option<&'static str>,
    /// What it does: sentences for the man page.
    pub doc: &'static str,
    set: fn(&mut Config, &DeValue<'_>) -> Result<(), Wrong>,
}

/// Why a value can't be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrong {
    code: &'static str,
    message: String,
    hint: String,
}

/// Every key, in the order of the man page.
pub const KEYS: &[Key] = &[
    Key {
        name: "mode",
        kind: "\"auto\", \"standalone\" or \"companion\"",
        default: Some("\"auto\""),
        doc: "How nameplate stands to udevd. As companion it leaves udevd at its work and adds the names that its own \
              rules ask for, which may match the properties that udevd found. Standalone it is the device manager itself. With \"auto\" it is companion where a udevd \
              answers, standalone otherwise.",
        set: |c, v| value::one_of(v, Mode::WORDS).map(|mode| c.mode = mode),
    },
    Key {
        name: "workers",
        kind: "whole number, 0 to 1024",
        default: Some("0"),
        doc: "How many threads carry out events. 0 is one for each processor.",
        set: |c, v| value::whole(v, 0, MOST_WORKERS).map(|n| c.workers = NonZeroUsize::new(n)),
    },
    Key {
        name: "event_timeout",
        kind: "duration",
        default: Some("\"180s\""),
        doc: "How long one event may take, with all its programs. An event that takes longer is given up: the last \
              good record of its device stays in force.",
        set: |c, v| value::duration(v).map(|d| c.event_timeout = d),
    },
    Key {
        name: "program_timeout",
        kind: "duration",
        default: Some("\"180s\""),
        doc: "How long one program of a rule may run, if the event has as much time left. Then it is killed, with all that it started.",
        set: |c, v| value::duration(v).map(|d| c.program_timeout = d),
    },
    Key {
        name: "timeout_signal",
        kind: "name of a signal",
        default: Some("\"SIGKILL\""),
        doc: "What a program gets whose time is over, with all that it started. If it does not end by that within a \
              second it is killed.",
        set: |c, v| value::signal(v).map(|signal| c.timeout_signal = signal),
    },
    Key {
        name: "exec_delay",
        kind: "duration",
        default: Some("\"0s\""),
        doc: "How long an event waits before each of the programs at its end. For finding a program that runs too early.",
        set: |c, v| value::duration_or_none(v).map(|d| c.exec_delay = d),
    },
    Key {
        name: "receive_buffer",
        kind: "size",
        default: Some("\"128M\""),
        doc: "The receive buffer of the kernel's events. Sizes beyond the system's limit need the capability \
              CAP_NET_ADMIN; without it the limit holds. When the buffer overflows nothing is lost for good: the \
              devices are compared with /sys.",
        set: |c, v| value::size(v).map(|n| c.receive_buffer = n),
    },
    Key {
        name: "queue_limit",
        kind: "whole number, 1 to 10000000",
        default: Some("65536"),
        doc: "How many unfinished events are kept. Beyond it they wait in the receive buffer.",
        set: |c, v| {
            let limit = value::whole(v, 1, 10_000_000)?;
            c.queue_limit = NonZeroUsize::new(limit).unwrap_or(c.queue_limit);
            Ok(())
        },
    },
    Key {
        name: "log_level",
        kind: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        default: Some("\"info\""),
        doc: "The least important messages that are logged.",
        set: |c, v| value::one_of(v, value::LOG_LEVELS).map(|level| c.log_level = level),
    },
    Key {
        name: "resolve_names",
        kind: "\"early\", \"late\" or \"never\"",
        default: Some("\"early\""),
        doc: "When the names of users and groups in rules are looked up. Early is once, when rules are read; a name that \
              the system does not have is then a mistake of the rule. Late is at each event. With \"never\" owners and \
              groups that are no numbers are left out. A change of it counts from the next start on.",
        set: |c, v| value::one_of(v, ResolveNames::WORDS).map(|when| c.resolve_names = when),
    },
    Key {
        name: "link_dir",
        kind: "absolute path",
        default: None,
        doc: "Links are made below this directory in place of /dev, and nothing else is touched: no permissions, no \
              network names, no records of udev's. Any user can run nameplate so.",
        set: |c, v| value::path(v).map(|path| c.link_dir = Some(path)),
    },
    Key {
        name: "rules",
        kind: "list of absolute paths",
        default: Some("[]"),
        doc: "More directories of rules, strongest first. They are stronger than the standard ones: a file of theirs \
              replaces one of the same name there.",
        set: |c, v| value::paths(v).map(|paths| c.rules = paths),
    },
];

/// A configuration with where it came from and what was wrong.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The values; where something was wrong, the weaker file's or the default.
    pub config: Config,
    /// The files that were read, in that order. A later one overrules an earlier one.
    pub files: Vec<PathBuf>,
    /// What was wrong, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    fn read(&mut self, path: &Path) {
        match fs::read(path) {
            Ok(bytes) => {
                let source = SourceFile::new(path, &bytes);
                self.diagnostics.append(&mut apply(&mut self.config, &source));
                self.files.push(path.into());
            }
            Err(error) => self.diagnostics.push(unreadable(path, &error)),
        }
    }
}

/// Where the configuration of a process comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The standard directories of a system.
    Standard(Roots),
    /// One file, as `--config` asks.
    File(PathBuf),
}

impl Source {
    /// Reads it, as it is now.
    pub fn read(&self) -> Loaded {
        match self {
            Source::Standard(roots) => load(roots, Loaded::default()),
            Source::File(path) => load_file(path),
        }
    }

    /// The same for who is in udevd's place: what was said to udevd (its files, the kernel's command line) holds where
    /// nameplate's own files say nothing else.
    pub fn read_as_manager(&self) -> Loaded {
        match self {
            Source::Standard(roots) => load(roots, udev::load(roots)),
            Source::File(path) => load_file(path),
        }
    }

    /// What the kernel's command line alone makes of a configuration, for who is in udevd's place.
    pub fn of_kernel(&self) -> Config {
        match self {
            Source::Standard(roots) => udev::of_kernel(roots),
            Source::File(_) => Config::default(),
        }
    }

    /// The files and directories that it comes from, there or not: what to watch for changes.
    pub fn places(&self) -> Vec<PathBuf> {
        match self {
            Source::Standard(roots) => {
                let dirs = roots.config_dirs().into_iter();
                dirs.flat_map(|dir| [dir.join(FILE_NAME), dir.join(DROP_IN_DIR)]).collect()
            }
            Source::File(path) => vec![path.clone()],
        }
    }
}

/// Reads the system's configuration: `nameplate.toml` of the strongest directory that has one, then the files
/// `conf.d/*.toml` of all directories by name; of two with one name the stronger directory's counts, and an empty one
/// (or a link to the null device) masks the others. What they say is laid over `loaded`.
fn load(roots: &Roots, mut loaded: Loaded) -> Loaded {
    let dirs = roots.config_dirs();
    if let Some(main) =
        dirs.iter().map(|dir| dir.join(FILE_NAME)).find(|path| path.symlink_metadata().is_ok())
    {
        loaded.read(&main);
    }
    let mut drop_ins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for dir in dirs.iter().map(|dir| dir.join(DROP_IN_DIR)) {
        match toml_files(&dir) {
            Ok(paths) => {
                for (name, path) in paths {
                    drop_ins.entry(name).or_insert(path);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => loaded.diagnostics.push(unreadable(&dir, &error)),
        }
    }
    for path in drop_ins.values() {
        loaded.read(path);
    }
    loaded
}

/// Reads exactly this file, as `--config` asks. A file that can't be read is among the diagnostics.
pub fn load_file(path: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    loaded.read(path);
    loaded
}

fn toml_files(dir: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let path = dir.join(&name);
        if path.extension().is_some_and(|extension| extension == "toml") {
            found.push((name, path));
        }
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let place = SourceFile::new(path, b"").place(0..0);
    Diagnostic::error(codes::UNREADABLE, format!("can't be read: {error}"), place)
}

/// Lays one file's keys over `config`; what is wrong changes nothing and comes back.
pub fn apply(config: &mut Config, source: &Arc<SourceFile>) -> Vec<Diagnostic> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        // Half a file may mean anything: of a text that is no TOML nothing is taken.
        return errors
            .iter()
            .map(|e| {
                Diagnostic::error(codes::SYNTAX, e.message(), source.place(e.span().unwrap_or_default()))
            })
            .collect();
    }
    let mut diagnostics = Vec::new();
    for (name, value) in document.get_ref() {
        match KEYS.iter().find(|key| key.name == name.get_ref()) {
            Some(key) => {
                if let Err(wrong) = (key.set)(config, value.get_ref()) {
                    let message = format!("`{}`: {}", key.name, wrong.message);
                    let place = source.place(value.span());
                    diagnostics.push(Diagnostic::error(wrong.code, message, place).hint(wrong.hint));
                }
            }
            None => diagnostics.push(unknown_key(name.get_ref(), source.place(name.span()))),
        }
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.place.span.start);
    diagnostics
}

fn unknown_key(name: &str, place: Place) -> Diagnostic {
    let hint = match crate::text::nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(meant) => format!("write `{meant}`"),
        None => format!("the keys are {}", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{name}`"), place).hint(hint)
}

#[cfg(test)]
mod tests;
