//! What is longer than udev allows, in rules of udev's and in rules that have no such limit.

use super::super::testing::pattern;
use super::*;
use crate::rules::ir::{Condition, Subject};
use crate::rules::template::Limit;

fn attribute(limit: Limit, test: Test) -> StepKind {
    StepKind::When(Condition { subject: Subject::Attribute(template("long").within(limit).into()), test })
}

fn value(text: &str, limit: Limit) -> StepKind {
    act(Effect::Property { key: "A".into(), value: template(text).within(limit), append: false })
}

/// The attribute `long` has 600 bytes.
#[test]
fn attributes() {
    let x = |count: usize| pattern(&"x".repeat(count));
    check(vec![
        (TTY, held(attribute(Limit::Value, Test::Is(x(511)))), "tag yes@1"),
        (TTY, held(attribute(Limit::Value, Test::Is(x(600)))), ""),
        (TTY, held(attribute(Limit::Value, Test::IsNot(x(511)))), ""),
        (TTY, held(attribute(Limit::None, Test::Is(x(600)))), "tag yes@1"),
        (TTY, held(attribute(Limit::None, Test::Is(x(511)))), ""),
        (TTY, vec![vec![value("$attr{long}", Limit::Value), link("x")]], "link x@1; !too-long@1"),
        // an attribute is cut whatever it is for
        (TTY, vec![vec![value("$attr{long}", Limit::Line), link("x")]], "link x@1; !too-long@1"),
    ]);
    let long = format!("A={}@1", "x".repeat(600));
    check(vec![(TTY, vec![vec![value("$attr{long}", Limit::None)]], &long)]);
}

#[test]
fn questions_without_a_text_have_no_answer() {
    let command = |program: bool| {
        let line = template(&format!("/bin/quiet {}", "$env{A}".repeat(40))).within(Limit::Line);
        match program {
            true => Subject::Program(Command::Line(line.into())),
            false => Subject::Import(Import::Program(Command::Line(line.into()))),
        }
    };
    for subject in [command(true), command(false)] {
        for wanted in [true, false] {
            let asked = StepKind::When(Condition { subject: subject.clone(), test: Test::Exists(wanted) });
            let rules =
                |count: usize| vec![vec![property("A", &"x".repeat(count))], vec![asked.clone(), link("x")]];
            let out = outcome(&Machine::new(), Action::Add, TTY, rules(500));
            assert_eq!(out.links.len(), 0, "{subject:?} {wanted}");
            let out = outcome(&Machine::new(), Action::Add, TTY, rules(300));
            assert_eq!(out.links.len(), usize::from(wanted), "{subject:?} {wanted}");
        }
    }
}
