//! The same texts, asked of `udevadm verify` (systemd 254 or later): no line is refused here that it takes, and what it
//! finds is found here. `contrib/verify` gets one, and the rule files of Debian's packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nameplate::diag::{Severity, SourceFile};
use nameplate::rules::ir::RuleFile;
use nameplate::rules::lint::lint;
use nameplate::rules::udev;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::cases::PARSE;
use super::random::token;
use super::show::known;

/// Where each line of a file belongs to: the first line of a continued one.
fn first_lines(text: &str) -> Vec<u32> {
    let mut first = 1;
    let mut goes_on = false;
    let mut out = vec![0];
    for (number, line) in (1..).zip(text.split('\n')) {
        if !goes_on {
            first = number;
        }
        out.push(first);
        let line = line.trim_end_matches('\r');
        let comment = line.trim_start().starts_with('#');
        goes_on = if comment { goes_on } else { line.ends_with('\\') };
    }
    out
}

/// What `udevadm verify` says of the files, by file and line.
fn asked(tree: &Path, below: &str) -> BTreeMap<(String, u32), Vec<String>> {
    let files = fs::read_dir(tree.join(below))
        .unwrap()
        .map(|entry| format!("/{below}/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut files: Vec<String> = files.collect();
    files.sort();
    let mut out: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let output = Command::new("chroot")
        .arg(tree)
        .args(["udevadm", "verify", "--no-summary"])
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("Unknown command verb"), "{said}");
    for line in said.lines() {
        let Some((file, rest)) =
            line.strip_prefix(&format!("/{below}/")).and_then(|rest| rest.split_once(':'))
        else {
            continue;
        };
        let Some((number, message)) = rest.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        out.entry((file.to_owned(), number)).or_default().push(message.to_owned());
    }
    out
}

/// What is found here, by file and line; true for a line that is left out.
fn found(file: &str, bytes: &[u8]) -> BTreeMap<(String, u32), Vec<(String, bool)>> {
    let source = SourceFile::new(Path::new(file), bytes);
    let parsed = udev::parse(&source, bytes, &known());
    let rules = Arc::new(RuleFile { source, rules: parsed.rules });
    let odd = lint(&[rules]).into_iter().map(|finding| finding.diagnostic);
    let mut out: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in parsed.diagnostics.into_iter().chain(odd) {
        let refused = one.severity == Severity::Error;
        out.entry((file.to_owned(), one.place.line)).or_default().push((one.to_string(), refused));
    }
    out
}

/// Lines that are refused here and taken there, with the reason that the manual gives.
const MORE_REFUSED: &[&str] = &["there is no builtin"];

/// What it says and is not said here, with the reason.
const NOT_SAID: &[&str] = &[
    // accounts of the tree, not of the cases
    "Unknown user",
    "Unknown group",
    // options of later versions
    "'dump",
    // known here, as its manual says
    "Invalid attribute for CONST",
];

#[test]
fn udevadm_verify_refuses_and_finds_no_less() {
    let Some(tree) = std::env::var_os("NAMEPLATE_VERIFY_TREE") else { return };
    let tree = Path::new(&tree);
    let below = "tmp/nameplate-rules";
    let dir = tree.join(below);
    let _fresh = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (number, (text, ..)) in PARSE.iter().enumerate() {
        texts.insert(format!("case{number:03}.rules"), text.as_bytes().to_vec());
    }
    for entry in std::env::var_os("NAMEPLATE_DEBIAN_RULES").iter().flat_map(|dir| fs::read_dir(dir).unwrap())
    {
        let entry = entry.unwrap();
        texts.insert(
            format!("debian-{}", entry.file_name().to_str().unwrap()),
            fs::read(entry.path()).unwrap(),
        );
    }
    let mut runner = TestRunner::deterministic();
    let random = prop::collection::vec(token(), 1..4);
    for number in 0..3000 {
        let text = random.new_tree(&mut runner).unwrap().current().concat();
        // a CR counts as a line there, and `first_lines` knows nothing of two backslashes
        if !text.contains(['\0', '\r']) && !text.contains("\\\\\n") {
            texts
                .insert(format!("random{number:04}.rules"), format!("{text}\nENV{{A}}=\"1\"\n").into_bytes());
        }
    }
    let mut wrong = String::new();
    for (name, bytes) in &texts {
        fs::write(dir.join(name), bytes).unwrap();
    }
    let theirs = asked(tree, below);
    for (name, bytes) in &texts {
        let text = String::from_utf8_lossy(bytes);
        let first = first_lines(&text);
        let at = |line: u32| first.get(line as usize).copied().unwrap_or(line);
        let ours = found(name, bytes);
        let said: BTreeSet<u32> =
            theirs.keys().filter(|(file, _)| file == name).map(|(_, line)| at(*line)).collect();
        let seen: BTreeSet<u32> = ours.keys().map(|(_, line)| at(*line)).collect();
        for ((_, line), all) in &ours {
            for (message, _) in all.iter().filter(|(_, refused)| *refused) {
                if !said.contains(&at(*line)) && !MORE_REFUSED.iter().any(|known| message.contains(known)) {
                    wrong += &format!("refused here only: {message}\n    {text:?}\n");
                }
            }
        }
        for ((_, line), all) in theirs.iter().filter(|((file, _), _)| file == name) {
            for message in all.iter().filter(|message| !NOT_SAID.iter().any(|known| message.contains(known)))
            {
                if !seen.contains(&at(*line)) {
                    wrong += &format!("found there only: {name}:{line}: {message}\n    {text:?}\n");
                }
            }
        }
    }
    fs::remove_dir_all(&dir).unwrap();
    eprintln!("{} files compared, {} lines with a finding there", texts.len(), theirs.len());
    assert!(wrong.is_empty(), "\n{wrong}");
}
