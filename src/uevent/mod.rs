//! Owns how events come in: the kernel's datagrams and libudev's monitor messages (pure codecs), the netlink sockets
//! that bring the former and take the latter out, libudev for who stands beside a udevd, and the search for holes in their numbers.
//!
//! Never decides what an event means, never logs: what was wrong with a datagram is returned as a value.

mod gaps;
mod kernel;
#[cfg(feature = "libudev")]
pub mod libudev;
pub mod monitor;
mod sender;
mod socket;

pub use gaps::{GAP_WINDOW, GapDetector, Missing};
pub use kernel::{Parsed, Uevent, UeventError};
pub use sender::Sender;
pub use socket::{
    Counts, DEFAULT_RECEIVE_BUFFER, Drained, DropsError, Foreign, KernelSocket, OpenError, Received, Rejected,
};
