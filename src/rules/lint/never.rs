//! Owns conditions that never hold: two that exclude each other, patterns that no value matches, parents' keys that never
//! sit on one parent, `RESULT` without a program.

use bstr::{BStr, ByteSlice};

use super::flow::{Reached, named};
use super::logic::{self, Alternative};
use super::{Finding, codes};
use crate::diag::{Diagnostic, Place};
use crate::ids::Action;
use crate::rules::ir::{Condition, Effect, Subject, Test};
use crate::text::{Case, Pattern};

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    let mut ran = false;
    for rule in rules {
        contradictions(rule, out);
        for group in rule.groups() {
            pairs(&group.iter().map(|(place, one)| (place, one)).collect::<Vec<_>>(), out);
            usb_apart(group, out);
        }
        let in_groups = rule.groups().flatten().map(|(place, one)| (place, one));
        for (place, condition) in rule.own().chain(in_groups) {
            patterns(place, condition, rule.is_udev(), out);
        }
        result(rule, &mut ran, out);
    }
}

fn contradictions(rule: &Reached<'_>, out: &mut Vec<Finding>) {
    let own: Vec<(&Place, &Condition)> = rule.own().collect();
    if pairs(&own, out) {
        return;
    }
    for (place, condition) in own {
        let Some(guard) = rule.guards.iter().find(|guard| logic::exclude(&guard.condition, condition)) else {
            continue;
        };
        // A jump behind an attribute that is not there is not taken either.
        if matches!(condition.test, Test::Exists(_)) || written(rule, condition) {
            continue;
        }
        let message = format!("this never holds here: {} jumps over it", named(guard.place, place));
        let hint = "change one of the two, or move the rule before the jump";
        out.push(Diagnostic::warning(codes::NEVER_HOLDS, message, place.clone()).hint(hint).into());
        return;
    }
}

/// The file writes the attribute that is compared, maybe in between.
fn written(rule: &Reached<'_>, condition: &Condition) -> bool {
    let Subject::Attribute(name) = &condition.subject else { return false };
    let steps = rule.file.rules.iter().flat_map(|rule| &rule.steps);
    steps
        .filter_map(|step| logic::effect(&step.kind))
        .any(|(effect, _)| matches!(effect, Effect::WriteAttribute { name: other, .. } if other == name))
}

/// Conditions on one device that exclude each other; true if there are any.
fn pairs(conditions: &[(&Place, &Condition)], out: &mut Vec<Finding>) -> bool {
    let before = out.len();
    for (at, (place, condition)) in conditions.iter().enumerate() {
        let mut earlier = conditions.iter().take(at);
        let Some((other, first)) = earlier.find(|(_, other)| logic::exclude(other, condition)) else {
            continue;
        };
        let message = if other.line == place.line {
            "this can't hold together with another condition of the line".to_owned()
        } else {
            format!("this can't hold together with line {}", other.line)
        };
        let hint = match (&first.test, &condition.test) {
            (Test::Is(a), Test::Is(b)) if a.literals().is_some() && b.literals().is_some() => {
                format!("`{}|{}` holds for either; else take out one of the two", a.text(), b.text())
            }
            _ => "change or take out one of the two".to_owned(),
        };
        out.push(Diagnostic::warning(codes::NEVER_HOLDS, message, (*place).clone()).hint(hint).into());
    }
    out.len() > before
}

/// What is wrong with the alternatives of one pattern.
fn patterns(place: &Place, condition: &Condition, udev: bool, out: &mut Vec<Finding>) {
    let (Test::Is(pattern) | Test::IsNot(pattern)) = &condition.test else { return };
    let all = logic::alternatives(pattern, pattern.case() == Case::Fold);
    let subject = logic::canonical(&condition.subject);
    let mut dead = false;
    for one in &all {
        let Some((code, message, hint)) = impossible(&subject, one, udev) else { continue };
        dead = true;
        out.push(Diagnostic::warning(code, message, place.clone()).hint(hint).into());
    }
    if !dead && pattern.text().len() > 1 {
        covered(place, pattern, &all, out);
    }
}

