//! The control socket against a daemon that is not there: raw Varlink over a unix socket, good clients and bad ones.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nameplate::daemon::control::protocol::{
    Difference, EventEntry, EventSource, LinkEntry, List, Progress, Status,
};
use nameplate::daemon::control::{
    Broadcast, CommandError, Commands, Filter, Server, StartError, Subscription, socket_path,
};
use serde_json::{Value, json};

/// Longest that anything here may take; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Fake {
    broadcast: Broadcast,
    settled: AtomicBool,
    exited: AtomicBool,
    level: Mutex<String>,
}

impl Commands for Fake {
    fn status(&self) -> Status {
        Status { pid: 42, ready: true, ..Status::default() }
    }

    fn list(&self) -> List {
        let link = LinkEntry { name: "gps".into(), device: "c188:0".into(), ..LinkEntry::default() };
        List { links: vec![link], collisions: Vec::new() }
    }

    fn reload_plan(&self) -> Result<Difference, CommandError> {
        Ok(Difference::default())
    }

    fn reload(&self) -> Result<Difference, CommandError> {
        Err(CommandError::Failed("no rules".into()))
    }

    fn settle(&self, seqnum: Option<u64>, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Progress {
        let seqnum = seqnum.unwrap_or(100);
        let mut now = Progress { done: 0, waiting: 2, seqnum };
        while progress(now).is_continue() {
            now = Progress { done: now.done + 1, ..now };
            if self.settled.load(Ordering::SeqCst) {
                return Progress { waiting: 0, ..now };
            }
            std::thread::yield_now();
        }
        now
    }

    fn subscribe(&self, filter: Filter) -> Subscription {
        self.broadcast.subscribe(filter)
    }

    fn set_log_level(&self, level: &str) -> Result<(), CommandError> {
        if level == "loud" {
            return Err(CommandError::InvalidParameter("level"));
        }
        *self.level.lock().unwrap() = level.into();
        Ok(())
    }

    fn exit(&self) {
        self.exited.store(true, Ordering::SeqCst);
    }
}

struct Bench {
    fake: Arc<Fake>,
    path: PathBuf,
    server: Option<Server>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = socket_path(&directory.path().join("run"));
        let fake = Arc::new(Fake::default());
        let server = Some(Server::start(&path, fake.clone()).unwrap());
        Self { fake, path, server, _directory: directory }
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.send(format!("{}\0", json!({"method": method, "parameters": parameters})).as_bytes());
        self.reply()
    }

    fn more(&mut self, method: &str, parameters: Value) {
        let call = json!({"method": method, "parameters": parameters, "more": true});
        self.send(format!("{call}\0").as_bytes());
    }

