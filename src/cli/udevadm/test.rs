//! `udevadm test`: what the rules would do with a device, changing nothing.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;

use bstr::BString;

use super::device::{Known, Machine, Order, bytes};
use super::locate::{self, Below};
use super::{Ended, Refused, trigger};
use crate::cli::context::Context;
use crate::cli::dry::{self, Means, Rules, work_out};
use crate::diag::{self, Severity};
use crate::ids::Tag;
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
    /// The device
    #[arg(value_name = "DEVPATH")]
    device: Option<OsString>,
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
    let action = trigger::action(&options.action)?;
    if !matches!(options.resolve_names.as_str(), "early" | "late" | "never") {
        return Err(Refused::new("resolve-names must be early, late or never"));
    }
    let Some(argument) = &options.device else { return Err(Refused::new("syspath parameter missing.")) };
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
    writeln!(out, "{HEAD}")?;
    if options.verbose {
        write!(out, "{plan}")?;
        writeln!(out)?;
    }
    let mut properties = kernels(&known, &machine);
    put(&mut properties, "ACTION", action.as_str());
    for property in &plan.properties {
        put(&mut properties, &property.key, &property.value);
    }
    let links: Vec<_> = plan.links.iter().map(|link| known.link_path(&link.name)).collect();
    if !links.is_empty() {
        put(&mut properties, "DEVLINKS", bstr::join(" ", links.iter().map(|path| bytes(path))));
    }
    let current: Vec<&Tag> = plan.tags.iter().map(|tag| &tag.tag).collect();
    let all: std::collections::BTreeSet<&Tag> =
        plan.past_tags.iter().chain(current.iter().copied()).collect();
    put_tags(&mut properties, "TAGS", &all.into_iter().collect::<Vec<_>>());
    put_tags(&mut properties, "CURRENT_TAGS", &current);
    for (key, value) in &properties {
        out.write_all(&bstr::concat([key.as_slice(), b"=", value, b"\n"]))?;
    }
    for job in &plan.run {
        writeln!(out, "run: '{}'", job.value)?;
    }
    Ok(0)
}

type List = Vec<(BString, BString)>;

/// The properties that come from the kernel.
fn kernels(known: &Known, machine: &Machine) -> List {
    known.clone().without_record().properties(machine, Order::FileFirst)
}

fn put(list: &mut List, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let (key, value) = (BString::from(key.as_ref()), BString::from(value.as_ref()));
    match list.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => list.push((key, value)),
    }
}

fn put_tags(list: &mut List, key: &str, tags: &[&Tag]) {
    if !tags.is_empty() {
        let names: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
        put(list, key, format!(":{}:", names.join(":")));
    }
}
