//! Owns what libblkid is asked about a medium, in the order in which udev's blkid asks it. Runs in a probe only.

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use bstr::BString;

use super::{Answer, Refusal};
use crate::sys::blkid::{Ended, Library, Partition};

/// A whole disk of at most this size (a floppy disk) that has a partition table is not looked at for a file system.
const SMALL: i64 = 1440 * 1024;

/// Where a GPT says what a machine starts from: types of the EFI system partition and the extended boot loader partition
/// (UEFI; <https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>).
pub(super) const BOOT_TYPES: [&str; 2] =
    ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "bc13c2ff-59e6-4262-a352-b275fd6f7172"];

/// The type of the root partition for this architecture, from the same page.
pub(super) const ROOT_TYPE: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
} else if cfg!(target_arch = "aarch64") {
    Some("b921b045-1df0-41c3-af44-4c6f280d3fae")
} else if cfg!(target_arch = "riscv64") {
    Some("72ec70a6-cf74-40e6-bd49-4bda08e8f224")
} else if cfg!(target_arch = "x86") {
    Some("44479540-f297-41b2-9af7-d131d5f0458a")
} else if cfg!(target_arch = "arm") {
    Some("69dad710-2ce4-4e3c-b16c-21a1d49abed3")
} else {
    None
};

/// Superblocks and partition table.
pub(super) fn contents(
    library: &Library,
    medium: BorrowedFd<'_>,
    whole: bool,
    offset: u64,
    hint: Option<&BString>,
    no_raid: bool,
) -> Result<Answer, Refusal> {
    let offset = i64::try_from(offset).map_err(|_| Refusal::Unreadable)?;
    let mut probe = library.probe(medium, offset).ok_or(Refusal::Unreadable)?;
    if let Some(hint) = hint {
        let hint = CString::new(hint.to_vec()).map_err(|_| Refusal::Hint)?;
        if !probe.hint(&hint) {
            return Err(Refusal::Hint);
        }
    }
    if no_raid {
        probe.without_raid();
    }
    if whole && probe.size() <= SMALL && probe.has_table().map_err(|_| Refusal::Unreadable)? {
        return Ok(Answer::Facts(probe.values()));
    }
    match probe.run() {
        Ended::Found | Ended::Nothing => {}
        Ended::Ambivalent => return Err(Refusal::Ambivalent),
        Ended::Failed => return Err(Refusal::Unreadable),
    }
    let mut facts = probe.values();
    if facts.iter().any(|(name, value)| name == "PTTYPE" && value == "gpt") {
        facts.extend(probe.partitions().iter().filter_map(start_partition));
    }
    Ok(Answer::Facts(facts))
}

/// What a machine may start from, as `BOOT_PARTITION=UUID` or `ROOT_PARTITION=UUID FLAGS NAME`.
fn start_partition(partition: &Partition) -> Option<(BString, BString)> {
    let kind = partition.kind.to_ascii_lowercase();
    let uuid = partition.uuid.as_ref()?;
    if BOOT_TYPES.iter().any(|boot| boot.as_bytes() == kind) {
        return Some(("BOOT_PARTITION".into(), uuid.clone()));
    }
    let is_root = ROOT_TYPE.is_some_and(|root| root.as_bytes() == kind);
    is_root.then(|| {
        let flags = format!("{:x}", partition.flags);
        let name = partition.name.clone().unwrap_or_default();
        ("ROOT_PARTITION".into(), bstr::join(" ", [uuid.as_slice(), flags.as_bytes(), &name]).into())
    })
}

/// The entry of the disk's table that is this partition.
pub(super) fn entry(
    library: &Library,
    disk: BorrowedFd<'_>,
    number: Option<u32>,
    start: u64,
    size: u64,
) -> Result<Answer, Refusal> {
    let mut probe = library.probe(disk, 0).ok_or(Refusal::Unreadable)?;
    let entries = probe.partitions();
    let found = entries.iter().find(|entry| is_it(entry, number, start, size));
    Ok(Answer::Facts(found.map(entry_facts).unwrap_or_default()))
}

/// An extended partition is a few sectors long for the kernel, whatever the table says.
const EXTENDED_MAX: u64 = 1024;

fn is_it(entry: &Partition, number: Option<u32>, start: u64, size: u64) -> bool {
    let same_size = u64::try_from(entry.size) == Ok(size) || (entry.extended && size <= EXTENDED_MAX);
    let same_place = match number {
        Some(number) => entry.number == i64::from(number),
        None => u64::try_from(entry.start) == Ok(start),
    };
    same_place && same_size
}

fn entry_facts(entry: &Partition) -> Vec<(BString, BString)> {
    let number = |number: i64| Some(BString::from(number.to_string()));
    let flags = (entry.flags != 0).then(|| format!("{:#x}", entry.flags).into());
    [
        ("SCHEME", entry.scheme.clone()),
        ("NAME", entry.name.clone()),
        ("UUID", entry.uuid.clone()),
        ("TYPE", Some(entry.kind.clone())),
        ("FLAGS", flags),
        ("NUMBER", number(entry.number)),
        ("OFFSET", number(entry.start)),
        ("SIZE", number(entry.size)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((format!("PART_ENTRY_{name}").into(), value?)))
    .collect()
}
