//! Owns what depends on the action: what is given on `add` alone and is gone after the next `change`; the tag `uaccess`
//! given where nobody looks any more; accounts that udev does not want.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BStr, ByteSlice};

use super::flow::Reached;
use super::{Finding, codes, logic, properties};
use crate::diag::{Diagnostic, Place};
use crate::ids::Action;
use crate::rules::ir::{Condition, Effect, Import, ListOp, Principal, Subject, Test};
use crate::rules::template::Template;

/// The file whose rules read the tag `uaccess`.
const READS_UACCESS: &str = "73-seat-late.rules";
/// Tags by which the session's user gets access.
const ACCESS_TAGS: &[&str] = &["uaccess", "xaccess"];
/// Properties that say what is to be done once, when the device comes.
const ONCE: &[&str] = &["SYSTEMD_WANTS", "SYSTEMD_USER_WANTS", "SYSTEMD_READY"];
/// So many things are named in one message.
const SHOWN: usize = 3;
/// Ids from here on are people's.
const FIRST_LOGIN_ID: u32 = 1000;
/// The id of nobody.
const NOBODY: u32 = 65534;

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    let mut behind: Vec<(&Place, Vec<String>)> = Vec::new();
    for rule in rules {
        let add_only = rule.allows(Action::Add) && !rule.allows(Action::Change);
        for (place, effect, _) in rule.effects() {
            if let Some(tag) = access_tag(effect)
                && late(rule)
            {
                let message = format!("`{READS_UACCESS}`, where `{tag}` counts, comes before this file");
                let hint = "give the file a name below 73, as `70-name.rules`; `access = \"active-user\"` of TOML \
                            rules does not depend on it";
                out.push(Diagnostic::warning(codes::UACCESS_LATE, message, place.clone()).hint(hint).into());
            }
            out.extend(login_account(place, effect));
            let Some(what) = (if add_only { vanishes(rules, effect) } else { None }) else { continue };
            // Where a jump says it for many rules, it is said once.
            let Some(jump) = rule.guards.iter().find(|guard| not_on_change(&guard.condition)) else {
                out.push(add_only_at(place, &format!("takes {what} away: this is for `add` alone")));
                continue;
            };
            match behind.iter_mut().find(|(place, _)| *place == jump.place) {
                Some((_, all)) if all.contains(&what) => {}
                Some((_, all)) => all.push(what),
                None => behind.push((jump.place, vec![what])),
            }
        }
    }
    for (place, what) in behind {
        let rest = what.len().saturating_sub(SHOWN);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let what = what.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        out.push(add_only_at(
            place,
            &format!("takes away what rules behind this give on `add` alone: {what}{more}"),
        ));
    }
}

fn not_on_change(condition: &Condition) -> bool {
    let change = Action::Change.as_str().as_bytes();
    *logic::canonical(&condition.subject) == Subject::Action
        && match &condition.test {
            Test::Is(pattern) => !pattern.matches(change),
            Test::IsNot(pattern) => pattern.matches(change),
            _ => false,
        }
}

fn add_only_at(place: &Place, what: &str) -> Finding {
    let message = format!("the next `change` of the device {what}");
    let hint = "every event begins anew: ask for ACTION!=\"remove\" in place of \"add\", or leave it out";
    Diagnostic::warning(codes::ADD_ONLY, message, place.clone()).hint(hint).into()
}

fn access_tag(effect: &Effect) -> Option<&'static str> {
    match effect {
        Effect::Tag { op: ListOp::Add | ListOp::Set, tag } => {
            let tag = tag.constant()?;
            ACCESS_TAGS.iter().copied().find(|known| known.as_bytes() == tag.as_bytes())
        }
        _ => None,
    }
}

fn late(rule: &Reached<'_>) -> bool {
    let name = rule.file.source.path.file_name().unwrap_or_default();
    name.as_bytes() > Path::new(READS_UACCESS).as_os_str().as_bytes()
}

/// What the next `change` takes away, if no rule gives it there.
fn vanishes(rules: &[Reached<'_>], effect: &Effect) -> Option<String> {
    let on_change = || rules.iter().filter(|rule| rule.allows(Action::Change));
    match effect {
        Effect::Link { op: ListOp::Add | ListOp::Set, names, .. } if !names.is_empty() => {
            let mut again = on_change().flat_map(|rule| rule.effects());
            let kept = again.any(|(_, other, _)| match other {
                Effect::Link { op: ListOp::Add | ListOp::Set, names: others, .. } => names == others,
                _ => false,
            });
            let name = names.iter().map(Template::text).find(|name| !name.is_empty())?;
            (!kept).then(|| format!("the link `{name}`"))
        }
        Effect::Property { key, value, .. } => {
            let passing = key.starts_with(b".") || value.text().is_empty();
            let once = ONCE.iter().any(|name| name.as_bytes() == key.as_slice());
            let needed = !passing && !once && !kept(on_change(), key.as_bstr());
            (needed && !only_once(rules, key.as_bstr())).then(|| format!("the property `{key}`"))
        }
        Effect::Tag { op: ListOp::Add | ListOp::Set, tag } if !tag.text().is_empty() => {
            let mut again = on_change().flat_map(|rule| rule.effects());
            let kept = again.any(|(_, other, _)| match other {
                Effect::Tag { op: ListOp::Add | ListOp::Set, tag: other } => other == tag,
                _ => false,
            });
            (!kept).then(|| format!("the tag `{}`", tag.text()))
        }
        _ => None,
    }
}

/// A rule for `change` sets the property too, or takes it from the last record.
fn kept<'r>(rules: impl Iterator<Item = &'r Reached<'r>>, key: &BStr) -> bool {
    let mut rules = rules;
    rules.any(|rule| {
        let sets = rule.effects().any(|(_, effect, _)| match effect {
            Effect::Property { key: other, value, .. } => other == key && !value.text().is_empty(),
            _ => false,
        });
        let takes = rule.own().any(|(_, one)| match &one.subject {
            Subject::Import(Import::Db(name)) => name.constant().is_some_and(|name| name == key),
            _ => false,
        });
        sets || takes
    })
}

/// The rules that use the property are for the same events only.
fn only_once(rules: &[Reached<'_>], key: &BStr) -> bool {
    let mut users = rules.iter().filter(|rule| properties::uses(rule, key)).peekable();
    users.peek().is_some() && users.all(|rule| !rule.allows(Action::Change))
}

/// An account of a person.
fn login_account(place: &Place, effect: &Effect) -> Option<Finding> {
    let (word, principal) = match effect {
        Effect::Owner(principal) => ("user", principal),
        Effect::Group(principal) => ("group", principal),
        _ => return None,
    };
    let Principal::Named { name, id } = principal else { return None };
    if *id < FIRST_LOGIN_ID || *id == NOBODY {
        return None;
    }
    let message =
        format!("`{name}` ({id}) is no system {word}: udev of systemd 258 and 259 leaves the line out");
    let hint = if word == "user" {
        "give the node to a system group, or to the active user with the tag `uaccess`"
    } else {
        "make it a system group: groupadd --system"
    };
    Some(Diagnostic::note(codes::LOGIN_ACCOUNT, message, place.clone()).hint(hint).into())
}
