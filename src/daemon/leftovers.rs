//! Owns the end of what programs of rules leave running: once they have been quiet and no event is handled it is killed, as
//! udevd does. Who wants a process to stay asks the service manager to start it.
//!
//! Only where the service manager has started the daemon as a service and given it a control group of its own
//! (`Delegate=`): what else is in the group is nobody's but the programs'. A container's group may be marked so too, but is
//! not the daemon's alone. The daemon's own processes are its children; what is left behind is nobody's child here.
//! Only reads the control group's files, so that `ProtectControlGroups=` may be set.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bstr::ByteSlice;
use nix::unistd::{Pid, getppid};

use super::core::Core;
use super::engine::Reach;
use crate::roots::Roots;
use crate::sys::process::Held;
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
        let roots = &core.engine.site().roots;
        let is_done = match own_group(roots) {
            Some(group) => sweep(&group, &roots.proc, || core.work.counts().1 == 0),
            None => {
                self.tell_once();
                true
            }
        };
        if is_done {
            self.quiet_since = None;
        }
    }

    fn tell_once(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::debug!(
                "the daemon has no control group of its own (Delegate=): what programs of rules leave running is left alone"
            );
        }
    }
}

/// The directory of the daemon's control group, if it is the daemon's own.
fn own_group(roots: &Roots) -> Option<PathBuf> {
    is_a_services_own(|name| std::env::var_os(name)).then_some(())?;
    let text = fs::read(roots.proc.join("self/cgroup")).ok()?;
    let top = roots.sys.join("fs/cgroup");
    groups(&text).into_iter().map(|group| top.join(group)).find(|group| is_delegated(group))
}

/// True if the service manager itself has started this process, as systemd.exec(5) says it in the environment. Who is
/// started by another process of a service has its variables too, but not the group for himself. Before systemd 248 a
/// process is not told its own number, and is a child of the manager's.
fn is_a_services_own(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    if variable("INVOCATION_ID").is_none() {
        return false;
    }
    match variable("SYSTEMD_EXEC_PID") {
        Some(pid) => pid.to_str() == Some(&std::process::id().to_string()),
        None => getppid() == Pid::from_raw(1),
    }
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

/// Kills what is left in `group` for as long as `is_idle`. False: an event began, and it is to be looked again later.
fn sweep(group: &Path, proc: &Path, is_idle: impl Fn() -> bool) -> bool {
    let mut killed = HashSet::new();
    for _ in 0..ROUNDS {
        if !is_idle() {
            return false;
        }
        let (mut found, mut unknown) = (false, false);
        for pid in members(group) {
            match left_in(group, proc, pid) {
                Ok(None) => {}
                Ok(Some(process)) => {
                    found = true;
                    let name = fs::read(proc.join(format!("{pid}/comm"))).unwrap_or_default();
                    let name = name.trim().as_bstr();
                    if process.kill().is_ok() && killed.insert(pid) {
                        tracing::info!(
                            "process {pid} ({name}) was left running by a program of a rule: killed"
                        );
                    }
                }
                Err(Ended) => unknown = true,
            }
        }
        if !found && !unknown {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid > 0).collect()
}

/// The process of that number if it is nobody's; `None` if it comes from the daemon. It is held before it is looked at, so
/// that another one that has got its number since is not meant.
fn left_in(group: &Path, proc: &Path, pid: u32) -> Result<Option<Held>, Ended> {
    let own = std::process::id();
    if pid == own {
        return Ok(None);
    }
    let process = Held::of(pid).map_err(|_| Ended)?;
    let is_own = is_below(pid, own, |pid| parent_of(proc, pid))?;
    let is_there = members(group).contains(&pid);
    match (is_own, is_there) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(process)),
        (false, false) => Err(Ended),
    }
}

/// A process, or one that it comes from, has ended meanwhile: what it is can't be said.
#[derive(Debug, PartialEq, Eq)]
struct Ended;

/// True for `top` itself and for all processes that come from it.
fn is_below(mut pid: u32, top: u32, parent_of: impl Fn(u32) -> Option<u32>) -> Result<bool, Ended> {
    while pid != top {
        match parent_of(pid).ok_or(Ended)? {
            parent if parent > 0 && parent != pid => pid = parent,
            _ => return Ok(false),
        }
    }
    Ok(true)
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
        let parent =
            |pid| [(5, 4), (6, 77), (4, 1), (9, 1), (1, 0), (8, 8)].iter().find(|p| p.0 == pid).map(|p| p.1);
        for (pid, expected) in [
            (4, Ok(true)),
            (5, Ok(true)),
            (9, Ok(false)),
            (1, Ok(false)),
            (8, Ok(false)),
            // what has ended is nobody's leftover, and its number may be another's now
            (77, Err(Ended)),
            (6, Err(Ended)),
        ] {
            assert_eq!(is_below(pid, 4, parent), expected, "{pid}");
        }
    }

    /// A child of this process, and a process whose parent has ended.
    #[test]
    fn only_what_is_nobodys_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let proc = Path::new("/proc");
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let script = "sleep 600 </dev/null >/dev/null 2>&1 & echo $!";
        let orphan = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        let orphan: u32 = std::str::from_utf8(&orphan.stdout).unwrap().trim().parse().unwrap();
        let own = std::process::id();
        let enter = |pids: &[u32]| {
            let lines: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
            fs::write(dir.path().join("cgroup.procs"), lines).unwrap();
        };
        enter(&[own, child.id()]);
        assert!(left_in(dir.path(), proc, own).unwrap().is_none());
        assert!(left_in(dir.path(), proc, child.id()).unwrap().is_none());
        // it is no member any more: its number may be another's
        assert!(left_in(dir.path(), proc, orphan).is_err());
        enter(&[own, child.id(), orphan]);
        assert!(!sweep(dir.path(), proc, || false));
        assert!(proc.join(orphan.to_string()).exists(), "an event is handled");
        sweep(dir.path(), proc, || true);
        let is_alive = |pid: u32| {
            let stat = fs::read(proc.join(format!("{pid}/stat"))).unwrap_or_default();
            stat.rsplit_once_str(b")").is_some_and(|(_, rest)| !rest.trim_start().starts_with(b"Z"))
        };
        while is_alive(orphan) {
            std::thread::yield_now();
        }
        assert_eq!(child.try_wait().unwrap(), None, "a program that runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn only_a_service_has_its_group_for_itself() {
        let own = std::process::id().to_string();
        let cases: [(&[(&str, &str)], bool); 4] = [
            (&[], false),
            (&[("SYSTEMD_EXEC_PID", &own)], false),
            (&[("INVOCATION_ID", "x"), ("SYSTEMD_EXEC_PID", &own)], true),
            // started by hand from another process of a service
            (&[("INVOCATION_ID", "x"), ("SYSTEMD_EXEC_PID", "1")], false),
        ];
        for (variables, expected) in cases {
            let variable = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| OsString::from(v.1));
            assert_eq!(is_a_services_own(variable), expected, "{variables:?}");
        }
    }
}
