//! Owns running a program to its end: no shell, its own process group, output drained, a deadline, never a zombie.
//!
//! Standard output is kept up to a limit and standard error's end is kept; both are read all the time, so that a program
//! that prints much is never held up. After the deadline the whole group gets a signal, and soon after it is killed. A
//! process that the program leaves behind keeps nobody waiting: once the program itself has ended its output is read for a
//! short grace only.

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

/// Where a program is, and where processes are shown.
#[derive(Debug, Clone, Copy)]
pub struct Places<'p> {
    /// Programs whose name is relative.
    pub helpers: &'p Path,
    /// The kernel's directory of processes.
    pub proc: &'p Path,
}

/// How long a program may run, and what it is told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its time.
    pub timeout: Duration,
    /// The signal that it and all that it started get when the time is over. If it does not end by that it is killed.
    pub signal: Signal,
}

/// Runs the program `argv`, which is where `places` says, with exactly the environment `env` and an empty standard
/// input, and waits for its end, at most as long as `limit` says.
pub fn run<'e>(
    argv: &[BString],
    env: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
    places: Places<'_>,
    limit: Limit,
) -> Finished {
    let Some((program, args)) = argv.split_first() else { return Finished::not_started(Errno::EINVAL) };
    let program = path_of(program, places.helpers);
    run_named(&program, program.as_os_str(), args, env, places.proc, limit)
}

/// As [`run`], but what is run is the file `program` and it is told that it was called by `name`; `proc` is where processes are
/// shown.
pub fn run_named<'e>(
    program: &Path,
    name: &OsStr,
    args: &[BString],
    env: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
    proc: &Path,
    limit: Limit,
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
        Ok(child) => {
            super::oom::put_back(proc, child.id());
            Running::new(child, started.checked_add(limit.timeout), limit.signal).finish()
        }
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
    /// What it gets then.
    signal: Signal,
}

impl Running {
    fn new(mut child: Child, deadline: Option<Instant>, signal: Signal) -> Self {
        let pidfd = open_pidfd(child.id()).ok();
        let stdout = Pipe::new(child.stdout.take(), Keep::First(STDOUT_MAX));
        let stderr = Pipe::new(child.stderr.take(), Keep::Last(STDERR_MAX));
        Self { child, pidfd, stdout, stderr, deadline, signal }
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
        if self.signal != Signal::SIGKILL {
            for signal in [self.signal, Signal::SIGCONT] {
                let _gone_already = killpg(group, signal);
            }
            let until = Instant::now() + DYING;
            while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) && Instant::now() < until {
                self.poll(true, Some(until));
            }
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                self.last_of_the_pipes();
                return End::TimedOut;
            }
        }
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
mod tests;
