//! Rules turned into the other language and back: texts by hand, and the same results for every device of every recording.

#![cfg(test)]

#[path = "convert/cases.rs"]
mod cases;
#[path = "common/mod.rs"]
mod common;
#[path = "convert/run.rs"]
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use nameplate::builtin;
use nameplate::diag::SourceFile;
use nameplate::roots::Roots;
use nameplate::rules::convert::{Converted, to_toml, to_udev};
use run::{Machines, Rules};

fn toml_of(text: &str) -> Converted {
    let source = SourceFile::new(Path::new("60-case.rules"), text.as_bytes());
    to_toml(&source, text.as_bytes(), builtin::NAMES)
}

fn udev_of(text: &str) -> Converted {
    to_udev(&SourceFile::new(Path::new("60-case.toml"), text.as_bytes()), builtin::NAMES)
}

fn lost(converted: &Converted) -> Vec<String> {
    converted.lost.iter().map(|one| format!("{}: {}", one.place.line, one.what)).collect()
}

#[test]
fn rules_as_toml() {
    for (rules, expected) in cases::TO_TOML {
        let converted = toml_of(rules);
        assert_eq!(lost(&converted), [] as [String; 0], "{rules}");
        assert_eq!(converted.text.to_string().trim(), expected.trim(), "{rules}");
    }
}

#[test]
fn toml_as_rules() {
    for (rules, expected) in cases::TO_UDEV {
        let converted = udev_of(rules);
        assert_eq!(lost(&converted), [] as [String; 0], "{rules}");
        assert_eq!(converted.text.to_string().trim(), expected.trim(), "{rules}");
    }
}

#[test]
fn what_can_not_be_carried_is_named_and_stays_as_a_comment() {
    for (from_udev, rules, expected) in cases::LOST {
        let converted = if *from_udev { toml_of(rules) } else { udev_of(rules) };
        assert_eq!(lost(&converted), *expected, "{rules}");
        for one in &converted.lost {
            let comment = format!("# NOT CARRIED, {}: {}\n", one.place, one.what);
            assert!(converted.text.to_string().contains(&comment), "{comment} not in\n{}", converted.text);
        }
        let code = converted.text.to_string();
        let code: Vec<&str> =
            code.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
        assert!(code.is_empty(), "{code:?} of\n{rules}");
    }
}

/// Rules, the same in the other language, and that back again, on every device: all three do the same.
#[track_caller]
fn there_and_back(machines: &Machines, path: &Path, text: &str) {
    let of_toml = path.extension().is_some_and(|extension| extension == "toml");
    let other = if of_toml { udev_of(text) } else { toml_of(text) };
    assert_eq!(lost(&other), [] as [String; 0], "{}", path.display());
    let other = other.text.to_string();
    let back = if of_toml { toml_of(&other) } else { udev_of(&other) };
    assert_eq!(lost(&back), [] as [String; 0], "{}\n{other}", path.display());
    let rules = Rules::new(text, of_toml);
    let changed = Rules::new(&other, !of_toml);
    let again = Rules::new(&back.text.to_string(), of_toml);
    machines.compare(&rules, [&changed, &again], &format!("{}\n{other}\n{}", path.display(), back.text));
}

#[test]
fn rules_by_hand_do_the_same_there_and_back() {
    let machines = Machines::all();
    for (name, text) in cases::SAME {
        there_and_back(&machines, Path::new(name), text);
        let effects = machines.effects(&Rules::new(text, name.ends_with("toml")));
        assert!(effects > 0, "{name} does nothing to any device");
    }
    for (text, _) in cases::TO_TOML {
        there_and_back(&machines, Path::new("case.rules"), text);
    }
    for (text, _) in cases::TO_UDEV {
        there_and_back(&machines, Path::new("case.toml"), text);
    }
}

/// What udev can't say (a range, a number for each identity) and what tests a file has is named; the rest is the same.
#[test]
fn examples_do_the_same_there_and_back() {
    let machines = Machines::all();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/examples");
    let mut carried = Vec::new();
    for path in files(&dir, "toml") {
        let text = fs::read_to_string(&path).unwrap();
        let rules = text.split("[[test]]").next().unwrap();
        let converted = udev_of(rules);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if converted.lost.is_empty() {
            there_and_back(&machines, &path, rules);
        }
        carried.push(format!("{name} {} of {}", converted.carried, converted.rules));
    }
    assert_eq!(carried, ["50-camera.toml 0 of 1", "50-disk.toml 0 of 1", "50-serial.toml 3 of 3"]);
}

/// They say nothing that udev could not; the files that they give way to are no matter of rules.
#[test]
fn standard_rules_do_the_same_there_and_back() {
    let machines = Machines::of_standard_rules();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), "toml") {
        let text = fs::read_to_string(&path).unwrap();
        let rules = text.split("[[test]]").next().unwrap();
        let rules: String = rules
            .lines()
            .filter(|line| !line.starts_with("gives_way_to"))
            .map(|line| format!("{line}\n"))
            .collect();
        let converted = udev_of(&rules);
        assert_eq!(lost(&converted), [] as [String; 0], "{}", path.display());
        there_and_back(&machines, &path, &rules);
    }
}

/// The rules of this machine's packages, and of the directory that `NAMEPLATE_DEBIAN_RULES` names.
#[test]
fn stock_rules_do_the_same_there_and_back() {
    let mut dirs = Roots::system().udev_rule_dirs();
    dirs.extend(std::env::var_os("NAMEPLATE_DEBIAN_RULES").map(PathBuf::from));
    let paths: Vec<PathBuf> = dirs.iter().flat_map(|dir| files(dir, "rules")).collect();
    if paths.is_empty() {
        return common::skip("there are no udev rules");
    }
    let machines = Machines::all();
    let (mut all, mut carried) = (0, 0);
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let converted = toml_of(&text);
        all += converted.rules;
        carried += converted.carried;
        let lost: Vec<usize> =
            converted.lost.iter().map(|one| usize::try_from(one.place.line).unwrap()).collect();
        for one in &converted.lost {
            println!("{}:{}: {}", path.display(), one.place.line, one.what);
        }
        let without =
            |(at, line): (usize, &str)| if lost.contains(&(at + 1)) { "#".into() } else { line.to_owned() };
        let kept: Vec<String> = text.lines().enumerate().map(without).collect();
        there_and_back(&machines, &path, &(kept.join("\n") + "\n"));
    }
    println!("{carried} of {all} rules carried");
    assert!(carried * 100 >= all * 95, "{carried} of {all} rules carried");
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}
