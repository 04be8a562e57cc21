//! Owns the confined process that reads media: this program run again, without rights, asked over a socket.
//!
//! A medium may be a stranger's, and libblkid is a large parser in C: so neither is ever met in the daemon. A probe has no
//! capability, no user of its own, no file system, no network, bounded memory, a filter of system calls, and one read-only
//! descriptor at a time. What it answers is checked here, and concerns the device that was asked for alone. One that dies,
//! hangs or answers nonsense is killed; the next request gets a new one.
//!
//! * [`Probes`]: keeps probes, starts and kills them (`pool.rs`);
//! * [`Request`] and [`Answer`], and how they are sent (`wire.rs`);
//! * [`inside`]: what runs in the probe, its confinement (`filter.rs`), the media (`medium.rs`).
//!
//! Never names a property of udev's: that is the builtins' work.

mod filter;
pub mod inside;
mod medium;
mod pool;
mod wire;

use bstr::BString;

pub use self::pool::{ProbeError, Probes};
use crate::sys::medium::Reply;

/// The word on the command line that starts a probe; the name of a [`Role`] follows.
pub const VERB: &str = "probe";

/// What a probe is for, for as long as it lives: each has a filter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// libblkid on whole disks. The library looks into sysfs to tell them from partitions; here every medium is one.
    Disk,
    /// libblkid on everything else: here no medium is a whole disk.
    Part,
    /// Commands to drives and drivers. No library is loaded.
    Commands,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Disk, Role::Part, Role::Commands];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Disk => "disk",
            Role::Part => "part",
            Role::Commands => "commands",
        }
    }

    /// The role of that name.
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name().as_bytes() == name)
    }
}

/// What can be asked of a probe about the medium that comes with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What is on it: superblocks, partition table. Answer: [`Answer::Facts`].
    Contents {
        /// It is a whole disk, and not a partition of one.
        whole: bool,
        /// Where to begin, in bytes.
        offset: u64,
        /// A hint for libblkid, `NAME=NUMBER`.
        hint: Option<BString>,
        /// Members of RAID sets are not looked for.
        no_raid: bool,
    },
    /// The medium is a disk: which entry of its partition table is this partition? Answer: [`Answer::Facts`], empty if none.
    Entry {
        /// The partition's number, where its place says nothing (a device mapper's).
        number: Option<u32>,
        /// Its first sector, of 512 bytes.
        start: u64,
        /// Its length in such sectors.
        size: u64,
    },
    /// Sends a SCSI command. Answer: [`Answer::Reply`].
    Scsi {
        /// At most 16 bytes.
        command: Vec<u8>,
        /// How many bytes may come back.
        room: u16,
        /// Milliseconds.
        timeout: u32,
    },
    /// The driver's IDENTIFY data. Answer: [`Answer::Bytes`], 512.
    AtaIdentity,
    /// `struct v4l2_capability`. Answer: [`Answer::Bytes`], 104.
    VideoCapability,
    /// `struct mtd_info_user`. Answer: [`Answer::Bytes`], 32.
    FlashInfo,
    /// What an optical drive can do, `CDC_*`. Answer: [`Answer::Bytes`], 4, little endian.
    DriveCapability,
    /// What is in an optical drive, `CDS_*`. Answer: the same.
    DriveStatus,
    /// Plain bytes. Answer: [`Answer::Bytes`], at most `room`.
    Read {
        /// Where from.
        offset: u64,
        /// How many.
        room: u16,
    },
    /// To show that the confinement holds: the probe tries what it may not.
    Trespass(Trespass),
}

/// What a probe is asked to try, to show that it can't. No answer is a good sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trespass {
    /// To open a file. [`Refusal::Errno`] is a good answer too: the filter's.
    Open,
    /// To make a socket.
    Socket,
    /// To start a process.
    Fork,
    /// To take more memory than it may have. [`Refusal::Errno`] is the good answer.
    Memory,
    /// To never answer.
    Hang,
    /// To answer nonsense.
    Nonsense,
}

impl Request {
    /// Which probe can answer.
    pub fn role(&self) -> Role {
        match self {
            Request::Contents { whole: true, .. } | Request::Entry { .. } => Role::Disk,
            Request::Contents { whole: false, .. } => Role::Part,
            _ => Role::Commands,
        }
    }
}

/// What a probe answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Names, in capitals as libblkid has them, and values, in the order in which they were found.
    Facts(Vec<(BString, BString)>),
    /// What a command gave.
    Reply(Reply),
    /// Bytes of a structure or of the medium.
    Bytes(Vec<u8>),
    /// There is no answer.
    Refused(Refusal),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// libblkid is not on this machine, or is not the one that it should be.
    #[error("libblkid is not there: install it (`libblkid1`, `util-linux-libs`)")]
    NoLibrary,
    /// Two kinds of contents are there.
    #[error(
        "the medium holds traces of more than one file system or table, and it can't be told which is meant"
    )]
    Ambivalent,
    /// Reading failed.
    #[error("it can't be read")]
    Unreadable,
    /// The hint is none that the library takes.
    #[error("libblkid does not take this hint")]
    Hint,
    /// The kernel's error.
    #[error("{0}")]
    Errno(nix::errno::Errno),
}
