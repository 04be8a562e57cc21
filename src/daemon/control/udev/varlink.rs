//! Owns udev's Varlink interfaces as systemd has them from 258 on: `io.systemd.Udev` and `io.systemd.service`.
//!
//! Parameters in, calls of the [`DeviceManager`], replies out. Keeps nothing between calls.

use std::io::BufRead;
use std::sync::Arc;

use bstr::ByteSlice;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use varlink::{Call, CallTrait, Interface, Reply, VarlinkService};

use super::DeviceManager;
use crate::daemon::control::connection::Peer;
use crate::daemon::control::server::Services;
use crate::properties::Properties;

const UDEV: &str = "io.systemd.Udev";
const SERVICE: &str = "io.systemd.service";

const UDEV_DESCRIPTION: &str = "\
# Control of the device manager.
interface io.systemd.Udev

# Logs all that rules do, or no longer.
method SetTrace(enable: bool) -> ()
# At most so many events at a time; 0: as configured.
method SetChildrenMax(number: int) -> ()
# Properties that every event has; KEY= takes one away.
method SetEnvironment(assignments: []string) -> ()
# Takes back what was set with the other methods.
method Revert() -> ()
# Begins events again.
method StartExecQueue() -> ()
# Begins no event from now on.
method StopExecQueue() -> ()
# Ends the daemon.
method Exit() -> ()
";

const SERVICE_DESCRIPTION: &str = "\
# What every service can be asked.
interface io.systemd.service

# Answers when all events that the kernel has sent have been read.
method Ping() -> ()
# Reads rules and databases again.
method Reload() -> ()
# Logs so much, as syslog counts.
method SetLogLevel(level: int) -> ()
# The properties that every event has.
method GetEnvironment() -> (environment: ?[]string)

# A value that a parameter can't have.
error InconsistentEnvironment()
";

/// What answers on each connection.
pub(super) fn services(manager: Arc<dyn DeviceManager>) -> Arc<Services> {
    Arc::new(move |peer, _stream| {
        let one = |name, description, call| -> Box<dyn Interface + Send + Sync> {
            Box::new(Udev { name, description, call, peer, manager: Arc::clone(&manager) })
        };
        let interfaces: Vec<Box<dyn Interface + Send + Sync>> =
            vec![one(UDEV, UDEV_DESCRIPTION, udev), one(SERVICE, SERVICE_DESCRIPTION, service)];
        VarlinkService::new("nameplate", "nameplate", env!("CARGO_PKG_VERSION"), "", interfaces)
    })
}

/// Why a call is refused.
enum Refusal {
    Unknown,
    Parameter(String),
}

type Answer = Result<Value, Refusal>;

struct Udev {
    name: &'static str,
    description: &'static str,
    call: fn(&dyn DeviceManager, &str, Value) -> Answer,
    peer: Peer,
    manager: Arc<dyn DeviceManager>,
}

impl Interface for Udev {
    fn get_description(&self) -> &'static str {
        self.description
    }

    fn get_name(&self) -> &'static str {
        self.name
    }

    /// Never called: no method upgrades its connection.
    fn call_upgraded(&self, _call: &mut Call<'_>, _reader: &mut dyn BufRead) -> varlink::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn call(&self, call: &mut Call<'_>) -> varlink::Result<()> {
        if self.peer.uid != 0 && !self.peer.may_change {
            return call.reply_struct(Reply::error("org.varlink.service.PermissionDenied", None));
        }
        let request = call.get_request();
        let method = request.map(|request| request.method.to_string()).unwrap_or_default();
        let parameters = request.and_then(|request| request.parameters.clone());
        let name = method.rsplit('.').next().unwrap_or_default();
        match (self.call)(&*self.manager, name, parameters.unwrap_or_else(|| json!({}))) {
            Ok(value) => call.reply_struct(Reply::parameters(Some(value))),
            Err(Refusal::Unknown) => call.reply_method_not_found(method),
            Err(Refusal::Parameter(name)) => call.reply_invalid_parameter(name),
        }
    }
}

fn take<T: DeserializeOwned>(parameters: Value, name: &'static str) -> Result<T, Refusal> {
    serde_json::from_value(parameters).map_err(|_| Refusal::Parameter(name.into()))
}

/// For a method that has no parameter.
fn none(parameters: &Value) -> Result<(), Refusal> {
    let first = parameters.as_object().and_then(|all| all.keys().next());
    first.map_or(Ok(()), |name| Err(Refusal::Parameter(name.clone())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace {
    enable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChildrenMax {
    number: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    assignments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    level: u8,
}

fn udev(manager: &dyn DeviceManager, method: &str, parameters: Value) -> Answer {
    match method {
        "SetTrace" => {
            let Trace { enable } = take(parameters, "enable")?;
            manager.set_trace(enable);
        }
        "SetChildrenMax" => {
            let ChildrenMax { number } = take(parameters, "number")?;
            manager.set_children_max(usize::try_from(number).ok().filter(|&number| number > 0));
        }
        "SetEnvironment" => {
            let Environment { assignments } = take(parameters, "assignments")?;
            // all or none
            let mut properties = Properties::new();
            let is_one = |text: &String| properties.set_line(text.as_bytes()).is_ok();
            if !assignments.iter().all(is_one) {
                return Err(Refusal::Parameter("assignments".into()));
            }
            for text in &assignments {
                super::packets::set_global(manager, text.as_bytes().as_bstr());
            }
        }
        "Revert" => {
            none(&parameters)?;
            manager.set_trace(false);
            manager.set_children_max(None);
            manager.clear_globals();
        }
        "StartExecQueue" => none(&parameters).map(|()| manager.pause(false))?,
        "StopExecQueue" => none(&parameters).map(|()| manager.pause(true))?,
        "Exit" => none(&parameters).map(|()| manager.exit())?,
        _ => return Err(Refusal::Unknown),
    }
    Ok(json!({}))
}

fn service(manager: &dyn DeviceManager, method: &str, parameters: Value) -> Answer {
    match method {
        "Ping" => none(&parameters).map(|()| manager.ping())?,
        "Reload" => none(&parameters).map(|()| manager.reload())?,
        "SetLogLevel" => {
            let LogLevel { level } = take(parameters, "level")?;
            if level > 7 {
                return Err(Refusal::Parameter("level".into()));
            }
            manager.set_log_level(Some(level));
        }
        "GetEnvironment" => {
            none(&parameters)?;
            let list: Vec<_> =
                manager.globals().iter().map(|text| text.to_str_lossy().into_owned()).collect();
            return Ok(json!({ "environment": list }));
        }
        _ => return Err(Refusal::Unknown),
    }
    Ok(json!({}))
}
