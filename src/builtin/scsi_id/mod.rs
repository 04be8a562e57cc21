//! Owns `scsi_id`: what a SCSI device says of itself, and the name that identifies it in all the world, from its vital product
//! data (SPC-4, section 7.8).
//!
//! Which page is asked and whether a device is asked at all can be said in a file, by vendor and model, and by arguments.

mod config;
mod vpd;

use std::fs;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use self::config::{Choice, Page};
use self::vpd::{Identifier, Inquiry};
use super::helper::{Arguments, Option_, Said, text};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context};
use crate::text::{SafeExtra, collapse_whitespace, encode_node_name, replace_unsafe};

/// The options of the program.
const OPTIONS: &[Option_] = &[
    ("device", b'd', true),
    ("config", b'f', true),
    ("page", b'p', true),
    ("blacklisted", b'b', false),
    ("denylisted", b'b', false),
    ("whitelisted", b'g', false),
    ("allowlisted", b'g', false),
    ("replace-whitespace", b'u', false),
    ("sg-version", b's', true),
    ("verbose", b'v', false),
    ("export", b'x', false),
];

/// How much is asked for of a page.
const ROOM: u8 = 254;

/// What is known of a device beside its standard inquiry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Identity {
    identifier: Option<Identifier>,
    /// The target port group.
    group: Option<u16>,
    /// The unit serial number of page 0x80.
    unit_serial: Option<Vec<u8>>,
}

/// Says what the device of `--device`, or the event's own, is: as facts with `--export`, else its identifier.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, OPTIONS)?;
    let file = match arguments.value(b'f') {
        Some(file) => PathBuf::from(file.to_os_str_lossy().into_owned()),
        None => context.roots.etc.join("scsi_id.config"),
    };
    let text = fs::read(file).unwrap_or_default();
    let mut choice = Choice::default();
    choice.apply(&config::general(&text)?)?;
    let export = arguments.has(b'x') || config::general(&text)?.has(b'x');
    let replace = arguments.has(b'u') || config::general(&text)?.has(b'u');
    choice.apply(&arguments)?;
    let medium = context.open_path(arguments.value(b'd').or(arguments.rest.first()))?;
    let drive = Probed { context, medium };
    let inquiry = inquiry(&drive)?;
    choice.apply(&config::of_device(&text, &name(&inquiry.vendor), &name(&inquiry.model))?)?;
    if !choice.good {
        return Err(BuiltinError::Failed(
            "neither the arguments nor the configuration allow this device".into(),
        ));
    }
    let identity = identity(&drive, &inquiry, choice.page);
    if export {
        return Ok(Said::facts(facts(&inquiry, &identity)));
    }
    let identifier =
        identity.identifier.ok_or_else(|| BuiltinError::Failed("the device has no identifier".into()))?;
    let line = if replace { name(&identifier.long) } else { identifier.long.replace("\n", "_").into() };
    Ok(Said { line: Some(line), ..Said::default() })
}

fn inquiry(drive: &impl Drive) -> Result<Inquiry, BuiltinError> {
    Inquiry::parse(&drive.data(&[0x12, 0, 0, 0, ROOM, 0], ROOM.into())?)
        .ok_or_else(|| BuiltinError::Failed("the inquiry data are too short".into()))
}

/// A page of vital product data, without its head; `None` if the device has no such page.
fn page(drive: &impl Drive, page: u8) -> Option<Vec<u8>> {
    vpd::page(page, &drive.data(&[0x12, 1, page, 0, ROOM, 0], ROOM.into()).ok()?).map(Into::into)
}

/// Looks for the identifier where the choice says, or where the device says that there is one: best first.
fn identity(drive: &impl Drive, inquiry: &Inquiry, wanted: Option<Page>) -> Identity {
    let mut out = Identity::default();
    match wanted {
        Some(Page::UnitSerial) => {
            out.identifier = page(drive, 0x80).and_then(|page| vpd::of_serial(inquiry, &page));
        }
        Some(Page::Identification) => identification(drive, inquiry, &mut out),
        Some(Page::OldIdentification) => match page(drive, 0x83).as_deref().map(vpd::old_identifier) {
            Some(Some(mut old)) => {
                old.short.clear();
                out.identifier = Some(old);
            }
            Some(None) => identification(drive, inquiry, &mut out),
            None => {}
        },
        None => {
            let Some(pages) = page(drive, 0x00).filter(|pages| inquiry.is_pages(pages)) else { return out };
            if pages.contains(&0x83) {
                identification(drive, inquiry, &mut out);
            }
            if out.identifier.is_none() && pages.contains(&0x80) {
                out.identifier = page(drive, 0x80).and_then(|page| vpd::of_serial(inquiry, &page));
            }
        }
    }
    out
}

fn identification(drive: &impl Drive, inquiry: &Inquiry, out: &mut Identity) {
    out.unit_serial = page(drive, 0x80);
    let Some(page) = page(drive, 0x83) else { return };
    out.identifier = vpd::identifier(inquiry, &page);
    out.group = vpd::target_port_group(&page);
}

