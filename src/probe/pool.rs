//! Owns the probes of one daemon: starts them when there is something to ask, keeps those at rest for the next request, and
//! kills what hangs, dies or answers nonsense.
//!
//! Each request has a probe to itself, so there are never more than there are workers. A probe that served one device well
//! serves the next; it holds nothing of the former but what its memory may still have of it, which it can tell nobody but
//! this daemon.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::wire::{self, ANSWER_MAX, BadMessage};
use super::{Answer, Request, Role, VERB};
use crate::sys::seqpacket;

/// How many probes of one role are kept at rest.
const AT_REST: usize = 4;

/// How long a probe that has closed its socket may take to end.
const DYING: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const TICK: Duration = Duration::from_millis(1);

/// A request has no answer, and its probe is no more. The next request gets a new one.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No process.
    #[error("the probe can't be started: {0}")]
    Start(#[source] io::Error),
    /// It ended in the middle of the request.
    #[error("the probe died: {0}")]
    Died(String),
    /// It did not answer in time, and was killed.
    #[error("the probe did not answer in time and was killed")]
    TimedOut,
    /// Its answer is none, and it was killed.
    #[error("the probe answered nonsense ({0}) and was killed")]
    Nonsense(#[from] BadMessage),
    /// The socket failed.
    #[error("the probe can't be reached: {0}")]
    Socket(Errno),
}

/// The probes.
#[derive(Debug)]
pub struct Probes {
    program: PathBuf,
    at_rest: Mutex<BTreeMap<Role, Vec<Process>>>,
}

impl Probes {
    /// Probes are `program` (this program) run with [`VERB`]. None is started yet.
    pub fn new(program: PathBuf) -> Self {
        Self { program, at_rest: Mutex::default() }
    }

    /// Asks about `medium`, and waits for the answer at most `until`. Any error costs this request only.
    pub fn ask(
        &self,
        request: &Request,
        medium: BorrowedFd<'_>,
        until: Instant,
    ) -> Result<Answer, ProbeError> {
        let role = request.role();
        while let Some(mut process) = self.take(role) {
            match process.exchange(request, medium, until) {
                // one at rest may just have ended of its own accord
                Err(Failed::Ended(status)) if status.success() => {}
                // or somebody has killed it, which is not this device's fault: if it is, a new one dies too
                Err(Failed::Ended(_)) => break,
                other => return self.put_back(role, process, other),
            }
        }
        let mut process = Process::start(&self.program, role).map_err(ProbeError::Start)?;
        let answer = process.exchange(request, medium, until);
        self.put_back(role, process, answer)
    }

    /// The process numbers of the probes at rest.
    pub fn at_rest(&self) -> Vec<u32> {
        self.lock().values().flatten().map(|process| process.child.id()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Role, Vec<Process>>> {
        self.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, role: Role) -> Option<Process> {
        self.lock().get_mut(&role)?.pop()
    }

    /// A probe that answered is kept, any other ends here.
    fn put_back(
        &self,
        role: Role,
        process: Process,
        answer: Result<Answer, Failed>,
    ) -> Result<Answer, ProbeError> {
        let answer = answer.map_err(|failed| match failed {
            Failed::Ended(status) => ProbeError::Died(said(status)),
            Failed::Other(error) => error,
        })?;
        let mut at_rest = self.lock();
        let same = at_rest.entry(role).or_default();
        if same.len() < AT_REST {
            same.push(process);
        }
        Ok(answer)
    }
}

/// Why an exchange did not come to its end.
#[derive(Debug)]
enum Failed {
    /// The process has ended.
    Ended(ExitStatus),
    /// All else.
    Other(ProbeError),
}

/// One probe and the socket to it; dropping it ends it.
#[derive(Debug)]
struct Process {
    child: Child,
    socket: OwnedFd,
}

impl Process {
    fn start(program: &PathBuf, role: Role) -> io::Result<Self> {
        let (ours, its) = seqpacket::pair()?;
        let child = Command::new(program)
            .arg0("nameplate")
            .args([VERB, role.name()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(its)
            .process_group(0)
            .spawn()?;
        Ok(Self { child, socket: ours })
    }

    fn exchange(
        &mut self,
        request: &Request,
        medium: BorrowedFd<'_>,
        until: Instant,
    ) -> Result<Answer, Failed> {
        match seqpacket::send(&self.socket, &wire::write_request(request), Some(medium)) {
            Ok(()) => {}
            Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(self.ended()),
            Err(errno) => return Err(Failed::Other(ProbeError::Socket(errno))),
        }
        let mut buffer = vec![0; ANSWER_MAX];
        match seqpacket::wait(&self.socket, until) {
            Ok(true) => {}
            Ok(false) => return Err(Failed::Other(ProbeError::TimedOut)),
            Err(errno) => return Err(Failed::Other(ProbeError::Socket(errno))),
        }
        match seqpacket::receive(&self.socket, &mut buffer) {
            Ok(received) if received.len == 0 => Err(self.ended()),
            Ok(received) if received.cut || received.file.is_some() => {
                Err(Failed::Other(BadMessage("it is too long, or brings a file").into()))
            }
            Ok(received) => {
                let message = buffer.get(..received.len).unwrap_or_default();
                wire::read_answer(request, message).map_err(|bad| Failed::Other(bad.into()))
            }
            Err(Errno::ECONNRESET) => Err(self.ended()),
            Err(errno) => Err(Failed::Other(ProbeError::Socket(errno))),
        }
    }

    /// Its end of the socket is closed, so it is at its end, or as good as.
    fn ended(&mut self) -> Failed {
        let until = Instant::now() + DYING;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Failed::Ended(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(TICK),
                Ok(None) => {
                    return Failed::Other(ProbeError::Died("it closed its socket, and was killed".into()));
                }
                Err(error) => return Failed::Other(ProbeError::Died(error.to_string())),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // one that hangs in the kernel can't die yet, and nobody is to wait for it: its parent takes its end whenever it comes
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        let reaper = move || while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {};
        let _no_thread = std::thread::Builder::new().name("reaper".into()).spawn(reaper);
    }
}

/// How a process ended, for people.
fn said(status: ExitStatus) -> String {
    let signal = status.signal().and_then(|number| nix::sys::signal::Signal::try_from(number).ok());
    match signal {
        Some(nix::sys::signal::Signal::SIGSYS) => {
            "it made a system call that it may not make (SIGSYS)".to_owned()
        }
        Some(signal) => format!("killed by {signal}"),
        None => status.to_string(),
    }
}
