//! Owns `dmi_memory_id`: what memory modules the firmware says that a machine has, as `MEMORY_*`.
//!
//! Reads the firmware's tables from sysfs only.

mod table;

use std::fs;

use bstr::{BString, ByteSlice};

use super::helper::{Arguments, Said};
use super::{BuiltinError, Context};

/// The longest table that is read.
const TABLE_MAX: usize = 1 << 20;

/// Says what is in the tables, or in a file that `dmidecode --dump-bin` wrote (`--from-dump FILE`).
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, &[("from-dump", b'F', true)])?;
    let directory = context.roots.sys.join("firmware/dmi/tables");
    let read = |path: &std::path::Path| {
        fs::read(path).map_err(|error| BuiltinError::Failed(format!("{}: {error}", path.display())))
    };
    let (entry, table) = match arguments.value(b'F') {
        Some(file) => (read(std::path::Path::new(&file.to_os_str_lossy().into_owned()))?, None),
        None => {
            context.not_recorded()?;
            (read(&directory.join("smbios_entry_point"))?, Some(read(&directory.join("DMI"))?))
        }
    };
    let place = table::entry_point(&entry).ok_or_else(|| {
        BuiltinError::Failed("the firmware's entry point is none, or its sum is wrong".into())
    })?;
    // in sysfs the table stands alone; in a dump it is where the entry point says
    let table = match &table {
        Some(table) => table.get(..place.len.min(table.len())),
        None => entry.get(place.offset..).map(|rest| rest.get(..place.len).unwrap_or(rest)),
    };
    let table = table.filter(|table| table.len() <= TABLE_MAX).unwrap_or_default();
    Ok(Said::facts(table::facts(table, place.count)))
}
