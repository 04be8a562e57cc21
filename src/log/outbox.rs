//! Owns the way of messages from the threads that log to the one thread that writes, bounded and never waiting.
//!
//! Knows nothing of levels and filters.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Target;

/// Messages that wait to be written. A start with thousands of devices logs a few for each of them.
const CAPACITY: usize = 4096;
/// How long the end waits for a log that takes nothing.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What waits to be written.
#[derive(Debug)]
pub(super) enum Message {
    /// A line with its end, as it is to be seen.
    Line(Vec<u8>),
    /// A message for the journal.
    #[cfg(feature = "journal")]
    Record(super::journal::Record),
    /// The end: all before it is written, then the thread ends.
    End,
}

/// The side of the threads that log.
#[derive(Debug)]
pub(super) struct Outbox {
    messages: Sender<Message>,
    dropped: AtomicU64,
}

impl Outbox {
    /// Hands a message over, or drops and counts it.
    pub(super) fn put(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    outbox: Arc<Outbox>,
    ended: Receiver<()>,
}

impl Writer {
    /// Waits until all is written, at most as long as [`LAST_WAIT`].
    pub(super) fn finish(self) {
        // Both waits end: at the thread's end, which closes its channel, or in time.
        let _full = self.outbox.messages.send_timeout(Message::End, LAST_WAIT);
        let _ended = self.ended.recv_timeout(LAST_WAIT);
    }
}

/// Starts the thread.
pub(super) fn start(target: Target) -> io::Result<(Arc<Outbox>, Writer)> {
    let (sender, receiver) = bounded(CAPACITY);
    let (running, ended) = bounded(0);
    let outbox = Arc::new(Outbox { messages: sender, dropped: AtomicU64::new(0) });
    let of_thread = Arc::clone(&outbox);
    std::thread::Builder::new().name("log".into()).spawn(move || {
        let _running: Sender<()> = running;
        write_all(&receiver, &of_thread, &mut Sink::open(target));
    })?;
    Ok((Arc::clone(&outbox), Writer { outbox, ended }))
}

fn write_all(messages: &Receiver<Message>, outbox: &Outbox, sink: &mut Sink) {
    let mut told = 0;
    for message in messages {
        if matches!(message, Message::End) {
            return;
        }
        if sink.write(&message).is_err() {
            outbox.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let dropped = outbox.dropped();
        if dropped > told && sink.write(&lost(dropped - told, sink)).is_ok() {
            told = dropped;
        }
    }
}

fn lost(count: u64, sink: &Sink) -> Message {
    let text = format!("{count} messages were dropped: the log did not take them in time");
    match sink {
        #[cfg(feature = "journal")]
        Sink::Journal(_) => Message::Record(super::journal::Record::warning(text)),
        Sink::Stderr => Message::Line(format!("WARN {text}\n").into_bytes()),
    }
}

/// Where the thread writes to. May stall as long as it likes.
enum Sink {
    Stderr,
    #[cfg(feature = "journal")]
    Journal(super::journal::Client),
}

impl Sink {
    /// Connecting may stall too, so the thread does it. Without a journal it is standard error.
    fn open(target: Target) -> Self {
        match target {
            #[cfg(feature = "journal")]
            Target::Journal => super::journal::Client::connect().map_or(Sink::Stderr, Sink::Journal),
            #[cfg(not(feature = "journal"))]
            Target::Journal => Sink::Stderr,
            Target::Stderr => Sink::Stderr,
        }
    }

    fn write(&mut self, message: &Message) -> io::Result<()> {
        match (message, self) {
            (Message::End, _) => Ok(()),
            (Message::Line(line), _) => io::stderr().write_all(line),
            #[cfg(feature = "journal")]
            (Message::Record(record), Sink::Journal(client)) => client.send(record),
            #[cfg(feature = "journal")]
            (Message::Record(record), Sink::Stderr) => writeln!(io::stderr(), "{record}"),
        }
    }
}

/// One line in the making: `tracing-subscriber` writes it in one piece or in several, and it is handed over when dropped.
#[derive(Debug)]
pub(super) struct Line {
    outbox: Arc<Outbox>,
    text: Vec<u8>,
}

impl Line {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, text: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.outbox.put(Message::Line(std::mem::take(&mut self.text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_outbox_drops_and_counts() {
        let (messages, receiver) = bounded(2);
        let outbox = Arc::new(Outbox { messages, dropped: AtomicU64::new(0) });
        for n in 0..5 {
            let mut line = Line::new(Arc::clone(&outbox));
            writeln!(line, "line {n}").unwrap();
        }
        assert_eq!(outbox.dropped(), 3);
        let kept: Vec<_> = receiver
            .try_iter()
            .map(|message| match message {
                Message::Line(line) => String::from_utf8(line).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kept, ["line 0\n", "line 1\n"]);
    }
}
