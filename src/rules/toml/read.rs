//! Owns how the parsed TOML is looked at: typed access that turns every surprise into a diagnostic with its place.
//!
//! Knows nothing of rules. A function that fails has reported: its error is the proof, [`Reported`].

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes;
use super::known::Known;
use super::suggest;
use crate::diag::{Diagnostic, Place, SourceFile};

/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A diagnostic was recorded for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported;

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'t, 'i> {
    pub(super) key: &'t str,
    /// Where the key is.
    pub(super) span: Range<usize>,
    pub(super) value: &'t Value<'i>,
}

/// The file that is read, what it is checked against, and what was wrong so far.
#[derive(Debug)]
pub(super) struct Cx<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) known: &'a Known<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// The entries of a table in the order of the file.
pub(super) fn entries<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry { key: key.get_ref().as_ref(), span: key.span(), value })
        .collect();
    entries.sort_by_key(|entry| entry.span.start);
    entries
}

/// How a value would stand as text, where that is obvious.
fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// What a value is, for messages.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Cx<'a> {
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        self.file.place(span)
    }

    /// Records an error.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Range<usize>,
    ) -> Reported {
        let diagnostic = Diagnostic::error(code, message, self.place(span));
        self.diagnostics.push(diagnostic);
        Reported
    }

    /// Records an error with its repair.
    pub(super) fn error_hint(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Range<usize>,
        hint: impl Into<String>,
    ) -> Reported {
        let diagnostic = Diagnostic::error(code, message, self.place(span)).hint(hint);
        self.diagnostics.push(diagnostic);
        Reported
    }

    /// Records that something is left out, which is no mistake.
    pub(super) fn note(
        &mut self,
        code: &'static str,
        message: &str,
        span: Range<usize>,
        hint: &str,
    ) -> Reported {
        let diagnostic = Diagnostic::note(code, message, self.place(span)).hint(hint);
        self.diagnostics.push(diagnostic);
        Reported
    }

    /// Records a warning with its repair.
    pub(super) fn warning(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Range<usize>,
        hint: impl Into<String>,
    ) {
        let diagnostic = Diagnostic::warning(code, message, self.place(span)).hint(hint);
        self.diagnostics.push(diagnostic);
    }

    /// The value is of another type than `wanted`; says how to write it as text where that is meant.
    pub(super) fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) -> Reported {
        let message = format!("expected {wanted}, found {}", kind(value.get_ref()));
        match as_text(value.get_ref()).filter(|_| wanted.contains("string")) {
            Some(text) => {
                self.error_hint(codes::WRONG_TYPE, message, value.span(), format!("write \"{text}\""))
            }
            None => self.error(codes::WRONG_TYPE, message, value.span()),
        }
    }

    /// A key that is none of `known`; says what was probably meant.
    pub(super) fn unknown_key(&mut self, entry: &Entry<'_, '_>, inside: &str, known: &[&str]) -> Reported {
        let message = format!("unknown key `{}` in {inside}", entry.key);
        let hint = match suggest::nearest(entry.key, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys here are: {}", known.join(", ")),
        };
        self.error_hint(codes::UNKNOWN_KEY, message, entry.span.clone(), hint)
    }

    /// A string.
    pub(super) fn text<'t>(&mut self, value: &'t Value<'_>, wanted: &str) -> Result<&'t str, Reported> {
        value.get_ref().as_str().ok_or_else(|| self.wrong_type(value, wanted))
    }

    /// A string, or the strings of a list that is not empty. Entries of another type are reported and left out.
    pub(super) fn texts<'t, 'i>(&mut self, value: &'t Value<'i>) -> Result<Vec<&'t Value<'i>>, Reported> {
        match value.get_ref() {
            DeValue::String(_) => Ok(vec![value]),
            DeValue::Array(_) => {
                let items = self.list(value, "a list")?;
                let (good, bad): (Vec<_>, Vec<_>) =
                    items.into_iter().partition(|item| item.get_ref().is_str());
                let reported = bad.into_iter().map(|item| self.wrong_type(item, "a string")).next_back();
                if good.is_empty() { reported.map_or(Ok(good), Err) } else { Ok(good) }
            }
            _ => Err(self.wrong_type(value, "a string or a list of strings")),
        }
    }

    /// The items of a list that is not empty.
    pub(super) fn list<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        wanted: &str,
    ) -> Result<Vec<&'t Value<'i>>, Reported> {
        let Some(items) = value.get_ref().as_array() else { return Err(self.wrong_type(value, wanted)) };
        if items.is_empty() {
            return Err(self.error(codes::EMPTY_LIST, "a list without entries", value.span()));
        }
        Ok(items.iter().collect())
    }

    /// A table's entries, in order.
    pub(super) fn table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        wanted: &str,
    ) -> Result<Vec<Entry<'t, 'i>>, Reported> {
        match value.get_ref().as_table() {
            Some(table) => Ok(entries(table)),
            None => Err(self.wrong_type(value, wanted)),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Result<bool, Reported> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong_type(value, "true or false"))
    }

    /// A whole number.
    pub(super) fn integer(&mut self, value: &Value<'_>) -> Result<i128, Reported> {
        let Some(number) = value.get_ref().as_integer() else {
            let reported = match value.get_ref().as_str().and_then(|text| text.trim().parse::<i128>().ok()) {
                Some(number) => self.error_hint(
                    codes::WRONG_TYPE,
                    "expected a number, found a string",
                    value.span(),
                    format!("write {number} without quotes"),
                ),
                None => self.wrong_type(value, "a number"),
            };
            return Err(reported);
        };
        i128::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.error(codes::BAD_RANGE, "the number is too large", value.span()))
    }

    /// One of a few words.
    pub(super) fn word<'w>(&mut self, value: &Value<'_>, words: &[&'w str]) -> Result<&'w str, Reported> {
        let given = self.text(value, "a string")?;
        words.iter().find(|word| **word == given).copied().ok_or_else(|| {
            let hint = match suggest::nearest(given, words.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("the words are: {}", words.join(", ")),
            };
            self.error_hint(codes::UNKNOWN_WORD, format!("`{given}` is not known here"), value.span(), hint)
        })
    }

    /// The place of bytes inside of a string value; the whole value if the string is written with escapes.
    pub(super) fn inside(&self, value: &Value<'_>, part: Range<usize>) -> Range<usize> {
        let span = value.span();
        let raw = self.file.text.get(span.clone()).unwrap_or_default();
        let text = value.get_ref().as_str().unwrap_or_default();
        let quotes = raw.len().saturating_sub(text.len()) / 2;
        let verbatim = raw.get(quotes..raw.len() - quotes) == Some(text) && part.end <= text.len();
        if verbatim { span.start + quotes + part.start..span.start + quotes + part.end } else { span }
    }
}
