//! Owns the look-out for a udevd that comes, goes or is started anew, and for events that it will never hand on.
//!
//! Looks at the kernel's table of sockets and never connects: with systemd a connection would start a udevd that somebody
//! has stopped.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bstr::ByteSlice;

use super::control::protocol::Mode;
use super::core::Core;
use super::{Message, reader};
use crate::roots::Roots;

/// The look-out is kept at most so often.
const EVERY: Duration = Duration::from_millis(900);
/// What a udevd whose queue is empty has owed for so long, it will not hand on.
const PATIENCE: Duration = Duration::from_secs(2);
/// The flag of a socket that listens, in the kernel's table.
const LISTENS: u32 = 1 << 16;

/// The look-out.
#[derive(Debug)]
pub(super) struct Watch {
    /// The control sockets that were there, by inode.
    seen: BTreeSet<u64>,
    last: Instant,
}

impl Watch {
    /// Begins with what is there.
    pub(super) fn new(core: &Core) -> Self {
        let seen = others(&core.engine.site().roots);
        core.udevd_there.store(!seen.is_empty(), Ordering::Relaxed);
        if seen.is_empty() && core.mode == Mode::Companion {
            tracing::warn!("no udevd runs: devices get their names when one has come and handled them");
        }
        Self { seen, last: Instant::now() }
    }

    /// Looks again, unless that was done a moment ago.
    pub(super) fn look(&mut self, core: &Core) {
        let now = Instant::now();
        if now - self.last < EVERY {
            return;
        }
        self.last = now;
        let roots = &core.engine.site().roots;
        let there = others(roots);
        core.udevd_there.store(!there.is_empty(), Ordering::Relaxed);
        match core.mode {
            Mode::Companion => {
                self.companion(core, &there);
                give_up(core, !there.is_empty(), now);
            }
            Mode::Standalone if !there.is_subset(&self.seen) => tracing::warn!(
                "a udevd has started, and nameplate runs standalone: both take care of the same devices. Stop one of them, or \
                 start nameplate anew as the other's companion"
            ),
            Mode::Standalone => {}
        }
        self.seen = there;
    }

    fn companion(&self, core: &Core, there: &BTreeSet<u64>) {
        if *there == self.seen {
            return;
        }
        if there.is_empty() {
            tracing::warn!("udevd has gone: what is plugged in now gets its names when udevd is back");
            return;
        }
        if self.seen.is_empty() {
            tracing::info!("udevd has come");
        } else {
            tracing::info!("udevd was started anew");
        }
        core.reopen.store(true, Ordering::Release);
        reader::wake(&core.wake);
    }
}

/// What udevd owes and will not give is looked for in sysfs.
fn give_up(core: &Core, is_there: bool, now: Instant) {
    let Some(backlog) = &core.backlog else { return };
    let queue = core.engine.site().roots.run_udev().join("queue");
    if is_there && queue.exists() {
        return;
    }
    let given_up = backlog.give_up(now, if is_there { PATIENCE } else { Duration::ZERO });
    if given_up > 0 && is_there {
        tracing::warn!("udevd did not hand on {given_up} events");
        let token = core.work.resync_wanted();
        let _ending = core.main.send(Message::Resync("events were lost at udevd", token));
    }
}

/// True when a udevd has nothing to do: its queue is empty, and nothing lies unread in a socket for the kernel's events. That
/// of another program may, then this is not known.
pub(super) fn is_idle(core: &Core) -> bool {
    let roots = &core.engine.site().roots;
    let table = fs::read(roots.proc.join("net/netlink")).unwrap_or_default();
    core.udevd_there.load(Ordering::Relaxed)
        && !has_unread(&table)
        && !roots.run_udev().join("queue").exists()
}

/// True when a socket for the kernel's events (protocol 15, group 1) has something unread, in a text of the form of
/// `/proc/net/netlink`: address, protocol, port, groups, bytes unread, and more. A text that is none says so too.
fn has_unread(table: &[u8]) -> bool {
    let unread = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.fields().collect();
        let [_, protocol, _, groups, unread, ..] = fields.as_slice() else { return None };
        let groups = u32::from_str_radix(groups.to_str().ok()?, 16).ok()?;
        Some(*protocol == b"15" && groups & 1 != 0 && *unread != b"0")
    };
    let mut lines = table.lines();
    lines.next().is_none() || lines.any(|line| unread(line).unwrap_or(true))
}

