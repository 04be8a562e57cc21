//! Everything at once: devices that come, go and are renamed, rules that change, clients that ask and one that sleeps.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::daemon::{World, eventually};
use crate::devices::{Interface, Loops};
use crate::need_devices;

/// Rules that give names below a directory of this round's.
fn rules(round: usize) -> String {
    format!(
        "[[rule]]\nmatch = {{ subsystem = \"block\", kernel = \"loop44*\" }}\nlink = [\"r{round}/$kernel\", \"by/$minor\"]\n\
         property.NP_ROUND = \"{round}\"\n\
         [[rule]]\nmatch = {{ subsystem = \"net\", kernel = \"npch*\" }}\nproperty.NP_ROUND = \"{round}\"\n\
         property.NP_KERNEL = \"$kernel\"\ntag = \"np{}\"\n",
        round % 3
    )
}

/// A client that runs till the end of the test.
struct Client(Child);

impl Client {
    fn start(world: &World, verb: &str, arguments: &[&str], out: Stdio) -> Self {
        Self(world.command(verb, arguments).stdin(Stdio::null()).stdout(out).spawn().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// What the records say, without what tells of the past: the time of the first event, and all tags that a device ever had
/// (rules of an earlier round may have been in force when it came).
fn records(links: &Path) -> BTreeMap<String, Vec<String>> {
    let read = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        let now = |line: &&str| !line.starts_with("I:") && !line.starts_with("G:");
        let lines = text.lines().filter(now).map(str::to_owned).collect();
        (entry.file_name().to_string_lossy().into_owned(), lines)
    };
    fs::read_dir(links.join(".nameplate/data")).unwrap().flatten().map(read).collect()
}

fn devices(stop: &AtomicBool) {
    std::thread::scope(|scope| {
        for lane in 0..3 {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut veth = Interface::add(
                        &format!("npch{lane}a"),
                        &["type", "veth", "peer", "name", &format!("npch{lane}b")],
                    );
                    for name in ["npch9", "npchx", "other"] {
                        veth.rename(&format!("{name}{lane}"));
                    }
                    let first = 440_000 + lane * 100;
                    let mut loops = Loops::add(first, 12);
                    (first..first + 6).for_each(|n| loops.remove(n));
                }
            });
        }
    });
}

#[test]
fn everything_at_once_ends_as_a_fresh_daemon_would_have_it() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &rules(0))]).start();
    let _reads = Client::start(&daemon, "monitor", &["--json"], Stdio::null());
    // its pipe is never read: it stops, and its socket fills up
    let _sleeps = Client::start(&daemon, "monitor", &[], Stdio::piped());
    let mut silent = UnixStream::connect(daemon.links_dir().join(".nameplate/io.nameplate.Manager")).unwrap();
    silent.write_all(b"{\"method\":\"io.nameplate.Manager.Monitor\",\"more\":true}\0").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| devices(&stop));
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                daemon.settle();
            }
        });
        for round in 1..=20 {
            daemon.write_rule("50-test.toml", &rules(round));
            if round % 3 == 0 {
                daemon.ask("reload", &[]);
            }
            daemon.ask("status", &[]);
            daemon.ask("list", &[]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    // some stay
    let _loops = Loops::add(440_000, 20);
    let mut veth = Interface::add("npch5a", &["type", "veth", "peer", "name", "npch5b"]);
    veth.rename("npch5c");
    daemon.ask("reload", &[]);
    daemon.settle();

    let fresh = World::new(&[("50-test.toml", &rules(20))]).start();
    assert_eq!(daemon.links(), fresh.links());
    assert_eq!(daemon.links().len(), 40);
    assert_eq!(records(&daemon.links_dir()), records(&fresh.links_dir()));
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
    assert_eq!(
        (&status["queue"]["waiting"], &status["queue"]["running"]),
        (&0.into(), &0.into()),
        "{status}"
    );
    assert_eq!(status["events"]["failed"], 0, "{status}");
    assert_eq!(status["events"]["overruns"], 0, "{status}");
    // an interface's queues have events and no `uevent` file: only who heard their events knows them
    drop(veth);
    let live = |world: &World| {
        world.settle();
        world.json("status", &[])["devices"]["live"].clone()
    };
    eventually("the same number of devices", || (live(&daemon) == live(&fresh)).then_some(()));
}

#[test]
fn a_small_queue_overflows_and_loses_nothing() {
    need_devices!();
    let world =
        World::new(&[("50-test.toml", &crate::loop_rule(450_000))]).config("queue_limit = 4\nworkers = 2\n");
    let before = Loops::add(450_000, 50);
    let daemon = world.start();
    assert_eq!(daemon.links(), crate::loop_links(450_000..450_050));
    let mut more = Loops::add(450_050, 150);
    drop(before);
    daemon.settle();
    assert_eq!(daemon.links(), crate::loop_links(450_050..450_200));
    // a change for more devices than the queue takes
    daemon.write_rule("50-test.toml", &crate::loop_rule(450_000).replace("by-kernel", "by-name"));
    daemon.ask("reload", &[]);
    assert!(daemon.links().keys().all(|link| !link.starts_with("by-kernel")), "{:?}", daemon.links());
    assert_eq!(daemon.links().len(), 300);
    more.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
}
