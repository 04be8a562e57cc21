//! `test`: what the rules make of a device.

use serde_json::json;

use crate::machine::{GPS, LEFT, METADATA, Machine, RIGHT, VIDEO};

const GPS_RULE: &str = r#"
[[rule]]
about  = "GPS receiver on the mast"
match  = { subsystem = "tty" }
parent = { subsystem = "usb", attr.idVendor = "1546", attr.serial = "A50285BI" }
link   = "gps"
group  = "dialout"
mode   = "0660"
"#;

const PORTS: &str = r#"
[[rule]]
match  = { subsystem = "tty|video4linux" }
import = { builtin = "path_id" }

[[rule]]
match  = { subsystem = "tty", property.ID_PATH = "?*" }
parent = { attr.idVendor = "10c4", attr.serial = { exists = false } }
link   = "adapter/$env{ID_PATH}"
tag    = "adapter"

[[rule]]
match  = { subsystem = "video4linux", attr.index = "0", property.ID_PATH = "?*" }
link   = ["camera/by-port/$env{ID_PATH}", "camera/$index"]
index  = { by = "$env{ID_PATH}" }
priority = 7
"#;

/// Links by device, the same below a root and in a recording.
#[track_caller]
fn links(machine: &Machine, device: &str, expected: &[&str]) {
    for ended in [machine.run(&["test", "--json", device]), machine.on_recording(&["test", "--json", device])]
    {
        let plan = ended.json();
        let names: Vec<&str> =
            plan["links"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{ended:?}");
    }
}

#[test]
fn a_serial_adapter_is_known_by_its_parents() {
    let machine = Machine::new(&[("50-gps.toml", GPS_RULE)]);
    let from =
        |line: u32| format!("{}:{line}", machine.path("root/etc/nameplate/rules.d/50-gps.toml").display());
    for ended in [machine.run(&["test", "--json", GPS]), machine.on_recording(&["test", "--json", GPS])] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let plan = ended.json();
        let dev = machine.path("root/dev/ttyUSB0").display().to_string();
        let kernel = |value: &str| json!({ "value": value, "from": "kernel" });
        let expected = json!({
            "devpath": GPS,
            "action": "add",
            "node": { "name": "ttyUSB0", "owner": null, "group": "dialout", "mode": "0660" },
            "links": [{ "name": "gps", "priority": 0, "from": from(6) }],
            "properties": {
                "ACTION": kernel("add"), "DEVNAME": kernel(&dev), "DEVPATH": kernel(GPS), "MAJOR": kernel("188"),
                "MINOR": kernel("0"), "SEQNUM": kernel("0"), "SUBSYSTEM": kernel("tty"),
            },
            "tags": [],
            "netif": null,
            "run": [],
            "writes": [],
            "diagnostics": [],
        });
        assert_eq!(plan, expected);
    }
    for other in [LEFT, RIGHT, VIDEO] {
        links(&machine, other, &[]);
    }
}

#[test]
fn every_way_to_name_a_device() {
    let machine = Machine::new(&[]);
    let below = machine.path(&format!("root/sys{GPS}")).display().to_string();
    let node = machine.path("root/dev/ttyUSB0").display().to_string();
    machine.write("root/dev/ttyUSB0", "");
    let sys = format!("/sys{GPS}");
    let ways = ["ttyUSB0", "/dev/ttyUSB0", GPS, &sys, &below, &node, "c188:0", "/sys/class/tty/ttyUSB0"];
    for way in ways {
        for ended in [machine.run(&["test", "--json", way]), machine.on_recording(&["test", "--json", way])] {
            assert_eq!(ended.code, Some(0), "{way}: {ended:?}");
            assert_eq!(ended.json()["devpath"], GPS, "{way}");
        }
    }
    for (way, code) in [("ttyUSB9", 1), ("c1:1", 1), ("/devices/none", 1), ("+usb:9-9", 1), ("+", 2)] {
        assert_eq!(machine.run(&["test", way]).code, Some(code), "{way}");
        assert_eq!(machine.on_recording(&["test", way]).code, Some(code), "{way}");
    }
    for (way, path) in [("+usb:1-2", "/1-2"), ("/sys/bus/usb/devices/1-2:1.0", "/1-2/1-2:1.0")] {
        let expected = format!("{}{path}", crate::machine::HOST);
        assert_eq!(machine.run(&["test", "--json", way]).json()["devpath"], expected, "{way}");
        assert_eq!(machine.on_recording(&["test", "--json", way]).json()["devpath"], expected, "{way}");
    }
}

#[test]
fn two_equal_adapters_are_told_apart_by_their_ports() {
    let machine = Machine::new(&[("50-ports.toml", PORTS)]);
    links(&machine, LEFT, &["adapter/pci-0000:00:14.0-usb-0:3:1.0"]);
    links(&machine, RIGHT, &["adapter/pci-0000:00:14.0-usb-0:4:1.0"]);
    links(&machine, GPS, &[]);
    let plan = machine.run(&["test", "--json", LEFT]).json();
    assert_eq!(plan["tags"], json!(["adapter"]));
    let path = &plan["properties"]["ID_PATH"];
    assert_eq!(path["value"], "pci-0000:00:14.0-usb-0:3:1.0");
    assert!(path["from"].as_str().unwrap().ends_with("/50-ports.toml:4"), "{path}");
}

