//! Owns finding `.link` files: the directories, their order, masks, drop-ins, and what a file only names (a password).
//!
//! Reads files and gives values back; what is wrong is logged with its place, once for each reading. Never matches.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::{BString, ByteSlice};

use super::conditions::credential;
use super::kernel;
use super::keys::password;
use super::link_file::{AddressPolicy, LinkFile, WakePassword};
use crate::diag::{Diagnostic, SourceFile};
use crate::roots::Roots;

/// `WAKE_MAGICSECURE` of `ethtool.h`.
const SECURE: u32 = 1 << 6;
/// A longer file was not written for this.
const SIZE_MAX: u64 = 1 << 20;
/// What says a password has to say it soon: events wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// All `.link` files of a system that can apply, in the order in which they are asked: those of the directories, and those
/// that stand on the kernel's command line.
pub(super) fn load(roots: &Roots) -> Vec<LinkFile> {
    let directories = roots.network_dirs();
    let written = by_name(&directories, ".link");
    let mut files = kernel::link_files(roots);
    files.retain(|name, _| !written.contains_key(name));
    for (name, path) in written.into_iter().filter(|(_, path)| !is_masked(path)) {
        if let Some(file) = one(roots, &directories, &name, &path) {
            files.insert(name, file);
        }
    }
    files.into_values().collect()
}

/// Files that end so, by name; the first directory that has a name decides.
fn by_name(directories: &[PathBuf], end: &str) -> BTreeMap<OsString, PathBuf> {
    let mut found = BTreeMap::new();
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for name in entries.map(|entry| entry.file_name()) {
            if name.as_bytes().ends_with(end.as_bytes()) && !name.as_bytes().starts_with(b".") {
                found.entry(name.clone()).or_insert_with(|| directory.join(name));
            }
        }
    }
    found
}

/// An empty file, or a link to the null device.
fn is_masked(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|meta| meta.file_type().is_char_device() || (meta.is_file() && meta.len() == 0))
}

fn one(roots: &Roots, directories: &[PathBuf; 4], name: &OsString, path: &Path) -> Option<LinkFile> {
    let mut file = LinkFile { file: path.into(), ..LinkFile::default() };
    read_into(&mut file, path, roots)?;
    let mut below = name.clone();
    below.push(".d");
    let drop_in_directories = directories.each_ref().map(|directory| directory.join(&below));
    for path in by_name(&drop_in_directories, ".conf").into_values() {
        // one that masks another is a drop-in too
        if is_masked(&path) || read_into(&mut file, &path, roots).is_some() {
            file.drop_ins.push(path);
        }
    }
    if file.matching.is_empty() {
        tracing::warn!(
            "{}: nothing in [Match] is valid, so the file is passed over: `OriginalName=*` matches every interface",
            path.display()
        );
        return None;
    }
    if file.wanted.address_policy != AddressPolicy::None && file.wanted.address.is_some() {
        tracing::warn!("{}: MACAddress= has no effect beside MACAddressPolicy=", path.display());
    }
    find_password(&mut file, credential);
    Some(file)
}

fn read_into(file: &mut LinkFile, path: &Path, roots: &Roots) -> Option<()> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(%error, "{} is passed over", path.display());
            return None;
        }
    };
    let problems = file.read(&SourceFile::new(path, &text), &text, roots);
    problems.iter().for_each(report);
    Some(())
}

fn report(problem: &Diagnostic) {
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    tracing::warn!("{}: {}{hint}", problem.place, problem.message);
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let meta = fs::metadata(path)?;
    // opening a pipe or a device could block the event for ever
    if !meta.is_file() || meta.len() > SIZE_MAX {
        return Err(io::Error::other(format!("it is no regular file of at most {SIZE_MAX} bytes")));
    }
    fs::read(path)
}

/// Puts the password itself in the place of where it is, or of a credential that is meant without being named.
fn find_password(file: &mut LinkFile, credential: impl Fn(&[u8]) -> Option<BString>) {
    let name = file.file.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let found = match &file.wanted.wake_password {
        Some(WakePassword::Plain(_)) => return,
        Some(WakePassword::At(path)) => match said_at(path) {
            Ok(text) => password(&text),
            Err(error) => {
                tracing::warn!(%error, "no password from {}", path.display());
                None
            }
        },
        None if file.wanted.wake.is_some_and(|options| options & SECURE != 0) => {
            let names = [[name, b".wol.password"].concat(), b"wol.password".to_vec()];
            names.iter().find_map(|name| credential(name)).and_then(|text| password(&text))
        }
        None => return,
    };
    file.wanted.wake_password = found.map(WakePassword::Plain);
}

