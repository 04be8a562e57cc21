//! Owns the way of an event through the rules: every rule in order, or only those that the index leaves; jumps; the
//! look-up of what a run of lines asks.
//!
//! The index changes what an evaluation costs, never what comes out of it.

use bstr::ByteSlice;

use super::Evaluation;
use super::condition::{compared, holds};
use crate::rules::compile::{Bits, Compiled, Form, Givens, Level, Node, Run, Skip};
use crate::rules::host::Host;
use crate::rules::trace::{Observer, Spot};

/// What a look-up in a run came to.
#[derive(Debug, Clone, Copy, Default)]
struct Hit {
    /// The first rule whose conditions may hold.
    rule: Option<usize>,
    /// The first rule that looks for a device on the way up.
    climbs: Option<usize>,
}

impl<'e, H: Host> Evaluation<'e, H> {
    /// Takes every rule, without any index.
    pub(super) fn every_rule(&mut self, rules: &'e Compiled, observer: &mut impl Observer) {
        let mut next = 0;
        for (at, rule) in rules.all() {
            observer.rule(rule);
            match rules.skip(at, self.facts) {
                _ if at < next => observer.skipped(Skip::Jumped),
                Some(why) => observer.skipped(why),
                None if self.rule(at, rule, observer) => next = rules.jump(at).unwrap_or(next),
                None => {}
            }
        }
    }

    /// Takes the rules that the index leaves.
    pub(super) fn candidates(&mut self, rules: &'e Compiled, observer: &mut impl Observer) {
        let bits = rules.candidates(self.facts, &self.givens());
        let mut from = 0;
        while let Some(candidate) = bits.next(from) {
            let at = match rules.run(candidate) {
                None => candidate,
                Some(run) => match self.look_up(run, candidate, &bits) {
                    Some(at) => at,
                    None => {
                        from = run.range.end;
                        continue;
                    }
                },
            };
            let Some(rule) = rules.rule(at) else { return };
            observer.rule(rule);
            let jump = self.rule(at, rule, observer).then(|| rules.jump(at)).flatten();
            from = jump.unwrap_or(0).max(at + 1);
        }
    }

    fn givens(&self) -> Givens<'e> {
        let devtype = self.value_of(&crate::rules::ir::Subject::Devtype, &Spot::Event);
        Givens {
            kernel: self.sysname(&Spot::Event),
            subsystem: self.facts.subsystem.as_ref().map(|name| name.as_bstr()).unwrap_or_default(),
            devpath: self.facts.devpath.as_bytes().as_bstr(),
            devtype: compared(&crate::rules::ir::Subject::Devtype, &devtype).unwrap_or_default().into(),
        }
    }

    /// The first rule of a run, of those in `bits` and not before `from`, that has to be run.
    fn look_up(&mut self, run: &Run, from: usize, bits: &Bits) -> Option<usize> {
        let mut hit = Hit { rule: first(&run.single, from, bits), climbs: None };
        for form in &run.forms {
            // Nothing is read for lines that can't match, or that come after the one to run.
            let begins = first(&form.lines, from, bits);
            if begins.is_some_and(|begins| hit.rule.is_none_or(|rule| begins < rule)) {
                hit = hit.or(self.look_up_form(form, from, bits).unwrap_or_default());
            }
        }
        // The rules before it that looked for a device and found none are passed by; that they found none counts.
        if hit.climbs.is_some_and(|climbs| hit.rule.is_none_or(|rule| climbs < rule)) {
            self.matched = None;
        }
        hit.rule
    }

    fn look_up_form(&self, form: &Form, from: usize, bits: &Bits) -> Option<Hit> {
        let (reached, top) = match self.descend(&form.own, &form.top, &Spot::Event)? {
            Node::Rules(rules) => return Some(Hit { rule: first(rules, from, bits), climbs: None }),
            Node::Up { reached, top } => (reached, top),
            Node::Keys(_) => return None,
        };
        let mut hit = Hit { rule: None, climbs: Some(first(reached, from, bits)?) };
        let mut spot = Some(Spot::Event);
        while let Some(on) = spot {
            if let Some(Node::Rules(rules)) = self.descend(&form.up, top, &on) {
                hit = hit.or(Hit { rule: first(rules, from, bits), climbs: None });
            }
            spot = self.above(&on);
        }
        Some(hit)
    }

    /// Where the values of a device lead to; `None` if some condition does not hold.
    fn descend<'n>(&self, levels: &[Level], top: &'n Node, on: &Spot) -> Option<&'n Node> {
        let mut node = top;
        for level in levels {
            match level {
                Level::Same(condition) => {
                    if !holds(condition, &self.value_of(&condition.subject, on)) {
                        return None;
                    }
                }
                Level::Key(subject) => {
                    let Node::Keys(keys) = node else { return None };
                    node = keys.get(compared(subject, &self.value_of(subject, on))?)?;
                }
            }
        }
        Some(node)
    }
}

impl Hit {
    /// The first of both.
    fn or(self, other: Self) -> Self {
        let first = |a: Option<usize>, b: Option<usize>| a.into_iter().chain(b).min();
        Self { rule: first(self.rule, other.rule), climbs: first(self.climbs, other.climbs) }
    }
}

/// The first rule of an ascending list that is in `bits` and not before `from`. Each leaps to what the other has next.
fn first(rules: &[usize], from: usize, bits: &Bits) -> Option<usize> {
    let mut from = from;
    loop {
        let candidate = bits.next(from)?;
        let rule = *rules.get(rules.partition_point(|rule| *rule < candidate))?;
        if rule == candidate {
            return Some(rule);
        }
        from = rule;
    }
}
