//! Shows what a text came to, in one line each.

use nameplate::rules::toml::{AccountFiles, Known};

/// The accounts and builtins that the tests know.
pub(crate) fn known() -> Known<'static> {
    static ACCOUNTS: std::sync::LazyLock<AccountFiles> = std::sync::LazyLock::new(|| {
        AccountFiles::parse("root:x:0:0::\nann:x:1000:1000::\n", "root:x:0:\ntty:x:5:\ndisk:x:6:\n")
    });
    Known { accounts: &*ACCOUNTS, builtins: &["path_id", "usb_id"] }
}
