//! Owns the programs that rules ask for while they are worked out: run because the user said so, or left alone.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use bstr::BString;

use crate::apply::event::Programs;
use crate::decide::{ProgramRunner, SkippedPrograms};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::host::ProgramOutput;

/// Keeps in mind which programs were asked for, and leaves it to another whether they run.
#[derive(Debug)]
pub(in crate::cli) struct Asked {
    runner: Box<dyn ProgramRunner>,
    asked: RefCell<Vec<Vec<BString>>>,
}

impl Asked {
    /// With directories and the longest time of a program: they run.
    pub(in crate::cli) fn new(run: Option<(&Roots, Duration)>) -> Self {
        let runner: Box<dyn ProgramRunner> = match run {
            Some((roots, longest)) => Box::new(Programs::new(roots, longest)),
            None => Box::new(SkippedPrograms::default()),
        };
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
