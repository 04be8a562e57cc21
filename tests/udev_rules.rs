//! udev's rule language, case by case: a text, the diagnostics it gets, the rules it becomes, what they do to a device;
//! and the same asked of the machine's own udev.

// helpers of tests may panic like the tests that call them
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod common;
#[path = "common/devices.rs"]
#[allow(dead_code)] // the devices of other tests
mod devices;
#[cfg(test)]
mod udev_rules {
    pub(crate) mod cases;
    pub(crate) mod corners;
    pub(crate) mod earlier;
    pub(crate) mod effects;
    pub(crate) mod limits;
    pub(crate) mod links;
    pub(crate) mod machine;
    mod random;
    mod real;
    pub(crate) mod run;
    pub(crate) mod show;
    mod verify;
}

use std::collections::BTreeSet;
use std::path::Path;

use nameplate::config::ResolveNames;
use nameplate::diag::{Severity, SourceFile, render};
use nameplate::roots::Roots;
use nameplate::rules::ir::{Effect, Principal, StepKind};
use nameplate::rules::load;
use nameplate::rules::toml::{Known, Timed};
use nameplate::rules::udev::{self, codes, keys};
use udev_rules::cases::PARSE;
use udev_rules::show::{ACCOUNTS, diagnostics, known, parse, printed, without_places};

