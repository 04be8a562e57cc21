//! `nameplate completions SHELL`: completions from the command table, for packagers.

use std::io::Write;

use super::called_as::Called;
use super::exit::{Exit, Failure};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The program by that name
    #[arg(long, value_enum, value_name = "NAME", default_value = "nameplate")]
    of: Called,
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Runs the verb.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where a write fails.
    let mut text = Vec::new();
    let mut command = options.of.command();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut text);
    out.write_all(&text)?;
    Ok(Exit::Ok)
}
