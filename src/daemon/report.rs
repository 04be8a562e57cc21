//! Owns what the log says of events: one line for what changed, a warning for what a person should look at.
//!
//! Fields carry the names that the journal shows: DEVPATH ACTION SEQNUM SUBSYSTEM (from the event's span), RULE, LINK.

use std::fmt::Display;

use tracing::Span;

use crate::apply::names::{LinkReport, Outcome};
use crate::decide::Plan;
use crate::diag::Place;
use crate::rules::ir::Dump;
use crate::rules::trace::{Applied, On, StepTrace, Tested, Trace};
use crate::uevent::Uevent;

/// The span of one event: everything that is logged in it has its fields. An event that the daemon made itself, for a device
/// that is already there, has no number.
pub(super) fn span(uevent: &Uevent) -> Span {
    tracing::error_span!(
        "event",
        DEVPATH = %uevent.devpath,
        ACTION = %uevent.action,
        SEQNUM = (uevent.seqnum.0 != 0).then_some(uevent.seqnum.0),
        SUBSYSTEM = %uevent.subsystem
    )
}

/// What rules had wrong in this event, and all of it where a rule asks for that.
pub(super) fn decided(plan: &Plan) {
    for form in &plan.dump {
        match form {
            Dump::Text => tracing::info!("{plan}"),
            Dump::Json => match serde_json::to_string(plan) {
                Ok(json) => tracing::info!("{json}"),
                Err(error) => tracing::warn!(%error, "the event has no JSON"),
            },
        }
    }
    for diagnostic in &plan.diagnostics {
        tracing::warn!(RULE = %diagnostic.place, "{diagnostic}");
    }
}

/// What each rule that was looked at has found and done, one line for each of its conditions and effects.
pub(super) fn trace(trace: &Trace) {
    for step in trace.rules.iter().filter(|rule| rule.skipped.is_none()).flat_map(|rule| &rule.steps) {
        match step {
            StepTrace::Condition(test) => tested(test),
            StepTrace::Parent { tests, .. } => tests.iter().for_each(tested),
            StepTrace::Effect { place, what, applied } => {
                let became = match applied {
                    Applied::Yes => "done",
                    Applied::No(why) => why,
                    Applied::Refused => "refused",
                };
                tracing::debug!(RULE = %place, "{place}: {what}: {became}");
            }
        }
    }
}

fn tested(test: &Tested) {
    // such are shown to who asks for an explanation
    if test.late {
        return;
    }
    let Tested { place, subject, wanted, .. } = test;
    let passed = if test.passed { "PASS" } else { "FAIL" };
    let found = test.found.as_ref().map_or_else(|| "nothing".into(), |found| format!("\"{found}\""));
    match &test.on {
        On::Event => tracing::debug!(RULE = %place, "{place}: {subject} {wanted}: {passed} ({found})"),
        On::Above(path) => {
            tracing::debug!(RULE = %place, "{place}: {subject} {wanted} on {path}: {passed} ({found})")
        }
    }
}

/// What became of a link; `rule` is the one that asked for it.
pub(super) fn link(report: &LinkReport, rule: Option<&Place>) {
    let name = &report.link;
    let rule = rule.map(tracing::field::display);
    let holder = report.new.as_ref().map_or(&"" as &dyn Display, |holder| &holder.device);
    match &report.result {
        Ok(Outcome::Created | Outcome::Replaced) if report.old.is_some() && report.old != report.new => {
            tracing::info!(RULE = rule, LINK = %name, "link {name} goes over to {holder}");
        }
        Ok(Outcome::Created | Outcome::Replaced) => {
            tracing::debug!(RULE = rule, LINK = %name, "link {name} leads to {holder}")
        }
        Ok(Outcome::Removed) => tracing::debug!(RULE = rule, LINK = %name, "link {name} removed"),
        Ok(Outcome::Waiting) => {
            tracing::info!(RULE = rule, LINK = %name, "link {name} is wanted by this device too, and stays with {holder}");
        }
        Ok(Outcome::Refused(why)) => {
            tracing::warn!(RULE = rule, LINK = %name, "link {name} can't be made: {why}")
        }
        Ok(Outcome::AlreadyThere | Outcome::NotThere | Outcome::Left) => {}
        Err(error) => {
            tracing::error!(RULE = rule, LINK = %name, %error, "link {name} is not as it should be")
        }
    }
}
