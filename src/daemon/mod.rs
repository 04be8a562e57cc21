//! Owns the running daemon: its sources (uevents, clients, rule files, signals), its threads, its start and its end.
//!
//! The main loop only waits for messages and hands them on; the reader thread empties the socket, workers carry events
//! through `engine`. Set up in order, taken down in the reverse.

mod commands;
pub mod control;
mod core;
mod counters;
mod engine;
mod job;
pub mod mode;
mod origins;
mod programs;
mod reader;
mod reload;
mod report;
mod resync;
mod rule_watch;
mod signals;
mod start;
mod systemd;
mod view;
mod watch;
mod work;
mod workers;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use self::commands::Service;
use self::control::protocol::{Difference, Mode};
use self::control::{Broadcast, Server, socket_path};
use self::core::{Core, RulesInForce};
pub use self::engine::{Engine, Handled, Reach, Site};
use self::job::Token;
use self::reader::Reader;
use self::rule_watch::RuleWatch;
use self::signals::SignalThread;
pub use self::start::uevent_of;
use self::work::Work;
use self::workers::Workers;
use crate::config;
use crate::ids::SeqNum;
use crate::roots::Roots;
use crate::uevent::KernelSocket;

/// What the daemon needs to know, once options and configuration are worked out.
#[derive(Debug)]
pub struct Settings {
    /// Where it works.
    pub site: Site,
    /// How it stands to udevd.
    pub mode: Mode,
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
    /// A signal or a client asks for the end.
    Stop,
    /// A signal asks for the rules to be read again.
    Reload,
    /// A client asks for the same and waits for the difference.
    ReloadFor(Sender<Difference>),
    /// Something in a rule directory is different.
    RulesTouched,
    /// Events were lost, and why. Barriers wait for the token.
    Resync(&'static str, Token),
    /// A sequence number never came: perhaps an event of ours, perhaps another network namespace's.
    Gap,
    /// Something the daemon can't go on without has failed.
    Failed(&'static str),
}

/// The main loop looks after its workers at least so often.
const TICK: Duration = Duration::from_secs(1);
/// A missing number is only a hint: it leads to a comparison at most this often.
const GAP_PAUSE: Duration = Duration::from_secs(30);

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
    // listening begins before anything is looked at: what comes in between is in the socket
    let socket = KernelSocket::open(settings.receive_buffer)?;
    let before = last_seqnum(&settings.site.roots);
    let core = Arc::new(core(settings, &socket, main)?);
    let server =
        Server::start(&socket_path(&core.engine.site().run_dir), Arc::new(Service(Arc::clone(&core))))?;
    let ended = serve(&core, socket, before, &messages);
    systemd::stopping();
    core.work.stop();
    drop(server);
    ended
}

fn core(settings: Settings, socket: &KernelSocket, main: Sender<Message>) -> Result<Core, DaemonError> {
    let reach = settings.site.reach;
    let watches = (reach == Reach::Everything).then(|| watch::Watches::start(&settings.site.roots.sys));
    Ok(Core {
        engine: Engine::open(settings.site)?,
        work: Arc::new(Work::new(settings.queue_limit)),
        workers: Workers::default(),
        worker_count: settings.workers,
        counters: Arc::default(),
        broadcast: Arc::new(Broadcast::new()),
        arrivals: Arc::default(),
        wake: reader::wake_fd().map_err(|e| DaemonError::Start("the reader", e))?,
        mode: settings.mode,
        rule_dirs: settings.rule_dirs,
        queue_limit: settings.queue_limit,
        receive_buffer: socket.receive_buffer().unwrap_or(0),
        started: Instant::now(),
        ready: AtomicBool::new(false),
        main,
        log: settings.log,
        config_source: settings.config_source,
        config: std::sync::Mutex::new(settings.config),
        watches: watches.transpose().map_err(|e| DaemonError::Start("the watch on nodes", e))?,
        rules: RulesInForce::default(),
    })
}

/// Start-up, main loop.
fn serve(
    core: &Arc<Core>,
    socket: KernelSocket,
    before: SeqNum,
    messages: &Receiver<Message>,
) -> Result<(), DaemonError> {
    let first = self::core::first(&core.rule_dirs, core.engine.accounts());
    first.complain();
    core.rules.replace(first);
    let mut watch = watch_rules(core);
    core.arrivals.begin();
    let devices = core.engine.take_over()?;
    start_reader(core, socket, before)?;
    Workers::start(core, core.worker_count).map_err(|e| DaemonError::Start("the workers", e))?;
    start::evaluate_all(core.engine.tree(), &devices, &core.arrivals, &core.work);
    drop(devices);
    core.arrivals.end();
    core.engine.repair();
    core.ready.store(true, Ordering::Release);
    announce(core);
    main_loop(core, messages, &mut watch)
}

fn announce(core: &Core) {
    let (devices, links) = (core.engine.tree().stats().live, core.engine.names().look(|claims| claims.len()));
    tracing::info!("ready: {devices} devices, {links} links");
    systemd::ready(devices, links);
}

fn start_reader(core: &Arc<Core>, socket: KernelSocket, before: SeqNum) -> Result<(), DaemonError> {
    let known = Arc::clone(core);
    let reader = Reader {
        socket,
        wake: Arc::clone(&core.wake),
        before,
        work: Arc::clone(&core.work),
        arrivals: Arc::clone(&core.arrivals),
        counters: Arc::clone(&core.counters),
        broadcast: Arc::clone(&core.broadcast),
        known: Box::new(move |uevent| known.engine.knows(uevent)),
        proc: core.engine.site().roots.proc.clone(),
        main: core.main.clone(),
    };
    let thread = std::thread::Builder::new().name("uevents".into()).spawn(move || reader.run());
    thread.map(drop).map_err(|e| DaemonError::Start("the reader", e))
}

fn watch_rules(core: &Core) -> Option<RuleWatch> {
    let places = [core.rule_dirs.clone(), core.config_source.places()].concat();
    RuleWatch::start(&places, core.main.clone())
        .inspect_err(|error| tracing::warn!(%error, "changes of rules go unnoticed: reload by hand"))
        .ok()
}

fn main_loop(
    core: &Arc<Core>,
    messages: &Receiver<Message>,
    watch: &mut Option<RuleWatch>,
) -> Result<(), DaemonError> {
    let tick = systemd::watchdog_interval().map_or(TICK, |interval| interval.min(TICK));
    let mut last_gap = None;
    loop {
        systemd::alive();
        match messages.recv_timeout(tick) {
            Ok(Message::Stop) => return Ok(()),
            Ok(Message::Failed(what)) => return Err(DaemonError::Failed(what)),
            Ok(Message::Reload) => drop(reload_now(core)),
            Ok(Message::ReloadFor(answer)) => drop(answer.send(reload_now(core))),
            Ok(Message::RulesTouched) => {
                reload_now(core);
                // a directory may have come or gone
                *watch = watch_rules(core);
            }
            Ok(Message::Resync(why, token)) => start_resync(core, why, token),
            Ok(Message::Gap) => {
                let now = Instant::now();
                if last_gap.is_none_or(|last| now - last >= GAP_PAUSE) {
                    last_gap = Some(now);
                    start_resync(core, "sequence numbers are missing", core.work.resync_wanted());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(DaemonError::Failed("the main loop lost its sources"));
            }
        }
        Workers::look_after(core);
    }
}

fn reload_now(core: &Core) -> Difference {
    systemd::reloading();
    reload::config(core);
    let difference = reload::reload(core);
    systemd::ready(core.engine.tree().stats().live, core.engine.names().look(|claims| claims.len()));
    difference
}

/// Runs a comparison beside the main loop: it waits for events, and the loop has others to look after.
fn start_resync(core: &Arc<Core>, why: &'static str, token: Token) {
    let shared = Arc::clone(core);
    let thread = std::thread::Builder::new().name("resync".into()).spawn(move || {
        let found = resync::resync(&shared, &token);
        shared.counters.resyncs.count();
        tracing::warn!(
            "{why}: the tree was compared with sysfs, {} devices added, {} removed, {} changed",
            found.added,
            found.removed,
            found.changed
        );
    });
    if let Err(error) = thread {
        tracing::error!(%error, "no thread to compare the tree with sysfs");
    }
}
