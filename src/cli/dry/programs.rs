//! Owns the programs that rules ask for while they are worked out: run because the user said so, or left alone.

use std::cell::RefCell;
use std::time::Instant;

use bstr::{BString, ByteSlice};

use crate::apply::program;
use crate::decide::{ProgramRunner, SkippedPrograms};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::host::ProgramOutput;
use crate::sys::process::End;

/// Keeps in mind which programs were asked for, and leaves it to another whether they run.
#[derive(Debug)]
pub(in crate::cli) struct Asked {
    runner: Box<dyn ProgramRunner>,
    asked: RefCell<Vec<Vec<BString>>>,
}

impl Asked {
    /// `--run-programs`, or not.
    pub(in crate::cli) fn new(run: bool, roots: &Roots) -> Self {
        let runner: Box<dyn ProgramRunner> =
            if run { Box::new(Programs { roots: roots.clone() }) } else { Box::new(SkippedPrograms) };
        Self { runner, asked: RefCell::default() }
    }

    /// The programs asked for, in order.
    pub(in crate::cli) fn asked(&self) -> Vec<Vec<BString>> {
        self.asked.borrow().clone()
    }
}

impl ProgramRunner for Asked {
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput {
        self.asked.borrow_mut().push(argv.to_vec());
        self.runner.run(argv, environment, deadline, limit)
    }
}

/// Runs them.
#[derive(Debug)]
struct Programs {
    roots: Roots,
}

impl ProgramRunner for Programs {
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let mut finished = program::run(argv, environment, &self.roots.helper_dir(), timeout);
        finished.stdout.truncate(limit);
        let failure = match finished.end {
            End::Exited(0) => None,
            End::Exited(status) => Some(format!("exit status {status}")),
            End::Signalled(signal) => Some(format!("killed by signal {signal}")),
            End::TimedOut => Some("killed: it ran for too long".into()),
            End::NotStarted(errno) => Some(format!("can't be started: {errno}")),
            End::Lost(errno) => Some(format!("how it ended is not known: {errno}")),
        };
        let failure = failure.map(|what| match finished.stderr.trim().lines().next_back() {
            Some(line) => format!("{what}: {}", line.as_bstr()),
            None => what,
        });
        ProgramOutput { success: finished.success(), stdout: finished.stdout, failure }
    }
}
