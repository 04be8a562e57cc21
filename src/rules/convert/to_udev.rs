//! Owns the way from a rule of TOML to lines of udev's: several, with jumps between them, where one line can't say it.

use bstr::{BString, ByteSlice};

use super::links::{Doubt, doubts};
use super::order::{acts, reorder};
use crate::diag::Place;
use crate::rules::ir::{Condition, Effect, ListOp, Rule, Step, StepKind, StringEscape, Subject, Test};
use crate::rules::template::{Part, Template, Var};
use crate::rules::udev::{self, Unsayable, parent_turn, print_rule, turn};
use crate::text::{Case, Pattern};

/// The lines of the rule, each with its newline.
pub(super) fn print(rule: &Rule) -> Result<BString, Vec<Unsayable>> {
    let mut lines = Lines { place: rule.place.clone(), out: BString::default(), failed: Vec::new() };
    let end = format!("end_{}", rule.place.line);
    let (absent, steps): (Vec<Step>, Vec<Step>) = rule.steps.iter().cloned().partition(asks_for_nothing);
    for step in &absent {
        lines.push(None, &[exists(step)], Some(&end));
    }
    let steps = parents(&mut lines, steps, &end);
    main(&mut lines, steps, &end);
    if lines.out.contains_str(format!("GOTO=\"{end}\"")) {
        lines.out.extend_from_slice(format!("LABEL=\"{end}\"\n").as_bytes());
    }
    if lines.failed.is_empty() { Ok(lines.out) } else { Err(lines.failed) }
}

/// Lines in the making.
struct Lines {
    place: Place,
    out: BString,
    failed: Vec<Unsayable>,
}

impl Lines {
    fn push(&mut self, label: Option<&str>, steps: &[Step], goto: Option<&str>) {
        let mut tokens: Vec<BString> = Vec::new();
        tokens.extend(label.map(|label| format!("LABEL=\"{label}\"").into()));
        let ordered = reorder(&steps.iter().map(sorted_group).collect::<Vec<_>>(), turn);
        let printed = ordered.map_err(|unsayable| vec![unsayable]).and_then(|steps| {
            print_rule(&Rule { place: self.place.clone(), about: None, steps, jump: None })
        });
        match printed {
            Ok(text) => tokens.extend((!text.is_empty()).then_some(text)),
            Err(failed) => self.failed.extend(failed),
        }
        tokens.extend(goto.map(|goto| format!("GOTO=\"{goto}\"").into()));
        let line = bstr::join(", ", tokens);
        if line.len() >= udev::LINE_MAX {
            let what = "a line that is too long".into();
            self.failed.push(Unsayable { what, place: self.place.clone() });
        }
        self.out.extend_from_slice(&line);
        self.out.push(b'\n');
    }
}

/// The conditions of a group in udev's order.
fn sorted_group(step: &Step) -> Step {
    let mut step = step.clone();
    if let StepKind::Parent(group) = &mut step.kind {
        for (_, condition) in group.iter_mut() {
            usb_devtype(condition);
        }
        group.sort_by_key(|(_, condition)| parent_turn(&condition.subject));
    }
    step
}

/// udev can't ask for the type of a device on the way up; of USB's two each has an attribute of its own.
fn usb_devtype(condition: &mut Condition) {
    let Condition { subject: Subject::Devtype, test: Test::Is(pattern) } = condition else { return };
    let attribute: &[u8] = match pattern.literals().as_deref() {
        Some([one]) if *one == "usb_interface" => b"bInterfaceNumber",
        Some([one]) if *one == "usb_device" => b"idVendor",
        _ => return,
    };
    *condition = Condition {
        subject: Subject::Attribute(Template::literal(attribute).into()),
        test: Test::Exists(true),
    };
}

/// True for a condition that an attribute, a tag or a link is not there.
fn asks_for_nothing(step: &Step) -> bool {
    matches!(
        step.kind,
        StepKind::When(Condition {
            subject: Subject::Attribute(_) | Subject::Tag | Subject::Link,
            test: Test::Exists(false)
        })
    )
}

