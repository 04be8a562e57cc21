//! Rules of all kinds at random: the index changes nothing, no text breaks an event.

use proptest::prelude::*;

use super::*;

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// Steps of every kind that matters for order, skipping and finality.
fn step() -> impl Strategy<Value = StepKind> {
    let leaf = prop_oneof![
        one_of(&["tty", "block", "net|tty", "t*", "", "*"]).prop_map(|glob| is("subsystem", glob)),
        one_of(&["add", "remove", "add|change", "*"]).prop_map(|glob| is("action", glob)),
        one_of(&["add", "change"]).prop_map(|glob| is_not("action", glob)),
        one_of(&["1", "2", ""]).prop_map(|glob| is("property.A", glob)),
        one_of(&["1-2", "tty*", "no"]).prop_map(|glob| parent(&[("kernel", glob)])),
        one_of(&["/bin/words", "/bin/false"]).prop_map(|line| program(line, true)),
        one_of(&["a", "b$id", "../c"]).prop_map(link),
        one_of(&["1", "2", "$id"]).prop_map(|value| property("A", value)),
        one_of(&["x", "y"]).prop_map(|name| tag(ListOp::Add, name)),
        Just(mode(0o600)),
        Just(group("tty", 5)),
    ];
    (leaf, any::<bool>()).prop_map(|(step, last)| if last { fixed(step) } else { step })
}

thread_local! {
    static MACHINE: Machine = Machine::new();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_leaves_out_only_what_changes_nothing(
        rules in prop::collection::vec(prop::collection::vec(step(), 0..5), 0..6),
        action in prop::sample::select(&Action::ALL[..]),
        path in prop::sample::select(&[TTY, DISK, NET, USB][..]),
    ) {
        MACHINE.with(|machine| {
            let indexed = outcome(machine, action, path, rules.clone());
            // The trace is shown all rules: it goes round the index by subsystem and action.
            let all = observed(machine, action, path, rules, &mut Trace::default());
            prop_assert_eq!(indexed, all);
            Ok(())
        })?;
    }

    #[test]
    fn no_text_breaks_an_event(text in "(\\PC|[$%{}/.0-9a-z \n\0]){0,24}", value in prop::collection::vec(any::<u8>(), 0..24)) {
        MACHINE.with(|machine| {
            let mut facts = machine.facts(Action::Add, TTY);
            let _refused = facts.properties.set("V", &value);
            let rules = compile(vec![
                vec![link(&text), symlink_as_udev(ListOp::Add, &text), property("A", &text), tag(ListOp::Add, &text)],
                vec![link("x$env{V}y"), symlink_as_udev(ListOp::Add, "$env{V}"), property("B", "$env{V}")],
                vec![link("last")],
            ]);
            let out = evaluate(&rules, &facts, &mut Scripted::new(machine), &mut Unobserved);
            for name in out.links.keys() {
                let name = name.as_bytes();
                prop_assert!(!name.starts_with(b"/") && !name.split(|b| *b == b'/').any(|part| part == b".."));
                prop_assert!(!name.iter().any(u8::is_ascii_control));
            }
            prop_assert!(summary(&out).contains("link last@3"));
            Ok(())
        })?;
    }
}
