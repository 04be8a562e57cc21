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
    assert!(daemon.log().contains("unknown key `lnk`"), "{}", daemon.log());

    let plan = daemon.run("reload", &["--plan"]);
    assert_eq!(links(), names("after"), "a plan changes nothing: {plan:?}");

    daemon.write_rule("50-test.toml", &text("last"));
    eventually("the repaired file", || (links() == names("last")).then_some(()));
}
