//! A socket that is too small for the flood.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{World, eventually};
use crate::devices::{Loops, synthesize};
use crate::{loop_links, loop_rule, need_devices};

#[test]
fn what_an_overrun_lost_is_found_again() {
    need_devices!();
    let world = World::new(&[("50-test.toml", &loop_rule(190_000))]).config("receive_buffer = 4096\n");
    let mut loops = Loops::add(190_000, 10);
    let daemon = world.start();
    // the daemon sleeps while the kernel fills the buffer: adds and removes get lost for certain
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let mut more = Loops::add(190_010, 500);
    for number in 190_000..190_005 {
        loops.remove(number);
    }
    kill(pid, Signal::SIGCONT).unwrap();
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(190_005..190_510));
    let status = daemon.json("status", &[]);
    assert!(status["events"]["overruns"].as_u64().unwrap() > 0, "{status}");
    assert!(status["events"]["resyncs"].as_u64().unwrap() > 0, "{status}");
    more.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(190_005..190_010));
}

/// As under udevd: what is sent away by hand stays away, whatever else makes the daemon look at devices.
#[test]
fn a_device_that_was_sent_away_is_named_again_by_its_next_event_alone() {
    need_devices!();
    let rule = loop_rule(560_000);
    let world = World::new(&[("50-test.toml", &rule)]).config("receive_buffer = 4096\n");
    let _loops = Loops::add(560_000, 2);
    let daemon = world.start();
    synthesize("/sys/block/loop560000", "remove");
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([560_001]));

    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let mut more = Loops::add(560_010, 100);
    kill(pid, Signal::SIGCONT).unwrap();
    daemon.settle();
    assert_eq!(daemon.links(), loop_links((560_010..560_110).chain([560_001])), "a comparison with sysfs");
    more.remove_rest();
    daemon.settle();

    daemon.write_rule("50-test.toml", &rule.replace("by-number/$major-", "by-number/$major-0"));
    let changed = || daemon.links().contains_key("by-number/7-0560001").then_some(());
    eventually("the changed rules", changed);
    assert_eq!(daemon.links().len(), loop_links([560_001]).len());

    synthesize("/sys/block/loop560000", "change");
    daemon.settle();
    assert_eq!(daemon.links().len(), loop_links([560_000, 560_001]).len());
}
