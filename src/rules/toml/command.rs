//! Owns what runs something: `import`, `run` and `builtin`. Programs are argument vectors; there is no shell.

use bstr::ByteSlice;
use toml::de::DeValue;

use super::codes;
use super::condition::{Conditions, check_pattern};
use super::read::{Cx, Entry, Reported, Value, entries};
use super::suggest;
use super::text::Index;
use crate::diag::Place;
use crate::rules::ir::{Builtin, Command, Condition, Import, Subject, Test};
use crate::rules::template::Template;
use crate::text::{Case, Pattern};

/// The sources of `import`.
pub const IMPORT_KEYS: &[&str] = &["program", "file", "db", "cmdline", "parent", "builtin"];

/// Reads `import`: one table with one source, or a list of such tables. As in udev an import that fails ends the rule,
/// so a wrong one costs the rule.
pub(super) fn imports(cx: &mut Cx<'_>, entry: &Entry<'_, '_>) -> Result<Conditions, Reported> {
    let tables = match entry.value.get_ref() {
        DeValue::Table(_) => vec![entry.value],
        DeValue::Array(_) => cx.list(entry.value, "a list of tables")?,
        DeValue::String(name) => {
            let hint = format!("write import = {{ builtin = \"{name}\" }}");
            let message = "expected a table with the source, found a string";
            return Err(cx.error_hint(codes::WRONG_TYPE, message, entry.value.span(), hint));
        }
        _ => return Err(cx.wrong_type(entry.value, "a table with the source, or a list of tables")),
    };
    let mut out = Vec::new();
    for table in tables {
        let place = place_of(cx, entry, table);
        let entries = cx.table(table, "a table with the source")?;
        let (source, worked) = match &entries[..] {
            [not] if not.key == "not" => (import(cx, not.value)?, false),
            _ => (import(cx, table)?, true),
        };
        out.push((place, Condition { subject: Subject::Import(source), test: Test::Exists(worked) }));
    }
    Ok(out)
}

/// Items of a list have places of their own; a single one is named by its key.
fn place_of(cx: &Cx<'_>, entry: &Entry<'_, '_>, item: &Value<'_>) -> Place {
    cx.place(if entry.value.span() == item.span() { entry.span.clone() } else { item.span() })
}

/// Reads `program`: a command or `{ not = … }`, or a list of these. One that fails ends the rule, so a wrong one costs
/// the rule.
pub(super) fn programs(cx: &mut Cx<'_>, entry: &Entry<'_, '_>) -> Result<Conditions, Reported> {
    let one = |value: &Value<'_>| match value.get_ref() {
        DeValue::Array(items) => items.iter().all(|item| item.get_ref().is_str()),
        _ => true,
    };
    let values =
        if one(entry.value) { vec![entry.value] } else { cx.list(entry.value, "a list of programs")? };
    let mut out = Vec::new();
    for value in values {
        let place = place_of(cx, entry, value);
        let entries = value.get_ref().as_table().map(entries).unwrap_or_default();
        let (command, worked) = match &entries[..] {
            [not] if not.key == "not" => (argv(cx, not.value, Index::NotYet)?.0, false),
            _ => (argv(cx, value, Index::NotYet)?.0, true),
        };
        out.push((place, Condition { subject: Subject::Program(command), test: Test::Exists(worked) }));
    }
    Ok(out)
}

