//! Benchmark: start with 4,000 loop devices present and three rules, then events a second, on the running kernel.
//!
//! Compared in the same run with the floor (read each `uevent` file, make two links and write one small file for each
//! device, on one core) and, where it is installed, with systemd-udevd given the same three rules: beside nameplate with its
//! links in a directory, and beside nameplate in udevd's place, where both give permissions, keep udev's database, tell
//! listeners and are driven by the same udevadm. All of them write to a tmpfs, as on a running system, in mount namespaces.
//! The runs take turns, so that what else the machine does meets all alike. Needs root. Prints a table; exits with 1 when the
//! start takes more than twice the floor.
// Printing the figures is what a benchmark is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]
// What does not work ends the benchmark, and the message says what it was.
#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

#[path = "../../tests/common/devices.rs"]
#[allow(dead_code)] // shared with the tests, which use all of it
mod devices;

const FIRST: i32 = 210_000;
const COUNT: i32 = 4_000;
/// The devices of that range, as a glob.
const OWN: &str = "loop21[0-3]???";
/// Each figure is the best of so many runs: what the program needs, not what the machine did beside it.
const RUNS: usize = 15;
/// The start may take so many times the floor.
const LIMIT: f64 = 2.0;
/// So many runs of each that takes udevd's place: they take longer.
const RUNS_IN_PLACE: usize = 4;
const UDEVD: [&str; 2] = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"];

const TOML_RULES: &str = r#"
[[rule]]
match = { subsystem = "block", kernel = "loop2*" }
link = "np-bench/by-kernel/$kernel"

[[rule]]
match = { subsystem = "block", attr.size = "0" }
link = "np-bench/by-number/$major-$minor"

[[rule]]
match = { subsystem = "tty" }
property.BENCH = "$kernel"
"#;

const UDEV_RULES: &str = r#"
SUBSYSTEM=="block", KERNEL=="loop2*", SYMLINK+="np-bench/by-kernel/$kernel"
SUBSYSTEM=="block", ATTR{size}=="0", SYMLINK+="np-bench/by-number/$major-$minor"
SUBSYSTEM=="tty", ENV{BENCH}="$kernel"
"#;

/// What one run of a device manager gave.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// From exec to READY=1, or until everything that was there has been handled.
    start: Duration,
    /// From triggering a change of every own device to the end of the last one.
    events: Duration,
    /// The most memory that the daemon's process ever had, in KiB.
    peak: u64,
    /// What it and its workers have at the end, pages that they share divided, in KiB.
    pss: u64,
    /// Those processes.
    processes: u64,
}

impl Figures {
    /// The better of the two in each.
    fn best(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            events: self.events.min(other.events),
            peak: self.peak.min(other.peak),
            pss: self.pss.min(other.pss),
            processes: self.processes.min(other.processes),
        }
    }

    fn show(&self, name: &str, floor: Duration) {
        let (start, events) = (self.start.as_secs_f64(), self.events.as_secs_f64());
        let ratio = start / floor.as_secs_f64();
        let rate = f64::from(COUNT) / events;
        println!("{name}, start to ready      {start:>8.3} s   {ratio:.2} x floor");
        println!("{name}, {COUNT} change events {events:>8.3} s   {rate:.0} events/s");
        let Self { peak, pss, processes, .. } = self;
        println!(
            "{name}, memory              {peak:>8} KiB peak of the daemon, {pss} KiB in {processes} processes"
        );
    }
}

fn main() -> ExitCode {
    if !geteuid().is_root() {
        println!("skipped: making devices needs root");
        return ExitCode::SUCCESS;
    }
    // what the figures are written to; gone with this process
    let work = tempfile::tempdir().expect("temporary directory");
    private_tmpfs(work.path());
    remove_leftovers();
    let _loops = devices::Loops::add(FIRST, COUNT);

    let (mut floor, mut ours) = (Duration::MAX, None::<Figures>);
    for _ in 0..RUNS {
        floor = floor.min(measure_floor(work.path()));
        let run = nameplate(work.path());
        ours = Some(ours.map_or(run, |best| best.best(run)));
    }
    println!("floor (one core, no daemon)          {:>8.3} s", floor.as_secs_f64());
    let Some(ours) = ours else { return ExitCode::FAILURE };
    ours.show("nameplate    ", floor);
    match UDEVD.into_iter().find(|path| Path::new(path).exists()) {
        None => println!("skipped: no systemd-udevd here to compare with (Debian: package udev)"),
        Some(daemon) => match both_in_place(daemon, work.path()) {
            Ok((ours, theirs)) => {
                ours.show("in its place ", floor);
                theirs.show("systemd-udevd", floor);
                let ratio =
                    |of: fn(&Figures) -> Duration| of(&theirs).as_secs_f64() / of(&ours).as_secs_f64();
                println!(
                    "in its place, systemd-udevd takes    {:.2} x as long for the start, {:.2} x for the events",
                    ratio(|figures| figures.start),
                    ratio(|figures| figures.events)
                );
            }
            Err(why) => println!("no figures of systemd-udevd, and of nameplate in its place: {why}"),
        },
    }
    println!("({COUNT} loop devices, as many of the kernel's beside them, three rules; best of {RUNS} runs)");
    let ratio = ours.start.as_secs_f64() / floor.as_secs_f64();
    if ratio <= LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Mounts a tmpfs that only this process and its children see.
fn private_tmpfs(at: &Path) {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("private mounts");
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), NONE).expect("a tmpfs");
}

