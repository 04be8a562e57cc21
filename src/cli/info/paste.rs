//! Owns how a device on the way up is shown so that its lines can be put into a rule: TOML keys with values that match
//! what is there and nothing else.

use std::fmt::Write as _;

use super::facts::Level;

/// What tells one device from another of its kind: these attributes come into the line to paste.
const TELLING: [&str; 12] = [
    "idVendor",
    "idProduct",
    "serial",
    "bInterfaceNumber",
    "vendor",
    "device",
    "model",
    "wwid",
    "unique_id",
    "address",
    "name",
    "index",
];
/// Longer values are shown with their beginning only, and no pattern is made of them.
const VALUE_MAX: usize = 100;

/// The keys of a device, one a line; a value that can't be a pattern is left out, and power management.
pub(super) fn keys(level: &Level) -> Vec<String> {
    let mut out = vec![format!("kernel = {}", value(&level.kernel))];
    out.extend(level.subsystem.iter().map(|name| format!("subsystem = {}", value(name))));
    out.extend(level.driver.iter().map(|name| format!("driver = {}", value(name))));
    // Power management is the same few values on every device: nothing to know one by.
    let own = level.attributes.iter().filter(|(name, _)| !name.starts_with("power/"));
    let attributes = own.filter(|(_, found)| can_be_matched(found));
    out.extend(attributes.map(|(name, found)| format!("{} = {}", key(name), value(found))));
    out
}

/// One table that holds on this device: `parent = { … }` or `match = { … }`. `None` where nothing tells it from others.
pub(super) fn table(word: &str, level: &Level) -> Option<String> {
    let mut pairs: Vec<String> =
        level.subsystem.iter().map(|name| format!("subsystem = {}", value(name))).collect();
    let telling = TELLING.iter().filter_map(|name| Some((name, level.attributes.get(*name)?)));
    let telling = telling.filter(|(_, found)| !found.is_empty() && can_be_matched(found));
    pairs.extend(telling.map(|(name, found)| format!("{} = {}", key(name), value(found))));
    if pairs.len() < 2 {
        pairs.extend(level.driver.iter().map(|name| format!("driver = {}", value(name))));
    }
    (!pairs.is_empty()).then(|| format!("{word} = {{ {} }}", pairs.join(", ")))
}

pub(super) fn can_be_matched(found: &str) -> bool {
    found.len() <= VALUE_MAX && !found.chars().any(|c| c.is_control() || c == '\u{fffd}')
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        format!("attr.{name}")
    } else {
        format!("attr.{}", quoted(name))
    }
}

/// A value as a pattern that matches it: what is special in a glob stands for itself, `|` (which no glob can hold) and
/// a backslash for any character.
fn value(found: &str) -> String {
    let mut pattern = String::new();
    for c in found.chars() {
        match c {
            '*' | '?' | '[' => {
                let _a_string_takes_all = write!(pattern, "[{c}]");
            }
            '|' | '\\' => pattern.push('?'),
            c => pattern.push(c),
        }
    }
    quoted(&pattern)
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _a_string_takes_all = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Case, Pattern};

    #[test]
    fn a_value_matches_itself_and_nothing_else_of_its_kind() {
        for (found, pattern) in [
            ("1546", "\"1546\""),
            ("a*b", "\"a[*]b\""),
            ("[1]?", "\"[[]1][?]\""),
            ("a|b\\c", "\"a?b?c\""),
            ("say \"x\"", "\"say \\\"x\\\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(value(found), pattern);
            let text: String = toml::from_str::<toml::Table>(&format!("v = {pattern}")).unwrap()["v"]
                .as_str()
                .unwrap()
                .into();
            assert!(Pattern::new(text.as_bytes(), Case::Sensitive).matches(found.as_bytes()), "{found}");
        }
    }

    #[test]
    fn keys_that_need_quotes_have_them() {
        for (name, expected) in [
            ("idVendor", "attr.idVendor"),
            ("power/control", "attr.\"power/control\""),
            ("a.b", "attr.\"a.b\""),
            ("bConfigurationValue", "attr.bConfigurationValue"),
        ] {
            assert_eq!(key(name), expected);
        }
    }
}
