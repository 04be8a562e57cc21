//! `nameplate explain`: why a rule or a link does or does not apply to a device.

mod select;
mod show;
mod view;

use std::io::{self, Write};

use bstr::{BString, ByteSlice};
use serde::Serialize;

use super::context::Context;
use super::dry::{Machine, Means, Rules, work_out};
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style, shown};
use crate::decide::{Origin, Plan};
use crate::diag::{Diagnostic, Severity};
use crate::ids::DeviceId;
use crate::rules::ir::Rule;
use crate::rules::trace::Trace;
use crate::store::record::Record;
use select::Missing;
use view::RuleView;

/// Say why a rule or a link does (not) apply to a device
///
/// Shows each condition with its pattern, the value found, on which device, and the first that failed. Without --link and
/// --rule: everything that the device gets with the place of the rule it comes from, and the rules that nearly matched.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Node, link, /sys path, devpath or device id (b8:1, c4:64, n3, +usb:1-1)
    #[arg(value_name = "DEVICE")]
    pub(super) device: std::ffi::OsString,
    /// Explain the rules that could make this link
    #[arg(long, value_name = "NAME", conflicts_with = "rule")]
    pub(super) link: Option<std::ffi::OsString>,
    /// Explain the rule at this place
    #[arg(long, value_name = "FILE:LINE", value_parser = parse_rule_place)]
    pub(super) rule: Option<RulePlace>,
    /// Without --link and --rule: show every rule, not only those that nearly matched
    #[arg(long, conflicts_with_all = ["link", "rule"])]
    pub(super) all: bool,
    /// The event to suppose: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, value_name = "ACTION", default_value = "add")]
    pub(super) action: crate::ids::Action,
    /// Run the programs whose output rules ask for (import, PROGRAM); without it they count as failed
    #[arg(long)]
    pub(super) run_programs: bool,
    /// Read the rules of DIR too, as the strongest directory (may be given again: strongest first)
    #[arg(long, value_name = "DIR")]
    pub(super) extra_rules: Vec<std::path::PathBuf>,
    /// Take the device from a recording in place of this machine
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<std::path::PathBuf>,
}

/// `--rule` as typed: a path or only its last component, and a line from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RulePlace {
    pub(super) file: std::path::PathBuf,
    pub(super) line: u32,
}

fn parse_rule_place(text: &str) -> Result<RulePlace, String> {
    let (file, line) = text.rsplit_once(":").ok_or("write it as FILE:LINE, as in 50-lab.toml:3")?;
    match line.parse() {
        Ok(line) if line > 0 && !file.is_empty() => Ok(RulePlace { file: file.into(), line }),
        _ => Err("write it as FILE:LINE, as in 50-lab.toml:3".into()),
    }
}

/// The JSON object of `explain --json`.
#[derive(Debug, Serialize)]
struct Explanation<'p> {
    devpath: String,
    action: &'static str,
    /// The link that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkView>,
    /// All that the device gets, each with its place.
    plan: &'p Plan,
    /// The rules that were asked for; else those that nearly matched.
    rules: Vec<RuleView>,
    /// Mistakes in the rule files: what they concern is not in force.
    mistakes: Vec<&'p Diagnostic>,
}

/// The state of a link.
#[derive(Debug, Serialize)]
struct LinkView {
    name: String,
    /// The rules give it to the device.
    given: bool,
    from: Option<String>,
    priority: Option<i32>,
    /// Where the link leads that is in place.
    in_place: Option<String>,
    /// Other devices that claim it.
    claimed_by: Vec<Claimant>,
}

/// Another device that wants the link.
#[derive(Debug, Serialize)]
struct Claimant {
    device: String,
    priority: i32,
}

/// Most rules that are shown when nobody asked for one.
const NEARLY_MAX: usize = 10;

