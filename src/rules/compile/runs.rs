//! Owns the index of runs: long stretches of lines that ask the same keys for different plain values, as lists of vendors
//! and products do. Such a stretch costs a look-up for each key instead of a comparison for each line.
//!
//! Holds only what to look up; `eval` does it, at the moment when the first line of the stretch would be tested, and
//! again behind each line that was run: an effect may have changed what the next line finds.

use std::ops::Range;

use bstr::{BStr, ByteSlice};
use hashbrown::HashMap;

use super::facts::Fact;
use crate::rules::ir::{Condition, Rule, StepKind, Subject, Test};
use crate::text::space::is_c_space;

/// Fewer lines of one form are not worth an index.
const LINES_MIN: usize = 8;
/// Most forms of lines that are mixed in one run; each costs a look-up of its own.
const FORMS_MAX: usize = 4;
/// A line whose alternatives come to more combinations is tested by itself.
const COMBINATIONS_MAX: usize = 64;

/// A stretch of rules.
#[derive(Debug)]
pub(in crate::rules) struct Run {
    /// Their numbers.
    pub(in crate::rules) range: Range<usize>,
    /// The forms of most of its lines.
    pub(in crate::rules) forms: Box<[Form]>,
    /// The lines that have none of these forms.
    pub(in crate::rules) single: Box<[usize]>,
}

/// Lines that ask the same keys.
#[derive(Debug)]
pub(in crate::rules) struct Form {
    /// Their numbers, ascending.
    pub(in crate::rules) lines: Box<[usize]>,
    /// What they ask of the event's own device, but for what is known before any rule.
    pub(in crate::rules) own: Box<[Level]>,
    /// What they ask of one device on the way up; empty if that is not looked up.
    pub(in crate::rules) up: Box<[Level]>,
    /// Their values.
    pub(in crate::rules) top: Node,
}

/// A condition of a form.
#[derive(Debug)]
pub(in crate::rules) enum Level {
    /// The same in all lines.
    Same(Condition),
    /// Each line asks for values of its own.
    Key(Subject),
}

/// What a value leads to.
#[derive(Debug)]
pub(in crate::rules) enum Node {
    /// To the next key.
    Keys(HashMap<Box<[u8]>, Node>),
    /// To the devices on the way up.
    Up {
        /// The rules that get as far, ascending.
        reached: Box<[usize]>,
        /// What is looked up of each device.
        top: Box<Node>,
    },
    /// To these rules, ascending: all that was asked holds.
    Rules(Box<[usize]>),
}

/// The values that a rule asks of a key.
#[derive(Debug, PartialEq, Eq)]
enum Values<'r> {
    One(&'r BStr),
    AnyOf(Vec<&'r BStr>),
}

impl<'r> Values<'r> {
    fn as_slice(&self) -> &[&'r BStr] {
        match self {
            Values::One(value) => std::slice::from_ref(value),
            Values::AnyOf(values) => values,
        }
    }
}

/// A condition while the forms are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Slot<'r> {
    Same(&'r Condition),
    Key(&'r Subject),
}

/// A rule's conditions: its form, and the values that it puts into it.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Shape<'r> {
    own: Vec<Slot<'r>>,
    up: Vec<Slot<'r>>,
}

#[derive(Debug, Default)]
struct Line<'r> {
    shape: Shape<'r>,
    own: Vec<Values<'r>>,
    up: Vec<Values<'r>>,
}

/// Finds the runs of a rule set, in order.
pub(super) fn find(rules: &[&Rule]) -> Vec<Run> {
    let mut out = Vec::new();
    let mut open = Open::default();
    for (at, rule) in rules.iter().enumerate() {
        let line = Line::of(rule);
        let fits = line.as_ref().is_some_and(|line| open.takes(&line.shape));
        if !fits {
            out.extend(std::mem::take(&mut open).close());
        }
        match line {
            Some(line) => open.put(at, line),
            None => open = Open::default(),
        }
    }
    out.extend(open.close());
    out
}

/// A line of a run: its number, and the values that it puts into its form.
#[derive(Debug)]
struct Member<'r> {
    rule: usize,
    own: Vec<Values<'r>>,
    up: Vec<Values<'r>>,
}

/// A run that is not at its end yet.
#[derive(Debug, Default)]
struct Open<'r> {
    range: Option<Range<usize>>,
    forms: HashMap<Shape<'r>, Vec<Member<'r>>>,
}

impl<'r> Open<'r> {
    fn takes(&self, shape: &Shape<'_>) -> bool {
        self.forms.len() < FORMS_MAX || self.forms.contains_key(shape)
    }

    fn put(&mut self, at: usize, line: Line<'r>) {
        self.range = Some(self.range.as_ref().map_or(at, |range| range.start)..at + 1);
        self.forms.entry(line.shape).or_default().push(Member { rule: at, own: line.own, up: line.up });
    }

