//! Owns the tokens that set: what each key's assignment means, and the options.

use bstr::{BStr, BString, ByteSlice};

use super::asks;
use super::codes;
use super::keys::Key;
use super::lex::{Operator, Token};
use super::line::{Cx, Lost, Parts};
use crate::config::ResolveNames;
use crate::ids::Tag;
use crate::properties::{Properties, READ_ONLY};
use crate::rules::ir::{Command, Dump, Effect, ListOp, Mode, Principal, StringEscape, log_level};
use crate::rules::template::{Limit, Template};
use crate::text::{c_integer, space};

/// The options, as the man page lists them.
pub const OPTIONS: &[&str] = &[
    "db_persist",
    "dump",
    "dump-json",
    "link_priority=",
    "log_level=",
    "nowatch",
    "static_node=",
    "string_escape=none",
    "string_escape=replace",
    "watch",
];

/// Options that udev had once; they mean nothing.
const OLD_OPTIONS: &[&str] = &["last_rule", "ignore_device", "ignore_remove", "all_partitions"];

/// The key that an effect of udev's belongs to, if `:=` can make it final.
pub(super) fn final_key(effect: &Effect) -> Option<&'static str> {
    Some(match effect {
        Effect::Link { .. } => "SYMLINK",
        Effect::Name(_) => "NAME",
        Effect::Owner(_) => "OWNER",
        Effect::Group(_) => "GROUP",
        Effect::Mode(_) => "MODE",
        Effect::Run { .. } | Effect::RunBuiltin { .. } => "RUN",
        Effect::Watch(_) => "OPTIONS=\"watch\"",
        _ => return None,
    })
}

fn list_op(operator: Operator) -> ListOp {
    match operator {
        Operator::Add => ListOp::Add,
        Operator::Remove => ListOp::Remove,
        _ => ListOp::Set,
    }
}

/// Reads a token that sets something.
pub(super) fn token(
    cx: &mut Cx<'_>,
    token: &Token<'_>,
    key: Key,
    operator: Operator,
    parts: &mut Parts,
) -> Result<(), Lost> {
    let place = cx.place(&token.span);
    match key {
        Key::Program | Key::Import => return asks::token(cx, token, key, operator, parts),
        Key::Options => {
            match option(cx, token)? {
                Some(effect) => {
                    let fixed = operator == Operator::Final && matches!(effect, Effect::Watch(_));
                    parts.effect(place, effect, fixed);
                }
                None => parts.left_out = true,
            }
            return Ok(());
        }
        _ => {}
    }
    match effect(cx, token, key, operator)? {
        Some(effect) => parts.effect(place, effect, operator == Operator::Final),
        None => parts.left_out = true,
    }
    Ok(())
}

/// The effect of a token; `None` if it is left out and the rest of the line stays.
fn effect(cx: &mut Cx<'_>, token: &Token<'_>, key: Key, operator: Operator) -> Result<Option<Effect>, Lost> {
    let op = list_op(operator);
    let attribute = token.attribute.as_ref().map(|(name, _)| *name).unwrap_or_default();
    Ok(Some(match key {
        Key::Symlink => Effect::Link { op, names: vec![cx.template(token, Limit::Path)], split: true },
        Key::Name => Effect::Name(name(cx, token)?),
        Key::Env => property(cx, token, attribute, operator)?,
        Key::Tag => tag(cx, token, op),
        Key::Attr => {
            let span = token.attribute.as_ref().map(|(_, span)| span.clone()).unwrap_or_default();
            // The name is no template here, as it is where it is compared; what looks like a broken one is odd anyway.
            let _compared = cx.name_template(attribute, &span, Limit::Value);
            Effect::WriteAttribute {
                name: Template::literal(attribute).within(Limit::Value).into(),
                value: cx.template(token, Limit::Value),
            }
        }
        Key::Sysctl => {
            let span = token.attribute.as_ref().map(|(_, span)| span.clone()).unwrap_or_default();
            Effect::WriteSysctl {
                name: cx.name_template(attribute, &span, Limit::Path).into(),
                value: cx.template(token, Limit::Value),
            }
        }
        Key::Owner => return Ok(principal(cx, token, Account::User).map(Effect::Owner)),
        Key::Group => return Ok(principal(cx, token, Account::Group).map(Effect::Group)),
        Key::Mode => Effect::Mode(mode(cx, token)),
        Key::Seclabel => label(cx, token, op),
        Key::Run if attribute == "builtin" => Effect::RunBuiltin { op, builtin: asks::builtin(cx, token)? },
        Key::Run => Effect::Run { op, command: Command::Line(cx.template(token, Limit::Line).into()) },
        // The table gives the others no operator that sets.
        _ => return Err(cx.lost(codes::BAD_OPERATOR, "this key sets nothing", &token.span, "")),
    }))
}

