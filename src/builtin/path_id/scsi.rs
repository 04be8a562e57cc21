//! Owns the part of a path that SCSI gives, which is told by the transport below the SCSI host: fibre channel, SAS, iSCSI,
//! ATA, Hyper-V, FireWire, or a host of no known kind.
//!
//! Transports have no bus of their own in sysfs: a component of the devpath tells which one it is, and a class device below that
//! component, of the same name, holds its attributes.

use bstr::{BString, ByteSlice};

use super::{Next, Path, labelled};
use crate::builtin::Context;
use crate::builtin::look::{ScsiAddress, decimal, top_of_run};
use crate::device::Device;
use crate::ids::sysnum;

/// What carries the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    FibreChannel,
    Sas,
    Iscsi,
    Ata,
    HyperV,
    Other,
}

/// In this order: the first that names a component of the devpath wins.
const TRANSPORTS: [(&[u8], Transport); 6] = [
    (b"/rport-", Transport::FibreChannel),
    (b"/end_device-", Transport::Sas),
    (b"/session", Transport::Iscsi),
    (b"/ata", Transport::Ata),
    (b"/vmbus_", Transport::HyperV),
    (b"/VMBUS", Transport::HyperV),
];

fn transport_of(devpath: &[u8]) -> Transport {
    let found = TRANSPORTS.iter().find(|(sign, _)| devpath.contains_str(sign));
    found.map_or(Transport::Other, |(_, transport)| *transport)
}

/// The SCSI part; hosts and targets on the way are passed by.
pub(super) fn scsi(context: &Context<'_>, device: &Device, path: &mut Path) -> Next {
    path.has_transport = true;
    if !context.is_devtype(device, "scsi_device") {
        return Next::Above(device.clone());
    }
    if let Some(id) = context.attribute(device, "ieee1394_id") {
        path.prepend(labelled("ieee1394", &bstr::concat([&b"0x"[..], &id])));
        path.has_anchor = true;
        return Next::Above(top_of_run(device, "scsi"));
    }
    let transport = transport_of(device.devpath().as_bytes());
    // World wide names and iSCSI addresses are unique without anything in front of them.
    path.has_anchor |= matches!(transport, Transport::FibreChannel | Transport::Sas | Transport::Iscsi);
    let part = match transport {
        Transport::FibreChannel => fibre_channel(context, device),
        Transport::Sas => sas(context, device),
        Transport::Iscsi => iscsi(context, device),
        Transport::HyperV => hyperv(context, device),
        Transport::Ata => return ata(context, device, path).into(),
        Transport::Other => return other(context, device, path).into(),
    };
    match part {
        Some(part) => {
            path.prepend(part);
            Next::Above(device.clone())
        }
        None => Next::Stop,
    }
}

/// `lun-N`; a number above 255 in the 64 bit form of the standard, of which Linux uses the first half.
fn lun(device: &Device) -> Option<String> {
    let lun = decimal(sysnum(&device.sysname()))?;
    Some(if lun < 256 {
        format!("lun-{lun}")
    } else {
        format!("lun-0x{:04x}{:04x}00000000", lun & 0xffff, (lun >> 16) & 0xffff)
    })
}

fn with_lun(device: &Device, parts: &[&[u8]]) -> Option<BString> {
    let mut out = BString::from(bstr::concat(parts));
    out.push(b'-');
    out.extend_from_slice(lun(device)?.as_bytes());
    Some(out)
}

fn fibre_channel(context: &Context<'_>, device: &Device) -> Option<BString> {
    let target = context.ancestor(device, "scsi", "scsi_target")?;
    with_lun(device, &[b"fc-", &class_attribute(context, &target, "fc_transport", "port_name")?])
}

fn sas(context: &Context<'_>, device: &Device) -> Option<BString> {
    let of_class = |device: &Device, name| class_attribute(context, device, "sas_device", name);
    let end_device = context.ancestor(device, "scsi", "scsi_target")?.parent()?;
    let port = end_device.parent()?;
    if class_attribute(context, &port, "sas_port", "num_phys")? != "1" {
        // a wide port: no single phy to name, the address has to do
        return with_lun(device, &[b"sas-", &of_class(&end_device, "sas_address")?]);
    }
    let phy = of_class(&end_device, "phy_identifier")?;
    match of_class(&port.parent()?, "sas_address") {
        Some(expander) => with_lun(device, &[b"sas-exp", &expander, b"-phy", &phy]),
        None => with_lun(device, &[b"sas-phy", &phy]),
    }
}

