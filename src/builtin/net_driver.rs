//! Owns the builtin `net_driver`: the driver of a network interface, as the kernel's `ethtool` interface says it.
//!
//! Only the running kernel can be asked: interfaces of a recording, or of a tree that only looks like sysfs, have no answer.

use bstr::BString;

use super::net::Card;
use super::{BuiltinError, Context, Found};
use crate::properties::Properties;

/// Runs `net_driver`; it has no arguments. What is no interface, or is one whose driver has no name, gets nothing and is no
/// failure, as with udev. Error: [`BuiltinError::NotLive`].
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let card = match Card::of(context) {
        Err(BuiltinError::NotAnInterface) => return Ok(Properties::new().into()),
        card => card?,
    };
    let driver = card.driver();
    let found: Properties = driver.into_iter().map(|driver| ("ID_NET_DRIVER", driver)).collect();
    Ok(found.into())
}
