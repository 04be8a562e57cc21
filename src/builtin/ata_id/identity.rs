//! Owns IDENTIFY (PACKET) DEVICE data: 256 words of 16 bits (ACS-3, section 7.12; linux/ata.h), and udev's names for what they
//! say. Pure.

use bstr::{BString, ByteSlice};

use crate::text::{SafeExtra, collapse_whitespace, encode_node_name, replace_unsafe};

/// The data, with texts in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    words: Vec<u16>,
    serial: Vec<u8>,
    revision: Vec<u8>,
    model: Vec<u8>,
}

/// A feature: its name, the word and bit that say that it is there, and the word and bit that say that it is switched on.
type Feature = (&'static str, (usize, u16), Option<(usize, u16)>);

/// Words 82 and 83 say what is there, words 85 and 86 what is on.
const FEATURES: [Feature; 10] = [
    ("ID_ATA_WRITE_CACHE", (82, 5), Some((85, 5))),
    ("ID_ATA_READ_LOOKAHEAD", (82, 6), Some((85, 6))),
    ("ID_ATA_FEATURE_SET_HPA", (82, 10), Some((85, 10))),
    ("ID_ATA_FEATURE_SET_PM", (82, 3), Some((85, 3))),
    ("ID_ATA_FEATURE_SET_SECURITY", (82, 1), Some((85, 1))),
    ("ID_ATA_FEATURE_SET_SMART", (82, 0), Some((85, 0))),
    ("ID_ATA_FEATURE_SET_AAM", (83, 9), Some((86, 9))),
    ("ID_ATA_FEATURE_SET_PUIS", (83, 5), Some((86, 5))),
    ("ID_ATA_FEATURE_SET_APM", (83, 3), Some((86, 3))),
    ("ID_ATA_DOWNLOAD_MICROCODE", (83, 0), None),
];

impl Identity {
    /// Data as the drive sends them: in each word of a text the second character comes first. `None` if they are empty.
    pub(super) fn of_drive(data: &[u8]) -> Option<Self> {
        Self::new(data, |pair| [pair[1], pair[0]])
    }

    /// Data as the driver keeps them, which has put the texts in order.
    pub(super) fn of_driver(data: &[u8]) -> Option<Self> {
        Self::new(data, |pair| pair)
    }

    fn new(data: &[u8], order: impl Fn([u8; 2]) -> [u8; 2]) -> Option<Self> {
        if data.len() != 512 || data.iter().all(|b| *b == 0) {
            return None;
        }
        let pairs = data.as_chunks::<2>().0;
        let text = |first: usize, words: usize| -> Vec<u8> {
            let pairs = pairs.get(first..first + words).unwrap_or_default();
            let text: Vec<u8> = pairs.iter().flat_map(|pair| order(*pair)).collect();
            text.split(|b| *b == 0).next().unwrap_or_default().into()
        };
        Some(Self {
            serial: text(10, 10),
            revision: text(23, 4),
            model: text(27, 20),
            words: pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect(),
        })
    }

    fn word(&self, at: usize) -> u16 {
        self.words.get(at).copied().unwrap_or_default()
    }

    fn bit(&self, (word, bit): (usize, u16)) -> bool {
        self.word(word) & (1 << bit) != 0
    }

    /// Model and serial number, as one name.
    pub(super) fn serial(&self) -> BString {
        let (model, serial) = (name(&self.model), name(&self.serial));
        if serial.is_empty() { model } else { bstr::join("_", [model, serial]).into() }
    }

    /// All facts, in udev's order. `kind` is the SCSI device type that the drive is asked as, where it is.
    pub(super) fn facts(&self, kind: Option<u8>) -> Vec<(String, BString)> {
        let mut out = Facts(vec![]);
        out.flag("ID_ATA");
        out.add("ID_TYPE", self.kind());
        out.add("ID_BUS", "ata");
        out.add("ID_MODEL", name(&self.model));
        out.add("ID_MODEL_ENC", encode_node_name(&self.model));
        out.add("ID_REVISION", name(&self.revision));
        out.add("ID_SERIAL", self.serial());
        let short = name(&self.serial);
        if !short.is_empty() {
            out.add("ID_SERIAL_SHORT", short);
        }
        for (key, there, on) in FEATURES.iter().filter(|(_, there, _)| self.bit(*there)) {
            out.flag(key);
            if let Some(on) = on {
                out.add(&format!("{key}_ENABLED"), u8::from(self.bit(*on)).to_string());
            }
            self.more_of(there, &mut out);
        }
        self.transport(&mut out);
        if let Some(kind) = kind {
            out.add("ID_ATA_PERIPHERAL_DEVICE_TYPE", kind.to_string());
        }
        out.0
    }

    /// What a feature has besides being there.
    fn more_of(&self, feature: &(usize, u16), out: &mut Facts) {
        match feature {
            (82, 1) => self.security(out),
            (83, 9) => {
                let [current, recommended] = self.word(94).to_le_bytes();
                out.add("ID_ATA_FEATURE_SET_AAM_VENDOR_RECOMMENDED_VALUE", recommended.to_string());
                out.add("ID_ATA_FEATURE_SET_AAM_CURRENT_VALUE", current.to_string());
            }
            (83, 3) if self.bit((86, 3)) => {
                out.add("ID_ATA_FEATURE_SET_APM_CURRENT_VALUE", (self.word(91) & 0xff).to_string());
            }
            _ => {}
        }
    }

    /// The state of the lock, word 128, and how long erasing takes, in steps of two minutes.
    fn security(&self, out: &mut Facts) {
        let minutes = |word: usize| (u32::from(self.word(word)) * 2).to_string();
        let key = |name: &str| format!("ID_ATA_FEATURE_SET_SECURITY_{name}");
        out.add(&key("ERASE_UNIT_MIN"), minutes(89));
        if self.bit((85, 1)) {
            out.add(&key("LEVEL"), if self.bit((128, 8)) { "maximum" } else { "high" });
        }
        if self.bit((128, 5)) {
            out.add(&key("ENHANCED_ERASE_UNIT_MIN"), minutes(90));
        }
        for (name, bit) in [("EXPIRE", 4), ("FROZEN", 3), ("LOCKED", 2)] {
            if self.bit((128, bit)) {
                out.flag(&key(name));
            }
        }
    }

    fn transport(&self, out: &mut Facts) {
        // 0 and all ones: not Serial ATA
        if !matches!(self.word(76), 0 | 0xffff) {
            out.flag("ID_ATA_SATA");
            for (generation, bit) in [(2, 2), (1, 1)] {
                if self.bit((76, bit)) {
                    out.flag(&format!("ID_ATA_SATA_SIGNAL_RATE_GEN{generation}"));
                }
            }
        }
        match self.word(217) {
            1 => out.add("ID_ATA_ROTATION_RATE_RPM", "0"),
            rate @ 0x0401..=0xfffe => out.add("ID_ATA_ROTATION_RATE_RPM", rate.to_string()),
            _ => {}
        }
        // a world wide name begins with its kind: 5, IEEE registered
        if self.word(108) >> 12 == 5 {
            let name = (108..112).fold(0u64, |name, at| name << 16 | u64::from(self.word(at)));
            for key in ["ID_WWN", "ID_WWN_WITH_EXTENSION"] {
                out.add(key, format!("{name:#x}"));
            }
        }
        // CompactFlash
        if matches!(self.word(0), 0x848a | 0x844a) || self.word(83) & 0xc004 == 0x4004 {
            out.flag("ID_ATA_CFA");
        }
    }

    fn kind(&self) -> &'static str {
        let [_, high] = self.word(0).to_le_bytes();
        if high & 0x80 == 0 {
            return "disk";
        }
        match high & 0x1f {
            0 | 5 => "cd",
            1 => "tape",
            7 => "optical",
            _ => "generic",
        }
    }
}

