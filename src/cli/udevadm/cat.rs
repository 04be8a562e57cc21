//! `udevadm cat`: shows rule files (systemd 258 and later).

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Ended, Refused, reason};
use crate::cli::context::Context;
use crate::cli::dry::Means;
use crate::daemon::control::protocol::Mode;
use crate::rules::load::load;

/// Show rule files
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Leave out comments and empty lines
    #[arg(long)]
    tldr: bool,
    /// Paths, or names of files in the rule directories (without them: all that are in force)
    #[arg(value_name = "FILE")]
    files: Vec<OsString>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    let mut first = true;
    for path in paths(options, context)? {
        let text = std::fs::read(&path).map_err(|error| {
            Refused::new(format!("Failed to read {}: {}", path.display(), reason(&error)))
        })?;
        if !std::mem::take(&mut first) {
            writeln!(out)?;
        }
        writeln!(out, "# {}", path.display())?;
        for line in text.split_inclusive(|&b| b == b'\n') {
            let trimmed = line.trim_ascii();
            if !options.tldr || !(trimmed.is_empty() || trimmed.starts_with(b"#")) {
                out.write_all(line)?;
            }
        }
    }
    Ok(0)
}

fn paths(options: &Options, context: &Context) -> Result<Vec<PathBuf>, Refused> {
    let dirs = context.rule_dirs(Mode::Standalone);
    if options.files.is_empty() {
        let loaded = load(&dirs, &Means::anywhere(context).known());
        return Ok(loaded.files.iter().map(|file| file.source.path.clone()).collect());
    }
    options.files.iter().map(|name| find(&dirs, Path::new(name))).collect()
}

/// A path as it is, or the strongest file of a name.
fn find(dirs: &[PathBuf], name: &Path) -> Result<PathBuf, Refused> {
    if name.components().count() > 1 {
        return Ok(name.into());
    }
    let found = dirs.iter().map(|dir| dir.join(name)).find(|path| path.exists());
    found.ok_or_else(|| {
        Refused::new(format!("Failed to find rules file {}: No such file or directory", name.display()))
    })
}
