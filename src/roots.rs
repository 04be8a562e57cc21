//! Owns where the system's directories are. The only file that spells absolute system paths.
//!
//! Everything that reads or writes below `/sys`, `/dev`, `/run`, `/etc`, `/usr/lib`, `/var/lib` or `/proc` takes the
//! directory from a [`Roots`], so that a test or `--root` can put another tree in its place.

use std::path::{Path, PathBuf};

/// The directories of one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`: where nodes are, and what link names are relative to.
    pub dev: PathBuf,
    /// `/run`.
    pub run: PathBuf,
    /// `/etc`.
    pub etc: PathBuf,
    /// `/usr/lib`.
    pub usr_lib: PathBuf,
    /// `/usr/local/lib`.
    pub usr_local_lib: PathBuf,
    /// `/var/lib`.
    pub var_lib: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Roots {
    /// The running system.
    pub fn system() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same directories below `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            run: root.join("run"),
            etc: root.join("etc"),
            usr_lib: root.join("usr/lib"),
            usr_local_lib: root.join("usr/local/lib"),
            var_lib: root.join("var/lib"),
            proc: root.join("proc"),
        }
    }

    /// The daemon's own directory for what is lost at power-off: records, claims, the control socket.
    pub fn run_nameplate(&self) -> PathBuf {
        self.run.join("nameplate")
    }

    /// The database of the device manager, as libudev programs read it: records, tags, the queue's file, the control socket.
    pub fn run_udev(&self) -> PathBuf {
        self.run.join("udev")
    }

    /// The directory for what has to outlive a power-off: the numbers given by `index`.
    pub fn state(&self) -> PathBuf {
        self.var_lib.join("nameplate")
    }

    /// The rule directories of nameplate, strongest first.
    pub fn rule_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("nameplate/rules.d")).into()
    }

    /// udev's own rule directories, strongest first.
    pub fn udev_rule_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("udev/rules.d")).into()
    }

    /// The configuration files' directories, strongest first.
    pub fn config_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("nameplate")).into()
    }

    /// Where the systemd journal listens.
    pub fn journal_socket(&self) -> PathBuf {
        self.run.join("systemd/journal/socket")
    }

    /// The control socket of systemd-udevd: when it answers, a udevd runs.
    pub fn udevd_control(&self) -> PathBuf {
        self.run_udev().join("control")
    }

    /// The control socket of systemd-udevd from version 258 on.
    pub fn udevd_varlink(&self) -> PathBuf {
        self.run_udev().join("io.systemd.Udev")
    }

    /// Relative program names of rules are looked up here.
    pub fn helper_dir(&self) -> PathBuf {
        self.usr_lib.join("udev")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_directory() {
        let roots = Roots::below(Path::new("/tmp/x"));
        assert_eq!(roots.sys, Path::new("/tmp/x/sys"));
        assert_eq!(roots.rule_dirs()[3], Path::new("/tmp/x/usr/lib/nameplate/rules.d"));
        let udev = Roots::system().udev_rule_dirs();
        let expected =
            ["/etc", "/run", "/usr/local/lib", "/usr/lib"].map(|dir| Path::new(dir).join("udev/rules.d"));
        assert_eq!(udev, expected);
        assert_eq!(Roots::system().run_nameplate(), Path::new("/run/nameplate"));
    }
}
