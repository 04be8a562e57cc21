//! Owns conditions: the tables `match` and `parent`, and the tests that a value can be put to.
//!
//! Every error here costs the rule: with one condition less it would match too much.

use bstr::BString;
use toml::de::DeValue;

use super::codes;
use super::read::{Cx, Entry, Reported, Value};
use super::text::Index;
use crate::diag::Place;
use crate::ids::Action;
use crate::rules::ir::{Bounds, Condition, ConstKey, Subject, Test};
use crate::text::{Case, GlobError, Pattern, check_glob};

/// The keys of `match`.
pub const CONDITION_KEYS: &[&str] = &[
    "kernel",
    "subsystem",
    "driver",
    "devtype",
    "devpath",
    "action",
    "tag",
    "link",
    "name",
    "attr",
    "property",
    "sysctl",
    "const",
    "test",
];

/// The keys of `parent`: what a device on the way up has. The others belong to the event.
pub const PARENT_KEYS: &[&str] =
    &["kernel", "subsystem", "driver", "devtype", "devpath", "tag", "attr", "property"];

/// The tests that a value of a condition may hold.
pub const TEST_KEYS: &[&str] = &["is", "not", "all", "exists", "min", "max", "ignore_case"];

/// Conditions with the places of their keys.
pub(super) type Conditions = Vec<(Place, Condition)>;

/// Where a table of conditions stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The device of the event.
    Device,
    /// A device on the way up.
    Parent,
}

