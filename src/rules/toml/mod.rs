//! Owns the TOML rule language: from text to rules, tests and diagnostics. Pure; reading files is `load`'s.
//!
//! What a mistake costs: text that is no TOML, the file. `[file]` wrong, all rules of the file. A wrong condition (also
//! `import`, which ends a rule when it fails; also an unknown key that may have been meant as a condition), its rule,
//! which would else match too much. A wrong effect, that effect, or the one entry of its list. A wrong key in a
//! `[[test]]`, the test. All mistakes of a file are reported at once.
//!
//! Steps of a rule come out in the order that lets the later ones use the earlier: conditions, files, program, import,
//! result, index, properties, name, tags, permissions, labels, links, priority, writes, options, programs, units. Within one of these the
//! order of the file holds.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

pub mod codes;
mod command;
mod condition;
mod draft;
mod effect;
mod index;
mod known;
mod permission;
mod print;
mod read;
mod rule;
mod suggest;
mod test;
mod text;

pub use command::IMPORT_KEYS;
pub use condition::{CONDITION_KEYS, PARENT_KEYS, TEST_KEYS as VALUE_KEYS};
pub use effect::{FINAL_KEYS, LABEL_KEYS, LIST_KEYS, OPTIONS, PROPERTY_KEYS, WRITE_KEYS};
pub use known::{AccountFiles, Accounts, Known, SystemAccounts, Timed, accounts_of};
pub use print::{print_file, print_rule};
pub use rule::{FILE_KEYS, RULE_KEYS};
pub use test::{At, RuleTest, TEST_KEYS};

use crate::diag::{Diagnostic, Place, SourceFile};
use crate::rules::ir::Rule;
use read::{Cx, Entry, Value, entries};
use rule::FileConditions;

/// The keys at the top of a file.
pub const TOP_KEYS: &[&str] = &["file", "rule", "test"];

/// What a text came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The rules that were understood, in the order of the file.
    pub rules: Vec<Rule>,
    /// The tests that were understood.
    pub tests: Vec<RuleTest>,
    /// Names of rule files, any of which takes this file out of force, with their places.
    pub gives_way_to: Vec<(Place, String)>,
    /// What is wrong, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a rule file.
pub fn parse(source: &Arc<SourceFile>, known: &Known<'_>) -> Parsed {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut cx = Cx { file: source, known, diagnostics: Vec::new() };
    let mut out = Parsed::default();
    if errors.is_empty() {
        top(&mut cx, document.get_ref(), &mut out);
    }
    for error in errors {
        cx.error(codes::SYNTAX, error.message(), error.span().unwrap_or_default());
    }
    cx.diagnostics.sort_by_key(|diagnostic| diagnostic.place.span.start);
    out.diagnostics = cx.diagnostics;
    out
}

fn top(cx: &mut Cx<'_>, document: &DeTable<'_>, out: &mut Parsed) {
    let entries = entries(document);
    let mut conditions = Some(FileConditions::default());
    for entry in &entries {
        let lost = match entry.key {
            "file" => {
                conditions = rule::file(cx, entry.value).ok();
                let names = conditions.as_mut().map(|file| std::mem::take(&mut file.gives_way_to));
                out.gives_way_to = names.unwrap_or_default();
                conditions.is_none()
            }
            "rule" | "test" => false,
            _ => {
                cx.unknown_key(entry, "the file", TOP_KEYS);
                suggest::nearest(entry.key, ["file"]).is_some()
            }
        };
        if lost {
            // Without these conditions the rules would match too much.
            conditions = None;
            let hint = "repair it; until then no rule of this file is in force";
            cx.error_hint(
                codes::FILE_CONDITIONS,
                "what every rule needs is not known",
                entry.span.clone(),
                hint,
            );
        }
    }
    for entry in &entries {
        match entry.key {
            "rule" => out.rules = rules(cx, entry, conditions.as_ref()),
            "test" => {
                out.tests =
                    tables(cx, entry).into_iter().filter_map(|value| test::test(cx, value).ok()).collect();
            }
            _ => {}
        }
    }
}

/// The rules in force: none without the file's conditions, but their mistakes are reported all the same.
fn rules(cx: &mut Cx<'_>, entry: &Entry<'_, '_>, conditions: Option<&FileConditions>) -> Vec<Rule> {
    let before = cx.diagnostics.len();
    let none = FileConditions::default();
    let tables = tables(cx, entry);
    let read = tables.into_iter().filter_map(|value| rule::rule(cx, value, conditions.unwrap_or(&none)));
    let mut rules: Vec<Rule> = read.collect();
    if conditions.is_none() {
        rules.clear();
        let mut own = cx.diagnostics.split_off(before);
        own.retain(|diagnostic| diagnostic.code != codes::NO_CONDITIONS);
        cx.diagnostics.append(&mut own);
    }
    rules
}

/// The tables of `[[rule]]` or `[[test]]`.
fn tables<'t, 'i>(cx: &mut Cx<'_>, entry: &Entry<'t, 'i>) -> Vec<&'t Value<'i>> {
    match entry.value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        DeValue::Table(_) => {
            let message = format!("`{}` is a list of tables", entry.key);
            cx.error_hint(codes::WRONG_TYPE, message, entry.value.span(), format!("write [[{}]]", entry.key));
            Vec::new()
        }
        _ => {
            cx.wrong_type(entry.value, &format!("tables, as [[{}]]", entry.key));
            Vec::new()
        }
    }
}
