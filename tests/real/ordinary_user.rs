//! The daemon without root: events, tree, links below a directory of the user's own.

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
