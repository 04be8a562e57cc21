//! Owns templates in TOML values: what udev lets pass is an error here, and `$index` is only where there is a number.

use bstr::ByteSlice;

use super::codes;
use super::read::{Cx, Entry, Reported, Value};
use crate::rules::template::{Part, Template, TemplateError, Var};

/// What `$index` means where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// There is no number yet.
    NotYet,
    /// The rule has no `index`.
    Missing,
    /// The rule's `index` is wrong, and that is reported.
    Broken,
    /// The rule has an `index`.
    Given,
}

/// Whether a template holds `$index`.
fn uses_index(template: &Template) -> bool {
    template.parts().contains(&Part::Var(Var::Index))
}

impl Cx<'_> {
    /// A string with substitutions; true if it holds `$index`.
    pub(super) fn template(&mut self, value: &Value<'_>, index: Index) -> Result<(Template, bool), Reported> {
        let text = self.text(value, "a string")?;
        let (template, errors) = Template::parse(text.as_bytes());
        let reported = errors.iter().map(|error| {
            let end = error.offset() + word(error).len();
            let span = self.inside(value, error.offset()..end.min(text.len()));
            self.bad_template(error, span)
        });
        if let Some(reported) = reported.last() {
            return Err(reported);
        }
        let used = uses_index(&template);
        if used {
            let at = text.find("$index").unwrap_or_default();
            let span = self.inside(value, at..at + "$index".len());
            self.check_index(index, span)?;
        }
        Ok((template, used))
    }

    /// A key with substitutions: the name of an attribute.
    pub(super) fn key_template(&mut self, entry: &Entry<'_, '_>) -> Result<Template, Reported> {
        let (template, errors) = Template::parse(entry.key.as_bytes());
        if let Some(error) = errors.first() {
            return Err(self.bad_template(error, entry.span.clone()));
        }
        if uses_index(&template) {
            self.check_index(Index::NotYet, entry.span.clone())?;
        }
        Ok(template)
    }

    fn bad_template(&mut self, error: &TemplateError, span: std::ops::Range<usize>) -> Reported {
        let hint = match error {
            TemplateError::Unknown { word, .. } => {
                let sign = word.get(..1).unwrap_or("$");
                format!("write `{sign}{sign}` for the byte itself")
            }
            TemplateError::Braces { .. } => "write a name, as in `$attr{idVendor}` or `$env{ID_PATH}`".into(),
        };
        self.error_hint(codes::BAD_TEMPLATE, error.to_string(), span, hint)
    }

    fn check_index(&mut self, index: Index, span: std::ops::Range<usize>) -> Result<(), Reported> {
        match index {
            Index::Given => Ok(()),
            Index::Broken => Err(Reported),
            Index::Missing => Err(self.error_hint(
                codes::INDEX_MISSING,
                "`$index` in a rule without `index`",
                span,
                "add index = { by = \"…\" } with what tells the devices apart",
            )),
            Index::NotYet => {
                Err(self.error(codes::INDEX_MISPLACED, "there is no number for `$index` here", span))
            }
        }
    }
}

fn word(error: &TemplateError) -> &str {
    match error {
        TemplateError::Unknown { word, .. } | TemplateError::Braces { word, .. } => word,
    }
}

/// The text with `x` in place of every substitution: what can be checked before there is an event.
pub(super) fn sketch(template: &Template) -> Vec<u8> {
    template
        .parts()
        .iter()
        .flat_map(|part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Var(_) => b"x",
        })
        .copied()
        .collect()
}
