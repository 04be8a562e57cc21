//! The pages of the manual that are written by hand speak of every key and every diagnostic that there is.

#![cfg(test)]

use std::fs;

use nameplate::config::KEYS;
use nameplate::rules::toml::{CONDITION_KEYS, IMPORT_KEYS, OPTIONS, RULE_KEYS, TEST_KEYS, codes};
use nameplate::rules::{eval, lint, udev};

fn page(name: &str) -> String {
    let path = format!("{}/man/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    // quotation marks and the like have names of their own there
    [("\\(dq", "\""), ("\\(oq", "`"), ("\\(cq", "`"), ("\\(aq", "'"), ("\\&", "")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

/// True if the word stands in the page, not as a part of another.
fn names(page: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    page.match_indices(word).any(|(at, _)| {
        let before = page[..at].chars().next_back();
        let after = page[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// The words of a text, whatever the lines.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_key_of_a_rule() {
    let page = page("nameplate-rules.5");
    for keys in [RULE_KEYS, CONDITION_KEYS, IMPORT_KEYS, OPTIONS, TEST_KEYS] {
        for key in keys {
            assert!(names(&page, key), "nameplate-rules.5 does not speak of `{key}`");
        }
    }
}

#[test]
fn every_builtin() {
    let page = page("nameplate-rules.5");
    for name in nameplate::builtin::NAMES {
        assert!(page.contains(&format!(".It Ic {name}\n")), "nameplate-rules.5 does not speak of `{name}`");
    }
}

#[test]
fn every_diagnostic() {
    let page = words(&page("nameplate-rules.5")).replace('`', "'");
    for (code, meaning) in codes::CODES.iter().chain(lint::codes::CODES) {
        let expected = format!(".It Li {code} {}", words(meaning).replace('`', "'").replace('\\', "\\e"));
        assert!(page.contains(&expected), "nameplate-rules.5 lacks: {expected}");
    }
}

/// The entries of a list of the page: the part between two comments.
fn entries(page: &str, name: &str) -> Vec<String> {
    let (_, rest) = page.split_once(&format!(".\\\" begin {name}\n")).unwrap();
    let (list, _) = rest.split_once(&format!(".\\\" end {name}\n")).unwrap();
    list.split(".It ").skip(1).map(|entry| words(entry.trim_end().trim_end_matches(".El"))).collect()
}

#[test]
fn the_language_of_udev() {
    let plain = |text: &str| words(text).replace('`', "'").replace('\\', "\\e");
    let page = page("nameplate-rules.5").replace('`', "'");
    let differences: Vec<String> =
        udev::DIFFERENCES.iter().map(|(what, how)| plain(&format!("{what} {how}."))).collect();
    assert_eq!(entries(&page, "differences"), differences);
    for (list, codes) in [("udev codes", udev::codes::CODES), ("event codes", &eval::CODES)] {
        let codes: Vec<String> =
            codes.iter().map(|(code, meaning)| plain(&format!("Li {code} {meaning}"))).collect();
        assert_eq!(entries(&page, list), codes);
    }
}

#[test]
fn every_key_of_the_configuration() {
    let page = words(&page("nameplate.toml.5"));
    for key in KEYS {
        let default = key.default.map(|value| format!(" Default: {value}.")).unwrap_or_default();
        let expected = format!(".It Ic {} No = Ar {} {}{default}", key.name, key.kind, words(key.doc));
        assert!(page.contains(&expected), "nameplate.toml.5 lacks: {expected}");
    }
}
