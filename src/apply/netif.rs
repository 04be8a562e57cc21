//! Owns renaming network interfaces, by index through rtnetlink, so that a name that moved meanwhile can't be hit.
//!
//! Only the plain rename: altnames, MAC addresses and the like are not here.

use std::os::fd::{AsRawFd, OwnedFd};

use bstr::BString;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use crate::ids::IfIndex;

/// Longest name of an interface (`IFNAMSIZ - 1`).
const NAME_MAX: usize = 15;
/// Length of `struct nlmsghdr` and of `struct ifinfomsg`.
const HEADER: usize = 16;

/// What a rename came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// The interface has the name.
    Done,
    /// Another interface has it.
    Taken,
    /// The kernel does not rename it now: before 6.2 one that is up.
    Busy,
    /// There is no interface of this index.
    Gone,
}

/// An interface could not be renamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The kernel takes no such name, or would take it for something else.
    #[error("`{0}` is no name for an interface: 1 to 15 bytes without white space, `/`, `:` and `%`")]
    Name(BString),
    /// What the kernel said.
    #[error("can't rename interface {index} to `{name}`: {errno}")]
    Kernel {
        /// Which one.
        index: IfIndex,
        /// The name.
        name: BString,
        /// What the kernel said.
        errno: Errno,
    },
}

/// Gives interface `index` the name `name`. An interface that has it already keeps it ([`Renamed::Done`]).
pub fn rename(index: IfIndex, name: &[u8]) -> Result<Renamed, RenameError> {
    check_name(name)?;
    match request(index, name) {
        Ok(()) => Ok(Renamed::Done),
        Err(Errno::EEXIST) => Ok(Renamed::Taken),
        Err(Errno::EBUSY) => Ok(Renamed::Busy),
        Err(Errno::ENODEV) => Ok(Renamed::Gone),
        Err(errno) => Err(RenameError::Kernel { index, name: name.into(), errno }),
    }
}

/// `%` would be a pattern to the kernel (`eth%d`), `:` an alias to old tools.
fn check_name(name: &[u8]) -> Result<(), RenameError> {
    let odd = |b: &u8| b.is_ascii_control() || b.is_ascii_whitespace() || matches!(b, b'/' | b':' | b'%');
    if name.is_empty() || name.len() > NAME_MAX || name.iter().any(odd) || matches!(name, b"." | b"..") {
        return Err(RenameError::Name(name.into()));
    }
    Ok(())
}

fn request(index: IfIndex, name: &[u8]) -> Result<(), Errno> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(socket.as_raw_fd(), &set_name_message(index, name), MsgFlags::empty())?;
    answer(&socket)
}

/// `RTM_SETLINK` with `IFLA_IFNAME`, as `rtnetlink(7)` has it.
fn set_name_message(index: IfIndex, name: &[u8]) -> Vec<u8> {
    let attribute = 4 + name.len() + 1;
    let length = 2 * HEADER + attribute.next_multiple_of(4);
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK;
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_ne_bytes();
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend_from_slice(&libc::RTM_SETLINK.to_ne_bytes());
    out.extend_from_slice(&u16::try_from(flags).unwrap_or_default().to_ne_bytes());
    // sequence and port, both the kernel's to fill in
    out.extend_from_slice(&[0; 8]);
    // family, padding, type
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&index.get().to_ne_bytes());
    // flags and which of them change
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&short(attribute));
    out.extend_from_slice(&libc::IFLA_IFNAME.to_ne_bytes());
    out.extend_from_slice(name);
    out.resize(length, 0);
    out
}

fn answer(socket: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = [0; 8192];
    let length = loop {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let message = buffer.get(..length).unwrap_or_default();
    parse_answer(message).ok_or(Errno::EBADMSG)?
}

/// What an acknowledgement says; `None` if it is none.
fn parse_answer(message: &[u8]) -> Option<Result<(), Errno>> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(message.get(HEADER..HEADER + 4)?.try_into().ok()?);
    if i32::from(kind) != libc::NLMSG_ERROR {
        return None;
    }
    Some(if error == 0 { Ok(()) } else { Err(Errno::from_raw(error.saturating_neg())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_misread() {
        for name in ["", "a b", "a/b", "eth%d", "a:1", ".", "..", "a\n", "x123456789012345"] {
            assert_eq!(check_name(name.as_bytes()), Err(RenameError::Name(name.into())), "{name}");
        }
        for name in ["lan0", "x12345678901234", "..x"] {
            assert_eq!(check_name(name.as_bytes()), Ok(()), "{name}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_message() {
        let expected: &[u8] = &[
            44, 0, 0, 0, 19, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, // header
            0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // interface 7
            9, 0, 3, 0, b'l', b'a', b'n', b'0', 0, 0, 0, 0, // name
        ];
        assert_eq!(set_name_message(IfIndex::new(7).unwrap(), b"lan0"), expected);
    }

    #[test]
    fn answers_of_the_kernel() {
        let answer = |kind: i32, error: i32| {
            let mut message = vec![0; 36];
            message[4..6].copy_from_slice(&u16::try_from(kind).unwrap().to_ne_bytes());
            message[16..20].copy_from_slice(&error.to_ne_bytes());
            parse_answer(&message)
        };
        assert_eq!(answer(libc::NLMSG_ERROR, 0), Some(Ok(())));
        assert_eq!(answer(libc::NLMSG_ERROR, -libc::EEXIST), Some(Err(Errno::EEXIST)));
        assert_eq!(answer(libc::NLMSG_DONE, 0), None);
        assert_eq!(parse_answer(b"short"), None);
    }

    #[test]
    fn no_such_interface() {
        let last = IfIndex::new(i32::MAX as u32).unwrap();
        let result = rename(last, b"np-none");
        // without the right to change interfaces the kernel says so first
        let refused = matches!(result, Err(RenameError::Kernel { errno: Errno::EPERM, .. }));
        assert!(result == Ok(Renamed::Gone) || refused, "{result:?}");
    }

    /// In a network namespace of the test's own thread, where only `lo` is, down.
    #[test]
    fn a_real_interface() {
        use nix::net::if_::if_nametoindex;
        let renamed = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
            let index = IfIndex::new(if_nametoindex("lo").unwrap()).unwrap();
            assert_eq!(rename(index, b"lan0"), Ok(Renamed::Done));
            assert_eq!(rename(index, b"lan0"), Ok(Renamed::Done));
            assert_eq!(if_nametoindex("lan0"), Ok(index.get()));
            assert!(if_nametoindex("lo").is_err());
            Some(())
        });
        if renamed.join().unwrap().is_none() {
            println!("not run: a network namespace needs root");
        }
    }
}
