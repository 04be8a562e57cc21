//! Owns which system calls a probe may make, as three filters that stand one behind the other.
//!
//! What no filter names ends the process. Calls by path are answered without being carried out: libblkid asks sysfs whether
//! a medium is a whole disk, and that is all it may find out (see [`Role`]). Calls to drivers that are not known answer as a
//! driver that does not know them.

use super::Role;
use crate::sys::medium::number;

/// Calls to drivers that libblkid makes: sizes, zones, kind of drive (`linux/fs.h`, `linux/blkzoned.h`, `linux/cdrom.h`,
/// `linux/fd.h`, `linux/sed-opal.h`).
const MEDIUM_IOCTLS: &[u32] = &[
    0x8008_1272, // BLKGETSIZE64
    0x1260,      // BLKGETSIZE
    0x1268,      // BLKSSZGET
    0x127b,      // BLKPBSZGET
    0x1278,      // BLKIOMIN
    0x1279,      // BLKIOOPT
    0x127a,      // BLKALIGNOFF
    0xc010_1282, // BLKREPORTZONE
    0x8004_1284, // BLKGETZONESZ
    0x8004_1285, // BLKGETNRZONES
    0x8008_1280, // BLKGETDISKSEQ
    0x8028_0215, // FDGETFDCSTAT
    0x8008_70ec, // IOC_OPAL_GET_STATUS
    0x5327,      // CDROM_DISC_STATUS
    0x5395,      // CDROM_LAST_WRITTEN
    number::CDROM_DRIVE_STATUS,
    number::CDROM_GET_CAPABILITY,
];

/// Calls to drivers that the other requests make.
const COMMAND_IOCTLS: &[u32] = &[
    number::SG_IO,
    number::HDIO_GET_IDENTITY,
    number::VIDIOC_QUERYCAP,
    number::MEMGETINFO,
    number::CDROM_GET_CAPABILITY,
    number::CDROM_DRIVE_STATUS,
    number::CDROM_MEDIA_CHANGED,
];

