//! Owns the reception of many netlink datagrams by one call, with sender and credentials of each.
//!
//! `nix` has `recvmmsg` too, but its headers are tied to one thread and keep the control length of the call before.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams that one call can bring.
pub const SLOTS: usize = 32;

/// Bytes of a `struct sockaddr_nl`: family and padding (16 bits each), port, groups (32 bits each).
const ADDRESS_SIZE: usize = 12;
/// Room for control messages: one with credentials takes 32 bytes on a 64-bit machine.
const CONTROL_SIZE: usize = 64;
/// Bytes of a `struct ucred`: pid, uid, gid.
const CREDENTIALS_SIZE: usize = 12;

/// Where a datagram came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The sender's netlink port; 0 is the kernel.
    pub port: u32,
    /// The groups it was sent to, as a mask; 0 for a datagram sent to this socket alone.
    pub groups: u32,
}

/// Who sent a datagram, as the kernel attests it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Process; 0 is the kernel.
    pub pid: i32,
    /// User.
    pub uid: u32,
}

/// One datagram of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What was received: the whole, or the first part of a datagram larger than a slot.
    pub bytes: &'a [u8],
    /// The size that it had in the socket.
    pub size: usize,
    /// Its sender; `None` if the kernel gave no address.
    pub sender: Option<Sender>,
    /// Its sender's credentials; `None` if there were none with it.
    pub credentials: Option<Credentials>,
}

impl Datagram<'_> {
    /// True when a part of it was lost because the slot was too small.
    pub fn is_cut(&self) -> bool {
        self.size > self.bytes.len()
    }
}

/// Control messages have to be aligned as the kernel aligns them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_SIZE]);

#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
struct Address([u8; ADDRESS_SIZE]);

#[derive(Debug, Clone, Copy)]
struct Slot {
    size: usize,
    address: Address,
    address_size: usize,
    control: Control,
}

const EMPTY: Slot = Slot {
    size: 0,
    address: Address([0; ADDRESS_SIZE]),
    address_size: 0,
    control: Control([0; CONTROL_SIZE]),
};

/// Room for [`SLOTS`] datagrams, used again for each call.
///
/// The memory of a slot costs nothing until a datagram needs it: pages that were never written to are not there.
pub struct Batch {
    slot_size: usize,
    bytes: Vec<u8>,
    slots: [Slot; SLOTS],
    filled: usize,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("slot_size", &self.slot_size).field("filled", &self.filled).finish()
    }
}

impl Batch {
    /// Room for datagrams of up to `slot_size` bytes each.
    pub fn new(slot_size: usize) -> Self {
        let slot_size = slot_size.max(1);
        Self { slot_size, bytes: vec![0; slot_size * SLOTS], slots: [EMPTY; SLOTS], filled: 0 }
    }

    /// The largest datagram that fits.
    pub fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Receives what is there, up to [`SLOTS`] datagrams, without waiting; how many came. What was there is forgotten.
    ///
    /// Errors are the kernel's: `WouldBlock` when the socket is empty, `ENOBUFS` when it has lost datagrams.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = 0;
        self.slots = [EMPTY; SLOTS];
        // SAFETY: an iovec of a null pointer and length 0 is valid, and so is a message header without anything.
        let (mut parts, mut headers) =
            unsafe { std::mem::zeroed::<([libc::iovec; SLOTS], [libc::mmsghdr; SLOTS])>() };
        let rooms = self.bytes.chunks_exact_mut(self.slot_size);
        for (((header, part), room), slot) in
            headers.iter_mut().zip(&mut parts).zip(rooms).zip(&mut self.slots)
        {
            part.iov_base = room.as_mut_ptr().cast();
            part.iov_len = room.len();
            let header = &mut header.msg_hdr;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_name = slot.address.0.as_mut_ptr().cast();
            header.msg_namelen = libc_size(ADDRESS_SIZE);
            header.msg_control = slot.control.0.as_mut_ptr().cast();
            // The field is 32 or 64 bits wide, as the C library has it.
            header.msg_controllen = CONTROL_SIZE as _;
        }
        // MSG_TRUNC: the real size of a datagram that did not fit is told.
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the headers point to rooms, addresses and control buffers of `self`, of the sizes they state, each for
        // one header only; all of them outlive the call, and no reference to them is used while it runs.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                libc_size(SLOTS),
                flags as _,
                std::ptr::null_mut(),
            )
        };
        // A negative count is the error.
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            slot.size = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
            slot.address_size = usize::try_from(header.msg_hdr.msg_namelen).unwrap_or(0);
        }
        self.filled = count;
        Ok(count)
    }

    /// The datagrams of the last call, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots.iter().zip(self.bytes.chunks_exact(self.slot_size)).take(self.filled).map(
            |(slot, room)| Datagram {
                bytes: room.get(..slot.size).unwrap_or(room),
                size: slot.size,
                sender: sender(slot.address.0.get(..slot.address_size).unwrap_or_default()),
                credentials: credentials(&slot.control.0),
            },
        )
    }
}

