//! A drive that is made up: programs run traced, and where they ask a driver by ioctl(2) or read a flash chip, they get what a test
//! says. So udev's helpers and ours look at the same device, whatever this machine has.
//!
//! The program opens a node that is there (the null device will do) and asks it in the kernel's own structures; only the answer
//! is another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut, Read as _};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `SG_IO`.
const SG_IO: u32 = 0x2285;

/// What a SCSI command gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) data: Vec<u8>,
    pub(crate) status: u8,
    pub(crate) sense: Vec<u8>,
}

impl Reply {
    pub(crate) fn good(data: &[u8]) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// CHECK CONDITION with fixed sense data.
    pub(crate) fn refused(key: u8, code: u8) -> Self {
        let mut sense = vec![0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, 0];
        sense.resize(18, 0);
        Self { status: 2, sense, ..Self::default() }
    }
}

/// What a call other than SG_IO gets: a structure, or a number.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Structure(Vec<u8>),
    Number(u64),
}

/// Calls that do something to a drive: `CDROM_CLEAR_OPTIONS`, `CDROM_LOCKDOOR`.
const DOINGS: [u32; 2] = [0x5321, 0x5329];
/// The SCSI command START STOP UNIT.
const START_STOP: u8 = 0x1b;

/// What a command gets.
type Scsi<'d> = dyn Fn(&[u8]) -> Result<Reply, Errno> + 'd;

/// A made-up device. What it does not know is answered by the device that is open.
#[derive(Default)]
pub(crate) struct Drive<'d> {
    /// Answers SCSI commands.
    pub(crate) scsi: Option<Box<Scsi<'d>>>,
    /// Answers other calls, by their numbers.
    pub(crate) calls: BTreeMap<u32, Result<Call, Errno>>,
    /// What pread(2) and read(2) of these offsets fail with.
    pub(crate) bad_below: u64,
    /// What was done to it: calls with their arguments, and commands.
    pub(crate) done: RefCell<Vec<String>>,
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// Runs a program and all that it starts, with the drive's answers.
#[allow(clippy::zombie_processes, reason = "it is waited for with all that it starts")]
pub(crate) fn run(program: &str, arguments: &[&str], drive: &Drive<'_>) -> Said {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\"", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let first = Pid::from_raw(i32::try_from(child.id()).unwrap());
    waitpid(first, Some(WaitPidFlag::WUNTRACED)).unwrap();
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).unwrap();
    kill(first, Signal::SIGCONT).unwrap();
    let code = trace(first, drive);
    let text = |mut pipe: Box<dyn std::io::Read>| {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Said {
        stdout: text(Box::new(child.stdout.take().unwrap())),
        stderr: text(Box::new(child.stderr.take().unwrap())),
        code,
    }
}

