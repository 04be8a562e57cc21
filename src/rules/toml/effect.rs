//! Owns the effects of a rule: links, permissions, properties, tags, writes and the rest.
//!
//! An error costs the one effect, or the one entry of a list; the rest of the rule stays.

use bstr::ByteSlice;
use toml::de::DeValue;

use super::codes;
use super::command;
use super::draft::{Draft, Turn};
use super::permission::{self, Account};
use super::read::{Cx, Entry, Reported, Value};
use super::text::sketch;
use crate::ids::{LinkName, Tag};
use crate::properties::{Properties, PropertyError, READ_ONLY};
use crate::rules::ir::{Access, Dump, Effect, ListOp, StringEscape, log_level};
use crate::rules::template::Template;

/// What later rules can be forbidden to change.
pub const FINAL_KEYS: &[&str] =
    &["link", "name", "owner", "group", "mode", "priority", "property", "tag", "run", "builtin", "watch"];

/// The keys of `write`.
pub const WRITE_KEYS: &[&str] = &["attr", "sysctl"];

/// How a list can be changed: the keys of a table in the place of a value that is added.
pub const LIST_KEYS: &[&str] = &["set", "add", "remove"];

/// How a property can be changed.
pub const PROPERTY_KEYS: &[&str] = &["set", "append"];

/// The security modules of `seclabel`.
pub const LABEL_KEYS: &[&str] = &["selinux", "smack"];

/// The words of `options`.
pub const OPTIONS: &[&str] =
    &["db_persist", "dump", "dump-json", "log_level=", "string_escape=none", "string_escape=replace"];

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
        "static_node" => return static_nodes(cx, draft, entry),
        "seclabel" => return labels(cx, draft, entry),
        "run" => return run(cx, draft, entry),
        "builtin" => return run_builtin(cx, draft, entry),
        "name" => (Turn::Name, Effect::Name(name(cx, draft, value)?)),
        "owner" => (Turn::Permission, Effect::Owner(permission::principal(cx, draft, value, Account::User)?)),
        "group" => {
            (Turn::Permission, Effect::Group(permission::principal(cx, draft, value, Account::Group)?))
        }
        "mode" => (Turn::Permission, Effect::Mode(permission::mode(cx, draft, value)?)),
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
pub(super) fn template(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    turn: Turn,
    value: &Value<'_>,
) -> Result<Template, Reported> {
    let (template, used) = cx.template(value, draft.index)?;
    if used {
        draft.index_uses.push((turn, template.text().to_str_lossy().into_owned()));
    }
    Ok(template)
}

/// How the lists of an entry are changed, in the order of the file: a plain value is added. `more` are keys of the table
/// that are no list.
fn list_ops<'t, 'i>(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    entry: &Entry<'t, 'i>,
    more: &[&str],
) -> Result<Vec<(ListOp, &'t Value<'i>)>, Reported> {
    if !entry.value.get_ref().is_table() {
        return Ok(vec![(ListOp::Add, entry.value)]);
    }
    let mut out = Vec::new();
    for part in cx.table(entry.value, "a table")? {
        let op = match part.key {
            "set" => ListOp::Set,
            "add" => ListOp::Add,
            "remove" => ListOp::Remove,
            key if more.contains(&key) => continue,
            _ => {
                let known = [LIST_KEYS, more].concat();
                let reported = cx.unknown_key(&part, &format!("`{}`", entry.key), &known);
                draft.keep(Err::<(), _>(reported));
                continue;
            }
        };
        out.push((op, part.value));
    }
    if out.is_empty() && !draft.lost_effect {
        let message = format!("`{}` without `set`, `add` or `remove`", entry.key);
        return Err(cx.error(codes::EMPTY_LIST, message, entry.value.span()));
    }
    Ok(out)
}

fn links(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    let ops = list_ops(cx, draft, entry, &["words"])?;
    let split = match entry.value.get_ref().as_table().and_then(|table| table.get("words")) {
        Some(words) => cx.boolean(words)?,
        None => false,
    };
    for (op, value) in ops {
        let mut names = Vec::new();
        for item in cx.texts(value)? {
            let read = if split { template(cx, draft, Turn::Link, item) } else { link(cx, draft, item) };
            names.extend(draft.keep(read));
        }
        if !names.is_empty() {
            draft.effect(Turn::Link, cx.place(entry.span.clone()), Effect::Link { op, names, split });
        }
    }
    Ok(())
}

/// One name, white space and all.
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

