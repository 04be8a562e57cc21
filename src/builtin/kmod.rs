//! Owns `kmod load`: which modules the kernel needs for a device, or those that a rule names.
//!
//! Says what is to be loaded; loading takes its time and is done beside the events.

use bstr::BString;

use super::{BuiltinError, Context, Deed, Found};
use crate::properties::Properties;

/// Runs `kmod load [MODULE…]`; without names it is the device's `MODALIAS`.
pub(super) fn run(arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let wrong = |text: &str| Err(BuiltinError::Arguments(text.into()));
    let modules = match arguments {
        [verb, modules @ ..] if verb == "load" => modules,
        _ => return wrong("write `kmod load`, or `kmod load MODULE…`"),
    };
    let names = match modules {
        [] => match context.properties.get("MODALIAS").filter(|alias| !alias.is_empty()) {
            Some(alias) => vec![alias.into()],
            // a device that asks for nothing
            None => return Ok(Found::default()),
        },
        named => named.to_vec(),
    };
    if names.iter().any(|name| name.contains(&0)) {
        return wrong("a module's name has a NUL");
    }
    Ok(Found { properties: Properties::new(), deeds: vec![Deed::LoadModules(names)] })
}
