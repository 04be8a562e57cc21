//! Owns an explanation as data: rules with their conditions and what was found, ready to be shown or written as JSON.
//!
//! Bytes that are no UTF-8 stand as U+FFFD.

use bstr::ByteSlice;
use serde::Serialize;

use crate::diag::Place;
use crate::rules::ir::{Rule, StepKind};
use crate::rules::trace::{Applied, On, RuleTrace, StepTrace, Tested, describe_effect};

/// A rule and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct RuleView {
    /// Where it begins.
    pub(super) from: String,
    pub(super) about: Option<String>,
    pub(super) applied: bool,
    /// Why it was not looked at.
    pub(super) skipped: Option<&'static str>,
    /// The condition that ended it.
    pub(super) first_failed: Option<ConditionView>,
    pub(super) steps: Vec<StepView>,
    /// What it sets, or would.
    pub(super) sets: Vec<Effect>,
}

/// A step of the evaluation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "step")]
pub(super) enum StepView {
    /// A condition on the event's device.
    Condition(ConditionView),
    /// Conditions that one device on the way up has to meet.
    Parent(ParentView),
}

/// One tested condition.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ConditionView {
    pub(super) from: String,
    #[serde(skip)]
    pub(super) line: u32,
    /// What was looked at, as `attr.serial`.
    pub(super) subject: String,
    /// What it has to be, as `is "A*"`.
    pub(super) pattern: String,
    /// The token itself, in a file of udev's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    /// A program or an import: `value` is its success, or why it has none.
    #[serde(skip)]
    pub(super) runs: bool,
    /// What was found.
    pub(super) value: Option<String>,
    /// On which device.
    pub(super) device: String,
    pub(super) passed: bool,
    /// This one ended the rule.
    pub(super) first_failed: bool,
    /// Tested though the rule had ended.
    pub(super) late: bool,
}

/// A group of conditions on the way up.
#[derive(Debug, Serialize)]
pub(super) struct ParentView {
    pub(super) from: String,
    /// The device that meets all of them.
    pub(super) found: Option<String>,
    /// The devices that were tried, the one that came furthest first; each with its tests up to the first that failed.
    pub(super) candidates: Vec<Candidate>,
    #[serde(skip)]
    pub(super) late: bool,
}

/// A device on the way up.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    pub(super) device: String,
    /// How many conditions it met.
    pub(super) passed: usize,
    pub(super) conditions: Vec<ConditionView>,
}

/// Something that a rule sets.
#[derive(Debug, Serialize)]
pub(super) struct Effect {
    pub(super) from: String,
    /// In the words of TOML rules.
    pub(super) what: String,
    /// The token itself, in a file of udev's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    /// Part of the outcome.
    pub(super) applied: bool,
    /// Why not, where there is more to say than that the rule does not apply.
    pub(super) why_not: Option<&'static str>,
}

/// Puts together what was seen of a rule.
pub(super) fn view(rule: &Rule, trace: &RuleTrace, devpath: &str) -> RuleView {
    let first = trace.first_failed();
    let condition = |tested: &Tested| condition(tested, first, devpath);
    let mut steps = Vec::new();
    let mut done = Vec::new();
    for step in &trace.steps {
        match step {
            StepTrace::Condition(tested) => steps.push(StepView::Condition(condition(tested))),
            StepTrace::Parent { place, tests, found } => steps.push(StepView::Parent(ParentView {
                from: place.to_string(),
                found: found.as_ref().map(|on| device(on, devpath)),
                candidates: candidates(tests.iter().map(condition).collect()),
                late: tests.iter().any(|tested| tested.late),
            })),
            StepTrace::Effect { place, what, applied } => done.push(effect(place, what, applied)),
        }
    }
    if !trace.applied() {
        done = would_set(rule);
    }
    RuleView {
        from: trace.place.to_string(),
        about: trace.about.clone(),
        applied: trace.applied(),
        skipped: trace.skipped.map(|skip| skip.as_str()),
        first_failed: first.map(condition),
        steps,
        sets: done,
    }
}

fn effect(place: &Place, what: &str, applied: &Applied) -> Effect {
    let (applied, why_not) = match applied {
        Applied::Yes => (true, None),
        Applied::No(why) => (false, Some(*why)),
        Applied::Refused => (false, Some("its value is refused")),
    };
    Effect { from: place.to_string(), what: what.to_owned(), token: token(place), applied, why_not }
}

fn would_set(rule: &Rule) -> Vec<Effect> {
    let steps = rule.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Do { effect, .. } => Some((&step.place, describe_effect(effect))),
        _ => None,
    });
    let jump = rule.jump.iter().map(|jump| (&jump.place, "goto".to_owned()));
    steps
        .chain(jump)
        .map(|(place, what)| Effect {
            from: place.to_string(),
            what,
            token: token(place),
            applied: false,
            why_not: None,
        })
        .collect()
}

/// The text at a place of a `.rules` file: a token, as its author wrote it.
fn token(place: &Place) -> Option<String> {
    let of_udev = place.file.path.extension().is_some_and(|extension| extension == "rules");
    let text = place.file.text.get(place.span.clone()).filter(|text| of_udev && !text.is_empty())?;
    // A token that goes on over a line's end has the end in it.
    Some(text.replace("\\\n", ""))
}

fn condition(tested: &Tested, first: Option<&Tested>, devpath: &str) -> ConditionView {
    ConditionView {
        from: tested.place.to_string(),
        line: tested.place.line,
        token: token(&tested.place),
        subject: tested.subject.clone(),
        pattern: if runs(tested) { "succeeds".into() } else { tested.wanted.clone() },
        runs: runs(tested),
        value: tested.found.as_ref().map(|found| found.to_str_lossy().into_owned()),
        device: device(&tested.on, devpath),
        passed: tested.passed,
        first_failed: first.is_some_and(|first| std::ptr::eq(first, tested)),
        late: tested.late,
    }
}

/// Programs and imports are conditions too: that they succeed.
fn runs(tested: &Tested) -> bool {
    tested.wanted == "exists" && ["import ", "program "].iter().any(|word| tested.subject.starts_with(word))
}

fn device(on: &On, devpath: &str) -> String {
    match on {
        On::Event => devpath.to_owned(),
        On::Above(path) => path.to_string(),
    }
}

/// The tests of a group by device; the device that came furthest first, the nearer of two equals.
fn candidates(tests: Vec<ConditionView>) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    for condition in tests {
        match out.last_mut().filter(|last| last.device == condition.device) {
            Some(last) => {
                last.passed += usize::from(condition.passed);
                last.conditions.push(condition);
            }
            None => out.push(Candidate {
                device: condition.device.clone(),
                passed: usize::from(condition.passed),
                conditions: vec![condition],
            }),
        }
    }
    // A device that meets all is ahead of one that fails at the same count.
    let failed = |candidate: &Candidate| candidate.conditions.iter().any(|condition| !condition.passed);
    out.sort_by_key(|candidate| (failed(candidate), std::cmp::Reverse(candidate.passed)));
    out
}
