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

#[test]
fn a_restart_does_not_run_programs_once_more() {
    need_devices!();
    // the interface has no node: nothing but its record says that its program has run
    let mut loops = Loops::add(240_000, 2);
    let world = World::new(&[]);
    let ran = world.path("ran");
    let rule = format!(
        "[[rule]]\nmatch = {{ kernel = \"loop24000[0-9]|lo\" }}\n\
         run = [[\"/bin/sh\", \"-c\", \"echo $kernel >> {}\"]]\n",
        ran.display()
    );
    world.write_rule("50-test.toml", &rule);
    let lines = || {
        let mut lines: Vec<String> =
            std::fs::read_to_string(&ran).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let world = world.start().stop();
    assert_eq!(lines(), ["lo", "loop240000", "loop240001"], "devices that are there have their programs run");
    loops.remove(240_001);
    let daemon = world.start();
    let _new = Loops::add(240_002, 1);
    daemon.settle();
    assert_eq!(lines(), ["lo", "loop240000", "loop240001", "loop240002"], "only the new one");
}
