//! Owns what is known of where properties come from: the kernel, builtins, the helper programs of udev, other packages.
//! Names that end in `*` stand for all that begin so.

/// What the kernel puts into uevents, and what udev itself adds.
pub(super) const KERNEL: &[&str] = &[
    "ABS",
    "ACTION",
    "ALIAS",
    "ASYNC",
    "BUSNUM",
    "CPUFREQ*",
    "DEVGID",
    "DEVLINKS",
    "DEVMODE",
    "DEVNAME",
    "DEVNUM",
    "DEVPATH",
    "DEVPATH_OLD",
    "DEVTYPE",
    "DEVUID",
    "DISKSEQ",
    "DISK_*",
    "DRIVER",
    "DRM_*",
    "ERROR",
    "EV",
    "EVENT",
    "FF",
    "FIRMWARE",
    "HID_*",
    "HOTPLUG",
    "HWSLOT",
    "ID",
    "IFINDEX",
    "INTERFACE",
    "KEY",
    "LED",
    "LEASE",
    "MAJOR",
    "MINOR",
    "MMC_*",
    "MODALIAS",
    "MSC",
    "NAME",
    "NPARTS",
    "NVME_*",
    "OF_*",
    "PARTN",
    "PARTNAME",
    "PARTUUID",
    "PCI_*",
    "PHYS",
    "PHYSDEV*",
    "POWER_SUPPLY_*",
    "PRODUCT",
    "PROP",
    "REL",
    "RESIZE",
    "RFKILL_*",
    "SDEV_*",
    "SDIO_*",
    "SEQNUM",
    "SERIO_*",
    "SND",
    "SPACE",
    "SPECIFIER",
    "STATE",
    "SUBSYSTEM",
    "SW",
    "SYNTH_*",
    "TAGS",
    "TIMEOUT",
    "TRIP",
    "TYPE",
    "UNIQ",
    "UPDATE",
    "USEC_INITIALIZED",
    "USB_*",
    "WMI_*",
    "CONNECTOR",
    "PROPERTY",
    "ONLINE",
    "CARD*",
    "IEEE1394_*",
    "TARGET",
    "SPECIFIER_ID",
    "VERSION",
    "MODEL_ID",
    "VENDOR_ID",
    "GROUP",
    "CAUSE",
    "CONFIG",
    "CU_TYPE",
    "CU_MODEL",
    "DEV_TYPE",
    "DEV_MODEL",
    "DEV_STATE",
    "MEM_STATE",
    "DM_COOKIE",
    "DM_NAME",
    "DM_UUID",
    "DM_SEQNUM",
    "DM_ACTION",
    "DM_PATH",
    "DM_NR_VALID_PATHS",
    "DM_TARGET",
    "CURRENT_TAGS",
    "TIFM_CARD_TYPE",
    "THERMAL_*",
    "SOUND_INITIALIZED",
    "PTP*",
    "EXT_*",
];

/// Families of properties that packages other than udev set, by rules or by programs that rules run; a rule may ask for
/// them whether or not the package is there.
pub(super) const FAMILIES: &[&str] = &[
    "ACPI_*",
    "BRLTTY_*",
    "COLORD_*",
    "DM_*",
    "FWUPD_*",
    "GNOME_*",
    "ID_MM_*",
    "LIBINPUT_*",
    "LVM_*",
    "MD_*",
    "MM_*",
    "MPATH_*",
    "NM_*",
    "PULSE_*",
    "SYSTEMD_*",
    "UDEV_*",
    "UDISKS_*",
    "UPOWER_*",
    "WACOM_*",
    "ZFS_*",
    "ACP_*",
    "ALSA_*",
    "PIPEWIRE_*",
    "STORAGED_*",
    "UCM_*",
    "ID_MEDIA_PLAYER",
    "libsane_matched",
];

/// What udev's builtins give.
pub(super) const BUILTINS: &[(&str, &[&str])] = &[
    ("blkid", &["ID_FS_*", "ID_PART_*"]),
    ("btrfs", &["ID_BTRFS_READY"]),
    ("hwdb", HWDB),
    ("input_id", &["ID_INPUT", "ID_INPUT_*"]),
    ("net_driver", &["ID_NET_DRIVER"]),
    ("net_id", &["ID_NET_NAME_*", "ID_NET_LABEL_ONBOARD", "ID_NET_NAMING_SCHEME"]),
    ("net_setup_link", &["ID_NET_LINK_FILE", "ID_NET_LINK_FILE_DROPINS", "ID_NET_NAME", "ID_NET_*"]),
    ("path_id", &["ID_PATH", "ID_PATH_*"]),
    ("usb_id", USB_ID),
];

const USB_ID: &[&str] = &[
    "ID_BUS",
    "ID_INSTANCE",
    "ID_MODEL",
    "ID_MODEL_ENC",
    "ID_MODEL_ID",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_TYPE",
    "ID_USB_DRIVER",
    "ID_USB_INSTANCE",
    "ID_USB_INTERFACES",
    "ID_USB_INTERFACE_NUM",
    "ID_USB_MODEL",
    "ID_USB_MODEL_ENC",
    "ID_USB_MODEL_ID",
    "ID_USB_REVISION",
    "ID_USB_SERIAL",
    "ID_USB_SERIAL_SHORT",
    "ID_USB_TYPE",
    "ID_USB_VENDOR",
    "ID_USB_VENDOR_ENC",
    "ID_USB_VENDOR_ID",
    "ID_VENDOR",
    "ID_VENDOR_ENC",
    "ID_VENDOR_ID",
];

