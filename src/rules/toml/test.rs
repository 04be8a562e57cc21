//! Owns `[[test]]`: a device of a recording and what the rules have to make of it. An error costs the test.

use std::path::PathBuf;

use super::codes;
use super::permission::{Account, account, mode_bits};
use super::read::{Cx, Entry, Reported, Value};
use crate::diag::Place;
use crate::ids::{Action, DevPath};
use crate::rules::ir::Principal;

/// The keys of `[[test]]`.
pub const TEST_KEYS: &[&str] = &[
    "about",
    "device",
    "path",
    "action",
    "links",
    "mode",
    "owner",
    "group",
    "name",
    "tags",
    "properties",
    "run",
];

/// An expectation and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The key's place.
    pub place: Place,
    /// What is expected.
    pub value: T,
}

/// A `[[test]]`. Everything that is `None` is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// Where it begins.
    pub place: Place,
    /// What its author called it.
    pub about: Option<String>,
    /// The recording; as written, relative to the directory of the rule file.
    pub device: At<PathBuf>,
    /// The device in the recording.
    pub path: At<DevPath>,
    /// The event; `add` if nothing is said.
    pub action: Action,
    /// All links, in any order.
    pub links: Option<At<Vec<String>>>,
    /// The node's permissions.
    pub mode: Option<At<u32>>,
    /// The node's owner.
    pub owner: Option<At<Principal>>,
    /// The node's group.
    pub group: Option<At<Principal>>,
    /// The name of a network interface.
    pub name: Option<At<String>>,
    /// Tags that the device has to have; it may have others.
    pub tags: Option<At<Vec<String>>>,
    /// Properties by name; an empty value is a property that must not be there.
    pub properties: Vec<(String, At<String>)>,
    /// All programs after expansion, in order.
    pub run: Option<At<Vec<Vec<String>>>>,
}

/// Reads one `[[test]]`.
pub(super) fn test(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<RuleTest, Reported> {
    let entries = cx.table(value, "a table, as [[test]]")?;
    let span = value.span();
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let needed = |cx: &mut Cx<'_>, key: &'static str| match find(key) {
        Some(entry) => Ok(entry),
        None => Err(cx.error(codes::MISSING_KEY, format!("[[test]] needs `{key}`"), value.span())),
    };
    let mut test = RuleTest {
        place: cx.place(span.clone()),
        about: None,
        device: needed(cx, "device").and_then(|entry| device(cx, entry))?,
        path: needed(cx, "path").and_then(|entry| path(cx, entry))?,
        action: Action::Add,
        links: None,
        mode: None,
        owner: None,
        group: None,
        name: None,
        tags: None,
        properties: Vec::new(),
        run: None,
    };
    let mut failed = None;
    for entry in &entries {
        failed = key(cx, &mut test, entry).err().or(failed);
    }
    if let Some(reported) = failed {
        return Err(reported);
    }
    if !entries.iter().any(|entry| !matches!(entry.key, "about" | "device" | "path" | "action")) {
        let hint = "add what the rules should make of the device, as links = [\"gps\"]";
        cx.warning(codes::NO_EXPECTATIONS, "this test expects nothing", span, hint);
    }
    Ok(test)
}

fn key(cx: &mut Cx<'_>, test: &mut RuleTest, entry: &Entry<'_, '_>) -> Result<(), Reported> {
    let value = entry.value;
    match entry.key {
        "device" | "path" => {}
        "about" => test.about = Some(cx.text(value, "a string")?.to_owned()),
        "action" => test.action = action(cx, value)?,
        "links" => test.links = Some(at(cx, entry, strings)?),
        "tags" => test.tags = Some(at(cx, entry, strings)?),
        "mode" => test.mode = Some(at(cx, entry, mode_bits)?),
        "owner" => test.owner = Some(at(cx, entry, |cx, value| account(cx, value, Account::User))?),
        "group" => test.group = Some(at(cx, entry, |cx, value| account(cx, value, Account::Group))?),
        "name" => test.name = Some(at(cx, entry, string)?),
        "run" => test.run = Some(at(cx, entry, vectors)?),
        "properties" => {
            for property in cx.table(value, "names and values, as properties.NAME = \"…\"")? {
                test.properties.push((property.key.to_owned(), at(cx, &property, string)?));
            }
        }
        _ => return Err(cx.unknown_key(entry, "[[test]]", TEST_KEYS)),
    }
    Ok(())
}

fn at<T>(
    cx: &mut Cx<'_>,
    entry: &Entry<'_, '_>,
    read: impl Fn(&mut Cx<'_>, &Value<'_>) -> Result<T, Reported>,
) -> Result<At<T>, Reported> {
    Ok(At { value: read(cx, entry.value)?, place: cx.place(entry.span.clone()) })
}

fn string(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<String, Reported> {
    cx.text(value, "a string").map(str::to_owned)
}

/// A list, which may be empty here: no links is an expectation.
fn strings(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Vec<String>, Reported> {
    let Some(items) = value.get_ref().as_array() else { return string(cx, value).map(|one| vec![one]) };
    items.iter().map(|item| string(cx, item)).collect()
}

fn vectors(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Vec<Vec<String>>, Reported> {
    let wanted = "a list of argument vectors";
    let Some(items) = value.get_ref().as_array() else { return Err(cx.wrong_type(value, wanted)) };
    items
        .iter()
        .map(|item| match item.get_ref().is_array() {
            true => strings(cx, item),
            false => Err(cx.wrong_type(item, wanted)),
        })
        .collect()
}

fn device(cx: &mut Cx<'_>, entry: &Entry<'_, '_>) -> Result<At<PathBuf>, Reported> {
    let file = cx.text(entry.value, "the path of a recording as a string")?;
    if file.is_empty() {
        return Err(cx.error(codes::BAD_PATH, "a recording is needed here", entry.value.span()));
    }
    Ok(At { place: cx.place(entry.span.clone()), value: PathBuf::from(file) })
}

fn path(cx: &mut Cx<'_>, entry: &Entry<'_, '_>) -> Result<At<DevPath>, Reported> {
    let text = cx.text(entry.value, "a device path as a string")?;
    let path = text.strip_prefix("/sys").filter(|rest| rest.starts_with('/')).unwrap_or(text);
    let value = DevPath::new(path.as_bytes()).map_err(|error| {
        let hint = "the path below /sys, as \"/devices/virtual/net/lo\"";
        cx.error_hint(codes::BAD_PATH, error.to_string(), entry.value.span(), hint)
    })?;
    Ok(At { place: cx.place(entry.span.clone()), value })
}

fn action(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Action, Reported> {
    let word = cx.word(value, &Action::ALL.map(Action::as_str))?;
    Action::parse(word.as_bytes())
        .map_err(|error| cx.error(codes::UNKNOWN_WORD, error.to_string(), value.span()))
}
