//! Owns how a message becomes an entry of the systemd journal: `MESSAGE`, `PRIORITY`, and each field of the event and of
//! its spans as a field.
//!
//! `tracing`'s own bridge to `log` writes fields into the message, so this layer collects them and hands them to
//! `systemd-journal-logger` as key-values. Never sends by itself: the log's thread does.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;

use systemd_journal_logger::JournalLog;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::outbox::{Message, Outbox};

/// What the journal calls this program, for `journalctl -t`.
const IDENTIFIER: &str = "nameplate";
/// Fields that the client writes itself: one of that name in an event would be a second value of it.
const TAKEN: &[&str] = &[
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_PID",
    "CODE_FILE",
    "CODE_LINE",
    "CODE_MODULE",
    "TARGET",
];

/// A message with its fields.
#[derive(Debug)]
pub(super) struct Record {
    level: Level,
    message: String,
    fields: Pairs,
    file: Option<&'static str>,
    line: Option<u32>,
    module: Option<&'static str>,
    target: &'static str,
}

impl Record {
    /// A warning of the log's own.
    pub(super) fn warning(message: String) -> Self {
        Self {
            level: Level::WARN,
            message,
            fields: Pairs::default(),
            file: None,
            line: None,
            module: None,
            target: module_path!(),
        }
    }

    fn new(metadata: &'static Metadata<'static>, said: Said, fields: Pairs) -> Self {
        Self {
            level: *metadata.level(),
            message: said.message(fields.get("DEVPATH")),
            fields,
            file: metadata.file(),
            line: metadata.line(),
            module: metadata.module_path(),
            target: metadata.target(),
        }
    }
}

impl fmt::Display for Record {
    /// The line that stands for it where there is no journal after all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level, self.message)
    }
}

/// Names and values, a name once. The last value holds.
#[derive(Debug, Clone, Default)]
struct Pairs(Vec<(&'static str, String)>);

impl Pairs {
    fn set(&mut self, name: &'static str, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn extend(&mut self, other: &Pairs) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}"));
    }
}

/// An event's own words.
struct Said(Pairs);

impl Said {
    /// `sda1: text: error (name=value)`: the device in front, small fields behind, for whoever sees only the message.
    fn message(&self, devpath: Option<&str>) -> String {
        let mut out = String::new();
        if let Some(name) = devpath.and_then(|path| path.rsplit('/').next()) {
            out.push_str(name);
            out.push_str(": ");
        }
        out.push_str(self.0.get("message").unwrap_or_default());
        if let Some(error) = self.0.get("error") {
            out.push_str(": ");
            out.push_str(error);
        }
        let small = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
        for (name, value) in self.0.0.iter().filter(|(name, _)| small(name)) {
            if !matches!(*name, "message" | "error") {
                let _infallible = write!(out, " ({name}={value})");
            }
        }
        out
    }
}

/// The layer: keeps the fields of spans with them, makes a [`Record`] of each event.
#[derive(Debug)]
pub(super) struct Fields {
    outbox: Arc<Outbox>,
}

impl Fields {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut pairs = Pairs::default();
        attributes.record(&mut pairs);
        span.extensions_mut().insert(pairs);
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(pairs) = span.extensions_mut().get_mut::<Pairs>() {
            values.record(pairs);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Pairs::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(pairs) = span.extensions().get::<Pairs>() {
                fields.extend(pairs);
            }
        }
        let mut own = Pairs::default();
        event.record(&mut own);
        fields.extend(&own);
        self.outbox.put(Message::Record(Record::new(event.metadata(), Said(own), fields)));
    }
}

/// The connection to the journal. Blocks where the journal does.
pub(super) struct Client(JournalLog);

impl Client {
    pub(super) fn connect() -> io::Result<Self> {
        Ok(Self(JournalLog::empty()?.with_syslog_identifier(IDENTIFIER.into())))
    }

    pub(super) fn send(&self, record: &Record) -> io::Result<()> {
        let fields: Vec<(&str, &str)> = record
            .fields
            .0
            .iter()
            .filter(|(name, _)| *name != "message")
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(name, _)| !TAKEN.contains(&name.to_ascii_uppercase().as_str()))
            .collect();
        self.0.journal_send(
            &log::Record::builder()
                .level(level(record.level))
                .args(format_args!("{}", record.message))
                .target(record.target)
                .module_path_static(record.module)
                .file_static(record.file)
                .line(record.line)
                .key_values(&fields)
                .build(),
        )
    }
}

/// The level for which the client writes syslog's priority: error 3, warning 4, info 6, debug 7. It takes its own
/// `Info` for a notice (5), one above what syslog means by it.
fn level(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Debug,
        Level::DEBUG | Level::TRACE => log::Level::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_well() {
        let said = |pairs: &[(&'static str, &str)]| {
            Said(Pairs(pairs.iter().map(|(name, value)| (*name, (*value).into())).collect()))
        };
        assert_eq!(said(&[("message", "link gone")]).message(None), "link gone");
        let with_link = said(&[("message", "link gone"), ("LINK", "gps")]);
        assert_eq!(with_link.message(Some("/devices/x/ttyUSB0")), "ttyUSB0: link gone");
        let with_error = said(&[("error", "EPERM"), ("message", "no"), ("dir", "/a")]);
        assert_eq!(with_error.message(None), "no: EPERM (dir=/a)");
    }

    #[test]
    fn a_later_value_holds() {
        let mut outer = Pairs(vec![("DEVPATH", "/a".into()), ("ACTION", "add".into())]);
        outer.extend(&Pairs(vec![("DEVPATH", "/b".into())]));
        assert_eq!(outer.0, [("DEVPATH", "/b".to_owned()), ("ACTION", "add".to_owned())]);
    }
}
