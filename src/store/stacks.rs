//! Owns what a systemd-udevd keeps for itself below `/run/udev`: who claims which link (`links`), and which nodes it watches
//! (`watch`). nameplate does not keep these up, so that they are put away while it runs; when it ends it leaves them as a
//! udevd reads them that comes after it.
//!
//! `links/NAME/ID` is a symbolic link whose text is `PRIORITY:NODE`; in `NAME` a slash is `\x2f`, a backslash `\x5c`.
//! `watch/ID` and `watch/NUMBER` are symbolic links whose texts are each other's names.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use bstr::ByteSlice;

use super::claims::Claim;
use crate::ids::{DeviceId, LinkName};

/// A longer name has a hash in its place, see [`file_name`].
const LONGEST: usize = 244;

/// Puts away what a udevd has left below `run` (`/run/udev`). Nothing of it is lost: the records say the same.
pub fn clear(run: &Path) -> io::Result<()> {
    for name in ["links", "links.lock", "watch", "watch.old"] {
        match fs::remove_dir_all(run.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Leaves claims, each with its device's node (absolute), and watched devices.
pub fn write<'c>(
    run: &Path,
    claims: impl IntoIterator<Item = (&'c Claim, &'c [u8])>,
    watched: &[DeviceId],
) -> io::Result<()> {
    clear(run)?;
    let links = run.join("links");
    for (claim, node) in claims {
        let Some(name) = file_name(&claim.link) else { continue };
        let dir = links.join(OsStr::from_bytes(&name));
        fs::create_dir_all(&dir)?;
        let text = [format!("{}:", claim.priority).as_bytes(), node].concat();
        symlink(OsStr::from_bytes(&text), dir.join(claim.device.to_string()))?;
    }
    if watched.is_empty() {
        return Ok(());
    }
    let watch = run.join("watch");
    fs::create_dir_all(&watch)?;
    for (number, id) in (1..).zip(watched) {
        let (number, id) = (i32::to_string(&number), id.to_string());
        symlink(&number, watch.join(&id))?;
        symlink(&id, watch.join(&number))?;
    }
    Ok(())
}

/// The directory of a link's claims. `None` for one so long that udevd cuts it and adds a hash: its claims are heard of with
/// their devices' next events.
fn file_name(link: &LinkName) -> Option<Vec<u8>> {
    let name = link.as_bytes().replace(b"\\", br"\x5c").replace(b"/", br"\x2f");
    (name.len() <= LONGEST).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn claim(link: &str, device: &str, priority: i32) -> Claim {
        let (link, device) =
            (LinkName::new(link.as_bytes()).unwrap(), DeviceId::parse(device.as_bytes()).unwrap());
        Claim { link, device, priority, since: 0 }
    }

    #[test]
    fn as_udevd_reads_it() {
        let temp = tempfile::tempdir().unwrap();
        let run = temp.path();
        fs::create_dir_all(run.join("links/old")).unwrap();
        fs::create_dir_all(run.join("watch")).unwrap();
        symlink("b1:2", run.join("watch/7")).unwrap();
        let (a, b, long) = (
            claim("disk/by-label/a\\x20b", "b8:1", 0),
            claim("disk/by-label/a\\x20b", "b8:2", -7),
            claim(&"l".repeat(245), "b8:1", 0),
        );
        let claims = [(&a, &b"/dev/sda1"[..]), (&b, b"/dev/sda2"), (&long, b"/dev/sda1")];
        let watched = ["b8:0", "b8:1"].map(|id| DeviceId::parse(id.as_bytes()).unwrap());
        write(run, claims, &watched).unwrap();
        let text = |path: &str| fs::read_link(run.join(path)).ok();
        let dir = r"links/disk\x2fby-label\x2fa\x5cx20b";
        for (path, expected) in [
            (&*format!("{dir}/b8:1"), Some("0:/dev/sda1")),
            (&format!("{dir}/b8:2"), Some("-7:/dev/sda2")),
            ("watch/b8:0", Some("1")),
            ("watch/1", Some("b8:0")),
            ("watch/b8:1", Some("2")),
            ("watch/2", Some("b8:1")),
            ("watch/7", None),
        ] {
            assert_eq!(text(path), expected.map(PathBuf::from), "{path}");
        }
        assert_eq!(fs::read_dir(run.join("links")).unwrap().count(), 1);
        clear(run).unwrap();
        assert_eq!(fs::read_dir(run).unwrap().count(), 0);
        clear(run).unwrap();
    }
}
