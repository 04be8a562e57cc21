//! Owns the end of what programs of rules leave running: once they have been quiet and no event is handled it is killed, as
//! udevd does. Who wants a process to stay asks the service manager to start it.
//!
//! Only where the service manager has started the daemon as a service and given it a control group of its own
//! (`Delegate=`): what else is in the group is nobody's but the programs'. A container's group may be marked so too, but is
//! not the daemon's alone. The daemon's own processes are its children; what is left behind is nobody's child here.
//! Only reads the control group's files, so that `ProtectControlGroups=` may be set.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bstr::ByteSlice;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::core::Core;
use super::engine::Reach;
use crate::roots::Roots;
use crate::sys::{fs as files, xattr};

/// So long no program has run before what is left is looked for.
const IDLE: Duration = Duration::from_secs(3);
/// What is killed may have started something just before.
const ROUNDS: usize = 8;

/// What the last look has seen.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Programs that had run.
    seen: u64,
    /// Since when no other has; `None`: what they have left has been looked for.
    quiet_since: Option<Instant>,
    told: bool,
}

impl Leftovers {
    /// Kills what is left, if programs have run since the last time and no event is being handled. Called now and then.
    pub(super) fn look(&mut self, core: &Core) {
        let run = core.engine.programs_run();
        if run != self.seen {
            (self.seen, self.quiet_since) = (run, Some(Instant::now()));
        }
        let (_, running, _) = core.work.counts();
        let is_quiet = self.quiet_since.is_some_and(|since| since.elapsed() >= IDLE) && running == 0;
        if core.engine.site().reach != Reach::Everything || !is_quiet {
            return;
        }
        self.quiet_since = None;
        let roots = &core.engine.site().roots;
        match own_group(roots) {
            Some(group) => sweep(&group, &roots.proc),
            None if self.told => {}
            None => {
                self.told = true;
                tracing::debug!(
                    "the daemon has no control group of its own (Delegate=): what programs of rules leave running is left alone"
                );
            }
        }
    }
}

/// The directory of the daemon's control group, if it is the daemon's own.
fn own_group(roots: &Roots) -> Option<PathBuf> {
    // what systemd.exec(5) sets for each process of a service
    std::env::var_os("INVOCATION_ID")?;
    let text = fs::read(roots.proc.join("self/cgroup")).ok()?;
    let top = roots.sys.join("fs/cgroup");
    groups(&text).into_iter().map(|group| top.join(group)).find(|group| is_delegated(group))
}

/// Where the control group may be below `/sys/fs/cgroup`, from `/proc/self/cgroup`: cgroups(7). Never the root.
fn groups(text: &[u8]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for line in text.lines() {
        let Some((hierarchy, path)) = line.split_once_str(b":/") else { continue };
        let tops: &[&str] = match hierarchy {
            b"0:" => &["", "unified"],
            _ if hierarchy.ends_with(b":name=systemd") => &["systemd"],
            _ => continue,
        };
        if !path.is_empty() {
            out.extend(tops.iter().map(|top| Path::new(top).join(path.to_path_lossy())));
        }
    }
    out
}

/// systemd marks the group of a service that it has delegated.
fn is_delegated(group: &Path) -> bool {
    let marked = |name| {
        let value = files::open_dir(group).and_then(|group| xattr::get(group, name));
        matches!(value, Ok(Some(value)) if value == b"1")
    };
    marked(c"trusted.delegate") || marked(c"user.delegate")
}

fn sweep(group: &Path, proc: &Path) {
    let own = std::process::id();
    let mut killed = HashSet::new();
    for _ in 0..ROUNDS {
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let all = text.lines().filter_map(|line| line.trim().parse::<u32>().ok()).filter(|pid| *pid > 0);
        let left: Vec<u32> = all.filter(|pid| !is_below(*pid, own, |pid| parent_of(proc, pid))).collect();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let name = fs::read(proc.join(format!("{pid}/comm"))).unwrap_or_default();
            let name = name.trim().as_bstr();
            let Ok(number) = i32::try_from(pid) else { continue };
            if kill(Pid::from_raw(number), Signal::SIGKILL).is_ok() && killed.insert(pid) {
                tracing::info!("process {pid} ({name}) was left running by a program of a rule: killed");
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// True for `top` itself and for all processes that come from it.
fn is_below(mut pid: u32, top: u32, parent_of: impl Fn(u32) -> Option<u32>) -> bool {
    while pid != top {
        match parent_of(pid) {
            Some(parent) if parent > 0 && parent != pid => pid = parent,
            _ => return false,
        }
    }
    true
}

fn parent_of(proc: &Path, pid: u32) -> Option<u32> {
    parent_in(&fs::read(proc.join(format!("{pid}/stat"))).ok()?)
}

/// The parent in a `stat` file: proc_pid_stat(5). The name before it may hold anything.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let (_, behind_name) = stat.rsplit_once_str(b")")?;
    behind_name.fields().nth(1)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_group_is() {
        for (text, expected) in [
            (
                "0::/system.slice/x.service\n",
                &["system.slice/x.service", "unified/system.slice/x.service"][..],
            ),
            ("9:name=systemd:/a/b\n8:pids:/c\n0::/\n", &["systemd/a/b"]),
            ("0::/\n1:cpu,cpuacct:/x\n", &[]),
            ("0::/a:/b\n", &["a:/b", "unified/a:/b"]),
            ("nothing\n", &[]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(groups(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn who_comes_from_whom() {
        assert_eq!(parent_in(b"12 (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in(b"12 (a"), None);
        let parent = |pid| [(5, 4), (4, 1), (9, 1), (1, 0), (8, 8)].iter().find(|p| p.0 == pid).map(|p| p.1);
        for (pid, expected) in [(4, true), (5, true), (9, false), (1, false), (8, false), (77, false)] {
            assert_eq!(is_below(pid, 4, parent), expected, "{pid}");
        }
    }
}
