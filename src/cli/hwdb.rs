//! `nameplate hwdb`: ask the hardware database, and build it.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;
use nix::sys::stat::Mode;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output;
use crate::builtin::hwdb::compile::{self, Problem, Sources};
use crate::builtin::hwdb::{Hwdb, HwdbError};
use crate::roots::Roots;
use crate::sys::fs::{Durability, open_dir, write_whole};

/// Ask the hardware database, or build it from hwdb.d/*.hwdb
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the properties that the database has for MODALIAS
    Query {
        /// As in the attribute or property of that name, or as a rule would ask: usb:v1546p01A7:u-blox
        #[arg(value_name = "MODALIAS")]
        modalias: std::ffi::OsString,
    },
    /// Build hwdb.bin from the hwdb.d directories of /etc/udev and /usr/lib/udev
    Update {
        /// Put it into /usr/lib/udev in place of /etc/udev
        #[arg(long)]
        usr: bool,
        /// Fail when something in the sources is wrong (it is left out and the rest is built all the same)
        #[arg(long, short = 's')]
        strict: bool,
    },
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &options.what {
        What::Query { modalias } => query(modalias.as_bytes(), context, out),
        What::Update { usr, strict } => {
            let updated = update(&context.roots, Target::new(*usr), Sources::Named)?;
            let mut errors = std::io::stderr().lock();
            for problem in &updated.problems {
                let _nobody_reads = writeln!(errors, "{problem}");
            }
            match &updated.done {
                Done::Written { path, bytes, files } => {
                    writeln!(out, "{}: {bytes} bytes from {files} files", path.display())?;
                }
                Done::Removed(path) => writeln!(out, "{}: removed, there are no sources", path.display())?,
                Done::Nothing => writeln!(out, "there are no sources and no database")?,
            }
            Ok(if *strict && !updated.problems.is_empty() { Exit::No } else { Exit::Ok })
        }
    }
}

fn query(modalias: &[u8], context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    let found = Hwdb::open_first(&context.roots.hwdb_files()).map_err(failure)?;
    let hwdb = found.ok_or_else(|| {
        Failure::Failed("there is no hardware database; `nameplate hwdb update` builds one".into())
    })?;
    let properties = hwdb.query(modalias).map_err(failure)?;
    if context.json {
        let pairs = properties.iter().map(|(key, value)| (key.to_str_lossy(), value.to_str_lossy().into()));
        let object: serde_json::Map<String, serde_json::Value> =
            pairs.map(|(key, value)| (key.into_owned(), serde_json::Value::String(value))).collect();
        output::json(out, &object)?;
    } else {
        for (key, value) in &properties {
            out.write_all(&[key, &b"="[..], value, b"\n"].concat())?;
        }
    }
    Ok(if properties.is_empty() { Exit::No } else { Exit::Ok })
}

/// Where a database is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// `/etc/udev`: what counts on this machine.
    Etc,
    /// `/usr/lib/udev`: what the system's image ships.
    Usr,
}

impl Target {
    /// `usr` as it stands on the command line.
    pub(super) fn new(usr: bool) -> Self {
        if usr { Target::Usr } else { Target::Etc }
    }
}

/// What came of an update.
#[derive(Debug)]
pub(super) struct Updated {
    /// What was wrong with the sources.
    pub(super) problems: Vec<Problem>,
    /// What was done.
    pub(super) done: Done,
}

/// What an update did.
#[derive(Debug)]
pub(super) enum Done {
    /// There is a new database.
    Written {
        /// Where.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
        /// Of how many files.
        files: usize,
    },
    /// There are no sources any more, and so no database.
    Removed(PathBuf),
    /// There were neither.
    Nothing,
}

/// Builds the database of `roots`. The old one stays until the new one is whole.
pub(super) fn update(roots: &Roots, target: Target, sources: Sources) -> Result<Updated, Failure> {
    let dir = match target {
        Target::Etc => roots.etc.join("udev"),
        Target::Usr => roots.helper_dir(),
    };
    let path = dir.join("hwdb.bin");
    let files = compile::sources(&roots.hwdb_source_dirs()).map_err(failure)?;
    if files.is_empty() {
        let done = match std::fs::remove_file(&path) {
            Ok(()) => Done::Removed(path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Done::Nothing,
            Err(source) => return Err(Failure::File { path, source }),
        };
        return Ok(Updated { problems: Vec::new(), done });
    }
    let compiled = compile::compile(&files, sources);
    write(&dir, &path, &compiled.bytes)?;
    let done = Done::Written { path, bytes: compiled.bytes.len(), files: files.len() };
    Ok(Updated { problems: compiled.problems, done })
}

fn write(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: path.into(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    // one name for each process: two updates at once don't write into one file
    let temporary = format!(".hwdb.bin.{}", std::process::id());
    let mode = Mode::S_IRUSR | Mode::S_IRGRP | Mode::S_IROTH;
    open_dir(dir)
        .and_then(|dir| write_whole(dir, b"hwdb.bin", temporary.as_bytes(), bytes, mode, Durability::Disk))
        .map_err(|errno| failed(errno.into()))
}

fn failure(error: HwdbError) -> Failure {
    match error {
        HwdbError::Read { path, source } => Failure::File { path, source },
        damaged @ HwdbError::Damaged { .. } => Failure::Failed(damaged.to_string()),
    }
}
