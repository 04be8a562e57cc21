//! Owns names of interfaces on buses other than PCI: USB, BCMA, IBM's channels and virtual I/O, platforms with ACPI or a
//! device tree, simulated devices, Xen.
//!
//! Each is one short look at the devices above the interface. Never looks further than the bus it is for.

use bstr::{BString, ByteSlice};

use super::scheme::Feature;
use super::{Names, number};
use crate::builtin::look::{decimal, hex, in_subsystem};
use crate::device::Device;
use crate::ids::sysnum;

impl Names<'_, '_> {
    /// The parent, if it is of that subsystem.
    fn parent_in(&self, subsystem: &str) -> Option<Device> {
        self.context.device.parent().filter(|parent| in_subsystem(parent, subsystem))
    }

    /// The nearest device above of that subsystem.
    fn above_in(&self, subsystem: &str) -> Option<Device> {
        self.context.device.chain().skip(1).find(|device| in_subsystem(device, subsystem))
    }

    /// The component of the device's path behind `prefix`.
    fn component(&self, prefix: &[u8]) -> Option<BString> {
        let path = self.context.device.devpath();
        let rest = path.as_bytes().strip_prefix(prefix)?;
        rest.split(|&b| b == b'/').next().filter(|part| !part.is_empty()).map(BString::from)
    }

    /// The ports behind the controller, `u1u4`, with configuration and interface where they are not the usual.
    pub(super) fn usb(&mut self) {
        let Some(interface) = self.context.ancestor(self.context.device, "usb", "usb_interface") else {
            return;
        };
        let Some(suffix) = usb_suffix(&interface.sysname()) else { return };
        match interface.chain().skip(1).find(|device| in_subsystem(device, "pci")) {
            Some(controller) => self.pci_place(&controller, &suffix),
            None if self.scheme.has(Feature::UsbHost) => {
                self.add("ID_NET_NAME_PATH", self.name(&[&suffix]));
            }
            None => {}
        }
    }

    /// The core behind the bridge, `b1`.
    pub(super) fn bcma(&mut self) {
        let Some(core) = self.above_in("bcma") else { return };
        let Some(bridge) = core.chain().skip(1).find(|device| in_subsystem(device, "pci")) else { return };
        if let Some(suffix) = bcma_suffix(&core.sysname()) {
            self.pci_place(&bridge, &suffix);
        }
    }

    /// The id of a channel's device, `c600` for `0.0.0600`.
    pub(super) fn ccw(&mut self) {
        let parent = self.context.device.parent().and_then(super::pci::skip_virtio);
        let is_channel = |device: &Device| in_subsystem(device, "ccwgroup") || in_subsystem(device, "ccw");
        let Some(channel) = parent.filter(is_channel) else { return };
        if let Some(id) = channel_id(&channel.sysname()) {
            self.add("ID_NET_NAME_PATH", self.name(&[b"c", &id]));
        }
    }

    /// The slot that the hypervisor of IBM Power gives, `v2` for `/devices/vio/30000002`.
    pub(super) fn vio(&mut self) {
        if self.parent_in("vio").is_none() {
            return;
        }
        let component = self.component(b"/devices/vio/").filter(|component| component.len() == 8);
        let Some(component) = component.filter(|component| hex(component).is_some()) else { return };
        if let Some(slot) = component.get(4..).and_then(hex) {
            self.add("ID_NET_NAME_SLOT", self.name(&[format!("v{slot}").as_bytes()]));
        }
    }

    /// Vendor, model and instance of a device of the ACPI tables, `ahisic2i0` for `HISI00C2:00`.
    pub(super) fn platform(&mut self) {
        if self.parent_in("platform").is_none() {
            return;
        }
        let component = self.component(b"/devices/platform/");
        if let Some(place) = component.and_then(|component| acpi_place(&component)) {
            self.add("ID_NET_NAME_PATH", self.name(&[&place]));
        }
    }

