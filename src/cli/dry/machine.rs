//! Owns the machine that a looking verb looks at: its devices, and what earlier events left of them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::find;
use crate::cli::context::Context;
use crate::cli::device_arg::{self, DeviceArgError};
use crate::cli::exit::Failure;
use crate::daemon::control::protocol::Mode;
use crate::decide::{OthersRecords, Records};
use crate::device::{Device, Source, Tree};
use crate::ids::{DeviceId, LinkName};
use crate::recording::{RecordedDevice, Recording};
use crate::store::files::RecordDir;
use crate::store::record::Record;

/// Devices and records: of `/sys` and the daemon's run directory, or of a recording.
#[derive(Debug)]
pub(in crate::cli) struct Machine {
    tree: Tree,
    /// `None` in a recording, and where no daemon has been.
    records: Option<RecordDir>,
    /// The records of a udevd beside which the daemon stands.
    others: Option<OthersRecords>,
}

impl Machine {
    /// The machine of a command line. Its tree is empty: devices are loaded when they are asked for.
    pub(in crate::cli) fn new(context: &Context, recording: Option<&Path>) -> Result<Self, Failure> {
        match recording {
            Some(file) => Self::recorded(file),
            None => {
                let dir = context.record_dir();
                // Opening would make it, and a look must not.
                let records = dir.is_dir().then(|| RecordDir::open(&dir).ok()).flatten();
                let beside = context.mode() == Mode::Companion;
                let others = beside.then(|| OthersRecords::new(&context.roots));
                Ok(Self { tree: Tree::new(Source::Live(context.roots.sys.clone())), records, others })
            }
        }
    }

    /// The machine of a recording.
    pub(in crate::cli) fn recorded(file: &Path) -> Result<Self, Failure> {
        let text = fs::read(file).map_err(|source| Failure::File { path: file.into(), source })?;
        let recording = Recording::parse(&text)
            .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
        Ok(Self { tree: Tree::new(Source::Recording(recording)), records: None, others: None })
    }

    /// The devices.
    pub(in crate::cli) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What the udevd knows beside which the daemon stands, if it does.
    pub(super) fn others(&self) -> Option<&dyn Records> {
        self.others.as_ref().map(|others| others as &dyn Records)
    }

    /// The recording, if it is one.
    pub(super) fn recording(&self) -> Option<&Recording> {
        match self.tree.source() {
            Source::Recording(recording) => Some(recording),
            Source::Live(_) => None,
        }
    }

    /// The device that an argument names, on this machine.
    pub(in crate::cli) fn device(&self, context: &Context, argument: &OsStr) -> Result<Device, Failure> {
        let path = match self.recording() {
            Some(recording) => find::resolve(context, recording, argument)?,
            None => device_arg::resolve(context, argument)?,
        };
        self.tree.load(&path).ok_or_else(|| {
            let links = context.link_dir().into();
            DeviceArgError::NotFound { argument: argument.into(), links }.into()
        })
    }

    /// What earlier events left of a device.
    pub(in crate::cli) fn record_of(&self, device: &Device) -> Option<Record> {
        self.record(&device.id()?)
    }

    /// All records that can be read.
    pub(in crate::cli) fn all_records(&self) -> Vec<(DeviceId, Record)> {
        let listing = self.records.as_ref().and_then(|records| records.list().ok());
        listing.unwrap_or_default().records
    }
}

impl Records for Machine {
    /// In a recording that is what the udev of that day had found out.
    fn record(&self, id: &DeviceId) -> Option<Record> {
        if let Some(recording) = self.recording() {
            let device = self.tree.by_id(id)?;
            return recording.device(device.devpath().as_bytes()).and_then(recorded);
        }
        Records::record(self.records.as_ref()?, id)
    }
}

fn recorded(device: &RecordedDevice) -> Option<Record> {
    let links = device.symlinks.iter().filter_map(|name| LinkName::new(name).ok()).collect();
    let record = Record { properties: device.udev.clone(), links, ..Record::default() };
    (record != Record::default()).then_some(record)
}
