//! Owns writing to attributes of devices and to sysctls: an existing file, in one call, never out of its file system.
//!
//! Links inside are followed (`device/queue_depth`), as sysfs is made of them. What is written is what is given: no
//! newline is added.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;

use crate::sys::fs::{Symlinks, open_dir, write_existing};

/// A value was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't write `{value}` to {}: {errno}", .path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The value.
    pub value: BString,
    /// What the kernel said. `EXDEV`: the path leads out of the tree; `EINVAL`: the driver does not take the value, or
    /// this is no file.
    pub errno: Errno,
}

/// A tree of files that stand for values: `/sys` or `/proc/sys`.
#[derive(Debug)]
pub struct ValueTree {
    path: PathBuf,
    dir: OwnedFd,
}

impl ValueTree {
    /// Opens the tree at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), dir: open_dir(path)? })
    }

    /// Writes `value` to the file `path`: relative to the tree, or absolute and in it.
    pub fn write(&self, path: &Path, value: &[u8]) -> Result<(), WriteError> {
        let within = path.strip_prefix(&self.path).unwrap_or(path);
        write_existing(&self.dir, within.as_os_str().as_bytes(), value, Symlinks::Within)
            .map_err(|errno| WriteError { path: self.path.join(path), value: value.as_bstr().into(), errno })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_inside_only() {
        let temp = tempfile::tempdir().unwrap();
        let (sys, outside) = (temp.path().join("sys"), temp.path().join("outside"));
        std::fs::create_dir_all(sys.join("devices/x/queue")).unwrap();
        std::fs::write(sys.join("devices/x/queue/depth"), "1").unwrap();
        std::fs::write(&outside, "1").unwrap();
        std::os::unix::fs::symlink("../x", sys.join("devices/x/device")).unwrap();
        std::os::unix::fs::symlink("../../../outside", sys.join("devices/x/out")).unwrap();
        let tree = ValueTree::open(&sys).unwrap();
        let absolute = sys.join("devices/x/queue/depth");
        let cases = [
            ("devices/x/queue/depth", Ok(())),
            ("devices/x/device/queue/depth", Ok(())),
            (absolute.to_str().unwrap(), Ok(())),
            ("devices/x/queue", Err(Errno::EISDIR)),
            ("devices/x/none", Err(Errno::ENOENT)),
            ("devices/x/out", Err(Errno::EXDEV)),
            ("../outside", Err(Errno::EXDEV)),
            (outside.to_str().unwrap(), Err(Errno::EXDEV)),
        ];
        for (path, expected) in cases {
            assert_eq!(tree.write(Path::new(path), b"0").map_err(|e| e.errno), expected, "{path}");
        }
        assert_eq!(std::fs::read(&outside).unwrap(), b"1");
        assert_eq!(std::fs::read(&absolute).unwrap(), b"0");
        let error = tree.write(Path::new("devices/none"), b"\xff").unwrap_err();
        assert!(error.to_string().contains("devices/none"));
    }
}
