//! A socket that is too small for the flood.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::World;
use crate::devices::Loops;
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
