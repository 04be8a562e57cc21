//! Owns `check --fix`: writes files whose repair is certain. A file is written whole or not at all, with the mode that it
//! had; a link to it stays a link.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::Mode;

use crate::cli::exit::Failure;
use crate::diag::Diagnostic;
use crate::rules::ir::RuleFile;
use crate::rules::lint::fix;
use crate::rules::toml::Known;
use crate::sys::fs::{Durability, open_dir, write_whole};

/// Repairs files; what was repaired, in order.
pub(super) fn files(files: &[Arc<RuleFile>], known: &Known<'_>) -> Result<Vec<Diagnostic>, Failure> {
    let mut out = Vec::new();
    for file in files {
        let path = &file.source.path;
        let failed = |source| Failure::File { path: path.clone(), source };
        // A file that could not be read has been reported, and has nothing to repair.
        let Some(fixed) = fix(path, &file.source.text, known) else { continue };
        let target = fs::canonicalize(path).map_err(failed)?;
        if fs::read(&target).map_err(failed)? != file.source.text.as_bytes() {
            let message = format!("{}: not UTF-8, or changed meanwhile: nothing is written", path.display());
            return Err(Failure::Failed(message));
        }
        write(&target, fixed.text.as_bytes()).map_err(|errno| failed(errno.into()))?;
        out.extend(fixed.done);
    }
    Ok(out)
}

fn write(target: &Path, text: &[u8]) -> Result<(), Errno> {
    let metadata = fs::metadata(target).map_err(errno)?;
    let dir = open_dir(target.parent().unwrap_or(Path::new(".")))?;
    let name = target.file_name().unwrap_or_default().as_bytes();
    let temporary = format!(".nameplate-{}", process::id());
    let mode = Mode::from_bits_truncate(metadata.mode());
    write_whole(&dir, name, temporary.as_bytes(), text, mode, Durability::Disk)
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
