//! The program as a user types it: help, exit codes, output forms, without and with a daemon (a stand-in behind the socket).

#![cfg(test)]

mod common;

use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use nameplate::daemon::control::protocol::{
    Change, Claimant, CollisionEntry, Difference, EventEntry, EventSource, LinkEntry, List, Progress, Status,
};
use nameplate::daemon::control::{
    Broadcast, CommandError, Commands, Filter, Server, Subscription, socket_path,
};
use serde_json::{Value, json};

const VERBS: [&str; 15] = [
    "daemon", "status", "list", "info", "tree", "monitor", "test", "explain", "check", "convert", "apply",
    "reload", "trigger", "settle", "wait",
];

/// The program's end; a failed assertion shows all of it.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nameplate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Ended {
    program(arguments).output().unwrap().into()
}

/// The number of the last event that the kernel has sent, as the stand-in has it.
const LAST_SENT: u64 = 77;

struct StandIn {
    broadcast: Broadcast,
    link_dir: std::path::PathBuf,
    subscribed: Mutex<u64>,
}

impl Commands for StandIn {
    fn status(&self) -> Status {
        Status { version: "7.0".into(), pid: 42, ready: true, links: 1, ..Status::default() }
    }

    fn list(&self) -> List {
        let other = Claimant { device: "c188:1".into(), priority: -5 };
        let link = LinkEntry {
            name: "gps".into(),
            target: "ttyUSB0".into(),
            device: "c188:0".into(),
            priority: 10,
            from: Some("/etc/50-lab.toml:3".into()),
            others: vec![other],
        };
        let plain = LinkEntry { name: "cam\u{1b}".into(), ..LinkEntry::default() };
        let collision = CollisionEntry {
            name: "disk".into(),
            device: "b7:0".into(),
            reason: "a file that is not ours".into(),
        };
        List { links: vec![plain, link], collisions: vec![collision] }
    }

    fn reload_plan(&self) -> Result<Difference, CommandError> {
        let change = Change {
            device: "c188:0".into(),
            what: "link".into(),
            name: Some("gps".into()),
            new: Some("ttyUSB0".into()),
            ..Change::default()
        };
        Ok(Difference { devices: 9, changes: vec![change], ..Difference::default() })
    }

    fn reload(&self) -> Result<Difference, CommandError> {
        Ok(Difference { applied: true, refused: vec!["/etc/60-x.toml".into()], ..Difference::default() })
    }

