//! Owns why an effect is refused: what the diagnostic says, and its stable short name. Never decides.

use bstr::BString;

use super::expand::ExpandError;
use crate::ids::IdError;
use crate::properties::PropertyError;
use crate::rules::host::HostError;

/// Why an effect is not in the outcome.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It does not concern this device, or is final: no fault.
    #[error("{0}")]
    NotHere(&'static str),
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error("`{0}` can't be a link: {1}")]
    Link(BString, IdError),
    #[error("`{0}` can't be a link: a part of its name is empty")]
    EmptyPart(BString),
    #[error("`{0}` can't be a tag: {1}")]
    Tag(BString, IdError),
    #[error(transparent)]
    Property(#[from] PropertyError),
    #[error("`{0}` can't be the name of a network interface: use 1 to 15 bytes, not `.` or `..`")]
    Ifname(BString),
    #[error("there is no user `{0}`")]
    User(BString),
    #[error("there is no group `{0}`")]
    Group(BString),
    #[error("`{0}` is no mode: use octal digits up to 7777")]
    Mode(BString),
    #[error("`{0}` can't be a unit's name: it is empty or has white space")]
    Unit(BString),
    #[error("the command line is empty")]
    EmptyCommand,
    #[error("no number in `{0}` for a device without identity: what `by` gives is empty")]
    NoIdentity(String),
    #[error("the number {0} in `{1}` may be another after a restart: {2}")]
    IndexLost(u32, String, HostError),
    #[error("can't write `{0}`: {1}")]
    Write(BString, HostError),
}

/// Every code of a diagnostic that an evaluation can give, with its meaning; for the man page.
pub const CODES: [(&str, &str); 14] = [
    ("no-index", "`$index` has no number: the rule has none yet, or the device has no identity."),
    ("index-lost", "A number was given and could not be kept."),
    ("too-long", "A value in a rule of udev's that becomes longer than udev's limit; it is left out."),
    ("bad-link", "A link name that leaves the device directory, has an empty part or is no file name."),
    ("bad-tag", "A tag with other bytes than letters, digits, `-` and `_`."),
    ("bad-property", "A property value with a NUL or a newline, or a bad name."),
    ("bad-name", "A name that no network interface can have."),
    ("unknown-user", "A user that this system does not have."),
    ("unknown-group", "A group that this system does not have."),
    ("bad-mode", "Permissions that are no octal number up to 7777."),
    ("bad-unit", "A unit name that is empty or has white space."),
    ("empty-command", "A command line without words."),
    ("write-failed", "A value could not be written; the rule goes on."),
    ("import-failed", "A file to import from is there and can't be read."),
];

impl Refusal {
    /// The stable short name of the kind.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Refusal::NotHere(_) => "not-here",
            Refusal::Expand(ExpandError::TooLong(..)) => "too-long",
            Refusal::Expand(ExpandError::NoIndex) | Refusal::NoIdentity(_) => "no-index",
            Refusal::IndexLost(..) => "index-lost",
            Refusal::Link(..) | Refusal::EmptyPart(_) => "bad-link",
            Refusal::Tag(..) => "bad-tag",
            Refusal::Property(_) => "bad-property",
            Refusal::Ifname(_) => "bad-name",
            Refusal::User(_) => "unknown-user",
            Refusal::Group(_) => "unknown-group",
            Refusal::Mode(_) => "bad-mode",
            Refusal::Unit(_) => "bad-unit",
            Refusal::EmptyCommand => "empty-command",
            Refusal::Write(..) => "write-failed",
        }
    }
}
