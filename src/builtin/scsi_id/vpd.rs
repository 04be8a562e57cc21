//! Owns inquiry data and pages of vital product data (SPC-4, sections 6.6.2 and 7.8), and which of a device's designators
//! becomes its identifier. Pure.

use bstr::{BString, ByteSlice};

/// Vendor, model and revision, as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inquiry {
    kind: u8,
    pub(super) vendor: BString,
    pub(super) model: BString,
    pub(super) revision: BString,
}

impl Inquiry {
    /// `None`: the data are too short to hold them.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let text = |from: usize, to: usize| {
            let text = data.get(from..to)?;
            Some(BString::from(text.split(|b| *b == 0).next().unwrap_or_default()))
        };
        Some(Self {
            kind: data.first()? & 0x1f,
            vendor: text(8, 16)?,
            model: text(16, 32)?,
            revision: text(32, 36)?,
        })
    }

    /// What kind of device it is, in udev's words. 0x14 is a zoned disk that the host manages.
    pub(super) fn kind(&self) -> &'static str {
        match self.kind {
            0 | 0x0e => "disk",
            1 => "tape",
            4 | 7 | 0x0f => "optical",
            5 => "cd",
            0x14 => "zbc",
            _ => "generic",
        }
    }

    /// False for a list of pages that is the inquiry data once more, as some devices send.
    pub(super) fn is_pages(&self, pages: &[u8]) -> bool {
        pages.len() <= 16 || pages.get(4..12) != Some(self.vendor.as_slice())
    }

    /// Vendor and model at full length, which belongs to what is unique only for one vendor; `None` if one is shorter.
    fn prefix(&self) -> Option<Vec<u8>> {
        (self.vendor.len() == 8 && self.model.len() == 16)
            .then(|| [&self.vendor[..], &self.model[..]].concat())
    }
}

/// What is behind the head of the page of that code; `None` if it is another page, or says that it is longer than such a page
/// can be.
pub(super) fn page(code: u8, data: &[u8]) -> Option<&[u8]> {
    let (head, body) = data.split_first_chunk::<4>()?;
    if head[1] != code {
        return None;
    }
    let short = usize::from(head[3]);
    let len = match code {
        0x00 if short > usize::from(super::ROOM) => return None,
        0x00 | 0x80 => short,
        _ => usize::from(u16::from_be_bytes([head[2], head[3]])),
    };
    // a page may be longer than what was asked for
    Some(body.get(..len).unwrap_or(body))
}

/// What identifies a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identifier {
    /// With its kind in front: `3` for a world wide name, `S` for a serial number …
    pub(super) long: BString,
    /// Without it.
    pub(super) short: BString,
    is_naa: bool,
}

impl Identifier {
    /// The world wide name and its vendor's extension, as digits; `None` if the identifier is none.
    pub(super) fn world_wide_name(&self) -> Option<(&str, &str)> {
        let digits = self.short.to_str().ok().filter(|short| self.is_naa && !short.is_empty())?;
        let name = digits.get(..16).unwrap_or(digits);
        let rest = digits.get(16..).unwrap_or_default();
        Some((name, rest.get(..16).unwrap_or(rest)))
    }
}

/// Kinds of designators.
const VENDOR_SPECIFIC: u8 = 0;
const T10_VENDOR: u8 = 1;
const EUI_64: u8 = 2;
const NAA: u8 = 3;
const TARGET_PORT_GROUP: u8 = 5;

/// Code sets.
const BINARY: u8 = 1;
const ASCII: u8 = 2;

/// Which designator is taken, best first: its kind, and of world wide names the format (6: registered extended, 5: registered).
/// Of each, the binary form is looked for before the text.
const BEST: [(u8, Option<u8>); 6] = [
    (NAA, Some(6)),
    (NAA, Some(5)),
    (NAA, None),
    (EUI_64, None),
    (T10_VENDOR, None),
    (VENDOR_SPECIFIC, None),
];

