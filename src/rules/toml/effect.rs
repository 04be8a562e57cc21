//! Owns the effects of a rule: links, permissions, properties, tags, writes and the rest.
//!
//! An error costs the one effect, or the one entry of a list; the rest of the rule stays.

use bstr::ByteSlice;
use toml::de::DeValue;

use super::codes;
use super::command;
use super::draft::{Draft, Turn};
use super::read::{Cx, Entry, Reported, Value};
use super::text::{Index, sketch};
use crate::ids::{LinkName, Tag};
use crate::properties::{Properties, PropertyError};
use crate::rules::ir::{Access, Effect, ListOp, Mode, Principal, StringEscape};
use crate::rules::template::Template;

/// What later rules can be forbidden to change.
pub const FINAL_KEYS: &[&str] =
    &["link", "name", "owner", "group", "mode", "priority", "property", "tag", "run", "builtin", "watch"];

/// The keys of `write`.
pub const WRITE_KEYS: &[&str] = &["attr", "sysctl"];

/// Properties that describe the device or the event itself.
pub const READ_ONLY: &[&str] = &[
    "ACTION",
    "DEVLINKS",
    "DEVNAME",
    "DEVPATH",
    "DEVTYPE",
    "DRIVER",
    "IFINDEX",
    "MAJOR",
    "MINOR",
    "SEQNUM",
    "SUBSYSTEM",
    "TAGS",
];

/// The words of `options`.
pub const OPTIONS: &[&str] = &["db_persist", "string_escape=none", "string_escape=replace"];

/// Longest name of a network interface (`IFNAMSIZ` without the NUL).
const IFNAME_MAX: usize = 15;

/// What systemd's units end in.
const UNITS: &[&str] = &[
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// `index` as written.
#[derive(Debug)]
pub(super) struct IndexKey {
    pub(super) by: Template,
    pub(super) pool: Option<String>,
}

/// The key of `final` that fixes an effect.
pub(super) fn final_key(effect: &Effect) -> Option<&'static str> {
    Some(match effect {
        Effect::Link { .. } => "link",
        Effect::Name(_) => "name",
        Effect::Owner(_) => "owner",
        Effect::Group(_) => "group",
        Effect::Mode(_) => "mode",
        Effect::Priority(_) => "priority",
        Effect::Property { .. } => "property",
        Effect::Tag { .. } => "tag",
        Effect::Run { .. } => "run",
        Effect::RunBuiltin { .. } => "builtin",
        Effect::Watch(_) => "watch",
        _ => return None,
    })
}

/// Reads one effect into the draft.
pub(super) fn key(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    let place = cx.place(entry.span.clone());
    let value = entry.value;
    let (turn, effect) = match entry.key {
        "link" => return links(cx, draft, entry),
        "tag" => return tags(cx, draft, entry),
        "property" => return properties(cx, draft, entry),
        "write" => return writes(cx, draft, entry),
        "options" => return options(cx, draft, entry),
        "start" => return units(cx, draft, entry),
        "run" => return run(cx, draft, entry),
        "builtin" => return run_builtin(cx, draft, entry),
        "name" => (Turn::Name, Effect::Name(name(cx, draft, value)?)),
        "owner" => (Turn::Permission, Effect::Owner(principal(cx, draft, value, Account::User)?)),
        "group" => (Turn::Permission, Effect::Group(principal(cx, draft, value, Account::Group)?)),
        "mode" => (Turn::Permission, Effect::Mode(mode(cx, draft, value)?)),
        "priority" => (Turn::Priority, Effect::Priority(priority(cx, value)?)),
        "watch" => (Turn::Option, Effect::Watch(cx.boolean(value)?)),
        "access" => {
            cx.word(value, &["active-user"])?;
            (Turn::Option, Effect::Access(Access::ActiveUser))
        }
        other => {
            return Err(cx.error(codes::UNKNOWN_KEY, format!("unknown key `{other}`"), entry.span.clone()));
        }
    };
    draft.effect(turn, place, effect);
    Ok(())
}