fn name(cx: &mut Cx<'_>, token: &Token<'_>) -> Result<Template, Lost> {
    match token.value.as_slice() {
        b"" => {
            let hint = "write the name that the interface gets";
            Err(cx.lost(codes::BAD_NAME, "an interface needs a name", &token.value_span, hint))
        }
        b"%k" => {
            let hint = "leave `NAME` out; nodes have the kernel's names";
            Err(cx.lost(codes::BAD_NAME, "the interface has this name already", &token.value_span, hint))
        }
        _ => Ok(cx.template(token, Limit::Path)),
    }
}

fn property(cx: &mut Cx<'_>, token: &Token<'_>, key: &BStr, operator: Operator) -> Result<Effect, Lost> {
    let span = token.attribute.as_ref().map(|(_, span)| span.clone()).unwrap_or_default();
    if READ_ONLY.iter().any(|name| name.as_bytes() == key.as_bytes()) {
        let message = format!("`{key}` can't be set: it says what the device is");
        return Err(cx.lost(codes::READ_ONLY_PROPERTY, message, &span, "choose another name"));
    }
    if let Err(error) = Properties::new().set(key, "") {
        let hint = "leave out white space, `=` and control bytes";
        cx.warn(codes::BAD_PROPERTY, error.to_string(), &span, hint);
    }
    Ok(Effect::Property {
        key: BString::from(key),
        value: cx.template(token, Limit::Value),
        append: operator == Operator::Add,
    })
}

fn tag(cx: &mut Cx<'_>, token: &Token<'_>, op: ListOp) -> Effect {
    let tag = cx.template(token, Limit::Path);
    // `TAG=""` takes all tags away.
    let clears = op == ListOp::Set && token.value.is_empty();
    if let Some(Err(error)) = tag.constant().filter(|_| !clears).map(|text| Tag::new(text)) {
        cx.warn(codes::BAD_TAG, error.to_string(), &token.value_span, "choose another tag");
    }
    Effect::Tag { op, tag }
}

#[derive(Debug, Clone, Copy)]
enum Account {
    User,
    Group,
}

fn principal(cx: &mut Cx<'_>, token: &Token<'_>, kind: Account) -> Option<Principal> {
    if let Some(id) = number(&token.value) {
        return Some(Principal::Id(id));
    }
    let accounts = cx.known.accounts;
    let template = cx.template(token, Limit::Value);
    if accounts.when() == ResolveNames::Never {
        let hint = "write the number, or another `resolve_names` in the configuration";
        cx.note(codes::NAMES_OFF, "names of users and groups are not looked up", &token.value_span, hint);
        return None;
    }
    let Some(name) = template.constant().filter(|_| accounts.when() == ResolveNames::Early) else {
        return Some(Principal::Template(template));
    };
    let text = name.to_str().unwrap_or_default();
    let (code, word, id) = match kind {
        Account::User => (codes::UNKNOWN_USER, "user", accounts.user(text)),
        Account::Group => (codes::UNKNOWN_GROUP, "group", accounts.group(text)),
    };
    if let Some(id) = id {
        return Some(Principal::Named { name: name.into(), id });
    }
    let message = format!("this system has no {word} `{name}`");
    let hint = format!(
        "the rest of the line counts; create it as a system {word}, or write one that `getent` shows"
    );
    cx.warn(code, message, &token.value_span, &hint);
    Some(Principal::Unknown(name.into()))
}

