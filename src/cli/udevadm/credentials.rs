//! Owns `udevadm control --load-credentials`: rules and configuration that the service manager hands over as credentials
//! become files below `/run/udev`, where they are read as all others are.
//!
//! A credential `udev.rules.NAME` becomes `rules.d/NAME.rules`, `udev.conf.NAME` becomes `udev.conf.d/NAME.conf`
//! (systemd.system-credentials(7)).

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::device::Machine;
use super::{Refused, reason};

/// The environment variable in which the service manager says where credentials are.
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What a credential's name begins with, the directory below the device manager's, and how the file's name ends.
const KINDS: [(&[u8], &str, &[u8]); 2] =
    [(b"udev.conf.", "udev.conf.d", b".conf"), (b"udev.rules.", "rules.d", b".rules")];

/// Writes the files. One that can't be written is said and the others are written all the same. Error: the credentials
/// can't be listed, or something could not be written. Without credentials nothing is done.
pub(super) fn load(machine: &Machine) -> Result<(), Refused> {
    let Some(from) = std::env::var_os(DIRECTORY) else { return Ok(()) };
    let failed = |path: &Path, error: &io::Error| {
        Refused::new(format!("Failed to load credentials from {}: {}", path.display(), reason(error)))
    };
    let entries = match fs::read_dir(&from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(Path::new(&from), &error)),
    };
    let mut result = Ok(());
    for entry in entries.flatten() {
        let Some(to) = target(machine, entry.file_name().as_bytes()) else { continue };
        if let Err(error) = fs::read(entry.path()).and_then(|text| put(&to, &text)) {
            let refused = failed(&entry.path(), &error);
            let _nobody_reads = writeln!(io::stderr(), "{}", refused.0);
            result = Err(Refused::new(""));
        }
    }
    result
}

/// The file that a credential of this name becomes.
fn target(machine: &Machine, name: &[u8]) -> Option<PathBuf> {
    let (name, directory, ending) = KINDS
        .iter()
        .find_map(|(prefix, directory, ending)| Some((name.strip_prefix(*prefix)?, directory, ending)))?;
    // names of directory entries hold no slash, and with its ending none is `.` or `..`
    (!name.is_empty()).then(|| machine.run(directory).join(OsStr::from_bytes(&[name, ending].concat())))
}

/// Writes a file whole: who reads rules meanwhile sees all of it or nothing.
fn put(to: &Path, text: &[u8]) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    // no rule file by its name
    let new = to.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, Permissions::from_mode(0o644))?;
    fs::rename(&new, to)
}