/// What is in a file, or what a socket says.
fn said_at(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.file_type().is_socket() {
        return read(path);
    }
    let socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut text = Vec::new();
    socket.take(SIZE_MAX).read_to_end(&mut text)?;
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::builtin::interface::Password;

    const ANY: &str = "[Match]\nOriginalName=*\n";

    #[test]
    fn order_masks_and_drop_ins() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let lib = "usr/lib/systemd/network";
        write(&format!("{lib}/99-default.link"), &format!("{ANY}[Link]\nMTUBytes=1000\n"));
        write(&format!("{lib}/10-a.link"), ANY);
        write(&format!("{lib}/20-masked.link"), ANY);
        write(&format!("{lib}/30-linked.link"), ANY);
        write(&format!("{lib}/40-no-match.link"), "[Link]\nMTUBytes=1\n");
        write(&format!("{lib}/50-not.network"), ANY);
        write("usr/local/lib/systemd/network/05-local.link", ANY);
        write("run/systemd/network/10-a.link", &format!("{ANY}[Link]\nName=run0\n"));
        write("etc/systemd/network/20-masked.link", "");
        symlink("/dev/null", root.path().join("etc/systemd/network/30-linked.link")).unwrap();
        write(&format!("{lib}/99-default.link.d/10-x.conf"), "[Link]\nMTUBytes=2000\nName=x0\n");
        write("etc/systemd/network/99-default.link.d/20-y.conf", "[Link]\nMTUBytes=3000\n");
        write("etc/systemd/network/99-default.link.d/not", "[Link]\nMTUBytes=1\n");
        let files = load(&Roots::below(root.path()));
        let below = |path: &PathBuf| path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned();
        let shown: Vec<_> = files.iter().map(|file| below(&file.file)).collect();
        assert_eq!(
            shown,
            [
                "usr/local/lib/systemd/network/05-local.link",
                "run/systemd/network/10-a.link",
                "usr/lib/systemd/network/99-default.link"
            ]
        );
        let default = &files[2];
        assert_eq!((default.wanted.mtu, default.wanted.name.clone()), (Some(3000), Some("x0".into())));
        let drop_ins: Vec<_> = default.drop_ins.iter().map(below).collect();
        assert_eq!(
            drop_ins,
            [
                "usr/lib/systemd/network/99-default.link.d/10-x.conf",
                "etc/systemd/network/99-default.link.d/20-y.conf"
            ]
        );
        assert_eq!(load(&Roots::below(&root.path().join("none"))), []);
        write("proc/cmdline", "ro net.ifname_policy=mac net.ifname_policy=path,02:00:00:00:00:01\n");
        let names = || -> Vec<String> {
            load(&Roots::below(root.path())).iter().map(|file| below(&file.file)).collect()
        };
        assert_eq!(names()[2..], ["proc/cmdline", "proc/cmdline", "usr/lib/systemd/network/99-default.link"]);
        write("run/systemd/network/72-default.link", ANY);
        assert_eq!(names()[2..4], ["proc/cmdline", "run/systemd/network/72-default.link"]);
    }

    #[test]
    fn passwords() {
        let root = tempfile::tempdir().unwrap();
        let secret = root.path().join("secret");
        fs::write(&secret, "00:00:00:00:00:08\n").unwrap();
        let given = |name: &[u8]| (name == b"10-a.link.wol.password").then(|| "00:00:00:00:00:07\n".into());
        for (wake, at, expected) in [
            (Some(SECURE), None, Some(7)),
            (Some(1), None, None),
            (None, Some(WakePassword::At(secret)), Some(8)),
            (None, Some(WakePassword::At(root.path().join("none"))), None),
            (None, Some(WakePassword::Plain(Password([0, 0, 0, 0, 0, 9]))), Some(9)),
        ] {
            let mut file = LinkFile { file: "10-a.link".into(), ..LinkFile::default() };
            (file.wanted.wake, file.wanted.wake_password) = (wake, at);
            find_password(&mut file, given);
            let password = |last| WakePassword::Plain(Password([0, 0, 0, 0, 0, last]));
            assert_eq!(file.wanted.wake_password, expected.map(password));
        }
    }
}
