//! Rule files that change under a running daemon.

use crate::daemon::{World, eventually};
use crate::devices::Loops;
use crate::need_devices;

fn rule(link: &str) -> String {
    format!(
        "[[rule]]\nmatch = {{ kernel = \"loop20000[0-9]\" }}\nlink = \"{link}/$kernel\"\n\
         run = [[\"/bin/sh\", \"-c\", \"echo ran >> $env{{NP_LOG}}\"]]\nproperty.NP_LOG = \"NP_LOG_FILE\"\n"
    )
}

#[test]
fn a_changed_file_changes_the_names_of_present_devices_and_a_broken_one_nothing() {
    need_devices!();
    let _loops = Loops::add(200_000, 3);
    let world = World::new(&[]);
    let ran = world.path("ran");
    let text = |link: &str| rule(link).replace("NP_LOG_FILE", &ran.to_string_lossy());
    world.write_rule("50-test.toml", &text("before"));
    let daemon = world.start();
    let names = |dir: &str| -> Vec<String> { (0..3).map(|n| format!("{dir}/loop20000{n}")).collect() };
    let links = || daemon.links().into_keys().collect::<Vec<_>>();
    assert_eq!(links(), names("before"));
    daemon.settle();
    let runs = std::fs::read_to_string(&ran).unwrap().lines().count();
    assert_eq!(runs, 3);

    daemon.write_rule("50-test.toml", &text("after"));
    eventually("the new names", || (links() == names("after")).then_some(()));
    assert_eq!(std::fs::read_to_string(&ran).unwrap().lines().count(), runs, "no program runs again");

    daemon.write_rule("50-test.toml", "[[rule]]\nmatch = { kernel = \"loop200000\" }\nlnk = \"broken\"\n");
    eventually("the refusal", || {
        let status = daemon.json("status", &[]);
        (!status["rules"]["refused"].as_array()?.is_empty()).then_some(())
    });
    assert_eq!(links(), names("after"), "the version before stays in force");
    eventually("the log to say why", || daemon.log().contains("unknown key `lnk`").then_some(()));

    let plan = daemon.run("reload", &["--plan"]);
    assert_eq!(links(), names("after"), "a plan changes nothing: {plan:?}");

    daemon.write_rule("50-test.toml", &text("last"));
    eventually("the repaired file", || (links() == names("last")).then_some(()));
}

#[test]
fn the_log_level_of_the_configuration_changes_while_the_daemon_runs() {
    need_devices!();
    let world = World::new(&[("50-test.toml", &crate::loop_rule(220_000))]).config("log_level = \"error\"\n");
    let config = world.path("nameplate.toml");
    let daemon = world.start();
    assert_eq!(daemon.log(), "", "nothing is as bad as an error");
    std::fs::write(&config, "log_level = \"debug\"\nworkers = 1\n").unwrap();
    eventually("the new level", || daemon.log().contains("from now on").then_some(()));
    eventually("what waits for a restart", || daemon.log().contains("from the next start").then_some(()));
    let _loops = Loops::add(220_000, 1);
    daemon.settle();
    eventually("a message of the new level", || daemon.log().contains("by-kernel/loop220000").then_some(()));
}

#[test]
fn a_mistake_at_the_start_costs_only_itself() {
    need_devices!();
    let _loops = Loops::add(230_000, 1);
    let broken = format!(
        "{}\n[[rule]]\nmatch = {{ kernel = \"loop23[\" }}\nlink = \"x\"\n",
        crate::loop_rule(230_000)
    );
    let daemon = World::new(&[("50-broken.toml", &broken), ("60-no.toml", "this is no TOML")]).start();
    assert_eq!(daemon.links(), crate::loop_links([230_000]));
    let status = daemon.json("status", &[]);
    let codes: Vec<_> =
        status["rules"]["mistakes"].as_array().unwrap().iter().map(|m| m["code"].clone()).collect();
    assert_eq!(codes, ["bad-glob", "syntax"], "{status}");
    assert!(daemon.log().contains("50-broken.toml:6:"), "{}", daemon.log());
}

#[test]
fn a_changed_value_is_written_once_to_devices_that_are_there() {
    need_devices!();
    let _loops = Loops::add(250_000, 1);
    let file = "/sys/block/loop250000/queue/read_ahead_kb";
    let value = || std::fs::read_to_string(file).unwrap().trim().to_owned();
    let rule = |kb: u32| {
        format!(
            "[[rule]]\nmatch = {{ kernel = \"loop250000\" }}\nwrite.attr.\"queue/read_ahead_kb\" = \"{kb}\"\n"
        )
    };
    let daemon = World::new(&[("50-test.toml", &rule(64))]).standalone().start();
    assert_eq!(value(), "64");
    std::fs::write(file, "256").unwrap();
    daemon.write_rule("50-test.toml", &rule(32));
    eventually("the new value", || (value() == "32").then_some(()));
    std::fs::write(file, "256").unwrap();
    daemon.ask("reload", &[]);
    assert_eq!(value(), "256", "what rules have written before is not written again");
}

#[test]
fn with_a_link_directory_nothing_else_is_touched() {
    need_devices!();
    let _loops = Loops::add(260_000, 1);
    let file = "/sys/block/loop260000/queue/read_ahead_kb";
    let before = std::fs::read_to_string(file).unwrap();
    let rule = "[[rule]]\nmatch = { kernel = \"loop260000\" }\nlink = \"x\"\nmode = \"0601\"\n\
                write.attr.\"queue/read_ahead_kb\" = \"32\"\n";
    let daemon = World::new(&[("50-test.toml", rule)]).start();
    assert_eq!(daemon.links().len(), 1);
    assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata("/dev/loop260000").unwrap().permissions());
    assert_ne!(mode & 0o777, 0o601);
}
