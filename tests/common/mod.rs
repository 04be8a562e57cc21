//! What the integration tests share: saying that a test can't run here.
//!
//! Each test program takes the parts it needs, so an unused part is no mistake.
#![cfg(test)]
#![allow(dead_code, unused_imports)]

#[path = "skip.rs"]
mod skipping;

pub(crate) use self::skipping::skip;

/// Why no mount namespace can be had here in which mounts stay inside, if so. Below a plain `chroot` the root directory is no
/// mount point, so that nothing can be said about how its mounts spread.
pub(crate) fn no_private_mounts() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("a mount namespace needs root");
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the list of mounts");
    // the fifth field is the place, as this process sees it
    let rooted = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"));
    (!rooted).then_some(
        "the root directory is no mount point (a plain chroot): `mount --bind DIR DIR` before it helps",
    )
}