#[test]
fn a_camera_with_two_nodes_has_one_name() {
    let machine = Machine::new(&[("50-ports.toml", PORTS)]);
    let port = "camera/by-port/pci-0000:00:14.0-usb-0:5:1.0";
    links(&machine, VIDEO, &["camera/0", port]);
    links(&machine, METADATA, &[]);
    let plan = machine.run(&["test", "--json", VIDEO]).json();
    assert_eq!(plan["links"][0]["priority"], 7);
    machine.write("root/var/lib/nameplate/indexes", "0 index other\n");
    let before = machine.everything();
    let given = machine.run(&["test", "--json", VIDEO]).json();
    assert_eq!(machine.everything(), before, "a number that is foreseen is not given");
    assert!(given["links"].as_array().unwrap().iter().any(|link| link["name"] == port), "{given}");
}

#[test]
fn programs_run_only_when_asked_to() {
    let rules = "[[rule]]\nmatch = { subsystem = \"tty\" }\nimport = { program = [\"/bin/echo\", \"NP_WORD=$kernel\"] }\n\
                 link = \"said/$env{NP_WORD}\"\nrun = [[\"/bin/false\", \"$devnode\"]]\n";
    let machine = Machine::new(&[("50-run.toml", rules)]);
    machine.run(&["test", GPS]).shows(0, &["not run  /bin/echo NP_WORD=ttyUSB0"]);
    let plan = machine.run(&["test", "--json", GPS]).json();
    assert_eq!(plan["links"], json!([]));
    let plan = machine.run(&["test", "--json", "--run-programs", GPS]).json();
    assert_eq!(plan["links"][0]["name"], "said/ttyUSB0");
    let node = machine.path("root/dev/ttyUSB0").display().to_string();
    assert_eq!(plan["run"][0]["program"], json!(["/bin/false", node]));
}

#[test]
fn writes_are_shown_and_not_made() {
    let rules = "[[rule]]\nmatch = { subsystem = \"usb\", kernel = \"1-2\" }\nwrite = { attr.idProduct = \"ffff\" }\n";
    let machine = Machine::new(&[("50-write.toml", rules)]);
    let before = machine.everything();
    let plan = machine.run(&["test", "--json", "+usb:1-2"]).json();
    assert_eq!(plan["writes"][0]["attribute"], "idProduct", "{plan}");
    assert_eq!(plan["writes"][0]["value"], "ffff");
    assert_eq!(machine.everything(), before);
}

#[test]
fn a_removed_device_has_no_links() {
    let machine = Machine::new(&[("50-gps.toml", GPS_RULE)]);
    let plan = machine.run(&["test", "--json", "--action", "remove", GPS]).json();
    assert_eq!(
        (&plan["action"], &plan["links"], &plan["node"]),
        (&json!("remove"), &json!([]), &json!(null))
    );
    assert_eq!(machine.run(&["test", "--action", "explode", GPS]).code, Some(2));
}

#[test]
fn mistakes_in_rules_are_among_the_diagnostics() {
    let machine = Machine::new(&[
        ("50-gps.toml", GPS_RULE),
        ("60-bad.toml", "[[rule]]\nmatch = { kernel = \"*\" }\nlnk = \"x\"\n"),
    ]);
    let ended = machine.run(&["test", "--json", GPS]);
    let plan = ended.json();
    assert_eq!(plan["diagnostics"][0]["code"], "unknown-key", "{plan}");
    assert_eq!(plan["diagnostics"][0]["line"], 3);
    assert_eq!(plan["links"][0]["name"], "gps", "the other file is in force");
    let ended = machine.run(&["test", GPS]);
    assert!(ended.err.contains("error[unknown-key]"), "{ended:?}");
}

#[test]
fn a_recording_that_is_none() {
    let machine = Machine::new(&[]);
    machine.write("bad.umockdev", "P: /devices/a\nnonsense\n");
    let bad = machine.path("bad.umockdev").display().to_string();
    let ended = machine.run(&["test", "--recording", &bad, "/devices/a"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.err.contains("bad.umockdev: line 2:"), "{ended:?}");
    let ended = machine.run(&["test", "--recording", "/nowhere/x", "/devices/a"]);
    assert!(ended.code == Some(5) && ended.err.contains("/nowhere/x"), "{ended:?}");
}

#[test]
fn the_old_record_gives_what_a_removal_needs() {
    let rules = "[[rule]]\nmatch = { subsystem = \"tty\", action = \"remove\", property.NP_OLD = \"yes\" }\nrun = [[\"/bin/bye\"]]\n";
    let machine = Machine::new(&[("50-bye.toml", rules)]);
    let run =
        |machine: &Machine| machine.run(&["test", "--json", "--action", "remove", GPS]).json()["run"].clone();
    assert_eq!(run(&machine), json!([]));
    machine.write("root/run/udev/data/c188:0", "E:NP_OLD=yes\nV:1\n");
    assert_eq!(run(&machine)[0]["program"], json!(["/bin/bye"]));
}
