//! The TOML rule language, case by case: a text, the diagnostics it gets, the rules it becomes.
//!
//! A diagnostic is `code@line:column`; a rule is its steps, joined with `; `. All expectations are written by hand.

#[cfg(test)]
mod toml_rules {
    pub(crate) mod cases;
    pub(crate) mod files;
    mod shipped;
    pub(crate) mod show;
}

use std::collections::BTreeSet;

use std::path::Path;

use nameplate::config::ResolveNames;
use nameplate::diag::{Severity, SourceFile, render};
use nameplate::rules::toml::{self as rules, AccountFiles, Known, Timed, codes};
use proptest::prelude::*;
use toml_rules::cases::{CASES, TESTS};
use toml_rules::show::{diagnostics, known, parse, rule, test};

#[test]
fn every_case() {
    let mut wrong = Vec::new();
    for (text, expected_diagnostics, expected_rules) in CASES {
        let parsed = parse(text);
        let found = diagnostics(&parsed.diagnostics);
        let rules: Vec<String> = parsed.rules.iter().map(rule).collect();
        if found != *expected_diagnostics || rules != *expected_rules {
            let shown: String = parsed.diagnostics.iter().map(|d| render(d, false) + "\n").collect();
            wrong.push(format!("{text}\n  found    {found:?} {rules:?}\n  expected {expected_diagnostics:?} {expected_rules:?}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_test_case() {
    for (text, expected_diagnostics, expected) in TESTS {
        let parsed = parse(text);
        assert_eq!(diagnostics(&parsed.diagnostics), *expected_diagnostics, "{text}");
        assert_eq!(parsed.tests.iter().map(test).collect::<Vec<_>>(), *expected, "{text}");
    }
}

#[test]
fn every_code_has_a_case() {
    let texts = CASES.iter().chain(TESTS).map(|(_, diagnostics, _)| *diagnostics);
    let mut seen: BTreeSet<String> = texts
        .flat_map(|all| {
            all.split_whitespace().map(|one| one.split('@').next().unwrap_or_default().to_owned())
        })
        .collect();
    seen.extend(toml_rules::files::CODES.iter().map(|code| (*code).to_owned()));
    // of a configuration that the cases do not have
    seen.insert("names-off".into());
    let table: BTreeSet<String> = codes::CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(seen, table);
}

#[test]
fn names_are_looked_up_when_the_configuration_says() {
    let text = "[[rule]]\nmatch.subsystem = \"tty\"\nowner = \"ann\"\ngroup = \"no-such\"\nlink = \"a\"\n";
    let accounts = || AccountFiles::parse("ann:x:1000:1000::\n", "");
    for (when, expected) in [
        (ResolveNames::Early, "unknown-group@4:9"),
        (ResolveNames::Late, ""),
        (ResolveNames::Never, "names-off@3:9 names-off@4:9"),
    ] {
        let source = SourceFile::new(Path::new("50-case.toml"), text.as_bytes());
        let parsed = rules::parse(&source, &Known { accounts: &Timed(accounts(), when), ..known() });
        assert_eq!(diagnostics(&parsed.diagnostics), expected, "{when:?}");
    }
}

#[test]
fn every_key_has_a_case() {
    let all: String =
        CASES.iter().chain(TESTS).filter(|(_, bad, _)| bad.is_empty()).map(|(text, ..)| *text).collect();
    let keys = [
        rules::TOP_KEYS,
        rules::FILE_KEYS,
        rules::RULE_KEYS,
        rules::CONDITION_KEYS,
        rules::PARENT_KEYS,
        rules::VALUE_KEYS,
        rules::IMPORT_KEYS,
        rules::WRITE_KEYS,
        rules::LIST_KEYS,
        rules::PROPERTY_KEYS,
        rules::LABEL_KEYS,
        rules::FINAL_KEYS,
        rules::OPTIONS,
        rules::TEST_KEYS,
    ];
    let words: BTreeSet<&str> = all.split(|c: char| !(c.is_alphanumeric() || "_=-".contains(c))).collect();
    for key in keys.concat() {
        let begins = |word: &&str| key.ends_with('=') && word.starts_with(key);
        assert!(words.contains(key) || words.iter().any(begins), "no good case has `{key}`");
    }
}

#[test]
fn properties_of_the_device_are_refused_each() {
    for name in nameplate::properties::READ_ONLY {
        let parsed = parse(&format!("[[rule]]\nmatch.kernel = 'x'\nproperty.{name} = 'a'\n"));
        assert_eq!(diagnostics(&parsed.diagnostics), "read-only-property@3:10", "{name}");
    }
}

#[test]
fn every_error_says_how_to_repair_it_or_what_is_wrong() {
    for (text, ..) in CASES.iter().chain(TESTS) {
        for diagnostic in parse(text).diagnostics {
            assert!(!diagnostic.message.is_empty() && !diagnostic.message.contains('\n'), "{diagnostic}");
            assert!(diagnostic.hint.as_deref() != Some(""), "{diagnostic}");
            if diagnostic.severity == Severity::Warning {
                assert!(diagnostic.hint.is_some(), "a warning without a hint: {diagnostic}");
            }
        }
    }
}

#[test]
fn hints_name_the_repair() {
    let cases = [
        ("[[rule]]\nmatch.kernel='x'\nlnk = 'a'\n", "did you mean `link`?"),
        ("[[rule]]\nmatch.kernel='x'\nSYMLINK = 'a'\n", "did you mean `link`?"),
        ("[[rule]]\nkernel='x'\nlink = 'a'\n", "conditions stand in a table: match = { kernel = … }"),
        (
            "[[rule]]\nmatch.attr.index=0\nlink = 'a'\n",
            "write \"0\", or { min = 0, max = 0 } to compare numbers",
        ),
        ("[[rule]]\nmatch.kernel='x'\nmode = 0o660\n", "write \"0660\""),
        ("[[rule]]\nmatch.kernel='x'\nmode = 660\n", "write \"0660\""),
        ("[[rule]]\nmatch.kernel='x'\npriority = '10'\n", "write 10 without quotes"),
        ("[[rule]]\nmatch.kernel='x'\nproperty.A = 1\n", "write \"1\""),
        ("[[rule]]\nmatch.kernel='x'\nrun = '/bin/a b'\n", "write run = [[\"/bin/a\", \"b\"]]"),
        ("[[rule]]\nmatch.kernel='x'\nrun = ['/bin/a', 'b']\n", "write run = [[\"/bin/a\", \"b\"]]"),
        ("[[rule]]\nmatch.kernel='x'\nrun = [['/bin/a'], '/bin/b c']\n", "write [\"/bin/b\", \"c\"]"),
        ("[[rule]]\nmatch.kernel='x'\nlink = 'a b'\n", "several links are a list: [\"a\", \"b\"]"),
        (
            "[[rule]]\nmatch.kernel='x'\nwrite.attr.power.control = 'on'\n",
            "a name with `/` stands in quotes: write.attr.\"power/control\"",
        ),
        ("[[rule]]\nmatch.kernel='x'\nindex = '%k'\nlink='a$index'\n", "write index = { by = \"%k\" }"),
        ("[[rule]]\nmatch.kernel='x'\nimport = 'usb_id'\n", "write import = { builtin = \"usb_id\" }"),
        ("[[rule]]\nmatch.kernel='x'\nimport.builtin = 'usbid'\n", "did you mean `usb_id`?"),
        ("[[rule]]\nmatch.kernel='x'\nlink = 'a%q'\n", "write `%%` for the byte itself"),
        ("[rule]\nmatch.kernel='x'\nlink = 'a'\n", "write [[rule]]"),
    ];
    for (text, hint) in cases {
        let found = parse(text).diagnostics;
        assert_eq!(found.first().and_then(|d| d.hint.as_deref()), Some(hint), "{text}");
    }
}

#[test]
fn deep_nesting_is_a_mistake_and_no_crash() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("rule = {}1{}", open.repeat(50_000), close.repeat(50_000));
        let codes: BTreeSet<&str> = parse(&text).diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, BTreeSet::from(["syntax"]), "{open}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _parsed = parse(&text);
    }

    #[test]
    fn no_value_panics(
        key in prop::sample::select([rules::RULE_KEYS, rules::TEST_KEYS, &["match.attr.x", "match.test", "parent.tag", "write.attr.x", "property.A"]].concat()),
        value in prop::sample::select(vec!["1", "true", "1.5", "[]", "{}", "''", "'$'", "[[]]", "[{}]", "{a=1}", "'ä[$index'", "\"\\t%s{\"", "1979-05-27", "[['a'],1]", "{not=[]}", "{by=''}"]),
        table in prop::sample::select(vec!["rule", "test"]),
    ) {
        let text = format!("[[{table}]]\n{key} = {value}\n");
        let source = nameplate::diag::SourceFile::new(std::path::Path::new("x.toml"), text.as_bytes());
        for diagnostic in rules::parse(&source, &known()).diagnostics {
            prop_assert!(diagnostic.place.span.end <= text.len());
            let _shown = render(&diagnostic, false);
        }
    }
}
