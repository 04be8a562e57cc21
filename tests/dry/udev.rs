//! The looking verbs on rules of udev's: which are read, what each line sets, token by token; and `convert` as it is typed.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::machine::{GPS, Machine};

const RULES: &str = r#"# about ports
SUBSYSTEM!="tty", GOTO="end"
ENV{LEFT}=="1", GOTO="end"

SUBSYSTEMS=="usb", ATTRS{idVendor}=="1546", \
  ATTRS{serial}=="A5*", SYMLINK+="gps", GROUP="dialout", TAG+="lab"
PROGRAM=="/bin/false-%k", RESULT=="x", SYMLINK+="never"
SUBSYSTEMS=="usb", ATTRS{idVendor}=="1546", ATTRS{serial}=="B*", MODE="0600"
ENV{GIVEN}="yes", GOTO="end"
SYMLINK+="jumped"
LABEL="end"
"#;

fn machine() -> Machine {
    let machine = Machine::new(&[]);
    machine.write("root/usr/lib/udev/rules.d/60-ports.rules", RULES);
    machine
}

fn links(plan: &Value) -> Vec<&str> {
    plan["links"].as_array().unwrap().iter().map(|link| link["name"].as_str().unwrap()).collect()
}

#[test]
fn the_device_manager_reads_udevs_directories_and_a_companion_does_not() {
    let machine = machine();
    assert_eq!(links(&machine.run(&["test", "--json", GPS]).json()), ["gps"]);
    let files = machine.run(&["check", "--json"]).json()["files"].clone();
    assert_eq!(files, json!([machine.path("root/usr/lib/udev/rules.d/60-ports.rules")]));
    // nameplate's own directories are the stronger ones
    machine.write("root/usr/lib/nameplate/rules.d/60-ports.rules", "SUBSYSTEM==\"tty\", SYMLINK+=\"own\"\n");
    assert_eq!(links(&machine.run(&["test", "--json", GPS]).json()), ["own"]);
    std::fs::remove_file(machine.path("root/usr/lib/nameplate/rules.d/60-ports.rules")).unwrap();

    machine.write("root/etc/nameplate/nameplate.toml", "mode = \"companion\"\n");
    assert_eq!(links(&machine.run(&["test", "--json", GPS]).json()), [] as [&str; 0]);
    machine.write("root/etc/nameplate/nameplate.toml", "mode = \"auto\"\n");
    assert_eq!(links(&machine.run(&["test", "--json", GPS]).json()), ["gps"]);
    machine.write("root/run/udev/.keep", "");
    let _udevd = UnixListener::bind(machine.path("root/run/udev/io.systemd.Udev")).unwrap();
    assert_eq!(links(&machine.run(&["test", "--json", GPS]).json()), [] as [&str; 0]);
}

#[test]
fn extra_rules_are_the_strongest() {
    let machine = machine();
    machine.write("extra/60-ports.rules", "SUBSYSTEM==\"tty\", SYMLINK+=\"extra\"\n");
    machine.write("extra/70-more.toml", "[[rule]]\nmatch = { link = \"extra\" }\nlink = \"more\"\n");
    let extra = machine.path("extra").display().to_string();
    let plan = machine.run(&["test", "--json", "--extra-rules", &extra, GPS]).json();
    assert_eq!(links(&plan), ["extra", "more"]);
    machine
        .run(&["explain", GPS, "--extra-rules", &extra, "--link", "more"])
        .shows(0, &["70-more.toml:3", "ok link is \"extra\""]);
    let nowhere = machine.path("nowhere").display().to_string();
    for verb in ["test", "explain"] {
        let ended = machine.run(&[verb, GPS, "--extra-rules", &nowhere]);
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.err.contains("nowhere: No such file"), "{ended:?}");
    }
}

#[test]
fn each_thing_has_its_line() {
    let machine = machine();
    let from = |line: u32| {
        format!(
            "  ({}/root/usr/lib/udev/rules.d/60-ports.rules:{line})",
            machine.path("").display().to_string().trim_end_matches('/')
        )
    };
    machine.run(&["explain", GPS]).shows(
        0,
        &[
            &format!("group    dialout{}", from(6)),
            &format!("link     gps  priority 0{}", from(6)),
            &format!("tag      lab{}", from(6)),
            &format!("property GIVEN=yes{}", from(9)),
        ],
    );
    machine.run(&["test", GPS]).shows(0, &["not run  /bin/false-ttyUSB0  (--run-programs runs it)"]);
    let ended = machine.run(&["test", "--run-programs", GPS]);
    assert!(ended.code == Some(0) && !ended.out.contains("not run"), "{ended:?}");
}

