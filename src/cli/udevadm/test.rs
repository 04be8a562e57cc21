//! `udevadm test`: what the rules would do with a device, changing nothing.

mod object;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use bstr::BString;
use nix::unistd::{Group, User};

use super::device::{Known, Machine, Order, bytes};
use super::json::{self, Json};
use super::locate::{self, Below};
use super::look::Look;
use super::{Ended, Refused, trigger};
use crate::cli::context::Context;
use crate::cli::dry::{self, Means, Rules, work_out};
use crate::config::ResolveNames;
use crate::decide::{Plan, Sourced};
use crate::diag::{self, Severity};
use crate::ids::{Action, LinkName, Tag};
use crate::machine;
use crate::rules::eval::{Account, Job};
use crate::rules::trace::Unobserved;

/// Show what the rules would do with a device, changing nothing
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The event to suppose, or `help` for their names
    #[arg(long, short, value_name = "ACTION", default_value = "add")]
    action: String,
    /// When users and groups are looked up: early, late or never
    #[arg(long, short = 'N', value_name = "WHEN", default_value = "early")]
    resolve_names: String,
    /// The rules of DIR too, as the strongest directory (systemd 258 and later)
    #[arg(long, short = 'D', value_name = "DIR")]
    extra_rules_dir: Vec<PathBuf>,
    /// The plan with the place of each line (systemd 258 and later)
    #[arg(long, short)]
    verbose: bool,
    /// JSON: pretty, short or off, or `help` for these names (systemd 258 and later)
    #[arg(long, value_name = "FORM", default_value = "off")]
    json: Json,
    /// The device; what is behind it is accepted and without effect
    #[arg(value_name = "DEVPATH")]
    devices: Vec<OsString>,
}

const HEAD: &str = "\
Nothing is changed and no program is run: what programs would say, and what
would be otherwise by then, is missing here.
";

/// The device of an argument: below /dev or /sys, a path below /sys, or a device id.
pub(super) fn device(context: &Context, machine: &Machine, argument: &OsStr) -> Result<Known, Refused> {
    let found = locate::find(context, machine, argument, Below::Nothing);
    let found = found.or_else(|_| locate::find(context, machine, argument, Below::Sys));
    found.map_err(|_| {
        Refused::new(format!("Failed to open device '{}': No such device", argument.to_string_lossy()))
    })
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if options.action == "help" {
        trigger::list_actions(out)?;
        return Ok(0);
    }
    if options.json == Json::Help {
        write!(out, "{}", json::HELP)?;
        return Ok(0);
    }
    let action = trigger::action(&options.action)?;
    let resolve_names = super::resolve_names(&options.resolve_names)
        .ok_or_else(|| Refused::new("--resolve-names= must be early, late or never"))?;
    let mut context = context.clone();
    context.config.config.resolve_names = resolve_names;
    let context = &context;
    let Some(argument) = options.devices.first() else {
        return Err(Refused::new("syspath parameter missing."));
    };
    if options.json == Json::Off {
        writeln!(out, "{HEAD}")?;
    }
    let machine = Machine::new(context);
    let known = device(context, &machine, argument)?;
    let world = dry::Machine::new(context, None)?;
    let subject = world.tree().load(&known.devpath()).ok_or_else(|| Refused::new("the device has gone"))?;
    // rules may look at any device
    world.tree().walk();
    let means = Means::new(context, false);
    let rules = Rules::of(context, &options.extra_rules_dir, &means);
    for diagnostic in rules.loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error) {
        let _nobody_reads = writeln!(std::io::stderr(), "{}", diag::render(diagnostic, false));
    }
    let plan = work_out(&world, &rules, &means, (&subject, action), &mut Unobserved);
    let shown = Shown::new(&plan, &known, &machine);
    if options.json != Json::Off {
        json::write(out, &object::of(&shown, &known, &machine), options.json, Look::of_stdout())?;
        return Ok(0);
    }
    if options.verbose {
        write!(out, "{plan}")?;
        writeln!(out)?;
    }
    let by_name = resolve_names != ResolveNames::Never;
    shown.properties(out)?;
    shown.sections(out, by_name)?;
    Ok(0)
}

type List = Vec<(BString, BString)>;

/// What is shown of a plan: what the device would have when the event is over.
struct Shown<'p> {
    plan: &'p Plan,
    properties: List,
    links: Vec<PathBuf>,
    tags: BTreeSet<Tag>,
    /// Those that are given in this event.
    current: BTreeSet<Tag>,
}