/// A template of an effect; remembers a use of `$index`.
fn template(cx: &mut Cx<'_>, draft: &mut Draft, turn: Turn, value: &Value<'_>) -> Result<Template, Reported> {
    let (template, used) = cx.template(value, draft.index)?;
    if used {
        draft.index_uses.push((turn, template.text().to_str_lossy().into_owned()));
    }
    Ok(template)
}

fn links(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    let mut names = Vec::new();
    for item in cx.texts(entry.value)? {
        let read = link(cx, draft, item);
        names.extend(draft.keep(read));
    }
    if !names.is_empty() {
        let effect = Effect::Link { op: ListOp::Add, names, split: false };
        draft.effect(Turn::Link, cx.place(entry.span.clone()), effect);
    }
    Ok(())
}

fn link(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>) -> Result<Template, Reported> {
    let text = cx.text(value, "a string")?;
    let (parsed, _) = Template::parse(text.as_bytes());
    if let Err(error) = LinkName::new(&sketch(&parsed)) {
        let hint = "a link is a path below /dev, as \"lab/gps\"";
        return Err(cx.error_hint(codes::BAD_LINK, error.to_string(), value.span(), hint));
    }
    if let Some(at) = sketch(&parsed).find_byteset(b" \t").and(text.find([' ', '\t'])) {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
        let hint = format!("several links are a list: [{}]", words.join(", "));
        let span = cx.inside(value, at..at + 1);
        cx.warning(codes::LINK_SPACES, "white space in the name of a link", span, hint);
    }
    template(cx, draft, Turn::Link, value)
}

fn name(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>) -> Result<Template, Reported> {
    let name = template(cx, draft, Turn::Name, value)?;
    let text = name.text();
    let odd = |b: u8| b == b'/' || b == b':' || b == b'%' || b.is_ascii_whitespace() || b.is_ascii_control();
    let problem = match name.constant() {
        _ if text.is_empty() => "an interface needs a name",
        Some(text) if text.len() > IFNAME_MAX => "the name of an interface has at most 15 bytes",
        Some(text) if text.bytes().any(odd) => "the name of an interface has no white space, `/`, `:` or `%`",
        Some(text) if text == "." || text == ".." => "this can't be the name of an interface",
        None if text == "%k" || text == "$kernel" => "the interface has this name already",
        _ => return Ok(name),
    };
    Err(cx.error(codes::BAD_NAME, problem, value.span()))
}

/// Which of the two account files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    User,
    Group,
}

