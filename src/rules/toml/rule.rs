//! Owns `[[rule]]` and `[file]`: which key is read by whom, what a mistake costs, and the rule as a whole.

use std::ops::Range;

use toml::de::DeValue;

use super::codes;
use super::condition::{self, CONDITION_KEYS, Conditions};
use super::draft::{Draft, Turn};
use super::effect::{self, FINAL_KEYS};
use super::read::{Cx, Entry, Reported, Value};
use super::text::Index;
use super::{command, index, suggest};
use crate::diag::Place;
use crate::ids::Tag;
use crate::rules::ir::{Condition, Effect, ListOp, Rule, Step, StepKind, Subject};

/// The keys of `[[rule]]`.
pub const RULE_KEYS: &[&str] = &[
    "about",
    "match",
    "parent",
    "program",
    "import",
    "result",
    "index",
    "property",
    "name",
    "tag",
    "owner",
    "group",
    "mode",
    "link",
    "priority",
    "write",
    "access",
    "watch",
    "options",
    "static_node",
    "seclabel",
    "run",
    "builtin",
    "start",
    "final",
];

/// The keys of `[file]`.
pub const FILE_KEYS: &[&str] = &["match", "parent", "gives_way_to"];

/// What every rule of the file needs.
#[derive(Debug, Default)]
pub(super) struct FileConditions {
    device: Conditions,
    parents: Vec<(Place, Conditions)>,
    /// Names of rule files; which of them are there is known to who reads directories.
    pub(super) gives_way_to: Vec<(Place, String)>,
}

