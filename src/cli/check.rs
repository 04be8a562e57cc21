//! `nameplate check`: the rule files: are they right, and do their tests pass.

mod expect;
mod parents;
mod repair;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::dry::{Machine, Means, Rules};
use super::exit::{Exit, Failure};
use super::output::{self, Ink, Style};
use crate::diag::{self, Diagnostic, Severity};
use crate::rules::lint::lint;
use crate::rules::load::{Loaded, load, load_files};
use crate::rules::toml::Known;
use expect::{Failed, Runner, TestResult};

/// Check rule files and run the tests in them
///
/// Without FILE: all files of the rule directories. With FILE only the rules of these files are there: a test that needs
/// the rules of another file needs that named too.
///
/// Fails if there is an error or a test does not pass; with --strict if there is a warning, too. Notes never fail.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A rule file (.toml or .rules), or a directory of them
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Say which parents' keys of one rule are on different parents of this device
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<OsString>,
    /// The same for all devices of a recording, or for DEVICE of it
    #[arg(long, value_name = "FILE")]
    pub(super) recording: Option<PathBuf>,
    /// Warnings fail too
    #[arg(long)]
    pub(super) strict: bool,
    /// Leave notes out: what works as it is meant and could be written better
    #[arg(long)]
    pub(super) no_notes: bool,
    /// Rewrite files where the repair is certain: in .rules form, doubled expressions and old names, in .toml values
    /// without quotes and keys that have another name here
    #[arg(long, requires = "files")]
    pub(super) fix: bool,
}

/// All that was found; the JSON object of `check --json`.
#[derive(Debug, Serialize)]
struct Report {
    /// No error (with --strict: no warning), and every test passed.
    ok: bool,
    /// What --fix repaired.
    fixed: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    /// Empty files and links to the null device: they take weaker files of their name out of force.
    masked: Vec<PathBuf>,
    rules: usize,
    diagnostics: Vec<Diagnostic>,
    tests: Vec<TestResult>,
}

/// Runs the verb. The answer is no when there is an error or a test fails.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let report = check(options, context)?;
    if context.json {
        output::json(out, &report)?;
    } else {
        show(out, context.style, &report)?;
    }
    Ok(if report.ok { Exit::Ok } else { Exit::No })
}

fn check(options: &Options, context: &Context) -> Result<Report, Failure> {
    let means = Means::anywhere(context);
    let read = || match options.files.as_slice() {
        [] => Rules::of(context, &[], &means),
        paths => Rules::new(load_paths(paths, &means.known())),
    };
    let mut rules = read();
    let mut fixed = Vec::new();
    if options.fix {
        fixed = repair::files(&rules.loaded.files, &means.known())?;
        rules = read();
    }
    let mut runner = Runner::new(&rules, &means);
    let tests: Vec<TestResult> = rules.loaded.tests.iter().map(|test| runner.run(test)).collect();
    let mut diagnostics = rules.loaded.diagnostics.clone();
    diagnostics.extend(lint(&rules.loaded.files).into_iter().map(|finding| finding.diagnostic));
    if options.device.is_some() || options.recording.is_some() {
        let machine = Machine::new(context, options.recording.as_deref())?;
        diagnostics.extend(parents::find(&machine, options.device.as_deref(), context, &rules, &means)?);
    }
    diagnostics.retain(|one| !options.no_notes || one.severity != Severity::Note);
    let fails = if options.strict { Severity::Warning } else { Severity::Error };
    Ok(Report {
        ok: diagnostics.iter().all(|one| one.severity < fails) && tests.iter().all(|test| test.passed),
        fixed,
        files: rules.loaded.files.iter().map(|file| file.source.path.clone()).collect(),
        masked: rules.loaded.masked.clone(),
        rules: rules.compiled.len(),
        diagnostics,
        tests,
    })
}

/// Files as they are named, and all rule files of directories; in the order of their names, as in a rule directory.
fn load_paths(paths: &[PathBuf], known: &Known<'_>) -> Loaded {
    let (dirs, mut files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut all = load(&dirs, known);
    let Loaded { files, tests, diagnostics, masked } = load_files(&files, known);
    all.files.extend(files);
    all.files.sort_by(|a, b| a.source.path.file_name().cmp(&b.source.path.file_name()));
    all.tests.extend(tests);
    all.diagnostics.extend(diagnostics);
    all.masked.extend(masked);
    all
}

fn show(out: &mut dyn Write, style: Style, report: &Report) -> io::Result<()> {
    let failed = report.tests.iter().flat_map(|test| &test.failures).map(Failed::diagnostic);
    for diagnostic in report.diagnostics.iter().cloned().chain(failed) {
        writeln!(out, "{}\n", diag::render(&diagnostic, style.colour))?;
    }
    for repaired in &report.fixed {
        writeln!(out, "{}: {}", style.paint(Ink::Green, "repaired"), repaired)?;
    }
    let of = |severity| report.diagnostics.iter().filter(|d| d.severity == severity).count();
    let passed = report.tests.iter().filter(|test| test.passed).count();
    let mut parts = vec![
        count(report.files.len(), "file"),
        count(report.rules, "rule"),
        count(of(Severity::Error), "error"),
        count(of(Severity::Warning), "warning"),
    ];
    parts.extend(Some(of(Severity::Note)).filter(|notes| *notes > 0).map(|notes| count(notes, "note")));
    parts.push(format!("{passed} of {} passed", count(report.tests.len(), "test")));
    let (ink, word) = if report.ok { (Ink::Green, "good") } else { (Ink::Red, "not good") };
    writeln!(out, "{}: {}", style.paint(ink, word), parts.join(", "))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
