//! Owns the reading of `index`: which pool a number is from, and what tells devices apart. Never gives a number.

use super::codes;
use super::read::{Cx, Reported, Value};
use super::text::Index;
use crate::rules::template::Template;

/// `index` as written.
#[derive(Debug)]
pub(super) struct IndexKey {
    pub(super) by: Template,
    pub(super) pool: Option<String>,
}

/// Reads `index = { by = "template", pool = "name" }`.
pub(super) fn read(cx: &mut Cx<'_>, value: &Value<'_>) -> Result<IndexKey, Reported> {
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