/// Runs the verb. The answer is no when the link that was asked for is not given, or the rule does not apply.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let machine = Machine::new(context, options.recording.as_deref())?;
    let device = machine.device(context, &options.device)?;
    machine.tree().walk();
    let means = Means::new(context, options.run_programs);
    let rules = Rules::beside(context, &options.extra_rules, &means)?;
    let mut trace = Trace::default();
    let plan = work_out(&machine, &rules, &means, (&device, options.action), &mut trace);
    let link = options
        .link
        .as_ref()
        .map(|typed| select::link_name(typed.as_encoded_bytes(), [context.link_dir(), &context.roots.dev]));
    let asked = asked(options, &rules, &plan, link.as_ref().map(|name| name.as_slice()), &trace)?;
    let devpath = plan.event.devpath.to_string();
    let seen = rules.compiled.all().zip(&trace.rules);
    let explanation = Explanation {
        action: plan.event.action.as_str(),
        link: link.map(|name| link_view(options, context, &machine, &plan, &name)),
        plan: &plan,
        rules: seen
            .filter(|((at, _), _)| asked.contains(at))
            .map(|((_, rule), trace)| view::view(rule, trace, &devpath))
            .collect(),
        mistakes: rules.loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect(),
        devpath: devpath.clone(),
    };
    if context.json {
        output::json(out, &explanation)?;
    } else {
        show_all(out, context.style, options, &explanation)?;
        if !options.run_programs {
            means.programs.say_not_run(out, context.style)?;
        }
    }
    let yes = match (&explanation.link, &options.rule) {
        (Some(link), _) => link.given,
        (None, Some(_)) => explanation.rules.iter().all(|rule| rule.applied),
        (None, None) => true,
    };
    Ok(if yes { Exit::Ok } else { Exit::No })
}

/// The numbers of the rules to show.
fn asked(
    options: &Options,
    rules: &Rules,
    plan: &Plan,
    link: Option<&[u8]>,
    trace: &Trace,
) -> Result<Vec<usize>, Failure> {
    let all = || rules.compiled.all();
    if let Some(place) = &options.rule {
        return match select::at_place(rules, place) {
            Ok(at) => Ok(vec![at]),
            Err(why) => Err(no_rule(rules, place, &why)),
        };
    }
    if let Some(link) = link {
        let gave = plan.links.iter().find(|planned| planned.name.as_bytes() == link);
        let gave = |rule: &Rule| gave.is_some_and(|g| rule.steps.iter().any(|step| step.place == g.from));
        let could = all().filter(|(_, rule)| gave(rule) || select::could_give(rule, link));
        return Ok(could.map(|(at, _)| at).collect());
    }
    if options.all {
        return Ok(all().map(|(at, _)| at).collect());
    }
    let nearly = all().zip(&trace.rules).filter(|(_, seen)| select::nearly(seen).is_some());
    Ok(nearly.map(|((at, _), _)| at).take(NEARLY_MAX).collect())
}

fn no_rule(rules: &Rules, place: &RulePlace, why: &Missing<'_>) -> Failure {
    let (file, line) = (place.file.display(), place.line);
    Failure::Usage(match why {
        Missing::File => {
            let files = rules.loaded.files.iter().map(|file| format!("\n  {}", file.source.path.display()));
            format!("no rule file `{file}` is in force; there are:{}", files.collect::<String>())
        }
        Missing::Rule => format!("no rule is at {file}:{line}"),
        Missing::LeftOut(mistakes) => {
            let mistakes = mistakes.iter().map(|mistake| format!("\n  {mistake}"));
            format!("the rule at {file}:{line} is not in force:{}", mistakes.collect::<String>())
        }
    })
}

