//! Owns the part of the host in which a real event and a dry run differ: programs, writes at rule time, index numbers.
//!
//! Types instead of a flag: [`Live`] does it, [`Dry`] remembers it and lays it over later reads, [`Unwriting`] is dry but for
//! the numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bstr::BString;

use crate::builtin::Deed;
use crate::device::{Device, Reader};
use crate::properties::Properties;
use crate::rules::host::{HostError, Numbered, OUTPUT_MAX, ProgramOutput};
use crate::store::index::Indexes;

/// Starts a program and waits for it.
pub trait ProgramRunner: fmt::Debug {
    /// Runs `argv` (its first word is an absolute path) with `environment` and nothing else in its environment, stops it
    /// at `deadline`, keeps at most `limit` bytes of its output.
    fn run(
        &self,
        argv: &[BString],
        environment: &Properties,
        deadline: Instant,
        limit: usize,
    ) -> ProgramOutput;
}

/// Carries out what builtins ask for.
pub trait DeedRunner: fmt::Debug {
    /// Does one thing for a device. Error: what was tried and what came of it.
    fn carry_out(&self, device: &Device, deed: &Deed) -> Result<(), HostError>;
}

/// Carries out nothing: the device's manager is another.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDeeds;

impl DeedRunner for NoDeeds {
    fn carry_out(&self, _: &Device, _: &Deed) -> Result<(), HostError> {
        Ok(())
    }
}

/// What changes something outside, or would.
pub trait Effects {
    /// Does what a builtin asks for.
    fn deed(&mut self, device: &Device, deed: &Deed) -> Result<(), HostError>;
    /// Runs a program; the first word of `argv` is an absolute path.
    fn program(&mut self, argv: &[BString], environment: &Properties, deadline: Instant) -> ProgramOutput;
    /// Writes an attribute that the reader knows.
    fn write_attribute(
        &mut self,
        reader: &Reader<'_>,
        device: &Device,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HostError>;
    /// Writes a file below `/proc/sys`.
    fn write_sysctl(&mut self, file: &Path, name: &[u8], value: &[u8]) -> Result<(), HostError>;
    /// A value that was "written" and has to be seen in place of the file's.
    fn sysctl(&self, name: &[u8]) -> Option<BString>;
    /// The number of an identity.
    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered;
}

/// Does what rules ask for.
#[derive(Debug, Clone, Copy)]
pub struct Live<'w> {
    /// Runs programs.
    pub programs: &'w dyn ProgramRunner,
    /// Gives numbers.
    pub numbers: &'w Indexes,
    /// Does what builtins ask for.
    pub deeds: &'w dyn DeedRunner,
}

impl Effects for Live<'_> {
    fn deed(&mut self, device: &Device, deed: &Deed) -> Result<(), HostError> {
        self.deeds.carry_out(device, deed)
    }

    fn program(&mut self, argv: &[BString], environment: &Properties, deadline: Instant) -> ProgramOutput {
        self.programs.run(argv, environment, deadline, OUTPUT_MAX)
    }

    fn write_attribute(
        &mut self,
        reader: &Reader<'_>,
        device: &Device,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HostError> {
        let file = reader.path(device, name).ok_or_else(|| HostError("there is no such attribute".into()))?;
        write_file(&file, value)?;
        reader.overlay(device, name, value);
        Ok(())
    }

    fn write_sysctl(&mut self, file: &Path, _name: &[u8], value: &[u8]) -> Result<(), HostError> {
        write_file(file, value)
    }

    fn sysctl(&self, _name: &[u8]) -> Option<BString> {
        None
    }

    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        kept_number(self.numbers, pool, identity)
    }
}

fn kept_number(numbers: &Indexes, pool: &str, identity: &[u8]) -> Numbered {
    let number = numbers.number(pool.as_bytes(), identity);
    Numbered { value: number.value, lost: number.kept.err().map(|error| HostError(error.to_string())) }
}

