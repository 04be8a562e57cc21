//! Owns work beneath an open directory: opening without leaving it, reading links, listing, writing a file whole.
//!
//! Names are bytes relative to the directory. Never resolves a path from the root, so nothing that is swapped in on the
//! way can lead elsewhere.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use bstr::{BString, ByteSlice};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, UtimensatFlags, fchmodat, fstat, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat, write};

/// What becomes of symbolic links on the way of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// Any link is refused (`ELOOP`, or `ENOTDIR` before Linux 5.6).
    Refused,
    /// Links are followed as long as they stay beneath the directory (before Linux 5.6: refused).
    Within,
}

/// How durable a file has to be before a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Whole or not at all while the machine runs: what is lost at power-off anyway.
    Running,
    /// On the medium.
    Disk,
}

/// Opens a directory for work beneath it.
pub fn open_dir(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens `path` beneath `dir`; never creates. Errors: the kernel's; `EXDEV` for a path that leads out of `dir`.
pub fn open_beneath(dir: impl AsFd, path: &[u8], flags: OFlag, symlinks: Symlinks) -> Result<OwnedFd, Errno> {
    let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let resolve = match symlinks {
        Symlinks::Refused => beneath | ResolveFlag::RESOLVE_NO_SYMLINKS,
        Symlinks::Within => beneath,
    };
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    // `EAGAIN`: while the kernel went back by a `..`, something was renamed or mounted, anywhere on this machine
    let mut found = Err(Errno::EAGAIN);
    for _ in 0..TRIES {
        found = openat2(dir.as_fd(), path, how);
        if found.as_ref().err() != Some(&Errno::EAGAIN) {
            break;
        }
    }
    match found {
        // no such call: an old kernel, or a filter of system calls that does not know it
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => walk_beneath(dir, path, flags),
        other => other,
    }
}

/// How often an open that something got in between is tried again: each takes microseconds, so this is for a machine that
/// renames all the time.
const TRIES: usize = 128;

/// What [`open_beneath`] does where the kernel can't: component by component, no link followed.
fn walk_beneath(dir: impl AsFd, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    if path.first() == Some(&b'/') {
        return Err(Errno::EXDEV);
    }
    let mut parts = path.split_str(b"/").filter(|part| !part.is_empty() && *part != b".").peekable();
    let step = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        if part == b".." {
            return Err(Errno::EXDEV);
        }
        let flags = if parts.peek().is_some() { step } else { flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC };
        let from = at.as_ref().map_or(dir.as_fd(), AsFd::as_fd);
        at = Some(openat(from, part, flags, Mode::empty())?);
    }
    at.ok_or(Errno::ENOENT)
}

/// Opens what `file`, opened with `O_PATH`, stands for. Needs procfs.
pub fn reopen(file: impl AsFd, flags: OFlag) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    open(path.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())
}

/// The text of the link `name` in `dir`. `EINVAL`: it is no link.
pub fn read_link(dir: impl AsFd, name: &[u8]) -> Result<BString, Errno> {
    readlinkat(dir, name).map(|target: OsString| target.into_vec().into())
}

/// Makes directory `path` beneath `dir` with its parents (mode 0755 less the umask) and opens it, no link followed.
pub fn make_dirs_beneath(dir: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    match open_beneath(dir.as_fd(), path, flags, Symlinks::Refused) {
        Err(Errno::ENOENT) => {}
        other => return other,
    }
    let mut at: Option<OwnedFd> = None;
    for part in path.split_str(b"/").filter(|part| !part.is_empty()) {
        let from = at.as_ref().map_or(dir.as_fd(), AsFd::as_fd);
        match mkdirat(from, part, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        at = Some(open_beneath(from, part, flags, Symlinks::Refused)?);
    }
    at.ok_or(Errno::ENOENT)
}

/// File names in `dir`, without `.` and `..`, in no order. The directory must have been opened for reading.
pub fn list(dir: impl AsFd) -> Result<Vec<BString>, Errno> {
    let mut dir =
        Dir::openat(dir, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut out = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            out.push(name.into());
        }
    }
    Ok(out)
}

