//! Owns the names that the kernel gives to properties: what tells its part of an `E:` line's mixture from udev's.

/// Properties of an event, not of the device: never part of a recording.
const OF_THE_EVENT: [&str; 4] = ["ACTION", "DEVPATH", "SEQNUM", "SYNTH_UUID"];
/// udev's own bookkeeping, different on every run.
const BOOKKEEPING: [&str; 3] = ["UDEV_LOG", "USEC_INITIALIZED", "__DEVCONTEXT"];

/// Names that drivers and the driver core use in `uevent` files.
const KERNEL: [&str; 52] = [
    // the driver core
    "MAJOR",
    "MINOR",
    "DEVNAME",
    "DEVTYPE",
    "DEVMODE",
    "DEVUID",
    "DEVGID",
    "DRIVER",
    "MODALIAS",
    // usb, usb-serial
    "PRODUCT",
    "TYPE",
    "INTERFACE",
    "BUSNUM",
    "DEVNUM",
    "DEVICE",
    // net
    "IFINDEX",
    "NETNS",
    // block
    "PARTN",
    "PARTNAME",
    "PARTUUID",
    "DISKSEQ",
    "NPARTS",
    "DISK_RO",
    "DISK_MEDIA_CHANGE",
    "DISK_EJECT_REQUEST",
    "RESIZE",
    "SDEV_MEDIA_CHANGE",
    "SDEV_UA",
    // input
    "NAME",
    "PHYS",
    "UNIQ",
    "PROP",
    "EV",
    "KEY",
    "REL",
    "ABS",
    "MSC",
    "LED",
    "SND",
    "FF",
    "SW",
    // drm
    "HOTPLUG",
    "CONNECTOR",
    "PROPERTY",
    "LEASE",
    // ccw
    "CU_TYPE",
    "CU_MODEL",
    "DEV_TYPE",
    "DEV_MODEL",
    // firmware, dock
    "FIRMWARE",
    "TIMEOUT",
    "ASYNC",
];

/// Beginnings of such names.
const KERNEL_PREFIXES: [&str; 12] = [
    "PCI_",
    "HID_",
    "OF_",
    "SERIO_",
    "POWER_SUPPLY_",
    "NVME_",
    "MMC_",
    "SDIO_",
    "RFKILL_",
    "TYPEC_",
    "ACPI_",
    "SOUND_",
];

/// True for a property that is the kernel's by its name.
pub(super) fn is_kernel(key: &[u8]) -> bool {
    KERNEL.iter().any(|name| name.as_bytes() == key)
        || KERNEL_PREFIXES.iter().any(|prefix| key.starts_with(prefix.as_bytes()))
}

/// True for a property that says nothing about the device.
pub(super) fn is_left_out(key: &[u8]) -> bool {
    OF_THE_EVENT.iter().chain(&BOOKKEEPING).any(|name| name.as_bytes() == key)
}