fn link_view(
    options: &Options,
    context: &Context,
    machine: &Machine,
    plan: &Plan,
    name: &BString,
) -> LinkView {
    let given = plan.links.iter().find(|planned| planned.name.as_bytes() == name.as_slice());
    let mut view = LinkView {
        name: name.to_str_lossy().into_owned(),
        given: given.is_some(),
        from: given.map(|link| link.from.to_string()),
        priority: given.map(|link| link.priority),
        in_place: None,
        claimed_by: Vec::new(),
    };
    // A recording has no links but those of that day, and other claims.
    if options.recording.is_none() {
        let target = std::fs::read_link(context.link_dir().join(name.to_path_lossy()));
        view.in_place = target.ok().map(|target| target.to_string_lossy().into_owned());
        let claims = machine.all_records().into_iter().filter(|(id, record)| {
            Some(id) != plan.event.id.as_ref() && record.links.iter().any(|l| l.as_bytes() == name.as_slice())
        });
        let claimant =
            |(id, record): (DeviceId, Record)| Claimant { device: id.to_string(), priority: record.priority };
        view.claimed_by = claims.map(claimant).collect();
    }
    view
}

fn show_all(
    out: &mut dyn Write,
    style: Style,
    options: &Options,
    explanation: &Explanation<'_>,
) -> io::Result<()> {
    match &explanation.link {
        Some(link) => show_link(out, style, explanation, link)?,
        None if options.rule.is_none() => show_provenance(out, style, explanation)?,
        None => writeln!(out, "{} {}\n", explanation.action, shown(&explanation.devpath))?,
    }
    let nobody_asked = options.link.is_none() && options.rule.is_none() && !options.all;
    if nobody_asked && !explanation.rules.is_empty() {
        writeln!(out, "\nRules that nearly matched:\n")?;
    }
    for (at, rule) in explanation.rules.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        show::rule(out, style, rule)?;
    }
    for diagnostic in &explanation.plan.diagnostics {
        writeln!(
            out,
            "{}",
            style.paint(Ink::Yellow, format!("warning: {}", shown(&diagnostic.to_string())))
        )?;
    }
    if !explanation.mistakes.is_empty() {
        writeln!(
            out,
            "\n{}",
            style.paint(Ink::Red, "Mistakes in the rule files (what they concern is not in force):")
        )?;
    }
    explanation.mistakes.iter().try_for_each(|mistake| writeln!(out, "  {}", shown(&mistake.to_string())))
}

fn show_link(
    out: &mut dyn Write,
    style: Style,
    explanation: &Explanation<'_>,
    link: &LinkView,
) -> io::Result<()> {
    let name = style.paint(Ink::Bold, shown(&link.name));
    let verdict = match (&link.from, link.priority) {
        (Some(from), priority) => {
            let text = format!("given by {from}, priority {}", priority.unwrap_or_default());
            style.paint(Ink::Green, text)
        }
        (None, _) => style.paint(Ink::Red, "not given"),
    };
    writeln!(out, "{name} for {}: {verdict}", shown(&explanation.devpath))?;
    if let Some(target) = &link.in_place {
        writeln!(out, "in place: {name} -> {}", shown(target))?;
    }
    for other in &link.claimed_by {
        let line = format!("claimed by {} too (priority {})", shown(&other.device), other.priority);
        writeln!(out, "{}", style.paint(Ink::Yellow, line))?;
    }
    if explanation.rules.is_empty() {
        writeln!(out, "no rule could give a link of that name")?;
        let given: Vec<String> =
            explanation.plan.links.iter().map(|link| shown(&link.name.to_string())).collect();
        if !given.is_empty() {
            writeln!(out, "the device gets: {}", given.join(" "))?;
        }
    }
    writeln!(out)
}

/// What rules set; what the kernel says of itself is left out.
fn show_provenance(out: &mut dyn Write, style: Style, explanation: &Explanation<'_>) -> io::Result<()> {
    let mut plan = explanation.plan.clone();
    plan.properties.retain(|property| property.from != Origin::Kernel);
    plan.diagnostics.clear();
    let text = plan.to_string();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    writeln!(out, "{}", style.paint(Ink::Bold, first))?;
    out.write_all(rest.as_bytes())
}
