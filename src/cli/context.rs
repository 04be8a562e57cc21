//! Owns the options common to all verbs, and what they come to: directories, configuration, form of the output.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Failure;
use super::output::Style;
use crate::config;
use crate::daemon::control::protocol::Mode;
use crate::daemon::control::socket_path;
use crate::daemon::mode;
use crate::roots::Roots;

/// The common options as typed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Take /sys, /dev, /run, /etc, /usr/lib, /var/lib and /proc from below DIR
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Read the rules of DIR in place of the standard directories (may be given again: strongest first)
    #[arg(long, global = true, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// Put (and look for) links below DIR in place of /dev; the daemon of that DIR is the one to talk to
    #[arg(long, global = true, value_name = "DIR")]
    pub link_dir: Option<PathBuf>,
    /// Read this configuration file in place of the standard ones
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What every verb needs to know.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where the system's directories are.
    pub roots: Roots,
    /// The user's own rule directories, in place of the standard ones.
    pub own_rule_dirs: Option<Vec<PathBuf>>,
    /// The directory of links where it is not `/dev`.
    pub own_link_dir: Option<PathBuf>,
    /// Where the configuration comes from.
    pub config_source: config::Source,
    /// The configuration.
    pub config: config::Loaded,
    /// Print JSON.
    pub json: bool,
    /// How text looks.
    pub style: Style,
}

impl Context {
    /// What the options come to. Paths are made absolute: the daemon does not stay where it was started.
    pub fn new(common: Common) -> Result<Self, Failure> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).map_err(|source| Failure::File { path: path.clone(), source })
        };
        let roots = match &common.root {
            Some(root) => Roots::below(&absolute(root)?),
            None => Roots::system(),
        };
        let config_source = match &common.config {
            Some(file) => config::Source::File(readable(absolute(file)?)?),
            None => config::Source::Standard(roots.clone()),
        };
        let config = config_source.read();
        let own_rule_dirs = match &common.rules[..] {
            [] => None,
            dirs => Some(dirs.iter().map(absolute).collect::<Result<_, _>>()?),
        };
        let own_link_dir = match &common.link_dir {
            Some(dir) => Some(absolute(dir)?),
            None => config.config.link_dir.clone(),
        };
        Ok(Self {
            own_rule_dirs,
            own_link_dir,
            config_source,
            config,
            json: common.json,
            style: Style::of_stdout(),
            roots,
        })
    }

    /// How a daemon of this configuration stands to udevd, now.
    pub fn mode(&self) -> Mode {
        mode::choose(self.config.config.mode, &self.roots)
    }

    /// The rule directories in a mode, strongest first: the user's own, or the standard ones. The device manager reads
    /// those that stand in for udev's, and udev's, too; beside a udevd they are that one's business.
    pub fn rule_dirs(&self, mode: Mode) -> Vec<PathBuf> {
        if let Some(own) = &self.own_rule_dirs {
            return own.clone();
        }
        let managing = match mode {
            Mode::Standalone => [vec![self.roots.standard_rule_dir()], self.roots.udev_rule_dirs()].concat(),
            Mode::Companion => Vec::new(),
        };
        self.config.config.rules.iter().cloned().chain(self.roots.rule_dirs()).chain(managing).collect()
    }

    /// The rule directories that the looking verbs read: what a daemon would, behind some that are stronger.
    pub fn rules_to_look_at(&self, extra: &[PathBuf]) -> Vec<PathBuf> {
        extra.iter().cloned().chain(self.rule_dirs(self.mode())).collect()
    }

    /// Where links are.
    pub fn link_dir(&self) -> &Path {
        self.own_link_dir.as_deref().unwrap_or(&self.roots.dev)
    }

    /// Where the records of devices are: the device manager's database, or what the daemon keeps beside another one.
    pub fn record_dir(&self) -> PathBuf {
        let is_manager = self.own_link_dir.is_none() && self.mode() == Mode::Standalone;
        if is_manager { self.roots.run_udev().join("data") } else { self.run_dir().join("data") }
    }

    /// The daemon's directory for what is lost at power-off. With a link directory of the user's own it is in there, so
    /// that a daemon needs no right to any other directory, and who gives the same `--link-dir` finds it.
    pub fn run_dir(&self) -> PathBuf {
        match &self.own_link_dir {
            Some(dir) => dir.join(".nameplate"),
            None => self.roots.run_nameplate(),
        }
    }

    /// The directory for what has to outlive a power-off: the numbers of `index`. With a link directory of the user's own
    /// it is in there too.
    pub fn state_dir(&self) -> PathBuf {
        match &self.own_link_dir {
            Some(dir) => dir.join(".nameplate/state"),
            None => self.roots.state(),
        }
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        socket_path(&self.run_dir())
    }
}

/// A file that was asked for by name has to be there.
fn readable(path: PathBuf) -> Result<PathBuf, Failure> {
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(source) => Err(Failure::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_daemon_is() {
        let of = |root: Option<&str>, link_dir: Option<&str>| {
            let common = Common {
                root: root.map(Into::into),
                link_dir: link_dir.map(Into::into),
                ..Common::default()
            };
            Context::new(common).unwrap()
        };
        for (root, link_dir, socket, links) in [
            (None, None, "/run/nameplate/io.nameplate.Manager", "/dev"),
            (Some("/t"), None, "/t/run/nameplate/io.nameplate.Manager", "/t/dev"),
            (None, Some("/home/a/dev"), "/home/a/dev/.nameplate/io.nameplate.Manager", "/home/a/dev"),
            (Some("/t"), Some("/l"), "/l/.nameplate/io.nameplate.Manager", "/l"),
        ] {
            let context = of(root, link_dir);
            assert_eq!(context.control_socket(), Path::new(socket));
            assert_eq!(context.link_dir(), Path::new(links));
        }
    }

    #[test]
    fn rules_of_the_users_own_replace_the_standard_ones() {
        let common = Common { rules: vec!["/a".into(), "/b".into()], ..Common::default() };
        let context = Context::new(common).unwrap();
        for mode in [Mode::Standalone, Mode::Companion] {
            assert_eq!(context.rule_dirs(mode), [Path::new("/a"), Path::new("/b")]);
        }
        assert_eq!(context.rules_to_look_at(&["/c".into()])[..2], [Path::new("/c"), Path::new("/a")]);
        let common = Common { root: Some("/nowhere".into()), ..Common::default() };
        let context = Context::new(common).unwrap();
        let roots = Roots::below(Path::new("/nowhere"));
        assert_eq!(context.rule_dirs(Mode::Companion), roots.rule_dirs());
        let standard = vec!["/nowhere/usr/lib/nameplate/standard.d".into()];
        let all = [roots.rule_dirs(), standard, roots.udev_rule_dirs()].concat();
        assert_eq!(context.rule_dirs(Mode::Standalone), all);
        assert_eq!(context.mode(), Mode::Standalone, "no udevd answers there");
    }
}