/// The control sockets of udevds, by inode; this process may have one of the same name itself.
fn others(roots: &Roots) -> BTreeSet<u64> {
    let table = fs::read(roots.proc.join("net/unix")).unwrap_or_default();
    let names = [roots.udevd_control(), roots.udevd_varlink()];
    let mut found = listening(&table, &names.each_ref().map(|name| name.as_os_str().as_encoded_bytes()));
    if !found.is_empty() {
        let own = own_sockets(roots);
        found.retain(|inode| !own.contains(inode));
    }
    found
}

/// The inodes of the sockets that listen under one of these names, in a text of the form of `/proc/net/unix`: address,
/// count, protocol, flags, type, state, inode, path.
fn listening(table: &[u8], names: &[&[u8]]) -> BTreeSet<u64> {
    let inode = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.fields().collect();
        let [_, _, _, flags, _, _, inode, path] = fields.as_slice() else { return None };
        let flags = u32::from_str_radix(flags.to_str().ok()?, 16).ok()?;
        (flags & LISTENS != 0 && names.contains(path)).then(|| inode.to_str().ok()?.parse().ok())?
    };
    table.lines().filter_map(inode).collect()
}

/// The inodes of this process's own sockets.
fn own_sockets(roots: &Roots) -> BTreeSet<u64> {
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    fs::read_dir(roots.proc.join("self/fd")).into_iter().flatten().flatten().filter_map(inode).collect()
}

/// Whether the daemon is to tell of a udevd in `status`, and what.
pub(super) fn standing(core: &Arc<Core>) -> Option<super::control::protocol::Udevd> {
    (core.mode == Mode::Companion).then(|| super::control::protocol::Udevd {
        running: core.udevd_there.load(Ordering::Relaxed),
        heard: core.backlog.is_some(),
        owed: core.backlog.as_ref().map_or(0, |backlog| u64::try_from(backlog.len()).unwrap_or(u64::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0005 01 4711 /run/udev/control\n\
            0000000000000000: 00000003 00000000 00000000 0005 03 4712 /run/udev/control\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 4713 /run/udev/io.systemd.Udev\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 4714 /run/else\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 4715\n";
        let names: [&[u8]; 2] = [b"/run/udev/control", b"/run/udev/io.systemd.Udev"];
        assert_eq!(listening(table, &names), [4711, 4713].into());
        assert_eq!(listening(b"", &names), [].into());
    }

    #[test]
    fn who_has_not_read_all() {
        let head =
            "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
        for (lines, expected) in [
            ("", false),
            (
                "00000000f0b1b8a0 15  1          00000001 0        0        0     2        0        17\n",
                false,
            ),
            (
                "00000000f0b1b8a0 15  1          00000002 512      0        0     2        0        17\n",
                false,
            ),
            (
                "00000000f0b1b8a0 0   1          00000001 512      0        0     2        0        17\n",
                false,
            ),
            ("00000000f0b1b8a0 15  1          00000001 512      0        0     2        0        17\n", true),
            ("00000000f0b1b8a0 15  1          00000003 512      0        0     2        0        17\n", true),
            ("nonsense\n", true),
        ] {
            assert_eq!(has_unread(format!("{head}{lines}").as_bytes()), expected, "{lines}");
        }
        assert!(has_unread(b""));
    }

    #[test]
    fn a_socket_of_this_process_is_no_udevd() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { proc: Roots::system().proc, ..Roots::below(dir.path()) };
        fs::create_dir_all(roots.run_udev()).unwrap();
        let _own = std::os::unix::net::UnixListener::bind(roots.udevd_varlink()).unwrap();
        let table = fs::read(roots.proc.join("net/unix")).unwrap();
        let name = roots.udevd_varlink();
        assert_eq!(listening(&table, &[name.as_os_str().as_encoded_bytes()]).len(), 1);
        assert_eq!(others(&roots), BTreeSet::new());
    }
}
