//! Owns the firmware's tables (SMBIOS 3.4): where they are, and what types 16 (memory array) and 17 (memory device) say. Pure.

use bstr::{BString, ByteSlice};

use super::super::helper::text;

/// Where the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) len: usize,
    /// How many structures there are; `None`: as many as fit.
    pub(super) count: Option<u16>,
}

/// Reads an entry point of any version (sections 5.2.1, 5.2.2). `None`: it is none, or its sum is wrong.
pub(super) fn entry_point(data: &[u8]) -> Option<Place> {
    let adds_up = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0;
    let number = |at, len| usize::try_from(little(data, at, len)).ok();
    if data.len() >= 24 && data.starts_with(b"_SM3_") {
        let len = usize::from(*data.get(6)?).min(32);
        return adds_up(data.get(..len)?).then_some(Place {
            offset: number(16, 8)?,
            len: number(12, 4)?,
            count: None,
        });
    }
    let (start, legacy) = match data {
        _ if data.len() >= 31 && data.starts_with(b"_SM_") => {
            let len = usize::from(*data.get(5)?).min(32);
            (16, adds_up(data.get(..len)?) && data.get(16..21) == Some(b"_DMI_"))
        }
        _ => (0, data.starts_with(b"_DMI_")),
    };
    if !legacy || !adds_up(data.get(start..start + 15)?) {
        return None;
    }
    let count = u16::try_from(little(data, start + 12, 2)).ok().filter(|count| *count > 0);
    Some(Place { offset: number(start + 8, 4)?, len: number(start + 6, 2)?, count })
}

/// A number of `len` bytes; 0 beyond the end.
fn little(data: &[u8], at: usize, len: usize) -> u64 {
    let bytes = data.get(at..at + len).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// One structure: its fixed part, and the texts behind it.
#[derive(Debug, Clone, Copy)]
struct Structure<'t> {
    fixed: &'t [u8],
    texts: &'t [u8],
}

impl<'t> Structure<'t> {
    fn byte(&self, at: usize) -> u8 {
        self.fixed.get(at).copied().unwrap_or_default()
    }

    fn number(&self, at: usize, len: usize) -> u64 {
        little(self.fixed, at, len)
    }

    /// The text of the number that stands at `at`.
    fn text(&self, at: usize) -> BString {
        match usize::from(self.byte(at)) {
            0 => "Not Specified".into(),
            number => {
                let text = self.texts.split(|b| *b == 0).nth(number - 1).unwrap_or_default();
                if text.is_empty() { "<BAD INDEX>".into() } else { text.trim().into() }
            }
        }
    }
}

fn structures(table: &[u8]) -> impl Iterator<Item = Structure<'_>> {
    let mut rest = table;
    std::iter::from_fn(move || {
        let len = usize::from(*rest.get(1)?);
        // a shorter one is none, and where the next would begin is not known; 127 is the end
        if len < 4 || rest.first() == Some(&127) {
            return None;
        }
        let (fixed, after) = rest.split_at_checked(len)?;
        let end = after.find(b"\0\0")?;
        let texts = after.get(..end)?;
        rest = after.get(end + 2..)?;
        Some(Structure { fixed, texts })
    })
}

/// What the table says about memory, in udev's order.
pub(super) fn facts(table: &[u8], count: Option<u16>) -> Vec<(String, BString)> {
    let mut out = Vec::new();
    let mut slot = 0;
    for structure in structures(table).take(count.map_or(usize::MAX, usize::from)) {
        match structure.byte(0) {
            16 => array(&structure, &mut out),
            17 => {
                device(&structure, &mut Slot { number: slot, out: &mut out });
                slot += 1;
            }
            _ => {}
        }
    }
    // the array's own number is of sockets
    if slot > 0 {
        out.push(("MEMORY_ARRAY_NUM_DEVICES".into(), slot.to_string().into()));
    }
    out
}

