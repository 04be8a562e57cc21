//! Owns `udevadm control --load-credentials`: rules and configuration that the service manager was given for udevd from outside
//! (by the firmware, a hypervisor, a container manager) become files of `/run/udev`.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Refused, reason};
use crate::roots::Roots;

/// How credentials are called, where they go below `/run/udev`, and how the files' names end.
const KINDS: [(&str, &str, &str); 2] =
    [("udev.conf.", "udev.conf.d", ".conf"), ("udev.rules.", "rules.d", ".rules")];

/// Puts the credentials of `dir` into their places: what the environment's `CREDENTIALS_DIRECTORY` names. `None`, or a directory
/// that is not there: there are none. One that can't be put there is told and costs itself alone.
pub(super) fn load(dir: Option<&Path>, roots: &Roots) -> Result<(), Refused> {
    let Some(dir) = dir else { return Ok(()) };
    let failed =
        |error: io::Error| Refused::new(format!("Failed to open credentials directory: {}", reason(&error)));
    if !dir.is_absolute() {
        return Err(failed(io::Error::from_raw_os_error(libc::EINVAL)));
    }
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for (prefix, below, suffix) in KINDS {
        let place = roots.run_udev().join(below);
        for name in &names {
            let Some(rest) = name.as_bytes().strip_prefix(prefix.as_bytes()) else { continue };
            let file = place.join(OsStr::from_bytes(&[rest, suffix.as_bytes()].concat()));
            let said = match put(&dir.join(name), &file) {
                Ok(true) => format!("Installed {} from credential.", file.display()),
                Ok(false) => continue,
                Err(error) => format!("Failed to install {}: {}", file.display(), reason(&error)),
            };
            let _nobody_reads = writeln!(io::stderr(), "{said}");
        }
    }
    Ok(())
}

/// Makes `file` say what the credential says, whole or not at all. False: it is no file.
fn put(credential: &Path, file: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(credential)?.is_file() {
        return Ok(false);
    }
    let text = fs::read(credential)?;
    let mut beside: PathBuf = file.to_owned();
    beside.set_file_name(format!(".#credential-{}", std::process::id()));
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let done = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&beside, file));
    if done.is_err() {
        let _not_there = fs::remove_file(&beside);
    }
    done.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 257's udevadm does it.
    #[test]
    fn credentials_become_files() {
        let temp = tempfile::tempdir().unwrap();
        let roots = Roots::below(temp.path());
        let dir = temp.path().join("credentials");
        fs::create_dir_all(dir.join("udev.rules.dir")).unwrap();
        for (name, text) in [
            ("udev.rules.50-a", "A"),
            ("udev.rules.a b", "B"),
            ("udev.rules.", "C"),
            ("udev.conf.x", "D"),
            ("udev.conf.y.conf", "E"),
            ("udev.rule.x", "no"),
            ("other", "no"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let rules = roots.run_udev().join("rules.d");
        fs::create_dir_all(&rules).unwrap();
        fs::write(rules.join("50-a.rules"), "older").unwrap();
        load(Some(&dir), &roots).unwrap();
        let found = |below: &str| {
            let entries = fs::read_dir(roots.run_udev().join(below)).unwrap().flatten();
            let mut found: Vec<_> = entries
                .map(|entry| {
                    let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                    let text = fs::read_to_string(entry.path()).unwrap();
                    (entry.file_name().into_string().unwrap(), mode, text)
                })
                .collect();
            found.sort();
            found
        };
        let file = |name: &str, text: &str| (name.to_owned(), 0o644, text.to_owned());
        assert_eq!(found("rules.d"), [file(".rules", "C"), file("50-a.rules", "A"), file("a b.rules", "B")]);
        assert_eq!(found("udev.conf.d"), [file("x.conf", "D"), file("y.conf.conf", "E")]);
        assert_eq!(load(None, &roots), Ok(()));
        assert_eq!(load(Some(&dir.join("none")), &roots), Ok(()));
        let refused = Refused::new("Failed to open credentials directory: Invalid argument");
        assert_eq!(load(Some(Path::new("relative")), &roots), Err(refused));
    }
}
