//! Owns the tools' side of the control socket: a call, and its reply or replies.
//!
//! Never shows anything.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use varlink::{Reply, Request};

use super::exit::Exit;
use crate::daemon::control::frame::{FrameError, REPLY_LIMIT, read_message, write_message};
use crate::daemon::control::protocol::{INTERFACE, Progress, error};

/// How long the daemon may take for what it answers at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error(
        "no daemon answers at {}: {source}\n\
         start one with `nameplate daemon`, or give the --link-dir or --root of the one that runs",
        path.display()
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This user may not do this.
    #[error(
        "the daemon allows this only to root and to the user it runs as (you are uid {0}): try with sudo"
    )]
    Denied(u32),
    /// `Settle` has waited long enough.
    #[error("time is up: {} events are still waiting", .0.waiting)]
    TimedOut(Progress),
    /// The time to wait for a reply is over.
    #[error("the daemon does not answer; `nameplate status` and the log may say why")]
    NoAnswer,
    /// The daemon ended the connection.
    #[error("the daemon has ended the connection")]
    Ended,
    /// The daemon said no, and why.
    #[error("the daemon can't: {0}")]
    Refused(String),
    /// What came is not what the protocol says.
    #[error("the daemon speaks another version of the protocol: {0}")]
    Protocol(String),
    /// Talking to the daemon failed.
    #[error("talking to the daemon: {0}")]
    Io(#[from] io::Error),
}

impl ClientError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            ClientError::NoDaemon { .. } => Exit::NoDaemon,
            ClientError::Denied(_) => Exit::Denied,
            ClientError::TimedOut(_) | ClientError::NoAnswer => Exit::No,
            _ => Exit::Failed,
        }
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        use io::ErrorKind::{TimedOut, WouldBlock};
        match error {
            FrameError::Io(error) if matches!(error.kind(), TimedOut | WouldBlock) => ClientError::NoAnswer,
            FrameError::Io(error) => ClientError::Io(error),
            FrameError::Cut => ClientError::Ended,
            FrameError::TooLong(limit) => ClientError::Protocol(format!("a reply of over {limit} bytes")),
        }
    }
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon at a control socket.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| ClientError::NoDaemon { path: path.into(), source })?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Calls a method that answers at once.
    pub fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call_within(method, parameters, Some(PATIENCE))
    }

    /// Calls a method with one reply, which may take as long as `limit`.
    pub fn call_within<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: &impl Serialize,
        limit: Option<Duration>,
    ) -> Result<T, ClientError> {
        self.send(method, parameters, false)?;
        self.receive(limit).map(|(value, _)| value)
    }

    /// Calls a method with many replies; [`Client::receive`] gives them.
    pub fn call_more(&mut self, method: &str, parameters: &impl Serialize) -> Result<(), ClientError> {
        self.send(method, parameters, true)
    }

    fn send(&mut self, method: &str, parameters: &impl Serialize, more: bool) -> Result<(), ClientError> {
        let parameters = serde_json::to_value(parameters).map_err(io::Error::from)?;
        let request = Request {
            more: more.then_some(true),
            ..Request::create(format!("{INTERFACE}.{method}"), Some(parameters))
        };
        Ok(write_message(self.stream.get_mut(), &request)?)
    }

    /// The next reply, and whether more will come. Error [`ClientError::NoAnswer`] when none came within `limit`.
    pub fn receive<T: DeserializeOwned>(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<(T, bool), ClientError> {
        // A limit of zero would mean none to the kernel.
        let limit = limit.map(|limit| limit.max(Duration::from_millis(1)));
        self.stream.get_ref().set_read_timeout(limit)?;
        let message = read_message(&mut self.stream, REPLY_LIMIT)?.ok_or(ClientError::Ended)?;
        let reply: Reply =
            serde_json::from_slice(&message).map_err(|error| ClientError::Protocol(error.to_string()))?;
        let parameters = reply.parameters.unwrap_or_else(|| serde_json::json!({}));
        if let Some(name) = reply.error {
            return Err(refusal(&name, parameters));
        }
        let value =
            serde_json::from_value(parameters).map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok((value, reply.continues == Some(true)))
    }
}

/// An error reply as an error.
fn refusal(name: &str, parameters: serde_json::Value) -> ClientError {
    let shown = if parameters.as_object().is_none_or(serde_json::Map::is_empty) {
        name.to_string()
    } else {
        format!("{name} {parameters}")
    };
    let known = match name {
        error::PERMISSION_DENIED => serde_json::from_value(parameters)
            .map(|e: error::PermissionDenied| ClientError::Denied(e.uid))
            .ok(),
        error::TIMED_OUT => serde_json::from_value(parameters).map(ClientError::TimedOut).ok(),
        error::FAILED | error::BAD_MESSAGE => {
            serde_json::from_value(parameters).map(|e: error::Message| ClientError::Refused(e.message)).ok()
        }
        error::TOO_MANY_CONNECTIONS => Some(ClientError::Refused("too many connections are open".into())),
        _ => None,
    };
    known.unwrap_or(ClientError::Refused(shown))
}
