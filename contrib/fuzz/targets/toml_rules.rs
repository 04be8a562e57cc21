//! Rule files in TOML.

use std::path::Path;

use nameplate::diag::SourceFile;
use nameplate::rules::toml::parse;

use super::rules;

/// Reads the text as a rule file: every place is inside, the rules hold together, and a file without a mistake has as
/// many rules and tests as tables for them.
pub fn check(data: &[u8]) {
    let source = SourceFile::new(Path::new("50-fuzz.toml"), data);
    let parsed = parse(&source, &rules::known());
    rules::diagnostics(&parsed.diagnostics, &source);
    rules::hold_together(&parsed.rules, &source);
    if parsed.diagnostics.is_empty() {
        let Ok(table) = toml::from_str::<toml::Table>(&source.text) else {
            panic!("no mistake was found in a text that is no TOML")
        };
        let count = |key: &str| table.get(key).and_then(|list| list.as_array()).map_or(0, |list| list.len());
        assert_eq!((parsed.rules.len(), parsed.tests.len()), (count("rule"), count("test")));
    }
}
