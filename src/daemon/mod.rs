//! Owns the running daemon: its sources (uevents, clients, rule files, signals), its threads, its start and its end.
//!
//! The main loop only waits for messages and hands them on; the reader thread empties the socket, workers carry events
//! through `engine`. Set up in order, taken down in the reverse.

mod backlog;
mod commands;
pub mod control;
mod core;
mod counters;
mod device_manager;
mod engine;
mod here;
mod inherited;
mod job;
mod leftovers;
mod listeners;
pub mod mode;
mod news;
mod origins;
mod programs;
mod queue_file;
mod reader;
mod reload;
mod report;
mod resync;
mod rule_watch;
mod signals;
mod source;
mod start;
mod static_nodes;
mod systemd;
mod turns;
mod udevd;
mod view;
mod watch;
mod work;
mod workers;
mod written;

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use self::backlog::Backlog;
use self::commands::Service;
use self::control::protocol::{Difference, Mode};
use self::control::{Broadcast, Server, socket_path};
use self::core::{Core, RulesInForce};
pub use self::engine::{Engine, Handled, Reach, Site, complete};
use self::job::Token;
use self::listeners::Listeners;
use self::queue_file::QueueFile;
use self::reader::Reader;
use self::rule_watch::RuleWatch;
use self::signals::SignalThread;
use self::source::Source;
pub use self::start::uevent_of;
use self::work::Work;
use self::workers::Workers;
use crate::config;
use crate::ids::SeqNum;
use crate::roots::Roots;

