//! Owns the tests of names: real links in directories of their own.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::ids::{DevNum, NodeKind};

fn name(text: &str) -> LinkName {
    LinkName::new(text.as_bytes()).unwrap()
}

fn disk(minor: u32) -> DeviceId {
    DeviceId::Node(DevNum { kind: NodeKind::Block, major: 8, minor })
}

/// A device's set of links, all with one priority; what was done with each.
fn set(names: &Names, minor: u32, priority: i32, links: &[&str]) -> Vec<(String, Outcome)> {
    let links: Vec<_> = links.iter().map(|link| (name(link), priority)).collect();
    show(names.set(&disk(minor), &name(&format!("sd{minor}")), &links))
}

fn show(reports: Vec<LinkReport>) -> Vec<(String, Outcome)> {
    reports.into_iter().map(|r| (r.link.to_string(), r.result.unwrap())).collect()
}

fn one(link: &str, outcome: Outcome) -> Vec<(String, Outcome)> {
    vec![(link.into(), outcome)]
}

fn names_in(dir: &Path) -> Names {
    Names::new(LinkFarm::open(dir, dir).unwrap())
}

/// Where a link leads to, empty if it is not there.
fn text(dir: &Path, link: &str) -> String {
    std::fs::read_link(dir.join(link)).map(|t| t.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn former(minor: u32, links: &[&str], node: Option<&str>) -> Former {
    let links = links.iter().map(|link| name(link)).collect();
    Former {
        device: disk(minor),
        node: node.map(name),
        links,
        priority: 0,
        init_usec: Some(u64::from(minor)),
    }
}

#[test]
fn priority_and_hand_over() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    assert_eq!(set(&names, 1, 0, &["x"]), one("x", Outcome::Created));
    assert_eq!(set(&names, 2, 0, &["x"]), one("x", Outcome::Waiting));
    assert_eq!(set(&names, 3, 5, &["x"]), one("x", Outcome::Replaced));
    assert_eq!(text(dir.path(), "x"), "sd3");
    assert_eq!(set(&names, 3, 4, &["x"]), one("x", Outcome::AlreadyThere));
    assert_eq!(show(names.release_all(&disk(3))), one("x", Outcome::Replaced));
    assert_eq!(text(dir.path(), "x"), "sd1");
    assert_eq!(show(names.release_all(&disk(2))), one("x", Outcome::Waiting));
    assert_eq!(show(names.release_all(&disk(1))), one("x", Outcome::Removed));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_somebody_else_has_stays_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    symlink("sd1", dir.path().join("same")).unwrap();
    symlink("sd9", dir.path().join("other")).unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let refused = Outcome::Refused(Refusal::ForeignLink("sd9".into()));
    assert_eq!(set(&names, 1, 0, &["same"]), one("same", Outcome::AlreadyThere));
    assert_eq!(set(&names, 2, 9, &["same"])[0].1, Outcome::Refused(Refusal::ForeignLink("sd1".into())));
    assert_eq!(set(&names, 3, 0, &["other"]), one("other", refused));
    assert_eq!(set(&names, 4, 0, &["file"])[0].1, Outcome::Refused(Refusal::NotALink));
    assert_eq!(names.foreign(), [name("file"), name("other"), name("same")]);
    let repair = names.repair();
    assert!(repair.reports.iter().all(|r| matches!(r.result, Ok(Outcome::Refused(_)))));
    for minor in 1..=4 {
        names.release_all(&disk(minor));
    }
    assert_eq!((text(dir.path(), "same"), text(dir.path(), "other")), ("sd1".into(), "sd9".into()));
    assert!(dir.path().join("file").exists());
    assert_eq!(names.foreign(), []);
}

#[test]
fn a_name_that_gets_free_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    std::fs::write(dir.path().join("x"), "").unwrap();
    set(&names, 1, 0, &["x"]);
    std::fs::remove_file(dir.path().join("x")).unwrap();
    assert_eq!(set(&names, 1, 0, &["x"]), one("x", Outcome::Created));
    assert_eq!(show(names.release_all(&disk(1))), one("x", Outcome::Removed));
}