fn iscsi(context: &Context<'_>, device: &Device) -> Option<BString> {
    let session = device.chain().skip(1).find(|d| d.sysname().starts_with(b"session"))?;
    let target = class_attribute(context, &session, "iscsi_session", "targetname")?;
    let name = session.sysname();
    let connection = format!("connection{}:0", sysnum(&name).as_bstr());
    let of_connection = |attribute| {
        context.attribute(&session, format!("{connection}/iscsi_connection/{connection}/{attribute}"))
    };
    let (address, port) = (of_connection("persistent_address")?, of_connection("persistent_port")?);
    with_lun(device, &[b"ip-", &address, b":", &port, b"-iscsi-", &target])
}

/// An attribute of the class device that a transport keeps below `device`, under the same name.
fn class_attribute(context: &Context<'_>, device: &Device, class: &str, attribute: &str) -> Option<BString> {
    let devpath = device.devpath();
    let name = bstr::concat([class.as_bytes(), b"/", devpath.last(), b"/", attribute.as_bytes()]);
    context.attribute(device, name)
}

/// `ata-PORT.TARGET`, behind a port multiplier `ata-PORT.CHANNEL.0`.
fn ata(context: &Context<'_>, device: &Device, path: &mut Path) -> Option<Device> {
    let address = ScsiAddress::parse(&device.sysname())?;
    let port = context.ancestor(device, "scsi", "scsi_host")?.parent()?;
    let number = class_attribute(context, &port, "ata_port", "port_no")?;
    let old = labelled("ata", &number);
    let tail = match address {
        ScsiAddress { channel: 0, target, .. } => format!(".{target}"),
        ScsiAddress { channel, .. } => format!(".{channel}.0"),
    };
    path.prepend_ata(bstr::concat([old.as_slice(), tail.as_bytes()]), old);
    Some(device.clone())
}

fn hyperv(context: &Context<'_>, device: &Device) -> Option<BString> {
    let channel = context.ancestor(device, "scsi", "scsi_host")?.parent()?;
    let id = context.attribute(&channel, "device_id")?;
    with_lun(device, &[b"vmbus-", &guid_digits(&id)?])
}

/// The GUID in braces without braces and hyphens.
fn guid_digits(id: &[u8]) -> Option<BString> {
    let inner = id.strip_prefix(b"{")?.strip_suffix(b"}")?;
    Some(inner.replace(b"-", b"").into())
}

/// `scsi-HOST:CHANNEL:TARGET:LUN`. The kernel counts hosts over the whole machine; the number of the controller's first host is
/// taken off, so that for most machines what is left does not depend on the order of discovery.
fn other(context: &Context<'_>, device: &Device, path: &mut Path) -> Option<Device> {
    let host = context.ancestor(device, "scsi", "scsi_host")?;
    let address = ScsiAddress::parse(&device.sysname())?;
    let Some(first) = first_host(context, &host) else {
        return Some(host);
    };
    let ScsiAddress { host: number, channel, target, lun } = address;
    path.prepend(format!("scsi-{}:{channel}:{target}:{lun}", number.saturating_sub(first)));
    Some(host)
}

/// The smallest N of all `hostN` in the directory that `host` is in.
fn first_host(context: &Context<'_>, host: &Device) -> Option<u64> {
    let directory = host.devpath().parent()?;
    let device = host.parent()?;
    let below = directory.as_bytes().strip_prefix(device.devpath().as_bytes())?;
    let below = below.strip_prefix(b"/").unwrap_or(below);
    let names = context.reader.entries(&device, below);
    names.iter().filter_map(|name| decimal(name.strip_prefix(b"host")?)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports() {
        for (path, expected) in [
            ("/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0", Transport::Ata),
            (
                "/devices/pci0000:00/0000:00:05.0/host1/rport-1:0-2/target1:0:0/1:0:0:0",
                Transport::FibreChannel,
            ),
            (
                "/devices/pci0000:00/0000:00:05.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0",
                Transport::Sas,
            ),
            ("/devices/platform/host4/session1/target4:0:0/4:0:0:1", Transport::Iscsi),
            ("/devices/LNXSYSTM:00/VMBUS:00/00000000-0000/host0/target0:0:0/0:0:0:0", Transport::HyperV),
            ("/devices/vmbus/vmbus_0_1/host0/target0:0:0/0:0:0:0", Transport::HyperV),
            ("/devices/pci0000:00/0000:00:05.0/virtio0/host2/target2:0:0/2:0:0:0", Transport::Other),
        ] {
            assert_eq!(transport_of(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn guids() {
        assert_eq!(
            guid_digits(b"{f8b3781a-1e82-4818-a1c3-63d806ec15bb}").unwrap(),
            "f8b3781a1e824818a1c363d806ec15bb"
        );
        assert_eq!(guid_digits(b"f8b3781a"), None);
    }
}
