//! The log under systemd: fields and priorities as the journal gets them, a journal that stalls, a level that changes.
//!
//! The client knows only the socket of the running system, and a log is set up once in a process. So each case runs again
//! as a child with a mount namespace of its own, an empty directory in place of /run, and a socket there that stands in for
//! the journal. Needs root, and mounts that stay inside; says `skipped` otherwise.
#![cfg(test)]
#![cfg(feature = "journal")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nameplate::log::{Guard, Target, init};
use nameplate::roots::Roots;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tracing::Level;

/// Set in the child: the file that its output goes to.
const CHILD: &str = "NAMEPLATE_TEST_JOURNAL_CHILD";

/// Runs `case` in a child process, where `name` is that of the test that calls.
fn in_child(name: &str, case: fn(&UnixDatagram)) {
    if std::env::var_os(CHILD).is_some() {
        case(&stand_in());
        return;
    }
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("output");
    let file = fs::File::create(&output).unwrap();
    let metadata = file.metadata().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, &output)
        // what systemd sets for a service whose standard error is the journal
        .env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .status()
        .unwrap();
    let said = fs::read_to_string(&output).unwrap();
    assert!(status.success() && said.contains("1 passed"), "    {}", said.replace('\n', "\n    "));
}

/// What this child has said so far.
fn own_output() -> String {
    fs::read_to_string(std::env::var_os(CHILD).unwrap()).unwrap()
}

/// Puts an empty directory in place of /run, for this thread and those that it starts, and a journal into it.
fn stand_in() -> UnixDatagram {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
    let socket = Roots::system().journal_socket();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let journal = UnixDatagram::bind(socket).unwrap();
    // Nothing takes that long: it turns a message that never comes into a failure.
    journal.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    journal
}

fn start(level: Level) -> Guard {
    assert_eq!(Target::detect(&Roots::system()), Target::Journal);
    init(level, Target::Journal).unwrap()
}

/// The next entry that is not the empty one with which a client sees whether somebody listens.
fn entry(journal: &UnixDatagram) -> BTreeMap<String, Vec<u8>> {
    loop {
        let mut bytes = vec![0; 1 << 16];
        let len = journal.recv(&mut bytes).unwrap();
        if len > 0 {
            return fields(&bytes[..len]);
        }
    }
}

/// The journal's own format: `NAME=value`, or `NAME`, a line end, the length in 8 bytes, the value; a line end.
fn fields(mut bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (name, value);
        if let Some(at) = line.iter().position(|b| *b == b'=') {
            (name, value, bytes) = (&line[..at], line[at + 1..].to_vec(), rest);
        } else {
            let len = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            assert_eq!(rest[8 + len], b'\n');
            (name, value, bytes) = (line, rest[8..8 + len].to_vec(), &rest[9 + len..]);
        }
        let name = String::from_utf8(name.to_vec()).unwrap();
        assert!(out.insert(name.clone(), value).is_none(), "{name} twice");
    }
    out
}

fn text(entry: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(entry.get(name).cloned().unwrap_or_else(|| b"(not there)".to_vec())).unwrap()
}

#[test]
fn fields_of_events_and_spans_are_fields_of_the_journal() {
    in_child("fields_of_events_and_spans_are_fields_of_the_journal", |journal| {
        let _log = start(Level::INFO);
        let span = tracing::error_span!(
            "event",
            DEVPATH = "/devices/pci0000:00/1-2/ttyUSB0",
            ACTION = "add",
            SEQNUM = 4711_u64,
            SUBSYSTEM = "tty",
            later = tracing::field::Empty,
        );
        let inside = span.enter();
        span.record("later", "known later");
        let (rule, error) = ("/etc/nameplate/rules.d/50-lab.toml:3", "Permission denied");
        tracing::warn!(RULE = rule, LINK = "gps", %error, priority = 9, "can't make the link\n=x");
        let warning = entry(journal);
        for (name, value) in [
            ("MESSAGE", "ttyUSB0: can't make the link\n=x: Permission denied (priority=9)"),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "nameplate"),
            ("SYSLOG_PID", &std::process::id().to_string()),
            ("DEVPATH", "/devices/pci0000:00/1-2/ttyUSB0"),
            ("ACTION", "add"),
            ("SEQNUM", "4711"),
            ("SUBSYSTEM", "tty"),
            ("RULE", rule),
            ("LINK", "gps"),
            ("ERROR", error),
            ("LATER", "known later"),
            ("TARGET", "journal"),
            ("CODE_FILE", "tests/journal.rs"),
        ] {
            assert_eq!(text(&warning, name), value, "{name}");
        }
        drop(inside);

        tracing::error!("one");
        tracing::info!("two");
        tracing::debug!("not shown");
        tracing::warn!("three");
        for (message, priority) in [("one", "3"), ("two", "6"), ("three", "4")] {
            let entry = entry(journal);
            assert_eq!(
                (text(&entry, "MESSAGE"), text(&entry, "PRIORITY")),
                (message.into(), priority.into())
            );
            assert_eq!(text(&entry, "DEVPATH"), "(not there)", "the span has ended");
        }
    });
}

