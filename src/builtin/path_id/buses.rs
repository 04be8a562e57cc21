//! Owns the parts of a path that single buses give: USB, NVMe, tapes, and the small ones.
//!
//! SCSI has its own file. Never decides whether a path is good enough.

use bstr::{BString, ByteSlice};

use super::{Next, Path, labelled};
use crate::builtin::look::{decimal, hex, in_subsystem, top_of_run};
use crate::builtin::{BuiltinError, Context};
use crate::device::Device;
use crate::ids::{DevPath, sysnum};

/// `st` or `nst` with the letter of the tape's mode (`l`, `m` or `a`) where that comes right behind it. Only the event's device
/// is asked, not what it hangs on: a path that has begun gets no mode.
pub(super) fn scsi_tape(device: &Device, path: &mut Path) -> Next {
    let name = device.sysname();
    let mode = |prefix: &str| match name.strip_prefix(prefix.as_bytes())?.first() {
        Some(&letter) if b"lma".contains(&letter) => Some(format!("{prefix}{}", char::from(letter))),
        _ => None,
    };
    if path.parts.is_empty()
        && let Some(part) = mode("nst").or_else(|| mode("st"))
    {
        path.prepend(part);
    }
    Next::Above(device.clone())
}

/// `cciss-disk1` for `c0d1` and its partitions.
pub(super) fn cciss(device: &Device, path: &mut Path) -> Next {
    path.has_transport = true;
    match cciss_disk(&device.sysname()) {
        Some(disk) => {
            path.prepend(format!("cciss-disk{disk}"));
            Next::Above(top_of_run(device, "cciss"))
        }
        None => Next::Stop,
    }
}

fn cciss_disk(name: &[u8]) -> Option<u64> {
    let (controller, rest) = name.strip_prefix(b"c")?.split_once_str(b"d")?;
    decimal(controller)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    decimal(rest.get(..digits)?)
}

/// `usb-0:PORTS:CONFIG.INTERFACE`: the number of the bus changes from start to start and is left out. USB 2 and 3 ports of one
/// controller have the same numbers, so a second form names the revision of the root hub.
pub(super) fn usb(context: &Context<'_>, device: &Device, path: &mut Path) -> Next {
    path.has_transport = true;
    if !context.is_devtype(device, "usb_interface") && !context.is_devtype(device, "usb_device") {
        return Next::Above(device.clone());
    }
    let name = device.sysname();
    let Some((_bus, port)) = name.split_once_str(b"-") else {
        return Next::Above(device.clone());
    };
    let hub = top_of_run(device, "usb");
    let revision = root_hub_revision(context, &hub)
        .map(|revision| bstr::concat([format!("usbv{revision}-0:").as_bytes(), port]).into());
    path.prepend_usb(bstr::concat([&b"usb-0:"[..], port]).into(), revision);
    Next::Above(hub)
}

/// The USB revision that a hub's protocol code stands for; high speed hubs without a transaction translator share
/// theirs with full speed hubs, and only the speed tells them apart.
fn root_hub_revision(context: &Context<'_>, hub: &Device) -> Option<u8> {
    match hex(&context.attribute(hub, "bDeviceProtocol")?)? {
        0 => Some(if context.attribute(hub, "speed")? == "480" { 2 } else { 1 }),
        1 | 2 => Some(2),
        3 => Some(3),
        _ => None,
    }
}

/// `bcma-CORE` for `bcma0:1`.
pub(super) fn bcma(device: &Device, path: &mut Path) -> Next {
    path.has_transport = true;
    match bcma_core(&device.sysname()) {
        Some(core) => {
            path.prepend(format!("bcma-{core}"));
            Next::Above(device.clone())
        }
        None => Next::Stop,
    }
}

fn bcma_core(name: &[u8]) -> Option<u64> {
    let (bus, core) = name.strip_prefix(b"bcma")?.split_once_str(b":")?;
    decimal(bus)?;
    decimal(core)
}

/// `LABEL-N` where the name ends in the number N.
pub(super) fn numbered(device: &Device, path: &mut Path, subsystem: &str, label: &str) -> Next {
    match sysnum(&device.sysname()) {
        b"" => Next::Above(device.clone()),
        number => {
            path.prepend(labelled(label, number));
            Next::Above(top_of_run(device, subsystem))
        }
    }
}

/// Adjunct processors of IBM Z: `ap-TYPE-FUNCTIONS`, or the name where these are not known.
pub(super) fn ap(context: &Context<'_>, device: &Device, path: &mut Path) -> Next {
    path.has_transport = true;
    path.has_anchor = true;
    let known = (context.attribute(device, "type"), context.attribute(device, "ap_functions"));
    path.prepend(match known {
        (Some(kind), Some(functions)) => {
            BString::from(bstr::concat([b"ap-", kind.as_slice(), b"-", functions.as_slice()]))
        }
        _ => labelled("ap", &device.sysname()),
    });
    Next::Above(top_of_run(device, "ap"))
}

/// `nvme-NAMESPACE`. With multipath the namespace hangs on a virtual subsystem; the walk goes on at the controller that its name
/// tells. Error: [`BuiltinError::NoStablePath`] where that controller is not there or is virtual itself (NVMe over fabrics).
pub(super) fn nvme(context: &Context<'_>, device: &Device, path: &mut Path) -> Result<Next, BuiltinError> {
    let Some(nsid) = namespace(context) else {
        return Ok(Next::Above(device.clone()));
    };
    path.prepend_all(labelled("nvme", &nsid));
    path.has_anchor = true;
    path.has_transport = true;
    let controller = if in_subsystem(device, "nvme-subsystem") {
        real_controller(context).ok_or(BuiltinError::NoStablePath)?
    } else {
        device.clone()
    };
    Ok(Next::Above(top_of_run(&controller, "nvme")))
}

/// The namespace number of the event's device, or for a partition that of its disk.
fn namespace(context: &Context<'_>) -> Option<BString> {
    let own = context.attribute(context.device, "nsid");
    own.or_else(|| {
        let disk = context.device.parent().filter(|_| context.is_devtype(context.device, "partition"))?;
        context.attribute(&disk, "nsid")
    })
}

fn real_controller(context: &Context<'_>) -> Option<Device> {
    let name = controller_name(&context.device.sysname())?;
    let controller = context.reader.find(b"nvme", &name)?;
    let is_virtual = |path: DevPath| path.as_bytes().starts_with(b"/devices/virtual/");
    (!is_virtual(controller.devpath())).then_some(controller)
}

/// `nvme0` for `nvme0n1`, `nvme0c1n1p2` and so on.
fn controller_name(name: &[u8]) -> Option<BString> {
    let rest = name.strip_prefix(b"nvme")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    Some(bstr::concat([&b"nvme"[..], rest.get(..digits)?]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_small_buses() {
        for (name, expected) in
            [("c0d1", Some(1)), ("c12d3p4", Some(3)), ("cd1", None), ("c0d", None), ("sda", None)]
        {
            assert_eq!(cciss_disk(name.as_bytes()), expected, "{name}");
        }
        for (name, expected) in [("bcma0:1", Some(1)), ("bcma:1", None), ("bcma0", None), ("bcma0:x", None)] {
            assert_eq!(bcma_core(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn names_of_controllers() {
        for (name, expected) in [
            ("nvme0n1", Some("nvme0")),
            ("nvme12n1p2", Some("nvme12")),
            ("nvme0c1n1", Some("nvme0")),
            ("sda", None),
        ] {
            assert_eq!(controller_name(name.as_bytes()), expected.map(BString::from), "{name}");
        }
    }
}
