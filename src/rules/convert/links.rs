//! Owns the difference in links: udev splits what a template gives at white space, and an empty part of a path does not
//! count; in TOML a name is one name, and one with an empty part is refused.

use bstr::{BString, ByteSlice};

use crate::ids::LinkName;
use crate::rules::ir::{Condition, Effect, Step, StepKind, Subject, Test};
use crate::rules::template::{Part, Template, Var};

/// A part of a link's path that may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is, or is all text that does not count.
    Always,
    /// It is this property alone.
    Property(BString),
    /// It is made of this text.
    Text(BString),
}

/// The names that a template of udev's gives, if each is one name whatever the event is.
pub(super) fn words(template: &Template, steps: &[Step]) -> Option<Vec<Template>> {
    let mut words: Vec<BString> = vec![BString::default()];
    for part in template.parts() {
        match part {
            Part::Text(text) => {
                for byte in text.iter() {
                    if byte.is_ascii_whitespace() {
                        words.push(BString::default());
                    } else {
                        super::push_text(words.last_mut()?, &[*byte]);
                    }
                }
            }
            Part::Var(Var::Result(_) | Var::Links) => return None,
            Part::Var(var) => words.last_mut()?.extend_from_slice(&super::var_text(var)),
        }
    }
    words.retain(|word| !word.is_empty());
    let out: Vec<Template> = words.iter().map(|word| Template::parse(word).0).collect();
    let fine = |word: &Template| {
        let sketch = sketch(word);
        let dots = sketch.split(|b| *b == b'/').any(|part| part == b".");
        !dots && LinkName::new(&sketch).is_ok() && doubts(word, steps).is_empty()
    };
    (!out.is_empty() && out.iter().all(fine)).then_some(out)
}

/// The text with `x` in the place of each substitution.
fn sketch(template: &Template) -> Vec<u8> {
    let part = |part: &Part| match part {
        Part::Text(text) => text.to_vec(),
        Part::Var(_) => b"x".to_vec(),
    };
    template.parts().iter().flat_map(part).collect()
}

/// The parts of a link's path that may be empty, in a rule with these steps.
pub(super) fn doubts(template: &Template, steps: &[Step]) -> Vec<Doubt> {
    let mut parts: Vec<Vec<Part>> = vec![Vec::new()];
    for part in template.parts() {
        match part {
            Part::Text(text) => {
                for (at, piece) in text.split(|b| *b == b'/').enumerate() {
                    if at > 0 {
                        parts.push(Vec::new());
                    }
                    if !piece.is_empty() {
                        parts.last_mut().into_iter().for_each(|part| part.push(Part::Text(piece.into())));
                    }
                }
            }
            Part::Var(_) => parts.last_mut().into_iter().for_each(|last| last.push(part.clone())),
        }
    }
    // A slash in front does not count.
    if parts.len() > 1 && parts.first().is_some_and(Vec::is_empty) {
        parts.remove(0);
    }
    parts.iter().filter_map(|part| doubt(part, steps)).collect()
}

fn doubt(part: &[Part], steps: &[Step]) -> Option<Doubt> {
    let full = |part: &Part| match part {
        Part::Text(_) => true,
        Part::Var(Var::Kernel | Var::Major | Var::Minor | Var::Devnode | Var::Devpath | Var::Index) => true,
        Part::Var(Var::Env(key)) => is_set(key, steps),
        Part::Var(_) => false,
    };
    if part.iter().any(full) {
        return None;
    }
    Some(match part {
        [] => Doubt::Always,
        [Part::Var(Var::Env(key))] => Doubt::Property(key.clone()),
        _ => {
            let var = |part: &Part| match part {
                Part::Var(var) => super::var_text(var),
                Part::Text(_) => BString::default(),
            };
            Doubt::Text(part.iter().flat_map(|part| Vec::from(var(part))).collect::<Vec<u8>>().into())
        }
    })
}

/// True if a rule with these steps ends where the property is empty.
fn is_set(key: &BString, steps: &[Step]) -> bool {
    let asks = steps.iter().any(|step| match &step.kind {
        StepKind::When(Condition { subject: Subject::Property(asked), test }) if asked == key => match test {
            Test::Is(pattern) => !pattern.matches(b""),
            Test::IsNot(pattern) => pattern.matches(b""),
            Test::Exists(yes) => *yes,
            Test::Range(_) => true,
            Test::Mode(_) | Test::NoMode(_) => false,
        },
        _ => false,
    });
    let mut sets = steps.iter().rev().filter_map(|step| match &step.kind {
        StepKind::Do { effect: Effect::Property { key: set, value, append: false }, .. } if set == key => {
            Some(value)
        }
        _ => None,
    });
    let full = |value: &Template| {
        value.parts().iter().any(|part| matches!(part, Part::Text(t) if !t.trim().is_empty()))
    };
    match sets.next() {
        Some(value) => full(value),
        None => asks,
    }
}
