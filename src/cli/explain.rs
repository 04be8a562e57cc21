//! `nameplate explain`: why a rule or a link does or does not apply to a device.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Say why a rule or a link does (not) apply to a device
///
/// Shows each condition with its pattern, the value found, on which device, and the first that failed. Without --link and
/// --rule: everything that the device got, and the rule that each comes from.
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
    /// The event to suppose: add, remove, change, move, online, offline, bind or unbind
    #[arg(long, value_name = "ACTION", default_value = "add")]
    pub(super) action: crate::ids::Action,
    /// Run the programs whose output rules ask for (import, PROGRAM); without it they count as failed
    #[arg(long)]
    pub(super) run_programs: bool,
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

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("explain"))
}