/// The contrary.
fn exists(step: &Step) -> Step {
    let mut step = step.clone();
    if let StepKind::When(condition) = &mut step.kind {
        condition.test = Test::Exists(true);
    }
    step
}

/// Lines for all devices on the way up but the last; what is left is the rest of the rule.
fn parents(lines: &mut Lines, steps: Vec<Step>, end: &str) -> Vec<Step> {
    let is_parent = |step: &Step| matches!(step.kind, StepKind::Parent(_));
    let all = steps.iter().filter(|step| is_parent(step)).count();
    if all < 2 {
        return steps;
    }
    let cut = steps.iter().rposition(is_parent).unwrap_or_default();
    let (before, rest) = steps.split_at(cut);
    let (groups, plain): (Vec<Step>, Vec<Step>) = before.iter().cloned().partition(is_parent);
    let mut label: Option<String> = None;
    for (at, group) in groups.into_iter().enumerate() {
        let next = format!("more_{}_{at}", lines.place.line);
        let mut steps = if at == 0 { plain.clone() } else { Vec::new() };
        steps.push(group);
        lines.push(label.as_deref(), &steps, Some(&next));
        lines.push(None, &[], Some(end));
        label = Some(next);
    }
    lines.out.extend_from_slice(format!("LABEL=\"{}\"\n", label.unwrap_or_default()).as_bytes());
    rest.to_vec()
}

/// The rule itself. Links that may have an empty part stand on lines of their own, behind a condition that they have not.
fn main(lines: &mut Lines, steps: Vec<Step>, end: &str) {
    lines.failed.extend(kept_spaces(&steps));
    let (certain, doubtful) = by_doubt(&steps);
    if doubtful.is_empty() {
        lines.push(None, &certain, None);
        return;
    }
    if let Some(guards) = early_guards(&certain, &doubtful) {
        let mut all = guards;
        all.extend(steps);
        lines.push(None, &all, None);
        return;
    }
    let links = format!("links_{}", lines.place.line);
    let mut first = certain;
    let mut guarded = Vec::new();
    for (at, (step, doubts)) in doubtful.iter().enumerate() {
        let mut line = Vec::new();
        for (part, doubt) in doubts.iter().enumerate() {
            match doubt {
                Doubt::Always => {
                    let what = "a link with an empty part".into();
                    lines.failed.push(Unsayable { what, place: step.place.clone() });
                }
                Doubt::Property(key) => line.push(property_is_set(key, &step.place)),
                Doubt::Text(text) => {
                    let key = BString::from(format!(".link_{}_{at}_{part}", lines.place.line));
                    let value = Template::parse_udev(text).0;
                    let effect = Effect::Property { key: key.clone(), value, append: false };
                    let kind = StepKind::Do { effect, fixed: false };
                    first.push(Step { place: step.place.clone(), kind });
                    line.push(property_is_set(&key, &step.place));
                }
            }
        }
        line.extend(first.iter().filter(|step| is_escape(step)).cloned());
        line.push(step.clone());
        guarded.push(line);
    }
    if let Some(late) = first.iter().find(|step| reads_links(step)) {
        let what = "`$links` behind a link that may have an empty part".into();
        lines.failed.push(Unsayable { what, place: late.place.clone() });
    }
    lines.push(None, &first, Some(&links));
    lines.push(None, &[], Some(end));
    for (at, line) in guarded.iter().enumerate() {
        lines.push((at == 0).then_some(&*links), line, None);
    }
}

fn is_escape(step: &Step) -> bool {
    matches!(step.kind, StepKind::Do { effect: Effect::StringEscape(_), .. })
}

fn reads_links(step: &Step) -> bool {
    let mut found = false;
    let _infallible = super::order::map_templates(&mut step.kind.clone(), &mut |template| {
        found |= template.parts().contains(&Part::Var(Var::Links));
        Ok::<(), std::convert::Infallible>(())
    });
    found
}

