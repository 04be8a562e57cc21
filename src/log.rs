//! Owns the set-up of the log: where messages go, from which level on, and that nobody waits for them.
//!
//! Under systemd they go to the journal with the fields of events and spans as fields of its own, elsewhere to standard
//! error. Either way a thread does the writing: the others put messages into a bounded channel and go on. When that is
//! full a message is dropped and counted, and the log says so later: a log that nobody reads may lose messages, it may
//! not stop the devices. Never decides what is logged.
//!
//! How to log, so that both outputs are good to read: fields in capitals (`DEVPATH ACTION SEQNUM SUBSYSTEM RULE LINK`) are
//! for searching, and the journal shows them with `-o verbose` only; small ones (`%error`) are part of what is said, and
//! are put behind the journal's message.

#[cfg(feature = "journal")]
mod journal;
mod outbox;

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt as lines, reload};

use self::outbox::Outbox;
use crate::roots::Roots;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Lines on standard error, coloured on a terminal unless `NO_COLOR` is set.
    Stderr,
    /// The systemd journal, with fields.
    ///
    /// The client connects to the socket of the running system and knows no other; see [`Target::detect`].
    Journal,
}

impl Target {
    /// The journal, if it listens at its place and standard error leads to it, as it does in a service; standard error
    /// otherwise, and in a build without the feature `journal`.
    pub fn detect(roots: &Roots) -> Self {
        let listens = roots.journal_socket().symlink_metadata().is_ok();
        if listens && stderr_is_journal() { Target::Journal } else { Target::Stderr }
    }
}

#[cfg(feature = "journal")]
fn stderr_is_journal() -> bool {
    systemd_journal_logger::connected_to_journal()
}

#[cfg(not(feature = "journal"))]
fn stderr_is_journal() -> bool {
    false
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something in this process has set up a log before.
    #[error("the log is set up already")]
    Twice,
    /// No thread could be started.
    #[error("no thread for the log")]
    Thread(#[source] std::io::Error),
}

/// Keeps the log running. When dropped, what was logged so far is written; a log that takes nothing for two seconds is
/// given up.
#[derive(Debug)]
#[must_use = "when it is dropped the log ends"]
pub struct Guard {
    control: Control,
    writer: Option<outbox::Writer>,
}

impl Guard {
    /// A handle for what can be changed and asked while the log runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
    }
}

/// What can be changed and asked while the log runs.
#[derive(Clone)]
pub struct Control {
    level: reload::Handle<LevelFilter, Registry>,
    outbox: Arc<Outbox>,
}

impl Control {
    /// Logs messages of this level and more important ones from now on.
    pub fn set_level(&self, level: Level) {
        // The handle fails only when the subscriber is gone, and then there is no log to filter.
        let _gone = self.level.reload(LevelFilter::from_level(level));
    }

    /// The level in force.
    pub fn level(&self) -> Option<Level> {
        self.level.clone_current().and_then(|filter| filter.into_level())
    }

    /// Messages that were dropped because the log did not take them in time, or refused them.
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("level", &self.level()).field("dropped", &self.dropped()).finish()
    }
}

/// Starts the log of this process.
pub fn init(level: Level, target: Target) -> Result<Guard, InitError> {
    let (outbox, writer) = outbox::start(target).map_err(InitError::Thread)?;
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let control = Control { level: handle, outbox: Arc::clone(&outbox) };
    let started = tracing_subscriber::registry().with(filter).with(layer(target, outbox)).try_init();
    let guard = Guard { control, writer: Some(writer) };
    started.map(|()| guard).map_err(|_already| InitError::Twice)
}

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

fn layer<S>(target: Target, outbox: Arc<Outbox>) -> BoxedLayer<S>
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    match target {
        #[cfg(feature = "journal")]
        Target::Journal => Box::new(journal::Fields::new(outbox)),
        #[cfg(not(feature = "journal"))]
        Target::Journal => line_layer(outbox),
        Target::Stderr => line_layer(outbox),
    }
}

fn line_layer<S>(outbox: Arc<Outbox>) -> BoxedLayer<S>
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let terminal = std::io::stderr().is_terminal();
    // https://no-color.org: set to anything but nothing
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = lines::layer().compact().with_target(false).with_ansi(colours);
    let layer = layer.with_writer(move || outbox::Line::new(Arc::clone(&outbox)));
    // Whoever watches a terminal knows what time it is.
    if terminal { Box::new(layer.without_time()) } else { Box::new(layer) }
}
