//! Owns the real host: the reads that rules ask for, answered from the tree, records, `/proc` and files, for one event.
//!
//! Belongs to one thread and one event: attributes are read once, and forgotten with the host. What a dry run must not do
//! is behind [`Effects`].

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use bstr::{BString, ByteSlice};

use super::effects::Effects;
use super::globals::Globals;
use super::{Event, system};
use crate::builtin;
use crate::device::{Device, Reader, Tree};
use crate::ids::{Action, DeviceId, Tag};
use crate::machine;
use crate::properties::Properties;
use crate::roots::Roots;
use crate::rules::host::{Host, HostError, Numbered, ProgramOutput};
use crate::rules::ir::ConstKey;
use crate::rules::toml::Accounts;
use crate::store::files::RecordDir;
use crate::store::record::Record;

/// Looks up what earlier events left of other devices.
pub trait Records: fmt::Debug {
    /// The record of a device.
    fn record(&self, id: &DeviceId) -> Option<Record>;
}

impl Records for RecordDir {
    /// A record that can't be read counts as none: the event that asks writes it anew.
    fn record(&self, id: &DeviceId) -> Option<Record> {
        match self.read(id) {
            Ok(read) => read.map(|(record, problems)| {
                for problem in problems {
                    tracing::warn!(device = %id, %problem, "a line of a record is left out");
                }
                record
            }),
            Err(error) => {
                tracing::error!(%error, "the record counts as none");
                None
            }
        }
    }
}

/// The records of a device manager beside which this one stands. Its database comes and goes with it, so it is opened for
/// each question; nothing is ever written there.
#[derive(Debug, Clone)]
pub struct OthersRecords(PathBuf);

impl OthersRecords {
    /// Those of the udevd of this system.
    pub fn new(roots: &Roots) -> Self {
        Self(roots.run_udev().join("data"))
    }
}

impl Records for OthersRecords {
    /// What is wrong with a record is its writer's business.
    fn record(&self, id: &DeviceId) -> Option<Record> {
        let there = RecordDir::open_existing(&self.0).ok()?;
        there.read(id).ok()?.map(|(record, _)| record)
    }
}

/// What all events of one daemon (or one command) share.
#[derive(Clone, Copy)]
pub struct Surroundings<'w> {
    /// The devices.
    pub tree: &'w Tree,
    /// Where the system's directories are.
    pub roots: &'w Roots,
    /// What is known of devices.
    pub records: &'w dyn Records,
    /// What the device manager knows of them, where that is another.
    pub others: Option<&'w dyn Records>,
    /// Users and groups, for names that hold substitutions.
    pub accounts: &'w dyn Accounts,
    /// The databases that builtins ask.
    pub shared: &'w builtin::Shared,
    /// The properties that every event has.
    pub globals: &'w Globals,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// Files longer than this are not imported.
const IMPORT_MAX: u64 = 1 << 20;

/// Answers for one event.
#[derive(Debug)]
pub struct EventHost<'w, E> {
    around: Surroundings<'w>,
    reader: Reader<'w>,
    device: Option<Device>,
    action: Action,
    record: Option<&'w Record>,
    deadline: Instant,
    kernel_command_line: OnceCell<BString>,
    done: BTreeMap<String, Result<(), HostError>>,
    effects: E,
}

impl<'w, E: Effects> EventHost<'w, E> {
    /// A host for one event. Programs are stopped at `deadline`.
    pub fn new(around: Surroundings<'w>, event: &Event<'w>, deadline: Instant, effects: E) -> Self {
        let reader = Reader::new(around.tree);
        if let Some(device) = event.device {
            // What came with the event is what happened; the file may say something newer, or be gone.
            reader.put_uevent(device, event.uevent.properties.clone());
        }
        Self {
            around,
            reader,
            device: event.device.cloned(),
            action: event.uevent.action,
            record: event.record,
            deadline,
            kernel_command_line: OnceCell::new(),
            done: BTreeMap::new(),
            effects,
        }
    }

