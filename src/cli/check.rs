//! `nameplate check`: the rule files: are they right, and do their tests pass.

use std::io::Write;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Check rule files and run the tests in them
///
/// Without FILE: all files of the rule directories.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A rule file (.toml)
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<std::path::PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _ = (options, context, out);
    Err(Failure::NotBuilt("check"))
}
