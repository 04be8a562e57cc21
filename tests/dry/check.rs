//! `check`: mistakes and tests of rule files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::machine::{GPS, LEFT, Machine};

const GPS_RULE: &str = "[[rule]]\nmatch = { subsystem = \"tty\" }\nparent = { subsystem = \"usb\", attr.serial = \"A50285BI\" }\n\
                        link = \"gps\"\ngroup = \"dialout\"\nmode = \"0660\"\ntag = \"np\"\nproperty.NP = \"1\"\nrun = [[\"/bin/x\", \"$kernel\"]]\n";

fn test(path: &str, expectations: &str) -> String {
    format!("\n[[test]]\ndevice = \"recordings/usb.umockdev\"\npath = \"{path}\"\n{expectations}")
}

#[test]
fn good_files_with_tests_that_pass() {
    let all = "links = [\"gps\"]\nmode = \"0660\"\ngroup = \"dialout\"\ntags = [\"np\"]\nproperties = { NP = \"1\", NO = \"\" }\n\
               run = [[\"/bin/x\", \"ttyUSB0\"]]\n";
    let machine = Machine::new(&[]);
    machine.write("50-gps.toml", &format!("{GPS_RULE}{}{}", test(GPS, all), test(LEFT, "links = []\n")));
    let file = machine.path("50-gps.toml").display().to_string();
    let ended = machine.run(&["check", &file]);
    ended.shows(0, &["good: 1 file, 1 rule, 0 errors, 0 warnings, 2 of 2 tests passed"]);
    let json = machine.run(&["check", "--json", &file]).json();
    assert_eq!((&json["ok"], &json["rules"], &json["diagnostics"]), (&json!(true), &json!(1), &json!([])));
    assert_eq!(json["tests"][1]["passed"], true);
}

#[test]
fn each_expectation_can_fail() {
    let cases = [
        ("links = [\"gps\", \"gsp\"]", "`links`: expected [\"gps\", \"gsp\"], got [\"gps\"]"),
        ("links = []", "`links`: expected [], got [\"gps\"]"),
        ("mode = \"0600\"", "`mode`: expected \"0600\", got \"0660\""),
        ("group = 44", "`group`: expected 44, got 20"),
        ("owner = 0", "`owner`: expected 0, got none"),
        ("name = \"eth0\"", "`name`: expected \"eth0\", got \"ttyUSB0\""),
        ("tags = [\"np\", \"other\"]", "`tags`: expected [\"np\", \"other\"], got [\"np\"]"),
        ("properties.NP = \"2\"", "`properties.NP`: expected \"2\", got \"1\""),
        ("properties.NP = \"\"", "`properties.NP`: expected \"\", got \"1\""),
        ("run = []", "`run`: expected [], got [[\"/bin/x\", \"ttyUSB0\"]]"),
        ("action = \"remove\"\nlinks = [\"gps\"]", "`links`: expected [\"gps\"], got []"),
    ];
    let machine = Machine::new(&[]);
    let file = machine.path("50-gps.toml").display().to_string();
    for (expectation, message) in cases {
        machine.write("50-gps.toml", &format!("{GPS_RULE}{}", test(GPS, expectation)));
        let ended = machine.run(&["check", &file]);
        ended.shows(1, &["error[test-failed]: test failed: ", message, "not good: ", "0 of 1 test passed"]);
        let line = 13 + expectation.lines().count();
        ended.shows(1, &[&format!("{file}:{line}:"), "says why"]);
    }
}

#[test]
fn a_test_without_its_device() {
    let machine = Machine::new(&[]);
    let file = machine.path("50-gps.toml").display().to_string();
    machine.write("50-gps.toml", &format!("{GPS_RULE}{}", test("/devices/none", "links = []\n")));
    machine
        .run(&["check", &file])
        .shows(1, &["`path`: expected a device of the recording, got none of that path"]);
    machine.write(
        "50-gps.toml",
        &format!("{GPS_RULE}{}", test(GPS, "").replace("usb.umockdev", "none.umockdev")),
    );
    machine
        .run(&["check", &file])
        .shows(1, &["`device`: expected a recording that can be read, got", "No such file"]);
}

#[test]
fn mistakes_are_shown_with_place_and_hint() {
    let machine = Machine::new(&[
        ("60-good.toml", GPS_RULE),
        ("50-bad.toml", "[[rule]]\nmatch = { kernel = \"x\" }\nlnk = \"y\"\n"),
    ]);
    let ended = machine.run(&["check"]);
    ended.shows(
        1,
        &[
            "error[unknown-key]: unknown key `lnk`",
            "50-bad.toml:3:1",
            "^^^",
            "= help: ",
            "2 files, ",
            "1 error",
        ],
    );
    let json = machine.run(&["check", "--json"]).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["diagnostics"][0]["code"], "unknown-key");
    assert_eq!(json["files"].as_array().unwrap().len(), 2);
    let good = machine.path("root/etc/nameplate/rules.d/60-good.toml").display().to_string();
    machine.run(&["check", &good]).shows(0, &["1 file, 1 rule, 0 errors"]);
    let dir = machine.path("root/etc/nameplate/rules.d").display().to_string();
    machine.run(&["check", &dir]).shows(1, &["2 files"]);
    machine.run(&["check", "/nowhere/50-x.toml"]).shows(1, &["error[unreadable]", "/nowhere/50-x.toml"]);
}

