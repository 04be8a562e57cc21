//! Owns the life of a probe: it gives up its rights, then answers requests until the other end closes or nobody asks.
//!
//! Standard input is the null device, standard output the socket, standard error the daemon's log. Nothing here is trusted
//! by the other end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;

use super::{Answer, Refusal, Request, Role, Trespass, filter, medium, wire};
use crate::roots::Roots;
use crate::sys::blkid::Library;
use crate::sys::{confine, medium as device, seqpacket};

/// Without a request for so long it ends: a machine at rest has no probes.
const IDLE: Duration = Duration::from_secs(60);
/// Address space.
const MEMORY: u64 = 512 << 20;
/// Processor time; one that has used [`TIRED`] ends before.
const PROCESSOR: Duration = Duration::from_secs(600);
/// After so much processor time a probe makes room for a new one.
const TIRED: Duration = Duration::from_secs(60);
/// Open files.
const FILES: u64 = 16;
/// The user `nobody` of the kernel, who owns nothing.
const NOBODY: u32 = 65534;

/// Runs a probe to its end. Fails if it can't give up what it has to.
pub fn run(role: Role) -> ExitCode {
    // before the file system is out of reach
    let library = match role {
        Role::Disk | Role::Part => Library::load().ok(),
        Role::Commands => None,
    };
    if let Err(what) = confine(role) {
        // the filter allows writing there, and nothing else can be done
        tracing_is_not_here(&format!("nameplate: a probe can't give up its rights: {what}\n"));
        return ExitCode::FAILURE;
    }
    let socket = std::io::stdout();
    let mut buffer = vec![0; wire::REQUEST_MAX];
    while confine::processor_time() < TIRED {
        let received = match seqpacket::receive(socket.as_fd(), &mut buffer) {
            Ok(received) if received.len > 0 => received,
            // closed, or nobody has asked for long
            Ok(_) | Err(Errno::EAGAIN | Errno::ECONNRESET) => break,
            Err(_) => return ExitCode::FAILURE,
        };
        let message = buffer.get(..received.len).unwrap_or_default();
        let answer = match (wire::read_request(message), received.file) {
            (Ok(Request::Trespass(Trespass::Nonsense)), _) => b"nonsense".to_vec(),
            (Ok(request), Some(file)) if !received.cut => {
                wire::write_answer(&answer(library.as_ref(), &request, file).unwrap_or_else(Answer::Refused))
            }
            _ => return ExitCode::FAILURE,
        };
        if seqpacket::send(socket.as_fd(), &answer, None).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn tracing_is_not_here(text: &str) {
    let _nobody_reads = nix::unistd::write(std::io::stderr(), text.as_bytes());
}

/// Gives up everything. What only adds to the rest (namespaces, an empty root) may fail: a container or a unit may not
/// allow it. Error: what has to succeed and did not.
fn confine(role: Role) -> Result<(), String> {
    let must = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
    match confine::close_from(3) {
        // before 5.9; all that the daemon opens closes by itself
        Ok(()) | Err(Errno::ENOSYS) => {}
        Err(errno) => return Err(must("closing what is open")(errno)),
    }
    confine::limit_waiting(std::io::stdout(), IDLE).map_err(must("the socket"))?;
    let _as_deep_as_allowed =
        confine::leave_namespaces().and_then(|()| confine::empty_root(&Roots::system().proc));
    confine::empty_bounding_set();
    if confine::is_root() {
        // in a user namespace that has no such user it stays who it is, without capabilities
        let _unmapped = confine::become_user(NOBODY);
    }
    confine::drop_capabilities().map_err(must("capabilities"))?;
    confine::limit(MEMORY, PROCESSOR, FILES).map_err(must("limits"))?;
    confine::seal().map_err(must("no_new_privs"))?;
    filter::apply(role).map_err(|error| format!("system calls: {error}"))
}

fn answer(library: Option<&Library>, request: &Request, file: OwnedFd) -> Result<Answer, Refusal> {
    let library = || library.ok_or(Refusal::NoLibrary);
    let bytes = |result: Result<Vec<u8>, Errno>| result.map(Answer::Bytes).map_err(Refusal::Errno);
    match request {
        Request::Contents { whole, offset, hint, no_raid } => {
            medium::contents(library()?, file.as_fd(), *whole, *offset, hint.as_ref(), *no_raid)
        }
        Request::Entry { number, start, size } => {
            medium::entry(library()?, file.as_fd(), *number, *start, *size)
        }
        Request::Scsi { command, room, timeout } => {
            device::scsi(file, command, *room, *timeout).map(Answer::Reply).map_err(Refusal::Errno)
        }
        Request::AtaIdentity => bytes(device::identity(file).map(Into::into)),
        Request::VideoCapability => bytes(device::video_capability(file).map(Into::into)),
        Request::FlashInfo => bytes(device::flash_info(file).map(Into::into)),
        Request::DriveCapability => bytes(device::drive_capability(file).map(|v| v.to_le_bytes().into())),
        Request::DriveStatus => bytes(device::drive_status(file).map(|v| v.to_le_bytes().into())),
        Request::Read { offset, room } => bytes(device::read_at(file, *offset, *room)),
        Request::Trespass(what) => trespass(*what, file.as_fd()),
    }
}

/// Tries what it may not. Bytes as an answer: it could.
fn trespass(what: Trespass, _file: BorrowedFd<'_>) -> Result<Answer, Refusal> {
    let could = |result: Result<(), Errno>| match result {
        Ok(()) => Ok(Answer::Bytes(vec![])),
        Err(errno) => Err(Refusal::Errno(errno)),
    };
    match what {
        Trespass::Open => could(crate::sys::fs::open_dir(std::path::Path::new("/")).map(drop)),
        Trespass::Socket => could(seqpacket::pair().map(drop)),
        Trespass::Fork => {
            let child = std::process::Command::new("/").spawn().map(drop);
            could(child.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))
        }
        Trespass::Memory => {
            let mut room: Vec<u8> = Vec::new();
            let too_much = usize::try_from(MEMORY).unwrap_or(usize::MAX);
            could(room.try_reserve_exact(too_much).map_err(|_| Errno::ENOMEM))
        }
        Trespass::Hang => loop {
            std::thread::yield_now();
        },
        // answered before
        Trespass::Nonsense => could(Err(Errno::EINVAL)),
    }
}
