//! Owns the signals: each becomes a message to the main loop. Never acts on one itself.

use std::io;

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::Message;

/// A thread that waits for signals; ends when dropped.
#[derive(Debug)]
pub(super) struct SignalThread {
    handle: Handle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SignalThread {
    /// SIGTERM and SIGINT stop the daemon, SIGHUP makes it read its rules again.
    pub(super) fn start(main: Sender<Message>) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let handle = signals.handle();
        let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let message = if signal == SIGHUP { Message::Reload(None) } else { Message::Stop };
                if main.send(message).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
