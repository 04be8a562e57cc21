//! Texts by chance: nothing panics, places are inside of the text, what is printed is read as the same, and the index
//! changes nothing.

use std::path::Path;

use nameplate::diag::{SourceFile, render};
use nameplate::ids::Action;
use nameplate::rules::udev::{self, keys};
use proptest::prelude::*;

use super::effects::Device;
use super::machine::Machine;
use super::show::{known, parse, without_places};

/// A token that may or may not be right.
pub(crate) fn token() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!["{a}", "{}", "{builtin}", "{0644}", "{$kernel}", "{a b}", "{"]);
    let name = prop::sample::select(vec![
        "{a}",
        "{size}",
        "{[a/b]c}",
        "{a:=b}",
        "{$kernel}",
        "{%k x}",
        "{../ro}",
        "{selinux}",
    ]);
    let mode = prop::sample::select(vec!["{0644}", "{}", "", "{9}"]);
    let key = (prop::sample::select(keys::KEYS), odd, name, mode, any::<prop::sample::Index>(), 0..10);
    let key = key.prop_map(|(info, odd, name, mode, word, chance)| {
        let word = |words: &[&str]| format!("{{{}}}", word.get(words));
        let braces = match info.braces {
            _ if chance == 0 => odd.to_owned(),
            keys::Braces::None => String::new(),
            keys::Braces::Name => name.to_owned(),
            keys::Braces::OneOf(words) => word(words),
            keys::Braces::MaybeOneOf(_) if chance < 3 => String::new(),
            keys::Braces::MaybeOneOf(words) => word(words),
            keys::Braces::MaybeMode => mode.to_owned(),
        };
        let key = if chance == 1 && odd == "{" { "FOO" } else { info.name };
        (key, braces)
    });
    let operator = prop::sample::select(vec![
        "==", "==", "!=", "!=", "=", "+=", "+=", "-=", ":=", " == ", "", "===", "+",
    ]);
    let value = prop_oneof![
        Just("\"a\"".to_owned()),
        prop::sample::select(vec![
            "\"\"",
            "\"loop*\"",
            "\"?*\"",
            "\"|x\"",
            "\"[a\"",
            "\"a\\\"b\"",
            "\"a\\\\\"",
            "e\"a\\n\\x41\"",
            "e\"\\\\\"",
            "i\"A\"",
            "ei\"b\"",
            "ee\"b\"",
            "'a'",
            "a",
            "\"$env{a}%k\"",
            "\"$nope%q\"",
            "\"a$attr\"",
            "\"path_id\"",
            "\"kmod load a\"",
            "\"0644\"",
            "\"root\"",
            "\"65535\"",
            "\"link_priority=-3\"",
            "\"string_escape=none\"",
            "\"string_escape=replace\"",
            "\"watch\"",
            "\"db_persist\"",
            "\"static_node=x\"",
            "\"log_level=info\"",
            "\"subsystem\"",
            "\"a b  c\"",
            "\"'a b' \\\"c\\\"\"",
        ])
        .prop_map(str::to_owned),
        "\"[ -~]{0,6}\"",
        "\"[ -~]{0,6}\"",
        ".{0,4}",
    ];
    let separator = prop::sample::select(vec![", ", " ", ",", "", " \\\n", "\\\n# c\n  ", "\n"]);
    (key, operator, value, separator).prop_map(|((key, braces), operator, value, separator)| {
        format!("{key}{braces}{operator}{value}{separator}")
    })
}

/// A line that is right, and does something that can be seen.
fn line() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "",
        "",
        "SUBSYSTEM==\"block\", ",
        "SUBSYSTEM==\"net\", ",
        "SUBSYSTEM!=\"net\", ",
        "KERNEL==\"loop*\", ",
        "ACTION==\"add\", ",
        "ACTION==\"remove\", ",
        "ENV{A}==\"1\", ",
        "KERNELS==\"loop777\", ",
        "TEST==\"size\", ",
        "TAG==\"t\", ",
        "SYMLINK==\"l1\", ",
        "RESULT==\"one*\", ",
        "PROGRAM==\"/bin/words\", ",
        "PROGRAM==\"/bin/false\", ",
        "IMPORT{program}==\"/bin/facts\", ",
    ]);
    let effect = prop::sample::select(vec![
        "ENV{A}=\"1\"",
        "ENV{A}=\"\"",
        "ENV{B}+=\"$id%c\"",
        "SYMLINK+=\"l1 l2\"",
        "SYMLINK=\"l3\"",
        "SYMLINK-=\"l1\"",
        "SYMLINK:=\"l4\"",
        "TAG+=\"t\"",
        "TAG-=\"t\"",
        "MODE=\"0600\"",
        "NAME=\"n\"",
        "RUN+=\"/bin/a $env{A}\"",
        "GOTO=\"a\"",
        "GOTO=\"b\"",
        "LABEL=\"a\"",
        "LABEL=\"b\"",
        "LABEL=\"a\", ENV{C}+=\"x\"",
        "OPTIONS+=\"string_escape=replace\"",
        "ATTR{size}=\"5\"",
        "OPTIONS+=\"link_priority=3\"",
    ]);
    (condition, condition_twice(), effect).prop_map(|(one, two, effect)| format!("{one}{two}{effect}\n"))
}

fn condition_twice() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "KERNEL==\"lo*\", ", "ENV{A}!=\"1\", ", "ATTR{size}==\"1024|5\", "])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = SourceFile::new(Path::new("x.rules"), &bytes);
        for diagnostic in udev::parse(&source, &bytes, &known()).diagnostics {
            prop_assert!(diagnostic.place.span.end <= source.text.len());
            let _shown = render(&diagnostic, false);
        }
    }

    #[test]
    fn tokens_of_all_kinds(tokens in prop::collection::vec(token(), 1..8)) {
        let text = tokens.concat();
        let parsed = parse(text.as_bytes());
        for diagnostic in &parsed.diagnostics {
            let place = &diagnostic.place;
            prop_assert!(place.span.start <= place.span.end && place.span.end <= text.len(), "{diagnostic}");
            prop_assert_eq!(place.file.position(place.span.start), (place.line, place.column), "{}", text);
            let _shown = render(diagnostic, false);
        }
        let printed = match udev::print(&parsed.rules) {
            Ok(printed) => printed,
            Err(unsayable) => return Err(TestCaseError::fail(format!("{text}\n{unsayable:?}"))),
        };
        let again = parse(printed.as_slice());
        prop_assert_eq!(without_places(parsed.rules), without_places(again.rules), "{}\n{}", text, printed);
    }

    /// The plan is the same for the daemon, which asks the index, as for `explain`, which looks at every rule.
    #[test]
    fn jumps_and_the_index(lines in prop::collection::vec(line(), 1..12), remove in any::<bool>(), net in any::<bool>()) {
        let machine = Machine::new();
        let action = if remove { Action::Remove } else { Action::Add };
        let device = if net { Device::Lo } else { Device::Partition };
        let _same = machine.plan(device, action, &lines.concat());
    }
}