#[test]
fn repair_after_somebody_meddled() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    set(&names, 1, 0, &["a/gone", "kept", "led"]);
    set(&names, 2, 0, &["led"]);
    std::fs::remove_dir_all(dir.path().join("a")).unwrap();
    std::fs::remove_file(dir.path().join("led")).unwrap();
    symlink("sd2", dir.path().join("led")).unwrap();
    symlink("sd1", dir.path().join(".nameplate-1-1")).unwrap();
    let repair = names.repair();
    let mut done = show(repair.reports);
    done.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(done, [("a/gone".into(), Outcome::Created), ("led".into(), Outcome::Replaced)]);
    assert_eq!(repair.temporaries, 1);
    assert_eq!((text(dir.path(), "a/gone"), text(dir.path(), "led")), ("../sd1".into(), "sd1".into()));
    assert_eq!(names.repair(), Repair::default());
}

#[test]
fn a_killed_run_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let at = |link: &str| dir.path().join(link);
    std::fs::create_dir(at("d")).unwrap();
    // sd2 had `x` although sd1 is older; sd3 is gone; sd4 was killed between record and link
    for (target, link) in [("sd2", "x"), ("sd3", "stale"), ("../sd3", "d/stale"), ("sd3", "handed")] {
        symlink(target, at(link)).unwrap();
    }
    symlink("elsewhere", at("theirs")).unwrap();
    let names = names_in(dir.path());
    let kept = names.adopt(vec![
        former(1, &["x"], Some("sd1")),
        former(2, &["x"], Some("sd2")),
        former(3, &["stale", "d/stale", "handed", "theirs"], Some("sd3")),
        former(4, &["new", "handed"], Some("sd4")),
    ]);
    assert_eq!(kept, []);
    let gone = show(names.release_all(&disk(3)));
    let expected = [
        ("d/stale", Outcome::Removed),
        ("handed", Outcome::Replaced),
        ("stale", Outcome::Removed),
        ("theirs", Outcome::Refused(Refusal::ForeignLink("elsewhere".into()))),
    ];
    assert_eq!(gone, expected.map(|(link, outcome)| (link.to_owned(), outcome)));
    assert_eq!(
        set(&names, 4, 0, &["new", "handed"]),
        [("handed".to_owned(), Outcome::AlreadyThere), ("new".to_owned(), Outcome::Created)]
    );
    assert_eq!(set(&names, 2, 0, &["x"]), one("x", Outcome::AlreadyThere));
    assert_eq!(text(dir.path(), "x"), "sd2");
    assert!(!at("d").exists());
    assert_eq!(show(names.release_all(&disk(2))), one("x", Outcome::Replaced));
}

#[test]
fn links_of_devices_that_went_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let at = |link: &str| dir.path().join(link);
    std::fs::write(at("there"), "").unwrap();
    for (target, link) in [("sd7", "dangling"), ("/etc/none", "theirs"), ("sd1", "claimed")] {
        symlink(target, at(link)).unwrap();
    }
    let names = names_in(dir.path());
    let removed = names.adopt(vec![
        former(7, &["dangling", "theirs", "claimed", "none"], None),
        former(1, &["claimed"], Some("sd1")),
    ]);
    assert_eq!(show(removed), one("dangling", Outcome::Removed));
    assert_eq!((text(dir.path(), "theirs"), text(dir.path(), "claimed")), ("/etc/none".into(), "sd1".into()));
}

#[test]
fn a_link_that_could_not_be_changed_is_still_ours_later() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    set(&names, 1, 0, &["x"]);
    // as if the file system had been read-only while sd1 handed over to sd2
    let (old, new) = (Holder { device: disk(1), node: name("sd1") }, name("sd2"));
    names.lock().claims.claim(&disk(2), &new, &name("x"), 0);
    names.lock().claims.release_all(&disk(1));
    names.lock().owe(&name("x"), Some(&old));
    assert_eq!(show(names.repair().reports), one("x", Outcome::Replaced));
    assert_eq!(text(dir.path(), "x"), "sd2");
    names.lock().claims.release_all(&disk(2));
    names.lock().owe(&name("x"), Some(&Holder { device: disk(2), node: new }));
    assert_eq!(show(names.repair().reports), one("x", Outcome::Removed));
    assert_eq!(names.repair(), Repair::default());
}

