//! Owns the socket on which the kernel sends its uevents: opens it, empties it, refuses what the kernel did not send.
//!
//! Never waits (the caller polls), never logs, and never closes the socket because of an overrun: the events that
//! survived are still in it.
//!
//! **Room for a datagram.** A batch can't ask for sizes first: peeking does not move on to the second datagram. So each
//! slot has 64 KiB, which is more than ten times what a kernel can send (a header of a path's length and 2 KiB of
//! properties); the pages that no datagram reached are never there. Should a kernel send more, the loss is reported like
//! an overrun and the slots grow to the size seen.
//!
//! **Overrun.** When the receive buffer is full, the kernel drops events, says `ENOBUFS` once, and goes on to drop *all*
//! until the queue has been emptied. So the one right moment to compare with `/sys` is after the queue was empty:
//! [`Drained::lost`] is set then and not before.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bstr::ByteSlice;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, getsockopt, setsockopt,
    socket, sockopt,
};

use super::kernel::{Parsed, Uevent, UeventError};
use crate::sys::netlink::{Batch, Datagram};
use crate::sys::userns;

/// Bytes asked for as the receive buffer: room for some 100,000 events.
pub const DEFAULT_RECEIVE_BUFFER: usize = 128 << 20;

/// The group of the kernel's own events, as a mask.
const KERNEL_GROUP: u32 = 1;
/// The first size of a slot; see above.
const SLOT_SIZE: usize = 64 << 10;
/// Slots do not grow beyond this, whatever size a datagram claims.
const SLOT_SIZE_MAX: usize = 1 << 20;
/// Batches after which [`KernelSocket::receive`] returns even if there is more, so that a flood can't hold its caller.
const BATCHES_MAX: usize = 256;

/// Why the socket can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel has no netlink, or a sandbox forbids it.
    #[error("can't make a netlink socket for uevents")]
    Socket(#[source] io::Error),
    /// An option of the socket was refused.
    #[error("can't set {0} on the uevent socket")]
    Option(&'static str, #[source] io::Error),
    /// The group can't be joined.
    #[error("can't listen to the kernel's uevents")]
    Bind(#[source] io::Error),
}

/// Why a datagram is not the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It came without the address of its sender.
    #[error("no sender")]
    NoSender,
    /// A process sent it.
    #[error("sent by port {0}, not by the kernel")]
    Port(u32),
    /// It was not sent to the group of the kernel's events.
    #[error("sent to groups {0:#x}, not to the group of kernel events")]
    Groups(u32),
    /// It came without credentials.
    #[error("no credentials")]
    NoCredentials,
    /// Its credentials are not root's.
    #[error("sent by user {0}, not by root")]
    User(u32),
}

/// Why a datagram did not become an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Not from the kernel.
    #[error("a uevent that is not the kernel's: {0}")]
    Foreign(#[from] Foreign),
    /// Larger than its slot; the rest of it is lost.
    #[error("a uevent of {size} bytes, where there was room for {room}")]
    Truncated {
        /// Its size.
        size: usize,
        /// The size of the slot.
        room: usize,
    },
    /// From the kernel, but not to be understood.
    #[error("a malformed uevent: {0}")]
    Malformed(#[from] UeventError),
}

/// What [`KernelSocket::receive`] hands on, one for each datagram.
pub type Received = Result<Parsed, Rejected>;

/// Datagrams since the socket was opened. Each is in `received` or in one of the three next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Events of the kernel.
    pub received: u64,
    /// Not sent by the kernel.
    pub foreign: u64,
    /// Larger than their slot.
    pub truncated: u64,
    /// Not to be understood.
    pub malformed: u64,
    /// Times that the kernel said that it had dropped events (how many: [`KernelSocket::drops`]).
    pub overruns: u64,
}

/// How one [`KernelSocket::receive`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// The socket was empty at the end. False: call again, there is more.
    pub emptied: bool,
    /// Events were lost (an overrun, a truncated event), here or in a call before that did not empty the socket; it is
    /// empty now, so what `/sys` says from now on and the events from now on together are the whole truth.
    pub lost: bool,
}

