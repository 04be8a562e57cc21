//! The real daemon as a child: started in a directory of its own, asked through the real command line, stopped when dropped.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long a test waits for something that should come at once. Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(900);

/// A running daemon with links below a directory of its own.
pub(crate) struct Daemon {
    child: Child,
    world: World,
}

/// The directories that a daemon works in; they outlive it.
pub(crate) struct World {
    dir: tempfile::TempDir,
    options: Vec<String>,
    /// The root of a system of its own, where the daemon is to be its device manager.
    root: Option<PathBuf>,
    /// The program, and who runs it where that is not the tests' own user.
    program: PathBuf,
    user: Option<u32>,
    /// Who runs it is root of a user namespace of his own.
    own_root: bool,
    /// A process in whose namespaces everything runs, with the directories that it sees.
    inside: Option<u32>,
}

impl World {
    /// A directory with these rule files.
    pub(crate) fn new(rules: &[(&str, &str)]) -> Self {
        let world = Self::empty();
        fs::create_dir(world.rules()).expect("rule directory");
        fs::create_dir(world.links_dir()).expect("link directory");
        for (name, text) in rules {
            world.write_rule(name, text);
        }
        world
    }

    fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().expect("temporary directory"),
            options: Vec::new(),
            root: None,
            program: env!("CARGO_BIN_EXE_nameplate").into(),
            user: None,
            own_root: false,
            inside: None,
        }
    }

    /// The daemon is the device manager of a system below a directory: this machine's devices, and `/dev`, `/run`, `/etc`
    /// and `/var` of its own. There are no nodes in that `/dev`.
    #[must_use]
    pub(crate) fn standalone(mut self) -> Self {
        let root = self.path("root");
        fs::create_dir_all(root.join("dev")).expect("device directory");
        std::os::unix::fs::symlink("/sys", root.join("sys")).expect("sys");
        std::os::unix::fs::symlink("/proc", root.join("proc")).expect("proc");
        self.root = Some(root);
        self
    }

    /// Everything is run by another user, to whom the directories belong. The program is copied there: the build
    /// directory may be closed to others.
    #[must_use]
    pub(crate) fn run_by(mut self, user: u32) -> Self {
        let program = self.path("nameplate");
        fs::copy(&self.program, &program).expect("a copy of the program");
        for path in [self.dir.path(), &self.rules(), &self.links_dir()] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).expect("chown");
        }
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        self.program = program;
        self.user = Some(user);
        self
    }

    /// Everything runs in a user namespace each in which that user is root.
    #[must_use]
    #[allow(dead_code)] // not every test program has namespaces
    pub(crate) fn below_its_own_root(mut self) -> Self {
        self.own_root = true;
        self
    }

    /// Everything runs in the mount and network namespaces of that process, on the system's own directories there.
    #[must_use]
    #[allow(dead_code)] // not every test program has namespaces
    pub(crate) fn inside(mut self, process: u32) -> Self {
        self.inside = Some(process);
        self
    }

    /// A configuration file that the daemon is started with.
    #[must_use]
    pub(crate) fn config(mut self, text: &str) -> Self {
        let path = self.dir.path().join("nameplate.toml");
        fs::write(&path, text).expect("configuration");
        self.options = vec!["--config".into(), path.to_string_lossy().into_owned()];
        self
    }

    /// Where rule files are.
    pub(crate) fn rules(&self) -> PathBuf {
        self.dir.path().join("rules.d")
    }

    /// Where links are made.
    pub(crate) fn links_dir(&self) -> PathBuf {
        if let Some(process) = self.inside {
            return format!("/proc/{process}/root/dev").into();
        }
        self.root.as_ref().map_or_else(|| self.dir.path().join("dev"), |root| root.join("dev"))
    }

    /// Any other path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a rule file whole: beside it first, then renamed.
    pub(crate) fn write_rule(&self, name: &str, text: &str) {
        let beside = self.dir.path().join(name);
        fs::write(&beside, text).expect("rule file");
        fs::rename(&beside, self.rules().join(name)).expect("rule file");
    }

    /// All links below the link directory with their targets.
    pub(crate) fn links(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(&self.links_dir(), "", &mut found);
        found
    }

    /// A command line on this world.
    pub(crate) fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = match self.inside {
            Some(process) => {
                let mut command = Command::new("nsenter");
                command.args(["--mount", "--net", "--target", &process.to_string(), "--"]).arg(&self.program);
                command
            }
            None if self.own_root => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-root-user"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.arg(verb).arg("--rules").arg(self.rules());
        match (&self.root, self.inside) {
            (Some(root), _) => command.arg("--root").arg(root),
            (None, None) => command.arg("--link-dir").arg(self.links_dir()),
            (None, Some(_)) => &mut command,
        };
        command.args(&self.options).args(arguments).env("NO_COLOR", "1");
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).stdin(Stdio::null()).output().expect("nameplate")
    }

    /// Runs a verb that has to succeed; its output.
    pub(crate) fn ask(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.run(verb, arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "nameplate {verb} {arguments:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// Runs a verb with `--json`; the object.
    pub(crate) fn json(&self, verb: &str, arguments: &[&str]) -> serde_json::Value {
        let text = self.ask(verb, &[&["--json"], arguments].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{verb}: {e} in {text}"))
    }

    /// Waits until the daemon has handled every event that there has been.
    pub(crate) fn settle(&self) {
        self.ask("settle", &["--timeout", "900"]);
    }

    /// Starts a daemon and waits until it says that it is ready.
    pub(crate) fn start(self) -> Daemon {
        let socket = self.dir.path().join("notify");
        let _old = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).expect("notification socket");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("chmod");
        notify.set_read_timeout(Some(PATIENCE)).expect("time-out");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("log");
        let child = as_service(self.command("daemon", &[]), self.user)
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nameplate daemon");
        let daemon = Daemon { child, world: self };
        daemon.wait_ready(&notify);
        daemon
    }
}

/// The command as a service manager starts it: its own process is named in the environment.
fn as_service(command: Command, user: Option<u32>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "SYSTEMD_EXEC_PID=$$ exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env("INVOCATION_ID", "0").envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(user) = user {
        shell.uid(user).gid(user);
    }
    shell
}

