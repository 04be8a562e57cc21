//! Owns the methods of `io.nameplate.Manager`: parameters in, a [`Commands`] call, replies out.
//!
//! One [`Manager`] serves one connection and knows who is at its other end. Never keeps state between calls.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use varlink::{Call, CallTrait, Interface, Reply};

use super::connection::Peer;
use super::events::{Filter, Received};
use super::protocol::{
    DESCRIPTION, INTERFACE, LogLevelParameters, MonitorParameters, MonitorReply, Progress, ReloadParameters,
    SettleParameters, error,
};
use super::{CommandError, Commands};

/// How often a subscriber's connection is looked at for its end while there are no events.
const HANG_UP_CHECK: Duration = Duration::from_millis(250);

/// Why a call was not answered with its reply.
enum Refusal {
    Permission,
    Parameters(String),
    Command(CommandError),
    TimedOut(Progress),
    ExpectedMore,
    NoSuchMethod,
    /// The client has gone, or does not read: nothing can be said to it.
    Connection(varlink::Error),
}

impl From<varlink::Error> for Refusal {
    fn from(error: varlink::Error) -> Self {
        Refusal::Connection(error)
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Refusal::Command(error)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Refusal::Command(CommandError::Failed(format!("the reply can't be written: {error}")))
    }
}

pub(super) struct Manager {
    commands: Arc<dyn Commands>,
    peer: Peer,
    stream: UnixStream,
}

impl Interface for Manager {
    fn get_description(&self) -> &'static str {
        DESCRIPTION
    }

    fn get_name(&self) -> &'static str {
        INTERFACE
    }

    /// Never called: no method upgrades its connection.
    fn call_upgraded(&self, _call: &mut Call<'_>, _reader: &mut dyn BufRead) -> varlink::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn call(&self, call: &mut Call<'_>) -> varlink::Result<()> {
        let method = call.get_request().map(|request| request.method.to_string()).unwrap_or_default();
        let name = method.rsplit('.').next().unwrap_or_default();
        let Err(refusal) = self.dispatch(name, call) else { return Ok(()) };
        call.set_continues(false);
        refuse(call, refusal, self.peer, method)
    }
}

impl Manager {
    pub(super) fn new(commands: Arc<dyn Commands>, peer: Peer, stream: UnixStream) -> Self {
        Self { commands, peer, stream }
    }

    fn dispatch(&self, method: &str, call: &mut Call<'_>) -> Result<(), Refusal> {
        match method {
            "Status" => reply(call, &self.commands.status()),
            "List" => reply(call, &self.commands.list()),
            "Settle" => self.settle(call),
            "Monitor" => self.monitor(call),
            "Reload" => self.reload(call),
            "SetLogLevel" => {
                self.may_change()?;
                let LogLevelParameters { level } = parameters(call)?;
                self.commands.set_log_level(&level)?;
                Ok(call.reply_struct(Reply::parameters(Some(serde_json::json!({}))))?)
            }
            "Exit" => {
                self.may_change()?;
                // The reply first: afterwards the connection may already be closed.
                let replied = call.reply_struct(Reply::parameters(Some(serde_json::json!({}))));
                self.commands.exit();
                Ok(replied?)
            }
            _ => Err(Refusal::NoSuchMethod),
        }
    }

    fn may_change(&self) -> Result<(), Refusal> {
        if self.peer.may_change { Ok(()) } else { Err(Refusal::Permission) }
    }

    fn reload(&self, call: &mut Call<'_>) -> Result<(), Refusal> {
        let ReloadParameters { plan } = parameters(call)?;
        // A plan changes nothing, but it evaluates every device: that is not for everybody either.
        self.may_change()?;
        let difference = if plan { self.commands.reload_plan() } else { self.commands.reload() };
        reply(call, &difference?)
    }

    fn settle(&self, call: &mut Call<'_>) -> Result<(), Refusal> {
        let SettleParameters { seqnum, timeout_usec } = parameters(call)?;
        let end = timeout_usec.and_then(|usec| Instant::now().checked_add(Duration::from_micros(usec)));
        let more = call.wants_more();
        let mut told = None;
        let mut failed = None;
        let last = self.commands.settle(seqnum, &mut |progress| {
            if progress.waiting == 0 {
                return ControlFlow::Continue(());
            }
            if self.has_hung_up() || end.is_some_and(|end| Instant::now() >= end) {
                return ControlFlow::Break(());
            }
            if more && told.replace(progress) != Some(progress) {
                call.set_continues(true);
                if let Err(refusal) = reply(call, &progress) {
                    failed = Some(refusal);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        match failed {
            Some(refusal) => Err(refusal),
            None if last.waiting > 0 => Err(Refusal::TimedOut(last)),
            None => {
                call.set_continues(false);
                reply(call, &last)
            }
        }
    }

    fn monitor(&self, call: &mut Call<'_>) -> Result<(), Refusal> {
        let asked: MonitorParameters = parameters(call)?;
        if !call.wants_more() {
            return Err(Refusal::ExpectedMore);
        }
        let subscription = self.commands.subscribe(Filter::from(asked));
        call.set_continues(true);
        reply(call, &MonitorReply::default())?;
        loop {
            match subscription.receive(HANG_UP_CHECK) {
                Received::Event(event) => {
                    reply(call, &MonitorReply { event: Some((*event).clone()), lost: None })?;
                }
                Received::Lost(lost) => reply(call, &MonitorReply { event: None, lost: Some(lost) })?,
                Received::Nothing if self.has_hung_up() => return Ok(()),
                Received::Nothing => {}
                Received::Closed => {
                    call.set_continues(false);
                    return reply(call, &MonitorReply::default());
                }
            }
        }
    }

    /// True when the client has closed its side wholly. One that has only ended its writing still reads.
    fn has_hung_up(&self) -> bool {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
            && fds.first().and_then(PollFd::revents).is_some_and(|events| events.intersects(hung_up))
    }
}

/// The parameters of a call; none at all are as `{}`.
fn parameters<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, Refusal> {
    let given = call.get_request().and_then(|request| request.parameters.clone());
    let given = given.unwrap_or_else(|| serde_json::json!({}));
    serde_json::from_value(given).map_err(|error| Refusal::Parameters(error.to_string()))
}

fn reply(call: &mut Call<'_>, value: &impl Serialize) -> Result<(), Refusal> {
    let parameters = serde_json::to_value(value)?;
    Ok(call.reply_struct(Reply::parameters(Some(parameters)))?)
}

/// Says why not, in Varlink's words where it has them.
fn refuse(call: &mut Call<'_>, refusal: Refusal, peer: Peer, method: String) -> varlink::Result<()> {
    let (name, parameters) = match refusal {
        Refusal::Connection(error) => return Err(error),
        Refusal::NoSuchMethod => return call.reply_method_not_found(method),
        Refusal::Parameters(why) => return call.reply_invalid_parameter(why),
        Refusal::Command(CommandError::InvalidParameter(name)) => {
            return call.reply_invalid_parameter(name.into());
        }
        Refusal::Command(CommandError::Failed(message)) => {
            (error::FAILED, serde_json::to_value(error::Message { message }))
        }
        Refusal::Permission => {
            (error::PERMISSION_DENIED, serde_json::to_value(error::PermissionDenied { uid: peer.uid }))
        }
        Refusal::TimedOut(progress) => (error::TIMED_OUT, serde_json::to_value(progress)),
        Refusal::ExpectedMore => (error::EXPECTED_MORE, Ok(serde_json::json!({}))),
    };
    call.reply_struct(Reply::error(name, parameters.ok()))
}
