//! `info` and `tree`, and that all of the looking verbs work for anybody and change nothing.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::machine::{GPS, HOST, Machine};

#[test]
fn info_of_a_device() {
    let machine = Machine::new(&[]);
    machine.write("root/dev/ttyUSB0", "");
    machine.write("root/run/udev/data/c188:0", "S:gps\nS:other\nL:5\nE:ID_BUS=usb\nG:old\nG:np\nQ:np\nV:1\n");
    symlink("ttyUSB0", machine.path("root/dev/gps")).unwrap();
    let info = machine.run(&["info", "--json", "/dev/gps"]).json();
    let expected = json!({
        "id": "c188:0",
        "devpath": GPS,
        "kernel": "ttyUSB0",
        "subsystem": "tty",
        "driver": null,
        "node": machine.path("root/dev/ttyUSB0"),
        "links": ["gps", "other"],
        "links_in_place": ["gps"],
        "priority": 5,
        "properties": { "DEVNAME": "ttyUSB0", "ID_BUS": "usb", "MAJOR": "188", "MINOR": "0" },
        "tags": ["np"],
    });
    assert_eq!(info, expected);
    machine.run(&["info", "ttyUSB0"]).shows(
        0,
        &[
            "id         c188:0",
            "link       gps  (in place, priority 5)",
            "other  (claimed, not in place",
            "property   ID_BUS=usb",
        ],
    );
    let ended = machine.run(&["info", "--properties", "ttyUSB0"]);
    assert_eq!(ended.out, "DEVNAME=ttyUSB0\nID_BUS=usb\nMAJOR=188\nMINOR=0\n");
    assert_eq!(machine.run(&["info", "ttyUSB7"]).code, Some(1));
}

#[test]
fn parents_are_shown_as_rules_can_name_them() {
    let machine = Machine::new(&[]);
    machine.run(&["info", "--parents", GPS]).shows(
        0,
        &[
            &format!("# {HOST}/1-2\n"),
            "    attr.serial = \"A50285BI\"\n",
            "  parent = { subsystem = \"usb\", attr.idVendor = \"1546\", attr.idProduct = \"01a8\", attr.serial = \"A50285BI\" }\n",
            "    driver = \"cp210x\"\n",
            "has to hold on ONE of these",
        ],
    );
    let info = machine.on_recording(&["info", "--json", "--parents", "--attributes", "+usb:1-2"]).json();
    assert_eq!(info["attributes"], json!({ "idProduct": "01a8", "idVendor": "1546", "serial": "A50285BI" }));
    let names: Vec<&Value> =
        info["parents"].as_array().unwrap().iter().map(|parent| &parent["kernel"]).collect();
    assert_eq!(names, ["usb1", "0000:00:14.0", "pci0000:00"]);
    assert_eq!(info["parents"][1]["driver"], "xhci_hcd");
}

#[test]
fn what_is_pasted_matches() {
    let machine = Machine::new(&[]);
    let shown = machine.run(&["info", "--parents", GPS]).out;
    let tables: Vec<&str> =
        shown.lines().map(str::trim).filter(|line| line.starts_with("parent = ")).collect();
    assert_eq!(tables.len(), 5, "{shown}");
    for (at, table) in tables.iter().enumerate() {
        machine.write(
            &format!("rules/{at}.toml"),
            &format!("[[rule]]\nmatch = {{ subsystem = \"tty\" }}\n{table}\nlink = \"at{at}\"\n"),
        );
    }
    let rules = machine.path("rules").display().to_string();
    let plan = machine.run(&["test", "--json", "--rules", &rules, GPS]).json();
    assert_eq!(plan["links"].as_array().unwrap().len(), 5, "{plan}");
}

#[test]
fn the_tree() {
    let machine = Machine::new(&[]);
    machine.on_recording(&["tree", "+usb:1-2"]).shows(
        0,
        &[
            &format!("{HOST}/1-2  usb  "),
            "\n  1-2:1.0  usb\n    ttyUSB0  usb-serial\n      tty/ttyUSB0  tty  ",
        ],
    );
    let tree = machine.run(&["tree", "--json"]).json();
    assert_eq!(tree[0]["devpath"], "/devices/pci0000:00");
    let usb = &tree[0]["children"][0]["children"][0];
    assert_eq!(usb["devpath"], HOST);
    assert_eq!(usb["children"].as_array().unwrap().len(), 4);
    let order = machine.run(&["tree", "--power-off-order", "--json", "+usb:1-2"]).json();
    let order: Vec<&str> = order.as_array().unwrap().iter().map(|d| d["devpath"].as_str().unwrap()).collect();
    let port = format!("{HOST}/1-2/1-2:1.0/ttyUSB0");
    assert_eq!(order, [GPS, &port, &format!("{HOST}/1-2/1-2:1.0"), &format!("{HOST}/1-2")]);
    let all = machine.on_recording(&["tree", "--power-off-order"]).out;
    assert_eq!(all.lines().count(), 19);
    assert!(all.ends_with("/devices/pci0000:00\n"), "{all}");
}

#[test]
fn anybody_may_look_and_nothing_changes() {
    let rule =
        "[[rule]]\nmatch = { subsystem = \"tty\" }\nlink = \"n/$index\"\nindex = { by = \"$kernel\" }\n";
    let test = format!(
        "[[test]]\ndevice = \"../../../../recordings/usb.umockdev\"\npath = \"{GPS}\"\nlinks = [\"n/0\"]\n"
    );
    let machine = Machine::new(&[("50-a.toml", &format!("{rule}{test}"))]);
    machine.write("root/run/udev/data/c188:0", "S:gps\nV:1\n");
    let root = nix::unistd::geteuid().is_root();
    let run = |arguments: &[&str]| if root { machine.as_nobody(arguments) } else { machine.run(arguments) };
    run(&["info", GPS]).shows(0, &["link       gps"]);
    let before = machine.everything();
    run(&["test", GPS]).shows(0, &["link     n/0"]);
    run(&["explain", GPS, "--link", "n/0"]).shows(0, &["given by"]);
    run(&["check"]).shows(0, &["1 of 1 test passed"]);
    run(&["tree"]).shows(0, &["pci0000:00"]);
    run(&["info", "--attributes", "--parents", GPS]).shows(0, &["idVendor"]);
    assert!(machine.everything() == before, "something has changed");
    assert!(!machine.path("root/var").exists());
}