impl Daemon {
    fn wait_ready(&self, notify: &UnixDatagram) {
        let mut buffer = [0; 4096];
        loop {
            match notify.recv(&mut buffer) {
                Ok(len) if String::from_utf8_lossy(&buffer[..len]).lines().any(|l| l == "READY=1") => return,
                Ok(_) => {}
                // a socket that waits with a limit is not waited for again by itself
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the daemon did not get ready: {error}\n{}", self.log()),
            }
        }
    }

    /// What the daemon wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.world.path("log")).unwrap_or_default()
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the daemon without a word; its directories remain.
    pub(crate) fn kill(mut self) -> World {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        self.take_world()
    }

    /// Asks the daemon to stop and waits for it; its directories remain.
    pub(crate) fn stop(mut self) -> World {
        self.terminate();
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "the daemon ended with {status}\n{}", self.log());
        self.take_world()
    }

    fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }

    fn take_world(&mut self) -> World {
        std::mem::replace(&mut self.world, World::empty())
    }
}

impl std::ops::Deref for Daemon {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _status = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the daemon ---\n{}", self.log());
        }
    }
}

fn collect(dir: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            // the daemon's own state is not a link
            Ok(kind) if kind.is_dir() && name != ".nameplate" => {
                collect(&entry.path(), &format!("{name}/"), found)
            }
            Ok(kind) if kind.is_symlink() => {
                let target = fs::read_link(entry.path()).map(|t| t.to_string_lossy().into_owned());
                found.insert(name, target.unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// Waits until `done` gives something. For what has no barrier of its own (a process that ends, a file watch).
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