    /// The number and port of a simulated device, `i10np1`.
    pub(super) fn simulated(&mut self) {
        let device = self.context.device;
        let Some(simulated) = self.above_in("netdevsim").filter(|_| self.scheme.has(Feature::Simulated))
        else {
            return;
        };
        let address = number(sysnum(&simulated.sysname()));
        let port = self.text(device, "phys_port_name").filter(|port| !port.is_empty());
        if let (Some(address), Some(port)) = (address, port) {
            self.add("ID_NET_NAME_PATH", self.name(&[format!("i{address}n").as_bytes(), &port]));
        }
    }

    /// The number of a Xen guest's interface, `X0` for `/devices/vif-0`.
    pub(super) fn xen(&mut self) {
        if !self.scheme.has(Feature::XenVif) || self.parent_in("xen").is_none() {
            return;
        }
        let Some(component) = self.component(b"/devices/") else { return };
        let Some(digits) = component.strip_prefix(b"vif-") else { return };
        let leading_zero = digits.len() > 1 && digits.starts_with(b"0");
        if let Some(id) = decimal(digits).filter(|&id| !leading_zero && u32::try_from(id).is_ok()) {
            self.add("ID_NET_NAME_SLOT", self.name(&[format!("X{id}").as_bytes()]));
        }
    }

    /// The alias that the device tree has for the interface, `d1` for `ethernet1`.
    pub(super) fn device_tree(&mut self) {
        if !self.scheme.has(Feature::TreeAliases) || self.prefix != "en" {
            return;
        }
        if let Some(index) = self.tree_node().and_then(|node| self.alias_of(&node)) {
            self.add("ID_NET_NAME_ONBOARD", self.name(&[format!("d{index}").as_bytes()]));
        }
    }

    /// The path of the interface's node in the device tree, or else of its parent's.
    fn tree_node(&self) -> Option<BString> {
        let device = self.context.device;
        let node = |device: &Device| self.context.reader.uevent(device).get("OF_FULLNAME").map(BString::from);
        let own = self.scheme.has(Feature::OwnTreeNode).then(|| node(device)).flatten();
        own.or_else(|| node(&device.parent()?))
    }

    fn alias_of(&self, node: &[u8]) -> Option<u32> {
        let aliases = self.outside(b"firmware/devicetree/base/aliases");
        let device = self.context.device;
        let names = self.context.reader.entries(device, &aliases);
        let value = |name: &[u8]| {
            let text = self.attribute(device, [aliases.as_slice(), b"/", name].concat())?;
            Some(BString::from(text.trim_end_with(|c| c == '\0')))
        };
        let name = names.iter().find(|name| {
            name.starts_with(b"ethernet") && value(name).is_some_and(|path| same_path(&path, node))
        })?;
        let has = |name: &str| names.iter().any(|other| *other == name);
        // `ethernet` alone is 0, and nobody may be it beside `ethernet0`
        match name.strip_prefix(b"ethernet")? {
            b"" => (!has("ethernet0")).then_some(0),
            digits => number(digits).filter(|&index| index > 0 || !has("ethernet")),
        }
    }
}

/// Paths of the device tree, alike but for doubled slashes.
fn same_path(one: &[u8], other: &[u8]) -> bool {
    let parts = |path: &[u8]| -> Vec<BString> {
        path.split(|&b| b == b'/').filter(|part| !part.is_empty()).map(BString::from).collect()
    };
    parts(one) == parts(other)
}

/// `u1u4c2i1` for `2-1.4:2.1`; configuration 1 and interface 0 are left out.
fn usb_suffix(name: &[u8]) -> Option<BString> {
    let (_bus, rest) = name.split_once_str(b"-")?;
    let (ports, rest) = rest.split_once_str(b":")?;
    let (configuration, interface) = rest.split_once_str(b".")?;
    let mut out = [b"u", ports.replace(b".", b"u").as_slice()].concat();
    if configuration != b"1" {
        out.extend_from_slice(&[b"c", configuration].concat());
    }
    if interface != b"0" {
        out.extend_from_slice(&[b"i", interface].concat());
    }
    Some(out.into())
}

