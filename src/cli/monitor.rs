//! `nameplate monitor`: events as they come from the kernel, and as they are when the rules have been applied.

use std::io::{self, Write};

use super::client::{Client, ClientError};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::daemon::control::protocol::{EventEntry, EventSource, MonitorParameters, MonitorReply};
use crate::ids::Action;
use crate::text::{Case, Pattern, check_glob};

/// Show events as they come from the kernel and when they have been handled
///
/// Filters of one kind are alternatives (--subsystem usb --subsystem net); filters of different kinds all have to be met.
/// With --json one object a line: {"event": ...}, or {"lost": N} where the reader was too slow.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only events as they come from the kernel (beside a udevd: from that)
    #[arg(long, short)]
    kernel: bool,
    /// Only events that the rules have been applied to
    #[arg(long, short = 'u')]
    handled: bool,
    /// Only this subsystem, or devices of this type in it
    #[arg(long, short, value_name = "SUBSYSTEM[/DEVTYPE]")]
    subsystem: Vec<String>,
    /// Only this action: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, short, value_name = "ACTION")]
    action: Vec<Action>,
    /// Only handled events of devices with this tag
    #[arg(long, short, value_name = "TAG")]
    tag: Vec<String>,
    /// Only events with this property (and a value like this glob)
    #[arg(long, value_name = "KEY[=GLOB]", value_parser = parse_property)]
    property: Vec<PropertyFilter>,
    /// Show the properties too
    #[arg(long, short)]
    properties: bool,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

#[derive(Debug, Clone)]
struct PropertyFilter {
    key: String,
    value: Option<Pattern>,
}

fn parse_property(text: &str) -> Result<PropertyFilter, String> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err("write it as KEY or KEY=GLOB".into());
    }
    value.map_or(Ok(()), |value| check_glob(value.as_bytes())).map_err(|error| error.to_string())?;
    let value = value.map(|value| Pattern::new(value.as_bytes(), Case::Sensitive));
    Ok(PropertyFilter { key: key.into(), value })
}

/// Runs the verb, until the daemon or the reader of the output ends.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut client = Client::connect(&context.control_socket())?;
    let parameters = MonitorParameters { kernel: options.kernel, handled: options.handled };
    client.call_more("Monitor", &parameters)?;
    let mut left = options.count;
    while left != Some(0) {
        let (reply, more): (MonitorReply, bool) = match client.receive(None) {
            Err(ClientError::Ended) => return Err(Failure::Failed("the daemon has ended".into())),
            other => other?,
        };
        if let Some(lost) = reply.lost {
            show_lost(out, context, lost)?;
        }
        if let Some(event) = reply.event.filter(|event| is_wanted(options, event)) {
            if context.json {
                output::json_line(out, &serde_json::json!({ "event": event }))?;
            } else {
                show(out, context.style, options.properties, &event)?;
            }
            left = left.map(|left| left - 1);
        }
        if !more {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn is_wanted(options: &Options, event: &EventEntry) -> bool {
    let any = |filters: &[String], is: &dyn Fn(&str) -> bool| {
        filters.is_empty() || filters.iter().any(|filter| is(filter))
    };
    any(&options.subsystem, &|filter| is_of_subsystem(event, filter))
        && (options.action.is_empty() || options.action.iter().any(|a| a.as_str() == event.action))
        && any(&options.tag, &|tag| event.tags.iter().any(|t| t == tag))
        && (options.property.is_empty() || options.property.iter().any(|filter| has_property(event, filter)))
}

fn is_of_subsystem(event: &EventEntry, filter: &str) -> bool {
    let (subsystem, devtype) = filter.split_once('/').map_or((filter, None), |(s, d)| (s, Some(d)));
    event.subsystem.as_deref() == Some(subsystem)
        && (devtype.is_none() || event.devtype.as_deref() == devtype)
}

fn has_property(event: &EventEntry, filter: &PropertyFilter) -> bool {
    let value = event.properties.get(&filter.key);
    value.is_some_and(|value| filter.value.as_ref().is_none_or(|glob| glob.matches(value.as_bytes())))
}

fn show_lost(out: &mut dyn Write, context: &Context, lost: u64) -> io::Result<()> {
    if context.json {
        return output::json_line(out, &serde_json::json!({ "lost": lost }));
    }
    let text = format!("({lost} events are missing here: this reader was too slow)");
    writeln!(out, "{}", context.style.paint(Ink::Red, text))?;
    out.flush()
}

/// One line for an event: where it was seen, when, what happened to which device, and the links it has.
fn show(out: &mut dyn Write, style: Style, properties: bool, event: &EventEntry) -> io::Result<()> {
    let (source, ink) = match event.source {
        EventSource::Kernel => ("kernel ", Ink::Dim),
        EventSource::Udev => ("udev   ", Ink::Dim),
        EventSource::Handled => ("handled", Ink::Green),
    };
    let (seconds, micros) = (event.usec / 1_000_000, event.usec % 1_000_000);
    let subsystem = event.subsystem.as_deref().map(|s| format!(" ({})", shown(s))).unwrap_or_default();
    write!(out, "{} {seconds}.{micros:06} ", style.paint(ink, source))?;
    write!(out, "{:<7} {}{subsystem}", shown(&event.action), style.paint(Ink::Bold, shown(&event.devpath)))?;
    if !event.links.is_empty() {
        write!(out, " [{}]", shown(&event.links.join(" ")))?;
    }
    writeln!(out)?;
    if properties {
        for (key, value) in &event.properties {
            writeln!(out, "{}={}", shown(key), shown(value))?;
        }
        writeln!(out)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn wanted(arguments: &str) -> bool {
        let words = std::iter::once("monitor").chain(arguments.split_whitespace());
        let event = EventEntry {
            action: "add".into(),
            subsystem: Some("block".into()),
            devtype: Some("disk".into()),
            tags: vec!["systemd".into()],
            properties: [("ID_BUS".to_string(), "usb".to_string())].into(),
            ..EventEntry::default()
        };
        is_wanted(&Line::parse_from(words).options, &event)
    }

    #[test]
    fn filters() {
        for (arguments, expected) in [
            ("", true),
            ("-s block", true),
            ("-s net -s block", true),
            ("-s block/disk", true),
            ("-s block/partition", false),
            ("-s bloc", false),
            ("-a remove", false),
            ("-a remove -a add", true),
            ("-t systemd", true),
            ("-t seat -s block", false),
            ("--property ID_BUS", true),
            ("--property ID_BUS=u*", true),
            ("--property ID_BUS=ata", false),
            ("--property ID_BUS=ata|usb", true),
            ("--property ID_NONE", false),
        ] {
            assert_eq!(wanted(arguments), expected, "{arguments}");
        }
    }
}