/// The calls to drivers that a role makes.
fn ioctls(role: Role) -> &'static [u32] {
    match role {
        Role::Disk | Role::Part => MEDIUM_IOCTLS,
        Role::Commands => COMMAND_IOCTLS,
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod bpf {
    use std::collections::BTreeMap;

    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
        SeccompFilter, SeccompRule, TargetArch, apply_filter,
    };

    use super::{Role, ioctls};

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    /// `AT_FDCWD` as a filter sees it: 32 bits.
    const AT_CWD: u64 = 0xffff_ff9c;

    /// Calls by path, on architectures that still have the old ones.
    #[cfg(target_arch = "x86_64")]
    const OLD_PATH_CALLS: &[i64] =
        &[libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink];
    #[cfg(not(target_arch = "x86_64"))]
    const OLD_PATH_CALLS: &[i64] = &[];

    /// Calls by path relative to a descriptor.
    const PATH_CALLS: &[i64] =
        &[libc::SYS_openat, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat];

    /// What every role needs: memory, reading what is open, the socket, the clock, the end.
    const ALLOWED: &[i64] = &[
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_fadvise64,
        libc::SYS_close,
        libc::SYS_ioctl,
        libc::SYS_recvmsg,
        libc::SYS_sendmsg,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
    }

    fn when(conditions: Vec<SeccompCondition>) -> Result<Vec<SeccompRule>, BackendError> {
        Ok(vec![SeccompRule::new(conditions)?])
    }

    fn program(
        rules: Rules,
        others: SeccompAction,
        these: SeccompAction,
    ) -> Result<BpfProgram, BackendError> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        SeccompFilter::new(rules, others, these, arch)?.try_into()
    }

    /// The whole of what may be called; the rest ends the process.
    fn allowed(role: Role) -> Result<BpfProgram, BackendError> {
        let mut rules: Rules = ALLOWED.iter().map(|call| (*call, vec![])).collect();
        let no_code = |argument| {
            // `PROT_EXEC`
            condition(argument, SeccompCmpOp::MaskedEq(4), 0)
        };
        rules.insert(libc::SYS_mmap, when(vec![no_code(2)?])?);
        rules.insert(libc::SYS_mprotect, when(vec![no_code(2)?])?);
        // messages of a panic
        rules.insert(libc::SYS_write, when(vec![condition(0, SeccompCmpOp::Eq, 2)?])?);
        // `F_GETFD`, `F_SETFD`, `F_GETFL`
        rules.insert(libc::SYS_fcntl, when(vec![condition(1, SeccompCmpOp::Le, 3)?])?);
        // the library asks for facts of an open file so
        let file = || condition(0, SeccompCmpOp::Ne, AT_CWD);
        rules.insert(libc::SYS_newfstatat, when(vec![file()?])?);
        rules.insert(libc::SYS_statx, when(vec![file()?])?);
        if role != Role::Commands {
            // answered by the filter before
            rules.extend(OLD_PATH_CALLS.iter().chain(PATH_CALLS).map(|call| (*call, vec![])));
            rules.insert(libc::SYS_newfstatat, vec![]);
            rules.insert(libc::SYS_statx, vec![]);
        }
        program(rules, SeccompAction::KillProcess, SeccompAction::Allow)
    }

    /// Calls by path find nothing.
    fn paths(role: Role) -> Result<BpfProgram, BackendError> {
        let not_there = u32::try_from(libc::ENOENT).unwrap_or_default();
        let mut rules: Rules = OLD_PATH_CALLS.iter().chain(PATH_CALLS).map(|call| (*call, vec![])).collect();
        let by_path = || condition(0, SeccompCmpOp::Eq, AT_CWD);
        rules.insert(libc::SYS_newfstatat, when(vec![by_path()?])?);
        rules.insert(libc::SYS_statx, when(vec![by_path()?])?);
        if role == Role::Disk {
            // left to `whole`
            rules.insert(libc::SYS_openat, when(vec![condition(0, SeccompCmpOp::Ne, AT_CWD)?])?);
            #[cfg(target_arch = "x86_64")]
            rules.remove(&libc::SYS_open);
        }
        program(rules, SeccompAction::Allow, SeccompAction::Errno(not_there))
    }

    /// Opening by path "succeeds" and gives descriptor 0, the null device, which can't be closed: a directory in which
    /// nothing is found, as that of a whole disk, which has no file `partition`.
    fn whole() -> Result<BpfProgram, BackendError> {
        let mut rules = Rules::new();
        rules.insert(libc::SYS_openat, when(vec![condition(0, SeccompCmpOp::Eq, AT_CWD)?])?);
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_open, vec![]);
        rules.insert(libc::SYS_close, when(vec![condition(0, SeccompCmpOp::Eq, 0)?])?);
        program(rules, SeccompAction::Allow, SeccompAction::Errno(0))
    }

    /// Calls to drivers that are not in the list are not known.
    fn drivers(role: Role) -> Result<BpfProgram, BackendError> {
        let unknown = u32::try_from(libc::ENOTTY).unwrap_or_default();
        let others = ioctls(role).iter().map(|number| condition(1, SeccompCmpOp::Ne, u64::from(*number)));
        let rules = Rules::from([(libc::SYS_ioctl, when(others.collect::<Result<_, _>>()?)?)]);
        program(rules, SeccompAction::Allow, SeccompAction::Errno(unknown))
    }

    /// Puts the filters in force. Error: what could not be done; some may be in force.
    pub(super) fn apply(role: Role) -> Result<(), String> {
        let programs = || -> Result<Vec<BpfProgram>, BackendError> {
            let mut programs = vec![drivers(role)?];
            if role != Role::Commands {
                programs.push(paths(role)?);
            }
            if role == Role::Disk {
                programs.push(whole()?);
            }
            // the last one takes away the call that puts another in force
            programs.push(allowed(role)?);
            Ok(programs)
        };
        let programs = programs().map_err(|error| error.to_string())?;
        programs.iter().try_for_each(|program| apply_filter(program).map_err(|error| error.to_string()))
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod bpf {
    use super::{Role, ioctls};

    /// There are no filters for this architecture.
    pub(super) fn apply(role: Role) -> Result<(), String> {
        let _none = ioctls(role);
        Ok(())
    }
}

/// Allows what the role needs and nothing else, for good. Error: the text says what the kernel did not take.
pub(super) fn apply(role: Role) -> Result<(), String> {
    bpf::apply(role)
}
