//! Owns what depends on the action: what is given on `add` alone and is gone after the next `change`; the tag `uaccess`
//! given where nobody looks any more; accounts that udev does not want.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BStr, ByteSlice};

use super::flow::Reached;
use super::properties;
use super::{Finding, codes};
use crate::diag::{Diagnostic, Place};
use crate::ids::Action;
use crate::rules::ir::{Effect, Import, ListOp, Principal, Subject};

/// The file whose rules read the tag `uaccess`.
const READS_UACCESS: &str = "73-seat-late.rules";
/// Tags by which the session's user gets access.
const ACCESS_TAGS: &[&str] = &["uaccess", "xaccess"];
/// Properties that say what is to be done once, when the device comes.
const ONCE: &[&str] = &["SYSTEMD_WANTS", "SYSTEMD_USER_WANTS", "SYSTEMD_READY"];
/// Ids from here on are people's.
const FIRST_LOGIN_ID: u32 = 1000;
/// The id of nobody.
const NOBODY: u32 = 65534;

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
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
            if add_only {
                out.extend(vanishes(rules, place, effect));
            }
            out.extend(login_account(place, effect));
        }
    }
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
fn vanishes(rules: &[Reached<'_>], place: &Place, effect: &Effect) -> Option<Finding> {
    let on_change = || rules.iter().filter(|rule| rule.allows(Action::Change));
    let what = match effect {
        Effect::Link { op: ListOp::Add | ListOp::Set, names, .. } if !names.is_empty() => {
            let mut again = on_change().flat_map(|rule| rule.effects());
            let kept = again.any(|(_, other, _)| match other {
                Effect::Link { op: ListOp::Add | ListOp::Set, names: others, .. } => names == others,
                _ => false,
            });
            (!kept && names.iter().any(|name| !name.text().is_empty())).then(|| "this link".to_owned())?
        }
        Effect::Property { key, value, .. } => {
            let passing = key.starts_with(b".") || value.text().is_empty();
            let once = ONCE.iter().any(|name| name.as_bytes() == key.as_slice());
            if passing || once || kept(on_change(), key.as_bstr()) || only_once(rules, key.as_bstr()) {
                return None;
            }
            format!("the property `{key}`")
        }
        Effect::Tag { op: ListOp::Add | ListOp::Set, tag } if !tag.text().is_empty() => {
            let mut again = on_change().flat_map(|rule| rule.effects());
            if again.any(|(_, other, _)| matches!(other, Effect::Tag { op: ListOp::Add | ListOp::Set, tag: t } if t == tag)) {
                return None;
            }
            format!("the tag `{}`", tag.text())
        }
        _ => return None,
    };
    let message = format!("the next `change` of the device takes {what} away: this is for `add` alone");
    let hint = "every event begins anew: ask for ACTION!=\"remove\" in place of \"add\", or leave it out";
    Some(Diagnostic::warning(codes::ADD_ONLY, message, place.clone()).hint(hint).into())
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
