//! Owns what rules ask of the system beside devices: constants, numbers as accounts.
//!
//! Everything is read below the given roots, when it is asked for. Never caches: such questions are rare.

use bstr::{BString, ByteSlice};

use crate::machine;
use crate::roots::Roots;
use crate::rules::ir::ConstKey;

/// The id behind a name; a decimal number is itself.
pub(super) fn account(name: &[u8], look_up: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
    decimal(name).or_else(|| look_up(name.to_str().ok()?))
}

fn decimal(text: &[u8]) -> Option<u32> {
    // `parse` would take a sign.
    text.first().filter(|b| b.is_ascii_digit())?;
    text.to_str().ok()?.parse().ok()
}

/// A constant of the system, in systemd's words.
pub(super) fn constant(roots: &Roots, key: ConstKey) -> Option<BString> {
    match key {
        ConstKey::Arch => Some(machine::architecture(roots).into()),
        ConstKey::Virt => Some(machine::virtualisation(roots).into()),
        ConstKey::Cvm => Some(machine::confidential(roots).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let known = |name: &str| (name == "dialout" || name == "20x").then_some(20);
        let cases = [
            ("dialout", Some(20)),
            ("1234", Some(1234)),
            ("20x", Some(20)),
            ("none", None),
            ("", None),
            ("+5", None),
            ("99999999999", None),
        ];
        for (name, expected) in cases {
            assert_eq!(account(name.as_bytes(), known), expected, "{name}");
        }
        assert_eq!(account(b"\xff", known), None);
    }
}
