//! Several devices that want one name.

use crate::daemon::World;
use crate::devices::Loops;
use crate::need_devices;

const RULES: &str = "[[rule]]\nmatch = { kernel = \"loop1600[0-9][0-9]\" }\nlink = \"the-disk\"\n\
                     [[rule]]\nmatch = { kernel = \"loop160002\" }\npriority = 10\n";

fn holder(daemon: &crate::daemon::Daemon) -> Option<String> {
    daemon.links().get("the-disk").cloned()
}

#[test]
fn priority_decides_then_the_holder_keeps_and_hands_over() {
    need_devices!();
    let daemon = World::new(&[("50-test.toml", RULES)]).start();
    // two at once are worked on at once, and either may be the first
    let mut first = Loops::add(160_000, 1);
    daemon.settle();
    let mut second = Loops::add(160_001, 1);
    daemon.settle();
    assert_eq!(holder(&daemon).as_deref(), Some("/dev/loop160000"), "the first to come holds it");

    let mut strong = Loops::add(160_002, 1);
    daemon.settle();
    assert_eq!(holder(&daemon).as_deref(), Some("/dev/loop160002"), "a higher priority takes it");
    let list = daemon.json("list", &[]);
    let entry = list["links"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["name"] == "the-disk")
        .expect("the link is listed");
    assert_eq!(entry["priority"], 10, "{entry}");
    assert_eq!(entry["others"].as_array().unwrap().len(), 2, "both others are shown: {entry}");

    strong.remove_rest();
    daemon.settle();
    assert_eq!(
        holder(&daemon).as_deref(),
        Some("/dev/loop160000"),
        "handed over to the one that claimed first"
    );
    first.remove_rest();
    daemon.settle();
    assert_eq!(holder(&daemon).as_deref(), Some("/dev/loop160001"));
    second.remove_rest();
    daemon.settle();
    assert_eq!(holder(&daemon), None);
    assert!(daemon.log().contains("the-disk"), "collisions are in the log\n{}", daemon.log());
}

#[test]
fn what_is_not_ours_is_never_replaced() {
    need_devices!();
    let rules = "[[rule]]\nmatch = { kernel = \"loop170000\" }\nlink = [\"file\", \"link\", \"free\"]\n";
    let world = World::new(&[("50-test.toml", rules)]);
    std::fs::write(world.links_dir().join("file"), "precious").unwrap();
    std::os::unix::fs::symlink("/dev/null", world.links_dir().join("link")).unwrap();
    let daemon = world.start();
    let loops = Loops::add(170_000, 1);
    daemon.settle();
    assert_eq!(std::fs::read_to_string(daemon.links_dir().join("file")).unwrap(), "precious");
    let links = daemon.links();
    assert_eq!(links.get("link").map(String::as_str), Some("/dev/null"));
    assert_eq!(links.get("free").map(String::as_str), Some("/dev/loop170000"));
    drop(loops);
    daemon.settle();
    assert_eq!(daemon.links().get("link").map(String::as_str), Some("/dev/null"));
    assert!(daemon.links_dir().join("file").exists());
}