/// All facts, in udev's order.
fn facts(inquiry: &Inquiry, identity: &Identity) -> Vec<(String, BString)> {
    let mut out: Vec<(&str, BString)> = vec![
        ("ID_SCSI", "1".into()),
        ("ID_VENDOR", name(&inquiry.vendor)),
        ("ID_VENDOR_ENC", encode_node_name(&inquiry.vendor)),
        ("ID_MODEL", name(&inquiry.model)),
        ("ID_MODEL_ENC", encode_node_name(&inquiry.model)),
        ("ID_REVISION", name(&inquiry.revision)),
        ("ID_TYPE", inquiry.kind().into()),
    ];
    if let Some(identifier) = &identity.identifier {
        out.push(("ID_SERIAL", name(&identifier.long)));
        out.push(("ID_SERIAL_SHORT", name(&identifier.short)));
        if let Some((wwn, extension)) = identifier.world_wide_name() {
            out.push(("ID_WWN", format!("0x{wwn}").into()));
            if !extension.is_empty() {
                out.push(("ID_WWN_VENDOR_EXTENSION", format!("0x{extension}").into()));
            }
            out.push(("ID_WWN_WITH_EXTENSION", format!("0x{wwn}{extension}").into()));
        }
    }
    if let Some(group) = identity.group {
        out.push(("ID_TARGET_PORT", format!("{group:x}").into()));
    }
    if let Some(serial) = identity.unit_serial.as_deref().and_then(unit_serial) {
        out.push(("ID_SCSI_SERIAL", serial));
    }
    out.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The unit serial number as it is, if it is a text: it ends where the first NUL is.
fn unit_serial(raw: &[u8]) -> Option<BString> {
    text(raw.split(|b| *b == 0).next()?).filter(|text| !text.is_empty())
}

/// A text as part of a name.
fn name(text: &[u8]) -> BString {
    replace_unsafe(&collapse_whitespace(text.split(|b| *b == 0).next().unwrap_or_default()), SafeExtra::None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Answer, Request};
    use crate::sys::medium::Reply;

    /// A disk with these pages: code and contents.
    struct Fake(Vec<(u8, Vec<u8>)>);

    impl Drive for Fake {
        fn ask(&self, request: Request) -> Result<Answer, BuiltinError> {
            let Request::Scsi { command, .. } = request else { unreachable!("{request:?}") };
            let page = self.0.iter().find(|(code, _)| command[..3] == [0x12, 1, *code]);
            let data = match (command[1], page) {
                (0, _) => [&[0, 0, 5, 2, 31, 0, 0, 0][..], b"SEAGATE ST4000NM0023    0004"].concat(),
                (_, Some((code, page))) => [&[0, *code, 0, page.len().to_le_bytes()[0]], &page[..]].concat(),
                _ => return Ok(Answer::Reply(Reply { status: 2, ..Reply::default() })),
            };
            Ok(Answer::Reply(Reply { data, ..Reply::default() }))
        }
    }

    fn all(pages: &[(u8, &[u8])], wanted: Option<Page>) -> String {
        let fake = Fake(pages.iter().map(|(code, page)| (*code, page.to_vec())).collect());
        let inquiry = inquiry(&fake).unwrap();
        let facts = facts(&inquiry, &identity(&fake, &inquiry, wanted));
        facts.iter().skip(7).map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    }

    const NAA: &[u8] = &[0x01, 0x03, 0x00, 0x08, 0x50, 0x00, 0xc5, 0x00, 0x57, 0x8a, 0x12, 0x37];
    const GROUP: &[u8] = &[0x61, 0x95, 0x00, 0x04, 0x00, 0x00, 0x00, 0x1a];

    #[test]
    fn a_disk() {
        let fake = Fake(vec![]);
        let found = inquiry(&fake).unwrap();
        let facts = facts(&found, &Identity::default());
        let lines: Vec<String> = facts.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            lines.join(" "),
            r"ID_SCSI=1 ID_VENDOR=SEAGATE ID_VENDOR_ENC=SEAGATE\x20 ID_MODEL=ST4000NM0023 ID_MODEL_ENC=ST4000NM0023\x20\x20\x20\x20 ID_REVISION=0004 ID_TYPE=disk"
        );
    }

    #[test]
    fn pages() {
        let both = &[NAA, GROUP].concat()[..];
        let wwn = "ID_SERIAL=35000c500578a1237 ID_SERIAL_SHORT=5000c500578a1237 ID_WWN=0x5000c500578a1237 \
                   ID_WWN_WITH_EXTENSION=0x5000c500578a1237";
        let by_serial = "ID_SERIAL=SSEAGATE_ST4000NM0023_Z1Z0ABCD ID_SERIAL_SHORT=Z1Z0ABCD";
        let serial = &b"Z1Z0ABCD"[..];
        type Case<'c> = (&'c [(u8, &'c [u8])], Option<Page>, String);
        let cases: &[Case<'_>] = &[
            (&[], None, String::new()),
            (
                &[(0, &[0, 0x80, 0x83]), (0x80, serial), (0x83, NAA)],
                None,
                format!("{wwn} ID_SCSI_SERIAL=Z1Z0ABCD"),
            ),
            (&[(0, &[0, 0x83]), (0x83, both)], None, format!("{wwn} ID_TARGET_PORT=1a")),
            (&[(0, &[0, 0x80]), (0x80, serial), (0x83, NAA)], None, by_serial.into()),
            // a page that is not in the list is not asked for, unless it is wanted
            (&[(0, &[0]), (0x83, NAA)], None, String::new()),
            (&[(0x83, NAA)], Some(Page::Identification), wwn.into()),
            (&[(0x80, serial), (0x83, NAA)], Some(Page::UnitSerial), by_serial.into()),
        ];
        for (pages, wanted, expected) in cases {
            assert_eq!(all(pages, *wanted), *expected, "{pages:?}");
        }
    }
}
