//! `udevadm verify`: looks over rule files (systemd 254 and later).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Ended, Refused, reason};
use crate::cli::context::Context;
use crate::cli::dry::Means;
use crate::daemon::control::protocol::Mode;
use crate::diag::{Diagnostic, Severity, SourceFile};
use crate::roots::Roots;
use crate::rules::ir::RuleFile;
use crate::rules::lint::{BESIDE_OPERATOR, codes, lint};
use crate::rules::load::{Loaded, load, load_files};
use crate::rules::toml::Known;
use crate::rules::udev;
use crate::rules::udev::codes::NAMES_OFF;

/// Look over rule files
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// When users and groups are looked up: early, late or never
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
    root: Option<OsString>,
    /// Rule files (without them: all that are in force)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What of the lint's findings `udevadm verify` finds too. The others, which `nameplate check` shows, are no fault here:
/// builds fail on the exit code.
const FOUND: [&str; 5] =
    [codes::DUPLICATE, codes::NEVER_HOLDS, codes::RESULT_FIRST, codes::STYLE_COMMA, codes::STYLE_SPACE];

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    let resolve_names = super::resolve_names(&options.resolve_names)
        .ok_or_else(|| Refused::new("--resolve-names= must be early, late or never"))?;
    // none at all is this machine
    let root = options.root.as_ref().filter(|root| !root.is_empty() && *root != "/");
    let root = root.map(std::path::absolute).transpose()?;
    if root.is_some() && !options.files.is_empty() {
        return Err(Refused::new("Combination of --root= and FILEs is not supported."));
    }
    let mut context = context.clone();
    context.config.config.resolve_names = resolve_names;
    if let Some(root) = &root {
        context.roots = Roots::below(root);
    }
    let means = Means::anywhere(&context);
    let mut failed = BTreeSet::new();
    let (loaded, all) = if options.files.is_empty() {
        let loaded = load(&context.rule_dirs(Mode::Standalone), &means.known());
        let all = loaded.files.len() + loaded.masked.len();
        (loaded, all)
    } else {
        let paths = rule_files(&options.files);
        (read(&paths, &means.known(), &mut failed), paths.len())
    };
    if let Some(root) = root.filter(|_| all == 0) {
        return Err(Refused::new(format!("No rules files found in {}.", root.display())));
    }
    show(&loaded, options, &mut failed);
    if !options.no_summary {
        let fine = all.saturating_sub(failed.len());
        writeln!(out, "\n{all} udev rules files have been checked.")?;
        writeln!(out, "  Success: {fine}\n  Fail:    {}", failed.len())?;
    }
    Ok(u8::from(!failed.is_empty()))
}

/// The files that arguments mean: a directory stands for the rule files in it.
fn rule_files(arguments: &[PathBuf]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for argument in arguments {
        if !argument.is_dir() {
            out.push(argument.clone());
            continue;
        }
        let entries = fs::read_dir(argument).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<_> =
            entries.filter(|path| path.extension() == Some(OsStr::new("rules"))).collect();
        found.sort();
        out.extend(found);
    }
    out
}

/// Reads files that are named. One that is not TOML by its name is udev's, whatever it is called.
fn read(paths: &[PathBuf], known: &Known<'_>, failed: &mut BTreeSet<PathBuf>) -> Loaded {
    let mut out = Loaded::default();
    for path in paths {
        if path.extension() == Some(OsStr::new("toml")) {
            let loaded = load_files(std::slice::from_ref(path), known);
            out.files.extend(loaded.files);
            out.diagnostics.extend(loaded.diagnostics);
            continue;
        }
        match fs::read(path) {
            Ok(bytes) => {
                let source = SourceFile::new(path, &bytes);
                let parsed = udev::parse(&source, &bytes, known);
                out.files.push(Arc::new(RuleFile { source, rules: parsed.rules }));
                out.diagnostics.extend(parsed.diagnostics);
            }
            Err(error) => {
                let text = format!("Failed to parse rules file {}: {}", path.display(), reason(&error));
                let _nobody_reads = writeln!(io::stderr(), "{text}");
                failed.insert(path.clone());
            }
        }
    }
    out
}

/// Says what is wrong, in the order of files and lines; the files go to `failed`.
fn show(loaded: &Loaded, options: &Options, failed: &mut BTreeSet<PathBuf>) {
    let found = |one: &Diagnostic| FOUND.contains(&one.code) && one.message != BESIDE_OPERATOR;
    let odd = lint(&loaded.files).into_iter().map(|finding| finding.diagnostic).filter(found);
    // names that nobody is to look up are no fault of the file's
    let wanted = |one: &&Diagnostic| one.code != NAMES_OFF;
    let mut all: Vec<Diagnostic> = loaded.diagnostics.iter().filter(wanted).cloned().chain(odd).collect();
    all.sort_by(|a, b| (&a.place.file.path, a.place.line).cmp(&(&b.place.file.path, b.place.line)));
    let mut err = io::stderr().lock();
    for one in all.iter().filter(|one| one.severity != Severity::Note || !options.no_style) {
        let path = &one.place.file.path;
        let _nobody_reads = writeln!(err, "{}:{} {}", path.display(), one.place.line, one.message);
        failed.insert(path.clone());
    }
}