    /// The reader, for who wants to show more of the same moment.
    pub fn reader(&self) -> &Reader<'w> {
        &self.reader
    }

    fn record_of(&self, device: &Device) -> Option<Record> {
        self.around.records.record(&device.id()?)
    }

    /// The same of the other device manager.
    fn others_record_of(&self, device: &Device) -> Option<Record> {
        self.around.others?.record(&device.id()?)
    }

    /// The file behind a sysctl's name; `None` if the name would leave `/proc/sys`.
    fn sysctl_file(&self, name: &[u8]) -> Option<PathBuf> {
        let mut parts = name.split(|&b| b == b'/').filter(|part| !part.is_empty());
        let mut file = self.around.roots.proc.join("sys");
        parts.try_for_each(|part| (!matches!(part, b"." | b"..")).then(|| file.push(path(part))))?;
        Some(file)
    }

    fn context<'c>(
        &'c self,
        device: &'c Device,
        properties: &'c Properties,
        known: builtin::Known<'c>,
    ) -> builtin::Context<'c> {
        builtin::Context {
            device,
            reader: &self.reader,
            action: self.action,
            properties,
            known,
            roots: self.around.roots,
            shared: self.around.shared,
            deadline: self.deadline,
        }
    }

    /// Answers in the place of a helper program that is not installed.
    fn stand_in(&mut self, name: &str, arguments: &[BString], properties: &Properties) -> ProgramOutput {
        let of_another = |device: &Device| self.properties(device);
        let known = builtin::Known(&of_another);
        let said = match &self.device {
            Some(device) => builtin::helper::say(name, arguments, &self.context(device, properties, known))
                .map_err(|error| error.to_string())
                .and_then(|said| {
                    let mut deeds = said.deeds.iter();
                    let done = deeds.try_for_each(|deed| self.effects.deed(device, deed));
                    done.map(|()| said).map_err(|error| error.to_string())
                }),
            None => Err("the device has gone".to_owned()),
        };
        match said {
            Ok(said) => ProgramOutput { success: true, stdout: said.stdout(), failure: None },
            Err(why) => ProgramOutput {
                success: false,
                stdout: BString::default(),
                failure: Some(format!("answered by the builtin {name}: {why}")),
            },
        }
    }

    /// A name with its first `/*/` replaced by the first directory in which the rest is there.
    fn unglob(&self, device: &Device, name: &[u8]) -> Option<BString> {
        // The device's directory stands before the name.
        let whole = bstr::concat([b"/", name]);
        let Some((before, after)) = whole.split_once_str(b"/*/") else { return Some(name.into()) };
        let before = before.strip_prefix(b"/").unwrap_or(before);
        let entries = self.reader.entries(device, before).into_iter().filter(|entry| !is_hidden(entry));
        let front = if before.is_empty() { None } else { Some(before) };
        let mut names = entries.map(|entry| {
            let parts: Vec<&[u8]> = front.into_iter().chain([entry.as_slice(), after]).collect();
            bstr::join("/", parts).into()
        });
        names.find(|name: &BString| self.reader.exists(device, name).is_some())
    }
}

/// `*` does not stand for what is hidden.
fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

