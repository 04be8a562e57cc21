//! `udevadm verify`: looks over rule files (systemd 254 and later).

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use super::{Ended, Refused, reason};
use crate::cli::context::Context;
use crate::cli::dry::Means;
use crate::daemon::control::protocol::Mode;
use crate::diag::Severity;
use crate::rules::lint::lint;
use crate::rules::load::{load, load_files};

/// Look over rule files
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// When users and groups are looked up: early, or never
    #[arg(long, short = 'N', value_name = "WHEN", default_value = "early")]
    resolve_names: String,
    /// No count at the end
    #[arg(long)]
    no_summary: bool,
    /// Say nothing about style
    #[arg(long)]
    no_style: bool,
    /// The file system of another machine
    #[arg(long, value_name = "PATH")]
    root: Option<PathBuf>,
    /// Rule files (without them: all that are in force)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if !matches!(options.resolve_names.as_str(), "early" | "never") {
        return Err(Refused::new("--resolve-names= takes \"early\" or \"never\""));
    }
    if options.root.is_some() && !options.files.is_empty() {
        return Err(Refused::new("Combination of --root= and FILEs is not supported."));
    }
    let mut failed = BTreeSet::new();
    let mut context = context.clone();
    if let Some(root) = &options.root {
        context.roots = crate::roots::Roots::below(root);
    }
    let means = Means::anywhere(&context);
    let mut err = std::io::stderr().lock();
    for path in &options.files {
        if let Err(error) = std::fs::File::open(path) {
            let _nobody_reads =
                writeln!(err, "Failed to parse rules file {}: {}", path.display(), reason(&error));
            failed.insert(path.clone());
        }
    }
    let readable: Vec<PathBuf> =
        options.files.iter().filter(|path| !failed.contains(*path)).cloned().collect();
    let loaded = if options.files.is_empty() {
        load(&context.rule_dirs(Mode::Standalone), &means.known())
    } else {
        load_files(&readable, &means.known())
    };
    let mut diagnostics = loaded.diagnostics.clone();
    diagnostics.extend(lint(&loaded.files).into_iter().map(|finding| finding.diagnostic));
    diagnostics.sort_by(|a, b| (&a.place.file.path, a.place.line).cmp(&(&b.place.file.path, b.place.line)));
    for diagnostic in diagnostics {
        if diagnostic.severity == Severity::Note && options.no_style {
            continue;
        }
        let place = &diagnostic.place;
        let _nobody_reads =
            writeln!(err, "{}:{} {}", place.file.path.display(), place.line, diagnostic.message);
        failed.insert(place.file.path.to_path_buf());
    }
    if !options.no_summary {
        let all = loaded.files.len() + options.files.len() - readable.len();
        let s = if all == 1 { "" } else { "s" };
        let have = if all == 1 { "has" } else { "have" };
        writeln!(out, "\n{all} udev rules file{s} {have} been checked.")?;
        writeln!(out, "  Success: {}\n  Fail:    {}", all.saturating_sub(failed.len()), failed.len())?;
    }
    Ok(u8::from(!failed.is_empty()))
}