fn principal(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    value: &Value<'_>,
    kind: Account,
) -> Result<Principal, Reported> {
    if value.get_ref().is_str() {
        let parsed = template(cx, draft, Turn::Permission, value)?;
        if parsed.constant().is_none() {
            return Ok(Principal::Template(parsed));
        }
    }
    let id = account(cx, value, kind)?;
    Ok(match value.get_ref().as_str().filter(|text| !is_number(text)) {
        Some(name) => Principal::Named { name: name.into(), id },
        None => Principal::Id(id),
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A name or a number of an account that this system has.
pub(super) fn account(cx: &mut Cx<'_>, value: &Value<'_>, kind: Account) -> Result<u32, Reported> {
    if value.get_ref().is_integer() {
        let number = cx.integer(value)?;
        return u32::try_from(number)
            .map_err(|_| cx.error(codes::BAD_RANGE, "an id is 0 to 4294967295", value.span()));
    }
    let name = cx.text(value, "a name as a string, or a number")?;
    let (code, word, found) = match kind {
        Account::User => (codes::UNKNOWN_USER, "user", cx.known.accounts.user(name)),
        Account::Group => (codes::UNKNOWN_GROUP, "group", cx.known.accounts.group(name)),
    };
    let number = || if is_number(name) { name.parse().ok() } else { None };
    found.or_else(number).ok_or_else(|| {
        let hint = format!("create it as a system {word}, or write a {word} that `getent` shows");
        cx.error_hint(code, format!("this system has no {word} `{name}`"), value.span(), hint)
    })
}

fn mode(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>) -> Result<Mode, Reported> {
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

fn priority(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<i32, Reported> {
    let number = cx.integer(value)?;
    i32::try_from(number)
        .map_err(|_| cx.error(codes::BAD_RANGE, "a priority is -2147483648 to 2147483647", value.span()))
}

fn properties(cx: &mut Cx<'_>, draft: &mut Draft, group: &Entry<'_, '_>) -> Result<(), Reported> {
    for entry in cx.table(group.value, "names and values, as property.NAME = \"…\"")? {
        let read = property(cx, draft, &entry);
        if let Some(effect) = draft.keep(read) {
            draft.effect(Turn::Property, cx.place(entry.span), effect);
        }
    }
    Ok(())
}

fn property(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<Effect, Reported> {
    if READ_ONLY.contains(&entry.key) {
        let message = format!("`{}` can't be set: it says what the device is", entry.key);
        let hint = "choose another name";
        return Err(cx.error_hint(codes::READ_ONLY_PROPERTY, message, entry.span.clone(), hint));
    }
    let value = template(cx, draft, Turn::Property, entry.value)?;
    let checked = Properties::new().set(entry.key, sketch(&value));
    if let Err(error) = checked {
        let span =
            if matches!(error, PropertyError::Value(_)) { entry.value.span() } else { entry.span.clone() };
        return Err(cx.error(codes::BAD_PROPERTY, error.to_string(), span));
    }
    Ok(Effect::Property { key: entry.key.into(), value, append: false })
}

fn tags(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for item in cx.texts(entry.value)? {
        let read = template(cx, draft, Turn::Tag, item).and_then(|tag| {
            if let Err(error) = Tag::new(&sketch(&tag)) {
                return Err(cx.error(codes::BAD_TAG, error.to_string(), item.span()));
            }
            Ok(tag)
        });
        if let Some(tag) = draft.keep(read) {
            draft.effect(Turn::Tag, cx.place(entry.span.clone()), Effect::Tag { op: ListOp::Add, tag });
        }
    }
    Ok(())
}

fn writes(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for group in cx.table(entry.value, "names and values, as write.attr.NAME = \"…\"")? {
        if !WRITE_KEYS.contains(&group.key) {
            let reported = cx.unknown_key(&group, "`write`", WRITE_KEYS);
            draft.keep(Err::<(), _>(reported));
            continue;
        }
        let wanted = format!("names and values, as write.{}.NAME = \"…\"", group.key);
        let named = cx.table(group.value, &wanted);
        for target in draft.keep(named).unwrap_or_default() {
            let read = write(cx, draft, group.key, &target);
            if let Some(effect) = draft.keep(read) {
                draft.effect(Turn::Write, cx.place(target.span), effect);
            }
        }
    }
    Ok(())
}

fn write(cx: &mut Cx<'_>, draft: &mut Draft, group: &str, entry: &Entry<'_, '_>) -> Result<Effect, Reported> {
    if entry.key.is_empty() {
        return Err(cx.error(codes::EMPTY_LIST, format!("`write.{group}` needs a name"), entry.span.clone()));
    }
    let name = cx.key_template(entry)?;
    if let DeValue::Table(inner) = entry.value.get_ref() {
        let message = "expected a string, found a table";
        let below = inner.keys().next().map(|key| key.get_ref().to_string()).unwrap_or_default();
        let sign = if group == "attr" { '/' } else { '.' };
        let hint =
            format!("a name with `{sign}` stands in quotes: write.{group}.\"{}{sign}{below}\"", entry.key);
        return Err(cx.error_hint(codes::WRONG_TYPE, message, entry.span.clone(), hint));
    }
    let value = template(cx, draft, Turn::Write, entry.value)?;
    Ok(if group == "attr" {
        Effect::WriteAttribute { name, value }
    } else {
        Effect::WriteSysctl { name, value }
    })
}

fn options(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for item in cx.texts(entry.value)? {
        let read = option(cx, item);
        if let Some((turn, effect)) = draft.keep(read) {
            draft.effect(turn, cx.place(item.span()), effect);
        }
    }
    Ok(())
}

fn option(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<(Turn, Effect), Reported> {
    let text = cx.text(value, "a string")?;
    let elsewhere = match text.split_once('=').map_or(text, |(word, _)| word) {
        "watch" => Some("watch = true"),
        "nowatch" => Some("watch = false"),
        "link_priority" => Some("priority = 10"),
        _ => None,
    };
    if let Some(key) = elsewhere {
        let message = format!("`{text}` is a key of its own");
        return Err(cx.error_hint(codes::UNKNOWN_WORD, message, value.span(), format!("write {key}")));
    }
    Ok(match cx.word(value, OPTIONS)? {
        "string_escape=none" => (Turn::Escape, Effect::StringEscape(StringEscape::None)),
        "string_escape=replace" => (Turn::Escape, Effect::StringEscape(StringEscape::Replace)),
        _ => (Turn::Option, Effect::DbPersist),
    })
}

fn units(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for item in cx.texts(entry.value)? {
        let read = template(cx, draft, Turn::Start, item).and_then(|unit| check_unit(cx, item, unit));
        if let Some(unit) = draft.keep(read) {
            draft.effect(Turn::Start, cx.place(entry.span.clone()), Effect::Start(unit));
        }
    }
    Ok(())
}

fn check_unit(cx: &mut Cx<'_>, value: &Value<'_>, unit: Template) -> Result<Template, Reported> {
    let Some(text) = unit.constant() else { return Ok(unit) };
    let named =
        UNITS.iter().any(|end| text.strip_suffix(end.as_bytes()).is_some_and(|name| !name.is_empty()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    if named && text.bytes().all(plain) {
        return Ok(unit);
    }
    let message = format!("`{text}` is no unit");
    let hint = "a unit's name ends in its type, as \"gpsd.service\"";
    Err(cx.error_hint(codes::BAD_UNIT, message, value.span(), hint))
}

fn run(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for (command, used) in command::runs(cx, entry, draft.index)? {
        remember(draft, used, entry.key);
        draft.effect(Turn::Run, cx.place(entry.span.clone()), Effect::Run { op: ListOp::Add, command });
    }
    Ok(())
}

fn run_builtin(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for (builtin, used) in command::builtins(cx, entry, draft.index)? {
        remember(draft, used, entry.key);
        draft.effect(
            Turn::Run,
            cx.place(entry.span.clone()),
            Effect::RunBuiltin { op: ListOp::Add, builtin },
        );
    }
    Ok(())
}

/// An argument vector has no text that could name a pool: its key does.
fn remember(draft: &mut Draft, used: bool, key: &str) {
    if used {
        draft.index_uses.push((Turn::Run, key.to_owned()));
    }
}

/// Reads `index = { by = "template", pool = "name" }`.
pub(super) fn index(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<IndexKey, Reported> {
    const KEYS: &[&str] = &["by", "pool"];
    if let Some(by) = value.get_ref().as_str() {
        let hint = format!("write index = {{ by = \"{by}\" }}");
        return Err(cx.error_hint(codes::WRONG_TYPE, "expected a table, found a string", value.span(), hint));
    }
    let (mut by, mut pool) = (None, None);
    for entry in cx.table(value, "a table, as { by = \"$env{ID_PATH}\" }")? {
        match entry.key {
            "by" => by = Some(cx.template(entry.value, Index::NotYet)?.0),
            "pool" => {
                let name = cx.text(entry.value, "a string")?;
                if name.is_empty() || name.chars().any(char::is_control) {
                    return Err(cx.error(codes::BAD_POOL, "a pool needs a name", entry.value.span()));
                }
                pool = Some(name.to_owned());
            }
            _ => return Err(cx.unknown_key(&entry, "`index`", KEYS)),
        }
    }
    match by {
        Some(by) if !by.text().is_empty() => Ok(IndexKey { by, pool }),
        _ => {
            let hint = "say what tells the devices apart, as by = \"$env{ID_PATH}\"";
            Err(cx.error_hint(codes::MISSING_KEY, "`index` needs `by`", value.span(), hint))
        }
    }
}