fn import(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Import, Reported> {
    let entries = cx.table(value, "a table with the source")?;
    let [source] = &entries[..] else {
        let hint = format!("write one of {}; several imports are a list of tables", IMPORT_KEYS.join(", "));
        return Err(cx.error_hint(
            codes::BAD_IMPORT,
            "`import` needs exactly one source",
            value.span(),
            hint,
        ));
    };
    Ok(match source.key {
        "program" => Import::Program(argv(cx, source.value, Index::NotYet)?.0),
        "builtin" => Import::Builtin(Box::new(builtin(cx, source.value, Index::NotYet)?.0)),
        "file" => Import::File(filled(cx, source.value)?),
        "db" => Import::Db(filled(cx, source.value)?),
        "cmdline" => Import::CommandLine(filled(cx, source.value)?),
        "parent" => {
            let text = cx.text(source.value, "a string")?;
            check_pattern(cx, source.value, text)?;
            let (names, _) = cx.template(source.value, Index::NotYet)?;
            match names.constant() {
                Some(text) => Import::Parent(Pattern::single(text, Case::Sensitive)),
                None => Import::ParentNamed(names),
            }
        }
        _ => return Err(cx.unknown_key(source, "`import`", IMPORT_KEYS)),
    })
}

fn filled(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Template, Reported> {
    let (template, _) = cx.template(value, Index::NotYet)?;
    if template.text().is_empty() {
        return Err(cx.error(codes::EMPTY_LIST, "a name is needed here", value.span()));
    }
    Ok(template)
}

/// Reads `run`: a list of commands. A wrong one costs itself; the flag says whether it holds `$index`.
pub(super) fn runs(
    cx: &mut Cx<'_>,
    value: &Value<'_>,
    index: Index,
) -> Result<Vec<(Command, bool)>, Reported> {
    if let Some(line) = value.get_ref().as_str() {
        return Err(shell_string(cx, value, &format!("run = [{}]", as_vector(line)), line));
    }
    let items = cx.list(value, "a list of argument vectors, as [[\"/usr/bin/logger\", \"hello\"]]")?;
    let first = items.first().and_then(|item| item.get_ref().as_str());
    if let Some(line) = first.filter(|_| items.iter().all(|item| item.get_ref().is_str())) {
        // A flat list: one program, or several command lines.
        let words: Vec<String> =
            items.iter().filter_map(|item| item.get_ref().as_str()).map(quoted).collect();
        let vectors = if line.contains(' ') {
            items
                .iter()
                .filter_map(|item| item.get_ref().as_str())
                .map(as_vector)
                .collect::<Vec<_>>()
                .join(", ")
        } else {
            format!("[{}]", words.join(", "))
        };
        return Err(shell_string(cx, value, &format!("run = [{vectors}]"), line));
    }
    let mut failed = None;
    let mut out = Vec::new();
    for item in items {
        match argv(cx, item, index) {
            Ok(found) => out.push(found),
            Err(reported) => failed = Some(reported),
        }
    }
    if out.is_empty() { failed.map_or(Ok(out), Err) } else { Ok(out) }
}

/// Reads one command: an argument vector, or `{ line = "…" }`, which is split after substitution, as udev does.
fn argv(cx: &mut Cx<'_>, value: &Value<'_>, index: Index) -> Result<(Command, bool), Reported> {
    if value.get_ref().is_table() {
        let (line, used) = line(cx, value, index)?;
        return Ok((Command::Line(line.into()), used));
    }
    if let Some(line) = value.get_ref().as_str() {
        return Err(shell_string(cx, value, &as_vector(line), line));
    }
    let mut arguments = Vec::new();
    let mut used = false;
    for item in cx.list(value, "an argument vector, as [\"/usr/bin/logger\", \"hello\"]")? {
        let (template, uses) = cx.template(item, index)?;
        used |= uses;
        arguments.push(template);
    }
    if arguments.first().is_some_and(|program| program.text().is_empty()) {
        return Err(cx.error(codes::EMPTY_LIST, "the program has no name", value.span()));
    }
    Ok((Command::Argv(arguments), used))
}

/// Reads `{ line = "…" }`.
fn line(cx: &mut Cx<'_>, value: &Value<'_>, index: Index) -> Result<(Template, bool), Reported> {
    let entries = cx.table(value, "a table, as { line = \"/usr/bin/logger $kernel\" }")?;
    let mut found = None;
    for entry in &entries {
        match entry.key {
            "line" => found = Some(cx.template(entry.value, index)?),
            _ => return Err(cx.unknown_key(entry, "a command", &["line"])),
        }
    }
    match found {
        Some((line, used)) if !line.text().trim().is_empty() => Ok((line, used)),
        _ => Err(cx.error(codes::EMPTY_LIST, "the program has no name", value.span())),
    }
}

fn shell_string(cx: &mut Cx<'_>, value: &Value<'_>, repair: &str, line: &str) -> Reported {
    let message = "expected a list of arguments, found a command line";
    let hint = if line.contains(['|', ';', '&', '<', '>', '`', '(', '"', '\'']) {
        "no shell runs here: put the line into a script and name that, as [[\"/usr/local/bin/script\"]]"
            .to_owned()
    } else {
        format!("write {repair}")
    };
    cx.error_hint(codes::SHELL_STRING, message, value.span(), hint)
}

fn quoted(word: &str) -> String {
    format!("{word:?}")
}

fn as_vector(line: &str) -> String {
    format!("[{}]", line.split_whitespace().map(quoted).collect::<Vec<_>>().join(", "))
}

/// Reads `builtin`: one call, or a list of calls. A wrong one costs itself; the flag says whether it holds `$index`.
pub(super) fn builtins(
    cx: &mut Cx<'_>,
    value: &Value<'_>,
    index: Index,
) -> Result<Vec<(Builtin, bool)>, Reported> {
    let mut failed = None;
    let mut out = Vec::new();
    let items = match value.get_ref() {
        DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => items.iter().collect(),
        DeValue::Table(_) => vec![value],
        _ => cx.texts(value)?,
    };
    for item in items {
        match builtin(cx, item, index) {
            Ok(found) => out.push(found),
            Err(reported) => failed = Some(reported),
        }
    }
    if out.is_empty() { failed.map_or(Ok(out), Err) } else { Ok(out) }
}

/// One builtin with its arguments: split at white space, as `"kmod load"`, or after substitution as
/// `{ line = "kmod load '$env{MODALIAS}'" }`.
fn builtin(cx: &mut Cx<'_>, value: &Value<'_>, index: Index) -> Result<(Builtin, bool), Reported> {
    if value.get_ref().is_table() {
        let (line, used) = line(cx, value, index)?;
        let text = line.text().to_str_lossy();
        let name = known_builtin(cx, value, &text)?;
        let rest = text.trim_start().get(name.len()..).unwrap_or_default().trim_start();
        let arguments = Command::Line(Template::parse(rest.as_bytes()).0.into());
        return Ok((Builtin { name, arguments }, used));
    }
    let text = cx.text(value, "a string, as \"kmod load\"")?;
    let (_, used) = cx.template(value, index)?;
    let name = known_builtin(cx, value, text)?;
    let words = text.split_whitespace().skip(1);
    let arguments = Command::Argv(words.map(|word| Template::parse(word.as_bytes()).0).collect());
    Ok((Builtin { name, arguments }, used))
}

/// The first word of a call, if it is a builtin.
fn known_builtin(cx: &mut Cx<'_>, value: &Value<'_>, text: &str) -> Result<String, Reported> {
    let Some(name) = text.split_whitespace().next() else {
        return Err(cx.error(codes::EMPTY_LIST, "the builtin has no name", value.span()));
    };
    if !cx.known.builtins.contains(&name) {
        let hint = match suggest::nearest(name, cx.known.builtins.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the builtins are: {}", cx.known.builtins.join(", ")),
        };
        let at = text.find(name).unwrap_or_default();
        let span = cx.inside(value, at..at + name.len());
        return Err(cx.error_hint(codes::UNKNOWN_BUILTIN, format!("unknown builtin `{name}`"), span, hint));
    }
    Ok(name.to_owned())
}