impl<E: Effects> Host for EventHost<'_, E> {
    fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString> {
        self.reader.attribute(device, name)
    }

    fn attribute_mode(&self, device: &Device, name: &[u8]) -> Option<u32> {
        self.reader.exists(device, &self.unglob(device, name)?)
    }

    fn driver(&self, device: &Device) -> Option<BString> {
        self.reader.driver(device)
    }

    fn uevent(&self, device: &Device) -> Rc<Properties> {
        self.reader.uevent(device)
    }

    fn properties(&self, device: &Device) -> Properties {
        let mut all = (*self.reader.uevent(device)).clone();
        // what rules made of what the kernel said is the last word
        for record in [self.others_record_of(device), self.record_of(device)].into_iter().flatten() {
            for (key, value) in record.properties.in_order() {
                let _valid_before = all.set(key, value);
            }
        }
        all
    }

    fn tags(&self, device: &Device) -> Vec<Tag> {
        let both = [self.others_record_of(device), self.record_of(device)];
        let tags = both.into_iter().flatten().flat_map(|record| record.current_tags);
        tags.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn find(&self, subsystem: &[u8], kernel: &[u8]) -> Option<Device> {
        self.reader.find(subsystem, kernel)
    }

    fn recorded(&self, key: &[u8]) -> Option<BString> {
        let kept = self.record.and_then(|record| record.shown(key, &self.dev_root()));
        // of the kernel's properties what the file of the device says: those of an event are not kept
        let of_kernel = || {
            let of_event = matches!(key, b"ACTION" | b"SEQNUM") || key.starts_with(b"SYNTH_");
            let all = self.reader.uevent(self.device.as_ref().filter(|_| !of_event)?);
            all.get(key).map(BString::from)
        };
        kept.or_else(of_kernel)
    }

    fn global(&self, key: &[u8]) -> Option<BString> {
        self.around.globals.get(key)
    }

    fn sysctl(&self, name: &[u8]) -> Option<BString> {
        self.effects.sysctl(name).or_else(|| fs::read(self.sysctl_file(name)?).ok().map(BString::from))
    }

    fn constant(&self, key: ConstKey) -> Option<BString> {
        system::constant(self.around.roots, key)
    }

    fn file_mode(&self, file: &[u8]) -> Option<u32> {
        let mode = |file: &[u8]| fs::metadata(path(file)).ok().map(|meta| meta.mode());
        let Some((before, after)) = file.split_once_str(b"/*/") else { return mode(file) };
        // The first `/*/` stands for the first directory in which the rest is there.
        let mut names: Vec<_> = fs::read_dir(path(before)).ok()?.flatten().map(|e| e.file_name()).collect();
        names.sort();
        names.retain(|name| !is_hidden(name.as_bytes()));
        names.iter().find_map(|name| mode(&bstr::join("/", [before, name.as_bytes(), after])))
    }

    fn read_file(&self, file: &[u8]) -> Result<Option<BString>, HostError> {
        let failed = |error: std::io::Error| HostError(error.to_string());
        let file = path(file);
        let meta = match fs::metadata(file) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Opening a pipe or a device could block the event for ever.
        if !meta.is_file() || meta.len() > IMPORT_MAX {
            return Err(HostError(format!("it is no regular file of at most {IMPORT_MAX} bytes")));
        }
        fs::read(file).map(|text| Some(text.into())).map_err(failed)
    }

    fn command_line(&self, key: &[u8]) -> Option<BString> {
        let text = self.kernel_command_line.get_or_init(|| machine::kernel_command_line(self.around.roots));
        machine::command_line(text, key)
    }

    fn user(&self, name: &[u8]) -> Option<u32> {
        system::account(name, |name| self.around.accounts.user(name))
    }

    fn group(&self, name: &[u8]) -> Option<u32> {
        system::account(name, |name| self.around.accounts.group(name))
    }

    fn dev_root(&self) -> BString {
        self.around.roots.dev.as_os_str().as_bytes().into()
    }

    fn sys_root(&self) -> BString {
        self.around.roots.sys.as_os_str().as_bytes().into()
    }

    fn program(&mut self, argv: &[BString], environment: &Properties) -> ProgramOutput {
        let mut argv = argv.to_vec();
        if let Some(program) = argv.first_mut().filter(|program| !program.starts_with(b"/")) {
            let found = self.around.roots.helper_dir().join(path(program));
            *program = found.as_os_str().as_bytes().into();
        }
        let helpers = self.around.roots.helper_dir();
        let stand_in = argv.first().and_then(|program| builtin::helper::stand_in(program, &helpers));
        match stand_in {
            Some(name) => self.stand_in(name, argv.get(1..).unwrap_or_default(), environment),
            None => self.effects.program(&argv, environment, self.deadline),
        }
    }

    fn builtin(
        &mut self,
        name: &str,
        arguments: &[BString],
        properties: &Properties,
    ) -> Result<Properties, HostError> {
        if let Some(done) = self.done.get(name) {
            return done.clone().map(|()| Properties::new());
        }
        let device = self.device.as_ref().ok_or_else(|| HostError("the device has gone".into()))?;
        let of_another = |device: &Device| self.properties(device);
        let context = self.context(device, properties, builtin::Known(&of_another));
        let found = builtin::run(name.as_bytes(), arguments, &context);
        let found = found.map_err(|error| HostError(error.to_string())).and_then(|found| {
            found.deeds.iter().try_for_each(|deed| self.effects.deed(device, deed))?;
            Ok(found.properties)
        });
        // What can't change within an event is asked once: a second import has the success or failure of the first.
        if builtin::find(name.as_bytes()).is_some_and(|builtin| builtin.once) {
            self.done.insert(name.into(), found.as_ref().map(|_| ()).map_err(Clone::clone));
        }
        found
    }

    fn write_attribute(&mut self, device: &Device, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        let name = self.unglob(device, name).ok_or_else(|| HostError("there is no such attribute".into()))?;
        self.effects.write_attribute(&self.reader, device, &name, value)
    }

    fn write_sysctl(&mut self, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        let file = self.sysctl_file(name).ok_or_else(|| HostError("the name leaves /proc/sys".into()))?;
        self.effects.write_sysctl(&file, name, value)
    }

    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        self.effects.index(pool, identity)
    }
}
