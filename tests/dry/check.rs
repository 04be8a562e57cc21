//! `check`: mistakes and tests of rule files.

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
