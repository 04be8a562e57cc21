//! Devices that come, change, get other names and go while the daemon runs.

use crate::daemon::World;
use crate::devices::{Interface, Loops, Zram, synthesize};
use crate::{loop_links, loop_rule, need_devices};

#[test]
fn devices_come_and_go() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(130_000))]).start();
    let mut loops = Loops::add(130_000, 5);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(130_000..130_005));

    loops.remove(130_002);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links([130_000, 130_001, 130_003, 130_004]));

    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    assert!(!daemon.links_dir().join("by-kernel").exists(), "empty directories go with their last link");
}

#[test]
fn two_thousand_at_once() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", &loop_rule(140_000))]).start();
    let mut loops = Loops::add(140_000, 2_000);
    daemon.settle();
    assert_eq!(daemon.links(), loop_links(140_000..142_000));
    loops.remove_rest();
    daemon.settle();
    assert_eq!(daemon.links().len(), 0);
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
    assert_eq!(status["queue"]["waiting"], 0, "{status}");
}

#[test]
fn a_change_is_evaluated_anew() {
    need_devices!();
    let _loops = Loops::add(150_000, 1);
    let rules = "[[rule]]\nmatch = { kernel = \"loop150000\", action = \"change\", property.SYNTH_ARG_COLOUR = \"?*\" }\n\
                 link = \"colour/$env{SYNTH_ARG_COLOUR}\"\n";
    let daemon = World::new(&[("50-test.toml", rules)]).start();
    assert_eq!(daemon.links().len(), 0);
    for colour in ["red", "green"] {
        let uuid = "7f3c0f0e-6a0b-4c39-9f43-2f8f1f6a7c11";
        synthesize("/sys/block/loop150000", &format!("change {uuid} COLOUR={colour}"));
        daemon.settle();
        let expected = [(format!("colour/{colour}"), "/dev/loop150000".to_owned())].into();
        assert_eq!(daemon.links(), expected, "the link of the last change is gone, the new one is there");
    }
}

#[test]
fn a_renamed_interface_is_the_same_device_under_a_new_path() {
    need_devices!();
    let rules = "[[rule]]\nmatch = { subsystem = \"net\", kernel = \"npold*|npnew*\" }\nproperty.NP_NAME = \"$kernel\"\n";
    let daemon = World::new(&[("50-test.toml", rules)]).start();
    let mut interface = Interface::add("npold0", &["type", "veth", "peer", "name", "npoldpeer0"]);
    daemon.settle();
    let before = daemon.json("info", &["/sys/class/net/npold0"]);
    assert_eq!(before["properties"]["NP_NAME"], "npold0");

    interface.rename("npnew0");
    daemon.settle();
    let after = daemon.json("info", &["/sys/class/net/npnew0"]);
    assert_eq!(after["properties"]["NP_NAME"], "npnew0");
    assert_eq!(after["id"], before["id"], "a device keeps its id over a move");
    let status = daemon.json("status", &[]);
    assert_eq!(status["devices"]["gone_but_held"], 0, "{status}");
}

#[test]
fn zram_and_tun_come_and_go() {
    need_devices!();
    let rules = "[[rule]]\nmatch = { kernel = \"zram*\" }\nlink = \"z/$number\"\n";
    let daemon = World::new(&[("50-test.toml", rules)]).start();
    let zram = Zram::add();
    let tun = Interface::tun("nptun9");
    daemon.settle();
    let link = format!("z/{}", zram.number);
    assert_eq!(daemon.links().get(&link), Some(&format!("/dev/zram{}", zram.number)));
    drop((zram, tun));
    daemon.settle();
    assert_eq!(daemon.links().get(&link), None);
}
