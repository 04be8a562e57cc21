//! Owns the step from an event to its plan: event, tree, rules and old record in, an ordered list of effects out.
//!
//! Changes nothing, but for what rules write while they run (udev's `ATTR{}=`), which is the host's. The daemon, `test`,
//! `explain` and `reload --plan` all come through [`decide`]: what differs is the host and the observer they bring.

mod difference;
mod effects;
mod globals;
mod host;
mod plan;
mod show;
mod system;
#[cfg(test)]
mod tests;

use bstr::BString;

pub use self::difference::{Change, Difference, Permissions, difference};
pub use self::effects::{DeedRunner, Dry, Effects, Live, NoDeeds, ProgramRunner, SkippedPrograms, Unwriting};
pub use self::globals::Globals;
pub use self::host::{EventHost, OthersRecords, Records, Surroundings};
pub use self::plan::{
    NetifPlan, NodePlan, Origin, Plan, PlanEvent, PlannedLink, PlannedProperty, PlannedTag, Sourced,
};
use crate::device::Device;
use crate::ids::{Action, SeqNum};
use crate::machine;
use crate::roots::Roots;
use crate::rules::compile::Compiled;
use crate::rules::eval::{Before, EventFacts, evaluate};
use crate::rules::host::Host;
use crate::rules::trace::Observer;
use crate::store::record::Record;
use crate::uevent::Uevent;

/// An event with what is known of its device.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The event.
    pub uevent: &'a Uevent,
    /// The device in the tree; after a removal the handle that somebody kept, if anybody did.
    pub device: Option<&'a Device>,
    /// What the last event left.
    pub record: Option<&'a Record>,
}

/// Works out what an event changes.
pub fn decide<H: Host, O: Observer>(
    rules: &Compiled,
    event: &Event<'_>,
    roots: &Roots,
    host: &mut H,
    observer: &mut O,
) -> Plan {
    let facts = facts(event, roots);
    let outcome = evaluate(rules, &facts, host, observer);
    Plan::new(&facts, &event.uevent.properties, outcome)
}

/// What rules are given of an event. Properties begin with the kernel's alone: of the last event only the tags go on.
/// For a removal the record's properties, links and tags are there too, since nothing else still knows them.
fn facts(event: &Event<'_>, roots: &Roots) -> EventFacts {
    let Event { uevent, device, record } = *event;
    let mut properties = uevent.properties.clone();
    let going = record.filter(|_| uevent.action == Action::Remove);
    if let Some(record) = going {
        properties = record.properties.clone();
        for (key, value) in uevent.properties.iter() {
            let _valid_before = properties.set(key, value);
        }
    }
    let node = uevent.properties.get("DEVNAME").map(|name| node_name(name, roots)).filter(|n| !n.is_empty());
    if let Some(node) = &node {
        let path = bstr::concat([roots.dev.as_os_str().as_encoded_bytes(), b"/", node.as_slice()]);
        let _valid_before = properties.set("DEVNAME", path);
    }
    EventFacts {
        action: uevent.action,
        devpath: uevent.devpath.clone(),
        seqnum: (uevent.seqnum != SeqNum(0)).then_some(uevent.seqnum),
        subsystem: Some(uevent.subsystem.clone()).filter(|subsystem| !subsystem.is_empty()),
        devnum: uevent.devnum().or_else(|| device.and_then(Device::devnum)),
        ifindex: uevent.ifindex().or_else(|| device.and_then(Device::ifindex)),
        node,
        properties,
        device: device.cloned(),
        before: Before {
            links: going.map(|record| record.links.clone()).unwrap_or_default(),
            current_tags: going.map(|record| record.current_tags.clone()).unwrap_or_default(),
            tags: record.map(|record| record.tags.clone()).unwrap_or_default(),
            init_usec: record.and_then(|record| record.init_usec).or_else(machine::uptime_usec),
        },
    }
}

/// A node's name below the device directory: the kernel sends it so, libudev with the directory in front.
fn node_name(name: &[u8], roots: &Roots) -> BString {
    let dev = roots.dev.as_os_str().as_encoded_bytes();
    let below = |dir: &[u8]| name.strip_prefix(dir).and_then(|rest| rest.strip_prefix(b"/"));
    below(dev).or_else(|| below(Roots::system().dev.as_os_str().as_encoded_bytes())).unwrap_or(name).into()
}
