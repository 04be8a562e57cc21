//! Owns running a program to its end: no shell, its own process group, output drained, a deadline, never a zombie.
//!
//! Standard output is kept up to a limit and standard error's end is kept; both are read all the time, so that a program
//! that prints much is never held up. After the deadline the whole group is killed. A process that the program leaves
//! behind keeps nobody waiting: once the program itself has ended its output is read for a short grace only.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bstr::BString;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, killpg};
use nix::unistd::Pid;

/// How much of standard output is kept.
pub const STDOUT_MAX: usize = 16 << 10;
/// How much of the end of standard error is kept.
pub const STDERR_MAX: usize = 4 << 10;
/// How long output is read after the program has ended, if others hold its pipes.
const GRACE: Duration = Duration::from_millis(100);
/// How long a killed program may take to die before another thread waits for it.
const DYING: Duration = Duration::from_secs(1);
/// How often a kernel without pidfds (before 5.3) is asked whether the program has ended.
const TICK: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It left with this status; 0 is success.
    Exited(i32),
    /// A signal of this number ended it.
    Signalled(i32),
    /// It ran beyond the deadline and was killed.
    TimedOut,
    /// It could not be started.
    NotStarted(Errno),
    /// It ran, but how it ended is not known.
    Lost(Errno),
}

/// How a program ended and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Standard output, at most [`STDOUT_MAX`] bytes.
    pub stdout: BString,
    /// There was more.
    pub truncated: bool,
    /// The last [`STDERR_MAX`] bytes of standard error.
    pub stderr: BString,
}

impl Finished {
    /// True for exit status 0.
    pub fn success(&self) -> bool {
        self.end == End::Exited(0)
    }

    fn not_started(errno: Errno) -> Self {
        Self {
            end: End::NotStarted(errno),
            stdout: BString::default(),
            truncated: false,
            stderr: BString::default(),
        }
    }
}

/// Runs the program `argv`, a relative one from `helpers`, with exactly the environment `env` and an empty standard
/// input, and waits for its end, at most for `timeout`.
pub fn run<'e>(
    argv: &[BString],
    env: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
    helpers: &Path,
    timeout: Duration,
) -> Finished {
    let Some((program, args)) = argv.split_first() else { return Finished::not_started(Errno::EINVAL) };
    let program = path_of(program, helpers);
    run_named(&program, program.as_os_str(), args, env, timeout)
}

