//! `nameplate man`: man pages from the command table, for packagers.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};

/// Print the man page, or write one for each verb into a directory
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Write nameplate.1 and nameplate-VERB.1 into this directory
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut command = super::command();
    command.build();
    let Some(directory) = &options.directory else {
        out.write_all(&page(command)?)?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(directory).map_err(|source| Failure::File { path: directory.clone(), source })?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        // Built: each verb knows its whole name, which is what the page is about.
        let name = format!("nameplate-{}", verb.get_name());
        write(directory, &format!("{name}.1"), &page(verb.clone())?)?;
    }
    write(directory, "nameplate.1", &page(command)?)?;
    Ok(Exit::Ok)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

fn write(directory: &Path, name: &str, text: &[u8]) -> Result<(), Failure> {
    let path = directory.join(name);
    std::fs::write(&path, text).map_err(|source| Failure::File { path, source })
}