/// One designator of page 0x83.
#[derive(Debug, Clone, Copy)]
struct Designator<'p> {
    set: u8,
    kind: u8,
    /// 0: of the logical unit, 1: of the target port, 2: of the target.
    association: u8,
    data: &'p [u8],
}

fn designators(page: &[u8]) -> impl Iterator<Item = Designator<'_>> {
    let mut rest = page;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let (data, next) = after.split_at_checked(usize::from(head[3]))?;
        rest = next;
        let [set, kind, ..] = *head;
        Some(Designator { set: set & 0xf, kind: kind & 0xf, association: kind >> 4 & 3, data })
    })
}

/// A page as before SPC-2 is one world wide name; in a newer one the third byte is reserved.
pub(super) fn old_identifier(page: &[u8]) -> Option<Identifier> {
    page.get(2).filter(|reserved| **reserved != 0)?;
    let long: BString = format!("{NAA}{}", hex(page)).into();
    Some(Identifier { short: long.clone(), long, is_naa: false })
}

/// The identifier that page 0x83 gives the device.
pub(super) fn identifier(inquiry: &Inquiry, page: &[u8]) -> Option<Identifier> {
    if let Some(old) = old_identifier(page) {
        return Some(old);
    }
    let units: Vec<Designator<'_>> = designators(page).filter(|d| d.association == 0).collect();
    let is = |d: &Designator<'_>, kind: u8, format: Option<u8>| {
        d.kind == kind && format.is_none_or(|format| d.data.first().is_some_and(|b| b >> 4 == format))
    };
    let wanted = BEST.iter().flat_map(|(kind, format)| [(BINARY, *kind, *format), (ASCII, *kind, *format)]);
    let mut found = wanted
        .flat_map(|(set, kind, format)| units.iter().filter(move |d| d.set == set && is(d, kind, format)));
    found.find_map(|designator| of_designator(inquiry, designator))
}

fn of_designator(inquiry: &Inquiry, designator: &Designator<'_>) -> Option<Identifier> {
    let prefix = if designator.kind == VENDOR_SPECIFIC { inquiry.prefix()? } else { Vec::new() };
    let short: BString = match designator.set {
        ASCII => designator.data.split(|b| *b == 0).next().unwrap_or_default().into(),
        _ => hex(designator.data).into(),
    };
    let kind = designator.kind.to_string();
    Some(Identifier {
        long: bstr::concat([kind.as_bytes(), &prefix, &short]).into(),
        short,
        is_naa: designator.kind == NAA,
    })
}

/// The target port group that page 0x83 names.
pub(super) fn target_port_group(page: &[u8]) -> Option<u16> {
    let group = designators(page)
        .filter(|d| d.association <= 1 && (d.kind, d.set) == (TARGET_PORT_GROUP, BINARY))
        .last()?;
    group.data.get(2..).and_then(|rest| rest.first_chunk()).map(|bytes| u16::from_be_bytes(*bytes))
}

