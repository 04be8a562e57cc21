//! `nameplate list`: the links, who holds each, who else wants it.

use std::io::{self, Write};

use super::client::Client;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::daemon::control::protocol::{LinkEntry, List};
use crate::text::{Case, Pattern, check_glob};

/// List the links: who holds each, and who else wants it
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only links of this name (a glob, as in rules)
    #[arg(value_name = "NAME", value_parser = parse_glob)]
    names: Vec<String>,
    /// Only names that more than one device wants, or that something else holds
    #[arg(long)]
    collisions: bool,
}

fn parse_glob(text: &str) -> Result<String, String> {
    check_glob(text.as_bytes()).map(|()| text.into()).map_err(|error| error.to_string())
}

/// Runs the verb. The answer is no when names were asked for and none is there.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let list: List = Client::connect(&context.control_socket())?.call("List", &serde_json::json!({}))?;
    let list = select(options, list);
    if context.json {
        output::json(out, &list)?;
    } else {
        show(out, context.style, &list)?;
    }
    let nothing = list.links.is_empty() && list.collisions.is_empty();
    Ok(if nothing && !options.names.is_empty() { Exit::No } else { Exit::Ok })
}

fn select(options: &Options, mut list: List) -> List {
    let patterns: Vec<_> =
        options.names.iter().map(|name| Pattern::new(name.as_bytes(), Case::Sensitive)).collect();
    let asked = |name: &str| patterns.is_empty() || patterns.iter().any(|p| p.matches(name.as_bytes()));
    list.links.retain(|link| asked(&link.name) && (!options.collisions || !link.others.is_empty()));
    list.collisions.retain(|collision| asked(&collision.name));
    list
}

fn show(out: &mut dyn Write, style: Style, list: &List) -> io::Result<()> {
    for link in &list.links {
        let LinkEntry { name, target, device, priority, from, others } = link;
        let name = style.paint(Ink::Bold, shown(name));
        let from = from.as_ref().map(|from| format!(", {}", shown(from))).unwrap_or_default();
        let facts = format!("({}, priority {priority}{from})", shown(device));
        writeln!(out, "{name} -> {}  {}", shown(target), style.paint(Ink::Dim, facts))?;
        for other in others {
            let line = format!("  wanted by {} too (priority {})", shown(&other.device), other.priority);
            writeln!(out, "{}", style.paint(Ink::Yellow, line))?;
        }
    }
    for collision in &list.collisions {
        let name = style.paint(Ink::Bold, shown(&collision.name));
        let why = format!("{} did not get it: {}", shown(&collision.device), shown(&collision.reason));
        writeln!(out, "{name}  {}", style.paint(Ink::Red, why))?;
    }
    Ok(())
}
