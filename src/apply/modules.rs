//! Owns loading kernel modules beside the events: one thread with a queue, in which equal requests are one.
//!
//! A module can take seconds to begin, and the next event of its device must not wait for that. Who waits for everything
//! to be done (`settle`) asks [`Modules::asked`] and waits until [`Modules::done`] has come that far. Without libkmod
//! nothing is loaded, which is said once.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use bstr::{BString, ByteSlice};

use crate::sys::kmod::{Inserted, Kmod};

/// Most requests that wait: each is a different name, so this is for a machine gone wrong.
const WAITING_MAX: usize = 16 * 1024;

/// Loads what one request names.
trait Load {
    fn load(&mut self, name: &[u8]);
    /// Reads index and configuration anew, if they have changed.
    fn refresh(&mut self);
}

/// The asking end. The thread begins with the first request and ends when this is dropped and what it was at is done.
#[derive(Debug)]
pub struct Modules {
    directory: Option<PathBuf>,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<BString>,
    known: HashSet<BString>,
    asked: u64,
    done: u64,
    running: bool,
    refresh: bool,
    ended: bool,
}

/// Too many requests wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{WAITING_MAX} requests for modules wait already, or no thread can be started")]
pub struct Full;

impl Modules {
    /// Loads from `directory`; `None` is the running kernel's own.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, queue: Arc::default() }
    }

    /// Asks for the module or alias `name` to be loaded. One that waits already is not asked for twice.
    pub fn ask(&self, name: &BString) -> Result<(), Full> {
        let directory = self.directory.clone();
        self.ask_of(name, move || Library { directory, kmod: Opened::NotYet })
    }

    fn ask_of<L: Load>(
        &self,
        name: &BString,
        loader: impl FnOnce() -> L + Send + 'static,
    ) -> Result<(), Full> {
        let mut state = self.queue.lock();
        if state.known.contains(name) {
            return Ok(());
        }
        if state.waiting.len() >= WAITING_MAX {
            return Err(Full);
        }
        if !state.running {
            let queue = Arc::clone(&self.queue);
            let thread = thread::Builder::new().name("modules".into());
            thread.spawn(move || queue.work(&mut loader())).map_err(|_| Full)?;
            state.running = true;
        }
        state.known.insert(name.clone());
        state.waiting.push_back(name.clone());
        state.asked += 1;
        drop(state);
        self.queue.news.notify_all();
        Ok(())
    }

    /// How many requests there have been. A request that was one with an earlier one counts as that.
    pub fn asked(&self) -> u64 {
        self.queue.lock().asked
    }

    /// How many of them are done, in their order.
    pub fn done(&self) -> u64 {
        self.queue.lock().done
    }

    /// Reads the index of modules and `modprobe.d` anew before the next request, if they have changed.
    pub fn refresh(&self) {
        self.queue.lock().refresh = true;
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        self.queue.lock().ended = true;
        self.queue.news.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, loader: &mut impl Load) {
        let mut state = self.lock();
        while !state.ended {
            let Some(name) = state.waiting.pop_front() else {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // who asks from now on may know more than was true when this began
            state.known.remove(&name);
            let refresh = std::mem::take(&mut state.refresh);
            drop(state);
            if refresh {
                loader.refresh();
            }
            loader.load(&name);
            state = self.lock();
            state.done += 1;
            self.news.notify_all();
        }
    }
}

/// The library, opened when it is needed.
struct Library {
    directory: Option<PathBuf>,
    kmod: Opened,
}

enum Opened {
    NotYet,
    Yes(Kmod),
    /// It can't be; said already.
    No,
}

impl Library {
    fn open(&self) -> Opened {
        match Kmod::open(self.directory.as_deref()) {
            Ok(kmod) => Opened::Yes(kmod),
            Err(error) => {
                tracing::error!(%error, "no kernel modules are loaded");
                Opened::No
            }
        }
    }
}

impl Load for Library {
    fn load(&mut self, name: &[u8]) {
        if matches!(self.kmod, Opened::NotYet) {
            self.kmod = self.open();
        }
        let Opened::Yes(kmod) = &self.kmod else { return };
        let name = name.as_bstr();
        match kmod.load(name) {
            Ok(modules) if modules.is_empty() => tracing::debug!("no module is for {name}"),
            Ok(modules) => modules.iter().for_each(|(module, became)| said(module, *became)),
            Err(errno) => tracing::debug!("no module can be looked up for {name}: {errno}"),
        }
    }

    fn refresh(&mut self) {
        if !matches!(&self.kmod, Opened::Yes(kmod) if kmod.is_current()) {
            self.kmod = Opened::NotYet;
        }
    }
}

fn said(module: &str, became: Inserted) {
    match became {
        Inserted::Loaded => tracing::info!("module {module} is loaded"),
        Inserted::Present => tracing::debug!("module {module} is there already"),
        Inserted::Denied => tracing::info!("module {module} is on the denylist and not loaded"),
        Inserted::Failed(errno) => tracing::warn!("module {module} is not loaded: {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told {
        begun: crossbeam_channel::Sender<String>,
        go_on: crossbeam_channel::Receiver<()>,
    }

    impl Load for Told {
        fn load(&mut self, name: &[u8]) {
            self.begun.send(name.to_str().unwrap().to_owned()).unwrap();
            self.go_on.recv().unwrap();
        }

        fn refresh(&mut self) {
            self.begun.send("refresh".into()).unwrap();
        }
    }

    #[test]
    fn equal_requests_are_one_and_are_done_in_order() {
        let (begun, begin) = crossbeam_channel::unbounded();
        let (go_on, wait) = crossbeam_channel::unbounded();
        let modules = Modules::new(None);
        let ask = |name: &str| {
            let (begun, go_on) = (begun.clone(), wait.clone());
            modules.ask_of(&name.into(), move || Told { begun, go_on }).unwrap();
        };
        assert_eq!((modules.asked(), modules.done()), (0, 0));
        ask("a");
        assert_eq!(begin.recv().unwrap(), "a");
        // `a` is under way: another may be needed; what waits is not asked for twice
        for name in ["b", "a", "b", "a"] {
            ask(name);
        }
        modules.refresh();
        assert_eq!((modules.asked(), modules.done()), (3, 0));
        for expected in ["refresh", "b", "a"] {
            if expected != "b" {
                go_on.send(()).unwrap();
            }
            assert_eq!(begin.recv().unwrap(), expected);
        }
        assert_eq!(modules.done(), 2);
        go_on.send(()).unwrap();
        let mut state = modules.queue.lock();
        while state.done < 3 {
            state = modules.queue.news.wait(state).unwrap();
        }
    }
}
