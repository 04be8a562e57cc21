//! What the lint says of rules that are right each by themselves.

use std::path::Path;
use std::sync::Arc;

use nameplate::diag::SourceFile;
use nameplate::rules::ir::RuleFile;
use nameplate::rules::lint::lint;
use nameplate::rules::toml::parse;

use super::show::{diagnostics, known};

/// The codes that these cases show.
pub(crate) const CODES: &[&str] = &["never-holds", "duplicate-link"];

const CASES: &[(&str, &str)] = &[
    ("[file]\nmatch.kernel='a'\n[[rule]]\nmatch.kernel='b'\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.kernel='a|b'\n[[rule]]\nmatch.kernel='b'\nlink='l'\n", ""),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sda'\nlink='l'\n", ""),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sr0'\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sr*'\nlink='l'\n", ""),
    ("[file]\nmatch.kernel='a'\n[[rule]]\nmatch.kernel={not='a'}\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.tag='a'\n[[rule]]\nmatch.tag='b'\nlink='l'\n", ""),
    ("[file]\nmatch.attr.x={max=1}\n[[rule]]\nmatch.attr.x={min=2}\nlink='l'\n", "never-holds@4:12"),
    ("[file]\nmatch.attr.x={exists=false}\n[[rule]]\nmatch.attr.x='1'\nlink='l'\n", "never-holds@4:12"),
    ("[file]\nmatch.property.x={exists=false}\n[[rule]]\nmatch.property.x=''\nlink='l'\n", ""),
    ("[[rule]]\nmatch.kernel='b'\nlink=['l', 'l']\n", "duplicate-link@3:1"),
    (
        "[[rule]]\nmatch.kernel='b'\nlink='l'\n[[rule]]\nmatch.kernel='b'\nlink='l'\nmode='0600'\n",
        "duplicate-link@6:1",
    ),
    ("[[rule]]\nmatch.kernel='b'\nlink='l'\n[[rule]]\nmatch.kernel='c'\nlink='l'\n", ""),
];

#[test]
fn every_case() {
    for (text, expected) in CASES {
        let source = SourceFile::new(Path::new("x.toml"), text.as_bytes());
        let rules = parse(&source, &known()).rules;
        assert_eq!(diagnostics(&lint(&[Arc::new(RuleFile { source, rules })])), *expected, "{text}");
    }
}