/// Reads the regular file `name` of `dir`, at most `limit` bytes. `EFBIG`: it is longer. `EINVAL`: not a regular file.
pub fn read_file(dir: impl AsFd, name: &[u8], limit: usize) -> Result<Vec<u8>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if !is_kind(&stat, libc::S_IFREG) {
        return Err(Errno::EINVAL);
    }
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(Errno::EFBIG);
    }
    // one more than its size, so that a second read tells the end only for files that grow
    let mut out = vec![0; size + 1];
    let mut filled = 0;
    loop {
        let room = out.get_mut(filled..).unwrap_or_default();
        match nix::unistd::read(&file, room) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if filled > limit {
            return Err(Errno::EFBIG);
        }
        if filled == out.len() {
            out.resize(filled + 4096, 0);
        }
    }
    out.truncate(filled);
    Ok(out)
}

/// Writes `bytes` as file `name` of `dir` with `mode` (less the umask): first under the name `temporary`, then renamed
/// over, so that readers see the old file or the new one. On error nothing is left under `temporary`.
pub fn write_whole(
    dir: impl AsFd,
    name: &[u8],
    temporary: &[u8],
    bytes: &[u8],
    mode: Mode,
    durability: Durability,
) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(dir.as_fd(), temporary, flags, mode)?;
    let done = write_all(&file, bytes)
        .and_then(|()| if durability == Durability::Disk { fsync(&file) } else { Ok(()) })
        .and_then(|()| renameat(dir.as_fd(), temporary, dir.as_fd(), name));
    if let Err(errno) = done {
        let _gone_or_not = unlinkat(dir.as_fd(), temporary, UnlinkatFlags::NoRemoveDir);
        return Err(errno);
    }
    if durability == Durability::Disk { fsync(dir.as_fd()) } else { Ok(()) }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(file, bytes) {
            Ok(0) => return Err(Errno::ENOSPC),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// True when `stat` is of that kind (`S_IFREG`, `S_IFBLK` …).
pub fn is_kind(stat: &FileStat, kind: libc::mode_t) -> bool {
    stat.st_mode & libc::S_IFMT == kind
}

/// Opens the existing regular file `path` beneath `dir` and writes `bytes` in one call; nothing is created or cut off.
/// Errors: the kernel's; `EINVAL` for what is no regular file, `EIO` if the kernel took only a part.
pub fn write_existing(dir: impl AsFd, path: &[u8], bytes: &[u8], symlinks: Symlinks) -> Result<(), Errno> {
    // O_NONBLOCK: a fifo without reader is an error, not a wait
    let flags = OFlag::O_WRONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let file = open_beneath(dir, path, flags, symlinks)?;
    if !is_kind(&fstat(&file)?, libc::S_IFREG) {
        return Err(Errno::EINVAL);
    }
    loop {
        match write(&file, bytes) {
            Ok(n) if n == bytes.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Makes now the time of what `file`, opened with `O_PATH`, stands for. Needs procfs.
pub fn touch(file: impl AsFd) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let now = TimeSpec::UTIME_NOW;
    utimensat(AT_FDCWD, path.as_str(), &now, &now, UtimensatFlags::FollowSymlink)
}

/// Sets the mode of what `file`, opened with `O_PATH`, stands for. Before Linux 6.6 this needs procfs.
pub fn set_mode(file: impl AsFd, mode: libc::mode_t) -> Result<(), Errno> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the path is an empty C string
    let result = unsafe { libc::syscall(libc::SYS_fchmodat2, fd, c"".as_ptr(), mode, libc::AT_EMPTY_PATH) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::ENOSYS | Errno::EPERM) => set_mode_by_proc(fd, mode),
        Err(errno) => Err(errno),
    }
}

fn set_mode_by_proc(fd: RawFd, mode: libc::mode_t) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{fd}");
    fchmodat(AT_FDCWD, path.as_str(), Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What both ways of opening say of a path below a directory that has `a/file`, `a/in -> file`, `a/out -> /`.
    #[test]
    fn nothing_leads_out() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        std::fs::write(temp.path().join("a/file"), "x").unwrap();
        symlink("file", temp.path().join("a/in")).unwrap();
        symlink("/", temp.path().join("a/out")).unwrap();
        symlink("..", temp.path().join("a/up")).unwrap();
        let dir = open_dir(temp.path()).unwrap();
        let cases: &[(&[u8], bool, bool)] = &[
            (b"a/file", true, true),
            (b"a/in", false, true),
            (b"a/out", false, false),
            (b"a/out/etc", false, false),
            (b"a/up/a/file", false, true),
            (b"a/../../etc", false, false),
            (b"/etc", false, false),
            (b"a/none", false, false),
            (b"", false, false),
        ];
        for (path, refused, within) in cases {
            let open = |how| open_beneath(&dir, path, OFlag::O_RDONLY, how).is_ok();
            assert_eq!(open(Symlinks::Refused), *refused, "{}", path.as_bstr());
            assert_eq!(open(Symlinks::Within), *within, "{}", path.as_bstr());
            assert_eq!(walk_beneath(&dir, path, OFlag::O_RDONLY).is_ok(), *refused, "{}", path.as_bstr());
        }
    }

    #[test]
    fn files_are_written_whole() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open_dir(temp.path()).unwrap();
        let mode = Mode::from_bits_truncate(0o644);
        for text in [&b"first"[..], b"second, longer", b""] {
            write_whole(&dir, b"f", b".t", text, mode, Durability::Disk).unwrap();
            assert_eq!(read_file(&dir, b"f", 100).unwrap(), text);
        }
        assert_eq!(list(&dir).unwrap(), ["f"]);
        std::fs::create_dir(temp.path().join("d")).unwrap();
        assert!(write_whole(&dir, b"d", b".t", b"x", mode, Durability::Running).is_err());
        assert!(!temp.path().join(".t").exists());
        assert_eq!(read_file(&dir, b"d", 100), Err(Errno::EINVAL));
        std::fs::write(temp.path().join("big"), [b'x'; 101]).unwrap();
        assert_eq!(read_file(&dir, b"big", 100), Err(Errno::EFBIG));
        assert_eq!(read_file(&dir, b"big", 101).unwrap().len(), 101);
    }

    #[test]
    fn only_existing_files_are_written_and_nothing_waits() {
        let temp = tempfile::tempdir().unwrap();
        let dir = open_dir(temp.path()).unwrap();
        std::fs::write(temp.path().join("attr"), "old value").unwrap();
        symlink("attr", temp.path().join("in")).unwrap();
        nix::unistd::mkfifo(&temp.path().join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(write_existing(&dir, b"attr", b"new", Symlinks::Within), Ok(()));
        assert_eq!(write_existing(&dir, b"in", b"NEW", Symlinks::Within), Ok(()));
        assert_eq!(std::fs::read(temp.path().join("attr")).unwrap(), b"NEW value");
        assert_eq!(write_existing(&dir, b"in", b"x", Symlinks::Refused), Err(Errno::ELOOP));
        assert_eq!(write_existing(&dir, b"fifo", b"x", Symlinks::Within), Err(Errno::ENXIO));
        assert_eq!(write_existing(&dir, b"none", b"x", Symlinks::Within), Err(Errno::ENOENT));
        assert_eq!(write_existing(&dir, b"../x", b"x", Symlinks::Within), Err(Errno::EXDEV));
    }

    #[test]
    fn modes_are_set_both_ways() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("f"), "").unwrap();
        let dir = open_dir(temp.path()).unwrap();
        let file = open_beneath(&dir, b"f", OFlag::O_PATH, Symlinks::Refused).unwrap();
        let mode = || std::fs::metadata(temp.path().join("f")).unwrap().permissions().mode() & 0o7777;
        set_mode(&file, 0o640).unwrap();
        assert_eq!(mode(), 0o640);
        set_mode_by_proc(file.as_raw_fd(), 0o606).unwrap();
        assert_eq!(mode(), 0o606);
    }
}
