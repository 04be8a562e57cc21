//! Owns the shapes of the control protocol: parameters and replies of `io.nameplate.Manager`, shared by daemon and tools.
//!
//! The interface description beside this file says the same in Varlink's own language; a test holds the two together.
//! JSON strings are Unicode and the kernel's are bytes: [`text`] says how bytes that are not UTF-8 are written.
//! Never does any I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diag::{self, Diagnostic};

/// Name of the interface, and of the socket in the run directory.
pub const INTERFACE: &str = "io.nameplate.Manager";

/// The interface description, for `varlinkctl introspect`.
pub const DESCRIPTION: &str = include_str!("io.nameplate.Manager.varlink");

/// Bytes as the text of a JSON string: valid UTF-8 stands as it is, each other byte as `\xHH` (four characters).
///
/// A value of UTF-8 that holds such four characters itself can't be told from it; values with such bytes are broken device
/// strings, for which readable matters more than reversible.
pub fn text(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    out
}

/// How the daemon stands to udevd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// nameplate is the device manager.
    #[default]
    Standalone,
    /// udevd is; nameplate adds names.
    Companion,
}

impl Mode {
    /// The mode in words for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Companion => "companion to udevd",
        }
    }
}

/// Udevd, as a companion sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Udevd {
    /// One runs.
    pub running: bool,
    /// Events are taken from it, and its properties with them; else they are the kernel's.
    pub heard: bool,
    /// Events of the kernel's, and devices, that it has not handled.
    pub owed: u64,
}

/// Reply of `Status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// How the daemon stands to udevd.
    pub mode: Mode,
    /// Why so, in words.
    pub mode_reason: String,
    /// Beside a udevd: how that one is.
    pub udevd: Option<Udevd>,
    /// Version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Microseconds since it started.
    pub uptime_usec: u64,
    /// True once the devices of the start have their names.
    pub ready: bool,
    /// The tree.
    pub devices: Devices,
    /// Events since the start.
    pub events: Events,
    /// Events that wait.
    pub queue: Queue,
    /// Worker threads.
    pub workers: u64,
    /// Links in place.
    pub links: u64,
    /// Names that more than one device wants, or that something else holds.
    pub collisions: u64,
    /// The rules in force.
    pub rules: Rules,
    /// Log messages given up because the journal did not take them.
    pub log_dropped: u64,
    /// Bytes of the uevent socket's receive buffer, as the kernel granted them.
    pub receive_buffer: u64,
}

/// Counts of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Devices {
    /// Devices that are there.
    pub live: u64,
    /// Devices that have gone while something still holds them.
    pub gone_but_held: u64,
    /// Heap bytes of the whole tree.
    pub bytes: u64,
}

/// Counts of events since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Events {
    /// Taken from the socket.
    pub received: u64,
    /// Handled to the end.
    pub handled: u64,
    /// Given up: a worker failed.
    pub failed: u64,
    /// Merged into another event of the same device.
    pub coalesced: u64,
    /// Not sent by the kernel, dropped.
    pub foreign: u64,
    /// Not an event by its form, dropped.
    pub malformed: u64,
    /// Longer than the buffer, dropped.
    pub truncated: u64,
    /// Times that the kernel said that events were lost.
    pub overruns: u64,
    /// Times that a sequence number was skipped.
    pub gaps: u64,
    /// Times that the tree was compared with sysfs.
    pub resyncs: u64,
    /// Events that the kernel counts as dropped at our socket.
    pub dropped_by_kernel: u64,
}

/// Counts of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Queue {
    /// Events that wait for a worker or for an earlier event.
    pub waiting: u64,
    /// Events in work.
    pub running: u64,
    /// Most that may wait.
    pub limit: u64,
    /// Most that ever waited.
    pub high_water: u64,
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Files in force.
    pub files: u64,
    /// Rules in them.
    pub rules: u64,
    /// What is wrong in the texts in force: each cost its rule, or its key, alone.
    pub mistakes: Vec<DiagnosticEntry>,
    /// Files of which an older version (or none) is in force, because the one on disk is broken.
    pub refused: Vec<RefusedFile>,
}

/// A rule file that is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefusedFile {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub diagnostics: Vec<DiagnosticEntry>,
}

/// One thing wrong with a file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiagnosticEntry {
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// Stable short name of the kind.
    pub code: String,
    /// What is wrong, in one line.
    pub message: String,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The repair, where one is known.
    pub hint: Option<String>,
    /// All of it as people read it, with the line of the file and the place underlined.
    pub rendered: String,
}

