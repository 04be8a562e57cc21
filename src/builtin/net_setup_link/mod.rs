//! Owns the builtin `net_setup_link`: which `.link` file (`systemd.link(5)`) is an interface's, and what it asks for.
//!
//! The name is a property, for rules to use; all else is a deed. Files are read once for many events. Nothing is set on
//! other actions than `add`, `bind` and `move`, and names are given on `add` alone: who uses an interface has set it up by
//! then. Never changes anything.

mod choose;
mod conditions;
mod ini;
mod kernel;
mod keys;
mod link_file;
mod load;
mod matching;
mod modes;
mod properties;
mod specifiers;
mod values;
#[cfg(test)]
mod verdicts;

use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use bstr::BString;

use self::choose::System;
use self::conditions::Machine;
use self::link_file::LinkFile;
use self::matching::Facts;
use super::interface::Interface;
use super::net::Card;
use super::net_id::scheme;
use super::{BuiltinError, Context, Deed, Found};
use crate::ids::{Action, IfIndex};
use crate::machine;
use crate::properties::Properties;
use crate::roots::Roots;
use crate::store::files::RecordDir;

/// `IFF_LOOPBACK`.
const LOOPBACK: u32 = 1 << 3;

/// The properties that say what was done.
const LINK_FILE: &str = "ID_NET_LINK_FILE";
const DROP_INS: &str = "ID_NET_LINK_FILE_DROPINS";
const NAME: &str = "ID_NET_NAME";

/// The `.link` files of one system, read when first asked for.
#[derive(Debug, Default)]
pub(super) struct LinkFiles(Mutex<Option<Arc<Vec<LinkFile>>>>);

impl LinkFiles {
    /// The files are read anew when somebody asks again.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self, roots: &Roots) -> Arc<Vec<LinkFile>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(files.get_or_insert_with(|| Arc::new(load::load(roots))))
    }
}

/// Runs `net_setup_link`; it has no arguments. Error: [`BuiltinError::NotAnInterface`]. An interface that no file matches
/// gets nothing but its driver.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let index = context.device.ifindex().ok_or(BuiltinError::NotAnInterface)?;
    let facts = facts(context);
    let mut found = Found::default();
    if let Some(driver) = &facts.driver {
        let _refused = found.properties.set("ID_NET_DRIVER", driver);
    }
    if !matches!(context.action, Action::Add | Action::Bind | Action::Move) {
        as_it_is(context, index, &mut found);
        return Ok(found);
    }
    let files = context.shared.link_files().get(context.roots);
    let machine = Machine::of(context.roots);
    let matching = |file: &&LinkFile| !facts.is_loopback && file.matching.matches(&facts, &machine);
    let Some(file) = files.iter().find(matching) else { return Ok(found) };
    if file.matching.is_by_name() && choose::is_counted(&facts) {
        tracing::warn!(
            "{} is taken for interface {} by a name that the kernel may give another at the next start",
            file.file.display(),
            facts.name
        );
    }
    apply(context, index, file, &facts, &mut found);
    Ok(found)
}

/// Whoever uses the interface has set it up by now. What was done when it came is said once more.
fn as_it_is(context: &Context<'_>, index: IfIndex, found: &mut Found) {
    if context.action != Action::Remove {
        let record = last_record(context.roots, index);
        for key in [LINK_FILE, DROP_INS] {
            if let Some(value) = record.get(key) {
                let _was_in_a_record = found.properties.set(key, value);
            }
        }
    }
    let _refused = found.properties.set(NAME, context.device.sysname());
}

fn apply(context: &Context<'_>, index: IfIndex, file: &LinkFile, facts: &Facts, found: &mut Found) {
    let system = System {
        action: context.action,
        scheme: scheme::chosen(context.roots),
        names_wanted: scheme::names_wanted(&machine::kernel_command_line(context.roots)),
        machine_id: machine::machine_id(context.roots),
    };
    let name = choose::name(&file.wanted, facts, &system);
    let settings = choose::settings(file, facts, &system, &name);
    if !settings.is_empty() {
        found.deeds.push(Deed::Interface(Interface { index, settings }));
    }
    let mut set = |key: &[u8], value: &[u8]| {
        if let Err(problem) = found.properties.set(key, value) {
            tracing::warn!("{}: {problem}", file.file.display());
        }
    };
    for (key, value) in properties(context, index, file) {
        set(&key, &value);
    }
    set(LINK_FILE.as_bytes(), file.file.as_os_str().as_bytes());
    let drop_ins = file.drop_ins.iter().map(|path| path.as_os_str().as_bytes());
    // an empty value takes away what a file asked for
    set(DROP_INS.as_bytes(), &bstr::join(":", drop_ins));
    set(NAME.as_bytes(), &name);
}

/// Properties that the file asks for: those of the last record, its own over them, and what is to be empty.
fn properties(context: &Context<'_>, index: IfIndex, file: &LinkFile) -> Vec<(BString, BString)> {
    let wanted = &file.wanted;
    let mut out = Vec::new();
    if !wanted.imported.is_empty() {
        let record = last_record(context.roots, index);
        let value = |key: &BString| Some((key.clone(), record.get(key)?.to_owned()));
        out.extend(wanted.imported.iter().filter_map(value));
    }
    out.extend(wanted.properties.iter().cloned());
    out.extend(wanted.unset.iter().map(|key| (key.clone(), BString::default())));
    out
}

fn last_record(roots: &Roots, index: IfIndex) -> Properties {
    let directory = RecordDir::open(&roots.run.join("udev/data"));
    let read =
        directory.ok().and_then(|records| records.read(&crate::ids::DeviceId::Net(index)).ok().flatten());
    read.map(|(record, _)| record.properties).unwrap_or_default()
}

/// What the kernel says of the interface now, or else what its attributes say.
fn facts(context: &Context<'_>) -> Facts {
    let device = context.device;
    let number = |name: &str| {
        super::look::decimal(&context.attribute(device, name)?).and_then(|n| u32::try_from(n).ok())
    };
    let card = Card::of(context).ok();
    let live = card.as_ref().and_then(Card::link);
    let mut facts = Facts {
        name: device.sysname(),
        driver: card.as_ref().and_then(Card::driver),
        devtype: context.reader.uevent(device).get("DEVTYPE").map(BString::from),
        name_origin: number("name_assign_type"),
        address_origin: number("addr_assign_type"),
        properties: context.properties.clone(),
        ..Facts::default()
    };
    match live {
        Some(link) => {
            facts.hardware = link.hardware;
            facts.is_loopback = link.flags & LOOPBACK != 0;
            (facts.address, facts.permanent_address) = (link.address, link.permanent_address);
            (facts.kind, facts.alternative_names) = (link.kind, link.alternative_names);
        }
        None => {
            let flags = context.attribute(device, "flags").unwrap_or_default();
            let flags = flags.strip_prefix(b"0x").and_then(super::look::hex).unwrap_or_default();
            facts.hardware = number("type").and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
            facts.is_loopback = flags & LOOPBACK != 0;
            let address = context.attribute(device, "address").unwrap_or_default();
            facts.address = values::address(&address).unwrap_or_default();
            if facts.address_origin == Some(0) {
                facts.permanent_address = facts.address.clone();
            }
            // most kinds are called alike
            facts.kind = facts.devtype.clone();
        }
    }
    facts
}
