//! Owns what the daemon answers to its clients: the control socket's commands over the shared core.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::protocol::Difference;
use super::control::protocol::{
    Claimant, CollisionEntry, Devices, DiagnosticEntry, Events, LinkEntry, List, Progress, Queue,
    RefusedFile, Rules, Status, text,
};
use super::control::{CommandError, Commands, Filter, Subscription};
use super::core::Core;
use super::{Message, reader, reload, udevd};
use crate::diag::Severity;
use crate::ids::{LinkName, SeqNum};
use crate::store::claims::{Claims, Holder};

/// The longest silence in a wait: a client that has gone is noticed then.
const TICK: Duration = Duration::from_millis(200);
/// A wait for udevd looks so often whether that has anything to do.
const SHORT_TICK: Duration = Duration::from_millis(50);

/// Answers clients.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Core>);

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Commands for Service {
    fn status(&self) -> Status {
        let core = &*self.0;
        let stats = core.engine.tree().stats();
        let (waiting, running, high_water) = core.work.counts();
        let (links, collisions) =
            core.engine.names().look(|claims| (claims.len(), claims.collisions().len()));
        let collisions = collisions + core.engine.names().foreign().len();
        Status {
            mode: core.mode,
            mode_reason: core.mode_reason.clone(),
            udevd: super::udevd::standing(&self.0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_usec: u64::try_from(core.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            ready: core.ready.load(Ordering::Acquire),
            devices: Devices {
                live: number(stats.live),
                gone_but_held: number(stats.gone_but_held),
                bytes: number(stats.bytes),
            },
            events: self.events(),
            queue: Queue {
                waiting: number(waiting),
                running: number(running),
                limit: number(core.queue_limit),
                high_water: number(high_water),
            },
            workers: number(core.worker_count),
            links: number(links),
            collisions: number(collisions),
            rules: self.rules(),
            log_dropped: core.log.dropped(),
            receive_buffer: number(core.receive_buffer),
        }
    }

    fn list(&self) -> List {
        let core = &*self.0;
        let mut list = core.engine.names().look(|claims| List {
            links: claims.links().map(|(link, holder)| self.link(claims, link, &holder)).collect(),
            collisions: Vec::new(),
        });
        list.links.sort_by(|a, b| a.name.cmp(&b.name));
        list.collisions = self.collisions();
        list
    }

    fn reload_plan(&self) -> Result<Difference, CommandError> {
        Ok(reload::plan(&self.0))
    }

    fn reload(&self) -> Result<Difference, CommandError> {
        let (answer, answered) = crossbeam_channel::bounded(1);
        // one thread reloads, so that two reloads never run at once and the service manager is told
        let sent = self.0.main.send(Message::Reload(Some(answer)));
        let ended = |_| CommandError::Failed("the daemon is ending".into());
        sent.map_err(|_| ended(()))?;
        answered.recv().map_err(|_| ended(()))
    }

    fn settle(&self, seqnum: Option<u64>, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Progress {
        let core = &*self.0;
        core.wait_for_writers();
        let mut goal = SeqNum(seqnum.unwrap_or_else(|| super::last_seqnum(&core.engine.site().roots).0));
        let begin = core.counters.handled.get();
        // an event that the kernel has sent is in the socket by now: when that has been emptied once more, it is in the
        // queue, or known to be lost and looked for
        let mut emptying = core.work.next_emptying();
        reader::wake(&core.wake);
        let mut before_modules = core.engine.modules().done();
        let mut loading = None;
        let mut idle = None;
        loop {
            let arrived = core.work.standing(goal).emptied >= emptying;
            // what udevd has handled is in the queue before it stops owing it; so the queue is looked at last
            let owed = core.backlog.as_ref().map_or(0, |backlog| backlog.owed_up_to(goal));
            let standing = core.work.standing(goal);
            let arrived = arrived && owed == 0;
            let ready = core.ready.load(Ordering::Acquire);
            let handled = ready && arrived && standing.done;
            // these events asked for modules, and a module brings devices: both are waited for, as where loading is part
            // of an event
            let modules = core.engine.modules();
            let asked = if handled { *loading.get_or_insert_with(|| modules.asked()) } else { 0 };
            let loaded = modules.done() >= asked;
            if handled && loaded && asked > before_modules {
                before_modules = asked;
                loading = None;
                goal = super::last_seqnum(&core.engine.site().roots);
                emptying = core.work.next_emptying();
                reader::wake(&core.wake);
                continue;
            }
            let reached = handled && loaded;
            let waiting = if reached { 0 } else { number(standing.unfinished + owed).max(1) };
            let now = Progress { done: core.counters.handled.get() - begin, waiting, seqnum: goal.0 };
            if progress(now).is_break() || reached {
                return now;
            }
            core.work.wait_for_news(goal, &standing, if owed > 0 { SHORT_TICK } else { TICK });
            idle = self.idle_since(idle);
        }
    }

    fn subscribe(&self, filter: Filter) -> Subscription {
        self.0.broadcast.subscribe(filter)
    }

    fn set_log_level(&self, level: &str) -> Result<(), CommandError> {
        let level = level.parse().map_err(|_| CommandError::InvalidParameter("level"))?;
        self.0.log.set_level(level);
        Ok(())
    }

    fn exit(&self) {
        let _ending_already = self.0.main.send(Message::Stop);
    }
}

impl Service {
    /// When udevd was found idle, to be handed in again; beside one that was so at both times, what it had not looked at before
    /// the first is owed no longer.
    fn idle_since(&self, before: Option<Instant>) -> Option<Instant> {
        let backlog = self.0.backlog.as_ref()?;
        let now = Instant::now();
        if !udevd::is_idle(&self.0) {
            return None;
        }
        match before {
            // it may just have taken an event out of its socket: once is not enough
            Some(before) if now - before >= SHORT_TICK => {
                backlog.is_idle_since(before);
                Some(now)
            }
            before => before.or(Some(now)),
        }
    }

    fn events(&self) -> Events {
        let counters = &self.0.counters;
        Events {
            received: counters.received.get(),
            handled: counters.handled.get(),
            failed: counters.failed.get(),
            coalesced: counters.coalesced.get(),
            foreign: counters.foreign.get(),
            malformed: counters.malformed.get(),
            truncated: counters.truncated.get(),
            overruns: counters.overruns.get(),
            gaps: counters.gaps.get(),
            resyncs: counters.resyncs.get(),
            dropped_by_kernel: counters.dropped_by_kernel.get(),
        }
    }

    fn rules(&self) -> Rules {
        let files = self.0.rules.files();
        Rules {
            files: number(files.loaded.files.len()),
            rules: number(files.loaded.files.iter().map(|file| file.rules.len()).sum()),
            mistakes: files
                .loaded
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == Severity::Error)
                .map(DiagnosticEntry::from)
                .collect(),
            refused: files
                .refused
                .iter()
                .map(|refused| RefusedFile {
                    path: refused.path.to_string_lossy().into_owned(),
                    diagnostics: refused.diagnostics.iter().map(DiagnosticEntry::from).collect(),
                })
                .collect(),
        }
    }

    fn link(&self, claims: &Claims, link: &LinkName, holder: &Holder) -> LinkEntry {
        let others = claims.claimants(link).into_iter().filter(|claim| claim.device != holder.device);
        let priority =
            claims.claimants(link).iter().find(|c| c.device == holder.device).map_or(0, |c| c.priority);
        LinkEntry {
            name: text(link.as_bytes()),
            target: text(self.0.engine.names().farm().target(link, &holder.node)),
            device: holder.device.to_string(),
            priority,
            from: self.0.engine.origins().of_link(&holder.device, link).map(|place| place.to_string()),
            others: others.map(|c| Claimant { device: c.device.to_string(), priority: c.priority }).collect(),
        }
    }

    fn collisions(&self) -> Vec<CollisionEntry> {
        let names = self.0.engine.names();
        let mut out = names.look(|claims| {
            let equal = claims.collisions().into_iter();
            equal
                .flat_map(|collision| {
                    let reason = format!("held by {}", collision.holder.device);
                    let name = text(collision.link.as_bytes());
                    collision.others.into_iter().map(move |claim| CollisionEntry {
                        name: name.clone(),
                        device: claim.device.to_string(),
                        reason: reason.clone(),
                    })
                })
                .collect::<Vec<_>>()
        });
        out.extend(names.foreign().into_iter().map(|link| CollisionEntry {
            name: text(link.as_bytes()),
            device: names.look(|c| c.holder(&link).map(|h| h.device.to_string())).unwrap_or_default(),
            reason: "something that is not ours has this name".to_owned(),
        }));
        out
    }
}
