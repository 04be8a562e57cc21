//! Rule files in udev's language.

use std::path::Path;

use bstr::ByteSlice;
use nameplate::diag::{Severity, SourceFile};
use nameplate::rules::ir::Rule;
use nameplate::rules::udev::{parse, print};

use super::rules;

/// Reads the text as a rule file: every place is inside, the rules hold together, jumps lead forward, and what the rules
/// print is read as the same rules.
pub fn check(data: &[u8]) {
    let source = SourceFile::new(Path::new("50-fuzz.rules"), data);
    let parsed = parse(&source, data, &rules::known());
    rules::diagnostics(&parsed.diagnostics, &source);
    rules::hold_together(&parsed.rules, &source);
    for (at, rule) in parsed.rules.iter().enumerate() {
        let to = rule.jump.as_ref().map(|jump| jump.to);
        assert!(to.is_none_or(|to| to > at && to <= parsed.rules.len()), "rule {at} jumps to {to:?}");
    }
    printed(&parsed.rules);
}

fn printed(before: &[Rule]) {
    let Ok(text) = print(before) else { return };
    let source = SourceFile::new(Path::new("60-printed.rules"), &text);
    let again = parse(&source, &text, &rules::known());
    let errors = again.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|d| format!("{}: {}", d.place, d.message)).collect();
    assert!(errors.is_empty(), "{errors:?} in what was printed: {:?}", text.as_bstr());
    let same =
        before.len() == again.rules.len() && before.iter().zip(&again.rules).all(|(a, b)| rules::same(a, b));
    assert!(same, "{before:#?} was printed as {:?} and read as {:#?}", text.as_bstr(), again.rules);
}
