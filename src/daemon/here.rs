//! Owns the mark by which a start knows whether what a former run has left was left in this system, or in the initramfs before
//! it: there programs may have been missing, drivers too, and rules. Looks at the top directory and one file of the daemon's own,
//! and never at what was left.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The mark's name in the daemon's own directory.
const MARK: &str = "system";

/// True when a daemon has come to the end of its start in the system whose top directory is `top`, with this `run_dir`.
pub(super) fn is_marked(run_dir: &Path, top: &Path) -> bool {
    matches!((fs::read_to_string(run_dir.join(MARK)), identity(top)), (Ok(mark), Ok(here)) if mark == here)
}

/// Says that a daemon has come to the end of its start here. A mark that is there stays as it is.
pub(super) fn mark(run_dir: &Path, top: &Path) -> io::Result<()> {
    if is_marked(run_dir, top) {
        return Ok(());
    }
    fs::write(run_dir.join(MARK), identity(top)?)
}

/// The top directory's file system and number: others after a change of root.
fn identity(top: &Path) -> io::Result<String> {
    let top = fs::metadata(top)?;
    Ok(format!("{}:{}\n", top.dev(), top.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_for_its_system() {
        let (run, initramfs, root) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(!is_marked(run.path(), initramfs.path()));
        mark(run.path(), initramfs.path()).unwrap();
        assert!(is_marked(run.path(), initramfs.path()));
        assert!(!is_marked(run.path(), root.path()));
        mark(run.path(), root.path()).unwrap();
        assert!(is_marked(run.path(), root.path()));
        assert!(!is_marked(run.path(), initramfs.path()));
    }
}
