//! Owns asking udev's helper program and ours of the same name, telling what differs, and odd numbers and texts to answer them with.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::drive::{Drive, Said, no_drives, run};
use crate::common::skip;

/// Facts that udev's programs say from version 253 on.
const LATER: [&str; 2] = ["ID_ATA_READ_LOOKAHEAD", "ID_ATA_PERIPHERAL_DEVICE_TYPE"];

/// The programs of one name: udev's, and ours called by it.
pub(crate) struct Pair {
    _dir: tempfile::TempDir,
    pub(crate) ours: String,
    pub(crate) its: String,
    pub(crate) is_old: bool,
}

impl Pair {
    /// `None`: they can't be compared here, which is said. Udev's are those of this machine, or of the directory that
    /// `NAMEPLATE_HELPERS` names, which are of a version from 253 on.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if let Some(why) = no_drives() {
            skip(why);
            return None;
        }
        let others = std::env::var("NAMEPLATE_HELPERS");
        let its = format!("{}/{name}", others.as_deref().unwrap_or("/usr/lib/udev"));
        let version = Command::new("udevadm").arg("--version").output();
        let (Ok(version), true) = (version, std::path::Path::new(&its).exists()) else {
            skip("no helper of udev's to compare with");
            return None;
        };
        let version = String::from_utf8_lossy(&version.stdout).trim().parse().unwrap_or(0);
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join(name);
        symlink(env!("CARGO_BIN_EXE_nameplate"), &ours).unwrap();
        Some(Self {
            ours: ours.to_str().unwrap().into(),
            its,
            is_old: others.is_err() && version < 253,
            _dir: dir,
        })
    }

    /// Lines, without what this version of udev's does not say.
    fn lines<'s>(&self, said: &'s Said) -> Vec<&'s str> {
        let is_later = |line: &&str| self.is_old && LATER.iter().any(|key| line.starts_with(key));
        said.stdout.lines().filter(|line| !is_later(line)).collect()
    }

    /// Both answers, in words, where they differ in what is printed or in being an answer at all; and ours.
    pub(crate) fn differ(&self, arguments: &[&str], drive: &Drive<'_>) -> (Said, Option<String>) {
        let (ours, its) = (run(&self.ours, arguments, drive), run(&self.its, arguments, drive));
        if its.code.is_none() {
            // some answers kill udev's
            assert!(ours.code.is_some(), "{arguments:?}: {ours:?}");
            return (ours, None);
        }
        let same = self.lines(&ours) == self.lines(&its) && (ours.code == Some(0)) == (its.code == Some(0));
        let text = (!same).then(|| {
            let only = |a: &Said, b: &Said| {
                let b = self.lines(b);
                self.lines(a).into_iter().filter(|line| !b.contains(line)).collect::<Vec<_>>().join(" ")
            };
            let said = |of: &Said, other: &Said| {
                format!("{:?} {} {:?} {:?}", of.code, only(of, other), of.stderr.trim(), of.stdout)
            };
            format!("{arguments:?}\n  ours {}\n  its  {}", said(&ours, &its), said(&its, &ours))
        });
        (ours, text)
    }
}

/// Differences of many rounds, told together.
#[derive(Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    pub(crate) fn add(&mut self, what: String, found: (Said, Option<String>)) -> Said {
        self.0.extend(found.1.map(|text| format!("{what}: {text}")));
        found.0
    }

    pub(crate) fn none(self) {
        let some = self.0.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert_eq!(self.0.len(), 0, "{some}");
    }
}
