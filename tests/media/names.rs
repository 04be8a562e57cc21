//! The daemon and media: names by label for what is there and for what comes, also after its probes were killed.

use std::fs;

use super::disk::{Image, has, no_disks};
use crate::common::skip;
use crate::daemon::World;

const RULES: &str = "[[rule]]\nmatch = { subsystem = \"block\", kernel = \"loop*\" }\nimport = { builtin = \"blkid\" }\n\
    [[rule]]\nmatch = { subsystem = \"block\", kernel = \"loop*\", property.ID_FS_LABEL = \"npmedia*\" }\n\
    link = \"label/$env{ID_FS_LABEL}\"\n";

/// The processes that a process has started and that are probes.
fn probes_of(pid: u32) -> Vec<i32> {
    let mut out = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        out.extend(text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    let is_probe = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with("nameplate\0probe\0"))
    };
    out.retain(is_probe);
    out
}

#[test]
fn disks_get_their_labels_names() {
    if let Some(why) = no_disks() {
        return skip(why);
    }
    if !has("mkfs.ext4") {
        return skip("no mkfs.ext4");
    }
    let image = |label: &str| Image::new(4 << 20).by(&format!("mkfs.ext4 -q -L {label} IMAGE"));
    let first = image("npmedia1").attach();
    let daemon = World::new(&[("50-media.toml", RULES)]).start();
    let node = |label: &str| daemon.links().get(&format!("label/{label}")).cloned();
    assert_eq!(node("npmedia1"), Some(format!("/dev/{}", first.name)), "there at the start");

    let probes = probes_of(daemon.pid());
    assert!(!probes.is_empty(), "media are read by another process");
    for pid in probes {
        let _gone =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let second = image("npmedia2").attach();
    daemon.settle();
    assert_eq!(node("npmedia2"), Some(format!("/dev/{}", second.name)), "came after its probe was killed");
    assert!(node("npmedia1").is_some());
    drop(first);
    // whoever has it open at this moment keeps it for as long
    crate::daemon::eventually("the medium has gone", || node("npmedia1").is_none().then_some(()));
    assert!(node("npmedia2").is_some());

    // probes that die again and again leave nothing behind
    let open = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let again = || {
        for pid in probes_of(daemon.pid()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSEGV);
        }
        fs::write(format!("/sys/class/block/{}/uevent", second.name), "change").unwrap();
        daemon.settle();
    };
    again();
    let before = open();
    (0..12).for_each(|_| again());
    crate::daemon::eventually("no descriptor is left", || (open() <= before + 3).then_some(()));
    let left: Vec<i32> = probes_of(daemon.pid());
    assert!(left.len() <= 12, "{left:?}");
    assert_eq!(node("npmedia2"), Some(format!("/dev/{}", second.name)));
}