/// An alternative that another one of the list covers.
fn covered(place: &Place, pattern: &Pattern, all: &[Alternative<'_>], out: &mut Vec<Finding>) {
    let found = all.iter().enumerate().find_map(|(at, one)| {
        let by = all.iter().enumerate().find(|(i, other)| {
            // Of two equal ones the later is too much.
            *i != at && other.covers(one) && (*i < at || !one.covers(other))
        })?;
        Some((one, by.1))
    });
    let Some((one, by)) = found else { return };
    let (one, by) = (BStr::new(&*one.text), BStr::new(&*by.text));
    let message = if one == by {
        format!("`{one}` is in `{}` twice", pattern.text())
    } else {
        format!("`{by}` matches all that `{one}` matches")
    };
    let hint = "take it out";
    out.push(Diagnostic::note(codes::DEAD_ALTERNATIVE, message, place.clone()).hint(hint).into());
}

/// Why no value of the subject matches: code, reason, repair.
fn impossible(
    subject: &Subject,
    one: &Alternative<'_>,
    udev: bool,
) -> Option<(&'static str, String, String)> {
    let text = BStr::new(&*one.text);
    let dead = |message: String, hint: &str| Some((codes::DEAD_ALTERNATIVE, message, hint.to_owned()));
    let beside =
        text.first().is_some_and(u8::is_ascii_whitespace) || text.last().is_some_and(u8::is_ascii_whitespace);
    match subject {
        // The reader of TOML says this itself.
        Subject::Action if udev && !text.is_empty() => {
            let never = !Action::ALL.iter().any(|action| one.matches(action.as_str().as_bytes()));
            let words = Action::ALL.map(Action::as_str).join(", ");
            never.then(|| {
                (
                    codes::UNKNOWN_ACTION,
                    format!("there is no action `{text}`"),
                    format!("the actions are: {words}"),
                )
            })
        }
        Subject::Kernel | Subject::Subsystem | Subject::Driver | Subject::Devtype if beside => dead(
            format!("no name begins or ends with white space, as `{text}` does"),
            "leave it out; `|` alone separates",
        ),
        Subject::Kernel if text.starts_with(b"/") => dead(
            format!("no kernel name begins with `/`, as `{text}` does"),
            "write the name alone, as `sda`",
        ),
        Subject::Kernel if text.contains(&b'!') && !text.contains(&b'[') => dead(
            format!("no kernel name holds `!`, as `{text}` does"),
            "write `/`: that is how `!` is read here",
        ),
        Subject::Subsystem if text.contains(&b'/') => {
            dead(format!("no subsystem holds `/`, as `{text}` does"), "write the subsystem alone, as `usb`")
        }
        Subject::Devpath if one.literal().is_some() && !text.is_empty() && !text.starts_with(b"/") => {
            dead(format!("a devpath begins with `/`, and `{text}` does not"), "write it as /devices/…")
        }
        Subject::Devpath if text.starts_with(b"/sys/") => {
            dead("a devpath is without `/sys`".to_owned(), "write it as /devices/…")
        }
        Subject::Link if text.starts_with(b"/") => dead(
            format!("links are without the device directory, and `{text}` has it"),
            "leave the directory out",
        ),
        _ => None,
    }
}

/// What only a USB device has, and what only its interfaces have.
const USB_DEVICE: &[&str] = &[
    "idVendor",
    "idProduct",
    "bcdDevice",
    "bDeviceClass",
    "bNumInterfaces",
    "bConfigurationValue",
    "busnum",
    "devnum",
];
const USB_INTERFACE: &[&str] = &[
    "bInterfaceNumber",
    "bInterfaceClass",
    "bInterfaceSubClass",
    "bInterfaceProtocol",
    "bAlternateSetting",
    "bNumEndpoints",
];

/// Keys of a USB device and of an interface in one group: that is two parents.
fn usb_apart(group: &[(Place, Condition)], out: &mut Vec<Finding>) {
    let first = |names: &'static [&'static str]| {
        group.iter().find_map(|(place, condition)| match &condition.subject {
            Subject::Attribute(name) => {
                let name = name.constant()?;
                names.iter().find(|known| known.as_bytes() == name.as_bytes()).map(|name| (place, *name))
            }
            _ => None,
        })
    };
    let (Some((_, device)), Some((place, interface))) = (first(USB_DEVICE), first(USB_INTERFACE)) else {
        return;
    };
    let message =
        format!("no parent has both: `{device}` is the USB device's, `{interface}` that of its interface");
    let hint = "all parents' keys of one rule have to be met by one parent: compare ENV{ID_USB_INTERFACE_NUM} and the \
                like instead, or (TOML) write `parent` as a list";
    out.push(Diagnostic::warning(codes::PARENTS_APART, message, place.clone()).hint(hint).into());
}

/// `RESULT` where no program can have run.
fn result(rule: &Reached<'_>, ran: &mut bool, out: &mut Vec<Finding>) {
    *ran |= rule.own().any(|(_, one)| matches!(one.subject, Subject::Program(_)));
    if *ran {
        return;
    }
    if let Some((place, _)) = rule.own().find(|(_, one)| matches!(one.subject, Subject::Result)) {
        let message = "no program has run before: there is no result";
        let hint = "write PROGRAM==\"…\" in this line or an earlier one";
        out.push(
            Diagnostic::warning(codes::RESULT_WITHOUT_PROGRAM, message, place.clone()).hint(hint).into(),
        );
    }
}
