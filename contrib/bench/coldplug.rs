//! Benchmark: start with 4,000 loop devices present and three rules, then events a second, on the running kernel.
//!
//! Compared in the same run with the floor (read each `uevent` file, make two links and write one small file for each
//! device, on one core) and, where it is installed, with systemd-udevd given the same three rules in a mount namespace of
//! its own. Needs root. Prints a table; exits with 1 when the start takes more than twice the floor.

// a benchmark ends as loudly as a test, and prints
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[path = "../../tests/common/devices.rs"]
#[allow(dead_code)] // shared with the tests, which use all of it
mod devices;

const FIRST: i32 = 210_000;
const COUNT: i32 = 4_000;
/// Each figure is the best of so many runs: what the program needs, not what the machine did beside it.
const RUNS: usize = 5;

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

fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: making devices needs root");
        return ExitCode::SUCCESS;
    }
    let _loops = devices::Loops::add(FIRST, COUNT);
    let floor = best(floor);
    println!("floor (one core, no daemon)       {:>8.3} s", floor.as_secs_f64());
    let mut events = Duration::MAX;
    let start = best(|| {
        let (start, replay) = nameplate();
        events = events.min(replay);
        start
    });
    let ratio = start.as_secs_f64() / floor.as_secs_f64();
    println!("nameplate, start to ready         {:>8.3} s   {ratio:.2} x floor", start.as_secs_f64());
    println!(
        "nameplate, {COUNT} change events     {:>8.3} s   {:.0} events/s",
        events.as_secs_f64(),
        rate(events)
    );
    match udevd() {
        Some(time) => println!(
            "systemd-udevd, trigger and settle {:>8.3} s   {:.1} x nameplate",
            time.as_secs_f64(),
            time.as_secs_f64() / start.as_secs_f64()
        ),
        None => println!("skipped: no systemd-udevd here to compare with"),
    }
    if ratio <= 2.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

fn rate(time: Duration) -> f64 {
    f64::from(COUNT) / time.as_secs_f64()
}

/// The least that any device manager has to do for these devices.
fn floor() -> Duration {
    let dir = tempfile::tempdir().expect("temporary directory");
    for sub in ["a", "b", "data"] {
        fs::create_dir(dir.path().join(sub)).expect("directory");
    }
    let begin = Instant::now();
    for number in FIRST..FIRST + COUNT {
        let text = fs::read(format!("/sys/devices/virtual/block/loop{number}/uevent")).expect("uevent");
        let node = format!("/dev/loop{number}");
        symlink(&node, dir.path().join("a").join(number.to_string())).expect("link");
        symlink(&node, dir.path().join("b").join(number.to_string())).expect("link");
        fs::write(dir.path().join("data").join(number.to_string()), text).expect("record");
    }
    begin.elapsed()
}

/// Time from exec to READY=1, and from triggering a change of every loop device to the end of the last one.
fn nameplate() -> (Duration, Duration) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (rules, links) = (dir.path().join("rules.d"), dir.path().join("dev"));
    fs::create_dir(&rules).expect("rules");
    fs::create_dir(&links).expect("links");
    fs::write(rules.join("50-bench.toml"), TOML_RULES).expect("rules");
    let notify = UnixDatagram::bind(dir.path().join("notify")).expect("socket");
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
    while notify
        .recv(&mut message)
        .is_ok_and(|len| !String::from_utf8_lossy(&message[..len]).contains("READY=1"))
    {}
    let start = begin.elapsed();
    let named = fs::read_dir(links.join("np-bench/by-kernel")).map_or(0, Iterator::count);
    assert!(named >= usize::try_from(COUNT).expect("count"), "only {named} links at the end of the start");

    let begin = Instant::now();
    for number in FIRST..FIRST + COUNT {
        devices::synthesize(&format!("/sys/devices/virtual/block/loop{number}"), "change");
    }
    let settled = verb("settle").stdout(Stdio::null()).status().expect("settle");
    assert!(settled.success(), "settle");
    let replay = begin.elapsed();
    drop(daemon);
    (start, replay)
}

/// A child that ends with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).map(nix::unistd::Pid::from_raw);
        if let Ok(pid) = pid {
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        let _status = self.0.wait();
    }
}

/// systemd-udevd with the same rules and nothing else: `trigger` for all devices and `settle`.
fn udevd() -> Option<Duration> {
    let daemon = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"]
        .into_iter()
        .find(|p| Path::new(p).exists())?;
    let dir = tempfile::tempdir().ok()?;
    fs::write(dir.path().join("50-bench.rules"), UDEV_RULES).ok()?;
    // all it writes but the links is in a private /run; the links are removed by the script's end
    let script = format!(
        "set -e\n\
         mount -t tmpfs tmpfs /run\n\
         for d in /usr/lib/udev/rules.d /etc/udev/rules.d; do mount -t tmpfs tmpfs $d; done\n\
         cp {rules} /etc/udev/rules.d/\n\
         {daemon} >/dev/null & pid=$!\n\
         trap 'kill $pid; wait $pid || true; rm -rf /dev/np-bench' EXIT\n\
         until udevadm control --ping 2>/dev/null; do sleep 0.05; done\n\
         begin=$(date +%s%N)\n\
         udevadm trigger --type=devices --action=add\n\
         udevadm settle\n\
         end=$(date +%s%N)\n\
         echo $((end - begin))\n",
        rules = dir.path().join("50-bench.rules").display(),
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().last()?.trim().parse().ok().map(Duration::from_nanos)
}
