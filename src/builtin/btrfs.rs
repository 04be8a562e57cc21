//! Owns `btrfs ready`: whether all devices of a btrfs file system are there, in `ID_BTRFS_READY`.
//!
//! The kernel learns of the device by being asked.

use std::fs::OpenOptions;
use std::io;

use bstr::{BString, ByteSlice};

use super::{BuiltinError, Context, Found};
use crate::device::Source;
use crate::properties::Properties;
use crate::sys::btrfs;

/// Runs `btrfs ready DEVICE`.
pub(super) fn run(arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let [verb, device] = arguments else { return Err(wrong()) };
    if verb != "ready" {
        return Err(wrong());
    }
    let live = matches!(context.reader.tree().source(), Source::Live(root) if *root == context.roots.sys);
    if !live {
        return Err(BuiltinError::Failed("only the kernel of the device's machine can be asked".into()));
    }
    let failed =
        |error: io::Error| BuiltinError::Failed(format!("btrfs ready {}: {error}", device.as_bstr()));
    let control = OpenOptions::new().read(true).write(true).open(context.roots.dev.join("btrfs-control"));
    let ready = match control {
        Ok(control) => btrfs::is_ready(&control, device).map_err(|errno| failed(errno.into()))?,
        // no driver: it may come later, after the initramfs, and asks again
        Err(error) if is_absent(&error) => false,
        Err(error) => return Err(failed(error)),
    };
    let value = if ready { "1" } else { "0" };
    let found: Properties =
        [("ID_BTRFS_READY", value)].into_iter().map(|(k, v)| (k, BString::from(v))).collect();
    Ok(found.into())
}

fn wrong() -> BuiltinError {
    BuiltinError::Arguments("write `btrfs ready DEVICE`".into())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::ENXIO))
}
