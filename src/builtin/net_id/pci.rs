//! Owns names of interfaces on PCI: on-board index and label, slot, place, virtual functions.
//!
//! Slots are those of `/sys/bus/pci/slots` and of the firmware's nodes. Never looks at what is between the interface and
//! its PCI device: who asks has found that.

use bstr::{BString, ByteSlice};

use super::scheme::Feature;
use super::{Names, boolean, number};
use crate::builtin::look::{hex, in_subsystem};
use crate::device::Device;

/// The byte of the configuration space in which the top bit stands for several functions.
const HEADER_TYPE: usize = 0x0e;
const MULTIFUNCTION: u8 = 0x80;
/// Firmware that knows no index often gives one that is absurdly high.
const INDEX_MAX: u32 = (1 << 14) - 1;
const WIDE_INDEX_MAX: u32 = (1 << 16) - 1;

/// Where a slot's number comes from.
enum Slot {
    /// A number that is unique within a domain.
    InDomain(u32),
    /// A number that is unique on the machine.
    Alone(u32),
}

/// The parts of a PCI device's address, as names have them.
struct Place {
    domain: BString,
    bus_and_slot: BString,
    function: BString,
}

impl Names<'_, '_> {
    pub(super) fn pci(&mut self) {
        let parent = self.context.device.parent();
        let Some(device) = parent.and_then(skip_virtio).filter(|parent| in_subsystem(parent, "pci")) else {
            return;
        };
        let has_virtual = self.scheme.has(Feature::VirtualFunction);
        match self.physical_function(&device).filter(|_| has_virtual) {
            Some((physical, suffix)) => {
                self.onboard_index(&physical, &suffix);
                self.pci_place(&physical, &suffix);
            }
            None => {
                self.onboard_index(&device, b"");
                self.onboard_label(&device);
                self.pci_place(&device, b"");
            }
        }
    }

    /// Place and slot of a PCI device; `suffix` is what stands behind the names.
    pub(super) fn pci_place(&mut self, device: &Device, suffix: &[u8]) {
        let Some(Place { domain, bus_and_slot, function }) = self.place(device) else { return };
        let Some(port) = self.port(true) else { return };
        let path = self.name(&[&domain, &bus_and_slot, &function, &port, suffix]);
        self.add("ID_NET_NAME_PATH", path);
        let (domain, slot) = match self.firmware_slot(device).or_else(|| self.hotplug_slot(device)) {
            Some(Slot::InDomain(slot)) => (domain, slot),
            Some(Slot::Alone(slot)) => (BString::default(), slot),
            None => return,
        };
        let slot = format!("s{slot}");
        self.add("ID_NET_NAME_SLOT", self.name(&[&domain, slot.as_bytes(), &function, &port, suffix]));
    }

    fn place(&self, device: &Device) -> Option<Place> {
        let (domain, bus, slot, function) = address(&device.sysname())?;
        let ari = self.scheme.has(Feature::AriFunction)
            && self.attribute(device, "ari_enabled").is_some_and(|v| boolean(&v) == Some(true));
        // with ARI slot and function are one number of eight bits
        let function = if ari { function.checked_add(slot.checked_mul(8)?)? } else { function };
        let shown = function > 0 || self.has_many_functions(device);
        Some(Place {
            domain: if domain > 0 { format!("P{domain}").into() } else { BString::default() },
            bus_and_slot: format!("p{bus}s{slot}").into(),
            function: if shown { format!("f{function}").into() } else { BString::default() },
        })
    }

    /// The port of a card with several: `nNAME`, `dNUMBER`, `rNUMBER` for what stands for a virtual function, or nothing.
    /// `None` if the name is no text or an attribute is missing: such an interface gets no name.
    fn port(&self, by_device_id: bool) -> Option<BString> {
        let device = self.context.device;
        let name = self.attribute(device, "phys_port_name").filter(|name| !name.is_empty());
        if let Some(name) = name {
            if self.scheme.has(Feature::Representor)
                && let Some(number) = represented(&name)
            {
                return Some(format!("r{number}").into());
            }
            return self
                .text(device, "phys_port_name")
                .map(|name| bstr::concat([b"n", name.as_slice()]).into());
        }
        let mut port = self.number(device, "dev_port")?;
        // old drivers of InfiniBand have the port where the device's number belongs
        if port == 0 && by_device_id && self.number(device, "type")? == super::INFINIBAND {
            port = self.number(device, "dev_id")?;
        }
        Some(if port > 0 { format!("d{port}").into() } else { BString::default() })
    }

    fn onboard_index(&mut self, device: &Device, suffix: &[u8]) {
        let Some(index) = self.number(device, "acpi_index").or_else(|| self.number(device, "index")) else {
            return;
        };
        let max = if self.scheme.has(Feature::WideIndex) { WIDE_INDEX_MAX } else { INDEX_MAX };
        if index > max || (index == 0 && !self.scheme.has(Feature::ZeroIndex)) {
            return;
        }
        let Some(port) = self.port(false) else { return };
        let name = self.name(&[format!("o{index}").as_bytes(), &port, suffix]);
        self.add("ID_NET_NAME_ONBOARD", name);
    }

    fn onboard_label(&mut self, device: &Device) {
        let Some(label) = self.text(device, "label") else { return };
        let label = if self.scheme.has(Feature::PlainLabel) { label } else { self.name(&[&label]) };
        self.add("ID_NET_LABEL_ONBOARD", label);
    }

