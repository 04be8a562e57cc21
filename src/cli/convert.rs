//! `nameplate convert`: rules in the other language.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{self, Ink};
use crate::builtin;
use crate::diag::SourceFile;
use crate::rules::convert::{Converted, to_toml, to_udev};

/// Turn rules of one language into the other
///
/// What the other language can't say is named with its place and stands in the output as a comment; then the exit code is 1.
/// Several files become one, in this order.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The language to write: toml, or udev for `.rules` files
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(super) to: Language,
    /// Rule files of the other language; standard input if there is none, or for `-`
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Write to this file in place of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// A rule language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// `.toml`
    Toml,
    /// `.rules`
    Udev,
}

/// The JSON object of `convert --json`.
#[derive(Debug, Serialize)]
struct Report {
    /// Everything was carried.
    ok: bool,
    text: String,
    rules: usize,
    carried: usize,
    lost: Vec<Lost>,
}

/// Something that was not carried.
#[derive(Debug, Serialize)]
struct Lost {
    from: String,
    what: String,
}

/// Runs the verb. The answer is no when something could not be carried.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let stdin = [PathBuf::from("-")];
    let files = if options.files.is_empty() { &stdin[..] } else { &options.files };
    let mut all = Converted::default();
    for file in files {
        let one = convert(file, options.to)?;
        if !all.text.is_empty() && !one.text.is_empty() {
            all.text.push(b'\n');
        }
        all.text.extend_from_slice(&one.text);
        all.lost.extend(one.lost);
        all.rules += one.rules;
        all.carried += one.carried;
    }
    if options.to == Language::Toml && files.len() > 1 && all.text.windows(7).any(|text| text == b"\n[file]")
    {
        let why = "conditions of one file would count for the others: convert them one by one";
        return Err(Failure::Usage(why.into()));
    }
    if let Some(path) = &options.output {
        fs::write(path, &all.text).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    if context.json {
        output::json(out, &report(&all))?;
    } else {
        if options.output.is_none() {
            out.write_all(&all.text)?;
        }
        say(context, &all);
    }
    Ok(if all.lost.is_empty() { Exit::Ok } else { Exit::No })
}

fn convert(file: &Path, to: Language) -> Result<Converted, Failure> {
    let failed = |source| Failure::File { path: file.into(), source };
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        bytes
    } else {
        fs::read(file).map_err(failed)?
    };
    let name = if file == Path::new("-") { Path::new("stdin") } else { file };
    let source = SourceFile::new(name, &bytes);
    Ok(match to {
        Language::Toml => to_toml(&source, &bytes, builtin::NAMES),
        Language::Udev => to_udev(&source, builtin::NAMES),
    })
}

fn report(all: &Converted) -> Report {
    let lost = all.lost.iter().map(|one| Lost { from: one.place.to_string(), what: one.what.clone() });
    Report {
        ok: all.lost.is_empty(),
        text: all.text.to_string(),
        rules: all.rules,
        carried: all.carried,
        lost: lost.collect(),
    }
}

/// Names what is lost where it does not get in the way of the output.
fn say(context: &Context, all: &Converted) {
    let mut err = io::stderr().lock();
    for one in &all.lost {
        let _nobody_reads = writeln!(err, "{}: not carried: {}", one.place, output::shown(&one.what));
    }
    if !all.lost.is_empty() {
        let line = format!("{} of {} rules carried", all.carried, all.rules);
        let _nobody_reads = writeln!(err, "{}", context.style.paint(Ink::Bold, line));
    }
}
