//! Owns how a plan is shown: as text for people, as the JSON object of `test --json`. Never changes the plan.
//!
//! Bytes that are no UTF-8 show as U+FFFD, control bytes in text as escapes: a device's name must not drive a terminal.

use std::fmt;

use bstr::ByteSlice;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};

use super::plan::{NetifPlan, NodePlan, Plan, PlannedLink, PlannedProperty, PlannedTag};
use crate::rules::eval::{Account, Given, Job, Target, Write};

/// Text as JSON and people get it.
fn lossy(bytes: &[u8]) -> String {
    bytes.to_str_lossy().into_owned()
}

/// Text for a terminal: control characters escaped.
fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for c in bytes.to_str_lossy().chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

impl fmt::Display for Plan {
    /// One line for each effect, in the order in which they are applied.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.event;
        write!(f, "{} {}", event.action, shown(event.devpath.as_bytes()))?;
        event.id.iter().try_for_each(|id| write!(f, " ({})", shown(&id.to_bytes())))?;
        writeln!(f)?;
        for write in &self.writes {
            let (name, value) = (target_name(&write.target), shown(&write.value));
            writeln!(f, "  write    {name} = {value}  ({})", write.from)?;
        }
        if let Some(netif) = &self.netif {
            writeln!(f, "  rename   {} -> {}  ({})", shown(&netif.old), shown(&netif.name), netif.from)?;
        }
        self.node.iter().try_for_each(|node| show_node(f, node))?;
        for link in &self.links {
            writeln!(
                f,
                "  link     {}  priority {}  ({})",
                shown(link.name.as_bytes()),
                link.priority,
                link.from
            )?;
        }
        for property in &self.properties {
            writeln!(
                f,
                "  property {}={}  ({})",
                shown(&property.key),
                shown(&property.value),
                property.from
            )?;
        }
        self.tags.iter().try_for_each(|tag| writeln!(f, "  tag      {}  ({})", tag.tag, tag.from))?;
        self.watch.iter().try_for_each(|watch| {
            writeln!(f, "  watch    {}  ({})", if watch.value { "yes" } else { "no" }, watch.from)
        })?;
        self.persist.iter().try_for_each(|place| writeln!(f, "  persist  the record  ({place})"))?;
        for job in &self.run {
            writeln!(f, "  {}  ({})", show_job(&job.value), job.from)?;
        }
        self.diagnostics.iter().try_for_each(|diagnostic| writeln!(f, "  warning  {diagnostic}"))
    }
}

fn show_node(f: &mut fmt::Formatter<'_>, node: &NodePlan) -> fmt::Result {
    writeln!(f, "  node     {}", shown(&node.name))?;
    node.owner
        .iter()
        .try_for_each(|owner| writeln!(f, "  owner    {}  ({})", shown(&owner.value.name), owner.from))?;
    node.group
        .iter()
        .try_for_each(|group| writeln!(f, "  group    {}  ({})", shown(&group.value.name), group.from))?;
    node.mode.iter().try_for_each(|mode| writeln!(f, "  mode     {:04o}  ({})", mode.value, mode.from))?;
    node.labels.iter().try_for_each(|(module, label)| {
        writeln!(f, "  label    {module} {}  ({})", shown(&label.value), label.from)
    })
}

fn show_job(job: &Job) -> String {
    match job {
        Job::Program(argv) => {
            let words: Vec<String> = argv.iter().map(|word| format!("{:?}", shown(word))).collect();
            format!("run      {}", words.join(" "))
        }
        Job::Builtin { name, arguments } => {
            let words: Vec<String> = arguments.iter().map(|word| format!(" {}", shown(word))).collect();
            format!("builtin  {name}{}", words.concat())
        }
    }
}

fn target_name(target: &Target) -> String {
    match target {
        Target::Attribute { devpath, name } => format!("{}/{}", shown(devpath.as_bytes()), shown(name)),
        Target::Sysctl(name) => format!("sysctl {}", shown(name)),
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Plan", 10)?;
        out.serialize_field("devpath", &lossy(self.event.devpath.as_bytes()))?;
        out.serialize_field("action", self.event.action.as_str())?;
        out.serialize_field("node", &self.node)?;
        out.serialize_field("links", &self.links)?;
        out.serialize_field("properties", &ByName(&self.properties))?;
        out.serialize_field("tags", &self.tags)?;
        out.serialize_field("netif", &self.netif)?;
        out.serialize_field("run", &self.run.iter().map(ShownJob).collect::<Vec<_>>())?;
        out.serialize_field("writes", &self.writes.iter().map(ShownWrite).collect::<Vec<_>>())?;
        out.serialize_field("diagnostics", &self.diagnostics)?;
        out.end()
    }
}

impl Serialize for NodePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |account: &Account| lossy(&account.name);
        let mut out = serializer.serialize_struct("NodePlan", 4)?;
        out.serialize_field("name", &lossy(&self.name))?;
        out.serialize_field("owner", &self.owner.as_ref().map(|owner| name(&owner.value)))?;
        out.serialize_field("group", &self.group.as_ref().map(|group| name(&group.value)))?;
        out.serialize_field("mode", &self.mode.as_ref().map(|mode| format!("{:04o}", mode.value)))?;
        out.end()
    }
}

impl Serialize for PlannedLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("PlannedLink", 3)?;
        out.serialize_field("name", &lossy(self.name.as_bytes()))?;
        out.serialize_field("priority", &self.priority)?;
        out.serialize_field("from", &self.from)?;
        out.end()
    }
}

impl Serialize for NetifPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("NetifPlan", 2)?;
        out.serialize_field("name", &lossy(&self.name))?;
        out.serialize_field("from", &self.from)?;
        out.end()
    }
}

impl Serialize for PlannedTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.tag.as_str())
    }
}

/// Properties as one object: `{ "ID_BUS": { "value": "usb", "from": "60-serial.toml:3" } }`.
struct ByName<'a>(&'a [PlannedProperty]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry {
            value: String,
            from: String,
        }
        let mut out = serializer.serialize_map(Some(self.0.len()))?;
        for property in self.0 {
            let entry = Entry { value: lossy(&property.value), from: property.from.to_string() };
            out.serialize_entry(&lossy(&property.key), &entry)?;
        }
        out.end()
    }
}

struct ShownJob<'a>(&'a Given<Job>);

impl Serialize for ShownJob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = |words: &[bstr::BString]| words.iter().map(|word| lossy(word)).collect::<Vec<_>>();
        let mut out = serializer.serialize_map(None)?;
        match &self.0.value {
            Job::Program(argv) => out.serialize_entry("program", &texts(argv))?,
            Job::Builtin { name, arguments } => {
                out.serialize_entry("builtin", name)?;
                out.serialize_entry("arguments", &texts(arguments))?;
            }
        }
        out.serialize_entry("from", &self.0.from)?;
        out.end()
    }
}

struct ShownWrite<'a>(&'a Write);

impl Serialize for ShownWrite<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        match &self.0.target {
            Target::Attribute { devpath, name } => {
                out.serialize_entry("devpath", &lossy(devpath.as_bytes()))?;
                out.serialize_entry("attribute", &lossy(name))?;
            }
            Target::Sysctl(name) => out.serialize_entry("sysctl", &lossy(name))?,
        }
        out.serialize_entry("value", &lossy(&self.0.value))?;
        out.serialize_entry("from", &self.0.from)?;
        out.end()
    }
}
