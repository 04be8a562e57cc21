//! Owns the test that every key takes and refuses the values that systemd 257 takes and refuses: 97 keys, 339 values.
//!
//! `tests/net/link-values.txt` holds the values (`=VALUE`), then for keys that agree in all of them one line of their names and
//! one with a sign for each value: `.` where 257 was silent, `x` where it said that something is wrong.

use std::path::Path;

use super::link_file::LinkFile;
use crate::diag::SourceFile;
use crate::roots::Roots;

const VERDICTS: &str = include_str!("../../../tests/net/link-values.txt");

/// What is otherwise here on purpose: an empty value takes back, and what can't be set is said when it is read.
fn differs(key: &str, value: &str) -> bool {
    let never_empty = [
        "Link.MTUBytes",
        "Link.BitsPerSecond",
        "Link.Duplex",
        "Link.Port",
        "Link.GenericSegmentOffloadMaxBytes",
        "Link.GenericSegmentOffloadMaxSegments",
    ];
    match (key, value) {
        // the section has no number then
        ("SR-IOV.VirtualFunction", "") => true,
        (key, "") => never_empty.contains(&key),
        // 257 keeps the low 32 bits of it
        ("Link.GenericSegmentOffloadMaxBytes", "4294967296" | "18446744073709551615" | "020000000001") => {
            true
        }
        ("Link.GenericSegmentOffloadMaxBytes", "1T" | "1P" | "1E" | "2E" | "4G") => true,
        ("Link.BitsPerSecond", "1E" | "2E" | "18446744073709551615") => true,
        ("Link.ReceivePacketSteeringCPUMask", "4294967295") => true,
        _ => false,
    }
}

/// True when something is said of the value.
fn is_refused(key: &str, value: &str) -> bool {
    let (section, key) = key.split_once('.').unwrap();
    let number = if section == "SR-IOV" { "VirtualFunction=0\n" } else { "" };
    let text = format!("[{section}]\n{number}{key}={value}\n");
    let source = SourceFile::new(Path::new("x.link"), text.as_bytes());
    !LinkFile::default().read(&source, text.as_bytes(), &Roots::system()).is_empty()
}

#[test]
fn values_are_taken_and_refused_as_by_systemd_257() {
    let values: Vec<&str> = VERDICTS.lines().filter_map(|line| line.strip_prefix('=')).collect();
    let mut rest = VERDICTS.lines().skip(values.len());
    let (mut asked, mut wrong) = (0, Vec::new());
    while let (Some(keys), Some(verdicts)) = (rest.next(), rest.next()) {
        for key in keys.split(' ') {
            for (value, verdict) in values.iter().zip(verdicts.trim_start().chars()) {
                asked += 1;
                if (is_refused(key, value) != (verdict == 'x')) != differs(key, value) {
                    wrong.push(format!("{key}={value}"));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(asked, 97 * 339);
}