/// What the daemon needs to know, once options and configuration are worked out.
#[derive(Debug)]
pub struct Settings {
    /// Where it works.
    pub site: Site,
    /// How it stands to udevd.
    pub mode: Mode,
    /// Why so, in words for people.
    pub mode_reason: String,
    /// The rule directories, strongest first.
    pub rule_dirs: Vec<PathBuf>,
    /// Worker threads.
    pub workers: usize,
    /// Most events that may be unfinished.
    pub queue_limit: usize,
    /// Bytes of the uevent socket's receive buffer.
    pub receive_buffer: usize,
    /// The log of the process.
    pub log: crate::log::Control,
    /// Where the configuration is read again when it changes.
    pub config_source: config::Source,
    /// The configuration that these settings were made from.
    pub config: config::Config,
    /// What of it was said on the command line, and holds whatever becomes of the files.
    pub typed: config::Typed,
}

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A directory that it needs can't be opened or made.
    #[error("can't use {}: give another directory, or run as a user who may", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No uevents.
    #[error("can't listen to the kernel")]
    Socket(#[from] crate::uevent::OpenError),
    /// No control socket.
    #[error("can't serve clients")]
    Control(#[from] control::StartError),
    /// A thread or descriptor could not be made.
    #[error("can't start {0}")]
    Start(&'static str, #[source] io::Error),
    /// Something it can't go on without has failed.
    #[error("{0}")]
    Failed(&'static str),
}

/// What the main loop is told.
#[derive(Debug)]
enum Message {
    /// The devices of the start have their names, or why that did not work out.
    Started(Result<(), DaemonError>),
    /// A signal or a client asks for the end.
    Stop,
    /// The rules are to be read again; who asks may wait for the difference.
    Reload(Option<Sender<Difference>>),
    /// Something in a rule directory or in the configuration is different.
    RulesTouched,
    /// Events were lost, and why. Barriers wait for the token.
    Resync(&'static str, Token),
    /// A sequence number never came: perhaps an event of ours, perhaps another network namespace's.
    Gap,
    /// Something the daemon can't go on without has failed.
    Failed(&'static str),
}

/// How long the end waits for events that are being handled.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// The main loop looks after its workers at least so often.
const TICK: Duration = Duration::from_secs(1);
/// A missing number is only a hint: it leads to a comparison at most this often.
const GAP_PAUSE: Duration = Duration::from_secs(30);
/// The reason for a comparison that may not be needed: the kernel numbers the events of all network namespaces together.
const GAP: &str = "sequence numbers are missing";

/// The number of the last event that the kernel has sent; 0 where that can't be read.
pub(crate) fn last_seqnum(roots: &Roots) -> SeqNum {
    let text = std::fs::read_to_string(roots.sys.join("kernel/uevent_seqnum")).unwrap_or_default();
    SeqNum(text.trim().parse().unwrap_or(0))
}

/// Runs the daemon until it is asked to end.
pub fn run(settings: Settings) -> Result<(), DaemonError> {
    let (main, messages) = crossbeam_channel::unbounded();
    let _signals =
        SignalThread::start(main.clone()).map_err(|e| DaemonError::Start("the signal thread", e))?;
    if settings.site.reach == Reach::Everything {
        // everybody reads udev's database, whoever starts the daemon; programs of rules have the same from udevd
        let _before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    }
    // listening begins before anything is looked at: what comes in between is in the socket
    let mut inherited = if settings.site.reach == Reach::Everything {
        inherited::take()
    } else {
        inherited::Sockets::default()
    };
    let (socket, backlog) = source(&settings, inherited.kernel.take())?;
    // udevd may be behind the kernel: none of its events is older than the walk
    let before = if backlog.is_some() { SeqNum(0) } else { last_seqnum(&settings.site.roots) };
    tracing::info!("{}: {}", settings.mode.in_words(), settings.mode_reason);
    let core = Arc::new(core(settings, &socket, backlog, main)?);
    let server =
        Server::start(&socket_path(&core.engine.site().run_dir), Arc::new(Service(Arc::clone(&core))))?;
    let udev_sockets = device_manager::serve(&core, inherited.control)?;
    // before the rules are read: what changes in between is read again
    let watch = watch_rules(&core);
    let starting = Arc::clone(&core);
    let start = move || {
        or_fail(&starting.main, "the start panicked", || {
            let started = start_up(&starting, socket, before);
            let _ending = starting.main.send(Message::Started(started));
        });
    };
    let thread = std::thread::Builder::new().name("start".into()).spawn(start);
    let ended = match &thread {
        Ok(_) => main_loop(&core, &messages, watch),
        Err(_) => Ok(()),
    };
    systemd::stopping();
    core.work.stop();
    // what is half done would be left half done; programs may run on
    let end = Instant::now() + END_PATIENCE;
    let left = core.work.wait_for_workers(END_PATIENCE);
    if left > 0 {
        tracing::warn!("{left} events are not finished: the next start takes them up again");
    }
    core.work.end();
    let watched = core.watches.as_ref().map(|watches| watches.devices()).unwrap_or_default();
    core.engine.end_in_udevs_place(&watched);
    drop((udev_sockets, server));
    wait_for_start(&thread.map_err(|error| DaemonError::Start("the start", error))?, end);
    ended
}

/// Waits until the start is over, at most until `end`.
fn wait_for_start(start: &std::thread::JoinHandle<()>, end: Instant) {
    while !start.is_finished() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs what the daemon can't go on without: a panic there ends the daemon, so that it is started again.
fn or_fail(main: &Sender<Message>, what: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        let _ending = main.send(Message::Failed(what));
    }
}

/// Where events come from, and what a udevd owes if it is one.
fn source(
    settings: &Settings,
    inherited: Option<OwnedFd>,
) -> Result<(Source, Option<Arc<Backlog>>), DaemonError> {
    let buffer = settings.receive_buffer;
    if settings.mode == Mode::Companion {
        #[cfg(feature = "libudev")]
        if settings.site.asks_udevd() {
            let backlog = Arc::new(Backlog::default());
            return Ok((Source::udevd(buffer, Arc::clone(&backlog))?, Some(backlog)));
        }
        tracing::warn!(
            "udevd's events are not heard (without libudev, or below another root): properties that it found can't be matched"
        );
    }
    Ok((Source::Kernel(Box::new(inherited::kernel_socket(inherited, buffer)?)), None))
}

fn core(
    settings: Settings,
    socket: &Source,
    backlog: Option<Arc<Backlog>>,
    main: Sender<Message>,
) -> Result<Core, DaemonError> {
    let reach = settings.site.reach;
    let watches = (reach == Reach::Everything).then(|| watch::Watches::start(&settings.site.roots.sys));
    let roots = settings.site.roots.clone();
    let engine = Engine::open(settings.site)?;
    // the directory is there now
    let queue_file = (reach == Reach::Everything).then(|| QueueFile::begin(roots.run_udev().join("queue")));
    let listeners = (reach == Reach::Everything).then(|| Listeners::open(&roots));
    Ok(Core {
        engine,
        work: Arc::new(Work::new(settings.queue_limit, queue_file)),
        listeners: listeners.transpose().map_err(|e| DaemonError::Start("the socket for listeners", e))?,
        workers: Workers::default(),
        worker_count: settings.workers,
        children_max: AtomicUsize::new(core::limit_of(&settings.config)),
        counters: Arc::default(),
        broadcast: Arc::new(Broadcast::new()),
        wake: reader::wake_fd().map_err(|e| DaemonError::Start("the reader", e))?,
        reopen: Arc::default(),
        backlog,
        udevd_there: AtomicBool::new(false),
        mode: settings.mode,
        mode_reason: settings.mode_reason,
        rule_dirs: settings.rule_dirs,
        queue_limit: settings.queue_limit,
        receive_buffer: socket.receive_buffer().unwrap_or(0),
        started: Instant::now(),
        ready: AtomicBool::new(false),
        main,
        log: settings.log,
        config_source: settings.config_source,
        config: std::sync::Mutex::new(settings.config),
        typed: settings.typed,
        watches: watches.transpose().map_err(|e| DaemonError::Start("the watch on nodes", e))?,
        rules: RulesInForce::default(),
    })
}

/// Gives the devices that are there their names.
fn start_up(core: &Arc<Core>, socket: Source, before: SeqNum) -> Result<(), DaemonError> {
    let first = self::core::first(&core.rule_dirs, core.engine.accounts());
    first.complain();
    core.rules.replace(first);
    static_nodes::apply(core);
    // what the kernel says from here on is newer than what the walk finds
    let news = core.work.listen();
    core.engine.begin_in_udevs_place();
    let devices = core.engine.take_over()?;
    start_reader(core, socket, before)?;
    Workers::start(core).map_err(|e| DaemonError::Start("the workers", e))?;
    start::evaluate_all(core, devices, &news);
    if core.work.stopping() {
        return Ok(());
    }
    core.engine.finish_take_over();
    let site = core.engine.site();
    if let Err(error) = here::mark(&site.run_dir, &site.roots.top()) {
        tracing::warn!(%error, "the next start will run all programs again");
    }
    core.work.started();
    core.ready.store(true, Ordering::Release);
    Ok(())
}

fn announce(core: &Core) {
    let (devices, links) = (core.engine.tree().stats().live, core.engine.names().look(|claims| claims.len()));
    tracing::info!("ready: {devices} devices, {links} links");
    systemd::ready(devices, links);
}

fn start_reader(core: &Arc<Core>, socket: Source, before: SeqNum) -> Result<(), DaemonError> {
    let known = Arc::clone(core);
    let reader = Reader {
        socket,
        backlog: core.backlog.clone(),
        reopen: Arc::clone(&core.reopen),
        wake: Arc::clone(&core.wake),
        before,
        work: Arc::clone(&core.work),
        counters: Arc::clone(&core.counters),
        broadcast: Arc::clone(&core.broadcast),
        known: Box::new(move |uevent| known.engine.knows(uevent)),
        proc: core.engine.site().roots.proc.clone(),
        main: core.main.clone(),
    };
    let main = core.main.clone();
    let run = move || or_fail(&main, "the reader of uevents panicked", || reader.run());
    let thread = std::thread::Builder::new().name("uevents".into()).spawn(run);
    thread.map(drop).map_err(|e| DaemonError::Start("the reader", e))
}

fn watch_rules(core: &Core) -> Option<RuleWatch> {
    let places = [core.rule_dirs.clone(), core.config_source.places()].concat();
    RuleWatch::start(&places, core.main.clone())
        .inspect_err(|error| tracing::warn!(%error, "changes of rules go unnoticed: reload by hand"))
        .ok()
}

/// Waits for messages and hands them on. Never does anything long itself: it is what the watchdog listens to.
fn main_loop(
    core: &Arc<Core>,
    messages: &Receiver<Message>,
    mut watch: Option<RuleWatch>,
) -> Result<(), DaemonError> {
    let failed = |e| DaemonError::Start("the threads beside the main loop", e);
    let shared = Arc::clone(core);
    let reloads = turns::start("reload", move |asked| reload_for(&shared, asked)).map_err(failed)?;
    let shared = Arc::clone(core);
    let resyncs = turns::start("resync", move |asked| resync_for(&shared, asked)).map_err(failed)?;
    let (mut gap, mut last_gap) = (false, None);
    let mut udevd = udevd::Watch::new(core);
    let mut leftovers = leftovers::Leftovers::default();
    let tick = systemd::watchdog_interval().map_or(TICK, |interval| interval.min(TICK));
    loop {
        systemd::alive();
        match messages.recv_timeout(tick) {
            Ok(Message::Started(started)) => {
                started?;
                announce(core);
            }
            Ok(Message::Stop) => return Ok(()),
            Ok(Message::Failed(what)) => return Err(DaemonError::Failed(what)),
            Ok(Message::Reload(answer)) => reloads.ask(answer),
            Ok(Message::RulesTouched) => {
                // a directory may have come or gone
                drop(watch.take());
                watch = watch_rules(core);
                reloads.ask(None);
            }
            Ok(Message::Resync(why, token)) => resyncs.ask((why, token)),
            Ok(Message::Gap) => gap = true,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(DaemonError::Failed("the main loop lost its sources"));
            }
        }
        // one that came too soon after another is looked at later, not never
        let now = Instant::now();
        if gap && last_gap.is_none_or(|last| now - last >= GAP_PAUSE) {
            (gap, last_gap) = (false, Some(now));
            resyncs.ask((GAP, core.work.resync_wanted()));
        }
        Workers::look_after(core);
        leftovers.look(core);
        udevd.look(core);
    }
}

/// One reload for all who asked.
fn reload_for(core: &Core, asked: Vec<Option<Sender<Difference>>>) {
    if !core.ready.load(Ordering::Acquire) {
        // the start reads the rules; who asks during it gets what changed since
        core.work.wait_until(|| core.ready.load(Ordering::Acquire));
    }
    systemd::reloading();
    reload::config(core);
    let difference = reload::reload(core);
    systemd::ready(core.engine.tree().stats().live, core.engine.names().look(|claims| claims.len()));
    for answer in asked.into_iter().flatten() {
        let _client_gone = answer.send(difference.clone());
    }
}

/// One comparison for all losses so far.
fn resync_for(core: &Core, asked: Vec<(&'static str, Token)>) {
    let (reasons, tokens): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let Some(token) = tokens.first() else { return };
    let found = resync::resync(core, token);
    core.engine.repair_links();
    core.counters.resyncs.count();
    if reasons.iter().all(|reason| *reason == GAP) && found == resync::Resynced::default() {
        tracing::debug!("{GAP}, and nothing was lost: they are of other network namespaces");
        return;
    }
    tracing::warn!(
        "{}: the tree was compared with sysfs, {} devices added, {} removed, {} changed",
        reasons.first().copied().unwrap_or_default(),
        found.added,
        found.removed,
        found.changed
    );
}
