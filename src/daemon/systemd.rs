//! Owns what the daemon tells its service manager: readiness, reloading, stopping, watchdog (`sd_notify(3)`).
//!
//! Every message is best effort: a daemon started by hand has no service manager and says nothing.

use std::time::Duration;

use sd_notify::NotifyState;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// Start-up devices have their names.
pub(super) fn ready(devices: usize, links: usize) {
    let status = format!("{devices} devices, {links} links");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Rules and configuration are read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no clock for the service manager"),
    }
}

/// The daemon is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The main loop is alive.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said: half of what the service manager allows; `None` without a watchdog.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
