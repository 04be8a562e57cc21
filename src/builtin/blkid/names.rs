//! Owns udev's names for what libblkid finds, and how each value is written. Pure.

use bstr::BString;

use super::Facts;
use crate::properties::Properties;
use crate::text::{collapse_whitespace, encode_node_name_within};

/// The longest value that goes into links.
const LINK_MAX: usize = 255;

/// The properties of these facts; a fact that udev has no name for gives none.
pub(super) fn properties(facts: &Facts) -> Properties {
    facts.iter().flat_map(|(name, value)| named(name, value)).collect()
}

fn named(name: &[u8], value: &[u8]) -> Vec<(String, BString)> {
    let one = |key: &str, value: BString| vec![(key.to_owned(), value)];
    // the name fit for a link, and the same without loss
    let both = |key: &str| vec![(key.to_owned(), for_links(value)), (format!("{key}_ENC"), escaped(value))];
    let found = match name {
        b"TYPE" => one("ID_FS_TYPE", plain(value)),
        b"USAGE" => one("ID_FS_USAGE", plain(value)),
        b"VERSION" => one("ID_FS_VERSION", plain(value)),
        b"UUID" => both("ID_FS_UUID"),
        b"UUID_SUB" => both("ID_FS_UUID_SUB"),
        b"LABEL" => both("ID_FS_LABEL"),
        b"FSSIZE" => one("ID_FS_SIZE", plain(value)),
        b"FSLASTBLOCK" => one("ID_FS_LASTBLOCK", plain(value)),
        b"FSBLOCKSIZE" => one("ID_FS_BLOCKSIZE", plain(value)),
        b"PTTYPE" => one("ID_PART_TABLE_TYPE", plain(value)),
        b"PTUUID" => one("ID_PART_TABLE_UUID", plain(value)),
        b"SYSTEM_ID" | b"PUBLISHER_ID" | b"APPLICATION_ID" | b"BOOT_SYSTEM_ID" | b"VOLUME_ID"
        | b"LOGICAL_VOLUME_ID" | b"VOLUME_SET_ID" | b"DATA_PREPARER_ID" => {
            one(&format!("ID_FS_{}", String::from_utf8_lossy(name)), escaped(value))
        }
        b"PART_ENTRY_NAME" | b"PART_ENTRY_TYPE" => {
            one(&format!("ID_{}", String::from_utf8_lossy(name)), escaped(value))
        }
        _ if name.starts_with(b"PART_ENTRY_") => {
            one(&format!("ID_{}", String::from_utf8_lossy(name)), plain(value))
        }
        _ => vec![],
    };
    found.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// A value that udev takes as it is: libblkid writes these itself. A byte that it never writes there becomes `_`.
fn plain(value: &[u8]) -> BString {
    value
        .iter()
        .map(|&b| if b == b' ' || b.is_ascii_graphic() { b } else { b'_' })
        .collect::<Vec<u8>>()
        .into()
}

/// Without loss, unless it is too long for a link.
fn escaped(value: &[u8]) -> BString {
    encode_node_name_within(value, LINK_MAX)
}

/// As libblkid writes it for udev: white space collapsed, what is no UTF-8 replaced byte by byte, at most 255 bytes.
/// Control bytes too are replaced, which libblkid leaves: nobody wants them in a name.
fn for_links(value: &[u8]) -> BString {
    let mut out = BString::default();
    for chunk in collapse_whitespace(value).utf8_chunks() {
        out.extend(chunk.valid().bytes().map(|b| if b.is_ascii_control() { b'_' } else { b }));
        out.extend(chunk.invalid().iter().map(|_| b'_'));
    }
    out.truncate(LINK_MAX);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(for_links(b"a\xff\xfeb \xe9x"), "a__b__x");
        assert_eq!(for_links(&[b'x'; 300]).len(), 255);
        assert_eq!(escaped(&b"a ".repeat(60)), br"a\x20".repeat(51));
    }

    #[test]
    fn names_and_values() {
        for (name, value, expected) in [
            ("TYPE", "ext4", "ID_FS_TYPE=ext4"),
            ("LABEL", " my  disk/1 ", r"ID_FS_LABEL=my_disk/1 ID_FS_LABEL_ENC=\x20my\x20\x20disk\x2f1\x20"),
            ("LABEL", "Dätä;", r"ID_FS_LABEL=Dätä; ID_FS_LABEL_ENC=Dätä\x3b"),
            ("LABEL", "a\u{1}b", r"ID_FS_LABEL=a_b ID_FS_LABEL_ENC=a\x01b"),
            ("LABEL", "", ""),
            ("UUID", "A-B", "ID_FS_UUID=A-B ID_FS_UUID_ENC=A-B"),
            ("FSSIZE", "4096", "ID_FS_SIZE=4096"),
            ("FSBLOCKSIZE", "4096", "ID_FS_BLOCKSIZE=4096"),
            ("PTTYPE", "gpt", "ID_PART_TABLE_TYPE=gpt"),
            ("PART_ENTRY_NAME", "EFI system", r"ID_PART_ENTRY_NAME=EFI\x20system"),
            ("PART_ENTRY_DISK", "8:0", "ID_PART_ENTRY_DISK=8:0"),
            ("PUBLISHER_ID", "A B", r"ID_FS_PUBLISHER_ID=A\x20B"),
            ("TYPE", "ext4\u{7}", "ID_FS_TYPE=ext4_"),
            ("SEC_TYPE", "ext2", ""),
            ("BOOT_PARTITION", "x", ""),
        ] {
            let facts = vec![(name.into(), value.into())];
            let words: Vec<String> = properties(&facts).iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(words.join(" "), expected, "{name}={value}");
        }
    }
}