/// The name of a code, or what udev says of one that the specification does not have.
fn named(names: &[&'static str], code: u8) -> &'static str {
    let at = usize::from(code).checked_sub(1);
    at.and_then(|at| names.get(at)).copied().unwrap_or("<OUT OF SPEC>")
}

const LOCATIONS: &[&str] = &[
    "Other",
    "Unknown",
    "System Board Or Motherboard",
    "ISA Add-on Card",
    "EISA Add-on Card",
    "PCI Add-on Card",
    "MCA Add-on Card",
    "PCMCIA Add-on Card",
    "Proprietary Add-on Card",
    "NuBus",
];
/// From 0xa0 on.
const MORE_LOCATIONS: &[&str] = &[
    "PC-98/C20 Add-on Card",
    "PC-98/C24 Add-on Card",
    "PC-98/E Add-on Card",
    "PC-98/Local Bus Add-on Card",
    "CXL Flexbus 1.0",
];
const CORRECTIONS: &[&str] =
    &["Other", "Unknown", "None", "Parity", "Single-bit ECC", "Multi-bit ECC", "CRC"];
const FORM_FACTORS: &[&str] = &[
    "Other",
    "Unknown",
    "SIMM",
    "SIP",
    "Chip",
    "DIP",
    "ZIP",
    "Proprietary Card",
    "DIMM",
    "TSOP",
    "Row Of Chips",
    "RIMM",
    "SODIMM",
    "SRIMM",
    "FB-DIMM",
    "Die",
];
const TYPES: &[&str] = &[
    "Other",
    "Unknown",
    "DRAM",
    "EDRAM",
    "VRAM",
    "SRAM",
    "RAM",
    "ROM",
    "Flash",
    "EEPROM",
    "FEPROM",
    "EPROM",
    "CDRAM",
    "3DRAM",
    "SDRAM",
    "SGRAM",
    "RDRAM",
    "DDR",
    "DDR2",
    "DDR2 FB-DIMM",
    "Reserved",
    "Reserved",
    "Reserved",
    "DDR3",
    "FBD2",
    "DDR4",
    "LPDDR",
    "LPDDR2",
    "LPDDR3",
    "LPDDR4",
    "Logical non-volatile device",
    "HBM",
    "HBM2",
    "DDR5",
    "LPDDR5",
];
/// Of bits, from bit 1 on.
const DETAILS: &[&str] = &[
    "Other",
    "Unknown",
    "Fast-paged",
    "Static Column",
    "Pseudo-static",
    "RAMBus",
    "Synchronous",
    "CMOS",
    "EDO",
    "Window DRAM",
    "Cache DRAM",
    "Non-Volatile",
    "Registered (Buffered)",
    "Unbuffered (Unregistered)",
    "LRDIMM",
];
const TECHNOLOGIES: &[&str] =
    &["Other", "Unknown", "DRAM", "NVDIMM-N", "NVDIMM-F", "NVDIMM-P", "Intel Optane DC persistent memory"];
/// Of bits, from bit 1 on.
const MODES: &[&str] = &[
    "Other",
    "Unknown",
    "Volatile memory",
    "Byte-accessible persistent memory",
    "Block-accessible persistent memory",
];

/// Type 16 (section 7.17), if it is the system's memory.
fn array(structure: &Structure<'_>, out: &mut Vec<(String, BString)>) {
    const SYSTEM: u8 = 3;
    const NO_CORRECTION: u8 = 3;
    /// "See the longer number."
    const LONGER: u64 = 0x8000_0000;
    if structure.fixed.len() < 0x0f || structure.byte(5) != SYSTEM {
        return;
    }
    let mut add = |key: &str, value: BString| out.push((format!("MEMORY_ARRAY_{key}"), value));
    let location = match structure.byte(4) {
        code @ 0xa0.. => MORE_LOCATIONS.get(usize::from(code - 0xa0)).copied().unwrap_or("<OUT OF SPEC>"),
        code => named(LOCATIONS, code),
    };
    add("LOCATION", location.into());
    if structure.byte(6) != NO_CORRECTION {
        add("EC_TYPE", named(CORRECTIONS, structure.byte(6)).into());
    }
    match structure.number(7, 4) {
        LONGER if structure.fixed.len() >= 0x17 => {
            add("MAX_CAPACITY", structure.number(0x0f, 8).to_string().into());
        }
        LONGER => {}
        kilobytes => add("MAX_CAPACITY", (kilobytes << 10).to_string().into()),
    }
}

/// Where facts of one memory device go.
struct Slot<'o> {
    number: usize,
    out: &'o mut Vec<(String, BString)>,
}

impl Slot<'_> {
    fn add(&mut self, key: &str, value: impl Into<BString>) {
        self.out.push((format!("MEMORY_DEVICE_{}_{key}", self.number), value.into()));
    }

    /// A number, unless it is one of those that say that it is not known.
    fn number(&mut self, key: &str, number: u64, unknown: &[u64]) {
        if !unknown.contains(&number) {
            self.add(key, number.to_string());
        }
    }

    fn text(&mut self, key: &str, raw: BString) {
        if let Some(text) = text(&raw).filter(|text| !text.is_empty()) {
            self.add(key, text);
        }
    }

    fn bits(&mut self, key: &str, names: &[&str], bits: u64) {
        let set = names.iter().enumerate().filter(|(at, _)| bits >> (at + 1) & 1 == 1).map(|(_, name)| *name);
        self.add(key, set.collect::<Vec<_>>().join(" "));
    }

    /// Millivolts, written in volts as C's `%g` does; whole tenths with one significant digit, as udev writes them.
    fn volts(&mut self, key: &str, millivolts: u64) {
        if millivolts == 0 {
            return;
        }
        let text = if millivolts.is_multiple_of(100) {
            one_digit(millivolts)
        } else {
            let text = format!("{}.{:03}", millivolts / 1000, millivolts % 1000);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        self.add(key, text);
    }

    /// JEP-106: bank and code of a manufacturer.
    fn manufacturer(&mut self, key: &str, code: u64) {
        if code != 0 {
            self.add(key, format!("Bank {}, Hex 0x{:02X}", (code & 0x7f) + 1, code >> 8));
        }
    }

    fn product(&mut self, key: &str, code: u64) {
        if code != 0 {
            self.add(key, format!("0x{code:04X}"));
        }
    }
}

/// Thousandths with one significant digit, as C's `%.1g`: 1200 is `1`, 1500 is `2` (halves to even), 600 is `0.6`.
fn one_digit(thousandths: u64) -> String {
    let unit = [100u64, 1000, 10_000].into_iter().find(|unit| thousandths < unit * 10).unwrap_or(10_000);
    let (whole, rest) = (thousandths / unit, thousandths % unit);
    let up = rest * 2 > unit || (rest * 2 == unit && !whole.is_multiple_of(2));
    match (unit, whole + u64::from(up)) {
        (100, digit @ 0..=9) => format!("0.{digit}"),
        (100, _) => "1".into(),
        (1000, digit @ 0..=9) => digit.to_string(),
        (1000, _) => "1e+01".into(),
        (_, digit @ 0..=9) => format!("{digit}e+01"),
        _ => "1e+02".into(),
    }
}

/// Type 17 (section 7.18). How long the structure is says what of it is there.
fn device(structure: &Structure<'_>, slot: &mut Slot<'_>) {
    let reaches = |len: usize| structure.fixed.len() >= len;
    let word = |at: usize| structure.number(at, 2);
    if !reaches(0x15) {
        return;
    }
    slot.number("TOTAL_WIDTH", word(0x08), &[0, 0xffff]);
    slot.number("DATA_WIDTH", word(0x0a), &[0, 0xffff]);
    size(structure, slot);
    slot.add("FORM_FACTOR", named(FORM_FACTORS, structure.byte(0x0e)));
    match structure.byte(0x0f) {
        0 => {}
        0xff => slot.add("SET", "Unknown"),
        set => slot.add("SET", set.to_string()),
    }
    slot.text("LOCATOR", structure.text(0x10));
    slot.text("BANK_LOCATOR", structure.text(0x11));
    slot.add("TYPE", named(TYPES, structure.byte(0x12)));
    match word(0x13) & 0xfffe {
        0 => slot.add("TYPE_DETAIL", "None"),
        bits => slot.bits("TYPE_DETAIL", DETAILS, bits),
    }
    if reaches(0x17) {
        slot.number("SPEED_MTS", word(0x15), &[0]);
    }
    if reaches(0x1b) {
        slot.text("MANUFACTURER", structure.text(0x17));
        slot.text("SERIAL_NUMBER", structure.text(0x18));
        slot.text("ASSET_TAG", structure.text(0x19));
        slot.text("PART_NUMBER", structure.text(0x1a));
    }
    if reaches(0x1c) {
        slot.number("RANK", u64::from(structure.byte(0x1b) & 0xf), &[0]);
    }
    if reaches(0x22) {
        slot.number("CONFIGURED_SPEED_MTS", word(0x20), &[0]);
    }
    if reaches(0x28) {
        slot.volts("MINIMUM_VOLTAGE", word(0x22));
        slot.volts("MAXIMUM_VOLTAGE", word(0x24));
        slot.volts("CONFIGURED_VOLTAGE", word(0x26));
    }
    if reaches(0x34) {
        module(structure, slot);
    }
    let parts =
        [(0x34, "NON_VOLATILE_SIZE"), (0x3c, "VOLATILE_SIZE"), (0x44, "CACHE_SIZE"), (0x4c, "LOGICAL_SIZE")];
    for (at, key) in parts {
        if reaches(at + 8) {
            slot.number(key, structure.number(at, 8), &[0, u64::MAX]);
        }
    }
}

fn size(structure: &Structure<'_>, slot: &mut Slot<'_>) {
    /// "See the longer number."
    const LONGER: u64 = 0x7fff;
    match structure.number(0x0c, 2) {
        0 => slot.add("PRESENT", "0"),
        0xffff => {}
        LONGER if structure.fixed.len() >= 0x20 => {
            slot.add("SIZE", (structure.number(0x1c, 4) << 20).to_string());
        }
        kilobytes if kilobytes & 0x8000 != 0 => slot.add("SIZE", ((kilobytes & 0x7fff) << 10).to_string()),
        megabytes => slot.add("SIZE", (megabytes << 20).to_string()),
    }
}

/// What newer modules say of themselves and their controller.
fn module(structure: &Structure<'_>, slot: &mut Slot<'_>) {
    let word = |at: usize| structure.number(at, 2);
    slot.add("MEMORY_TECHNOLOGY", named(TECHNOLOGIES, structure.byte(0x28)));
    match word(0x29) & 0xfffe {
        0 => {}
        bits => slot.bits("MEMORY_OPERATING_MODE_CAPABILITY", MODES, bits),
    }
    slot.text("FIRMWARE_VERSION", structure.text(0x2b));
    slot.manufacturer("MODULE_MANUFACTURER_ID", word(0x2c));
    slot.product("MODULE_PRODUCT_ID", word(0x2e));
    slot.manufacturer("MEMORY_SUBSYSTEM_CONTROLLER_MANUFACTURER_ID", word(0x30));
    slot.product("MEMORY_SUBSYSTEM_CONTROLLER_PRODUCT_ID", word(0x32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voltages() {
        for (millivolts, expected) in [
            (1200, "1"),
            (1500, "2"),
            (2500, "2"),
            (3300, "3"),
            (600, "0.6"),
            (1350, "1.35"),
            (1205, "1.205"),
            (5000, "5"),
            (12000, "1e+01"),
        ] {
            let mut out = Vec::new();
            Slot { number: 0, out: &mut out }.volts("V", millivolts);
            assert_eq!(out[0].1, expected, "{millivolts}");
        }
    }

    #[test]
    fn entry_points() {
        let sum = |data: &mut [u8], place: usize| {
            data[place] = 0u8.wrapping_sub(data.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)));
        };
        let mut three = vec![0; 24];
        three[..7].copy_from_slice(b"_SM3_\0\x18");
        (three[12], three[16]) = (200, 0x40);
        sum(&mut three, 5);
        assert_eq!(entry_point(&three), Some(Place { offset: 0x40, len: 200, count: None }));
        three[8] ^= 1;
        assert_eq!(entry_point(&three), None);
        let mut old = b"_DMI_\0\0\0\0\0\0\0\0\0\0".to_vec();
        (old[6], old[8], old[12]) = (90, 0x20, 3);
        sum(&mut old, 5);
        assert_eq!(entry_point(&old), Some(Place { offset: 0x20, len: 90, count: Some(3) }));
        let mut two = [b"_SM_\0\x1f\x02\x08".to_vec(), vec![0; 8], old].concat();
        sum(&mut two[..31], 4);
        assert_eq!(entry_point(&two), Some(Place { offset: 0x20, len: 90, count: Some(3) }));
        assert_eq!(entry_point(b"_DMI_"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_table(table in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _facts = facts(&table, None);
            let _place = entry_point(&table);
        }
    }
}
