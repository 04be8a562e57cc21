//! Owns what the kernel says while the daemon looks at `/sys` by itself: of a device that came, went or got another path
//! meanwhile, the look may have seen either state, and the kernel's event is the one that counts.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{Action, DevPath};
use crate::uevent::Uevent;

/// Devices that the kernel has spoken of since this was made.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// They came, went or moved.
    elsewhere: HashSet<DevPath>,
    /// Anything else happened to them.
    changed: HashSet<DevPath>,
}

impl News {
    /// Notes an event of the kernel's.
    pub(super) fn note(&self, uevent: &Uevent) {
        let mut noted = self.noted();
        if uevent.is_synthetic() || !matches!(uevent.action, Action::Add | Action::Remove | Action::Move) {
            noted.changed.insert(uevent.devpath.clone());
            return;
        }
        noted.elsewhere.insert(uevent.devpath.clone());
        noted.elsewhere.extend(uevent.devpath_old());
    }

    /// True when what was read of the device at `path` since this was made may be old: something has happened to it.
    pub(super) fn outdates(&self, path: &DevPath) -> bool {
        let noted = self.noted();
        noted.changed.contains(path) || noted.elsewhere.contains(path)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when the device at `path`, or one above it, came, went or moved. A device below one that moved or went is not
    /// where it was seen.
    pub(super) fn concerns(&self, path: &DevPath) -> bool {
        let noted = &self.noted().elsewhere;
        if noted.is_empty() {
            return false;
        }
        std::iter::successors(Some(path.clone()), DevPath::parent).any(|path| noted.contains(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> DevPath {
        DevPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_kernel_spoke_of_and_what_is_below() {
        let event = |action: &str, devpath: &str, more: &str| {
            let text = format!(
                "{action}@{devpath}\0ACTION={action}\0DEVPATH={devpath}\0SUBSYSTEM=x\0SEQNUM=1\0{more}"
            );
            Uevent::parse(text.as_bytes()).unwrap().uevent
        };
        let news = News::default();
        assert!(!news.concerns(&path("/devices/a")));
        news.note(&event("add", "/devices/a", ""));
        news.note(&event("change", "/devices/b", ""));
        news.note(&event("add", "/devices/c", "SYNTH_UUID=0\0"));
        news.note(&event("move", "/devices/new", "DEVPATH_OLD=/devices/old\0"));
        let concerned = ["/devices/a", "/devices/a/x/y", "/devices/old", "/devices/old/q", "/devices/new"];
        let others = ["/devices", "/devices/ab", "/devices/b", "/devices/c"];
        assert_eq!(concerned.map(|p| news.concerns(&path(p))), [true; 5]);
        assert_eq!(others.map(|p| news.concerns(&path(p))), [false; 4]);
        let outdated = ["/devices/a", "/devices/a/x", "/devices/b", "/devices/c", "/devices/d"];
        assert_eq!(outdated.map(|p| news.outdates(&path(p))), [true, false, true, true, false]);
    }
}
