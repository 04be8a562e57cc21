//! Owns what the daemon does for systemd's own udevadm, over the shared core.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bstr::{BStr, BString};
use tracing::Level;

use super::commands::Service;
use super::control::udev::{DeviceManager, Inherited, UdevSockets};
use super::control::{Commands, StartError};
use super::core::{Core, limit_of};
use super::engine::Reach;
use super::reader;
use super::workers::Workers;
use crate::config::MOST_WORKERS;
use crate::ids::SeqNum;

/// A wait looks so often whether the daemon ends.
const TICK: Duration = Duration::from_millis(200);

/// Serves udevadm where the daemon is the device manager, and nowhere else: libudev takes the control socket's file for a
/// sign that events will come.
pub(super) fn serve(core: &Arc<Core>, inherited: Inherited) -> Result<Option<UdevSockets>, StartError> {
    if core.engine.site().reach != Reach::Everything {
        return Ok(None);
    }
    let roots = &core.engine.site().roots;
    let manager: Arc<dyn DeviceManager> = Arc::new(Manager(Arc::clone(core)));
    UdevSockets::start(&roots.udevd_control(), &roots.udevd_varlink(), inherited, &manager).map(Some)
}

struct Manager(Arc<Core>);

impl DeviceManager for Manager {
    fn ping(&self) {
        let core = &*self.0;
        core.wait_for_writers();
        let emptying = core.work.next_emptying();
        reader::wake(&core.wake);
        loop {
            let standing = core.work.standing(SeqNum(0));
            if standing.emptied >= emptying || core.work.stopping() {
                return;
            }
            core.work.wait_for_news(SeqNum(0), &standing, TICK);
        }
    }

    fn reload(&self) {
        if let Err(error) = Service(Arc::clone(&self.0)).reload() {
            tracing::warn!(%error, "the rules were not read again");
        }
    }

    fn set_log_level(&self, level: Option<u8>) {
        let level = match level {
            None => self.0.config.lock().unwrap_or_else(PoisonError::into_inner).log_level,
            Some(0..=3) => Level::ERROR,
            Some(4) => Level::WARN,
            Some(5 | 6) => Level::INFO,
            Some(_) => Level::DEBUG,
        };
        self.0.log.set_level(level);
    }

    fn set_trace(&self, on: bool) {
        self.0.engine.set_trace(on);
        self.set_log_level(on.then_some(7));
    }

    fn pause(&self, paused: bool) {
        tracing::info!("events are {}", if paused { "only queued from now on" } else { "handled again" });
        self.0.work.pause(paused);
    }

    fn set_global(&self, key: &BStr, value: Option<&BStr>) {
        if let Err(error) = self.0.engine.globals().set(key, value) {
            tracing::warn!(%error, "the property is not set");
        }
    }

    fn globals(&self) -> Vec<BString> {
        let all = self.0.engine.globals().all();
        all.iter().map(|(key, value)| bstr::concat([key, BStr::new("="), value]).into()).collect()
    }

    fn clear_globals(&self) {
        self.0.engine.globals().clear();
    }

    fn set_children_max(&self, count: Option<usize>) {
        let configured = || limit_of(&self.0.config.lock().unwrap_or_else(PoisonError::into_inner));
        let wanted = count.unwrap_or_else(configured);
        // each is a thread: more than the configuration may ask for would take the machine's memory
        let most = wanted.min(MOST_WORKERS);
        if wanted > most {
            tracing::warn!("no more than {most} events are handled at a time");
        }
        self.0.children_max.store(most, Ordering::Relaxed);
        Workers::reinforce(&self.0);
    }

    fn exit(&self) {
        Service(Arc::clone(&self.0)).exit();
    }
}
