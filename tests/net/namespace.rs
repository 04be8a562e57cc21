//! A network namespace of the test's own, with its `/sys`, an empty `/run` and a fixed machine id, in a thread of its own.
//!
//! All that the test starts is in it too. It goes with its last process, and the interfaces in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use crate::common;

/// The id that the machine has in there.
pub(crate) const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";

/// Runs a test in a namespace; says `skipped` where there can't be one.
pub(crate) fn inside(test: impl FnOnce() + Send) {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            enter();
            test();
        });
        if let Err(panic) = ended.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn enter() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("a namespace");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).expect("/sys");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("/run");
    fs::write("/run/machine-id", format!("{MACHINE_ID}\n")).unwrap();
    if Path::new("/etc/machine-id").exists() {
        mount(Some("/run/machine-id"), "/etc/machine-id", none, MsFlags::MS_BIND, none).expect("machine id");
    }
}

/// `ip ARGUMENTS`, which has to succeed; what it says.
pub(crate) fn ip(arguments: &[&str]) -> String {
    said("ip", arguments)
}

/// Runs a program that has to succeed; what it says.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// What `ip -j -d link show` says of an interface.
pub(crate) fn link(name: &str) -> Value {
    let text = ip(&["-j", "-d", "link", "show", "dev", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

/// An interface with one end here and the other called `peer-NAME`.
pub(crate) fn add_veth(name: &str) {
    ip(&["link", "add", name, "type", "veth", "peer", "name", &format!("peer-{name}")]);
}

/// The devpath of an interface without hardware.
pub(crate) fn devpath(name: &str) -> String {
    format!("/devices/virtual/net/{name}")
}