#[test]
fn a_warning_alone_is_no_failure() {
    let machine = Machine::new(&[]);
    machine.write("50-gps.toml", &format!("{GPS_RULE}{}", test(GPS, "")));
    let file = machine.path("50-gps.toml").display().to_string();
    machine.run(&["check", &file]).shows(0, &["warning[", "good: 1 file, 1 rule, 0 errors, 1 warning"]);
    machine.run(&["check"]).shows(0, &["good: 0 files"]);
}

#[test]
fn accounts_are_those_of_the_root() {
    let machine =
        Machine::new(&[("50-a.toml", "[[rule]]\nmatch = { subsystem = \"tty\" }\ngroup = \"gpsd\"\n")]);
    machine.run(&["check"]).shows(1, &["gpsd"]);
    machine.write("root/etc/group", "gpsd:x:123:\n");
    machine.run(&["check"]).shows(0, &["0 errors"]);
}

#[test]
fn warnings_fail_only_when_that_is_asked() {
    let machine = Machine::new(&[]);
    machine.write("70-a.rules", "KERNEL==\"a\", KERNEL==\"b\", MODE=\"0600\"\n");
    machine.write("70-b.rules", "KERNEL==\"a\",MODE=\"0600\"\n");
    let (bad, odd) = (machine.path("70-a.rules"), machine.path("70-b.rules"));
    let (bad, odd) = (bad.to_str().unwrap(), odd.to_str().unwrap());
    machine.run(&["check", bad]).shows(0, &["warning[never-holds]", "good: ", "1 warning"]);
    machine.run(&["check", "--strict", bad]).shows(1, &["not good: ", "1 warning"]);
    machine.run(&["check", "--strict", odd]).shows(0, &["note[style-space]", "0 warnings, 1 note"]);
    let ended = machine.run(&["check", "--no-notes", odd]);
    ended.shows(0, &["0 warnings, 0 of 0 tests"]);
    assert!(!ended.out.contains("note"), "{ended:?}");
}

#[test]
fn keys_of_parents_that_no_parent_has_together() {
    let rule = "SUBSYSTEM==\"tty\", ATTRS{serial}==\"A50285BI\", DRIVERS==\"cp210x\", SYMLINK+=\"gps\"\n";
    let machine = Machine::new(&[("50-gps.rules", rule)]);
    machine.run(&["check"]).shows(0, &["0 warnings"]);
    let recording = machine.path("recordings/usb.umockdev").display().to_string();
    let message =
        "no parent of `ttyUSB0` has all of these: DRIVERS is on `ttyUSB0`, ATTRS{serial} is on `1-2`";
    machine
        .run(&["check", "--recording", &recording])
        .shows(0, &["warning[parents-apart]", message, "1 warning"]);
    machine.run(&["check", "--recording", &recording, "--device", GPS]).shows(0, &[message]);
    machine.run(&["check", "--device", GPS]).shows(0, &[message]);
    // another device has no such serial number, and the rule is not for it
    machine.run(&["check", "--device", LEFT]).shows(0, &["0 warnings"]);
    machine.write("root/etc/nameplate/rules.d/50-gps.rules", &rule.replace("cp210x", "usb"));
    machine.run(&["check", "--recording", &recording]).shows(0, &["0 warnings"]);
}

#[test]
fn files_are_repaired_in_place() {
    let machine = Machine::new(&[]);
    machine.write("real.rules", "# a\nKERNEL == \"a\" , KERNEL==\"a\", MODE=\"0600\"\n");
    let (real, link) = (machine.path("real.rules"), machine.path("70-a.rules"));
    fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    symlink("real.rules", &link).unwrap();
    machine.run(&["check", "--fix"]).shows(2, &[]);
    let ended = machine.run(&["check", "--fix", link.to_str().unwrap()]);
    ended.shows(0, &["repaired: ", "70-a.rules:2:7: white space beside an operator", "0 warnings"]);
    assert_eq!(fs::read_to_string(&real).unwrap(), "# a\nKERNEL==\"a\", MODE=\"0600\"\n");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(link.is_symlink());
    let again = machine.run(&["check", "--fix", "--json", link.to_str().unwrap()]).json();
    assert_eq!(again["fixed"], json!([]));
    let latin = b"KERNEL==\"\xe4\",MODE=\"0600\"\n";
    fs::write(&real, latin).unwrap();
    let ended = machine.run(&["check", "--fix", link.to_str().unwrap()]);
    assert!(ended.err.contains("nothing is written"), "{ended:?}");
    assert_eq!(fs::read(&real).unwrap(), latin);
}