/// What the hardware databases of udev and of other packages hold.
pub(super) const HWDB: &[&str] = &[
    "ACCEL_*",
    "COLOR_MEASUREMENT_DEVICE",
    "DDC_DEVICE",
    "EVDEV_ABS_*",
    "ID_*_FROM_DATABASE",
    "ID_AUTOSUSPEND",
    "ID_AUTOSUSPEND_DELAY_MS",
    "ID_AV_*",
    "ID_CAMERA_DIRECTION",
    "ID_CHASSIS",
    "ID_DEBUG_APPLIANCE",
    "ID_GPHOTO2",
    "ID_HARDWARE_WALLET",
    "ID_HPLIP",
    "ID_INFRARED_CAMERA",
    "ID_INPUT",
    "ID_INPUT_*",
    "ID_INTEGRATION",
    "ID_MAKER_TOOL",
    "ID_MEDIA_PLAYER",
    "ID_MODEL",
    "ID_NET_NAME_*",
    "ID_PDA",
    "ID_PERSIST",
    "ID_PRODUCT_*",
    "ID_REMOTE_CONTROL",
    "ID_SIGNAL_ANALYZER",
    "ID_SMARTCARD_READER",
    "ID_SOFTWARE_RADIO",
    "ID_SYSFS_ATTRIBUTE_MODEL",
    "ID_SYS_VENDOR_IS_RUBBISH",
    "ID_TAG_MASTER_OF_SEAT",
    "ID_AUTOSEAT",
    "ID_FOR_SEAT",
    "ID_VENDOR",
    "KEYBOARD_*",
    "LIBINPUT_*",
    "MOUSE_*",
    "POINTINGSTICK_*",
    "PROXIMITY_NEAR_LEVEL",
    "SOUND_FORM_FACTOR",
    "TOUCHPAD_*",
    "XKB_FIXED_*",
];

const SCSI_ID: &[&str] = &[
    "ID_BUS",
    "ID_MODEL",
    "ID_MODEL_ENC",
    "ID_REVISION",
    "ID_SCSI",
    "ID_SCSI_*",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_TARGET_PORT",
    "ID_TYPE",
    "ID_UNIT_SERIAL",
    "ID_VENDOR",
    "ID_VENDOR_ENC",
    "ID_WWN",
    "ID_WWN_*",
];

const ATA_ID: &[&str] = &[
    "ID_ATA",
    "ID_ATA_*",
    "ID_BUS",
    "ID_MODEL",
    "ID_MODEL_ENC",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_TYPE",
    "ID_WWN",
    "ID_WWN_*",
];

/// What known programs print; all others may print anything.
pub(super) const PROGRAMS: &[(&str, &[&str])] = &[
    ("ata_id", ATA_ID),
    ("cdrom_id", &["ID_CDROM", "ID_CDROM_*"]),
    ("dmi_memory_id", &["MEMORY_*"]),
    ("dmsetup", &["DM_*"]),
    ("fido_id", &["ID_FIDO_TOKEN", "ID_SECURITY_TOKEN"]),
    ("mdadm", &["MD_*"]),
    ("mtd_probe", &["MTD_FTL"]),
    ("scsi_id", SCSI_ID),
    ("v4l_id", &["ID_V4L_*"]),
];

/// What udev's own rules set.
pub(super) const STOCK: &[&str] = &[
    "ID_AUTOSEAT",
    "ID_AVOID_LOOP",
    "ID_BLOCK_SUBSYSTEM",
    "ID_DRIVE_*",
    "ID_FOR_SEAT",
    "ID_IGNORE_*",
    "ID_NAME",
    "ID_NSID",
    "ID_PCI_*",
    "ID_PROCESSING",
    "ID_RENAMING",
    "ID_SEAT",
    "ID_SMARTCARD_READER",
    "ID_USB_*",
    "ID_IIO_*",
    "REMOVE_CMD",
    "PRINTER",
    "SOUND_*",
];

/// True if one of the names is meant.
pub(super) fn listed(list: &[&str], key: &[u8]) -> bool {
    list.iter().any(|name| {
        let name = name.as_bytes();
        match name.iter().position(|byte| *byte == b'*') {
            None => name == key,
            Some(at) => {
                let (front, back) =
                    (name.get(..at).unwrap_or_default(), name.get(at + 1..).unwrap_or_default());
                key.len() >= front.len() + back.len() && key.starts_with(front) && key.ends_with(back)
            }
        }
    })
}

/// All whole names that are known to come from somewhere, for a guess at what was meant.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    let lists = BUILTINS.iter().chain(PROGRAMS).map(|(_, list)| *list);
    lists.chain([KERNEL, STOCK]).flatten().copied().filter(|name| !name.contains('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let list = ["A", "B_*", "ID_*_FROM_DATABASE"];
        for (key, expected) in [
            ("A", true),
            ("AB", false),
            ("B_", true),
            ("B_X", true),
            ("B", false),
            ("ID_MODEL_FROM_DATABASE", true),
            ("ID_FROM_DATABASE", false),
        ] {
            assert_eq!(listed(&list, key.as_bytes()), expected, "{key}");
        }
    }
}