/// Reads `match`.
pub(super) fn device(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Conditions, Reported> {
    let entries = cx.table(value, "a table of conditions")?;
    all(cx, &entries, Level::Device)
}

/// Reads `parent`: one table, or a list of tables that each have to hold on some device.
pub(super) fn parents(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Vec<(Place, Conditions)>, Reported> {
    let tables = match value.get_ref() {
        DeValue::Table(_) => vec![value],
        DeValue::Array(items) if items.is_empty() => return Err(empty_parent(cx, value)),
        DeValue::Array(items) => items.iter().collect(),
        _ => return Err(cx.wrong_type(value, "a table of conditions or a list of tables")),
    };
    let mut out = Ok(Vec::new());
    for table in tables {
        match (parent(cx, table), &mut out) {
            (Ok(conditions), Ok(list)) => list.push((cx.place(table.span()), conditions)),
            (Err(reported), _) => out = Err(reported),
            (Ok(_), Err(_)) => {}
        }
    }
    out
}

fn parent(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Conditions, Reported> {
    let entries = cx.table(value, "a table of conditions")?;
    if entries.is_empty() {
        return Err(empty_parent(cx, value));
    }
    all(cx, &entries, Level::Parent)
}

fn empty_parent(cx: &mut Cx<'_>, value: &Value<'_>) -> Reported {
    let hint = "write a condition as parent = { subsystem = \"usb\" }, or leave the key out";
    cx.error_hint(codes::EMPTY_PARENT, "`parent` without conditions", value.span(), hint)
}

/// All entries; every error is reported before the first one counts.
fn all(cx: &mut Cx<'_>, entries: &[Entry<'_, '_>], level: Level) -> Result<Conditions, Reported> {
    let mut out = Ok(Vec::new());
    for entry in entries {
        match (one(cx, entry, level), &mut out) {
            (Ok(more), Ok(list)) => list.extend(more),
            (Err(reported), _) => out = Err(reported),
            (Ok(_), Err(_)) => {}
        }
    }
    out
}

fn one(cx: &mut Cx<'_>, entry: &Entry<'_, '_>, level: Level) -> Result<Conditions, Reported> {
    let known = if level == Level::Device { CONDITION_KEYS } else { PARENT_KEYS };
    if !known.contains(&entry.key) {
        if CONDITION_KEYS.contains(&entry.key) {
            let message = format!("`{}` is asked of the event's own device only", entry.key);
            return Err(cx.error_hint(codes::PARENT_KEY, message, entry.span.clone(), "put it into `match`"));
        }
        return Err(cx.unknown_key(
            entry,
            if level == Level::Device { "`match`" } else { "`parent`" },
            known,
        ));
    }
    let subject = match entry.key {
        "kernel" => Subject::Kernel,
        "subsystem" => Subject::Subsystem,
        "driver" => Subject::Driver,
        "devtype" => Subject::Devtype,
        "devpath" => Subject::Devpath,
        "action" => Subject::Action,
        "tag" => Subject::Tag,
        "link" => Subject::Link,
        "name" => Subject::Name,
        "test" => return file_test(cx, entry),
        _ => return named(cx, entry),
    };
    let conditions = tests(cx, entry, &subject)?;
    if subject == Subject::Action {
        check_actions(cx, entry, &conditions);
    }
    Ok(conditions)
}

/// `attr.NAME`, `property.NAME`, `sysctl.NAME`, `const.NAME`.
fn named(cx: &mut Cx<'_>, group: &Entry<'_, '_>) -> Result<Conditions, Reported> {
    let entries = cx.table(group.value, &format!("names and values, as {}.NAME = \"…\"", group.key))?;
    let mut out = Ok(Vec::new());
    for entry in &entries {
        let read = subject(cx, group.key, entry).and_then(|subject| tests(cx, entry, &subject));
        match (read, &mut out) {
            (Ok(more), Ok(list)) => list.extend(more),
            (Err(reported), _) => out = Err(reported),
            (Ok(_), Err(_)) => {}
        }
    }
    out
}

fn subject(cx: &mut Cx<'_>, group: &str, entry: &Entry<'_, '_>) -> Result<Subject, Reported> {
    if entry.key.is_empty() {
        return Err(cx.error(codes::EMPTY_LIST, format!("`{group}` needs a name"), entry.span.clone()));
    }
    Ok(match group {
        "attr" => Subject::Attribute(cx.key_template(entry)?.into()),
        "sysctl" => Subject::Sysctl(cx.key_template(entry)?.into()),
        "const" => Subject::Const(match entry.key {
            "arch" => ConstKey::Arch,
            "virt" => ConstKey::Virt,
            "cvm" => ConstKey::Cvm,
            other => {
                let message = format!("unknown constant `{other}`");
                let hint = "the constants are: arch, virt, cvm";
                return Err(cx.error_hint(codes::UNKNOWN_CONST, message, entry.span.clone(), hint));
            }
        }),
        _ => Subject::Property(BString::from(entry.key)),
    })
}

/// The tests of one value: a string, a list (any of), or a table of tests that all have to hold.
pub(super) fn tests(
    cx: &mut Cx<'_>,
    entry: &Entry<'_, '_>,
    subject: &Subject,
) -> Result<Conditions, Reported> {
    let found = match entry.value.get_ref() {
        DeValue::String(_) | DeValue::Array(_) => vec![Test::Is(pattern(cx, entry.value, Case::Sensitive)?)],
        DeValue::Table(_) => test_table(cx, entry, subject)?,
        DeValue::Integer(number) => {
            let message = "expected a string, a list or a table of tests, found a number";
            let hint =
                format!("write \"{number}\", or {{ min = {number}, max = {number} }} to compare numbers");
            return Err(cx.error_hint(codes::WRONG_TYPE, message, entry.value.span(), hint));
        }
        _ => return Err(cx.wrong_type(entry.value, "a string, a list or a table of tests")),
    };
    let place = cx.place(entry.span.clone());
    Ok(found.into_iter().map(|test| (place.clone(), Condition { subject: subject.clone(), test })).collect())
}

fn test_table(cx: &mut Cx<'_>, entry: &Entry<'_, '_>, subject: &Subject) -> Result<Vec<Test>, Reported> {
    let entries = cx.table(entry.value, "a table of tests")?;
    let mut tests = Vec::new();
    let (mut min, mut max) = (None, None);
    let case = case(cx, &entries)?;
    for test in &entries {
        match test.key {
            "is" => tests.push(Test::Is(pattern(cx, test.value, case)?)),
            "not" => tests.push(Test::IsNot(pattern(cx, test.value, case)?)),
            "all" => {
                for item in cx.texts(test.value)? {
                    tests.push(Test::Is(pattern(cx, item, case)?));
                }
            }
            "ignore_case" => {}
            "exists" => {
                check_can_be_absent(cx, test, subject)?;
                tests.push(Test::Exists(cx.boolean(test.value)?));
            }
            "min" => min = Some(bound(cx, test, subject)?),
            "max" => max = Some(bound(cx, test, subject)?),
            _ => return Err(unknown_test(cx, entry, test)),
        }
    }
    if let (Some(low), Some(high)) = (min, max)
        && low > high
    {
        let message = format!("no number is at least {low} and at most {high}");
        return Err(cx.error_hint(codes::BAD_RANGE, message, entry.value.span(), "exchange `min` and `max`"));
    }
    if min.is_some() || max.is_some() {
        tests.push(Test::Range(Box::new(Bounds { min, max })));
    }
    if tests.is_empty() {
        let hint = "write a string, or one of { is = … }, { not = … }, { exists = … }, { min = …, max = … }";
        return Err(cx.error_hint(codes::EMPTY_LIST, "a table without tests", entry.value.span(), hint));
    }
    if tests.contains(&Test::Exists(false)) && tests.len() > 1 {
        let message = "what is not there can't be put to another test";
        return Err(cx.error(codes::BAD_TEST, message, entry.value.span()));
    }
    Ok(tests)
}

/// A dotted name is a table in TOML: `attr.power.control` looks like a test `control`.
fn unknown_test(cx: &mut Cx<'_>, entry: &Entry<'_, '_>, test: &Entry<'_, '_>) -> Reported {
    if super::suggest::nearest(test.key, TEST_KEYS.iter().copied()).is_some() {
        return cx.unknown_key(test, "a table of tests", TEST_KEYS);
    }
    let message = format!("`{}` is no test", test.key);
    let hint = format!(
        "the tests are: {}; a name with `.` or `/` stands in quotes: \"{}/{}\"",
        TEST_KEYS.join(", "),
        entry.key,
        test.key
    );
    cx.error_hint(codes::UNKNOWN_KEY, message, test.span.clone(), hint)
}

/// Whether the patterns of a table of tests tell letters of either case apart.
fn case(cx: &mut Cx<'_>, entries: &[Entry<'_, '_>]) -> Result<Case, Reported> {
    let Some(entry) = entries.iter().find(|entry| entry.key == "ignore_case") else {
        return Ok(Case::Sensitive);
    };
    let fold = cx.boolean(entry.value)?;
    if !entries.iter().any(|entry| matches!(entry.key, "is" | "not" | "all")) {
        let hint = "write the pattern beside it: { is = \"…\", ignore_case = true }";
        let message = "`ignore_case` without a pattern";
        return Err(cx.error_hint(codes::BAD_TEST, message, entry.span.clone(), hint));
    }
    Ok(if fold { Case::Fold } else { Case::Sensitive })
}

fn bound(cx: &mut Cx<'_>, test: &Entry<'_, '_>, subject: &Subject) -> Result<i128, Reported> {
    if !matches!(subject, Subject::Attribute(_) | Subject::Property(_) | Subject::Sysctl(_)) {
        let hint = "`min` and `max` are for attr, property and sysctl";
        return Err(cx.error_hint(codes::BAD_TEST, "this is no number", test.span.clone(), hint));
    }
    cx.integer(test.value)
}

fn check_can_be_absent(cx: &mut Cx<'_>, test: &Entry<'_, '_>, subject: &Subject) -> Result<(), Reported> {
    match subject {
        Subject::Kernel | Subject::Devpath | Subject::Action | Subject::Const(_) => Err(cx.error_hint(
            codes::BAD_TEST,
            "this is always there",
            test.span.clone(),
            "leave `exists` out",
        )),
        _ => Ok(()),
    }
}

/// A string, or a list of strings of which any may match.
fn pattern(cx: &mut Cx<'_>, value: &Value<'_>, case: Case) -> Result<Pattern, Reported> {
    let before = cx.diagnostics.len();
    let mut parts = Vec::new();
    for item in cx.texts(value)? {
        let text = cx.text(item, "a string")?;
        check_pattern(cx, item, text)?;
        parts.push(text);
    }
    if cx.diagnostics.len() > before {
        // An alternative less would match too little, or with `not` too much.
        return Err(Reported);
    }
    Ok(Pattern::new(parts.join("|").as_bytes(), case))
}

pub(super) fn check_pattern(cx: &mut Cx<'_>, value: &Value<'_>, text: &str) -> Result<(), Reported> {
    let Err(error) = check_glob(text.as_bytes()) else { return Ok(()) };
    let (at, hint) = match error {
        GlobError::Unclosed(at) => (at, "close it, or write `[[]` for the byte itself"),
        GlobError::Backwards(at) => (at, "write the lower end first"),
        GlobError::Set(at) => (
            at,
            "the classes are alnum, alpha, blank, cntrl, digit, graph, lower, print, punct, space, upper, xdigit",
        ),
        GlobError::Trailing(at) => (at, "write two backslashes for the byte itself"),
    };
    let span = cx.inside(value, at..at + 1);
    Err(cx.error_hint(codes::BAD_GLOB, error.to_string(), span, hint))
}

/// `test = "path"`, `{ not = "path" }`, `{ path = "…", mode = "0111" }`, or a list of these that all have to hold.
fn file_test(cx: &mut Cx<'_>, entry: &Entry<'_, '_>) -> Result<Conditions, Reported> {
    let place = cx.place(entry.span.clone());
    let items = match entry.value.get_ref() {
        DeValue::Array(_) => cx.list(entry.value, "a list of paths")?,
        _ => vec![entry.value],
    };
    let mut out = Vec::new();
    for item in items {
        let (path, test) = match item.get_ref() {
            DeValue::String(_) => (item, Test::Exists(true)),
            DeValue::Table(_) => file_test_table(cx, item)?,
            _ => return Err(cx.wrong_type(item, "a path as a string, or a table")),
        };
        let (file, _) = cx.template(path, Index::NotYet)?;
        out.push((place.clone(), Condition { subject: Subject::File(file.into()), test }));
    }
    Ok(out)
}

fn file_test_table<'t, 'i>(cx: &mut Cx<'_>, value: &'t Value<'i>) -> Result<(&'t Value<'i>, Test), Reported> {
    const KEYS: &[&str] = &["not", "path", "mode"];
    let (mut path, mut there, mut mode) = (None, true, None);
    for part in &cx.table(value, "a table")? {
        match part.key {
            "path" => path = Some(part.value),
            "not" => (path, there) = (Some(part.value), false),
            "mode" => mode = Some(super::permission::mode_bits(cx, part.value)?),
            _ => return Err(cx.unknown_key(part, "`test`", KEYS)),
        }
    }
    let test = match (mode, there) {
        (None, there) => Test::Exists(there),
        (Some(bits), true) => Test::Mode(bits),
        (Some(bits), false) => Test::NoMode(bits),
    };
    match path {
        Some(path) => Ok((path, test)),
        None => Err(cx.error(codes::MISSING_KEY, "`test` needs a `path`", value.span())),
    }
}

/// Warns of a word that no event has.
fn check_actions(cx: &mut Cx<'_>, entry: &Entry<'_, '_>, conditions: &Conditions) {
    for (_, condition) in conditions {
        let (Test::Is(pattern) | Test::IsNot(pattern)) = &condition.test else { continue };
        for word in pattern.literals().unwrap_or_default() {
            if Action::parse(word).is_err() {
                let words = Action::ALL.map(Action::as_str);
                let hint = match super::suggest::nearest(&word.to_string(), words) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("the actions are: {}", words.join(", ")),
                };
                cx.warning(
                    codes::UNKNOWN_ACTION,
                    format!("no event has the action `{word}`"),
                    entry.value.span(),
                    hint,
                );
            }
        }
    }
}