/// Writes to a file of the kernel's that is there, in one call: each `write` is a command of its own to the kernel.
fn write_file(file: &Path, value: &[u8]) -> Result<(), HostError> {
    let mut open = OpenOptions::new().write(true).open(file).map_err(failed)?;
    match open.write(value).map_err(failed)? {
        n if n == value.len() => Ok(()),
        n => Err(HostError(format!("only {n} of {} bytes were taken", value.len()))),
    }
}

fn failed(error: std::io::Error) -> HostError {
    HostError(error.to_string())
}

/// Does nothing outside: what would be written is remembered and seen by later reads.
#[derive(Debug, Clone)]
pub struct Dry<'w> {
    programs: &'w dyn ProgramRunner,
    numbers: &'w Indexes,
    sysctls: BTreeMap<BString, BString>,
}

impl<'w> Dry<'w> {
    /// With the real `programs`, those that rules ask for are run; with [`SkippedPrograms`] none is.
    pub fn new(programs: &'w dyn ProgramRunner, numbers: &'w Indexes) -> Self {
        Self { programs, numbers, sysctls: BTreeMap::new() }
    }
}

impl Effects for Dry<'_> {
    fn deed(&mut self, _: &Device, _: &Deed) -> Result<(), HostError> {
        Ok(())
    }

    fn program(&mut self, argv: &[BString], environment: &Properties, deadline: Instant) -> ProgramOutput {
        self.programs.run(argv, environment, deadline, OUTPUT_MAX)
    }

    fn write_attribute(
        &mut self,
        reader: &Reader<'_>,
        device: &Device,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HostError> {
        reader.overlay(device, name, value);
        Ok(())
    }

    fn write_sysctl(&mut self, _file: &Path, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.sysctls.insert(name.into(), value.into());
        Ok(())
    }

    fn sysctl(&self, name: &[u8]) -> Option<BString> {
        self.sysctls.get(bstr::BStr::new(name)).cloned()
    }

    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        Numbered { value: self.numbers.would_be(pool.as_bytes(), identity), lost: None }
    }
}

/// Writes nothing and gives numbers: for devices that are there when rules change, of which two that are new to a rule
/// must not get the same number, and for a daemon that makes links and nothing else.
#[derive(Debug, Clone)]
pub struct Unwriting<'w> {
    dry: Dry<'w>,
}

impl<'w> Unwriting<'w> {
    /// With [`SkippedPrograms`] nothing is run either.
    pub fn new(programs: &'w dyn ProgramRunner, numbers: &'w Indexes) -> Self {
        Self { dry: Dry::new(programs, numbers) }
    }
}

impl Effects for Unwriting<'_> {
    fn deed(&mut self, device: &Device, deed: &Deed) -> Result<(), HostError> {
        self.dry.deed(device, deed)
    }

    fn program(&mut self, argv: &[BString], environment: &Properties, deadline: Instant) -> ProgramOutput {
        self.dry.program(argv, environment, deadline)
    }

    fn write_attribute(
        &mut self,
        reader: &Reader<'_>,
        device: &Device,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HostError> {
        self.dry.write_attribute(reader, device, name, value)
    }

    fn write_sysctl(&mut self, file: &Path, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.dry.write_sysctl(file, name, value)
    }

    fn sysctl(&self, name: &[u8]) -> Option<BString> {
        self.dry.sysctl(name)
    }

    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        kept_number(self.dry.numbers, pool, identity)
    }
}

/// Runs no program: every one fails and says why. Counts what it was asked for: a plan that depends on a program is not
/// what an event would give.
#[derive(Debug, Default)]
pub struct SkippedPrograms {
    asked: AtomicUsize,
}

impl SkippedPrograms {
    /// How many programs were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ProgramRunner for SkippedPrograms {
    fn run(&self, _: &[BString], _: &Properties, _: Instant, _: usize) -> ProgramOutput {
        self.asked.fetch_add(1, Ordering::Relaxed);
        ProgramOutput {
            success: false,
            stdout: BString::default(),
            failure: Some("programs are not run in a dry run".into()),
        }
    }
}
