//! Devices that are there before the daemon.

use crate::daemon::World;
use crate::devices::{Interface, Loops, Zram};
use crate::{loop_links, loop_rule, need_devices};

#[test]
fn devices_that_are_already_there_get_their_names() {
    need_devices!();
    let _loops = Loops::add(110_000, 20);
    let zram = Zram::add();
    let _tun = Interface::tun("nptun0");
    let _veth = Interface::add("npveth0", &["type", "veth", "peer", "name", "npveth1"]);
    let rules = format!(
        "{}\n[[rule]]\nmatch = {{ kernel = \"zram{}\" }}\nlink = \"swap/compressed\"\n\
         [[rule]]\nmatch = {{ subsystem = \"net\", kernel = \"nptun*|npveth*\" }}\nproperty.NP_SEEN = \"at $kernel\"\ntag = \"np\"\n",
        loop_rule(110_000),
        zram.number
    );
    let daemon = World::new(&[("50-test.toml", &rules)]).start();

    // ready means named: no settle in between
    let mut expected = loop_links(110_000..110_020);
    expected.insert("swap/compressed".into(), format!("/dev/zram{}", zram.number));
    assert_eq!(daemon.links(), expected);
    for name in ["nptun0", "npveth0", "npveth1"] {
        let info = daemon.json("info", &[&format!("/sys/class/net/{name}")]);
        assert_eq!(info["properties"]["NP_SEEN"], format!("at {name}"), "{info}");
        assert_eq!(info["tags"], serde_json::json!(["np"]), "{info}");
    }
}

#[test]
fn links_of_devices_that_went_while_the_daemon_was_down_are_removed() {
    need_devices!();
    let mut loops = Loops::add(120_000, 4);
    let world = World::new(&[("50-test.toml", &loop_rule(120_000))]).start().stop();
    assert_eq!(world.links(), loop_links(120_000..120_004), "links stay while no daemon runs");
    std::fs::create_dir_all(world.links_dir().join("by-kernel")).unwrap();
    std::os::unix::fs::symlink("/dev/loop120001", world.links_dir().join("by-kernel/not-ours")).unwrap();

    loops.remove(120_001);
    let daemon = world.start();
    let mut expected = loop_links([120_000, 120_002, 120_003]);
    expected.insert("by-kernel/not-ours".into(), "/dev/loop120001".into());
    assert_eq!(daemon.links(), expected);
}
