//! Owns `udevadm test --json`: what an event would leave behind as one JSON object, with the keys of systemd 258 and later.

use bstr::{BString, ByteSlice};
use serde_json::json;

use super::super::device::{Known, Machine, bytes};
use super::super::json::Node;
use super::{Shown, group, user};
use crate::decide::Plan;
use crate::ids::{NodeKind, Tag};
use crate::rules::eval::{Job, Target};

/// An object that is being made; what has no value is left out.
#[derive(Debug, Default)]
struct Pairs(Vec<(String, Node)>);

impl Pairs {
    fn put(&mut self, key: &str, value: impl Into<Option<Node>>) {
        self.0.extend(value.into().map(|value| (key.to_owned(), value)));
    }

    /// The same; a list without anything is no value.
    fn put_list(&mut self, key: &str, list: impl IntoIterator<Item = Node>) {
        let list: Vec<Node> = list.into_iter().collect();
        self.put(key, (!list.is_empty()).then_some(Node::List(list)));
    }

    fn node(self) -> Option<Node> {
        (!self.0.is_empty()).then_some(Node::Object(self.0))
    }
}

fn object(pairs: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    Node::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The whole.
pub(super) fn of(shown: &Shown<'_>, known: &Known, machine: &Machine) -> Node {
    let plan = shown.plan;
    let mut out = Pairs::default();
    out.put("path", Node::text(known.devpath().as_bytes()));
    out.put("name", Node::text(known.device.sysname()));
    let number = known.sysnum().and_then(|digits| digits.to_str().ok()?.parse::<u32>().ok());
    out.put("number", number.map(Node::from));
    out.put("id", known.id().map(Node::text));
    out.put("subsystem", known.subsystem().map(Node::text));
    out.put("driverSubsystem", known.driver_subsystem().map(Node::text));
    out.put("type", known.fact("DEVTYPE").map(Node::text));
    out.put("driver", known.driver(machine).map(Node::text));
    out.put("node", node(shown, known));
    out.put("networkInterface", interface(plan, known));
    out.put_list("sysfsAttributes", written(plan, machine, false));
    out.put_list("sysctl", written(plan, machine, true));
    let tags =
        |tags: &mut dyn Iterator<Item = &Tag>| tags.map(|tag| Node::text(tag.as_str())).collect::<Vec<_>>();
    out.put_list("tags", tags(&mut shown.tags.iter()));
    out.put_list("currentTags", tags(&mut shown.current.iter()));
    let lines = shown.properties.iter().map(|(key, value)| bstr::concat([key.as_slice(), b"=", value]));
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    out.put_list("properties", lines.into_iter().map(Node::text));
    let commands = plan.run.iter().map(|job| {
        let kind = if matches!(job.value, Job::Builtin { .. }) { "builtin" } else { "program" };
        object([("type", kind.into()), ("command", job.value.to_string().into())])
    });
    out.put_list("queuedCommands", commands);
    Node::Object(out.0)
}

fn node(shown: &Shown<'_>, known: &Known) -> Option<Node> {
    let mut out = Pairs::default();
    let number = known.device.devnum()?;
    out.put("path", Node::text(bytes(&known.node_path()?)));
    out.put("type", Node::from(if number.kind == NodeKind::Block { "block" } else { "char" }));
    out.put("rdev", Node::from(json!({ "major": number.major, "minor": number.minor })));
    let planned = shown.plan.node.as_ref();
    let mut owner = Pairs::default();
    if let Some(id) = planned.and_then(|node| Some(node.owner.as_ref()?.value.id)) {
        owner.put("uid", Node::from(id));
        owner.put("userName", Node::from(user(id).unwrap_or_else(|| id.to_string())));
    }
    if let Some(id) = planned.and_then(|node| Some(node.group.as_ref()?.value.id)) {
        owner.put("gid", Node::from(id));
        owner.put("groupName", Node::from(group(id).unwrap_or_else(|| id.to_string())));
    }
    out.put("owner", owner.node());
    let mode = planned.and_then(|node| Some(format!("{:04o}", node.mode.as_ref()?.value)));
    out.put("mode", mode.map(Node::from));
    if !shown.links.is_empty() {
        out.put("symlinkPriority", Node::from(shown.plan.priority));
        let mut links = shown.links.clone();
        links.sort();
        out.put_list("symlinks", links.iter().map(|link| Node::text(bytes(link))));
    }
    let labels = planned.into_iter().flat_map(|node| &node.labels);
    let labels = labels.map(|(module, label)| {
        object([("name", module.as_str().into()), ("label", Node::text(&label.value))])
    });
    out.put_list("securityLabels", labels);
    out.put("inotifyWatch", Node::from(shown.is_watched()));
    out.node()
}

fn interface(plan: &Plan, known: &Known) -> Option<Node> {
    let mut out = Pairs::default();
    out.put("index", Node::from(known.device.ifindex()?.get()));
    out.put("name", plan.netif.as_ref().map(|netif| Node::text(&netif.name)));
    out.node()
}

/// What rules would write: to attributes, or below `/proc/sys`.
fn written(plan: &Plan, machine: &Machine, sysctl: bool) -> Vec<Node> {
    let paths = plan.writes.iter().filter_map(|write| {
        let path: BString = match &write.target {
            Target::Sysctl(name) if sysctl => name.clone(),
            Target::Attribute { devpath, name } if !sysctl => {
                bstr::concat([bytes(&machine.sys(devpath.relative())), b"/", name]).into()
            }
            _ => return None,
        };
        Some(object([("path", Node::text(path)), ("value", Node::text(&write.value))]))
    });
    paths.collect()
}
