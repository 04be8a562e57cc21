//! Owns the programs that rules ask for while they are worked out: run because the user said so, or left alone.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Instant;

use bstr::{BString, ByteSlice};

use crate::apply::event::Programs;
use crate::cli::output::{self, Ink, Style};
use crate::decide::{ProgramRunner, SkippedPrograms};
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::host::ProgramOutput;
use crate::sys::process::Limit;

/// Keeps in mind which programs were asked for, and leaves it to another whether they run.
#[derive(Debug)]
pub(in crate::cli) struct Asked {
    runner: Box<dyn ProgramRunner>,
    asked: RefCell<Vec<Vec<BString>>>,
}

impl Asked {
    /// With directories and the longest time of a program: they run.
    pub(in crate::cli) fn new(run: Option<(&Roots, Limit)>) -> Self {
        let runner: Box<dyn ProgramRunner> = match run {
            Some((roots, longest)) => Box::new(Programs::new(roots, longest)),
            None => Box::new(SkippedPrograms::default()),
        };
        Self { runner, asked: RefCell::default() }
    }

    /// Names the programs asked for, in order, which were not run.
    pub(in crate::cli) fn say_not_run(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        for argv in self.asked.borrow().iter() {
            let words: Vec<String> = argv.iter().map(|word| output::shown(&word.to_str_lossy())).collect();
            let line = format!("  not run  {}  (--run-programs runs it)", words.join(" "));
            writeln!(out, "{}", style.paint(Ink::Yellow, line))?;
        }
        Ok(())
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