/// As [`run`], but what is run is the file `program` and it is told that it was called by `name`.
pub fn run_named<'e>(
    program: &Path,
    name: &OsStr,
    args: &[BString],
    env: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
    timeout: Duration,
) -> Finished {
    let started = Instant::now();
    let spawned = Command::new(program)
        .arg0(name)
        .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
        .env_clear()
        .envs(env.into_iter().map(|(key, value)| (OsStr::from_bytes(key), OsStr::from_bytes(value))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    match spawned {
        Ok(child) => Running::new(child, started.checked_add(timeout)).finish(),
        Err(error) => Finished::not_started(errno_of(&error)),
    }
}

/// Where `program` is: below `helpers` unless it is absolute.
fn path_of(program: &[u8], helpers: &Path) -> PathBuf {
    helpers.join(OsStr::from_bytes(program))
}

fn errno_of(error: &io::Error) -> Errno {
    // no number: std refused a NUL in an argument
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// One of the program's pipes; `None` when it has ended.
#[derive(Debug)]
struct Pipe<R> {
    from: Option<R>,
    kept: Vec<u8>,
    truncated: bool,
    keep: Keep,
}

#[derive(Debug, Clone, Copy)]
enum Keep {
    First(usize),
    Last(usize),
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(from: Option<R>, keep: Keep) -> Self {
        if let Some(from) = &from {
            // without it a read after a wrong wake-up could wait; the program's own end is not touched
            let _as_it_is = fcntl(from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        Self { from, kept: Vec::new(), truncated: false, keep }
    }

    /// Reads once.
    fn drain(&mut self) {
        let Some(from) = &mut self.from else { return };
        let mut buffer = [0; 16 << 10];
        match from.read(&mut buffer) {
            Ok(0) => self.from = None,
            Ok(n) => self.keep(buffer.get(..n).unwrap_or_default()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.from = None,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        match self.keep {
            Keep::First(limit) => {
                let room = limit.saturating_sub(self.kept.len()).min(bytes.len());
                self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
                self.truncated |= room < bytes.len();
            }
            Keep::Last(limit) => {
                self.kept.extend_from_slice(bytes);
                let over = self.kept.len().saturating_sub(limit);
                self.kept.drain(..over);
                self.truncated |= over > 0;
            }
        }
    }
}

/// A program that runs.
#[derive(Debug)]
struct Running {
    child: Child,
    /// Readable when the program has ended; `None` where the kernel has no such thing.
    pidfd: Option<OwnedFd>,
    stdout: Pipe<std::process::ChildStdout>,
    stderr: Pipe<std::process::ChildStderr>,
    /// `None`: never.
    deadline: Option<Instant>,
}

impl Running {
    fn new(mut child: Child, deadline: Option<Instant>) -> Self {
        let pidfd = open_pidfd(child.id()).ok();
        let stdout = Pipe::new(child.stdout.take(), Keep::First(STDOUT_MAX));
        let stderr = Pipe::new(child.stderr.take(), Keep::Last(STDERR_MAX));
        Self { child, pidfd, stdout, stderr, deadline }
    }

    fn finish(mut self) -> Finished {
        let end = self.wait();
        Finished {
            end,
            stdout: self.stdout.kept.into(),
            truncated: self.stdout.truncated,
            stderr: self.stderr.kept.into(),
        }
    }

    /// Reads and waits until the program has ended and its pipes too, or the time is over.
    fn wait(&mut self) -> End {
        let mut end = None;
        let mut until = self.deadline;
        loop {
            if end.is_none() {
                end = match self.child.try_wait() {
                    Ok(status) => status.map(end_of),
                    Err(error) => Some(End::Lost(errno_of(&error))),
                };
                if end.is_some() {
                    let grace = Instant::now() + GRACE;
                    until = Some(until.map_or(grace, |deadline| deadline.min(grace)));
                }
            }
            let open = self.stdout.from.is_some() || self.stderr.from.is_some();
            let over = until.is_some_and(|until| until <= Instant::now());
            match end {
                Some(end) if !open || over => {
                    self.last_of_the_pipes();
                    return end;
                }
                None if over => return self.kill(),
                ended => self.poll(ended.is_none(), until),
            }
        }
    }

    /// Waits for output or, if the program `runs`, its end, at most `until`; then reads what there is.
    fn poll(&mut self, runs: bool, until: Option<Instant>) {
        let mut wait = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if runs && self.pidfd.is_none() {
            wait = wait.min(TICK);
        }
        let pidfd = self.pidfd.as_ref().filter(|_| runs).map(AsFd::as_fd);
        let stdout = self.stdout.from.as_ref().map(AsFd::as_fd);
        let stderr = self.stderr.from.as_ref().map(AsFd::as_fd);
        let mut fds: Vec<PollFd<'_>> = [stdout, stderr, pidfd]
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // whatever poll says, the pipes are read without waiting and the caller looks at the clock again
        let _ready = poll(&mut fds, poll_timeout(wait));
        self.stdout.drain();
        self.stderr.drain();
    }

    /// What a program wrote just before it ended is in the pipes even when time is over.
    fn last_of_the_pipes(&mut self) {
        // as often as a full pipe of 64 KiB takes, and no more: somebody may go on writing
        for _ in 0..8 {
            self.stdout.drain();
            self.stderr.drain();
        }
    }

    fn kill(&mut self) -> End {
        // not waited for yet, so that its number and its group's are still its own
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        for signal in [Signal::SIGKILL, Signal::SIGCONT] {
            let _gone_already = killpg(group, signal);
        }
        // it may have left its group
        let _gone_already = self.child.kill();
        self.last_of_the_pipes();
        let until = Instant::now() + DYING;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => self.wait_for_death(until),
                Ok(Some(_)) | Err(_) => return End::TimedOut,
            }
        }
        self.reap_later();
        End::TimedOut
    }

    fn wait_for_death(&self, until: Instant) {
        let wait = until.saturating_duration_since(Instant::now());
        match &self.pidfd {
            Some(pidfd) => {
                let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
                let _ready = poll(&mut fds, poll_timeout(wait));
            }
            None => std::thread::sleep(wait.min(TICK)),
        }
    }

    /// A program that hangs in the kernel can't die yet: another thread takes its end, so that no zombie stays.
    fn reap_later(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        std::thread::spawn(move || while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {});
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Lost(Errno::UnknownErrno),
    }
}

/// Rounded up, so that the time is over when poll returns.
fn poll_timeout(wait: Duration) -> PollTimeout {
    let wait = wait.min(Duration::from_secs(3600)) + Duration::from_millis(1);
    PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
}

/// The running program, also after its file was replaced or removed.
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Makes every descriptor that this process was started with close when a program is run (0, 1 and 2 stay). To be called
/// once at start; all that is opened later closes by itself. Before Linux 5.11: `EINVAL` or `ENOSYS`, nothing done.
pub fn close_inherited_on_exec() -> Result<(), Errno> {
    // SAFETY: takes three integers and touches no memory; the flag closes nothing in this process
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// Signals that whoever started this process had it ignore mean again what they usually mean, for the programs that it runs.
/// To be called once at start, before any handler is installed.
pub fn heed_inherited_signals() {
    // std has handlers of its own for the first two; it ignores the third, and gives it back to the programs it starts
    let left = [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGPIPE, Signal::SIGKILL, Signal::SIGSTOP];
    for signal in Signal::iterator().filter(|signal| !left.contains(signal)) {
        // SAFETY: the usual action runs no code of this process
        let _known = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
    }
}

/// Has the program that `command` starts get `signal` when the thread that starts it ends first.
pub fn end_with_us(command: &mut Command, signal: Signal) {
    let parent = Pid::this();
    let arm = move || {
        prctl::set_pdeathsig(signal)?;
        // who has ended already sends no signal any more
        if Pid::parent() == parent { Ok(()) } else { Err(Errno::ECHILD.into()) }
    };
    // SAFETY: the closure runs between fork and exec; it calls prctl(2) and getppid(2) and allocates nothing
    unsafe { command.pre_exec(arm) };
}

/// Ends this process as a writer to a pipe ends that nobody reads, which is what programs are used to.
pub fn end_by_sigpipe() {
    // SAFETY: the usual action runs no code of this process
    let _known = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let _ended = nix::sys::signal::raise(Signal::SIGPIPE);
}

/// A process that is meant even when its number is another's by now: pidfd_open(2).
#[derive(Debug)]
pub struct Held(OwnedFd);

impl Held {
    /// The process of that number. Error: `ESRCH` if there is none, `ENOSYS` before Linux 5.3.
    pub fn of(pid: u32) -> Result<Self, Errno> {
        open_pidfd(pid).map(Self)
    }

    /// Kills it with `SIGKILL`. Error: `ESRCH` if it has ended, `EPERM` if it is not this user's.
    pub fn kill(&self) -> Result<(), Errno> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, and the kernel reads nothing through a null pointer
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, none, 0) };
        Errno::result(result).map(drop)
    }
}

fn open_pidfd(pid: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes two integers and touches no memory
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the call has just opened this descriptor (close-on-exec) and nobody else knows it
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    const LONG: Duration = Duration::from_secs(60);

    fn sh_for(script: &str, timeout: Duration) -> Finished {
        let argv = ["/bin/sh", "-c", script].map(BString::from);
        run(&argv, [(&b"PATH"[..], &b"/usr/bin:/bin"[..])], Path::new("/nonexistent"), timeout)
    }

    fn sh(script: &str) -> Finished {
        sh_for(script, LONG)
    }

    #[test]
    fn programs_heed_every_signal() {
        // SAFETY: ignoring a signal runs no code, and nobody else here waits for this one
        unsafe { nix::sys::signal::signal(Signal::SIGWINCH, SigHandler::SigIgn) }.unwrap();
        let ignored = || {
            let argv = ["/bin/sh".into(), "-c".into(), "grep SigIgn /proc/self/status".into()];
            let said = run(&argv, [], Path::new("/"), LONG).stdout;
            let mask = said.to_str().unwrap().trim_start_matches("SigIgn:").trim();
            u64::from_str_radix(mask, 16).unwrap() & 1 << (Signal::SIGWINCH as i32 - 1) != 0
        };
        assert!(ignored());
        heed_inherited_signals();
        assert!(!ignored());
    }

    #[test]
    fn ends() {
        let cases = [
            ("exit 0", End::Exited(0)),
            ("exit 7", End::Exited(7)),
            ("kill -9 $$", End::Signalled(9)),
            ("kill -SEGV $$", End::Signalled(11)),
        ];
        for (script, end) in cases {
            assert_eq!(sh(script).end, end, "{script}");
        }
        let run = |argv: &[&str]| {
            let argv: Vec<BString> = argv.iter().map(|&arg| arg.into()).collect();
            run(&argv, [], Path::new("/bin"), LONG).end
        };
        assert_eq!(run(&["sh", "-c", "exit 3"]), End::Exited(3));
        assert_eq!(run(&["none"]), End::NotStarted(Errno::ENOENT));
        assert_eq!(run(&["/etc/passwd"]), End::NotStarted(Errno::EACCES));
        assert_eq!(run(&["sh", "a\0b"]), End::NotStarted(Errno::EINVAL));
        assert_eq!(run(&[]), End::NotStarted(Errno::EINVAL));
    }

    #[test]
    fn what_a_program_gets() {
        let argv = ["/bin/sh", "-c", "env; printf '%s|' \"$@\"; cat", "x", "a b", "*", "\"$(id)\""]
            .map(BString::from);
        let done = run(&argv, [(&b"DEVNAME"[..], &b"/dev/\xff"[..])], Path::new("/"), LONG);
        // the shell adds PWD and perhaps some of its own
        let out = done.stdout.to_vec();
        let text = String::from_utf8_lossy(&out);
        assert!(out.windows(14).any(|w| w == b"DEVNAME=/dev/\xff"), "{text}");
        assert!(text.ends_with("a b|*|\"$(id)\"|"), "{text}");
        assert!(!text.contains("CARGO") && !text.contains("HOME="), "{text}");
        assert!(done.success());
    }

    #[test]
    fn own_process_group_and_no_other_descriptors() {
        let done = sh("cut -d' ' -f5 /proc/$$/stat; echo $$");
        let words: Vec<&str> = std::str::from_utf8(&done.stdout).unwrap().split_whitespace().collect();
        assert_eq!(words[0], words[1]);
        // what the test runner itself was given
        close_inherited_on_exec().unwrap();
        let argv = ["ls", "/proc/self/fd"].map(BString::from);
        let done = run(&argv, [], Path::new("/bin"), LONG);
        // 3 is the directory that ls reads
        assert_eq!(done.stdout, "0\n1\n2\n3\n");
    }

    #[test]
    fn much_output_on_both_sides_does_not_block() {
        let done =
            sh("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; echo end; echo last >&2; exit 4");
        assert_eq!((done.end, done.stdout.len(), done.truncated), (End::Exited(4), STDOUT_MAX, true));
        assert_eq!(done.stderr.len(), STDERR_MAX);
        assert!(done.stderr.ends_with(b"last\n"));
        let exact = sh(&format!("head -c {STDOUT_MAX} /dev/zero"));
        assert_eq!((exact.stdout.len(), exact.truncated), (STDOUT_MAX, false));
    }

    /// True when process `pid` is gone or a zombie of somebody's.
    fn is_dead(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    }

    #[test]
    fn the_deadline_kills_the_group_and_reaps() {
        let done = sh_for("trap '' TERM; sleep 600 & echo $! $$; sleep 600", Duration::from_secs(1));
        assert_eq!(done.end, End::TimedOut);
        let pids: Vec<&str> = std::str::from_utf8(&done.stdout).unwrap().split_whitespace().collect();
        assert!(!Path::new("/proc").join(pids[1]).exists());
        // the grandchild dies of the same signal, but is init's to reap
        while !is_dead(pids[0]) {
            std::thread::yield_now();
        }
        assert_eq!(sh_for("kill -STOP $$", Duration::from_millis(100)).end, End::TimedOut);
    }

    #[test]
    fn a_process_left_behind_holds_nobody() {
        let done = sh("sleep 600 & echo $!; exit 5");
        let pid = Pid::from_raw(std::str::from_utf8(&done.stdout).unwrap().trim().parse().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
        assert_eq!(done.end, End::Exited(5));
        let noisy = sh("(while echo x; do :; done) & exit 6");
        assert_eq!(noisy.end, End::Exited(6));
        let closed = sh_for("exec >&- 2>&-; sleep 600", Duration::from_millis(100));
        assert_eq!(closed.end, End::TimedOut);
    }
}
