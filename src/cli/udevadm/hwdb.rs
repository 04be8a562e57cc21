//! `udevadm hwdb`: asks the hardware database, or builds it.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use super::{Ended, Refused};
use crate::builtin::hwdb::Hwdb;
use crate::builtin::hwdb::compile::Sources;
use crate::cli::context::Context;
use crate::cli::hwdb::{Target, update};
use crate::roots::Roots;

/// Ask the hardware database, or build it
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Build it
    #[arg(long, short)]
    update: bool,
    /// Fail when something in the sources is wrong
    #[arg(long, short)]
    strict: bool,
    /// Put it into /usr/lib/udev in place of /etc/udev
    #[arg(long)]
    usr: bool,
    /// Print the properties for this modalias
    #[arg(long, short, value_name = "MODALIAS")]
    test: Option<String>,
    /// The file system of another machine
    #[arg(long, short, value_name = "PATH")]
    root: Option<PathBuf>,
    /// Accepted and without effect
    #[arg(hide = true)]
    ignored: Vec<OsString>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    if !options.update && options.test.is_none() {
        return Err(Refused::new("Either --update or --test must be used."));
    }
    let _nobody_reads = writeln!(std::io::stderr(), "`udevadm hwdb` is deprecated: use `nameplate hwdb`.");
    let roots = options.root.as_deref().map_or_else(|| context.roots.clone(), Roots::below);
    let mut code = 0;
    if options.update {
        // names of files are kept in the database as systemd keeps them
        let updated = update(&roots, Target::new(options.usr), Sources::Named)?;
        for problem in &updated.problems {
            let _nobody_reads = writeln!(std::io::stderr(), "{problem}");
        }
        code = u8::from(options.strict && !updated.problems.is_empty());
    }
    if let Some(modalias) = &options.test {
        let found = Hwdb::open_first(&roots.hwdb_files()).map_err(|error| Refused::new(error.to_string()))?;
        let found = found
            .ok_or_else(|| Refused::new("hwdb.bin does not exist, please run 'udevadm hwdb --update'."))?;
        let properties = found.query(modalias.as_bytes()).map_err(|error| Refused::new(error.to_string()))?;
        for (key, value) in properties {
            out.write_all(&bstr::concat([key.as_slice(), b"=", &value, b"\n"]))?;
        }
    }
    Ok(code)
}