/// Follows all processes to their ends. The exit code of the first.
fn trace(first: Pid, drive: &Drive<'_>) -> Option<i32> {
    let mut code = None;
    // true: the process is inside a call
    let mut inside: BTreeMap<Pid, bool> = BTreeMap::new();
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        let status = match waitpid(None, Some(flags)) {
            Err(Errno::ECHILD) => return code,
            Err(Errno::EINTR) => continue,
            other => other.unwrap(),
        };
        let go_on = |pid: Pid, signal: Option<Signal>| {
            // one that was killed meanwhile says so itself
            let _gone = ptrace::syscall(pid, signal);
        };
        match status {
            WaitStatus::Exited(pid, status) if pid == first => code = Some(status),
            WaitStatus::PtraceSyscall(pid) => {
                let was_inside = inside.insert(pid, !inside.get(&pid).unwrap_or(&false));
                if was_inside == Some(true) {
                    let _died = answer(pid, drive);
                }
                go_on(pid, None);
            }
            WaitStatus::PtraceEvent(pid, ..) => go_on(pid, None),
            WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
            _ => {}
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn answer(pid: Pid, drive: &Drive<'_>) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    let call = i64::try_from(registers.orig_rax).unwrap_or(-1);
    let result = match call {
        libc::SYS_ioctl => {
            let number = u32::try_from(registers.rsi & 0xffff_ffff).unwrap();
            ioctl(pid, number, registers.rdx, drive)
        }
        libc::SYS_pread64 if registers.r10 < drive.bad_below => Some(Err(Errno::EBADMSG)),
        _ => None,
    };
    let Some(result) = result else { return Ok(()) };
    registers.rax = match result {
        Ok(number) => number,
        Err(errno) => u64::from_ne_bytes((-i64::from(errno as i32)).to_ne_bytes()),
    };
    ptrace::setregs(pid, registers)
}

#[cfg(not(target_arch = "x86_64"))]
fn answer(_pid: Pid, _drive: &Drive<'_>) -> nix::Result<()> {
    Ok(())
}

/// Why programs can't be told of a made-up drive here.
pub(crate) fn no_drives() -> Option<&'static str> {
    if !cfg!(target_arch = "x86_64") {
        return Some("registers are known of x86-64 only");
    }
    (!nix::unistd::geteuid().is_root()).then_some("a probe can be traced by root only")
}

/// What the call returns, after its answer was written; `None`: it is none of ours.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
fn ioctl(pid: Pid, number: u32, argument: u64, drive: &Drive<'_>) -> Option<Result<u64, Errno>> {
    if number == SG_IO {
        return drive.scsi.as_ref().map(|scsi| {
            sg_io(pid, argument, &|command| {
                if command.first() == Some(&START_STOP) {
                    drive.done.borrow_mut().push(format!("{command:02x?}"));
                    return Ok(Reply::default());
                }
                scsi(command)
            })
        });
    }
    if DOINGS.contains(&number) {
        drive.done.borrow_mut().push(format!("{number:#x} {}", argument & 0xffff_ffff));
        return Some(Ok(0));
    }
    Some(match drive.calls.get(&number)? {
        Ok(Call::Structure(bytes)) => {
            write(pid, argument, bytes);
            Ok(0)
        }
        Ok(Call::Number(number)) => Ok(*number),
        Err(errno) => Err(*errno),
    })
}

/// `struct sg_io_hdr`, by offset; of the newer structure such a driver knows nothing.
fn sg_io(pid: Pid, header: u64, scsi: &Scsi<'_>) -> Result<u64, Errno> {
    let mut bytes = [0; 88];
    read(pid, header, &mut bytes);
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    if word(0) != u32::from(b'S') {
        return Err(Errno::EINVAL);
    }
    let mut command = vec![0; usize::from(bytes[8])];
    read(pid, long(24), &mut command);
    let Reply { mut data, status, mut sense } = scsi(&command)?;
    let room = usize::try_from(word(12)).unwrap();
    data.truncate(room);
    sense.truncate(usize::from(bytes[9]));
    write(pid, long(16), &data);
    write(pid, long(32), &sense);
    let driver: u16 = if sense.is_empty() { 0 } else { 8 };
    let residue = i32::try_from(room - data.len()).unwrap();
    let mut out = vec![status, status >> 1, 0, u8::try_from(sense.len()).unwrap(), 0, 0];
    out.extend(driver.to_ne_bytes());
    out.extend(residue.to_ne_bytes());
    out.extend([0; 4]);
    out.extend(u32::from(status != 0).to_ne_bytes());
    write(pid, header + 64, &out);
    Ok(0)
}

fn read(pid: Pid, at: u64, out: &mut [u8]) {
    let remote = RemoteIoVec { base: usize::try_from(at).unwrap(), len: out.len() };
    let _died = process_vm_readv(pid, &mut [IoSliceMut::new(out)], &[remote]);
}

fn write(pid: Pid, at: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let remote = RemoteIoVec { base: usize::try_from(at).unwrap(), len: bytes.len() };
    let _died = process_vm_writev(pid, &[IoSlice::new(bytes)], &[remote]);
}
