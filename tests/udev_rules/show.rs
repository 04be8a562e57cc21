//! Shows what a text came to, in one line each.

use std::path::Path;
use std::sync::LazyLock;

use bstr::ByteSlice;
use nameplate::diag::{Diagnostic, Place, SourceFile};
use nameplate::rules::ir::{Rule, StepKind};
use nameplate::rules::toml::{AccountFiles, Known};
use nameplate::rules::udev::{self, Parsed};

/// The accounts that the tests know.
pub(crate) static ACCOUNTS: LazyLock<AccountFiles> = LazyLock::new(|| {
    AccountFiles::parse("root:x:0:0::\nann:x:1000:1000::\n", "root:x:0:\ntty:x:5:\ndisk:x:6:\n")
});

/// The accounts and builtins that the tests know.
pub(crate) fn known() -> Known<'static> {
    Known { accounts: &*ACCOUNTS, builtins: &["path_id", "usb_id"] }
}

pub(crate) fn parse(text: &[u8]) -> Parsed {
    udev::parse(&SourceFile::new(Path::new("x.rules"), text), text, &known())
}

/// `code@line:column`, in order.
pub(crate) fn diagnostics(all: &[Diagnostic]) -> String {
    let one = |d: &Diagnostic| format!("{}@{}:{}", d.code, d.place.line, d.place.column);
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The rules as the printer writes them, one line each.
pub(crate) fn printed(rules: &[Rule]) -> String {
    match udev::print(rules) {
        Ok(text) => text.to_str_lossy().trim_end_matches('\n').to_owned(),
        Err(unsayable) => format!("{unsayable:?}"),
    }
}

/// The same rules as if all stood at one place.
pub(crate) fn without_places(mut rules: Vec<Rule>) -> Vec<Rule> {
    let nowhere = SourceFile::new(Path::new("x"), b"").place(0..0);
    let clear = |place: &mut Place| *place = nowhere.clone();
    for rule in &mut rules {
        clear(&mut rule.place);
        rule.jump.iter_mut().for_each(|jump| clear(&mut jump.place));
        for step in &mut rule.steps {
            clear(&mut step.place);
            if let StepKind::Parent(group) = &mut step.kind {
                group.iter_mut().for_each(|(place, _)| clear(place));
            }
        }
    }
    rules
}
