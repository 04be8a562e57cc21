//! Owns `mtd_probe`: whether a NAND flash holds the translation layer of SmartMedia and xD cards.

use bstr::BString;

use super::helper::{Arguments, Said};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context};
use crate::probe::Request;

/// `MTD_NANDFLASH`.
const NAND: u8 = 4;
/// Bytes of a sector, and of a page of the smallest chips, of which two make a sector.
const SECTOR: u16 = 512;
const SMALL_PAGE: u32 = 256;
/// How every card information structure of such a card begins (the format's own text, "CIS").
const SIGNATURE: [u8; 10] = [0x01, 0x03, 0xd9, 0x01, 0xff, 0x18, 0x02, 0xdf, 0x01, 0x20];

/// Says `MTD_FTL=smartmedia` of the node that is named, or the device's own. Error: it is no such card.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, &[])?;
    let medium = context.open_path(arguments.rest.first())?;
    if is_smart_media(&Probed { context, medium })? {
        return Ok(Said::facts(vec![("MTD_FTL".into(), "smartmedia".into())]));
    }
    Err(BuiltinError::Failed("no SmartMedia or xD card".into()))
}

/// The structure stands in the first sector that can be read, one of the first blocks.
fn is_smart_media(drive: &impl Drive) -> Result<bool, BuiltinError> {
    let info = drive.bytes(Request::FlashInfo)?;
    let word = |at: usize| {
        info.get(at..).and_then(|rest| rest.first_chunk()).map(|b| u32::from_ne_bytes(*b)).unwrap_or_default()
    };
    // `struct mtd_info_user`: type, flags, size, erase size, write size
    let (kind, size, block, page) = (info.first().copied(), word(8), word(12), word(16));
    if kind != Some(NAND) || ![u32::from(SECTOR), SMALL_PAGE].contains(&page) {
        return Ok(false);
    }
    let spare_blocks = match size >> 20 {
        1 | 2 => 6,
        4 => 12,
        _ => 24,
    };
    let end = u64::from(block) * spare_blocks;
    let sectors = (0..end.min(1 << 20)).step_by(usize::from(SECTOR));
    for offset in sectors {
        match drive.bytes(Request::Read { offset, room: SECTOR }) {
            Ok(sector) if sector.len() == usize::from(SECTOR) => {
                let second = sector.get(256..).unwrap_or_default();
                return Ok(sector.starts_with(&SIGNATURE) || second.starts_with(&SIGNATURE));
            }
            // a block that can't be read is what the spare ones are for
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Answer;

    /// A chip: kind, size, block, page; the offset from which it can be read; what it holds at `at`.
    struct Chip {
        info: [u32; 4],
        readable: u64,
        at: usize,
    }

    impl Drive for Chip {
        fn ask(&self, request: Request) -> Result<Answer, BuiltinError> {
            let mut bytes = vec![0; 512];
            match request {
                Request::FlashInfo => {
                    let [kind, size, block, page] = self.info;
                    bytes.truncate(32);
                    for (at, word) in [(0, kind), (8, size), (12, block), (16, page)] {
                        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
                    }
                }
                Request::Read { offset, .. } if offset >= self.readable => {
                    bytes[self.at..self.at + 10].copy_from_slice(&SIGNATURE);
                }
                _ => return Err(BuiltinError::Failed("bad block".into())),
            }
            Ok(Answer::Bytes(bytes))
        }
    }

    #[test]
    fn chips() {
        let nand = |size: u32, page: u32| [4, size << 20, 16 << 10, page];
        for (info, readable, at, expected) in [
            (nand(16, 512), 0, 0, true),
            (nand(1, 256), 0, 256, true),
            (nand(16, 512), 0, 10, false),
            (nand(16, 512), 3 * 512, 0, true),
            (nand(16, 512), 1 << 30, 0, false),
            (nand(16, 2048), 0, 0, false),
            ([3, 16 << 20, 16 << 10, 512], 0, 0, false),
        ] {
            let found = is_smart_media(&Chip { info, readable, at }).unwrap();
            assert_eq!(found, expected, "{info:?} {readable} {at}");
        }
    }
}
