//! Owns what a rule says of a node's owner, group and permissions.

use super::codes;
use super::draft::{Draft, Turn};
use super::effect::template;
use super::read::{Cx, Reported, Value};
use crate::config::ResolveNames;
use crate::rules::ir::{Mode, Principal};

/// Which of the two account files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    User,
    Group,
}

pub(super) fn principal(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    value: &Value<'_>,
    kind: Account,
) -> Result<Principal, Reported> {
    let when = cx.known.accounts.when();
    if value.get_ref().as_str().is_some_and(|text| !is_number(text)) && when != ResolveNames::Early {
        let parsed = template(cx, draft, Turn::Permission, value)?;
        if when == ResolveNames::Late {
            return Ok(Principal::Template(parsed));
        }
        let hint = "write the number, or another `resolve_names` in the configuration";
        let message = "names of users and groups are not looked up";
        return Err(cx.note(codes::NAMES_OFF, message, value.span(), hint));
    }
    if value.get_ref().is_str() {
        let parsed = template(cx, draft, Turn::Permission, value)?;
        if parsed.constant().is_none() {
            return Ok(Principal::Template(parsed));
        }
    }
    match account(cx, value, kind)? {
        Principal::Unknown(name) => {
            let (code, word) = match kind {
                Account::User => (codes::UNKNOWN_USER, "user"),
                Account::Group => (codes::UNKNOWN_GROUP, "group"),
            };
            let hint = format!("create it as a system {word}, or write a {word} that `getent` shows");
            Err(cx.error_hint(code, format!("this system has no {word} `{name}`"), value.span(), hint))
        }
        known => Ok(known),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A name or a number of an account. [`Principal::Unknown`] for one that this system has not, which is no mistake of a test:
/// it fails where it is run.
pub(super) fn account(cx: &mut Cx<'_>, value: &Value<'_>, kind: Account) -> Result<Principal, Reported> {
    if value.get_ref().is_integer() {
        let number = cx.integer(value)?;
        return u32::try_from(number)
            .map(Principal::Id)
            .map_err(|_| cx.error(codes::BAD_RANGE, "an id is 0 to 4294967295", value.span()));
    }
    let name = cx.text(value, "a name as a string, or a number")?;
    let found = match kind {
        Account::User => cx.known.accounts.user(name),
        Account::Group => cx.known.accounts.group(name),
    };
    let number = if is_number(name) { name.parse().ok() } else { None };
    Ok(match (found, number) {
        (Some(id), None) => Principal::Named { name: name.into(), id },
        (Some(id), Some(_)) | (None, Some(id)) => Principal::Id(id),
        (None, None) => Principal::Unknown(name.into()),
    })
}

pub(super) fn mode(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>) -> Result<Mode, Reported> {
    if value.get_ref().is_str() {
        let parsed = template(cx, draft, Turn::Permission, value)?;
        if parsed.constant().is_none() {
            return Ok(Mode::Template(parsed));
        }
    }
    mode_bits(cx, value).map(Mode::Bits)
}

/// Permission bits: three or four octal digits in a string.
pub(super) fn mode_bits(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<u32, Reported> {
    if let Some(number) = value.get_ref().as_integer() {
        let hint = format!("write \"0{}\"", number.as_str());
        return Err(cx.error_hint(codes::BAD_MODE, "expected a string, found a number", value.span(), hint));
    }
    let text = cx.text(value, "a string of octal digits")?;
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    u32::from_str_radix(text, 8).ok().filter(|_| octal).ok_or_else(|| {
        let hint = "three or four octal digits, as \"0660\"";
        cx.error_hint(codes::BAD_MODE, format!("`{text}` is no mode"), value.span(), hint)
    })
}