/// The identifier that the unit serial number of page 0x80 makes, with vendor and model.
pub(super) fn of_serial(inquiry: &Inquiry, serial: &[u8]) -> Option<Identifier> {
    let prefix = inquiry.prefix()?;
    let short: BString = serial.split(|b| *b == 0).next().unwrap_or_default().into();
    Some(Identifier { long: bstr::concat([b"S", &prefix[..], &short]).into(), short, is_naa: false })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inquiry() -> Inquiry {
        Inquiry {
            kind: 0,
            vendor: "ACME    ".into(),
            model: "Disk 9000       ".into(),
            revision: "1.0".into(),
        }
    }

    fn designator(set: u8, kind: u8, data: &[u8]) -> Vec<u8> {
        [&[set, kind, 0, data.len().to_le_bytes()[0]], data].concat()
    }

    #[test]
    fn the_best_designator_is_taken() {
        let naa5 = designator(1, 3, &[0x50, 0, 0, 0, 0, 0, 0, 5]);
        let naa6 = designator(1, 3, &[0x60, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0xab]);
        let naa2 = designator(1, 3, &[0x20, 0, 0, 0, 0, 0, 0, 2]);
        let eui = designator(1, 2, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let t10 = designator(2, 1, b"ACME    Disk");
        let vendor = designator(2, 0, b"  77");
        let port = designator(0x61, 0x93, &[0x50, 0, 0, 0, 0, 0, 0, 9]);
        let naa_text = designator(2, 3, b"5abc");
        for (page, long) in [
            (vec![], None),
            (
                vec![&vendor, &t10, &eui, &naa5, &naa6],
                Some("360000000000000060000".to_owned() + "0000000000ab"),
            ),
            (vec![&t10, &naa2, &naa5], Some("35000000000000005".into())),
            (vec![&eui, &naa2], Some("32000000000000002".into())),
            (vec![&t10, &eui], Some("20102030405060708".into())),
            (vec![&vendor, &t10], Some("1ACME    Disk".into())),
            (vec![&vendor], Some("0ACME    Disk 9000         77".into())),
            (vec![&port], None),
            (vec![&naa_text], Some("35abc".into())),
        ] {
            let page: Vec<u8> = page.into_iter().flatten().copied().collect();
            let found = identifier(&inquiry(), &page).map(|i| i.long.to_string());
            assert_eq!(found, long.as_deref().map(|l: &str| l.to_owned()), "{page:02x?}");
        }
    }

    #[test]
    fn world_wide_names() {
        let of = |page: &[u8]| {
            let found = identifier(&inquiry(), page).unwrap();
            found.world_wide_name().map(|(name, rest)| format!("{name}+{rest}"))
        };
        let long = [0x60, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0xab];
        assert_eq!(of(&designator(1, 3, &long)).as_deref(), Some("6000000000000006+00000000000000ab"));
        assert_eq!(of(&designator(1, 3, &long[..8])).as_deref(), Some("6000000000000006+"));
        assert_eq!(of(&designator(1, 2, &long[..8])), None);
        // before SPC-2: the page is the name
        let old = identifier(&inquiry(), &[0x60, 0x06, 0x04, 0x80]).unwrap();
        assert_eq!((old.long.to_string(), old.world_wide_name()), ("360060480".into(), None));
    }

    #[test]
    fn pages() {
        assert_eq!(page(0x80, &[0, 0x80, 0, 2, b'a', b'b', b'c']), Some(&b"ab"[..]));
        assert_eq!(page(0x83, &[0, 0x83, 1, 0, b'a']), Some(&b"a"[..]), "cut");
        assert_eq!(page(0x80, &[0, 0x80, 1, 1, b'a', b'b']), Some(&b"a"[..]), "one byte says how long");
        assert_eq!(page(0, &[0, 0, 0, 255, 0x83]), None, "longer than what is asked for");
        assert_eq!(page(0x80, &[0, 0x83, 0, 0]), None);
        assert_eq!(page(0x80, &[0, 0x80]), None);
        let bad = [&[0; 4], &b"ACME    Disk 9000"[..]].concat();
        assert!(!inquiry().is_pages(&bad) && inquiry().is_pages(&bad[..8]));
    }

    #[test]
    fn groups() {
        let group = designator(0x61, 0x95, &[0, 0, 0x01, 0x02]);
        assert_eq!(target_port_group(&group), Some(0x102));
        assert_eq!(target_port_group(&designator(0x61, 0x95, &[0])), None);
        assert_eq!(target_port_group(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_page(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..260)) {
            let _identifier = identifier(&inquiry(), &bytes).map(|i| i.world_wide_name().map(|(a, b)| a.len() + b.len()));
            let _group = target_port_group(&bytes);
            let _inquiry = Inquiry::parse(&bytes);
            let _page = page(0x83, &bytes);
        }
    }
}
