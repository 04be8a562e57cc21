//! Owns the index by what is known of an event before any rule and that no rule changes: kernel name, subsystem, devpath
//! and devtype. For each of them it gives the rules whose leading conditions on it hold.
//!
//! A pattern is looked at only if the value begins as the pattern does: ten thousand names cost as many look-ups as there
//! are different lengths among them.

use std::borrow::Cow;

use bstr::{BStr, BString, ByteSlice};
use hashbrown::HashMap;

use super::bits::Bits;
use crate::rules::eval::holds;
use crate::rules::ir::{Condition, Subject, Test};
use crate::rules::trace::Value;

/// What an index is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Kernel,
    Subsystem,
    Devpath,
    Devtype,
}

impl Fact {
    pub(super) const ALL: [Fact; 4] = [Fact::Kernel, Fact::Subsystem, Fact::Devpath, Fact::Devtype];

    /// The fact that a subject looks at on the event's own device. Neither language lets a rule set `DEVTYPE`.
    pub(super) fn of(subject: &Subject) -> Option<Self> {
        match subject {
            Subject::Kernel => Some(Fact::Kernel),
            Subject::Subsystem => Some(Fact::Subsystem),
            Subject::Devpath => Some(Fact::Devpath),
            Subject::Devtype => Some(Fact::Devtype),
            Subject::Property(key) if key == "DEVTYPE" => Some(Fact::Devtype),
            _ => None,
        }
    }
}

/// What is known of an event before any rule. What is not there is empty.
#[derive(Debug)]
pub(in crate::rules) struct Givens<'e> {
    pub(in crate::rules) kernel: BString,
    pub(in crate::rules) subsystem: &'e BStr,
    pub(in crate::rules) devpath: &'e BStr,
    pub(in crate::rules) devtype: BString,
}

impl Givens<'_> {
    pub(super) fn get(&self, fact: Fact) -> &BStr {
        match fact {
            Fact::Kernel => BStr::new(&self.kernel),
            Fact::Subsystem => self.subsystem,
            Fact::Devpath => self.devpath,
            Fact::Devtype => BStr::new(&self.devtype),
        }
    }
}

/// The rules by their conditions on one fact.
#[derive(Debug, Default)]
pub(super) struct FactIndex {
    /// The rules that ask nothing of it.
    free: Bits,
    groups: Box<[Group]>,
    /// Groups by the beginning of a value that can meet them.
    by_head: HashMap<Box<[u8]>, Vec<usize>>,
    /// The lengths of these beginnings.
    lengths: Box<[usize]>,
    /// Groups that any value may meet.
    anywhere: Box<[usize]>,
}

/// The rules that ask the same.
#[derive(Debug)]
struct Group {
    conditions: Vec<Condition>,
    rules: Members,
}

/// Few rules are a list, many are bits: whichever is less to go through.
#[derive(Debug)]
enum Members {
    Few(Box<[usize]>),
    Many(Bits),
}

impl FactIndex {
    /// Makes the index; `conditions` gives for each rule, in order, its leading conditions on the fact.
    pub(super) fn new<'r>(len: usize, conditions: impl Iterator<Item = Vec<&'r Condition>>) -> Self {
        let mut free = Bits::none(len);
        let mut by_conditions: HashMap<Vec<&Condition>, usize> = HashMap::new();
        let mut members: Vec<(Vec<&Condition>, Vec<usize>)> = Vec::new();
        for (rule, asked) in conditions.enumerate() {
            if asked.is_empty() {
                free.insert(rule);
                continue;
            }
            let group = *by_conditions.entry(asked).or_insert_with_key(|asked| {
                members.push((asked.clone(), Vec::new()));
                members.len() - 1
            });
            members.get_mut(group).into_iter().for_each(|(_, rules)| rules.push(rule));
        }
        let mut out = Self { free, ..Self::default() };
        let mut anywhere = Vec::new();
        for (at, (asked, _)) in members.iter().enumerate() {
            match asked.iter().find_map(|condition| heads(condition)) {
                Some(heads) => {
                    for head in heads {
                        out.by_head.entry(head.as_bytes().into()).or_default().push(at);
                    }
                }
                None => anywhere.push(at),
            }
        }
        let mut lengths: Vec<usize> = out.by_head.keys().map(|head| head.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let group = |(asked, rules): (Vec<&Condition>, Vec<usize>)| Group {
            conditions: asked.into_iter().cloned().collect(),
            rules: Members::new(len, rules),
        };
        out.groups = members.into_iter().map(group).collect();
        (out.lengths, out.anywhere) = (lengths.into(), anywhere.into());
        out
    }

    /// Keeps the rules of `bits` whose conditions on the fact hold.
    pub(super) fn narrow(&self, value: &BStr, bits: &mut Bits) {
        if self.groups.is_empty() {
            return;
        }
        let found = Value::One(Cow::Borrowed(value));
        let mut may = self.free.clone();
        let mut look = |at: &usize| {
            let group =
                self.groups.get(*at).filter(|group| group.conditions.iter().all(|c| holds(c, &found)));
            group.into_iter().for_each(|group| group.rules.add_to(&mut may));
        };
        self.anywhere.iter().for_each(&mut look);
        for head in self.lengths.iter().map_while(|len| value.get(..*len)) {
            self.by_head.get(head).into_iter().flatten().for_each(&mut look);
        }
        bits.keep(&may);
    }
}

impl Members {
    fn new(len: usize, rules: Vec<usize>) -> Self {
        if rules.len() <= len / 64 {
            return Members::Few(rules.into());
        }
        let mut bits = Bits::none(len);
        rules.into_iter().for_each(|rule| bits.insert(rule));
        Members::Many(bits)
    }

    fn add_to(&self, bits: &mut Bits) {
        match self {
            Members::Few(rules) => rules.iter().for_each(|rule| bits.insert(*rule)),
            Members::Many(rules) => bits.add(rules),
        }
    }
}

/// How values begin that can meet the condition; `None` if that is no help.
fn heads(condition: &Condition) -> Option<Vec<&BStr>> {
    match &condition.test {
        Test::Is(pattern) => pattern.heads(),
        _ => None,
    }
}
