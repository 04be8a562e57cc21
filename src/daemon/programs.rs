//! Owns what programs of conditions (`import`, udev's PROGRAM) printed for each device in its last event, so that changed
//! rules can be worked out for devices that are there without running any program again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bstr::BString;

use crate::decide::ProgramRunner;
use crate::ids::DeviceId;
use crate::properties::Properties;
use crate::rules::host::ProgramOutput;

type Outputs = Vec<(Box<[BString]>, ProgramOutput)>;

/// Outputs by device; a device whose rules ask no program costs nothing.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<DeviceId, Outputs>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Outputs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was printed for a device.
    pub(super) fn forget(&self, id: &DeviceId) {
        let mut memory = self.lock();
        memory.remove(id);
        memory.shrink_to(64);
    }

    /// True when a device's last event has asked a program.
    pub(super) fn has(&self, id: &DeviceId) -> bool {
        self.lock().contains_key(id)
    }

    fn recall(&self, id: &DeviceId, argv: &[BString]) -> Option<ProgramOutput> {
        let memory = self.lock();
        memory.get(id)?.iter().find(|(asked, _)| **asked == *argv).map(|(_, output)| output.clone())
    }

    fn keep(&self, id: &DeviceId, argv: &[BString], output: &ProgramOutput) {
        let mut memory = self.lock();
        let outputs = memory.entry(id.clone()).or_default();
        outputs.retain(|(asked, _)| **asked != *argv);
        outputs.push((argv.into(), output.clone()));
    }
}

/// Runs each program and remembers what it printed: for an event.
pub(super) struct Asking<'w> {
    pub(super) runner: &'w dyn ProgramRunner,
    pub(super) memory: &'w Memory,
    pub(super) device: &'w DeviceId,
}

/// Answers from memory and runs only what no event has asked yet: for changed rules.
pub(super) struct Recalling<'w>(pub(super) Asking<'w>);

impl fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("device", &self.device).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recalling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recalling").field(&self.0).finish()
    }
}

impl ProgramRunner for Asking<'_> {
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput {
        let output = self.runner.run(argv, environment, deadline, limit);
        self.memory.keep(self.device, argv, &output);
        output
    }
}

impl ProgramRunner for Recalling<'_> {
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput {
        let recalled = self.0.memory.recall(self.0.device, argv);
        recalled.unwrap_or_else(|| self.0.run(argv, environment, deadline, limit))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    impl ProgramRunner for Counting {
        fn run(&self, _: &[BString], _: &Properties, _: Instant, _: usize) -> ProgramOutput {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            ProgramOutput { success: true, stdout: n.to_string().into(), failure: None }
        }
    }

    #[test]
    fn a_program_that_was_asked_is_not_run_again() {
        let (runner, memory) = (Counting::default(), Memory::default());
        let id = DeviceId::parse(b"b8:0").unwrap();
        let asking = || Asking { runner: &runner, memory: &memory, device: &id };
        let ask = |runner: &dyn ProgramRunner, word: &str| {
            runner.run(&[word.into()], &Properties::new(), Instant::now(), 100).stdout
        };
        assert_eq!(ask(&asking(), "/bin/a"), "0");
        assert_eq!(ask(&Recalling(asking()), "/bin/a"), "0", "recalled");
        assert_eq!(ask(&Recalling(asking()), "/bin/b"), "1", "never asked: run");
        assert_eq!(ask(&Recalling(asking()), "/bin/b"), "1", "and remembered");
        assert_eq!(ask(&asking(), "/bin/a"), "2", "an event asks anew");
        memory.forget(&id);
        assert_eq!(ask(&Recalling(asking()), "/bin/a"), "3");
    }
}
