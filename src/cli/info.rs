//! `nameplate info`: what is known of devices.

mod facts;
mod paste;

use std::io::{self, Write};

use super::context::Context;
use super::dry::Machine;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::device::Reader;
use facts::{Facts, Level, Wanted, gather, level};

/// Show what is known of devices
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE", required = true)]
    pub(super) devices: Vec<std::ffi::OsString>,
    /// Only the properties, as KEY=VALUE lines
    #[arg(long)]
    pub(super) properties: bool,
    /// The attributes too, as rules can match them
    #[arg(long)]
    pub(super) attributes: bool,
    /// The devices on the way up too, as rules can match them with `parent`
    #[arg(long)]
    pub(super) parents: bool,
    /// Take the devices from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let machine = Machine::new(context, options.recording.as_deref())?;
    let wanted = Wanted { attributes: options.attributes, parents: options.parents };
    let mut all = Vec::new();
    for argument in &options.devices {
        let device = machine.device(context, argument)?;
        let own = options.parents.then(|| level(&Reader::new(machine.tree()), &device));
        all.push((gather(context, &machine, &device, wanted), own));
    }
    if context.json {
        let facts: Vec<&Facts> = all.iter().map(|(facts, _)| facts).collect();
        match *facts {
            [one] => output::json(out, one)?,
            _ => output::json(out, &facts)?,
        }
        return Ok(Exit::Ok);
    }
    for (at, (facts, own)) in all.iter().enumerate() {
        if at > 0 && !options.properties {
            writeln!(out)?;
        }
        if options.properties {
            show_properties(out, facts)?;
        } else {
            show(out, context.style, facts)?;
        }
        if let Some(own) = own {
            show_levels(out, context.style, own, facts.parents.as_deref().unwrap_or_default())?;
        }
    }
    Ok(Exit::Ok)
}

fn show_properties(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    facts.properties.iter().try_for_each(|(key, value)| writeln!(out, "{}={}", shown(key), shown(value)))
}

fn show(out: &mut dyn Write, style: Style, facts: &Facts) -> io::Result<()> {
    writeln!(out, "{}", style.paint(Ink::Bold, shown(&facts.devpath)))?;
    let mut line = |name: &str, value: &str| writeln!(out, "  {name:<10} {}", shown(value));
    let lines = [
        ("id", &facts.id),
        ("subsystem", &facts.subsystem),
        ("driver", &facts.driver),
        ("node", &facts.node),
    ];
    for (name, value) in lines {
        value.iter().try_for_each(|value| line(name, value))?;
    }
    if !facts.tags.is_empty() {
        line("tags", &facts.tags.join(" "))?;
    }
    for link in &facts.links {
        let there = facts.links_in_place.contains(link);
        let (ink, state) =
            if there { (Ink::Green, "in place") } else { (Ink::Yellow, "claimed, not in place") };
        let priority = match facts.priority {
            0 => String::new(),
            priority => format!(", priority {priority}"),
        };
        writeln!(out, "  link       {}  ({}{priority})", shown(link), style.paint(ink, state))?;
    }
    for (key, value) in &facts.properties {
        writeln!(out, "  property   {}={}", shown(key), shown(value))?;
    }
    for (name, value) in facts.attributes.iter().flatten() {
        let value = if paste::can_be_matched(value) { shown(value) } else { abbreviated(value) };
        writeln!(out, "  attribute  {}={value}", shown(name))?;
    }
    Ok(())
}

/// A long or odd value on one line.
fn abbreviated(value: &str) -> String {
    let begin: String = value.chars().take(60).collect();
    let more = value.chars().count().saturating_sub(60);
    if more == 0 { shown(&begin) } else { format!("{}... ({more} more)", shown(&begin)) }
}

fn show_levels(out: &mut dyn Write, style: Style, own: &Level, parents: &[Level]) -> io::Result<()> {
    let dim = |text: &str| style.paint(Ink::Dim, text);
    writeln!(
        out,
        "\n{}",
        dim("# `match` looks at this device; what is below `parent` has to hold on ONE of these")
    )?;
    writeln!(
        out,
        "{}",
        dim("# devices. For conditions on two of them write a list: parent = [ { ... }, { ... } ]")
    )?;
    let levels = std::iter::once(("match", own)).chain(parents.iter().map(|level| ("parent", level)));
    for (word, level) in levels {
        writeln!(out, "\n{}", style.paint(Ink::Bold, format!("# {}", shown(&level.devpath))))?;
        for key in paste::keys(level) {
            writeln!(out, "    {}", shown(&key))?;
        }
        if let Some(table) = paste::table(word, level) {
            writeln!(out, "  {}", style.paint(Ink::Green, shown(&table)))?;
        }
    }
    Ok(())
}
