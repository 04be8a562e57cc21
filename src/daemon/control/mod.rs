//! Owns the control socket: Varlink over a unix stream socket, for `nameplate`'s own verbs and for `varlinkctl`.
//!
//! The daemon stands behind the [`Commands`] trait, so that the socket can be tested without one. `protocol` is what goes
//! over the wire, `events` hands events to subscribers that may be slow, `frame` cuts the stream into messages, `server`
//! accepts and serves. Nothing here decides anything about devices, and no client can make the daemon wait: a connection
//! has its own thread, a subscriber its own bounded queue, a message a size limit, a write a timeout.

mod connection;
pub mod events;
pub mod frame;
mod manager;
pub mod protocol;
mod server;
pub mod udev;

use std::ops::ControlFlow;

pub use events::{Broadcast, Filter, Received, Subscription};
pub use server::{Lock, Server, StartError, socket_path};

use protocol::{Difference, List, Progress, Status};

/// Why a command of a client was not carried out; the message goes to that client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A parameter that has a wrong value: its name.
    #[error("invalid value of `{0}`")]
    InvalidParameter(&'static str),
    /// It can't be done; the text says why and what to do.
    #[error("{0}")]
    Failed(String),
}

/// What the daemon does for its clients. Called from many threads at once, one for each connection; who asks has already
/// been checked.
pub trait Commands: Send + Sync {
    /// How the daemon is.
    fn status(&self) -> Status;

    /// Every link, with its holder and who else wants it.
    fn list(&self) -> List;

    /// What a reload would change, changing nothing.
    fn reload_plan(&self) -> Result<Difference, CommandError>;

    /// Reads the rules again and applies what is different.
    fn reload(&self) -> Result<Difference, CommandError>;

    /// Waits until every event up to `seqnum` has been handled; `None` means the last one that the kernel has sent by now.
    ///
    /// Calls `progress` at once and then at least four times a second (that is also how the server notices a client that
    /// has gone or waited long enough), and stops when it answers `Break`. Returns the last state. `progress` may wait for a
    /// slow client for some seconds: hold no lock while you call it.
    fn settle(&self, seqnum: Option<u64>, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Progress;

    /// A queue of the events from now on; the daemon answers with its [`Broadcast::subscribe`].
    fn subscribe(&self, filter: Filter) -> Subscription;

    /// Sets what is logged: `error`, `warn`, `info`, `debug`, `trace`.
    fn set_log_level(&self, level: &str) -> Result<(), CommandError>;

    /// Asks the daemon to end; returns at once.
    fn exit(&self);
}
