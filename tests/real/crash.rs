//! A daemon that is killed at the worst moment.

use crate::daemon::{World, eventually};
use crate::devices::Loops;
use crate::{loop_links, loop_rule, need_devices};

#[test]
fn killed_in_the_middle_of_two_thousand_adds() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(180_000))]).start();
    let adding = std::thread::spawn(|| Loops::add(180_000, 2_000));
    // in the middle: some links are there, and the devices are still coming
    eventually("the first links", || (daemon.links().len() > 50).then_some(()));
    let world = daemon.kill();
    let mut loops = adding.join().unwrap();
    loops.remove(180_007);

    let daemon = world.start();
    assert_eq!(daemon.links(), loop_links((180_000..182_000).filter(|n| *n != 180_007)));
    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
}
