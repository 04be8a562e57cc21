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

use std::cell::Cell;
use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as lines};

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
    level: Arc<AtomicUsize>,
    outbox: Arc<Outbox>,
}

impl Control {
    /// Logs messages of this level and more important ones from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(rank(level), Ordering::Relaxed);
    }

    /// The level in force.
    pub fn level(&self) -> Option<Level> {
        let in_force = self.level.load(Ordering::Relaxed);
        LEVELS.into_iter().find(|level| rank(*level) == in_force)
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
    let level = Arc::new(AtomicUsize::new(rank(level)));
    let control = Control { level: Arc::clone(&level), outbox: Arc::clone(&outbox) };
    let started =
        tracing_subscriber::registry().with(Threshold(level)).with(layer(target, outbox)).try_init();
    let guard = Guard { control, writer: Some(writer) };
    started.map(|()| guard).map_err(|_already| InitError::Twice)
}

/// All levels, the most important first.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// How many levels a log of that level holds.
fn rank(level: Level) -> usize {
    LEVELS.iter().take_while(|one| **one < level).count() + 1
}

thread_local! {
    /// The rank that this thread logs by, if it is another than that of the process.
    static HERE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets this thread log by a level of syslog's (0 to 7) until what comes back is dropped.
#[must_use]
pub fn here(level: u8) -> Here {
    let level = match level {
        0..=3 => Level::ERROR,
        4 => Level::WARN,
        5 | 6 => Level::INFO,
        _ => Level::DEBUG,
    };
    Here { before: HERE.replace(Some(rank(level))) }
}

/// Ends what [`here`] began when it is dropped.
#[derive(Debug)]
pub struct Here {
    before: Option<usize>,
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(self.before);
    }
}

/// Lets through what is important enough for the thread that logs.
struct Threshold(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Threshold {
    /// The answer is another one for each event.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        rank(*metadata.level()) <= HERE.get().unwrap_or_else(|| self.0.load(Ordering::Relaxed))
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers the levels of what it is shown.
    struct Seen(Arc<Mutex<Vec<Level>>>);

    impl<S: tracing::Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    #[test]
    fn a_thread_logs_more_or_less_for_a_while() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let threshold = Threshold(Arc::new(AtomicUsize::new(rank(Level::INFO))));
        let subscriber = tracing_subscriber::registry().with(threshold).with(Seen(Arc::clone(&seen)));
        let log = || {
            tracing::debug!("x");
            tracing::info!("x");
            tracing::error!("x");
            std::mem::take(&mut *seen.lock().unwrap())
        };
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(log(), [Level::INFO, Level::ERROR]);
            let louder = here(7);
            assert_eq!(log(), [Level::DEBUG, Level::INFO, Level::ERROR]);
            let quieter = here(3);
            assert_eq!(log(), [Level::ERROR]);
            drop(quieter);
            assert_eq!(log(), [Level::DEBUG, Level::INFO, Level::ERROR]);
            drop(louder);
            assert_eq!(log(), [Level::INFO, Level::ERROR]);
        });
    }

    #[test]
    fn levels_of_syslog() {
        for (number, expected) in [(0, 1), (3, 1), (4, 2), (5, 3), (6, 3), (7, 4)] {
            let guard = here(number);
            assert_eq!(HERE.get(), Some(expected), "{number}");
            drop(guard);
        }
    }
}
