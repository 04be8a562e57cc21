//! `udevadm lock`: runs a command while the whole disks behind block devices are locked, so that the device manager leaves
//! them alone.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::stat::{major, makedev, minor};

use super::device::Machine;
use super::{Ended, Refused, reason};
use crate::cli::context::Context;
use crate::roots::Roots;
use crate::sys::{btrfs, process};
use crate::text::{FOREVER, time_span};

/// Run a command while block devices are locked
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A block device; the whole disk is locked
    #[arg(long, short, value_name = "DEVICE")]
    device: Vec<PathBuf>,
    /// A file; the disk that holds it is locked
    #[arg(long, short, value_name = "FILE")]
    backing: Vec<PathBuf>,
    /// Longest wait for the locks; 0: none
    #[arg(long, short, value_name = "SECONDS")]
    timeout: Option<String>,
    /// Only show what would be locked
    #[arg(long, short)]
    print: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A whole disk. Disks are locked in the order of their numbers, so that two that want the same do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Disk {
    number: u64,
    node: PathBuf,
}

/// Runs the verb; the exit code is the command's.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    let patience = match &options.timeout {
        None => FOREVER,
        Some(text) => time_span(text)
            .ok_or_else(|| Refused::new(format!("Failed to parse --timeout= parameter: {text}")))?,
    };
    match (options.print, options.command.is_empty()) {
        (true, false) => return Err(Refused::new("No arguments expected.")),
        (false, true) => return Err(Refused::new("Too few arguments, command to execute.")),
        _ => {}
    }
    if options.device.is_empty() && options.backing.is_empty() {
        return Err(Refused::new("No devices to lock specified, refusing."));
    }
    let disks = disks(options, &Machine::new(context).roots)?;
    let Some((program, arguments)) = options.command.split_first() else {
        disks.iter().try_for_each(|disk| writeln!(out, "{}", disk.node.display()))?;
        return Ok(0);
    };
    let begun = Instant::now();
    // forever is no time to count down
    let left = || (patience < FOREVER).then(|| patience.saturating_sub(begun.elapsed()));
    let _locks = disks.iter().map(|disk| lock(disk, left())).collect::<Result<Vec<_>, _>>()?;
    execute(program, arguments)
}

/// The disks that are meant.
fn disks(options: &Options, roots: &Roots) -> Result<BTreeSet<Disk>, Refused> {
    let devices = options.device.iter().map(|path| (path, device as fn(&Path) -> _));
    let files = options.backing.iter().map(|path| (path, backing as fn(&Path) -> _));
    devices
        .chain(files)
        .map(|(path, number): (_, fn(&Path) -> io::Result<u64>)| {
            let disk = number(path).and_then(|number| whole(roots, number));
            disk.map_err(|error| {
                let shown = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let (path, why) = (shown.display(), reason(&error));
                Refused::new(format!("Failed to find whole block device for '{path}': {why}"))
            })
        })
        .collect()
}

/// The number of a block device.
fn device(path: &Path) -> io::Result<u64> {
    let meta = std::fs::metadata(path)?;
    if meta.file_type().is_block_device() { Ok(meta.rdev()) } else { Err(Errno::ENOTBLK.into()) }
}

/// The number of the block device that holds a file, or of the one that the file is.
fn backing(path: &Path) -> io::Result<u64> {
    let meta = std::fs::metadata(path)?;
    if meta.file_type().is_block_device() {
        return Ok(meta.rdev());
    }
    if major(meta.dev()) != 0 {
        return Ok(meta.dev());
    }
    // no device has this number: the file system is on several, as btrfs may be, or on none
    let of_btrfs = File::open(path).ok().and_then(|file| btrfs::device_of(file).ok().flatten());
    device(Path::new(OsStr::from_bytes(&of_btrfs.ok_or(Errno::ENOTBLK)?)))
}

