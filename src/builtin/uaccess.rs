//! Owns `uaccess`: whose session is in front of the seat that a device belongs to, so that its user may use the device.
//!
//! systemd-logind says it in `/run/systemd/seats/SEAT`. When another session comes to the front, logind itself gives the
//! devices that are tagged `uaccess` to its user; nameplate does so for devices that appear or change.

use std::fmt;
use std::fs;
use std::io;

use bstr::{BString, ByteSlice};

use super::node::node_name;
use super::{BuiltinError, Context, Deed, Found};
use crate::ids::LinkName;
use crate::properties::Properties;

/// The seat of devices that no rule has given to another.
const FIRST_SEAT: &str = "seat0";

/// Who may use a device's node beside its owner and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The node.
    pub node: LinkName,
    /// The user; `None`: nobody is in front of the seat.
    pub user: Option<u32>,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user {
            Some(user) => write!(f, "node {}: user {user} may read and write", self.node),
            None => write!(f, "node {}: no user but its owner", self.node),
        }
    }
}

/// Runs `uaccess`; it has no arguments. Without systemd-logind there are no seats, and nothing is to be done.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let seats = context.roots.seats();
    if !seats.is_dir() {
        return Ok(Found::default());
    }
    let node = node_name(context).ok_or_else(|| BuiltinError::Failed("the device has no node".into()))?;
    let seat = context.properties.get("ID_SEAT").filter(|seat| !seat.is_empty());
    let seat = seat.map_or_else(|| Ok(FIRST_SEAT), |seat| seat.to_str().map_err(|_| wrong(seat)))?;
    if !is_name(seat.as_bytes()) {
        return Err(wrong(seat.as_bytes()));
    }
    let user = match fs::read(seats.join(seat)) {
        Ok(text) => active_user(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(BuiltinError::Failed(format!("seat `{seat}`: {error}"))),
    };
    Ok(Found { properties: Properties::new(), deeds: vec![Deed::Access(Access { node, user })] })
}

fn wrong(seat: &[u8]) -> BuiltinError {
    BuiltinError::Failed(format!("`{}` is no name of a seat", seat.as_bstr()))
}

fn is_name(seat: &[u8]) -> bool {
    seat.starts_with(b"seat") && seat.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The user of the session in front, from what logind keeps of a seat.
fn active_user(text: &[u8]) -> Option<u32> {
    let value = text.lines().find_map(|line| line.strip_prefix(b"ACTIVE_UID="))?;
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_front() {
        for (text, expected) in [
            ("# This is private data.\nIS_SEAT0=1\nACTIVE=2\nACTIVE_UID=1000\nSESSIONS=2 c1\n", Some(1000)),
            ("IS_SEAT0=1\nSESSIONS=2\n", None),
            ("ACTIVE_UID=\n", None),
            ("ACTIVE_UID=-1\n", None),
            ("XACTIVE_UID=1\n", None),
            ("", None),
        ] {
            assert_eq!(active_user(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn names_of_seats() {
        for (seat, is) in
            [("seat0", true), ("seat-pci-1_2", true), ("../x", false), ("seat/../x", false), ("", false)]
        {
            assert_eq!(is_name(seat.as_bytes()), is, "{seat}");
        }
    }
}
