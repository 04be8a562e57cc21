//! The commands of README, as a newcomer would type them: every one is run, and the first rule does what README says.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of README of one language, in order.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(top().join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A home and a working directory of the test's own, with the program on the path.
struct Newcomer {
    dir: tempfile::TempDir,
}

impl Newcomer {
    fn new() -> Self {
        let newcomer = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(newcomer.home()).unwrap();
        newcomer
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn type_in(&self, script: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_nameplate")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(self.dir.path())
            .env("HOME", self.home())
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

#[test]
fn the_first_rule_in_a_minute() {
    let rule = &blocks("toml")[0];
    let name = rule.lines().next().unwrap().trim_start_matches("# ");
    let newcomer = Newcomer::new();
    let file = newcomer.dir.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, rule).unwrap();

    let shell = blocks("sh");
    let asked = newcomer.type_in(&shell[1]);
    assert!(String::from_utf8_lossy(&asked.stdout).contains("nothing"), "{asked:?}");

    // the daemon of the block goes on in the background: wait for it before asking, end it afterwards
    let run = shell[2].replace(
        "&\n",
        "& daemon=$!\n\
         trap 'kill $daemon; wait $daemon || true' EXIT\n\
         for i in $(seq 600); do nameplate status --link-dir ~/names --json 2>/dev/null | grep -q '\"ready\": *true' && break; sleep 0.1; done\n",
    );
    assert_ne!(run, shell[2], "README starts a daemon in the background");
    let ran = newcomer.type_in(&format!("{run}\nreadlink ~/names/nothing\n"));
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(out.contains("nothing -> /dev/null"), "{out}");
    assert!(out.ends_with("/dev/null\n"), "{out}");
}

#[test]
fn every_command_is_one_that_is_run() {
    let commands: Vec<String> = blocks("sh").concat().lines().map(str::to_owned).collect();
    let tried = ["contrib/try", "contrib/test"];
    assert!(tried.iter().all(|script| commands.iter().any(|line| line.starts_with(script))), "{commands:?}");
    // blocks 1 and 2 are typed in above, block 0 is `contrib/try` (below) and `contrib/test` (which runs this test)
    assert_eq!(blocks("sh").len(), 3, "a new block of commands needs a test");
    assert_eq!(blocks("sh")[0].lines().count(), 2);
}

#[test]
fn contrib_try_shows_names_and_leaves_nothing() {
    let newcomer = Newcomer::new();
    let output = Command::new(top().join("contrib/try"))
        .args(["--for", "2"])
        .env("XDG_RUNTIME_DIR", newcomer.home())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("links are below"), "{out}\n{err}");
    assert!(out.contains("disk/") || out.contains("serial/"), "no name of any device:\n{out}\n{err}");
    assert_eq!(fs::read_dir(newcomer.home()).unwrap().count(), 0, "the directory of the try is gone");
}

#[test]
fn the_other_rules_of_readme_are_rules() {
    let newcomer = Newcomer::new();
    for (number, rule) in blocks("toml").iter().enumerate() {
        fs::write(newcomer.dir.path().join(format!("{number}.toml")), rule).unwrap();
    }
    newcomer.type_in("nameplate check *.toml");
}

#[test]
fn the_shipped_rules_pass_their_own_tests() {
    let newcomer = Newcomer::new();
    for (rules, least) in [("rules", 90), ("rules/examples", 8)] {
        let rules = top().join(rules);
        let output = newcomer.type_in(&format!("nameplate check --no-notes --json {}", rules.display()));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let tests = found["tests"].as_array().unwrap();
        assert!(tests.len() >= least, "{found}");
        let failed: Vec<_> = tests.iter().filter(|test| test["passed"] != true).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert_eq!(found["diagnostics"], serde_json::json!([]), "{found}");
    }
}