impl From<&Diagnostic> for DiagnosticEntry {
    fn from(diagnostic: &Diagnostic) -> Self {
        let severity = match diagnostic.severity {
            diag::Severity::Note => "note",
            diag::Severity::Warning => "warning",
            diag::Severity::Error => "error",
        };
        Self {
            severity: severity.into(),
            code: diagnostic.code.into(),
            message: diagnostic.message.clone(),
            file: diagnostic.place.file.path.to_string_lossy().into_owned(),
            line: diagnostic.place.line,
            column: diagnostic.place.column,
            hint: diagnostic.hint.clone(),
            rendered: diag::render(diagnostic, false),
        }
    }
}

/// Reply of `List`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct List {
    /// Every link, by name.
    pub links: Vec<LinkEntry>,
    /// Every name that a device asked for and did not get, other than by a lower priority.
    pub collisions: Vec<CollisionEntry>,
}

/// A link, who holds it, and who else wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkEntry {
    /// The name below the link directory.
    pub name: String,
    /// What the link points at.
    pub target: String,
    /// The holder's device id.
    pub device: String,
    /// The holder's priority.
    pub priority: i32,
    /// `file:line` of the rule that asked for it.
    pub from: Option<String>,
    /// The other devices that want the name, the next in line first.
    pub others: Vec<Claimant>,
}

/// A device that wants a name which another one holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claimant {
    /// Its device id.
    pub device: String,
    /// Its priority.
    pub priority: i32,
}

/// A name that a device did not get.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollisionEntry {
    /// The name.
    pub name: String,
    /// The device that did not get it.
    pub device: String,
    /// What is in the way: the holder of equal priority, a file that is not ours …
    pub reason: String,
}

/// Parameters of `Reload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReloadParameters {
    /// True: show the difference and change nothing.
    pub plan: bool,
}

/// Reply of `Reload`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Difference {
    /// False when this was only a plan.
    pub applied: bool,
    /// Devices that were looked at.
    pub devices: u64,
    /// What is (or would be) different.
    pub changes: Vec<Change>,
    /// Files that were refused: their older version stays in force.
    pub refused: Vec<String>,
    /// What is wrong with the files, warnings included.
    pub diagnostics: Vec<DiagnosticEntry>,
}

/// One thing that a reload changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Change {
    /// The device's id.
    pub device: String,
    /// Its path.
    pub devpath: String,
    /// What kind of thing: `link`, `owner`, `group`, `mode`, `priority`, `property`, `tag` …
    pub what: String,
    /// Which one, for a link, property or tag.
    pub name: Option<String>,
    /// The value so far, absent if there was none.
    pub old: Option<String>,
    /// The value from now on, absent if there is none.
    pub new: Option<String>,
    /// `file:line` of the rule that asks for it.
    pub from: Option<String>,
}

/// Parameters of `Settle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettleParameters {
    /// Wait for all events up to this one; absent: up to the last one that the kernel has sent by now.
    pub seqnum: Option<u64>,
    /// Longest wait in microseconds; absent: no limit.
    pub timeout_usec: Option<u64>,
}

/// Replies of `Settle`: some on the way, the last one with `waiting` 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Events handled since the wait began.
    pub done: u64,
    /// Events up to `seqnum` that are not handled yet.
    pub waiting: u64,
    /// The last event that is waited for.
    pub seqnum: u64,
}

/// Parameters of `Monitor`. Neither: both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorParameters {
    /// Events as they come from the kernel.
    pub kernel: bool,
    /// Events that the rules have been applied to.
    pub handled: bool,
}

/// Replies of `Monitor`. The first has neither field: from here on every event is seen or counted as lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MonitorReply {
    /// An event.
    pub event: Option<EventEntry>,
    /// So many events were left out here, because the client did not read fast enough.
    pub lost: Option<u64>,
}

/// Which of its two moments an event is seen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventSource {
    /// As it came from the kernel.
    #[default]
    Kernel,
    /// As a udevd sent it on when it had handled it: what the daemon hears beside one.
    Udev,
    /// After the rules have been applied.
    Handled,
}

