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

    /// The rules that a device manager has in the place of udev's own. Beside a udevd they are that one's business.
    pub fn standard_rule_dir(&self) -> PathBuf {
        self.usr_lib.join("nameplate/standard.d")
    }

    /// udev's own rule directories, strongest first.
    pub fn udev_rule_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("udev/rules.d")).into()
    }

    /// The configuration files' directories, strongest first.
    pub fn config_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("nameplate")).into()
    }

    /// udev's own configuration directories, strongest first.
    pub fn udev_config_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("udev")).into()
    }

    /// The top of the tree. Another directory than before when an initramfs has given way to the system.
    pub fn top(&self) -> PathBuf {
        self.etc.join("..")
    }

    /// The file that says that this is an initramfs.
    pub fn initramfs_mark(&self) -> PathBuf {
        self.etc.join("initrd-release")
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

    /// The directory for what is temporary and outlives a start of the machine: beside `/var/lib`.
    pub fn var_tmp(&self) -> PathBuf {
        self.var_lib.with_file_name("tmp")
    }

    /// The directories of `.link` files, strongest first.
    pub fn network_dirs(&self) -> [PathBuf; 4] {
        [&self.etc, &self.run, &self.usr_local_lib, &self.usr_lib].map(|d| d.join("systemd/network"))
    }

    /// Where a compiled hardware database may be, strongest first.
    pub fn hwdb_files(&self) -> Vec<PathBuf> {
        let dirs = [&self.etc, &self.usr_lib].map(|dir| [dir.join("systemd/hwdb"), dir.join("udev")]);
        dirs.into_iter().flatten().map(|dir| dir.join("hwdb.bin")).collect()
    }

    /// The directories of the hardware database's sources, strongest first.
    pub fn hwdb_source_dirs(&self) -> Vec<PathBuf> {
        [&self.etc, &self.usr_lib].map(|dir| dir.join("udev/hwdb.d")).into()
    }

    /// Where systemd-logind says which session is in front of each seat.
    pub fn seats(&self) -> PathBuf {
        self.run.join("systemd/seats")
    }

    /// The directory of the kernel's modules where it is not the running system's own.
    pub fn kernel_modules(&self) -> Option<PathBuf> {
        if *self == Self::system() {
            return None;
        }
        let release = std::fs::read_to_string(self.proc.join("sys/kernel/osrelease")).unwrap_or_default();
        Some(self.usr_lib.join("modules").join(release.trim()))
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
