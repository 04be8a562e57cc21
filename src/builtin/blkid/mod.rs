//! Owns `blkid`: what is on a block device, as `ID_FS_*` and `ID_PART_*`, and what a loop device reads from.
//!
//! libblkid does the looking, in a probe (`probe/`). What it says is turned into udev's names here. Which partition a
//! partition is stands in its disk's table, so that for one the disk is asked as well. A disk whose size is 0 holds nothing
//! and is not asked at all: at the start of a machine that is what most loop devices are.

mod arguments;
mod backing;
mod names;
mod root;

use bstr::{BString, ByteSlice};

use self::arguments::Arguments;
use super::look::{decimal, in_subsystem};
use super::medium::{Closed, Medium};
use super::{BuiltinError, Context, Found};
use crate::device::Device;
use crate::probe::{Answer, Request};
use crate::properties::Properties;

/// What libblkid said: names of its own, and values.
type Facts = Vec<(BString, BString)>;

/// Runs `blkid [--offset=BYTES] [--hint=NAME=NUMBER] [--noraid]`. A device without a medium has no properties, which is no
/// error.
pub(super) fn run(arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let arguments = Arguments::parse(arguments)?;
    let device = context.device;
    if is_empty(context, device) || is_private(context, device) {
        return Ok(Properties::new().into());
    }
    let medium = match context.open(device) {
        Ok(medium) => medium,
        Err(Closed::Absent) => return Ok(Properties::new().into()),
        Err(Closed::Failed(error)) => return Err(error),
    };
    let part = part_of(context, device);
    let mut facts = facts(context, &arguments.request(is_whole(device, part.as_ref())), &medium)?;
    if let Some(part) = &part {
        facts.extend(entry(context, part)?);
    }
    let mut properties = names::properties(&facts);
    root::add(context, &facts, &mut properties);
    if device.sysname().starts_with(b"loop") {
        backing::add(&medium.file, &mut properties);
    }
    Ok(properties.into())
}

fn facts(context: &Context<'_>, request: &Request, medium: &Medium) -> Result<Facts, BuiltinError> {
    match context.ask(request, medium)? {
        Answer::Facts(facts) => Ok(facts),
        _ => Ok(Facts::new()),
    }
}

/// True for a disk without a medium, as the kernel knows it.
fn is_empty(context: &Context<'_>, device: &Device) -> bool {
    in_subsystem(device, "block") && context.attribute(device, "size").is_some_and(|size| size == "0")
}

/// True for a device mapper's device that is another's inner part: LVM's and Stratis's own volumes, whose contents are
/// nobody's business.
fn is_private(context: &Context<'_>, device: &Device) -> bool {
    let uuid = context.attribute(device, "dm/uuid").unwrap_or_default();
    let lvm = uuid.strip_prefix(b"LVM-").and_then(|rest| rest.rsplit_once_str(b"-"));
    lvm.is_some_and(|(_, layer)| !layer.is_empty()) || uuid.starts_with(b"stratis-1-private")
}

/// A disk: a block device that is no partition.
fn is_whole(device: &Device, part: Option<&Part>) -> bool {
    in_subsystem(device, "block") && part.is_none()
}

/// A partition and the disk that it is of.
#[derive(Debug)]
struct Part {
    /// `None`: it can't be told.
    disk: Option<Device>,
    /// Where the place says nothing.
    number: Option<u32>,
    start: u64,
    size: u64,
}

/// What `device` is a partition of, if it is one: of the kernel's, or of the device mapper's, whose UUID begins with
/// `partN-`.
fn part_of(context: &Context<'_>, device: &Device) -> Option<Part> {
    let sectors = |name: &str| decimal(&context.attribute(device, name)?);
    let size = sectors("size").unwrap_or_default();
    if context.is_devtype(device, "partition") {
        return Some(Part { disk: device.parent(), number: None, start: sectors("start")?, size });
    }
    let number = mapped_number(&context.attribute(device, "dm/uuid")?)?;
    let disk = match context.reader.entries(device, b"slaves").as_slice() {
        [only] => context.reader.find(b"block", only),
        _ => None,
    };
    Some(Part { disk, number: Some(number), start: 0, size })
}

/// The number of a partition that the device mapper made: 3 of `part3-mpath-…`.
fn mapped_number(uuid: &[u8]) -> Option<u32> {
    let (head, _) = uuid.split_once_str(b"-")?;
    let (word, number) = head.split_at_checked(4)?;
    let number = u32::try_from(decimal(number)?).ok()?;
    word.eq_ignore_ascii_case(b"part").then_some(number)
}

/// What the disk's table says of the partition, with the disk's number. Nothing, if there is no such entry.
fn entry(context: &Context<'_>, part: &Part) -> Result<Facts, BuiltinError> {
    let Some(disk) = &part.disk else { return Ok(Facts::new()) };
    let Some(number) = disk.devnum() else { return Ok(Facts::new()) };
    let Ok(medium) = context.open(disk) else { return Ok(Facts::new()) };
    let request = Request::Entry { number: part.number, start: part.start, size: part.size };
    let mut facts = facts(context, &request, &medium)?;
    if !facts.is_empty() {
        facts.push(("PART_ENTRY_DISK".into(), format!("{}:{}", number.major, number.minor).into()));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_mapped_partitions() {
        for (uuid, expected) in [
            ("part3-mpath-3600a0b8", Some(3)),
            ("PART12-mpath-x", Some(12)),
            ("part-mpath-x", None),
            ("party-1", None),
            ("part3", None),
            ("LVM-abc", None),
            ("", None),
        ] {
            assert_eq!(mapped_number(uuid.as_bytes()), expected, "{uuid}");
        }
    }
}
