//! Programs of rules that misbehave, and the order of events of one device.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{World, eventually};
use crate::devices::Loops;
use crate::{loop_links, loop_rule, need_devices};

/// Processes that programs left running, ended when dropped.
struct Left(Vec<PathBuf>);

impl Left {
    fn pids(&self) -> Vec<Pid> {
        let texts = self.0.iter().filter_map(|file| fs::read_to_string(file).ok());
        texts.filter_map(|text| text.trim().parse().ok()).map(Pid::from_raw).collect()
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for pid in self.pids() {
            let _gone = kill(pid, Signal::SIGKILL);
        }
    }
}

fn lives(pid: Pid) -> bool {
    kill(pid, None) != Err(Errno::ESRCH)
}

/// A rule that gives a loop device a link and runs a shell's script.
fn runs(number: i32, script: &str) -> String {
    let script = script.replace('$', "$$");
    format!(
        "[[rule]]\nmatch = {{ kernel = \"loop{number}\", action = \"add\" }}\nlink = \"ran/$kernel\"\n\
         run = [[\"/bin/sh\", \"-c\", '''{script}''']]\n"
    )
}

#[test]
fn programs_that_never_end_hold_up_nobody_else() {
    need_devices!();
    let world = World::new(&[]).config("workers = 1\nprogram_timeout = \"100s\"\n");
    let pid_file = |n: i32| world.path(&format!("pid{n}"));
    let left = Left((0..5).map(pid_file).collect());
    let hanging: String = (0..5)
        .map(|n| runs(360_000 + n, &format!("echo $$ > {}; exec sleep 1000", pid_file(n).display())))
        .collect();
    world.write_rule("50-test.toml", &(hanging + &loop_rule(370_000)));
    let daemon = world.start();
    let _hanging = Loops::add(360_000, 5);
    let mut others = Loops::add(370_000, 5);
    let expected = |others: std::ops::Range<i32>| -> BTreeMap<String, String> {
        let hanging = (360_000..360_005).map(|n| (format!("ran/loop{n}"), format!("/dev/loop{n}")));
        hanging.chain(loop_links(others)).collect()
    };
    eventually("the names of all", || (daemon.links() == expected(370_000..370_005)).then_some(()));
    others.remove_rest();
    eventually("the end of the others", || (daemon.links() == expected(0..0)).then_some(()));
    eventually("all programs", || (left.pids().len() == 5).then_some(()));
    assert!(left.pids().into_iter().all(lives), "they are at it still");
    let begin = Instant::now();
    drop(daemon.stop());
    assert!(begin.elapsed().as_secs() < 30, "the end does not wait for programs");
}

#[test]
fn programs_that_misbehave_cost_themselves_alone() {
    need_devices!();
    let world = World::new(&[]).config("event_timeout = \"60s\"\nprogram_timeout = \"1s\"\n");
    let (done, grandchild, asleep) = (world.path("done"), world.path("grandchild"), world.path("asleep"));
    let left = Left(vec![grandchild.clone(), asleep.clone()]);
    let after = format!("echo $DEVNAME >> {}", done.display());
    let rules = [
        runs(380_000, &format!("echo $$ > {}; exec sleep 1000", asleep.display())),
        runs(380_001, &format!("head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero >&2; {after}")),
        runs(380_002, &format!("sleep 1000 & echo $! > {}; {after}", grandchild.display())),
        runs(380_003, "kill -9 $$"),
        runs(380_004, &format!("kill -STOP $$; {after}")),
        runs(380_005, &format!("trap '' TERM HUP INT; {after}; while :; do :; done")),
        "[[rule]]\nmatch = { kernel = \"loop380006\" }\nlink = \"ran/$kernel\"\nrun = [[\"/no/such/program\"]]\n".into(),
        runs(380_007, &after),
    ];
    // a run that was killed may have left some
    drop(Loops::add(380_000, 8));
    world.write_rule("50-test.toml", &rules.concat());
    let daemon = world.start();
    let mut loops = Loops::add(380_000, 8);
    daemon.settle();
    let expected: BTreeMap<_, _> =
        (380_000..380_008).map(|n| (format!("ran/loop{n}"), format!("/dev/loop{n}"))).collect();
    assert_eq!(daemon.links(), expected);
    let mut ended: Vec<String> = fs::read_to_string(&done).unwrap().lines().map(str::to_owned).collect();
    ended.sort();
    let came: Vec<String> = [1, 2, 5, 7].map(|n| format!("/dev/loop38000{n}")).into();
    assert_eq!(ended, came);
    let said = ["killed by signal 9", "can't be started", "it ran for too long"];
    let log = eventually("the messages", || {
        let log = daemon.log();
        said.iter().all(|said| log.contains(said)).then_some(log)
    });
    assert_eq!(log.matches("it ran for too long").count(), 3, "{log}");
    let pids = left.pids();
    assert!(lives(pids[0]), "what a program leaves running is left alone");
    assert!(!lives(pids[1]), "what ran too long is dead, and no zombie");
    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    let status = daemon.json("status", &[]);
    assert_eq!(status["events"]["failed"], 0, "{status}");
}

