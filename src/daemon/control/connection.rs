//! Owns one connection: message after message, each answered through the `varlink` crate's service, until the client leaves
//! or sends something that is no message.
//!
//! Who asks is the kernel's word (`SO_PEERCRED`), taken once. Never shares anything with another connection.

use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use varlink::{ConnectionHandler, Reply, Request, VarlinkService};

use super::Commands;
use super::frame::{self, FrameError, REQUEST_LIMIT, read_message, write_message};
use super::manager::Manager;
use super::protocol::error;
use super::server::Services;

/// Longest wait for a client that does not read its reply; then the connection is closed.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    /// True for root and for the user of the daemon.
    pub(super) may_change: bool,
}

impl Peer {
    pub(super) fn new(uid: u32) -> Self {
        Self { uid, may_change: uid == 0 || uid == nix::unistd::geteuid().as_raw() }
    }
}

/// Serves a connection to its end.
pub(super) fn serve(stream: UnixStream, peer: Peer, services: &Services) {
    match serve_messages(&stream, peer, services) {
        Ok(()) => {}
        Err(FrameError::TooLong(limit)) => {
            refuse_message(&stream, &format!("the message is longer than {limit} bytes"));
        }
        Err(error) => tracing::debug!("control connection of uid {} ended: {error}", peer.uid),
    }
    // Other handles of the socket are still among the open connections.
    let _closes = stream.shutdown(std::net::Shutdown::Both);
}

/// What answers on the daemon's own control socket.
pub(super) fn services(commands: Arc<dyn Commands>) -> Arc<Services> {
    Arc::new(move |peer, stream| {
        let manager = Manager::new(Arc::clone(&commands), peer, stream);
        VarlinkService::new("nameplate", "nameplate", env!("CARGO_PKG_VERSION"), "", vec![Box::new(manager)])
    })
}

fn serve_messages(stream: &UnixStream, peer: Peer, services: &Services) -> Result<(), FrameError> {
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let service = services(peer, stream.try_clone()?);
    let mut reader = BufReader::new(stream);
    while let Some(message) = read_message(&mut reader, REQUEST_LIMIT)? {
        if let Err(why) = answer(&service, message, stream)? {
            refuse_message(stream, &why);
            return Ok(());
        }
    }
    Ok(())
}

/// Answers one message. The inner error says what is wrong with the message; the outer one ends the connection.
fn answer(
    service: &VarlinkService,
    mut message: Vec<u8>,
    stream: &UnixStream,
) -> Result<Result<(), String>, FrameError> {
    let request: Request<'_> = match serde_json::from_slice(&message) {
        Ok(request) => request,
        Err(error) => return Ok(Err(format!("not a Varlink call: {error}"))),
    };
    let oneway = request.oneway == Some(true);
    message.push(0);
    let mut unheard = io::sink();
    let mut heard = stream;
    let writer: &mut dyn Write = if oneway { &mut unheard } else { &mut heard };
    match service.handle(&mut message.as_slice(), writer, None) {
        Ok(_) => Ok(Ok(())),
        Err(error) => match error.kind() {
            varlink::ErrorKind::SerdeJsonDe(why) => Ok(Err(format!("wrong parameters: {why}"))),
            varlink::ErrorKind::Io(kind) => Err(io::Error::from(*kind).into()),
            other => Err(io::Error::other(other.to_string()).into()),
        },
    }
}

fn refuse_message(mut stream: &UnixStream, why: &str) {
    let parameters = serde_json::json!({ "message": why });
    let reply = Reply::error(error::BAD_MESSAGE, Some(parameters));
    if let Err(error) = write_message(&mut stream, &reply) {
        tracing::debug!("the error reply did not reach the client: {error}");
    }
}

/// Tells a client that there is no place for it; never waits for it.
pub(super) fn refuse(mut stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    frame::write_message(&mut stream, &Reply::error(error::TOO_MANY_CONNECTIONS, None))
}
