//! The daemon without root: events, tree, links below a directory of the user's own.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::daemon::World;
use crate::devices::Loops;
use crate::{loop_links, loop_rule, need_devices};

/// `nobody`, wherever there is one.
const NOBODY: u32 = 65534;

#[test]
fn any_user_may_run_one() {
    need_devices!();
    let before = Loops::add(100_000, 2);
    let daemon = World::new(&[("50-test.toml", &loop_rule(100_000))]).run_by(NOBODY).start();
    assert_eq!(daemon.links(), loop_links(100_000..100_002));
    let mut more = Loops::add(100_002, 2);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(100_000..100_004));
    more.remove(100_003);
    drop(before);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([100_002]));
    let status = daemon.json("status", &[]);
    assert!(status["devices"]["live"].as_u64().unwrap() > 10, "{status}");
    assert_eq!(status["events"]["overruns"], 0, "{status}");
}

#[test]
fn a_user_who_is_root_of_his_own_may_too() {
    need_devices!();
    let mut may = Command::new("unshare");
    may.args(["--user", "--map-root-user", "true"]).uid(NOBODY).gid(NOBODY);
    if !may.status().is_ok_and(|status| status.success()) {
        return crate::common::skip("users may not make namespaces of their own here");
    }
    let world = World::new(&[("50-test.toml", &loop_rule(550_000))]);
    let daemon = world.run_by(NOBODY).below_its_own_root().start();
    // to whom the kernel's events come from a stranger
    let _added = Loops::add(550_000, 2);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(550_000..550_002));
    assert_eq!(daemon.json("status", &[])["events"]["foreign"], 0);
}
