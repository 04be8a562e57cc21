//! `nameplate man`: man pages from the command table, for packagers.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::called_as::Called;
use super::exit::{Exit, Failure};

/// Print the man page, or write one for each verb into a directory
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The program by that name
    #[arg(long, value_enum, value_name = "NAME", default_value = "nameplate")]
    of: Called,
    /// Write nameplate.1 and nameplate-VERB.1 (or udevadm.8 and udevadm-VERB.8) into this directory
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut command = options.of.command();
    command.build();
    let section = options.of.section();
    let Some(directory) = &options.directory else {
        out.write_all(&page(command, section)?)?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(directory).map_err(|source| Failure::File { path: directory.clone(), source })?;
    let name = command.get_name().to_owned();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        // Built: each verb knows its whole name, which is what the page is about.
        let file = format!("{name}-{}.{section}", verb.get_name());
        write(directory, &file, &page(verb.clone(), section)?)?;
    }
    write(directory, &format!("{name}.{section}"), &page(command, section)?)?;
    Ok(Exit::Ok)
}

fn page(command: clap::Command, section: &str) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).section(section).render(&mut text)?;
    Ok(text)
}

fn write(directory: &Path, name: &str, text: &[u8]) -> Result<(), Failure> {
    let path = directory.join(name);
    std::fs::write(&path, text).map_err(|source| Failure::File { path, source })
}
