//! `nameplate reload`: the rules anew, and what that makes different.

use std::io::{self, Write};

use super::client::Client;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::daemon::control::protocol::{Change, Difference, ReloadParameters};

/// Read the rules again and apply what is different
///
/// Only the difference is applied, to devices that are there too; no program runs again. A broken file is refused and its
/// older version stays in force. The daemon does this by itself when a rule file changes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Show what would be different and change nothing
    #[arg(long)]
    plan: bool,
}

/// Runs the verb. The answer is no when a file was refused.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let parameters = ReloadParameters { plan: options.plan };
    let mut client = Client::connect(&context.control_socket())?;
    let difference: Difference = client.call_within("Reload", &parameters, None)?;
    if context.json {
        output::json(out, &difference)?;
    } else {
        show(out, context.style, &difference)?;
    }
    Ok(if difference.refused.is_empty() { Exit::Ok } else { Exit::No })
}

fn show(out: &mut dyn Write, style: Style, difference: &Difference) -> io::Result<()> {
    for diagnostic in &difference.diagnostics {
        writeln!(out, "{}\n", diagnostic.rendered)?;
    }
    for change in &difference.changes {
        writeln!(out, "{}", line(style, change))?;
    }
    for file in &difference.refused {
        let text = format!("{} is refused; its older version, if any, stays in force", shown(file));
        writeln!(out, "{}", style.paint(Ink::Red, text))?;
    }
    let what = if difference.applied { "changes" } else { "changes planned, nothing done" };
    writeln!(out, "{} devices, {} {what}", difference.devices, difference.changes.len())
}

/// One change: what goes in red, what comes in green. A link and a tag are their own values and are named once.
fn line(style: Style, change: &Change) -> String {
    let value = |value: &String| Some(value) != change.name.as_ref();
    let name = change.name.as_ref().map(|name| format!(" {}", shown(name))).unwrap_or_default();
    let from = change.from.as_ref().map(|from| format!("  ({})", shown(from))).unwrap_or_default();
    let thing = format!("{}{name}", shown(&change.what));
    let text = |sign, given: &String| match value(given) {
        true => format!("{sign} {thing} {}", shown(given)),
        false => format!("{sign} {thing}"),
    };
    let what = match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            let (old, new) = (style.paint(Ink::Red, shown(old)), style.paint(Ink::Green, shown(new)));
            format!("~ {thing} {old} -> {new}")
        }
        (Some(old), None) => style.paint(Ink::Red, text('-', old)),
        (None, Some(new)) => style.paint(Ink::Green, text('+', new)),
        (None, None) => thing,
    };
    format!("{}: {what}{}", shown(&change.device), style.paint(Ink::Dim, from))
}