/// A control group of this test's, as the service manager makes one for a service with `Delegate=`.
struct Group(PathBuf);

impl Group {
    /// `None`: this machine has none, or keeps it to itself.
    fn new(name: &str) -> Option<Self> {
        let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].map(Path::new);
        let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists())?;
        let group = Self(top.join(format!("np-test-{}-{name}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        let dir = fs::File::open(&group.0).ok()?;
        nameplate::sys::xattr::set(dir, c"trusted.delegate", b"1").ok()?;
        Some(group)
    }

    fn processes(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _gone = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
        }
        let until = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.0).is_err_and(|e| e.raw_os_error() == Some(nix::libc::EBUSY))
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn what_programs_leave_running_ends_where_the_group_is_the_daemons() {
    need_devices!();
    let Some(group) = Group::new("left") else {
        return crate::common::skip("needs a control group to make others in");
    };
    let world = World::new(&[]).standalone();
    let (left, at_work) = (world.path("left"), world.path("at-work"));
    let ended = Left(vec![left.clone(), at_work.clone()]);
    let leaves = format!("setsid sleep 1000 >/dev/null 2>&1 & echo $! > {}", left.display());
    let works = format!("echo $$ > {}; exec sleep 1", at_work.display());
    world.write_rule("50-test.toml", &(runs(580_000, &leaves) + &runs(580_001, &works)));
    let daemon = world.start();
    fs::write(group.0.join("cgroup.procs"), daemon.pid().to_string()).unwrap();
    let _works = Loops::add(580_001, 1);
    let _leaves = Loops::add(580_000, 1);
    eventually("both programs", || (ended.pids().len() == 2).then_some(()));
    daemon.settle();
    let log = eventually("the end of what was left", || {
        let log = daemon.log();
        log.contains("was left running by a program of a rule: killed").then_some(log)
    });
    let pid = u32::try_from(ended.pids()[0].as_raw()).unwrap();
    eventually("its death", || (!group.processes().contains(&pid)).then_some(()));
    assert!(!log.contains("killed by signal"), "who is at work is let alone: {log}");
    assert_eq!(log.matches("was left running").count(), 1, "{log}");
    assert!(group.processes().contains(&daemon.pid()), "the daemon itself goes on");
}

#[test]
fn each_program_is_waited_with_and_one_that_is_given_twice_runs_twice() {
    need_devices!();
    let world = World::new(&[]).config("exec_delay = \"200ms\"\n");
    let file = world.path("times");
    let now = format!("[\"/bin/sh\", \"-c\", \"date +%%s%%N >> {}\"]", file.display());
    let rule =
        format!("[[rule]]\nmatch = {{ kernel = \"loop395000\", action = \"add\" }}\nrun = [{now}, {now}]\n");
    world.write_rule("50-test.toml", &rule);
    let daemon = world.start();
    let _loops = Loops::add(395_000, 1);
    daemon.settle();
    let text = fs::read_to_string(&file).unwrap();
    let times: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(times.len(), 2, "{text}");
    assert!(times[1] - times[0] >= 200_000_000, "{text}");
}

#[test]
fn two_hundred_times_the_same_device() {
    need_devices!();
    let rule =
        loop_rule(390_000) + "[[rule]]\nmatch = { kernel = \"loop390000\" }\nrun = [[\"/bin/true\"]]\n";
    let daemon = World::new(&[("50-test.toml", &rule)]).start();
    for _ in 0..200 {
        drop(Loops::add(390_000, 1));
    }
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    let records = daemon.links_dir().join(".nameplate/data");
    assert!(!records.join("b7:390000").exists());
    for _ in 0..200 {
        drop(Loops::add(390_000, 1));
    }
    let _last = Loops::add(390_000, 1);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([390_000]));
    assert!(records.join("b7:390000").exists());
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
}