#[test]
fn a_line_is_explained_token_by_token() {
    let machine = machine();
    let explain = |line: &str| machine.run(&["explain", GPS, "--rule", &format!("60-ports.rules:{line}")]);
    // A continued line is one rule, at any of its lines.
    for line in ["5", "6"] {
        explain(line).shows(
            0,
            &[
                "60-ports.rules:5: applies",
                "ok SUBSYSTEMS==\"usb\"        found \"usb\"  line 5",
                "ok ATTRS{serial}==\"A5*\"     found \"A50285BI\"  line 6",
                "= sets SYMLINK+=\"gps\"",
                "= sets TAG+=\"lab\"",
            ],
        );
    }
    explain("2").shows(1, &["NO SUBSYSTEM!=\"tty\"  found \"tty\"", "would set GOTO=\"end\""]);
    explain("3").shows(1, &["NO ENV{LEFT}==\"1\"  there is none"]);
    explain("8")
        .shows(1, &["NO ATTRS{serial}==\"B*\"      found \"A50285BI\"  line 8  <- the first that failed"]);
    explain("9").shows(0, &["= sets ENV{GIVEN}=\"yes\"", "= sets GOTO=\"end\""]);
    explain("10").shows(1, &["is not looked at: an earlier rule jumped over it"]);
    let ended = explain("1");
    assert!(ended.code == Some(2) && ended.err.contains("no rule is at 60-ports.rules:1"), "{ended:?}");
    let rule = machine.run(&["explain", "--json", GPS, "--rule", "60-ports.rules:2"]).json();
    assert_eq!(rule["rules"][0]["first_failed"]["token"], "SUBSYSTEM!=\"tty\"");
    assert_eq!(rule["rules"][0]["first_failed"]["subject"], "subsystem");
}

#[test]
fn convert_as_it_is_typed() {
    let machine = machine();
    let rules = machine.path("root/usr/lib/udev/rules.d/60-ports.rules").display().to_string();
    let toml = machine.path("60-ports.toml").display().to_string();
    let ended = machine.run(&["convert", "--to", "toml", &rules, "-o", &toml]);
    assert!(ended.code == Some(0) && ended.out.is_empty() && ended.err.is_empty(), "{ended:?}");
    let text = std::fs::read_to_string(&toml).unwrap();
    assert!(
        text.starts_with(
            "# about ports\n[file]\nmatch = { subsystem = \"tty\", property.LEFT = { not = \"1\" } }\n"
        ),
        "{text}"
    );
    machine.write("ports/60-ports.toml", &text);
    let dir = machine.path("ports").display().to_string();
    assert_eq!(links(&machine.run(&["test", "--json", "--rules", &dir, GPS]).json()), ["gps"]);
    machine
        .run(&["convert", "--to", "udev", &toml])
        .shows(0, &["ATTRS{serial}==\"A5*\"", "SYMLINK+=\"gps\""]);

    machine.write("a.toml", "[[rule]]\nmatch = { attr.size = { min = 1 } }\nlink = \"a\"\n");
    let a = machine.path("a.toml").display().to_string();
    let ended = machine.run(&["convert", "--to", "udev", &a]);
    ended.shows(1, &["# NOT CARRIED", "a range of numbers"]);
    assert!(ended.err.contains(&format!("{a}:2: not carried: a range of numbers")), "{ended:?}");
    let report = machine.run(&["convert", "--json", "--to", "udev", &a]).json();
    assert_eq!((&report["ok"], &report["rules"], &report["carried"]), (&json!(false), &json!(1), &json!(0)));
    assert_eq!(report["lost"][0], json!({ "from": format!("{a}:2"), "what": "a range of numbers" }));
    assert_eq!(machine.run(&["convert", "--to", "udev", "/nowhere/x.toml"]).code, Some(5));
}

#[test]
fn a_program_that_was_not_run_is_named() {
    let machine = Machine::new(&[]);
    let rule = r#"SUBSYSTEM=="tty", PROGRAM=="/bin/ask %k", RESULT=="y", SYMLINK+="z""#;
    machine.write("root/usr/lib/udev/rules.d/60-ask.rules", rule);
    let not_run = "not run  /bin/ask ttyUSB0  (--run-programs runs it)";
    machine.run(&["explain", GPS]).shows(0, &["NO PROGRAM==\"/bin/ask %k\"", not_run]);
}