/// `b1` for `bcma0:1`, nothing for core 0.
fn bcma_suffix(name: &[u8]) -> Option<BString> {
    let (bus, core) = name.strip_prefix(b"bcma")?.split_once_str(b":")?;
    decimal(bus)?;
    let digits = core.iter().take_while(|b| b.is_ascii_digit()).count();
    let core = decimal(core.get(..digits)?)?;
    Some(if core > 0 { format!("b{core}").into() } else { BString::default() })
}

/// The id without zeros and dots in front: `600` for `0.0.0600`.
fn channel_id(name: &[u8]) -> Option<BString> {
    if !matches!(name.len(), 8 | 9) {
        return None;
    }
    let start = name.iter().take_while(|b| matches!(b, b'.' | b'0')).count();
    name.get(start.min(name.len() - 1)..).map(BString::from)
}

/// `ahisic2i0` for `HISI00C2:00`: a vendor of three letters, or of four letters and digits, four digits of the model,
/// two of the instance.
fn acpi_place(name: &[u8]) -> Option<BString> {
    let (id, instance) = name.split_once_str(b":").filter(|(_, instance)| instance.len() == 2)?;
    let vendor_length = id.len().checked_sub(4).filter(|length| matches!(length, 3 | 4))?;
    let (vendor, model) = id.split_at_checked(vendor_length)?;
    let digits_too = vendor_length == 4;
    if !vendor.iter().all(|b| b.is_ascii_uppercase() || (digits_too && b.is_ascii_digit())) {
        return None;
    }
    let number = format!("{:x}i{}", hex(model)?, hex(instance)?);
    Some([b"a", vendor.to_ascii_lowercase().as_slice(), number.as_bytes()].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Part = fn(&[u8]) -> Option<BString>;

    #[test]
    fn parts_of_names() {
        let cases: &[(Part, &str, Option<&str>)] = &[
            (usb_suffix, "1-8:1.0", Some("u8")),
            (usb_suffix, "2-1.4.2:2.1", Some("u1u4u2c2i1")),
            (usb_suffix, "usb1", None),
            (usb_suffix, "1-8", None),
            (usb_suffix, "1-8:1", None),
            (bcma_suffix, "bcma0:1", Some("b1")),
            (bcma_suffix, "bcma0:0", Some("")),
            (bcma_suffix, "bcma0", None),
            (bcma_suffix, "bcma:1", None),
            (channel_id, "0.0.0600", Some("600")),
            (channel_id, "0.0.0000", Some("0")),
            (channel_id, "0.1.f5f0", Some("1.f5f0")),
            (channel_id, "0.0.10600", Some("10600")),
            (channel_id, "0.0.600", None),
            (acpi_place, "HISI00C2:00", Some("ahisic2i0")),
            (acpi_place, "APMC0D05:1f", Some("aapmcd05i31")),
            (acpi_place, "APMC0D05:01", Some("aapmcd05i1")),
            (acpi_place, "APM0D05:0a", Some("aapmd05i10")),
            (acpi_place, "AP10D05:00", None),
            (acpi_place, "H1SI00C2:00", Some("ah1sic2i0")),
            (acpi_place, "serial8250", None),
            (acpi_place, "APMC0D0g:00", None),
        ];
        for (part, name, expected) in cases {
            assert_eq!(part(name.as_bytes()), expected.map(BString::from), "{name}");
        }
    }

    #[test]
    fn paths_of_the_device_tree() {
        assert!(same_path(b"/soc/ethernet@7d580000", b"/soc//ethernet@7d580000"));
        assert!(!same_path(b"/soc/ethernet@7d580000", b"/soc/ethernet"));
    }
}