#[test]
fn the_level_changes_while_it_runs() {
    in_child("the_level_changes_while_it_runs", |journal| {
        let log = start(Level::WARN);
        let control = log.control();
        tracing::info!("not shown");
        control.set_level(Level::DEBUG);
        assert_eq!(control.level(), Some(Level::DEBUG));
        tracing::debug!("shown");
        let debug = entry(journal);
        assert_eq!((text(&debug, "MESSAGE"), text(&debug, "PRIORITY")), ("shown".into(), "7".into()));
        control.set_level(Level::ERROR);
        tracing::warn!("not shown");
        tracing::error!("the last");
        assert_eq!(text(&entry(journal), "MESSAGE"), "the last");
        assert!(matches!(init(Level::INFO, Target::Stderr), Err(nameplate::log::InitError::Twice)));
    });
}

#[test]
fn a_journal_that_stalls_stalls_nobody_and_hears_what_it_missed() {
    const MESSAGES: u64 = 50_000;
    in_child("a_journal_that_stalls_stalls_nobody_and_hears_what_it_missed", |journal| {
        let log = start(Level::INFO);
        let control = log.control();
        // Nobody reads the socket: a log that waited for it would never come to the end of this loop.
        for number in 0..MESSAGES {
            tracing::info!(SEQNUM = number, "message {number}");
        }
        let dropped = control.dropped();
        assert!(dropped > 0 && dropped < MESSAGES, "{dropped}");

        // Now it reads again, and all that was not dropped comes, with a word on what was.
        let (mut come, mut told) = (0, 0);
        while come + told < MESSAGES {
            let entry = entry(journal);
            match text(&entry, "MESSAGE").split_once(" messages were dropped") {
                Some((count, _)) => {
                    assert_eq!(text(&entry, "PRIORITY"), "4");
                    told += count.parse::<u64>().unwrap();
                }
                None => come += 1,
            }
        }
        assert_eq!((come, told), (MESSAGES - dropped, dropped));
        assert_eq!(control.dropped(), dropped);
    });
}

#[test]
fn the_end_writes_what_is_left_and_waits_for_no_dead_journal() {
    in_child("the_end_writes_what_is_left_and_waits_for_no_dead_journal", |journal| {
        let log = start(Level::INFO);
        let (sender, receiver) = mpsc::channel();
        let reader = journal.try_clone().unwrap();
        std::thread::spawn(move || {
            for _ in 0..300 {
                sender.send(text(&entry(&reader), "MESSAGE")).unwrap();
            }
        });
        for number in 0..1000 {
            tracing::info!("message {number}");
        }
        // The reader takes 300 and no more: the rest fills the socket's queue, or ends with the log.
        drop(log);
        let heard: Vec<String> = receiver.iter().collect();
        assert_eq!(heard.len(), 300);
        assert_eq!(heard[299], "message 299");
    });
}

#[test]
fn without_a_journal_lines_go_to_standard_error() {
    in_child("without_a_journal_lines_go_to_standard_error", |_journal| {
        let socket = Roots::system().journal_socket();
        fs::remove_file(&socket).unwrap();
        assert_eq!(Target::detect(&Roots::system()), Target::Stderr);
        // It was there when somebody looked and went away: what is logged is not lost.
        let log = init(Level::INFO, Target::Journal).unwrap();
        tracing::warn!(DEVPATH = "/devices/x/sda", "no journal");
        drop(log);
        let said = own_output();
        assert!(said.contains("WARN sda: no journal\n"), "{said}");
    });
}

#[test]
fn lines_have_no_colours_in_a_file_and_all_fields() {
    in_child("lines_have_no_colours_in_a_file_and_all_fields", |_journal| {
        let log = init(Level::INFO, Target::Stderr).unwrap();
        let span = tracing::error_span!("event", DEVPATH = "/devices/x/sda");
        span.in_scope(|| tracing::warn!(LINK = "gps", error = "gone", "no link"));
        drop(log);
        let said = own_output();
        let line = said.lines().find(|line| line.contains("no link")).unwrap();
        for part in ["WARN", "no link", "LINK=\"gps\"", "error=\"gone\"", "DEVPATH=\"/devices/x/sda\""] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains('\x1b'), "{line}");
    });
}
