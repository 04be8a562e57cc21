//! `explain`: why a rule or a link does or does not apply.

use serde_json::json;

use crate::machine::{GPS, HOST, LEFT, Machine};

const RULES: &str = r#"[[rule]]
about  = "GPS receiver on the mast"
match  = { subsystem = "tty" }
parent = { subsystem = "usb", attr.idVendor = "1546", attr.serial = "A50285BJ" }
link   = "gps"
group  = "dialout"

[[rule]]
match  = { subsystem = "tty", kernel = "ttyUSB*" }
link   = "usb/$kernel"
mode   = "0640"

[[rule]]
match  = { subsystem = "block" }
link   = "disk/$kernel"
"#;

#[test]
fn the_first_condition_that_failed_has_pattern_value_and_device() {
    let machine = Machine::new(&[("50-lab.toml", RULES)]);
    let place =
        |line: u32| format!("{}:{line}", machine.path("root/etc/nameplate/rules.d/50-lab.toml").display());
    for ended in [
        machine.run(&["explain", GPS, "--link", "/dev/gps"]),
        machine.on_recording(&["explain", GPS, "--link", "gps"]),
    ] {
        ended.shows(
            1,
            &[
                "gps for /devices/pci0000:00",
                "not given",
                &format!("{}  GPS receiver on the mast: does not apply", place(1)),
                "ok subsystem is \"tty\"",
                "NO parent: no device on the way up has all of it",
                &format!("nearest: {HOST}/1-2\n"),
                "attr.serial is \"A50285BJ\"  found \"A50285BI\"  line 4  <- the first that failed",
                "ttyUSB0: 0 held, then subsystem is \"usb\", found \"usb-serial\"",
                "would set group = dialout",
                "would set link += gps",
            ],
        );
        assert_eq!(ended.out.matches("first that failed").count(), 1, "{}", ended.out);
        assert!(ended.out.lines().count() <= 24, "one screen:\n{}", ended.out);
    }
    let json = machine.run(&["explain", "--json", GPS, "--link", "gps"]).json();
    assert_eq!(json["link"]["given"], false);
    let expected = json!({
        "from": place(4),
        "subject": "attr.serial",
        "pattern": "is \"A50285BJ\"",
        "value": "A50285BI",
        "device": format!("{HOST}/1-2"),
        "passed": false,
        "first_failed": true,
        "late": false,
    });
    assert_eq!(json["rules"][0]["first_failed"], expected);
    assert_eq!(json["rules"].as_array().unwrap().len(), 1, "rules for other names are left out");
}

#[test]
fn a_link_that_is_given() {
    let machine = Machine::new(&[("50-lab.toml", RULES)]);
    let ended = machine.run(&["explain", GPS, "--link", "usb/ttyUSB0"]);
    ended.shows(
        0,
        &[
            "given by",
            "50-lab.toml:10, priority 0",
            "50-lab.toml:8: applies",
            "= sets link += usb/$kernel",
            "= sets mode = 0640",
        ],
    );
    let ended = machine.run(&["explain", GPS, "--link", "nothing/like/it"]);
    ended.shows(1, &["no rule could give a link of that name", "the device gets: usb/ttyUSB0"]);
}

#[test]
fn a_rule_by_its_place() {
    let machine = Machine::new(&[("50-lab.toml", RULES)]);
    machine.run(&["explain", GPS, "--rule", "50-lab.toml:8"]).shows(0, &["50-lab.toml:8: applies"]);
    machine.run(&["explain", GPS, "--rule", "50-lab.toml:11"]).shows(0, &["50-lab.toml:8: applies"]);
    let whole = machine.path("root/etc/nameplate/rules.d/50-lab.toml:13").display().to_string();
    machine
        .run(&["explain", GPS, "--rule", &whole])
        .shows(1, &["NO subsystem is \"block\"", "found \"tty\""]);
    for (place, code, message) in [
        ("51-lab.toml:8", 2, "no rule file `51-lab.toml` is in force; there are:"),
        ("50-lab.toml", 2, "FILE:LINE"),
        ("50-lab.toml:0", 2, "FILE:LINE"),
    ] {
        let ended = machine.run(&["explain", GPS, "--rule", place]);
        assert!(ended.code == Some(code) && ended.err.contains(message), "{place}: {ended:?}");
    }
}

#[test]
fn a_rule_with_a_mistake_is_not_mistaken_for_another() {
    let rules = "[[rule]]\nmatch = { subsystem = \"tty\" }\nlink = \"one\"\n\n[[rule]]\nmatch = { subsytem = \"tty\" }\nlink = \"two\"\n";
    let machine = Machine::new(&[("50-lab.toml", rules)]);
    let ended = machine.run(&["explain", GPS, "--rule", "50-lab.toml:5"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("the rule at 50-lab.toml:5 is not in force"), "{ended:?}");
    assert!(ended.err.contains(":6:11: unknown key `subsytem`"), "{ended:?}");
    let ended = machine.run(&["explain", GPS, "--link", "two"]);
    ended.shows(1, &["not given", "Mistakes in the rule files", "50-lab.toml:6:11: unknown key `subsytem`"]);
}

#[test]
fn without_a_question_what_the_device_gets_and_what_nearly_matched() {
    let machine = Machine::new(&[("50-lab.toml", RULES)]);
    let ended = machine.run(&["explain", GPS]);
    ended.shows(
        0,
        &[
            "mode     0640  (",
            "link     usb/ttyUSB0  priority 0  (",
            "50-lab.toml:10)",
            "Rules that nearly matched:",
            "found \"A50285BI\"",
        ],
    );
    assert!(!ended.out.contains("disk/"), "a rule for disks is no near miss:\n{}", ended.out);
    assert!(!ended.out.contains("DEVPATH"), "what the kernel says comes from no rule:\n{}", ended.out);
    machine.run(&["explain", "--all", GPS]).shows(0, &["disk/$kernel"]);
    let json = machine.run(&["explain", "--json", LEFT]).json();
    assert_eq!(json["plan"]["links"][0]["name"], "usb/ttyUSB1");
    assert_eq!(json["rules"].as_array().unwrap().len(), 1);
}

#[test]
fn who_else_wants_the_link() {
    let machine = Machine::new(&[("50-lab.toml", RULES)]);
    machine.write("root/run/udev/data/c188:9", "S:usb/ttyUSB0\nL:3\nV:1\n");
    machine.write("root/run/udev/data/c188:0", "S:usb/ttyUSB0\nV:1\n");
    let ended = machine.run(&["explain", GPS, "--link", "usb/ttyUSB0"]);
    ended.shows(0, &["claimed by c188:9 too (priority 3)"]);
    assert!(!ended.out.contains("claimed by c188:0"), "{}", ended.out);
}

#[test]
fn a_rule_that_is_not_looked_at_says_why() {
    let rules = "[[rule]]\nmatch = { subsystem = \"usb\" }\nlink = \"bus\"\n";
    let machine = Machine::new(&[("50-lab.toml", rules)]);
    machine
        .run(&["explain", &format!("{HOST}/1-2/1-2:1.0"), "--link", "bus"])
        .shows(1, &["is not looked at: the rule only names a node, and the device has none"]);
}
