//! Owns the repairs of TOML rules: slips of which the diagnostic says what was meant, and only one thing can be.
//!
//! Each changes the value or the key that is wrong and nothing else, so comments and layout stay as they are.

use super::{Edit, Finding};
use crate::diag::Diagnostic;
use crate::rules::toml::codes;

/// Keys of udev's language, with the keys that mean the same here wherever they may stand.
const SAME_KEYS: &[(&str, &str)] = &[
    ("symlink", "link"),
    ("SYMLINK", "link"),
    ("symlinks", "link"),
    ("links", "link"),
    ("env", "property"),
    ("ENV", "property"),
    ("properties", "property"),
    ("user", "owner"),
    ("link_priority", "priority"),
];

/// What is wrong with a file, each with its repair where that is certain.
pub(super) fn findings(diagnostics: Vec<Diagnostic>) -> Vec<Finding> {
    let repaired =
        |diagnostic: Diagnostic| Finding { edits: edit(&diagnostic).into_iter().collect(), diagnostic };
    diagnostics.into_iter().map(repaired).collect()
}

fn edit(diagnostic: &Diagnostic) -> Option<Edit> {
    let span = diagnostic.place.span.clone();
    let written = diagnostic.place.file.text.get(span.clone())?;
    let text = match diagnostic.code {
        codes::BAD_MODE => octal(written)?,
        codes::WRONG_TYPE => quoted(written, diagnostic)?,
        codes::UNKNOWN_KEY => same_key(written, diagnostic)?,
        _ => return None,
    };
    Some(Edit { span, text })
}

/// `mode = 660` for `"0660"`.
fn octal(written: &str) -> Option<String> {
    let octal = written.len() == 3 && written.bytes().all(|b| (b'0'..=b'7').contains(&b));
    octal.then(|| format!("\"0{written}\""))
}

/// A number or a boolean where a string stands, if the diagnostic says the same.
fn quoted(written: &str, diagnostic: &Diagnostic) -> Option<String> {
    let text = format!("\"{written}\"");
    let hint = diagnostic.hint.as_deref()?;
    (hint == format!("write {text}")).then_some(text)
}

fn same_key(written: &str, diagnostic: &Diagnostic) -> Option<String> {
    let (_, meant) = SAME_KEYS.iter().find(|(from, _)| *from == written)?;
    (diagnostic.hint.as_deref()? == format!("did you mean `{meant}`?")).then(|| (*meant).to_owned())
}