/// An event as subscribers see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventEntry {
    /// Which of its two moments.
    pub source: EventSource,
    /// The kernel's word: `add`, `remove` …
    pub action: String,
    /// The device's path below `/sys`.
    pub devpath: String,
    /// Its subsystem, where it has one.
    pub subsystem: Option<String>,
    /// Its `DEVTYPE`, where it has one.
    pub devtype: Option<String>,
    /// The kernel's number of the event; absent for one that the daemon made (start, resync, reload).
    pub seqnum: Option<u64>,
    /// When, in microseconds of the monotonic clock.
    pub usec: u64,
    /// The node below `/dev`, where it has one.
    pub node: Option<String>,
    /// All properties.
    pub properties: BTreeMap<String, String>,
    /// The links of the device that are in place (handled events only).
    pub links: Vec<String>,
    /// The tags (handled events only).
    pub tags: Vec<String>,
}

/// Parameters of `SetLogLevel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevelParameters {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// The errors of the interface: their names and their parameters.
pub mod error {
    use serde::{Deserialize, Serialize};

    /// The caller may not do this: only root and the user of the daemon may change anything.
    pub const PERMISSION_DENIED: &str = "io.nameplate.Manager.PermissionDenied";
    /// `Settle` has waited long enough; parameters: [`super::Progress`].
    pub const TIMED_OUT: &str = "io.nameplate.Manager.TimedOut";
    /// It can't be done; parameters: [`Message`].
    pub const FAILED: &str = "io.nameplate.Manager.Failed";
    /// The message has a wrong form or is too long; parameters: [`Message`]. The connection is closed.
    pub const BAD_MESSAGE: &str = "io.nameplate.Manager.BadMessage";
    /// Too many connections are open. The connection is closed.
    pub const TOO_MANY_CONNECTIONS: &str = "io.nameplate.Manager.TooManyConnections";
    /// A method that has to be called with `more`.
    pub const EXPECTED_MORE: &str = "io.nameplate.Manager.ExpectedMore";

    /// Parameters of [`PERMISSION_DENIED`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub struct PermissionDenied {
        /// The caller as the kernel names it.
        pub uid: u32,
    }

    /// Parameters of the errors that only say why.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Message {
        /// Why, and what to do.
        pub message: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text() {
        for (bytes, expected) in [
            (&b"gps"[..], "gps"),
            ("m\u{fc}\\x20".as_bytes(), "m\u{fc}\\x20"),
            (b"a\xffb\xc3", "a\\xffb\\xc3"),
            (b"a\nb", "a\nb"),
        ] {
            assert_eq!(text(bytes), expected);
        }
    }

    #[test]
    fn parameters_may_be_left_out_but_not_misspelt() {
        assert_eq!(serde_json::from_str::<ReloadParameters>("{}").unwrap(), ReloadParameters { plan: false });
        assert!(serde_json::from_str::<ReloadParameters>(r#"{"plam":true}"#).is_err());
        let settle: SettleParameters = serde_json::from_str(r#"{"seqnum":7,"timeout_usec":null}"#).unwrap();
        assert_eq!(settle, SettleParameters { seqnum: Some(7), timeout_usec: None });
    }

    /// Field names of a serialized struct, as the interface description has to spell them.
    fn fields(value: impl Serialize) -> Vec<String> {
        serde_json::to_value(value).unwrap().as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_description_names_every_field() {
        let shapes = [
            ("type Devices", fields(Devices::default())),
            ("type Events", fields(Events::default())),
            ("type Queue", fields(Queue::default())),
            ("type Rules", fields(Rules::default())),
            ("type RefusedFile", fields(RefusedFile::default())),
            ("type Diagnostic ", fields(DiagnosticEntry::default())),
            ("type Link ", fields(LinkEntry::default())),
            ("type Claimant", fields(Claimant::default())),
            ("type Collision", fields(CollisionEntry::default())),
            ("type Change", fields(Change::default())),
            ("type Event ", fields(EventEntry::default())),
            ("method Status", fields(Status::default())),
            ("method List", fields(List::default())),
            ("method Reload", fields(Difference::default())),
            ("method Settle", fields(Progress::default())),
            ("method Monitor", fields(MonitorReply::default())),
        ];
        for (head, names) in shapes {
            let from = DESCRIPTION.find(head).unwrap_or_else(|| panic!("{head} is not described"));
            let body: String = DESCRIPTION[from..].split("\n\n").next().unwrap().into();
            for name in names {
                assert!(body.contains(&format!("{name}:")), "{name} is not in {body}");
            }
        }
    }
}