fn priority(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<i32, Reported> {
    let number = cx.integer(value)?;
    i32::try_from(number)
        .map_err(|_| cx.error(codes::BAD_RANGE, "a priority is -2147483648 to 2147483647", value.span()))
}

fn properties(cx: &mut Cx<'_>, draft: &mut Draft, group: &Entry<'_, '_>) -> Result<(), Reported> {
    for entry in cx.table(group.value, "names and values, as property.NAME = \"…\"")? {
        let read = property_ops(cx, &entry);
        for (append, value) in draft.keep(read).unwrap_or_default() {
            let read = property(cx, draft, &entry, append, value);
            if let Some(effect) = draft.keep(read) {
                draft.effect(Turn::Property, cx.place(entry.span.clone()), effect);
            }
        }
    }
    Ok(())
}

/// What happens to a property, in the order of the file: true for what is joined to the value that is there.
fn property_ops<'t, 'i>(
    cx: &mut Cx<'_>,
    entry: &Entry<'t, 'i>,
) -> Result<Vec<(bool, &'t Value<'i>)>, Reported> {
    if !entry.value.get_ref().is_table() {
        return Ok(vec![(false, entry.value)]);
    }
    let mut out = Vec::new();
    for part in cx.table(entry.value, "a string")? {
        match part.key {
            "set" => out.push((false, part.value)),
            "append" => out.extend(cx.texts(part.value)?.into_iter().map(|value| (true, value))),
            _ => return Err(cx.unknown_key(&part, "`property`", PROPERTY_KEYS)),
        }
    }
    Ok(out)
}

fn property(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    entry: &Entry<'_, '_>,
    append: bool,
    value: &Value<'_>,
) -> Result<Effect, Reported> {
    if READ_ONLY.contains(&entry.key) {
        let message = format!("`{}` can't be set: it says what the device is", entry.key);
        let hint = "choose another name";
        return Err(cx.error_hint(codes::READ_ONLY_PROPERTY, message, entry.span.clone(), hint));
    }
    let at = value.span();
    let value = template(cx, draft, Turn::Property, value)?;
    let checked = Properties::new().set(entry.key, sketch(&value));
    if let Err(error) = checked {
        let span = if matches!(error, PropertyError::Value(_)) { at } else { entry.span.clone() };
        return Err(cx.error(codes::BAD_PROPERTY, error.to_string(), span));
    }
    Ok(Effect::Property { key: entry.key.into(), value, append })
}

fn tags(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for (op, value) in list_ops(cx, draft, entry, &[])? {
        // Only the first of a list can take the others' place.
        let mut op = op;
        for item in cx.texts(value)? {
            let read = tag(cx, draft, item, op);
            if let Some(tag) = draft.keep(read) {
                draft.effect(Turn::Tag, cx.place(entry.span.clone()), Effect::Tag { op, tag });
            }
            op = if op == ListOp::Set { ListOp::Add } else { op };
        }
    }
    Ok(())
}

fn tag(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>, op: ListOp) -> Result<Template, Reported> {
    let tag = template(cx, draft, Turn::Tag, value)?;
    let clears = op == ListOp::Set && tag.text().is_empty();
    match Tag::new(&sketch(&tag)) {
        Err(error) if !clears => Err(cx.error(codes::BAD_TAG, error.to_string(), value.span())),
        _ => Ok(tag),
    }
}

fn static_nodes(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for item in cx.texts(entry.value)? {
        let name = cx.text(item, "a string")?;
        if let Err(error) = LinkName::new(name.as_bytes()) {
            let hint = "a node is a path below /dev, as \"net/tun\"";
            let reported = cx.error_hint(codes::BAD_LINK, error.to_string(), item.span(), hint);
            draft.keep(Err::<(), _>(reported));
            continue;
        }
        // Which tags the rule gives is known when it is whole.
        let effect = Effect::StaticNode { node: name.into(), tags: Vec::new() };
        draft.effect(Turn::Option, cx.place(entry.span.clone()), effect);
    }
    Ok(())
}

fn labels(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    for module in cx.table(entry.value, "modules and labels, as seclabel.selinux = \"…\"")? {
        if !LABEL_KEYS.contains(&module.key) {
            let reported = cx.unknown_key(&module, "`seclabel`", LABEL_KEYS);
            draft.keep(Err::<(), _>(reported));
            continue;
        }
        for (op, value) in list_ops(cx, draft, &module, &[])? {
            let read = template(cx, draft, Turn::Label, value);
            if let Some(label) = draft.keep(read) {
                let effect = Effect::SecurityLabel { op, module: module.key.into(), label };
                draft.effect(Turn::Label, cx.place(module.span.clone()), effect);
            }
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
        Effect::WriteAttribute { name: name.into(), value }
    } else {
        Effect::WriteSysctl { name: name.into(), value }
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
    if let Some(level) = text.strip_prefix("log_level=") {
        let hint = "write one of emerg, alert, crit, err, warning, notice, info, debug, or reset";
        return match log_level(level.as_bytes()) {
            Some(level) => Ok((Turn::Option, Effect::LogLevel(level))),
            None => {
                let message = format!("`{level}` is no level");
                Err(cx.error_hint(codes::UNKNOWN_WORD, message, value.span(), hint))
            }
        };
    }
    Ok(match cx.word(value, OPTIONS)? {
        "dump" => (Turn::Option, Effect::Dump(Dump::Text)),
        "dump-json" => (Turn::Option, Effect::Dump(Dump::Json)),
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
    for (mut op, value) in list_ops(cx, draft, entry, &[])? {
        for (command, used) in command::runs(cx, value, draft.index)? {
            remember(draft, used, entry.key);
            draft.effect(Turn::Run, cx.place(entry.span.clone()), Effect::Run { op, command });
            op = if op == ListOp::Set { ListOp::Add } else { op };
        }
    }
    Ok(())
}

fn run_builtin(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    let one = entry.value.get_ref().as_table().is_some_and(|table| table.contains_key("line"));
    let ops = if one { vec![(ListOp::Add, entry.value)] } else { list_ops(cx, draft, entry, &[])? };
    for (mut op, value) in ops {
        for (builtin, used) in command::builtins(cx, value, draft.index)? {
            remember(draft, used, entry.key);
            draft.effect(Turn::Run, cx.place(entry.span.clone()), Effect::RunBuiltin { op, builtin });
            op = if op == ListOp::Set { ListOp::Add } else { op };
        }
    }
    Ok(())
}

/// An argument vector has no text that could name a pool: its key does.
fn remember(draft: &mut Draft, used: bool, key: &str) {
    if used {
        draft.index_uses.push((Turn::Run, key.to_owned()));
    }
}