/// Facts as they come.
struct Facts(Vec<(String, BString)>);

impl Facts {
    fn add(&mut self, key: &str, value: impl Into<BString>) {
        self.0.push((key.to_owned(), value.into()));
    }

    fn flag(&mut self, key: &str) {
        self.add(key, "1");
    }
}

/// A text as part of a name.
fn name(text: &[u8]) -> BString {
    replace_unsafe(&collapse_whitespace(text.trim()), SafeExtra::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data of a drive: words, and texts at words.
    fn data(words: &[(usize, u16)], texts: &[(usize, &str, usize)]) -> Vec<u8> {
        let mut out = vec![0; 512];
        for (at, word) in words {
            out[at * 2..at * 2 + 2].copy_from_slice(&word.to_le_bytes());
        }
        for (at, text, len) in texts {
            let padded = format!("{text:len$}");
            for (pair, place) in padded.as_bytes().chunks(2).zip(out[at * 2..].chunks_mut(2)) {
                (place[0], place[1]) = (pair[1], pair[0]);
            }
        }
        out
    }

    fn facts(data: &[u8]) -> String {
        let facts = Identity::of_drive(data).unwrap().facts(Some(0));
        facts.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("\n")
    }

    const SSD: &[(usize, &str, usize)] =
        &[(10, "S21CNXAG123456", 20), (23, "EXM02B6Q", 8), (27, "Samsung SSD 850 EVO 500GB", 40)];

    #[test]
    fn a_solid_state_drive() {
        let words = [
            (0, 0x0040),
            (76, 0x850e),
            (82, 0x746b),
            (83, 0x7d01),
            (84, 0x4163),
            (85, 0x7469),
            (86, 0xbc01),
            (87, 0x4163),
            (89, 1),
            (90, 8),
            (108, 0x5002),
            (109, 0x538d),
            (110, 0x4012),
            (111, 0x3456),
            (128, 0x0029),
            (217, 1),
        ];
        assert_eq!(
            facts(&data(&words, SSD)),
            r"ID_ATA=1
ID_TYPE=disk
ID_BUS=ata
ID_MODEL=Samsung_SSD_850_EVO_500GB
ID_MODEL_ENC=Samsung\x20SSD\x20850\x20EVO\x20500GB\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20
ID_REVISION=EXM02B6Q
ID_SERIAL=Samsung_SSD_850_EVO_500GB_S21CNXAG123456
ID_SERIAL_SHORT=S21CNXAG123456
ID_ATA_WRITE_CACHE=1
ID_ATA_WRITE_CACHE_ENABLED=1
ID_ATA_READ_LOOKAHEAD=1
ID_ATA_READ_LOOKAHEAD_ENABLED=1
ID_ATA_FEATURE_SET_HPA=1
ID_ATA_FEATURE_SET_HPA_ENABLED=1
ID_ATA_FEATURE_SET_PM=1
ID_ATA_FEATURE_SET_PM_ENABLED=1
ID_ATA_FEATURE_SET_SECURITY=1
ID_ATA_FEATURE_SET_SECURITY_ENABLED=0
ID_ATA_FEATURE_SET_SECURITY_ERASE_UNIT_MIN=2
ID_ATA_FEATURE_SET_SECURITY_ENHANCED_ERASE_UNIT_MIN=16
ID_ATA_FEATURE_SET_SECURITY_FROZEN=1
ID_ATA_FEATURE_SET_SMART=1
ID_ATA_FEATURE_SET_SMART_ENABLED=1
ID_ATA_DOWNLOAD_MICROCODE=1
ID_ATA_SATA=1
ID_ATA_SATA_SIGNAL_RATE_GEN2=1
ID_ATA_SATA_SIGNAL_RATE_GEN1=1
ID_ATA_ROTATION_RATE_RPM=0
ID_WWN=0x5002538d40123456
ID_WWN_WITH_EXTENSION=0x5002538d40123456
ID_ATA_PERIPHERAL_DEVICE_TYPE=0"
        );
    }

    #[test]
    fn kinds_and_single_facts() {
        for (words, fact) in [
            (&[(0, 0x85c0)][..], "ID_TYPE=cd"),
            (&[(0, 0x8180)], "ID_TYPE=tape"),
            (&[(0, 0x8780)], "ID_TYPE=optical"),
            (&[(0, 0x8f00)], "ID_TYPE=generic"),
            (&[(0, 0x848a)], "ID_ATA_CFA=1"),
            (&[(217, 7200)], "ID_ATA_ROTATION_RATE_RPM=7200"),
            (
                &[(83, 0x0208), (86, 0x0208), (94, 0xfe80), (91, 0x40fe)],
                "ID_ATA_FEATURE_SET_APM_CURRENT_VALUE=254",
            ),
            (&[(83, 0x0200), (94, 0xfe80)], "ID_ATA_FEATURE_SET_AAM_VENDOR_RECOMMENDED_VALUE=254"),
            (&[(83, 0x0200), (94, 0xfe80)], "ID_ATA_FEATURE_SET_AAM_CURRENT_VALUE=128"),
            (&[(82, 2), (85, 2), (128, 0x0104)], "ID_ATA_FEATURE_SET_SECURITY_LEVEL=maximum"),
            (&[(82, 2), (85, 2), (128, 0x0004)], "ID_ATA_FEATURE_SET_SECURITY_LOCKED=1"),
        ] {
            let found = facts(&data(words, SSD));
            assert!(found.lines().any(|line| line == fact), "{fact} in\n{found}");
        }
        let pata = facts(&data(&[(76, 0xffff), (108, 0x1002), (217, 0x0300)], SSD));
        assert!(!["SATA", "WWN", "RPM"].iter().any(|word| pata.contains(word)), "{pata}");
    }

    #[test]
    fn texts() {
        let of = |serial: &str, model: &str| {
            let data = data(&[(0, 1)], &[(10, serial, 20), (27, model, 40)]);
            Identity::of_drive(&data).unwrap().serial().to_string()
        };
        assert_eq!(of("  A/B ", "X  Y*"), "X_Y__A_B");
        assert_eq!(of("", "Model"), "Model");
        assert_eq!(Identity::of_drive(&[0; 512]), None);
        assert_eq!(Identity::of_drive(&[1; 511]), None);
        let mut driver = vec![0; 512];
        driver[54..56].copy_from_slice(b"DR");
        assert_eq!(Identity::of_driver(&driver).unwrap().serial(), "DR");
    }

    proptest::proptest! {
        #[test]
        fn any_data_give_facts_that_are_lines(data in proptest::collection::vec(proptest::num::u8::ANY, 512)) {
            if let Some(identity) = Identity::of_drive(&data) {
                for (key, value) in identity.facts(None) {
                    let mut properties = crate::properties::Properties::new();
                    proptest::prop_assert!(properties.set(&key, &value).is_ok(), "{}={}", key, value);
                }
            }
        }
    }
}