/// The whole disk of a block device.
fn whole(roots: &Roots, number: u64) -> io::Result<Disk> {
    let entry = roots.sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
    let mut path = entry.canonicalize()?;
    if path.join("partition").exists() {
        path.pop();
    }
    let no_device = || io::Error::from(Errno::ENODEV);
    let numbers = std::fs::read_to_string(path.join("dev"))?;
    let (major, minor) = numbers.trim().split_once(':').ok_or_else(no_device)?;
    let parsed = |text: &str| text.parse::<u64>().map_err(|_| no_device());
    let number = makedev(parsed(major)?, parsed(minor)?);
    let name = path.file_name().ok_or_else(no_device)?.as_bytes();
    let name: Vec<u8> = name.iter().map(|&byte| if byte == b'!' { b'/' } else { byte }).collect();
    Ok(Disk { number, node: roots.dev.join(OsStr::from_bytes(&name)) })
}

/// Opens a disk and locks it for us alone. `patience`: the longest wait.
fn lock(disk: &Disk, patience: Option<Duration>) -> Result<Flock<File>, Refused> {
    let node = disk.node.display();
    let failed = |what: &str, error: io::Error| {
        Err(Refused::new(format!("Failed to {what} '{node}': {}", reason(&error))))
    };
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&disk.node) {
        Ok(file) => file,
        Err(error) => return failed("open", error),
    };
    if !file.metadata().is_ok_and(|meta| meta.file_type().is_block_device() && meta.rdev() == disk.number) {
        let (major, minor) = (major(disk.number), minor(disk.number));
        let text = format!("Path '{node}' no longer refers to specified block device {major}:{minor}");
        return Err(Refused::new(text));
    }
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => return Ok(locked),
        Err((file, Errno::EWOULDBLOCK)) => file,
        Err((_, errno)) => return failed("lock device", errno.into()),
    };
    let is_locked = format!("Device '{node}' is currently locked");
    if patience == Some(Duration::ZERO) {
        return Err(Refused::new(format!("{is_locked}.")));
    }
    let longest = patience.map(|longest| format!(" {longest:.1?}")).unwrap_or_default();
    let _nobody_reads = writeln!(io::stderr(), "{is_locked}, waiting{longest}…");
    match locked_within(file, patience) {
        Some(Ok(locked)) => Ok(locked),
        Some(Err(errno)) => failed("lock device", errno.into()),
        None => Err(Refused::new("Timeout reached.")),
    }
}

/// Waits for the lock in a thread of its own, since flock(2) knows no end: who waits longest gets it first, which asking
/// again and again would not give. `None`: it is not ours in time.
fn locked_within(file: File, patience: Option<Duration>) -> Option<Result<Flock<File>, Errno>> {
    let (send, receive) = mpsc::channel();
    let wait = move || {
        let mut file = file;
        let result = loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Err((again, Errno::EINTR)) => file = again,
                result => break result.map_err(|(_, errno)| errno),
            }
        };
        // nobody waits any more: dropping the lock gives it back
        let _late = send.send(result);
    };
    if let Err(error) = thread::Builder::new().spawn(wait) {
        return Some(Err(error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw)));
    }
    match receive.recv_timeout(patience.unwrap_or(FOREVER)) {
        Ok(result) => Some(result),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Err(Errno::ECANCELED)),
    }
}

/// Runs the command. An interrupt from the keyboard is the command's affair, and when this process ends so does the command,
/// whose locks are no longer held then.
fn execute(program: &OsString, arguments: &[OsString]) -> Ended {
    let shown = program.to_string_lossy();
    process::heed_inherited_signals();
    let _before_5_11 = process::close_inherited_on_exec();
    // caught and not ignored: what is ignored stays so in the command
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))?;
    let mut command = Command::new(program);
    process::end_with_us(command.args(arguments), Signal::SIGTERM);
    let status = command
        .status()
        .map_err(|error| Refused::new(format!("Failed to execute {shown}: {}", reason(&error))))?;
    match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
        (Some(code), _) => Ok(code),
        (None, signal) => {
            let name =
                signal.and_then(|number| Signal::try_from(number).ok()).map_or("a signal", Signal::as_str);
            Err(Refused::new(format!("{shown} was ended by {name}.")))
        }
    }
}