    fn reply(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the connection ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

fn event(source: EventSource, seqnum: u64) -> EventEntry {
    let properties = [("PAD".to_string(), "x".repeat(1000))].into();
    EventEntry { source, action: "add".into(), seqnum: Some(seqnum), properties, ..EventEntry::default() }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn varlinkctl_finds_its_way() {
    let bench = Bench::new();
    let mut client = bench.client();
    let info = client.call("org.varlink.service.GetInfo", json!({}));
    assert_eq!(info["parameters"]["product"], "nameplate");
    let interfaces = info["parameters"]["interfaces"].as_array().unwrap();
    assert!(interfaces.contains(&json!("io.nameplate.Manager")), "{interfaces:?}");
    let asked = json!({"interface": "io.nameplate.Manager"});
    let described = client.call("org.varlink.service.GetInterfaceDescription", asked);
    let text = described["parameters"]["description"].as_str().unwrap();
    assert!(text.contains("interface io.nameplate.Manager\n"), "{text}");
}

#[test]
fn each_method() {
    let bench = Bench::new();
    let mut client = bench.client();
    assert_eq!(client.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
    let list = client.call("io.nameplate.Manager.List", json!(null));
    assert_eq!(list["parameters"]["links"][0]["name"], "gps");
    let plan = client.call("io.nameplate.Manager.Reload", json!({"plan": true}));
    assert_eq!(plan["parameters"]["applied"], false);
    assert_eq!(
        client.call("io.nameplate.Manager.Reload", json!({})),
        json!({"error": "io.nameplate.Manager.Failed", "parameters": {"message": "no rules"}})
    );
    assert_eq!(
        client.call("io.nameplate.Manager.SetLogLevel", json!({"level": "debug"})),
        json!({"parameters": {}})
    );
    assert_eq!(*bench.fake.level.lock().unwrap(), "debug");
    assert_eq!(client.call("io.nameplate.Manager.Exit", json!({})), json!({"parameters": {}}));
    until("exit", || bench.fake.exited.load(Ordering::SeqCst));
}

#[test]
fn wrong_calls_are_told_and_the_connection_goes_on() {
    let bench = Bench::new();
    let mut client = bench.client();
    let cases = [
        ("io.nameplate.Manager.Nothing", json!({}), "org.varlink.service.MethodNotFound"),
        ("io.nameplate.Other.Status", json!({}), "org.varlink.service.InterfaceNotFound"),
        ("Status", json!({}), "org.varlink.service.InterfaceNotFound"),
        ("io.nameplate.Manager.Reload", json!({"plam": true}), "org.varlink.service.InvalidParameter"),
        ("io.nameplate.Manager.Reload", json!([1, 2]), "org.varlink.service.InvalidParameter"),
        ("io.nameplate.Manager.Settle", json!({"seqnum": -1}), "org.varlink.service.InvalidParameter"),
        ("io.nameplate.Manager.SetLogLevel", json!({}), "org.varlink.service.InvalidParameter"),
        (
            "io.nameplate.Manager.SetLogLevel",
            json!({"level": "loud"}),
            "org.varlink.service.InvalidParameter",
        ),
        ("io.nameplate.Manager.Monitor", json!({}), "io.nameplate.Manager.ExpectedMore"),
    ];
    for (method, parameters, error) in cases {
        assert_eq!(client.call(method, parameters.clone())["error"], error, "{method} {parameters}");
    }
    assert_eq!(client.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
}

#[test]
fn what_is_no_message_costs_its_own_connection() {
    let bench = Bench::new();
    let mut good = bench.client();
    let long = [b"{\"method\":\"".as_slice(), &vec![b'x'; 100_000], b"\"}\0"].concat();
    let cases: [&[u8]; 8] = [
        b"\0",
        b"hello\0",
        b"{}\0",
        b"[]\0",
        b"{\"method\":7}\0",
        b"{\"method\":\"a.b\",\"more\":\"yes\"}\0",
        b"\xff\xfe\0",
        &vec![b'['; 50_000],
    ];
    for bytes in cases.into_iter().chain([long.as_slice()]) {
        let mut bad = bench.client();
        // The server may close before it has read all.
        let _sent = bad.0.get_mut().write_all(bytes);
        bad.0.get_mut().shutdown(Shutdown::Write).unwrap_or_default();
        let shown = &bytes[..bytes.len().min(30)];
        if bytes.ends_with(b"\0") {
            assert_eq!(bad.reply()["error"], "io.nameplate.Manager.BadMessage", "{shown:?}");
        }
        assert!(bad.is_closed(), "{shown:?}");
        assert_eq!(good.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
    }
}

#[test]
fn a_call_without_wish_for_an_answer_gets_none() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(b"{\"method\":\"io.nameplate.Manager.List\",\"oneway\":true}\0");
    assert_eq!(client.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
}

#[test]
fn settle_tells_its_way_and_ends() {
    let bench = Bench::new();
    let mut client = bench.client();
    let late = client.call("io.nameplate.Manager.Settle", json!({"seqnum": 7, "timeout_usec": 0}));
    assert_eq!(late["error"], "io.nameplate.Manager.TimedOut");
    assert_eq!((&late["parameters"]["waiting"], &late["parameters"]["seqnum"]), (&json!(2), &json!(7)));
    client.more("io.nameplate.Manager.Settle", json!({"seqnum": 7}));
    let first = client.reply();
    assert_eq!(first, json!({"continues": true, "parameters": {"done": 0, "waiting": 2, "seqnum": 7}}));
    bench.fake.settled.store(true, Ordering::SeqCst);
    loop {
        let reply = client.reply();
        if reply["continues"] != true {
            assert_eq!(reply["parameters"]["waiting"], 0);
            break;
        }
    }
    let alone = client.call("io.nameplate.Manager.Settle", json!({}));
    assert_eq!((&alone["parameters"]["waiting"], &alone["parameters"]["seqnum"]), (&json!(0), &json!(100)));
}

#[test]
fn a_waiting_client_that_leaves_frees_its_thread() {
    let mut bench = Bench::new();
    for method in ["io.nameplate.Manager.Settle", "io.nameplate.Manager.Monitor"] {
        let mut client = bench.client();
        client.more(method, json!({}));
        assert_eq!(client.reply()["continues"], true);
    }
    drop(bench.server.take());
    until("the end of all threads", || Arc::strong_count(&bench.fake) == 1);
}

#[test]
fn monitor_gives_what_was_asked_for() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.more("io.nameplate.Manager.Monitor", json!({"handled": true}));
    assert_eq!(client.reply(), json!({"continues": true, "parameters": {"event": null, "lost": null}}));
    for (source, seqnum) in [(EventSource::Kernel, 1), (EventSource::Handled, 2)] {
        bench.fake.broadcast.publish(source, || event(source, seqnum));
    }
    let reply = client.reply();
    assert_eq!(reply["parameters"]["event"]["seqnum"], 2);
    assert_eq!(reply["parameters"]["event"]["source"], "handled");
}

#[test]
fn slow_and_silent_clients_hold_up_nobody() {
    let bench = Bench::new();
    let mut silent: Vec<Client> = (0..10).map(|_| bench.client()).collect();
    silent[0].send(b"{\"method\":\"io.name");
    let mut slow = bench.client();
    slow.more("io.nameplate.Manager.Monitor", json!({}));
    slow.reply();
    // Far more than the socket and the queue take, while nobody reads.
    for seqnum in 0..5_000 {
        bench.fake.broadcast.publish(EventSource::Kernel, || event(EventSource::Kernel, seqnum));
    }
    let mut good = bench.client();
    assert_eq!(good.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
    // What the slow one sees: numbers without a hole, then how many are missing.
    let mut seen = 0;
    let lost = loop {
        let reply = slow.reply();
        match reply["parameters"]["lost"].as_u64() {
            Some(lost) => break lost,
            None => assert_eq!(reply["parameters"]["event"]["seqnum"], seen),
        }
        seen += 1;
    };
    assert_eq!(seen + lost, 5_000);
}

#[test]
fn too_many_connections_are_refused() {
    let bench = Bench::new();
    let held: Vec<Client> = (0..64).map(|_| bench.client()).collect();
    let mut one_more = bench.client();
    assert_eq!(one_more.reply()["error"], "io.nameplate.Manager.TooManyConnections");
    assert!(one_more.is_closed());
    drop(held);
    until("a free place", || {
        let mut client = bench.client();
        let call = b"{\"method\":\"io.nameplate.Manager.Status\"}\0";
        client.0.get_mut().write_all(call).is_ok() && client.reply()["parameters"]["pid"] == 42
    });
}

/// Runs a client as another user: this test's own binary, so that nothing has to be installed.
#[test]
fn only_root_and_the_daemons_user_may_change() {
    if !nix::unistd::geteuid().is_root() {
        return common::skip("it takes root to become another user");
    }
    let bench = Bench::new();
    // A world-readable copy: the build directory may be closed to other users.
    let program = bench.path.with_file_name("client");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "as_another_user", "--nocapture"])
        .env("CONTROL_SOCKET", &bench.path)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!bench.fake.exited.load(Ordering::SeqCst));
    assert_eq!(*bench.fake.level.lock().unwrap(), "");
}

/// The client's part of the test before; by itself it has nothing to do.
#[test]
fn as_another_user() {
    let Some(path) = std::env::var_os("CONTROL_SOCKET") else { return };
    let mut client = Client(BufReader::new(UnixStream::connect(path).unwrap()));
    assert_eq!(client.call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
    let cases = [
        ("Reload", json!({})),
        ("Reload", json!({"plan": true})),
        ("SetLogLevel", json!({"level": "debug"})),
        ("Exit", json!({})),
    ];
    for (method, parameters) in cases {
        let reply = client.call(&format!("io.nameplate.Manager.{method}"), parameters);
        let refused = json!({"error": "io.nameplate.Manager.PermissionDenied", "parameters": {"uid": 65534}});
        assert_eq!(reply, refused, "{method}");
    }
}

#[test]
fn one_daemon_for_a_socket() {
    let mut bench = Bench::new();
    let second = Server::start(&bench.path, bench.fake.clone());
    assert!(matches!(second, Err(StartError::AnotherDaemon(_))), "{second:?}");
    drop(bench.server.take());
    assert!(!bench.path.exists());
    // A daemon that died without taking its socket away.
    drop(std::os::unix::net::UnixListener::bind(&bench.path).unwrap());
    bench.server = Some(Server::start(&bench.path, bench.fake.clone()).unwrap());
    assert_eq!(bench.client().call("io.nameplate.Manager.Status", json!({}))["parameters"]["pid"], 42);
    drop(bench.server.take());
    std::fs::write(&bench.path, "").unwrap();
    assert!(matches!(Server::start(&bench.path, bench.fake.clone()), Err(StartError::InTheWay(_))));
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(110)));
    assert!(matches!(Server::start(&long, bench.fake.clone()), Err(StartError::PathTooLong(_))));
}
