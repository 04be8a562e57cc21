//! Owns threads that do one kind of long work, one piece after the other: who asks while one is under way is served by the
//! next, together with all others that asked meanwhile.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::Sender;

/// The asking end; the thread ends when it is dropped and its work is done.
#[derive(Debug)]
pub(super) struct Turns<T>(Sender<T>);

impl<T> Turns<T> {
    /// Asks for the work to be done (again) from now on.
    pub(super) fn ask(&self, what: T) {
        // the thread ends only with the asking end
        let _never = self.0.send(what);
    }
}

/// Starts a thread that calls `work` with everything that was asked since its last call.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    mut work: impl FnMut(Vec<T>) + Send + 'static,
) -> io::Result<Turns<T>> {
    let (ask, asked) = crossbeam_channel::unbounded::<T>();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        while let Ok(first) = asked.recv() {
            let all = std::iter::once(first).chain(asked.try_iter()).collect();
            // a panic costs who asked, not who asks next
            if catch_unwind(AssertUnwindSafe(|| work(all))).is_err() {
                tracing::error!("a piece of work panicked; please report the message before this one");
            }
        }
    })?;
    Ok(Turns(ask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_meanwhile_is_served_together() {
        let (begun, begin) = crossbeam_channel::unbounded();
        let (go_on, wait) = crossbeam_channel::unbounded();
        let turns = start("test", move |asked: Vec<u32>| {
            begun.send(asked).unwrap();
            wait.recv().unwrap();
        })
        .unwrap();
        turns.ask(1);
        assert_eq!(begin.recv().unwrap(), [1]);
        turns.ask(2);
        turns.ask(3);
        go_on.send(()).unwrap();
        assert_eq!(begin.recv().unwrap(), [2, 3]);
        go_on.send(()).unwrap();
    }
}
