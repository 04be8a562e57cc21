//! `nameplate completions SHELL`: completions from the command table, for packagers.

use std::io::Write;

use super::exit::{Exit, Failure};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Runs the verb.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where a write fails.
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "nameplate", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Ok)
}