    fn settle(&self, seqnum: Option<u64>, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Progress {
        let mut now = Progress { done: 3, waiting: 0, seqnum: seqnum.unwrap_or(LAST_SENT) };
        if now.seqnum == 666 {
            now.waiting = 1;
            while progress(now).is_continue() {
                std::thread::yield_now();
            }
        }
        now
    }

    /// Each subscriber finds two events; the link `late` appears with the second subscriber's.
    fn subscribe(&self, filter: Filter) -> Subscription {
        let subscription = self.broadcast.subscribe(filter);
        let mut subscribed = self.subscribed.lock().unwrap();
        *subscribed += 1;
        if *subscribed == 2 {
            symlink("../dev/ttyUSB0", self.link_dir.join("late")).unwrap();
        }
        for (source, action) in [(EventSource::Kernel, "add"), (EventSource::Handled, "change")] {
            let entry = || EventEntry {
                source,
                action: action.into(),
                devpath: "/devices/x".into(),
                usec: 1_000_002,
                links: vec!["gps".into()],
                ..EventEntry::default()
            };
            self.broadcast.publish(source, entry);
        }
        subscription
    }

    fn set_log_level(&self, _level: &str) -> Result<(), CommandError> {
        Ok(())
    }

    fn exit(&self) {}
}

/// A machine below a directory: one serial adapter, its `uevent` file a plain one; and a daemon's stand-in.
struct Machine {
    directory: tempfile::TempDir,
    _server: Server,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let tty = root.join("sys/devices/usb1/tty/ttyUSB0");
        std::fs::create_dir_all(&tty).unwrap();
        std::fs::write(tty.join("uevent"), "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n").unwrap();
        for below in ["sys/class/tty", "dev", "links"] {
            std::fs::create_dir_all(root.join(below)).unwrap();
        }
        symlink("../../devices/usb1/tty/ttyUSB0", root.join("sys/class/tty/ttyUSB0")).unwrap();
        symlink("../../../../class/tty", tty.join("subsystem")).unwrap();
        std::fs::write(root.join("dev/ttyUSB0"), "").unwrap();
        let stand_in = StandIn {
            broadcast: Broadcast::new(),
            link_dir: root.join("links"),
            subscribed: Mutex::default(),
        };
        let run_dir = root.join("links/.nameplate");
        let server = Server::start(&socket_path(&run_dir), Arc::new(stand_in)).unwrap();
        Self { directory, _server: server }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.arg("--root").arg(self.root()).arg("--link-dir").arg(self.root().join("links"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }
}

#[test]
fn every_verb_has_its_help() {
    let all = run(&["--help"]);
    assert_eq!(all.code, Some(0));
    for verb in VERBS {
        assert!(all.out.contains(&format!("\n  {verb} ")), "{verb} is not in\n{}", all.out);
        let help = run(&[verb, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{verb}");
        for part in ["Usage: nameplate", verb, "--link-dir", "Exit codes:", "3  no daemon answers"] {
            assert!(help.out.contains(part), "{part} is not in\n{}", help.out);
        }
    }
}

#[test]
fn wrong_command_lines() {
    let cases: &[&[&str]] = &[
        &[],
        &["nothing"],
        &["--nothing"],
        &["status", "--nothing"],
        &["status", "extra"],
        &["settle", "--timeout", "soon"],
        &["settle", "--seqnum", "-1"],
        &["wait"],
        &["monitor", "--action", "added"],
        &["trigger", "--action", "added"],
        &["trigger", "--subsystem", "[a"],
        &["explain", "/dev/null", "--rule", "nowhere"],
        &["explain", "/dev/null", "--rule", "a:1", "--link", "b"],
        &["trigger", "--dry-run", "+usb"],
    ];
    for arguments in cases {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    for verb in [
        &["status"][..],
        &["list"],
        &["monitor"],
        &["reload"],
        &["settle", "--seqnum", "1"],
        &["wait", "gps"],
    ] {
        let ended = run(&[verb, &["--link-dir", dir]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""), "{verb:?}: {ended:?}");
        assert!(ended.err.contains("start one with `nameplate daemon`"), "{}", ended.err);
    }
}

#[test]
fn status_as_text_and_as_json() {
    let machine = Machine::new();
    let text = machine.run(&["status"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.starts_with("nameplate 7.0, standalone, pid 42, up 0 s: ready\n"), "{}", text.out);
    let status = machine.run(&["status", "--json"]).json();
    assert_eq!((&status["pid"], &status["queue"]["limit"]), (&json!(42), &json!(0)));
}

#[test]
fn list_as_text_and_as_json() {
    let machine = Machine::new();
    let text = machine.run(&["list"]);
    let expected = "cam\\x1b ->   (, priority 0)\n\
                    gps -> ttyUSB0  (c188:0, priority 10, /etc/50-lab.toml:3)\n  \
                    wanted by c188:1 too (priority -5)\n\
                    disk  b7:0 did not get it: a file that is not ours\n";
    assert_eq!((text.code, text.out.as_str()), (Some(0), expected));
    let one = machine.run(&["--json", "list", "g?s"]).json();
    assert_eq!(one["links"][0]["others"], json!([{"device": "c188:1", "priority": -5}]));
    assert_eq!((one["links"].as_array().unwrap().len(), &one["collisions"]), (1, &json!([])));
    assert_eq!(machine.run(&["list", "none"]).code, Some(1));
    assert_eq!(machine.run(&["list", "--collisions"]).out.lines().count(), 3);
}

#[test]
fn reload_says_what_is_different() {
    let machine = Machine::new();
    let plan = machine.run(&["reload", "--plan"]);
    let expected = "c188:0: + link gps ttyUSB0\n9 devices, 1 changes planned, nothing done\n";
    assert_eq!((plan.code, plan.out.as_str()), (Some(0), expected));
    let refused = machine.run(&["reload"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.out.contains("/etc/60-x.toml is refused"), "{}", refused.out);
    assert_eq!(machine.run(&["reload", "--json"]).json()["applied"], true);
}

#[test]
fn settle_is_a_barrier_by_number() {
    let machine = Machine::new();
    let done = machine.run(&["settle", "--json"]);
    assert_eq!(done.json(), json!({"done": 3, "waiting": 0, "seqnum": LAST_SENT}));
    let late = machine.run(&["settle", "--seqnum", "666", "--timeout", "0.01"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert_eq!(late.err, "nameplate: time is up: 1 events are still waiting\n");
}

#[test]
fn monitor_as_text_and_as_json() {
    let machine = Machine::new();
    let text = machine.run(&["monitor", "--count", "2"]);
    let expected = "kernel  1.000002 add     /devices/x [gps]\nhandled 1.000002 change  /devices/x [gps]\n";
    assert_eq!((text.code, text.out.as_str()), (Some(0), expected));
    let handled = machine.run(&["monitor", "--handled", "--count", "1", "--json"]);
    assert_eq!(
        (handled.json()["event"]["action"].as_str(), handled.out.lines().count()),
        (Some("change"), 1)
    );
    let filtered = machine.run(&["monitor", "--action", "change", "--count", "1", "--json"]);
    assert_eq!(filtered.json()["event"]["source"], "handled");
}

#[test]
fn wait_for_what_is_there_comes_and_goes() {
    let machine = Machine::new();
    let there = machine.run(&["wait", "ttyUSB0", "c188:0", "--timeout", "0"]);
    assert_eq!(there.code, Some(1), "{there:?}");
    let there = machine.run(&["wait", "late", "/dev/ttyUSB0", "--timeout", "30", "--json"]);
    assert_eq!(there.code, Some(0), "{there:?}");
    assert_eq!(
        there.json()[0],
        json!({"device": "late", "devpath": "/devices/usb1/tty/ttyUSB0", "done": true})
    );
    let gone = machine.run(&["wait", "none", "--removed", "--timeout", "30"]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(0), ""));
    let still = machine.run(&["wait", "late", "none", "--removed", "--timeout", "0"]);
    assert_eq!((still.code, still.out.as_str()), (Some(1), "late: still there\n"));
}

#[test]
fn trigger_writes_the_uevent_files() {
    let machine = Machine::new();
    let uevent = machine.root().join("sys/devices/usb1/tty/ttyUSB0/uevent");
    let tty = "/devices/usb1/tty/ttyUSB0\n";
    let before = std::fs::read(&uevent).unwrap();
    let dry = machine.run(&["trigger", "--dry-run", "--subsystem", "t*y"]);
    assert_eq!((dry.code, dry.out.as_str()), (Some(0), tty), "{dry:?}");
    assert_eq!(machine.run(&["trigger", "--dry-run", "--subsystem", "net"]).out, "");
    assert_eq!(std::fs::read(&uevent).unwrap(), before);
    let done = machine.run(&["trigger", "--verbose", "--settle", "--action", "add", "/dev/ttyUSB0"]);
    assert_eq!((done.code, done.out.as_str()), (Some(0), tty), "{done:?}");
    assert!(std::fs::read(&uevent).unwrap().starts_with(b"add"));
    let none = machine.run(&["trigger", "/dev/ttyUSB9"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("no device `/dev/ttyUSB9`: give a node"), "{}", none.err);
}

#[test]
fn no_colours_where_nobody_wants_them() {
    let machine = Machine::new();
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color")] {
        let ended: Ended = machine.command(&["status"]).env(name, value).output().unwrap().into();
        assert!(!ended.out.contains('\u{1b}'), "{ended:?}");
    }
}

/// `script` gives the program a terminal.
#[test]
fn colours_on_a_terminal_unless_no_color() {
    let machine = Machine::new();
    let links = machine.root().join("links");
    let line = format!("{} status --link-dir {}", env!("CARGO_BIN_EXE_nameplate"), links.display());
    let on_terminal = |no_color: &str| {
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
        script.env("TERM", "xterm").env("NO_COLOR", no_color);
        Some(Ended::from(script.output().ok()?))
    };
    let Some(coloured) = on_terminal("") else {
        return common::skip("`script` of util-linux is not installed");
    };
    assert!(coloured.out.contains("\u{1b}[32mready"), "{coloured:?}");
    let plain = on_terminal("1").unwrap();
    assert!(plain.out.contains("ready") && !plain.out.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let machine = Machine::new();
    let mut child = machine.command(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

#[test]
fn pages_and_completions_come_from_the_same_table() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", directory.path().to_str().unwrap()]).code, Some(0));
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    for verb in VERBS {
        let page = page(&format!("nameplate-{verb}.1"));
        assert!(page.contains(&format!("nameplate\\-{verb}")) && page.contains("link\\-dir"), "{page}");
    }
    assert!(page("nameplate.1").contains("nameplate\\-status(1)"));
    assert!(run(&["man"]).out.contains(".TH nameplate 1"));
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.out.contains("power-off-order") && script.code == Some(0), "{shell}");
    }
}

#[test]
fn called_by_the_name_of_udevs_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("systemd-udevd");
    symlink(env!("CARGO_BIN_EXE_nameplate"), &name).unwrap();
    let run = |arguments: &[&str]| -> Ended { Command::new(&name).args(arguments).output().unwrap().into() };
    for version in ["--version", "-V"] {
        let ended = run(&[version]);
        assert_eq!((ended.code, &*ended.out), (Some(0), "257\n"));
    }
    let help = run(&["--help"]);
    for option in [
        "-d, --daemon",
        "-D, --debug",
        "-c, --children-max",
        "-e, --exec-delay",
        "-t, --event-timeout",
        "-N, --resolve-names",
        "-s, --timeout-signal",
        "-h, --help",
    ] {
        assert!(help.out.contains(option), "{option} in {help:?}");
    }
    for wrong in [
        &["--timeout-signal=NOPE"][..],
        &["-t", "0"],
        &["-e", "soon"],
        &["-c", "-1"],
        &["-N", "sometimes"],
        &["extra"],
    ] {
        assert_eq!(run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_daemon_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let (links, rules) = (dir.path().join("dev"), dir.path().join("rules"));
    std::fs::create_dir(&rules).unwrap();
    let place = ["--link-dir", links.to_str().unwrap(), "--rules", rules.to_str().unwrap()];
    let options = ["-d", "-D", "-c", "2", "-e", "0", "-t", "1min", "-N", "never", "--timeout-signal", "TERM"];
    let started = run(&[&["daemon"], &options[..], &place].concat());
    assert_eq!((started.code, &*started.out), (Some(0), ""), "{started:?}");
    let status = run(&[&["status", "--json"], &place[..]].concat());
    assert_eq!(status.code, Some(0), "it answers: {status:?}");
    let pid = i32::try_from(status.json()["pid"].as_i64().unwrap()).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    assert_eq!(nix::unistd::getsid(Some(pid)), Ok(pid), "a session of its own");
    // whoever asks later has the lock: it has ended by then
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let socket = links.join(".nameplate/io.nameplate.Manager");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while socket.exists() {
        assert!(std::time::Instant::now() < end, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let failed = run(&["daemon", "-d", "--link-dir", "/dev/null/none"]);
    assert_eq!(failed.code, Some(5), "{failed:?}");
}
