//! The daemon against real devices of the running kernel: loop, zram, tun and veth devices that come, change, get other
//! names and go. Needs root; says `skipped` otherwise.

#![cfg(test)]

mod common;

#[path = "real/access.rs"]
mod access;
#[path = "real/beside.rs"]
mod beside;
#[path = "real/chaos.rs"]
mod chaos;
#[path = "real/claims.rs"]
mod claims;
#[path = "real/companion.rs"]
mod companion;
#[path = "real/crash.rs"]
mod crash;
#[path = "real/hotplug.rs"]
mod hotplug;
#[path = "real/live_rules.rs"]
mod live_rules;
#[path = "real/marks.rs"]
mod marks;
#[path = "real/nonsense.rs"]
mod nonsense;
#[path = "real/ordinary_user.rs"]
mod ordinary_user;
#[path = "real/overrun.rs"]
mod overrun;
#[path = "real/programs.rs"]
mod programs;
#[path = "real/sabotage.rs"]
mod sabotage;
#[path = "real/standalone.rs"]
mod standalone;
#[path = "real/start.rs"]
mod start;
#[path = "real/static_nodes.rs"]
mod static_nodes;

use std::collections::BTreeMap;

#[path = "common/daemon.rs"]
mod daemon;
#[path = "common/devices.rs"]
#[allow(dead_code)] // shared with the benchmark
mod devices;

/// Ends the test early, counted as skipped, where devices can't be made.
macro_rules! need_devices {
    () => {
        if !nix::unistd::geteuid().is_root() {
            return crate::common::skip("making devices needs root");
        }
        if !std::path::Path::new("/dev/loop-control").exists() {
            return crate::common::skip("no loop driver: modprobe loop");
        }
        crate::one_run_at_a_time();
    };
}
pub(crate) use need_devices;

/// Waits for another run of these tests on this machine: both would make devices of the same numbers.
fn one_run_at_a_time() {
    use nix::fcntl::{Flock, FlockArg};
    use std::sync::OnceLock;
    static RUN: OnceLock<Flock<std::fs::File>> = OnceLock::new();
    // the kernel lets go of it when this process ends, however it ends
    RUN.get_or_init(|| {
        let file = std::fs::File::create(std::env::temp_dir().join("nameplate-real-devices.lock")).unwrap();
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap()
    });
}

/// A rule that gives each loop device of `first..first + 10_000` two names, where `first` is a multiple of 10,000.
fn loop_rule(first: i32) -> String {
    let thousands = first / 10_000;
    format!(
        "[[rule]]\nmatch = {{ subsystem = \"block\", kernel = \"loop{thousands}[0-9][0-9][0-9][0-9]\" }}\n\
         link = [\"by-kernel/$kernel\", \"by-number/$major-$minor\"]\n"
    )
}

/// The links that [`loop_rule`] makes for these numbers.
fn loop_links(numbers: impl IntoIterator<Item = i32>) -> BTreeMap<String, String> {
    numbers
        .into_iter()
        .flat_map(|n| {
            let node = format!("/dev/loop{n}");
            [(format!("by-kernel/loop{n}"), node.clone()), (format!("by-number/7-{n}"), node)]
        })
        .collect()
}