/// Reads `[file]`.
pub(super) fn file(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<FileConditions, Reported> {
    let mut out = FileConditions::default();
    let mut failed = None;
    for entry in cx.table(value, "a table, as [file]")? {
        let read = match entry.key {
            "match" => condition::device(cx, entry.value).map(|read| out.device = read),
            "parent" => condition::parents(cx, entry.value).map(|read| out.parents = read),
            "gives_way_to" => file_names(cx, entry.value).map(|read| out.gives_way_to = read),
            _ => Err(cx.unknown_key(&entry, "[file]", FILE_KEYS)),
        };
        failed = read.err().or(failed);
    }
    failed.map_or(Ok(out), Err)
}

/// Names of rule files. A wrong one costs the file's rules: they would do again what another file does.
fn file_names(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<Vec<(Place, String)>, Reported> {
    let mut out = Vec::new();
    for item in cx.texts(value)? {
        let name = cx.text(item, "a string")?;
        let file = name.strip_suffix(".rules").or_else(|| name.strip_suffix(".toml"));
        if file.is_none_or(str::is_empty) || name.contains('/') {
            let hint = "a file name without its directory, as \"60-drm.rules\"";
            let message = format!("`{name}` is no name of a rule file");
            return Err(cx.error_hint(codes::BAD_FILE_NAME, message, item.span(), hint));
        }
        out.push((cx.place(item.span()), name.to_owned()));
    }
    Ok(out)
}

/// Reads one `[[rule]]`; `None` if it must not be in force.
pub(super) fn rule(cx: &mut Cx<'_>, value: &Value<'_>, file: &FileConditions) -> Option<Rule> {
    let entries = cx.table(value, "a table, as [[rule]]").ok()?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let mut draft = Draft::new(if find("index").is_some() { Index::Given } else { Index::Missing });
    let index = find("index").and_then(|entry| {
        let read = index::read(cx, entry.value);
        if read.is_err() {
            draft.index = Index::Broken;
        }
        draft.keep(read)
    });
    for (place, condition) in file.device.iter().cloned() {
        draft.when(turn(&condition, Turn::FileMatch), place, condition);
    }
    for (place, conditions) in file.parents.iter().cloned() {
        draft.parent(Turn::FileParent, place, conditions);
    }
    let mut about = None;
    for entry in &entries {
        match entry.key {
            "about" => about = cx.text(entry.value, "a string").ok().map(str::to_owned),
            "index" | "final" => {}
            _ => key(cx, &mut draft, entry),
        }
    }
    if let (Some(index), Some(entry)) = (index, find("index")) {
        place_index(cx, &mut draft, index, entry);
    }
    if let Some(entry) = find("final") {
        let read = fix(cx, &mut draft, entry.value);
        draft.keep(read);
    }
    finish(cx, draft, about, value.span())
}

/// One key of a rule but `about`, `index` and `final`.
fn key(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) {
    let condition = match entry.key {
        "match" => condition::device(cx, entry.value).map(|found| {
            for (place, condition) in found {
                draft.when(turn(&condition, Turn::Match), place, condition);
            }
        }),
        "parent" => condition::parents(cx, entry.value).map(|found| {
            found.into_iter().for_each(|(place, all)| draft.parent(Turn::Parent, place, all));
        }),
        "program" => command::programs(cx, entry).map(|found| {
            found.into_iter().for_each(|(place, condition)| draft.when(Turn::Program, place, condition));
        }),
        "result" => condition::tests(cx, entry, &Subject::Result).map(|found| {
            found.into_iter().for_each(|(place, condition)| draft.when(Turn::Result, place, condition));
        }),
        "import" => command::imports(cx, entry).map(|found| {
            found.into_iter().for_each(|(place, condition)| draft.when(Turn::Import, place, condition));
        }),
        known if RULE_KEYS.contains(&known) => {
            let read = effect::key(cx, draft, entry);
            draft.keep(read);
            return;
        }
        _ => {
            unknown(cx, draft, entry);
            return;
        }
    };
    draft.refused |= condition.is_err();
}

/// The turn of a condition on the event's device.
fn turn(condition: &Condition, usual: Turn) -> Turn {
    if matches!(condition.subject, Subject::File(_)) { Turn::Test } else { usual }
}

/// An unknown key costs the rule if it may have been meant as a condition, else only itself.
fn unknown(cx: &mut Cx<'_>, draft: &mut Draft, entry: &Entry<'_, '_>) {
    let meant = suggest::nearest(entry.key, RULE_KEYS.iter().copied());
    let condition = suggest::nearest(entry.key, CONDITION_KEYS.iter().copied());
    match (meant, condition) {
        (None, Some(word)) => {
            let message = format!("unknown key `{}` in [[rule]]", entry.key);
            let hint = format!("conditions stand in a table: match = {{ {word} = … }}");
            cx.error_hint(codes::UNKNOWN_KEY, message, entry.span.clone(), hint);
        }
        _ => {
            cx.unknown_key(entry, "[[rule]]", RULE_KEYS);
        }
    }
    let effect =
        meant.is_some_and(|meant| !matches!(meant, "match" | "parent" | "program" | "import" | "result"));
    let table = matches!(entry.value.get_ref(), DeValue::Table(_));
    draft.refused |= !effect && (meant.is_some() || condition.is_some() || table);
    draft.lost_effect = true;
}

/// Adds the number itself, once it is known which text gives the pool its name.
fn place_index(cx: &mut Cx<'_>, draft: &mut Draft, index: index::IndexKey, entry: &Entry<'_, '_>) {
    let uses = &draft.index_uses;
    let first = uses.iter().find(|(turn, _)| *turn == Turn::Link).or(uses.first());
    let Some((_, text)) = first else {
        // A value with `$index` that was left out is reported already.
        if !draft.lost_effect {
            let hint = "use the number, as in link = \"camera/$index\", or leave `index` out";
            cx.warning(codes::INDEX_UNUSED, "`index` without `$index`", entry.span.clone(), hint);
        }
        return;
    };
    let pool = index.pool.unwrap_or_else(|| text.clone());
    draft.effect(Turn::Index, cx.place(entry.span.clone()), Effect::Index { pool, by: index.by });
}

/// `final = true` or a list of keys.
fn fix(cx: &mut Cx<'_>, draft: &mut Draft, value: &Value<'_>) -> Result<(), Reported> {
    let wanted: Vec<(&str, Range<usize>)> = match value.get_ref() {
        DeValue::Boolean(false) => return Ok(()),
        DeValue::Boolean(true) => FINAL_KEYS.iter().map(|key| (*key, value.span())).collect(),
        DeValue::Array(_) => cx
            .texts(value)?
            .into_iter()
            .filter_map(|item| item.get_ref().as_str().map(|key| (key, item.span())))
            .collect(),
        _ => return Err(cx.wrong_type(value, "true or a list of keys")),
    };
    let all = value.get_ref().is_bool();
    for (key, span) in wanted {
        if !FINAL_KEYS.contains(&key) {
            let message = format!("`{key}` can't be made final");
            let hint = format!("these can: {}", FINAL_KEYS.join(", "));
            cx.error_hint(codes::BAD_FINAL, message, span, hint);
            continue;
        }
        let mut found = false;
        for (_, step) in &mut draft.steps {
            if let StepKind::Do { effect, fixed } = &mut step.kind
                && effect::final_key(effect) == Some(key)
            {
                (*fixed, found) = (true, true);
            }
        }
        if !found && !all && !draft.lost_effect {
            let message = format!("the rule does not set `{key}`");
            cx.warning(codes::FINAL_UNSET, message, span, "set it here, or take it out of `final`");
        }
    }
    if all && !draft.lost_effect && !draft.steps.iter().any(|(_, step)| is_fixed(&step.kind)) {
        let hint = format!("these can be final: {}", FINAL_KEYS.join(", "));
        cx.warning(codes::FINAL_UNSET, "the rule sets nothing that can be final", value.span(), hint);
    }
    Ok(())
}

fn is_fixed(kind: &StepKind) -> bool {
    matches!(kind, StepKind::Do { fixed: true, .. })
}

/// Gives the rule's constant tags to its static nodes.
fn with_tags(mut steps: Vec<Step>) -> Vec<Step> {
    let tag = |step: &Step| match &step.kind {
        StepKind::Do { effect: Effect::Tag { op: ListOp::Set | ListOp::Add, tag }, .. } => {
            Tag::new(tag.constant()?).ok()
        }
        _ => None,
    };
    let all: Vec<Tag> = steps.iter().filter_map(tag).collect();
    for step in &mut steps {
        if let StepKind::Do { effect: Effect::StaticNode { tags, .. }, .. } = &mut step.kind {
            tags.clone_from(&all);
        }
    }
    steps
}

/// Warns of a rule that always applies or does nothing.
fn finish(cx: &mut Cx<'_>, draft: Draft, about: Option<String>, span: Range<usize>) -> Option<Rule> {
    if draft.refused {
        return None;
    }
    if !draft.does_something() {
        if !draft.lost_effect {
            let hint = "add an effect, as link = \"name\"";
            cx.warning(codes::NO_EFFECTS, "this rule does nothing", span, hint);
        }
        return None;
    }
    if !draft.has_conditions() {
        let hint = "add a condition, as match = { subsystem = \"tty\" }";
        cx.warning(codes::NO_CONDITIONS, "this rule applies to every device", span.clone(), hint);
    }
    Some(Rule { place: cx.place(span), about, steps: with_tags(draft.into_steps()), jump: None })
}