/// A condition that the property is there.
fn property_is_set(key: &BString, place: &Place) -> Step {
    let test = Test::Is(Pattern::new(b"?*", Case::Sensitive));
    let condition = Condition { subject: Subject::Property(key.clone()), test };
    Step { place: place.clone(), kind: StepKind::When(condition) }
}

/// The conditions that can stand in the rule's own line: it does nothing but to give links, all with the same parts in
/// doubt, and nothing of it changes these.
fn early_guards(certain: &[Step], doubtful: &[(Step, Vec<Doubt>)]) -> Option<Vec<Step>> {
    let (step, doubts) = doubtful.first()?;
    let same = doubtful.iter().all(|(_, others)| others == doubts);
    if !same || certain.iter().any(|step| acts(&step.kind)) {
        return None;
    }
    let guard = |doubt: &Doubt| match doubt {
        Doubt::Property(key) => Some(property_is_set(key, &step.place)),
        _ => None,
    };
    doubts.iter().map(guard).collect()
}

/// The steps without the links that may have an empty part, and these, one by one.
fn by_doubt(steps: &[Step]) -> (Vec<Step>, Vec<(Step, Vec<Doubt>)>) {
    let (mut certain, mut doubtful) = (Vec::new(), Vec::new());
    for step in steps {
        let StepKind::Do { effect: Effect::Link { op, names, split: false }, fixed } = &step.kind else {
            certain.push(step.clone());
            continue;
        };
        let link = |op: ListOp, name: &Template, split: bool| {
            let effect = Effect::Link { op, names: vec![name.clone()], split };
            Step { place: step.place.clone(), kind: StepKind::Do { effect, fixed: *fixed } }
        };
        let doubts: Vec<Vec<Doubt>> = names.iter().map(|name| doubts(name, steps)).collect();
        let doubted = doubts.iter().any(|doubts| !doubts.is_empty());
        let mut op = *op;
        if op == ListOp::Set && (doubted || names.len() > 1) {
            match joined(names).filter(|_| !doubted) {
                // One text with all of them: each for itself would take the place of the one before.
                Some(all) => {
                    certain.push(link(op, &all, true));
                    continue;
                }
                None => {
                    certain.push(link(op, &Template::literal(b""), true));
                    op = ListOp::Add;
                }
            }
        }
        for (name, doubts) in names.iter().zip(doubts) {
            match op {
                ListOp::Remove => certain.push(link(op, name, false)),
                _ if doubts.is_empty() => certain.push(link(op, name, false)),
                _ => doubtful.push((link(op, name, false), doubts)),
            }
        }
    }
    (certain, doubtful)
}

/// Names as one text that is split at white space, if that gives the same.
fn joined(names: &[Template]) -> Option<Template> {
    let whole = |part: &Part| match part {
        Part::Text(text) => !text.iter().any(u8::is_ascii_whitespace),
        Part::Var(var) => !matches!(var, Var::Result(_)),
    };
    if !names.iter().all(|name| name.parts().iter().all(whole)) {
        return None;
    }
    let texts: Vec<&[u8]> = names.iter().map(|name| name.text().as_bytes()).collect();
    Some(Template::parse_udev(&bstr::join(" ", texts)).0)
}

/// Without escapes udev splits a link at the white space that a substitution brings.
fn kept_spaces(steps: &[Step]) -> Option<Unsayable> {
    let kept = |step: &Step| {
        matches!(step.kind, StepKind::Do { effect: Effect::StringEscape(StringEscape::None), .. })
    };
    let spaced = |step: &&Step| match &step.kind {
        StepKind::Do { effect: Effect::Link { names, split: false, .. }, .. } => {
            names.iter().any(|name| name.constant().is_none())
        }
        _ => false,
    };
    let link = steps.iter().find(spaced).filter(|_| steps.iter().any(kept))?;
    let what = "white space that a substitution brings into one link".into();
    Some(Unsayable { what, place: link.place.clone() })
}
