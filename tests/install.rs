//! `contrib/install` into directories of its own: what it puts where, what it leaves alone, and that it takes all away again.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Target(tempfile::TempDir);

impl Target {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn install(&self, arguments: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/install"))
            .arg("--destdir")
            .arg(self.0.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    fn program(&self, arguments: &[&str]) -> bool {
        let both = [&["--binary", env!("CARGO_BIN_EXE_nameplate")], arguments].concat();
        self.install(&both).status.success()
    }

    /// Every file and link below it.
    fn files(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(self.0.path()).unwrap().to_str().unwrap().to_owned();
                    out.insert(name);
                }
            }
        }
        out
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_installed_works_and_goes_again() {
    let target = Target::new();
    fs::create_dir_all(target.path("usr/lib/udev/rules.d")).unwrap();
    fs::write(target.path("usr/lib/udev/rules.d/60-somebody.rules"), "").unwrap();
    assert!(target.program(&[]));
    let files = target.files();
    for name in [
        "usr/bin/nameplate",
        "usr/lib/nameplate/standard.d/60-persistent-storage.toml",
        "usr/lib/nameplate/standard.d/recordings/storage.umockdev",
        "usr/lib/systemd/system/nameplate.service",
        "usr/lib/systemd/system/nameplate-udevd.service",
        "usr/share/man/man1/nameplate-explain.1",
        "usr/share/man/man5/nameplate-rules.5",
        "usr/share/bash-completion/completions/nameplate",
        "usr/share/doc/nameplate/LICENSE-MIT",
    ] {
        assert!(files.contains(name), "{name}");
    }
    assert!(!files.contains("usr/bin/udevadm"));
    let rules = target.path("usr/lib/nameplate/standard.d");
    let check = Command::new(target.path("usr/bin/nameplate")).arg("check").arg(rules).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let shipped = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap();
    let shipped = shipped.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count();
    assert!(String::from_utf8_lossy(&check.stdout).contains(&format!("{shipped} files")), "{check:?}");
    // a second time nothing is otherwise
    assert!(target.program(&[]));
    assert_eq!(target.files(), files);
    assert!(target.install(&["--remove"]).status.success());
    assert_eq!(target.files(), BTreeSet::from(["usr/lib/udev/rules.d/60-somebody.rules".to_owned()]));
    assert!(target.path("etc/nameplate/rules.d").is_dir());
    let again = target.install(&["--remove"]);
    assert_eq!((again.status.code(), said(&again).contains("nothing is installed here")), (Some(1), true));
}

#[test]
fn udevs_names_lead_to_it_and_go_with_the_next_that_has_none() {
    let target = Target::new();
    assert!(target.program(&["--in-udevd-place"]));
    let version = Command::new(target.path("usr/bin/udevadm")).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    assert!(version.trim().parse::<u32>().is_ok(), "{version}");
    // a helper says who it is where there is nothing to say
    let helper = Command::new(target.path("usr/lib/udev/ata_id")).arg("/dev/null").output().unwrap();
    assert_eq!((helper.status.code(), said(&helper).starts_with("ata_id: ")), (Some(1), true), "{helper:?}");
    assert!(target.program(&[]));
    assert!(!target.files().iter().any(|name| name.contains("udevadm") || name.starts_with("usr/lib/udev")));
}

#[test]
fn other_inits_get_a_script_in_place_of_units() {
    for init in ["sysvinit", "openrc"] {
        let target = Target::new();
        let alone = target.install(&["--binary", env!("CARGO_BIN_EXE_nameplate"), "--init", init]);
        assert_eq!((alone.status.code(), said(&alone).contains("--in-udevd-place")), (Some(2), true));
        assert!(target.files().is_empty());
        assert!(target.program(&["--in-udevd-place", "--init", init]));
        let files = target.files();
        assert!(!files.iter().any(|name| name.starts_with("usr/lib/systemd")), "{files:?}");
        for name in [
            "etc/init.d/nameplate",
            "usr/share/initramfs-tools/hooks/udev",
            "usr/share/initramfs-tools/scripts/init-top/udev",
            "usr/share/initramfs-tools/scripts/init-bottom/udev",
        ] {
            let mode = fs::metadata(target.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{name}");
        }
        // initramfs-tools(7): each script says what it comes after
        let hook = target.path("usr/share/initramfs-tools/scripts/init-top/udev");
        let asked = Command::new(hook).arg("prereqs").output().unwrap();
        assert_eq!((asked.status.success(), asked.stdout.as_slice()), (true, &b"\n"[..]));
    }
}

#[test]
fn what_others_put_there_stays() {
    let target = Target::new();
    fs::create_dir_all(target.path("usr/lib/udev")).unwrap();
    fs::write(target.path("usr/lib/udev/scsi_id"), "another's").unwrap();
    fs::create_dir_all(target.path("usr/bin")).unwrap();
    symlink("systemctl", target.path("usr/bin/udevadm")).unwrap();
    let before = target.files();
    let both = ["--binary", env!("CARGO_BIN_EXE_nameplate"), "--in-udevd-place"];
    let refused = target.install(&both);
    assert_eq!(refused.status.code(), Some(1));
    for name in ["usr/lib/udev/scsi_id", "usr/bin/udevadm"] {
        assert!(said(&refused).contains(target.path(name).to_str().unwrap()), "{}", said(&refused));
    }
    assert_eq!(target.files(), before);
}

#[test]
fn wrong_words_say_what_is_right() {
    let target = Target::new();
    let wrong = target.install(&["--force"]);
    assert_eq!((wrong.status.code(), said(&wrong).contains("usage: contrib/install")), (Some(2), true));
    let unknown = target.install(&["--init", "launchd"]);
    assert_eq!((unknown.status.code(), said(&unknown).contains("usage: contrib/install")), (Some(2), true));
    let missing = target.install(&["--binary", "/nowhere/nameplate"]);
    assert_eq!((missing.status.code(), said(&missing).contains("cargo build --release")), (Some(1), true));
    assert!(target.files().is_empty());
}