/// Why the number of dropped events is not known.
#[derive(Debug, thiserror::Error)]
pub enum DropsError {
    /// The table or the socket can't be read.
    #[error("can't read the table of netlink sockets")]
    Read(#[from] io::Error),
    /// The table has no such socket (another network namespace's table).
    #[error("the table of netlink sockets does not have the uevent socket")]
    NotListed,
}

/// The socket. Poll its descriptor for input, then [`KernelSocket::receive`].
#[derive(Debug)]
pub struct KernelSocket {
    socket: OwnedFd,
    batch: Batch,
    counts: Counts,
    /// Something was lost since the socket was last empty.
    lost: bool,
}

fn prepare(socket: &OwnedFd, receive_buffer: usize) -> Result<(), OpenError> {
    if setsockopt(socket, sockopt::RcvBufForce, &receive_buffer).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &receive_buffer)
            .map_err(|e| OpenError::Option("the receive buffer's size", e.into()))?;
    }
    setsockopt(socket, sockopt::PassCred, &true)
        .map_err(|e| OpenError::Option("the passing of credentials", e.into()))
}

impl KernelSocket {
    /// Listens to the kernel's uevents of this network namespace. `receive_buffer` is in bytes and not bound by the
    /// system's limit for root; anybody else gets at most that limit ([`KernelSocket::receive_buffer`] tells).
    pub fn open(receive_buffer: usize) -> Result<Self, OpenError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .map_err(|e| OpenError::Socket(e.into()))?;
        // The buffer has its size and credentials are asked for before the first event can come.
        prepare(&socket, receive_buffer)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))
            .map_err(|e| OpenError::Bind(e.into()))?;
        Ok(Self { socket, batch: Batch::new(SLOT_SIZE), counts: Counts::default(), lost: false })
    }

    /// Listens on a socket that the service manager has opened and bound; what came before is in it. Error: it is not one
    /// that hears the kernel's uevents.
    pub fn adopt(socket: OwnedFd, receive_buffer: usize) -> Result<Self, OpenError> {
        let address: NetlinkAddr = getsockname(socket.as_raw_fd()).map_err(|e| OpenError::Bind(e.into()))?;
        let protocol = getsockopt(&socket, sockopt::SockType).map_err(|e| OpenError::Socket(e.into()))?;
        if address.groups() & KERNEL_GROUP == 0 || protocol != SockType::Raw {
            let what = "the socket that was handed over does not hear the kernel's uevents";
            return Err(OpenError::Bind(io::Error::other(what)));
        }
        prepare(&socket, receive_buffer)?;
        Ok(Self { socket, batch: Batch::new(SLOT_SIZE), counts: Counts::default(), lost: false })
    }

    /// Bytes of the receive buffer as the kernel accounts them: twice what was given, since its own overhead counts.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        Ok(getsockopt(&self.socket, sockopt::RcvBuf)?)
    }

    /// Datagrams so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Hands everything that is in the socket to `sink`, in order, without waiting. An error is a fault of the socket
    /// itself, never of a datagram, and never an overrun.
    pub fn receive(&mut self, sink: &mut dyn FnMut(Received)) -> io::Result<Drained> {
        for _ in 0..BATCHES_MAX {
            match self.batch.receive(self.socket.as_fd()) {
                Ok(_) => self.hand_on(sink),
                Err(e) => match Errno::from_raw(e.raw_os_error().unwrap_or(0)) {
                    Errno::EAGAIN => {
                        return Ok(Drained { emptied: true, lost: std::mem::take(&mut self.lost) });
                    }
                    Errno::EINTR => {}
                    Errno::ENOBUFS => {
                        self.counts.overruns += 1;
                        self.lost = true;
                    }
                    _ => return Err(e),
                },
            }
        }
        Ok(Drained { emptied: false, lost: false })
    }

    fn hand_on(&mut self, sink: &mut dyn FnMut(Received)) {
        let mut largest = 0;
        for datagram in self.batch.datagrams() {
            let received = judge(&datagram);
            match &received {
                Ok(_) => self.counts.received += 1,
                Err(Rejected::Foreign(_)) => self.counts.foreign += 1,
                Err(Rejected::Malformed(_)) => self.counts.malformed += 1,
                Err(Rejected::Truncated { size, .. }) => {
                    self.counts.truncated += 1;
                    self.lost = true;
                    largest = largest.max(*size);
                }
            }
            sink(received);
        }
        if largest > self.batch.slot_size() && self.batch.slot_size() < SLOT_SIZE_MAX {
            self.batch = Batch::new(largest.next_power_of_two().min(SLOT_SIZE_MAX));
        }
    }

    /// How many events the kernel has dropped on this socket since it was opened, from `net/netlink` below `proc`.
    pub fn drops(&self, proc: &Path) -> Result<u64, DropsError> {
        drops(self.socket.as_fd(), proc)
    }
}

