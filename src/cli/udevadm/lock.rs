//! `udevadm lock`: runs a command while the whole disks behind block devices are locked, so that the device manager leaves
//! them alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{major, minor};

use super::device::Machine;
use super::{Ended, Refused, queue, reason};
use crate::cli::context::Context;

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

/// A lock that somebody has is tried for again so often.
const AGAIN: Duration = Duration::from_millis(50);

/// Runs the verb; the exit code is the command's.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    let timeout = match &options.timeout {
        None => None,
        Some(text) => Some(
            queue::seconds(text)
                .ok_or_else(|| Refused::new(format!("Failed to parse timeout value: {text}")))?,
        ),
    };
    if options.device.is_empty() && options.backing.is_empty() {
        return Err(Refused::new("No devices to lock specified, refusing."));
    }
    if options.command.is_empty() && !options.print {
        return Err(Refused::new("Too few arguments, command to execute."));
    }
    if !options.command.is_empty() && options.print {
        return Err(Refused::new("No arguments expected."));
    }
    let machine = Machine::new(context);
    // in the order of their numbers, so that two that want the same disks do not wait for each other
    let mut disks = BTreeMap::new();
    for path in &options.device {
        let shown = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let failed = |why: &str| {
            Refused::new(format!("Failed to find whole block device for '{}': {why}", shown.display()))
        };
        let meta = std::fs::metadata(path).map_err(|error| failed(&reason(&error)))?;
        if !meta.file_type().is_block_device() {
            return Err(failed("Block device required"));
        }
        disks.insert(whole(&machine, meta.rdev()).ok_or_else(|| failed("No such device"))?, ());
    }
    for path in &options.backing {
        let failed = |why: &str| {
            Refused::new(format!("Failed to find block device backing '{}': {why}", path.display()))
        };
        let meta = std::fs::metadata(path).map_err(|error| failed(&reason(&error)))?;
        let number = if meta.file_type().is_block_device() { meta.rdev() } else { meta.dev() };
        disks.insert(whole(&machine, number).ok_or_else(|| failed("Block device required"))?, ());
    }
    let nodes: Vec<PathBuf> = disks.into_keys().map(|(_, node)| node).collect();
    if options.print {
        for node in &nodes {
            writeln!(out, "{}", node.display())?;
        }
        return Ok(0);
    }
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let _locks = nodes.iter().map(|node| lock(node, end)).collect::<Result<Vec<_>, _>>()?;
    let Some((program, arguments)) = options.command.split_first() else { return Ok(0) };
    let status = Command::new(program).args(arguments).status().map_err(|error| {
        Refused::new(format!("Failed to execute {}: {}", program.to_string_lossy(), reason(&error)))
    })?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(code),
        // a signal has ended it, which whoever sent it knows
        None => Err(Refused::new("")),
    }
}

/// The whole disk of a block device: its number and its node.
fn whole(machine: &Machine, number: u64) -> Option<(u64, PathBuf)> {
    let entry = machine.roots.sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
    let mut path = entry.canonicalize().ok()?;
    if path.join("partition").exists() {
        path.pop();
    }
    let numbers = std::fs::read_to_string(path.join("dev")).ok()?;
    let (major, minor) = numbers.trim().split_once(':')?;
    let number = nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?);
    let name = path.file_name()?.to_string_lossy().replace('!', "/");
    Some((number, machine.roots.dev.join(name)))
}

/// Opens a disk and locks it for us alone. Its node may be replaced meanwhile: then the new one is locked.
fn lock(node: &Path, end: Option<Instant>) -> Result<Flock<File>, Refused> {
    let open =
        || {
            let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
            OpenOptions::new().read(true).custom_flags(flags).open(node).map_err(|error| {
                Refused::new(format!("Failed to open '{}': {}", node.display(), reason(&error)))
            })
        };
    let mut file = open()?;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => {
                let is_same = std::fs::metadata(node)
                    .is_ok_and(|now| locked.metadata().is_ok_and(|own| own.rdev() == now.rdev()));
                if is_same {
                    return Ok(locked);
                }
                open()?
            }
            Err((file, nix::errno::Errno::EWOULDBLOCK | nix::errno::Errno::EINTR)) => {
                if end.is_some_and(|end| Instant::now() >= end) {
                    let text = format!("Timed out waiting for the lock of '{}'.", node.display());
                    return Err(Refused::new(text));
                }
                std::thread::sleep(AGAIN);
                file
            }
            Err((_, errno)) => {
                return Err(Refused::new(format!(
                    "Failed to lock device '{}': {}",
                    node.display(),
                    errno.desc()
                )));
            }
        };
    }
}