    /// The physical function of a virtual one, and `vNUMBER`.
    fn physical_function(&self, device: &Device) -> Option<(Device, BString)> {
        let physical = self.context.reader.find(b"pci", &self.slot_name(device, b"physfn")?)?;
        let own = device.sysname();
        let entries = self.context.reader.entries(&physical, b"").into_iter();
        let mut numbers = entries.filter_map(|entry| {
            let number = entry
                .strip_prefix(b"virtfn")
                .filter(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))?;
            (self.slot_name(&physical, &entry)? == own).then(|| bstr::concat([b"v", number]).into())
        });
        Some((physical.clone(), numbers.next()?))
    }

    /// The name of the PCI device that a link leads to.
    fn slot_name(&self, device: &Device, link: &[u8]) -> Option<BString> {
        let uevent = self.context.attribute(device, [link, b"/uevent"].concat())?;
        uevent.lines().find_map(|line| line.strip_prefix(b"PCI_SLOT_NAME=")).map(BString::from)
    }

    fn has_many_functions(&self, device: &Device) -> bool {
        let config = self.context.reader.attribute(device, b"config").unwrap_or_default();
        config.get(HEADER_TYPE).is_some_and(|byte| byte & MULTIFUNCTION != 0)
    }

    /// Class 06, subclass 04, as the alias for modules has it.
    fn is_bridge(&self, device: &Device) -> bool {
        let alias = self.attribute(device, "modalias").unwrap_or_default();
        let class = alias.strip_prefix(b"pci:").and_then(|alias| alias.get(alias.rfind_byte(b's')?..));
        class.is_some_and(|class| class.starts_with(b"sc04"))
    }

    /// The user's number of the slot, as the firmware's node of the device or of the port above it has it.
    fn firmware_slot(&self, device: &Device) -> Option<Slot> {
        if !self.scheme.has(Feature::FirmwareSlot) {
            return None;
        }
        let sun = |device: &Device| {
            self.number(device, "firmware_node/sun").filter(|&sun| sun > 0).map(Slot::InDomain)
        };
        sun(device).or_else(|| {
            let above = above_on_pci(device)?;
            if self.is_bridge(&above) && !self.has_many_functions(device) { None } else { sun(&above) }
        })
    }

    /// The slot of the device, or of the nearest PCI device above it that has one.
    fn hotplug_slot(&self, device: &Device) -> Option<Slot> {
        let slots = self.outside(b"bus/pci/slots");
        let names = self.context.reader.entries(self.context.device, &slots);
        let mut here = Some(device.clone());
        while let Some(pci) = here {
            if self.scheme.has(Feature::SlotOfFunctionId)
                && let Some(id) = self.attribute(&pci, "function_id")
            {
                let id = number(&id).filter(|&id| id > 0)?;
                let name = format!("{id:08x}");
                return names.iter().any(|slot| *slot == name).then_some(Slot::Alone(id));
            }
            if let Some(slot) = names.iter().find_map(|name| self.slot_at(&slots, name, &pci)) {
                let bridge = self.scheme.has(Feature::NoBridgeSlot) && self.is_bridge(&pci);
                let many = || self.scheme.has(Feature::BridgeSlotOfMany) && self.has_many_functions(device);
                return (!bridge || many()).then_some(Slot::InDomain(slot));
            }
            here = above_on_pci(&pci);
        }
        None
    }

    /// The number of slot `name` if `device` is in it: the slot's address is the device's without the function.
    fn slot_at(&self, slots: &[u8], name: &[u8], device: &Device) -> Option<u32> {
        let slot = number(name).filter(|&slot| slot > 0)?;
        let file = [slots, b"/", name, b"/address"].concat();
        let address = self.context.attribute(self.context.device, file)?;
        device.sysname().starts_with(&address).then_some(slot)
    }

    /// A path below the root of sysfs, as the reader takes it for the event's device.
    pub(super) fn outside(&self, path: &[u8]) -> BString {
        let depth = self.context.device.devpath().as_bytes().iter().filter(|&&b| b == b'/').count();
        [b"../".repeat(depth).as_slice(), path].concat().into()
    }
}

/// The device, or what is above the virtio devices that it is the lowest of.
pub(super) fn skip_virtio(device: Device) -> Option<Device> {
    device.chain().find(|device| !in_subsystem(device, "virtio"))
}

fn above_on_pci(device: &Device) -> Option<Device> {
    device.chain().skip(1).find(|device| in_subsystem(device, "pci"))
}

/// `DOMAIN:BUS:SLOT.FUNCTION`; all but the function are hexadecimal.
fn address(name: &[u8]) -> Option<(u32, u32, u32, u32)> {
    let (rest, function) = name.rsplit_once_str(b".")?;
    let mut parts = rest.split(|&b| b == b':').map(hex);
    let place = (parts.next()??, parts.next()??, parts.next()??, number(function)?);
    parts.next().is_none().then_some(place)
}

/// The virtual function that a port's name stands for: `pf0vf3`.
fn represented(name: &[u8]) -> Option<u32> {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = name.strip_prefix(b"pf")?;
    let physical = digits(rest);
    let virtual_function = rest.get(physical..)?.strip_prefix(b"vf").filter(|_| physical > 0)?;
    virtual_function.get(..digits(virtual_function))?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (name, expected) in [
            ("0000:00:14.0", Some((0, 0, 0x14, 0))),
            ("0001:af:1f.7", Some((1, 0xaf, 0x1f, 7))),
            ("10000:e1:00.0", Some((0x10000, 0xe1, 0, 0))),
            ("0000:00:14", None),
            ("00:14.0", None),
            ("0000:00:14.x", None),
            ("0000:00:00:14.0", None),
        ] {
            assert_eq!(address(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn representors() {
        for (name, expected) in [
            ("pf0vf3", Some(3)),
            ("pf12vf0", Some(0)),
            ("pf0vf3x", Some(3)),
            ("pf0", None),
            ("pfvf3", None),
            ("pf0vf", None),
            ("p0", None),
        ] {
            assert_eq!(represented(name.as_bytes()), expected, "{name}");
        }
    }
}