/// A small constant as the C type that a header wants.
fn libc_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(0)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// Reads a `struct sockaddr_nl`.
fn sender(address: &[u8]) -> Option<Sender> {
    if address.len() != ADDRESS_SIZE {
        return None;
    }
    let family = u16::from_ne_bytes(address.get(..2)?.try_into().ok()?);
    let netlink = i32::from(family) == libc::AF_NETLINK;
    netlink.then_some(Sender { port: word(address, 4)?, groups: word(address, 8)? })
}

/// Finds `SCM_CREDENTIALS` among control messages. Each is a length of the machine's word size (header included), level
/// and type of 32 bits, then its data; the next one begins at a multiple of the word size. Zeros behind the last one end
/// the search, so the buffer is cleared before each call.
fn credentials(mut control: &[u8]) -> Option<Credentials> {
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 8;
    while let Some(header) = control.get(..HEADER) {
        let length = usize::from_ne_bytes(header.get(..WORD)?.try_into().ok()?);
        let data = control.get(HEADER..length)?;
        let (level, kind) = (word(header, WORD)?, word(header, WORD + 4)?);
        if level == libc::SOL_SOCKET.cast_unsigned()
            && kind == libc::SCM_CREDENTIALS.cast_unsigned()
            && data.len() >= CREDENTIALS_SIZE
        {
            return Some(Credentials { pid: word(data, 0)?.cast_signed(), uid: word(data, 4)? });
        }
        control = control.get(length.next_multiple_of(WORD)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_ne_bytes()).collect()
    }

    fn message(level: i32, kind: i32, data: &[u32]) -> Vec<u8> {
        let mut out = (size_of::<usize>() + 8 + data.len() * 4).to_ne_bytes().to_vec();
        out.extend(bytes(&[level.cast_unsigned(), kind.cast_unsigned()]));
        out.extend(bytes(data));
        out.resize(out.len().next_multiple_of(size_of::<usize>()), 0);
        out
    }

    #[test]
    fn addresses() {
        let mut address = 16u16.to_ne_bytes().to_vec();
        address.extend(0u16.to_ne_bytes());
        address.extend(bytes(&[4711, 1]));
        assert_eq!(sender(&address), Some(Sender { port: 4711, groups: 1 }));
        assert_eq!(sender(&address[..8]), None);
        assert_eq!(sender(&[]), None);
        address[..2].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(sender(&address), None, "an internet address");
    }

    #[test]
    fn control_messages() {
        let mine = message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[12, 1000, 100]);
        let found = Some(Credentials { pid: 12, uid: 1000 });
        assert_eq!(credentials(&mine), found);
        let other = message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[3]);
        assert_eq!(credentials(&[other.clone(), mine.clone()].concat()), found);
        assert_eq!(credentials(&other), None);
        assert_eq!(credentials(&mine[..mine.len() - 8]), None, "cut");
        assert_eq!(credentials(&message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[12])), None, "short");
        assert_eq!(credentials(&[0; CONTROL_SIZE]), None, "a length of 0 must not loop");
        assert_eq!(credentials(&[0xff; CONTROL_SIZE]), None);
    }
}