    fn close(self) -> Option<Run> {
        let range = self.range?;
        let mut forms = Vec::new();
        let mut single = Vec::new();
        for (shape, lines) in self.forms {
            if lines.len() < LINES_MIN || !differ(&lines) {
                single.extend(lines.iter().map(|line| line.rule));
                continue;
            }
            let asked: Vec<_> =
                lines.iter().map(|line| Asked { own: &line.own, up: &line.up, rule: line.rule }).collect();
            let levels = |slots: &[Slot<'_>]| slots.iter().map(Level::from).collect();
            let lines = lines.iter().map(|line| line.rule).collect();
            forms.push(Form {
                lines,
                own: levels(&shape.own),
                up: levels(&shape.up),
                top: Node::new(&asked),
            });
        }
        single.sort_unstable();
        (!forms.is_empty()).then(|| Run { range, forms: forms.into(), single: single.into() })
    }
}

/// True if not more than half of the lines ask for what the first does: otherwise looking it up saves little.
fn differ(lines: &[Member<'_>]) -> bool {
    let same = |first: &Member<'_>| {
        lines.iter().filter(|line| line.own == first.own && line.up == first.up).count() <= lines.len() / 2
    };
    lines.first().is_some_and(same)
}

impl From<&Slot<'_>> for Level {
    fn from(slot: &Slot<'_>) -> Self {
        match *slot {
            Slot::Same(condition) => Level::Same(condition.clone()),
            Slot::Key(subject) => Level::Key(subject.clone()),
        }
    }
}

impl<'r> Line<'r> {
    /// What a rule asks before it does anything; `None` if it asks for no plain value.
    fn of(rule: &'r Rule) -> Option<Self> {
        let mut line = Self::default();
        for condition in super::leading(rule) {
            if Fact::of(&condition.subject).is_none() && condition.subject != Subject::Action {
                put(&mut line.shape.own, &mut line.own, condition, false);
            }
        }
        if let Some(StepKind::Parent(group)) =
            rule.steps.get(super::leading(rule).count()).map(|step| &step.kind)
        {
            group.iter().for_each(|(_, condition)| put(&mut line.shape.up, &mut line.up, condition, true));
        }
        if line.up.is_empty() {
            // The walk up is left to the rules that get there.
            line.shape.up.clear();
        }
        let combinations = line
            .own
            .iter()
            .chain(&line.up)
            .map(|values| values.as_slice().len())
            .try_fold(1, usize::checked_mul);
        let few = combinations.is_some_and(|all| all <= COMBINATIONS_MAX);
        (few && !(line.own.is_empty() && line.up.is_empty())).then_some(line)
    }
}

fn put<'r>(
    slots: &mut Vec<Slot<'r>>,
    values: &mut Vec<Values<'r>>,
    condition: &'r Condition,
    on_the_way_up: bool,
) {
    match plain(condition, on_the_way_up) {
        Some(plain) => {
            slots.push(Slot::Key(&condition.subject));
            values.push(plain);
        }
        None => slots.push(Slot::Same(condition)),
    }
}

/// The values that a condition asks for, if it is met by nothing but one of them.
fn plain(condition: &Condition, on_the_way_up: bool) -> Option<Values<'_>> {
    let Test::Is(pattern) = &condition.test else { return None };
    let is_key = match &condition.subject {
        // With nothing, and with white space at the pattern's end, the value is compared in another way.
        Subject::Attribute(name) => {
            name.ready().is_some() && pattern.text().last().is_some_and(|last| !is_c_space(*last))
        }
        Subject::Property(_) | Subject::Driver | Subject::Devtype => true,
        Subject::Kernel | Subject::Subsystem => on_the_way_up,
        _ => false,
    };
    let values = || match pattern.literal() {
        Some(value) => Some(Values::One(value)),
        None => pattern.literals().map(Values::AnyOf),
    };
    if is_key { values() } else { None }
}

impl Node {
    /// Makes the look-up of lines of one form: all have values for the same number of keys.
    fn new(lines: &[Asked<'_>]) -> Self {
        let rules = || -> Box<[usize]> { lines.iter().map(|line| line.rule).collect() };
        match lines.first() {
            Some(Asked { own: [_, ..], .. }) => {
                let mut keys: HashMap<&BStr, Vec<Asked<'_>>> = HashMap::new();
                for line in lines {
                    let Some((values, rest)) = line.own.split_first() else { continue };
                    for value in values.as_slice() {
                        let below = keys.entry(value).or_default();
                        // Two alternatives may be the same.
                        if below.last().is_none_or(|last| last.rule != line.rule) {
                            below.push(Asked { own: rest, ..*line });
                        }
                    }
                }
                let below =
                    |(value, lines): (&BStr, Vec<_>)| (Box::from(value.as_bytes()), Node::new(&lines));
                Node::Keys(keys.into_iter().map(below).collect())
            }
            Some(Asked { up: [_, ..], .. }) => {
                let above: Vec<_> =
                    lines.iter().map(|line| Asked { own: line.up, up: &[], ..*line }).collect();
                Node::Up { reached: rules(), top: Box::new(Node::new(&above)) }
            }
            _ => Node::Rules(rules()),
        }
    }
}

/// The values of a line that are still to be looked up.
#[derive(Debug, Clone, Copy)]
struct Asked<'l> {
    own: &'l [Values<'l>],
    up: &'l [Values<'l>],
    rule: usize,
}