/// A decimal id; the two that stand for "none" are no ids.
fn number(text: &[u8]) -> Option<u32> {
    let plain = text.iter().all(u8::is_ascii_digit) && (text == b"0" || !text.starts_with(b"0"));
    let id: u32 = text.to_str().ok().filter(|_| plain)?.parse().ok()?;
    (id != u32::MAX && id != 0xffff).then_some(id)
}

/// Octal digits up to 7777, behind white space if there is any.
pub(super) fn octal(text: &[u8]) -> Option<u32> {
    let text = space::trim_start(text);
    let plain = text.iter().all(|b| (b'0'..=b'7').contains(b));
    let bits = u32::from_str_radix(text.to_str().ok().filter(|_| plain)?, 8).ok()?;
    (bits <= 0o7777).then_some(bits)
}

fn mode(cx: &mut Cx<'_>, token: &Token<'_>) -> Mode {
    if let Some(bits) = octal(&token.value) {
        return Mode::Bits(bits);
    }
    let template = cx.template(token, Limit::Value);
    if template.constant().is_some() {
        let message = format!("`{}` is no mode", token.value);
        cx.warn(codes::BAD_MODE, message, &token.value_span, "write octal digits, as MODE=\"0660\"");
    }
    Mode::Template(template)
}

fn label(cx: &mut Cx<'_>, token: &Token<'_>, op: ListOp) -> Effect {
    let (module, span) = token.attribute.clone().unwrap_or_default();
    if !matches!(module.as_bytes(), b"selinux" | b"smack") {
        let message = format!("there is no security module `{module}`");
        cx.warn(codes::UNKNOWN_MODULE, message, &span, "write SECLABEL{selinux} or SECLABEL{smack}");
    }
    Effect::SecurityLabel {
        op,
        module: module.to_str_lossy().into_owned(),
        label: cx.template(token, Limit::Line),
    }
}

/// One option; `None` if it is left out and the rest of the line stays.
fn option(cx: &mut Cx<'_>, token: &Token<'_>) -> Result<Option<Effect>, Lost> {
    let value = token.value.as_slice();
    Ok(Some(match value {
        b"string_escape=none" => Effect::StringEscape(StringEscape::None),
        b"string_escape=replace" => Effect::StringEscape(StringEscape::Replace),
        b"db_persist" => Effect::DbPersist,
        b"watch" => Effect::Watch(true),
        b"nowatch" => Effect::Watch(false),
        b"dump" => Effect::Dump(Dump::Text),
        b"dump-json" => Effect::Dump(Dump::Json),
        _ => {
            if let Some(node) = value.strip_prefix(b"static_node=") {
                Effect::StaticNode { node: node.into(), tags: Vec::new() }
            } else if let Some(number) = value.strip_prefix(b"link_priority=") {
                let number = c_integer(number).and_then(|number| i32::try_from(number).ok());
                let hint = "write a number of at most 32 bits, as OPTIONS+=\"link_priority=10\"";
                Effect::Priority(number.ok_or_else(|| bad_option(cx, token, hint))?)
            } else if let Some(level) = value.strip_prefix(b"log_level=") {
                let hint = "write one of emerg, alert, crit, err, warning, notice, info, debug, or reset";
                Effect::LogLevel(log_level(level).ok_or_else(|| bad_option(cx, token, hint))?)
            } else {
                unknown_option(cx, token);
                return Ok(None);
            }
        }
    }))
}

fn bad_option(cx: &mut Cx<'_>, token: &Token<'_>, hint: &str) -> Lost {
    let message = format!("`{}` has no value that the option takes", token.value);
    cx.lost(codes::BAD_OPTION, message, &token.value_span, hint)
}

fn unknown_option(cx: &mut Cx<'_>, token: &Token<'_>) {
    let value = &token.value;
    let name = value.split(|b| *b == b'=').next().unwrap_or_default();
    let old = OLD_OPTIONS.iter().any(|old| old.as_bytes() == name) || name == b"event_timeout";
    let (message, hint) = if old {
        (format!("the option `{value}` means nothing any more"), "take it out".into())
    } else {
        (format!("there is no option `{value}`"), format!("the options are: {}", OPTIONS.join(", ")))
    };
    cx.warn(codes::UNKNOWN_OPTION, message, &token.value_span, &hint);
}