/// Removes devices of our range that a killed run has left.
fn remove_leftovers() {
    let left: Vec<i32> = (FIRST..FIRST + COUNT).filter(|number| syspath(*number).exists()).collect();
    let share = left.len().div_ceil(64).max(1);
    std::thread::scope(|scope| {
        for part in left.chunks(share) {
            scope.spawn(|| {
                let mut loops = devices::Loops::add(FIRST, 0);
                part.iter().for_each(|number| loops.remove(*number));
            });
        }
    });
}

fn syspath(number: i32) -> PathBuf {
    format!("/sys/devices/virtual/block/loop{number}").into()
}

/// The least that any device manager has to do for these devices.
fn measure_floor(work: &Path) -> Duration {
    let dir = tempfile::tempdir_in(work).expect("temporary directory");
    for sub in ["a", "b", "data"] {
        fs::create_dir(dir.path().join(sub)).expect("directory");
    }
    let begin = Instant::now();
    for number in FIRST..FIRST + COUNT {
        let text = fs::read(syspath(number).join("uevent")).expect("uevent");
        let node = format!("/dev/loop{number}");
        symlink(&node, dir.path().join("a").join(number.to_string())).expect("link");
        symlink(&node, dir.path().join("b").join(number.to_string())).expect("link");
        fs::write(dir.path().join("data").join(number.to_string()), text).expect("record");
    }
    begin.elapsed()
}

/// One run of the daemon: start, then events.
fn nameplate(work: &Path) -> Figures {
    let dir = tempfile::tempdir_in(work).expect("temporary directory");
    let (rules, links) = (dir.path().join("rules.d"), dir.path().join("dev"));
    fs::create_dir(&rules).expect("rules");
    fs::create_dir(&links).expect("links");
    fs::write(rules.join("50-bench.toml"), TOML_RULES).expect("rules");
    let notify = UnixDatagram::bind(dir.path().join("notify")).expect("socket");
    notify.set_read_timeout(Some(Duration::from_secs(60))).expect("time limit");
    let verb = |verb: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nameplate"));
        command.arg(verb).arg("--rules").arg(&rules).arg("--link-dir").arg(&links).stdin(Stdio::null());
        command
    };

    let begin = Instant::now();
    let daemon = verb("daemon")
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("daemon");
    let mut message = [0; 4096];
    loop {
        let len = notify.recv(&mut message).expect("the daemon is ready within a minute");
        if String::from_utf8_lossy(message.get(..len).unwrap_or_default()).contains("READY=1") {
            break;
        }
    }
    let start = begin.elapsed();
    assert_links(&links);

    let begin = Instant::now();
    for number in FIRST..FIRST + COUNT {
        fs::write(syspath(number).join("uevent"), "change").expect("uevent");
    }
    let settled = verb("settle").stdout(Stdio::null()).status().expect("settle");
    assert!(settled.success(), "settle");
    let events = begin.elapsed();
    assert_links(&links);
    let peak = kib(&format!("/proc/{}/status", daemon.0.id()), "VmHWM:");
    let pss = kib(&format!("/proc/{}/smaps_rollup", daemon.0.id()), "Pss:");
    Figures { start, events, peak, pss, processes: 1 }
}

/// Both links of each own device are there; what other devices got is not our business.
fn assert_links(links: &Path) {
    for number in FIRST..FIRST + COUNT {
        let node = PathBuf::from(format!("/dev/loop{number}"));
        for name in [format!("by-kernel/loop{number}"), format!("by-number/7-{number}")] {
            let target = fs::read_link(links.join("np-bench").join(&name));
            assert!(target.is_ok_and(|target| target == node), "np-bench/{name} does not lead to its node");
        }
    }
}

/// A figure of a file of `/proc`.
fn kib(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A child that ends with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _status = self.0.wait();
    }
}

/// nameplate in udevd's place, and udevd, by turns.
fn both_in_place(udevd: &str, work: &Path) -> Result<(Figures, Figures), String> {
    let run = || -> Result<(Figures, Figures), String> {
        let ours = in_place(env!("CARGO_BIN_EXE_nameplate"), work)?;
        Ok((ours, in_place(udevd, work)?))
    };
    let mut best = run()?;
    for _ in 1..RUNS_IN_PLACE {
        let (ours, theirs) = run()?;
        best = (best.0.best(ours), best.1.best(theirs));
    }
    Ok(best)
}

/// One run of a device manager with the same rules and nothing else: the start until all devices are done, then the events.
fn in_place(daemon: &str, work: &Path) -> Result<Figures, String> {
    let rules = work.join("50-bench.rules");
    fs::write(&rules, UDEV_RULES).map_err(|error| error.to_string())?;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/bench/in_place"))
        .args([Path::new(daemon), &rules, Path::new(OWN), Path::new("np-bench")])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |key: &str| -> Result<u64, String> {
        let mut words = text.lines().filter_map(|line| line.split_once(' '));
        let found = words.find(|(name, _)| *name == key).and_then(|(_, value)| value.parse().ok());
        found.ok_or_else(|| format!("no `{key}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
    };
    let (links, expected) = (figure("links")?, 2 * u64::from(COUNT.unsigned_abs()));
    if links < expected {
        return Err(format!("it made {links} links of {expected}"));
    }
    Ok(Figures {
        start: Duration::from_nanos(figure("start")?),
        events: Duration::from_nanos(figure("events")?),
        peak: figure("peak")?,
        pss: figure("pss")?,
        processes: figure("processes")?,
    })
}