impl<'p> Shown<'p> {
    fn new(plan: &'p Plan, known: &Known, devices: &Machine) -> Self {
        let removed = plan.event.action == Action::Remove;
        let old = known.record.as_ref();
        // a device that goes has what it had until all is over
        let last = old.filter(|_| removed);
        let mut links: Vec<&LinkName> = plan.links.iter().map(|link| &link.name).collect();
        links.extend(
            last.iter()
                .flat_map(|record| &record.links)
                .filter(|link| !links.contains(link))
                .collect::<Vec<_>>(),
        );
        let links: Vec<PathBuf> = links.into_iter().map(|link| known.link_path(link)).collect();
        let mut current: BTreeSet<Tag> = plan.tags.iter().map(|tag| tag.tag.clone()).collect();
        current.extend(last.iter().flat_map(|record| record.current_tags.iter().cloned()));
        let tags: BTreeSet<Tag> = plan.past_tags.union(&current).cloned().collect();

        let mut properties = known.clone().without_record().properties(devices, Order::FileFirst);
        put(&mut properties, "ACTION", plan.event.action.as_str());
        // no event has a number here
        for property in plan.properties.iter().filter(|property| property.key != "SEQNUM") {
            put(&mut properties, &property.key, &property.value);
        }
        let since = old.and_then(|record| record.init_usec).or_else(machine::uptime_usec);
        since.into_iter().for_each(|usec| put(&mut properties, "USEC_INITIALIZED", usec.to_string()));
        if !plan.run.is_empty() && !removed {
            put(&mut properties, "ID_PROCESSING", "1");
        }
        if !links.is_empty() {
            put(&mut properties, "DEVLINKS", bstr::join(" ", links.iter().map(|path| bytes(path))));
        }
        for (key, tags) in [("TAGS", &tags), ("CURRENT_TAGS", &current)] {
            Tag::list(tags).into_iter().for_each(|list| put(&mut properties, key, list));
        }
        Self { plan, properties, links, tags, current }
    }

    fn is_watched(&self) -> bool {
        self.plan.watch.as_ref().is_some_and(|given| given.value)
    }

    fn properties(&self, out: &mut dyn Write) -> io::Result<()> {
        let lines = self.properties.iter().map(|(key, value)| bstr::concat([key.as_slice(), b"=", value]));
        section(out, "Properties:", lines)
    }

    /// All else; `by_name`: users and groups that rules name are looked up.
    fn sections(&self, out: &mut dyn Write, by_name: bool) -> io::Result<()> {
        let plan = self.plan;
        section(out, "Tags:", self.tags.iter().map(|tag| tag.as_str().into()))?;
        let head = format!("Device node symlinks: (priority={})", plan.priority);
        section(out, &head, self.links.iter().map(|path| bytes(path).to_owned()))?;
        if self.properties.iter().any(|(key, _)| key == "DEVNAME") {
            let state: &[u8] = if self.is_watched() { b"enabled" } else { b"disabled" };
            section(out, "Inotify watch:", [state.to_owned()])?;
        }
        if let Some(node) = &plan.node {
            let account =
                |given: &Option<Sourced<Account>>, letter: char, name: fn(u32) -> Option<String>| {
                    let account = given.as_ref().map(|given| &given.value)?;
                    let by_number = account.name == account.id.to_string();
                    if !by_number && !by_name {
                        return None;
                    }
                    let shown = if by_number { name(account.id) } else { None };
                    let shown = shown.unwrap_or_else(|| account.name.to_string());
                    Some(format!("{shown} ({letter}id={})", account.id).into_bytes())
                };
            section(out, "Device node owner:", account(&node.owner, 'u', user))?;
            section(out, "Device node group:", account(&node.group, 'g', group))?;
            let mode = node.mode.as_ref().map(|mode| format!("{:04o}", mode.value).into_bytes());
            section(out, "Device node permission:", mode)?;
            let labels = node
                .labels
                .iter()
                .map(|(module, label)| bstr::concat([module.as_bytes(), b" : ", &label.value]));
            section(out, "Device node security label:", labels)?;
        }
        section(out, "Network interface name:", plan.netif.iter().map(|netif| netif.name.to_vec()))?;
        let jobs = plan.run.iter().map(|job| {
            let kind = if matches!(job.value, Job::Builtin { .. }) { "builtin" } else { "program" };
            format!("RUN{{{kind}}} : {}", job.value).into_bytes()
        });
        section(out, "Queued commands:", jobs)
    }
}

fn user(id: u32) -> Option<String> {
    Some(User::from_uid(id.into()).ok()??.name)
}

fn group(id: u32) -> Option<String> {
    Some(Group::from_gid(id.into()).ok()??.name)
}

/// A head and lines below it; nothing where there are none.
fn section(out: &mut dyn Write, head: &str, lines: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        writeln!(out, "{head}")?;
    }
    lines.try_for_each(|line| out.write_all(&bstr::concat([&b"  "[..], &line, b"\n"])))
}

fn put(list: &mut List, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let (key, value) = (BString::from(key.as_ref()), BString::from(value.as_ref()));
    match list.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => list.push((key, value)),
    }
}