#[test]
fn every_text() {
    let mut wrong = Vec::new();
    for (text, expected_diagnostics, expected_rules) in PARSE {
        let parsed = parse(text.as_bytes());
        let (found, rules) = (diagnostics(&parsed.diagnostics), printed(&parsed.rules));
        if found != *expected_diagnostics || rules != *expected_rules {
            let shown: String = parsed.diagnostics.iter().map(|d| render(d, false) + "\n").collect();
            wrong.push(format!("{text}\n  found    [{found}]\n{rules}\n  expected [{expected_diagnostics}]\n{expected_rules}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), PARSE.len(), wrong.join("\n\n"));
}

/// What udev leaves out with a mere warning: what does nothing, and what it knows to mean nothing.
#[test]
fn a_line_that_is_lost_is_an_error() {
    let mild = [codes::NO_EFFECT, codes::UNKNOWN_OPTION];
    for (text, ..) in PARSE.iter().filter(|(text, _, rules)| rules.is_empty() && !text.is_empty()) {
        let told = parse(text.as_bytes()).diagnostics;
        let severe = told.iter().any(|one| one.severity == Severity::Error || mild.contains(&one.code));
        assert!(severe, "{text}: {told:?}");
    }
}

#[test]
fn what_is_printed_is_read_as_the_same() {
    for (text, ..) in PARSE {
        let first = parse(text.as_bytes()).rules;
        let again = parse(udev::print(&first).unwrap().as_slice()).rules;
        assert_eq!(without_places(first), without_places(again), "{text}");
    }
}

#[test]
fn every_code_and_every_key_with_every_operator_has_a_case() {
    let mut seen: BTreeSet<String> = BTreeSet::from(["line-too-long".into(), "names-off".into()]);
    for (_, found, _) in PARSE {
        seen.extend(found.split_whitespace().filter_map(|one| Some(one.split_once('@')?.0.to_owned())));
    }
    let table: BTreeSet<String> = codes::CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(seen, table);
    let all: String = PARSE.iter().map(|(text, ..)| format!("{text}\n")).collect();
    for info in keys::KEYS {
        for (operator, _) in info.operators {
            let operator = operator.as_str();
            let found = all.match_indices(info.name).any(|(at, name)| {
                let word = at == 0 || !all.as_bytes()[at - 1].is_ascii_uppercase();
                let rest = &all[at + name.len()..];
                let rest = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                    Some((_, rest)) => rest,
                    None => rest,
                };
                let longer = operator == "=" && rest.starts_with("==");
                word && rest.starts_with(operator) && !longer
            });
            assert!(found, "no case for {}{operator}", info.name);
        }
    }
}

#[test]
fn every_diagnostic_says_how_to_repair_it() {
    for (text, ..) in PARSE {
        for diagnostic in parse(text.as_bytes()).diagnostics {
            assert!(!diagnostic.message.is_empty() && !diagnostic.message.contains('\n'), "{diagnostic}");
            let hint = diagnostic.hint.as_deref();
            let needed = diagnostic.code != codes::UNKNOWN_KEY;
            assert!(hint != Some("") && (hint.is_some() || !needed), "{diagnostic}");
        }
    }
}

#[test]
fn hints_name_the_repair() {
    let cases = [
        ("KERNAL==\"a\", ENV{A}=\"1\"", "did you mean `KERNEL`?"),
        ("kernel==\"a\", ENV{A}=\"1\"", "did you mean `KERNEL`?"),
        ("SUBSYTEMS==\"a\", ENV{A}=\"1\"", "did you mean `SUBSYSTEMS`?"),
        ("KERNEL=\"a\", ENV{A}=\"1\"", "`KERNEL` takes == !="),
        ("NAME+=\"a\"", "it is read as `=`; write `=`"),
        ("KERNEL==a, ENV{A}=\"1\"", "write \"a\""),
        ("KERNEL=='a', ENV{A}=\"1\"", "values stand between double quotes: \"…\""),
        (
            "IMPORT=\"a\"",
            "write one of IMPORT{file}, IMPORT{program}, IMPORT{builtin}, IMPORT{db}, IMPORT{cmdline}, IMPORT{parent}",
        ),
        ("SYMLINK+=\"a%q\"", "it stands for itself; write `%%` if that is meant"),
        ("LABEL=\"a\"\nGOTO=\"a\"", "a jump leads forward only; move the label behind it"),
    ];
    for (text, hint) in cases {
        let found = parse(text.as_bytes()).diagnostics;
        assert!(found.iter().any(|d| d.hint.as_deref() == Some(hint)), "{text}\n{found:#?}");
    }
}

#[test]
fn a_long_line_costs_itself() {
    let long = "x".repeat(udev::LINE_MAX);
    let text = format!("ENV{{A}}=\"1\"\nENV{{B}}=\"{long}\"\nENV{{C}}=\"1\"\n");
    let parsed = parse(text.as_bytes());
    assert_eq!(diagnostics(&parsed.diagnostics), "line-too-long@2:1");
    assert_eq!(printed(&parsed.rules), "ENV{A}=\"1\"\nENV{C}=\"1\"");
}

#[test]
fn names_are_looked_up_when_the_configuration_says() {
    let text = "OWNER=\"root\", GROUP=\"nobody-%k\"\nOWNER=\"0\", GROUP=\"no-such\"\n";
    let cases = [
        (ResolveNames::Early, "unknown-group@2:18", "0 root; template; 0; no no-such"),
        (ResolveNames::Late, "", "template; template; 0; template"),
        (ResolveNames::Never, "names-off@1:7 names-off@1:21 names-off@2:18", "0"),
    ];
    for (when, expected, accounts) in cases {
        let timed = Timed(ACCOUNTS.clone(), when);
        let source = SourceFile::new(Path::new("x.rules"), text.as_bytes());
        let parsed = udev::parse(&source, text.as_bytes(), &Known { accounts: &timed, ..known() });
        assert_eq!(diagnostics(&parsed.diagnostics), expected, "{when:?}");
        let effects = parsed.rules.iter().flat_map(|rule| &rule.steps).filter_map(|step| match &step.kind {
            StepKind::Do { effect: Effect::Owner(who) | Effect::Group(who), .. } => Some(match who {
                Principal::Id(id) => id.to_string(),
                Principal::Named { name, id } => format!("{id} {name}"),
                Principal::Unknown(name) => format!("no {name}"),
                Principal::Template(_) => "template".into(),
            }),
            _ => None,
        });
        let mut found: Vec<String> = effects.collect();
        let mut wanted: Vec<&str> = accounts.split("; ").collect();
        found.sort();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{when:?}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    let parsed = parse(b"# \xff\nENV{A}=\"\xfc\x80\", BOGUS=\"1\"\nENV{B}=\"\xfc\"\n");
    assert_eq!(diagnostics(&parsed.diagnostics), "unknown-key@2:14");
    assert_eq!(udev::print(&parsed.rules).unwrap(), b"ENV{B}=\"\xfc\"\n"[..]);
}

/// Directories of `.rules` files: this machine's, and what `contrib/debian-rules` unpacks.
#[test]
fn every_file_that_is_here_loads() {
    let mut dirs = Roots::system().udev_rule_dirs();
    if let Some(more) = std::env::var_os("NAMEPLATE_DEBIAN_RULES") {
        dirs.push(more.into());
    }
    dirs.retain(|dir| dir.is_dir());
    if dirs.is_empty() {
        return common::skip("there are no udev rules");
    }
    let loaded = load::load(&dirs, &known());
    let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let refused: String = errors.map(|diagnostic| render(diagnostic, false)).collect();
    assert!(refused.is_empty(), "{refused}");
    for file in &loaded.files {
        let again = parse(udev::print(&file.rules).unwrap().as_slice()).rules;
        assert_eq!(without_places(file.rules.clone()), without_places(again), "{:?}", file.source.path);
    }
}
