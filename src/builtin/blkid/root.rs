//! Owns how a GPT disk tells its root partition: the disk that the machine started from says which of its partitions is the
//! root, and that one says that it is.
//!
//! <https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>; which partition the boot loader came
//! from is told by an EFI variable, <https://systemd.io/BOOT_LOADER_INTERFACE>.

use std::cmp::Ordering;
use std::fs;

use bstr::{BStr, ByteSlice};

use super::super::Context;
use super::Facts;
use crate::properties::Properties;
use crate::roots::Roots;

/// The variable, with the vendor's UUID.
const VARIABLE: &str = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The attribute bit of a GPT entry: not to be taken for a root by itself.
const NO_AUTO: u64 = 1 << 63;

/// Adds `ID_PART_GPT_AUTO_ROOT_UUID` to the disk, `ID_PART_GPT_AUTO_ROOT` to the partition, behind its UUID as udev does.
pub(super) fn add(context: &Context<'_>, facts: &Facts, properties: &mut Properties) {
    let own = properties.get("ID_PART_ENTRY_UUID");
    if own.is_some() && own == context.properties.get("ID_PART_GPT_AUTO_ROOT_UUID") {
        let all = std::mem::take(properties);
        for (key, value) in all.in_order() {
            let _valid_before = properties.set(key, value);
            if key == "ID_PART_ENTRY_UUID" {
                let _valid = properties.set("ID_PART_GPT_AUTO_ROOT", "1");
            }
        }
    }
    let boots = || facts.iter().filter(|(name, _)| name == "BOOT_PARTITION").map(|(_, uuid)| uuid.as_bstr());
    if boots().next().is_none() {
        return;
    }
    let started_from = loader_partition(context.roots);
    if boots()
        .any(|uuid| started_from.as_ref().is_some_and(|from| uuid.eq_ignore_ascii_case(from.as_bytes())))
        && let Some(root) = root(facts)
    {
        let _checked_before = properties.set("ID_PART_GPT_AUTO_ROOT_UUID", root);
    }
}

/// The root partition with the newest name; the first of those with the same.
fn root(facts: &Facts) -> Option<&BStr> {
    let mut best: Option<(&BStr, &[u8])> = None;
    for (_, value) in facts.iter().filter(|(name, _)| name == "ROOT_PARTITION") {
        let mut words = value.splitn_str(3, " ");
        let (Some(uuid), Some(flags)) = (words.next(), words.next()) else { continue };
        let flags = flags.to_str().ok().and_then(|flags| u64::from_str_radix(flags, 16).ok());
        let is_uuid = uuid.len() == 36 && uuid.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        if !is_uuid || flags.is_none_or(|flags| flags & NO_AUTO != 0) {
            continue;
        }
        let name = words.next().unwrap_or_default();
        if best.is_none_or(|(_, newest)| compare_versions(name, newest) == Ordering::Greater) {
            best = Some((uuid.as_bstr(), name));
        }
    }
    best.map(|(uuid, _)| uuid)
}

/// The partition that the boot loader came from. `None` on a machine that did not start by EFI.
fn loader_partition(roots: &Roots) -> Option<String> {
    let file = roots.sys.join("firmware/efi/efivars").join(VARIABLE);
    let bytes = fs::read(file).ok()?;
    // attributes come first, then UTF-16 with an end
    let units: Vec<u16> = bytes
        .get(4..)?
        .as_chunks::<2>()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit))
        .take_while(|u| *u != 0)
        .collect();
    String::from_utf16(&units).ok()
}

/// Compares as <https://uapi-group.org/specifications/specs/version_format_specification/> has it: `~` is before the end,
/// then come `-`, `^` and `.`; runs of digits count as numbers, letters as text; other bytes only separate.
fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let (mut a, mut b) = (a, b);
    loop {
        a = a.trim_start_with(|c| !u8::try_from(c).is_ok_and(|c| counts(&c)));
        b = b.trim_start_with(|c| !u8::try_from(c).is_ok_and(|c| counts(&c)));
        // a separator that only one has decides; the end is after `~` and before the others
        for (separator, has_it) in
            [(b'~', Ordering::Less), (b'-', Ordering::Less), (b'^', Ordering::Less), (b'.', Ordering::Less)]
        {
            let of = |text: &[u8]| text.first() == Some(&separator);
            if separator != b'~' && (a.is_empty() || b.is_empty()) {
                return b.is_empty().cmp(&a.is_empty());
            }
            match (of(a), of(b)) {
                (true, true) => (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default()),
                (true, false) => return has_it,
                (false, true) => return has_it.reverse(),
                (false, false) => {}
            }
        }
        let digits = a.first().is_some_and(u8::is_ascii_digit) || b.first().is_some_and(u8::is_ascii_digit);
        let is_part = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
        let split = |text: &[u8]| text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
        let ((part_a, rest_a), (part_b, rest_b)) = (a.split_at(split(a)), b.split_at(split(b)));
        let order = if digits { compare_numbers(part_a, part_b) } else { part_a.cmp(part_b) };
        if order != Ordering::Equal || (rest_a.len(), rest_b.len()) == (a.len(), b.len()) {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Of any length; none is less than any.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().copied().skip_while(|b| *b == b'0').collect::<Vec<u8>>();
    let order = a.is_empty().cmp(&b.is_empty()).reverse();
    let (a, b) = (significant(a), significant(b));
    order.then(a.len().cmp(&b.len())).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        // the specification's own example, in order
        let ordered = [
            "~",
            "",
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (at, older) in ordered.iter().enumerate() {
            assert_eq!(compare_versions(older.as_bytes(), older.as_bytes()), Ordering::Equal, "{older}");
            for newer in &ordered[at + 1..] {
                assert_eq!(
                    compare_versions(older.as_bytes(), newer.as_bytes()),
                    Ordering::Less,
                    "{older} {newer}"
                );
                assert_eq!(compare_versions(newer.as_bytes(), older.as_bytes()), Ordering::Greater);
            }
        }
        assert_eq!(compare_versions(b"root_2", b"root_10"), Ordering::Less);
        assert_eq!(compare_versions(b"a", b"A"), Ordering::Greater);
    }

    #[test]
    fn the_newest_root_that_may_be_taken() {
        let uuid = |digit: &str| {
            format!("{0}{0}-{1}-{1}-{1}-{0}{1}", digit.repeat(4), digit.repeat(4)) + &digit.repeat(4)
        };
        let facts = |roots: &[(&str, &str, &str)]| -> Facts {
            let value = |(digit, flags, name): &(&str, &str, &str)| format!("{} {flags} {name}", uuid(digit));
            roots.iter().map(|root| ("ROOT_PARTITION".into(), value(root).into())).collect()
        };
        type Case<'c> = (&'c [(&'c str, &'c str, &'c str)], Option<&'c str>);
        let cases: &[Case<'_>] = &[
            (&[], None),
            (&[("1", "0", "root")], Some("1")),
            (&[("1", "0", "root_9"), ("2", "0", "root_10")], Some("2")),
            (&[("1", "0", "root"), ("2", "0", "root")], Some("1")),
            (&[("1", "8000000000000000", ""), ("2", "4", "")], Some("2")),
            (&[("1", "x", "")], None),
        ];
        for (roots, expected) in cases {
            let facts = facts(roots);
            assert_eq!(root(&facts).map(|r| r.to_string()), expected.map(&uuid), "{roots:?}");
        }
    }
}