/// How many datagrams the kernel has dropped on a netlink socket.
pub(super) fn drops(socket: BorrowedFd<'_>, proc: &Path) -> Result<u64, DropsError> {
    let inode = nix::sys::stat::fstat(socket).map_err(io::Error::from)?.st_ino;
    let table = std::fs::read(proc.join("net/netlink"))?;
    drops_of(&table, inode).ok_or(DropsError::NotListed)
}

impl AsFd for KernelSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The border: what is not from the kernel is looked at no further.
fn judge(datagram: &Datagram<'_>) -> Received {
    let sender = datagram.sender.ok_or(Foreign::NoSender)?;
    if sender.port != 0 {
        return Err(Foreign::Port(sender.port).into());
    }
    if sender.groups != KERNEL_GROUP {
        return Err(Foreign::Groups(sender.groups).into());
    }
    let user = datagram.credentials.ok_or(Foreign::NoCredentials)?.uid;
    // the port and the group are the kernel's, which nobody can forge; below another root than its own it shows a stranger
    if user != 0 && !userns::is_stranger(user) {
        return Err(Foreign::User(user).into());
    }
    if datagram.is_cut() {
        return Err(Rejected::Truncated { size: datagram.size, room: datagram.bytes.len() });
    }
    Ok(Uevent::parse(datagram.bytes)?)
}

/// The `Drops` column of the line with that `Inode`. The columns are found by the table's first line.
fn drops_of(table: &[u8], inode: u64) -> Option<u64> {
    let mut lines = table.lines();
    let names: Vec<&[u8]> = lines.next()?.fields().collect();
    let column = |name: &str| names.iter().position(|n| *n == name.as_bytes());
    let (drops, inodes) = (column("Drops")?, column("Inode")?);
    lines.find_map(|line| {
        let number = |at: usize| line.fields().nth(at).and_then(|f| f.to_str().ok()?.parse::<u64>().ok());
        (number(inodes)? == inode).then(|| number(drops))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::{Credentials, Sender};

    const EVENT: &[u8] = b"add@/a\0ACTION=add\0DEVPATH=/a\0SUBSYSTEM=s\0SEQNUM=1\0";

    #[test]
    fn who_is_believed() {
        let sender = |port, groups| Some(Sender { port, groups });
        let user = |uid| Some(Credentials { pid: 0, uid });
        let foreign = |f| Some(Rejected::Foreign(f));
        let cases = [
            (sender(0, 1), user(0), EVENT, EVENT.len(), None),
            (None, user(0), EVENT, EVENT.len(), foreign(Foreign::NoSender)),
            (sender(77, 1), user(0), EVENT, EVENT.len(), foreign(Foreign::Port(77))),
            (sender(0, 0), user(0), EVENT, EVENT.len(), foreign(Foreign::Groups(0))),
            (sender(0, 2), user(0), EVENT, EVENT.len(), foreign(Foreign::Groups(2))),
            (sender(0, 1), None, EVENT, EVENT.len(), foreign(Foreign::NoCredentials)),
            (sender(0, 1), user(1000), EVENT, EVENT.len(), foreign(Foreign::User(1000))),
            // A stranger's large datagram is a stranger's, and must not make the slots grow.
            (sender(77, 1), user(0), EVENT, 1 << 20, foreign(Foreign::Port(77))),
            (sender(0, 1), user(0), EVENT, 5000, Some(Rejected::Truncated { size: 5000, room: EVENT.len() })),
            (sender(0, 1), user(0), b"x\0", 2, Some(Rejected::Malformed(UeventError::Header))),
        ];
        for (sender, credentials, bytes, size, expected) in cases {
            let datagram = Datagram { bytes, size, sender, credentials };
            assert_eq!(judge(&datagram).err(), expected, "{datagram:?}");
        }
    }

    #[test]
    fn drops() {
        let table =
            b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
            00000000557c837f 0   0          00000000 0        0        0     2        0        4       \n\
            00000000c9097c09 15  4711       00000001 0        0        0     2        191      20511   \n\
            00000000c9097c0a 15  4711       00000001\n";
        for (inode, expected) in [(4, Some(0)), (20511, Some(191)), (191, None), (1, None)] {
            assert_eq!(drops_of(table, inode), expected, "{inode}");
        }
        assert_eq!(drops_of(b"", 4), None);
        assert_eq!(drops_of(b"sk Eth\n1 2\n", 1), None);
    }

    #[test]
    fn the_socket_can_go_to_a_thread_of_its_own() {
        fn can_be_sent<T: Send>() {}
        can_be_sent::<KernelSocket>();
    }
}
