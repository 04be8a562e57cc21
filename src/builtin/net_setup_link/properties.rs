//! Owns `Property=`, `ImportProperty=` and `UnsetProperty=` of `.link` files, and what a property there may be called.
//!
//! Specifiers are replaced when the file is read, so that one that is unknown is said with its place. Never sets a property.

use bstr::{BStr, BString, ByteSlice};

use super::link_file::Wanted;
use super::specifiers;
use super::values::{Quoting, Wrong};
use super::{keys, values};
use crate::properties::READ_ONLY;
use crate::roots::Roots;

/// Takes one assignment, if its key is one of these.
pub(super) fn assign(
    wanted: &mut Wanted,
    key: &[u8],
    value: &[u8],
    roots: &Roots,
) -> Option<Result<(), Wrong>> {
    let list = match key {
        b"Property" => return Some(pairs(&mut wanted.properties, value, roots)),
        b"ImportProperty" => &mut wanted.imported,
        b"UnsetProperty" => &mut wanted.unset,
        _ => return None,
    };
    if value.is_empty() {
        list.clear();
    }
    Some(keys::each(value, Quoting::Escapes, |word| {
        list.push(settable(&specifiers::expand(word, roots)?)?.to_owned());
        Ok(())
    }))
}

/// A property that was named before gets the new value in its old place.
fn pairs(list: &mut Vec<(BString, BString)>, value: &[u8], roots: &Roots) -> Result<(), Wrong> {
    if value.is_empty() {
        list.clear();
    }
    keys::each(value, Quoting::Escapes, |word| {
        let word = specifiers::expand(word, roots)?;
        let (key, value) = pair(&word)?;
        let key = settable(key)?;
        match list.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => *old = value.into(),
            None => list.push((key.into(), value.into())),
        }
        Ok(())
    })
}

/// `NAME=VALUE`, as a program's environment has it.
pub(super) fn pair(text: &[u8]) -> Result<(&[u8], &[u8]), Wrong> {
    let shown = text.as_bstr();
    let (name, value) = text.split_once_str(b"=").ok_or_else(|| {
        Wrong::from(format!("`{shown}` is no NAME=VALUE")).hint("quote a value with spaces: \"NAME=a b\"")
    })?;
    if !is_property(name) {
        return Err(bad_name(name));
    }
    match value.to_str() {
        Ok(_) => Ok((name, value)),
        Err(_) => Err(format!("the value of `{}` is not UTF-8", name.as_bstr()).into()),
    }
}

fn settable(name: &[u8]) -> Result<&BStr, Wrong> {
    if !is_property(name) {
        return Err(bad_name(name));
    }
    if READ_ONLY.iter().any(|reserved| reserved.as_bytes() == name) {
        return Err(format!("`{}` is not for files to set", name.as_bstr()).into());
    }
    Ok(name.as_bstr())
}

fn is_property(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(plain)
}

fn bad_name(name: &[u8]) -> Wrong {
    Wrong::from(format!("`{}` is no name for a property", name.as_bstr()))
        .hint("letters, digits and `_`, no digit in front")
}

/// Words as `Property=` of `[Match]` has them: each `NAME=PATTERN`.
pub(super) fn patterns(value: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), Wrong> {
    let one = |word: &[u8]| -> Result<(), Wrong> {
        let (name, pattern) = pair(word)?;
        take(name, pattern);
        Ok(())
    };
    keys::each(value, values::Quoting::Escapes, one)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wanted(lines: &[(&str, &str)]) -> (Wanted, usize) {
        let mut wanted = Wanted::default();
        let roots = Roots::below(Path::new("/nowhere"));
        let taken = |(key, value): &(&str, &str)| {
            assign(&mut wanted, key.as_bytes(), value.as_bytes(), &roots).unwrap().err()
        };
        let wrong = lines.iter().filter_map(taken).count();
        (wanted, wrong)
    }

    /// As systemd 257 takes them.
    #[test]
    fn what_is_set() {
        for (value, expected) in [
            ("A=1 B=2 A=3", "A=3 B=2"),
            ("\"A=1 2\" B=%% C=", "A=1 2 B=% C="),
            ("A=a\\x20b", "A=a b"),
            ("1A=1 B=2", "B=2"),
            ("A=1 B=%Z C=3", "A=1 C=3"),
            ("ACTION=x A-B=1 A.B=1 .A=1 =A A", ""),
            ("A=1 B=\\q C=3", "A=1"),
            ("ID_NET_NAME=x", "ID_NET_NAME=x"),
            ("A=\\xff", ""),
            ("a=%-x%", "a=%-x%"),
        ] {
            let (wanted, _) = wanted(&[("Property", value)]);
            let shown: Vec<String> = wanted.properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(shown.join(" "), expected, "{value}");
        }
        let (all, wrong) = wanted(&[
            ("Property", "A=1"),
            ("Property", ""),
            ("Property", "B=1"),
            ("Property", "A=2"),
            ("ImportProperty", "C 1D \"E\""),
            ("UnsetProperty", "F"),
            ("UnsetProperty", "TAGS G"),
        ]);
        assert_eq!(all.properties, [("B".into(), "1".into()), ("A".into(), "2".into())]);
        assert_eq!((all.imported, all.unset), (vec!["C".into(), "E".into()], vec!["F".into(), "G".into()]));
        assert_eq!(wrong, 2);
    }
}
