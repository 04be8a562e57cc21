//! The Varlink methods by which udevadm speaks to a device manager from systemd 258 on, as raw messages.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::common::skip;
use crate::daemon::World;

struct Peer(BufReader<UnixStream>);

impl Peer {
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let mut message = json!({ "method": method, "parameters": parameters }).to_string().into_bytes();
        message.push(0);
        self.0.get_mut().write_all(&message).unwrap();
        let mut reply = Vec::new();
        self.0.read_until(0, &mut reply).unwrap();
        assert_eq!(reply.pop(), Some(0), "{method}: no reply");
        serde_json::from_slice(&reply).unwrap()
    }
}

#[test]
fn every_method() {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs root");
    }
    let mut world = World::new(&[]).standalone();
    world = world.config("log_level = \"info\"\n");
    let daemon = world.start();
    let socket = daemon.path("root/run/udev/io.systemd.Udev");
    let mut peer = Peer(BufReader::new(UnixStream::connect(&socket).unwrap()));
    let environment = |peer: &mut Peer| {
        peer.call("io.systemd.service.GetEnvironment", json!({}))["parameters"]["environment"].clone()
    };
    let done = json!({ "parameters": {} });
    let invalid = "org.varlink.service.InvalidParameter";
    for (method, parameters, expected) in [
        ("service.Ping", json!({}), None),
        ("service.Ping", json!({ "x": 1 }), Some(invalid)),
        ("service.SetLogLevel", json!({ "level": 7 }), None),
        ("service.SetLogLevel", json!({ "level": 8 }), Some(invalid)),
        ("service.SetLogLevel", json!({ "level": -1 }), Some(invalid)),
        ("Udev.SetTrace", json!({ "enable": true }), None),
        ("Udev.SetTrace", json!({}), Some(invalid)),
        ("Udev.SetChildrenMax", json!({ "number": 3 }), None),
        ("Udev.SetChildrenMax", json!({ "number": "x" }), Some(invalid)),
        ("Udev.SetChildrenMax", json!({ "number": -1 }), Some(invalid)),
        ("Udev.SetChildrenMax", json!({ "number": 99_999_999_999_u64 }), Some(invalid)),
        // more than there can be is as many as there can be
        ("Udev.SetChildrenMax", json!({ "number": u32::MAX }), None),
        ("Udev.SetChildrenMax", json!({ "number": 0 }), None),
        ("Udev.SetEnvironment", json!({ "assignments": ["A=1", "B=2", "C=x"] }), None),
        ("Udev.SetEnvironment", json!({ "assignments": ["D=1", "nothing"] }), Some(invalid)),
        ("Udev.SetEnvironment", json!({ "assignments": ["E=1", "F=x\ny"] }), Some(invalid)),
        ("Udev.SetEnvironment", json!({ "assignments": ["=1"] }), Some(invalid)),
        ("Udev.SetEnvironment", json!({ "assignments": "G=1" }), Some(invalid)),
        ("Udev.SetEnvironment", json!({ "assignments": ["C="] }), None),
        ("Udev.StopExecQueue", json!({}), None),
        ("service.Ping", json!({}), None),
        ("Udev.StartExecQueue", json!({}), None),
        ("service.Reload", json!({}), None),
        ("Udev.Nothing", json!({}), Some("org.varlink.service.MethodNotFound")),
        ("Elsewhere.Ping", json!({}), Some("org.varlink.service.InterfaceNotFound")),
    ] {
        let reply = peer.call(&format!("io.systemd.{method}"), parameters.clone());
        match expected {
            None => assert_eq!(reply, done, "{method} {parameters}"),
            Some(error) => assert_eq!(reply["error"], error, "{method} {parameters}"),
        }
    }
    assert_eq!(environment(&mut peer), json!(["A=1", "B=2"]));
    assert_eq!(peer.call("io.systemd.Udev.Revert", json!({})), done);
    assert_eq!(environment(&mut peer), json!([]));
    let info = peer.call("org.varlink.service.GetInfo", json!({}));
    let interfaces = info["parameters"]["interfaces"].as_array().unwrap();
    for name in ["io.systemd.Udev", "io.systemd.service"] {
        assert!(interfaces.contains(&json!(name)), "{info}");
    }
    assert_eq!(peer.call("io.systemd.Udev.Exit", json!({})), done);
    crate::daemon::eventually("the daemon ends", || (!socket.exists()).then_some(()));
    let _world = daemon.stop();
}

#[test]
fn a_trace_says_what_each_rule_finds() {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs root");
    }
    let world = World::new(&[]).standalone();
    let rules =
        "KERNEL==\"null\", SUBSYSTEM==\"mem\", ENV{NP}=\"1\"\nKERNEL==\"null\", ENV{NP}==\"2\", TAG+=\"x\"\n";
    world.write_rule("50-test.rules", rules);
    let daemon = world.start();
    let mut peer =
        Peer(BufReader::new(UnixStream::connect(daemon.path("root/run/udev/io.systemd.Udev")).unwrap()));
    let mut lines = |enable: bool| {
        let before = daemon.log().len();
        peer.call("io.systemd.Udev.SetTrace", json!({ "enable": enable }));
        std::fs::write("/sys/class/mem/null/uevent", "change").unwrap();
        daemon.settle();
        // the log is written by a thread of its own: what a reload says comes after it
        daemon.ask("reload", &[]);
        let of_rules = |line: &&str| line.contains("50-test.rules:") && line.contains("DEBUG");
        let text = daemon.log().split_off(before);
        text.lines().filter(of_rules).map(str::to_owned).collect::<Vec<_>>()
    };
    let traced = lines(true);
    for part in ["subsystem", "PASS (\"mem\")", "property.NP", "FAIL (\"1\")"] {
        assert!(traced.iter().any(|line| line.contains(part)), "{part} in {traced:#?}");
    }
    assert!(!traced.iter().any(|line| line.contains("tag")), "{traced:#?}");
    assert_eq!(lines(false), [""; 0]);
}