#[test]
fn threads_end_in_what_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let names = names_in(dir.path());
    std::thread::scope(|scope| {
        for minor in 1..=4 {
            let names = &names;
            scope.spawn(move || {
                for round in 0..200 {
                    let links = ["deep/a/x", "deep/b/y", "z"];
                    set(names, minor, round % 3, &links[..usize::try_from(round).unwrap() % 4]);
                }
                set(names, minor, 0, &["deep/a/x", "z"]);
            });
        }
    });
    assert_eq!(names.repair(), Repair::default());
    for (link, up) in [("deep/a/x", "../../"), ("z", "")] {
        let holder = names.look(|claims| claims.holder(&name(link))).unwrap();
        assert_eq!(text(dir.path(), link), format!("{up}{}", holder.node));
    }
    (1..=4).for_each(|minor| drop(names.release_all(&disk(minor))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// The variable that tells the test below to be the run that is killed, with the directory to work in.
const KILLED_RUN: &str = "NAMEPLATE_TEST_KILLED_RUN";

/// What the run that is killed does over and over: eight devices take names from each other, come and go.
fn churn(dir: &Path, rounds: impl Iterator<Item = u32>) {
    let names = names_in(dir);
    for round in rounds {
        for minor in 1..=8 {
            set(
                &names,
                minor,
                i32::try_from((round + minor) % 3).unwrap(),
                &["shared", "a/shared", "a/b/shared"],
            );
            set(&names, minor + 8, 0, &[&format!("own/{minor}/x")]);
        }
        (9..=16).for_each(|minor| drop(names.release_all(&disk(minor))));
        println!("round {round}");
    }
}

/// All links below `dir`, with what they lead to; temporary names too.
fn all_links(dir: &Path) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            match std::fs::read_link(entry.path()) {
                Ok(target) => {
                    let name = entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                    out.push((name, target.to_str().unwrap().to_owned()));
                }
                Err(_) => dirs.push(entry.path()),
            }
        }
    }
    out.sort();
    out
}

#[test]
fn killed_at_any_moment_and_started_again() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    if let Some(dir) = std::env::var_os(KILLED_RUN) {
        churn(Path::new(&dir), 0..);
    }
    let dir = tempfile::tempdir().unwrap();
    for rounds in [1, 2, 5, 11, 23] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apply::names::tests::killed_at_any_moment_and_started_again", "--nocapture"])
            .env(KILLED_RUN, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let seen = lines.filter(|line| line.starts_with("round")).take(rounds).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, rounds);

        // the records say what was claimed; devices 9 to 16 have gone meanwhile
        let names = names_in(dir.path());
        let shared = ["shared", "a/shared", "a/b/shared"];
        let owned: Vec<String> = (0..=8).map(|minor| format!("own/{minor}/x")).collect();
        let mut formers: Vec<Former> =
            (1..=8).map(|minor| former(minor, &shared, Some(&format!("sd{minor}")))).collect();
        formers.extend(
            (9..=16).map(|minor| former(minor, &[&owned[minor as usize - 8]], Some(&format!("sd{minor}")))),
        );
        names.adopt(formers);
        (9..=16).for_each(|minor| drop(names.release_all(&disk(minor))));
        (1..=8).for_each(|minor| drop(set(&names, minor, i32::try_from(minor).unwrap(), &shared)));
        names.repair();
        let expected = [("a/b/shared", "../../sd8"), ("a/shared", "../sd8"), ("shared", "sd8")];
        assert_eq!(all_links(dir.path()), expected.map(|(link, to)| (link.to_owned(), to.to_owned())));
        assert!(!dir.path().join("own").exists());
    }
}
