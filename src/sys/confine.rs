//! Owns giving up rights for good: capabilities, user, file system, network, limits, system calls.
//!
//! Each step is one function; who calls them decides which have to succeed. Never gives anything back.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Gid, Uid, chdir, chroot, getresuid, pivot_root, setgroups, setresgid, setresuid};

/// Closes every descriptor from `first` on. Before Linux 5.9: `ENOSYS`, nothing done.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: takes integers; the caller is a process of its own in which nothing from `first` on is owned yet
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop)
}

/// Bounds what the process may use: bytes of address space, processor time, open files; no file may grow, no core is
/// written.
pub fn limit(memory: u64, processor: Duration, files: u64) -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, memory),
        (Resource::RLIMIT_CPU, processor.as_secs()),
        (Resource::RLIMIT_NOFILE, files),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

/// Processor time that this process has used.
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Receiving from `socket` waits at most so long (`EAGAIN`).
pub fn limit_waiting(socket: impl AsFd, longest: Duration) -> Result<(), Errno> {
    let seconds = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(seconds, 0))
}

/// Leaves the namespaces that hold mounts, network, host name and inter-process objects for empty ones of its own; who
/// has not the right takes a user namespace too. Error: `EPERM` where neither is allowed.
pub fn leave_namespaces() -> Result<(), Errno> {
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(own).or_else(|_| unshare(own | CloneFlags::CLONE_NEWUSER))
}

/// Makes an empty, read-only file system the root; `over` is any directory. To be called in a mount namespace of its own.
pub fn empty_root(over: &Path) -> Result<(), Errno> {
    const NONE: Option<&str> = None;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    // what is mounted here is not seen elsewhere
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(
        Some("none"),
        over,
        Some("tmpfs"),
        flags | MsFlags::MS_RDONLY,
        Some("size=4k,nr_inodes=2,mode=555"),
    )?;
    chdir(over)?;
    // below a plain chroot the root can't be exchanged, only left
    match pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH)?,
        Err(_) => chroot(".")?,
    }
    chdir("/")
}

/// Becomes the user and group `id`, and a member of no other group. Only for root, whose capabilities end with it.
pub fn become_user(id: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

/// True when one of the process's user ids is root's.
pub fn is_root() -> bool {
    getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved].iter().any(|id| id.is_root()))
}

/// Takes every capability out of the bounding set, as far as the process may.
pub fn empty_bounding_set() {
    for capability in 0..64 {
        // SAFETY: takes integers; for a number that is no capability, or without CAP_SETPCAP, it is an error and does nothing
        let _not_there = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Gives up all capabilities: ambient, permitted, effective, inheritable.
pub fn drop_capabilities() -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // `_LINUX_CAPABILITY_VERSION_3`: two times 32 capabilities, of this process
    let header = Header { version: 0x2008_0522, pid: 0 };
    let none = [Sets::default(), Sets::default()];
    // SAFETY: takes integers
    let _before_4_3 = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    // SAFETY: both places have the layout of capset(2) for that version and are only read
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    Errno::result(result).map(drop)
}

/// No program that is run ever has more rights, and no other process of the user may look inside.
pub fn seal() -> Result<(), Errno> {
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)
}
