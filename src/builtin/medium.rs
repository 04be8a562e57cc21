//! Owns how builtins reach a medium: the device's node is opened here, after its number was checked, and the probe reads it.
//!
//! Never reads a byte of it itself.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use bstr::{BStr, BString, ByteSlice};
use nix::errno::Errno;

use super::{BuiltinError, Context};
use crate::device::{Device, Source};
use crate::ids::NodeKind;
use crate::probe::{Answer, Refusal, Request};
use crate::roots::Roots;
use crate::sys::fs::open_dir;
use crate::sys::medium::{Numbers, Reply, open_node};

/// The longest time that one question may take: a drive that has to spin up takes seconds.
const LONGEST: Duration = Duration::from_secs(60);

/// A node that is open for reading.
#[derive(Debug)]
pub(super) struct Medium {
    /// The node's name below the device directory, for messages.
    pub(super) name: BString,
    /// The descriptor that the probe gets.
    pub(super) file: OwnedFd,
}

/// The node of a device could not be opened.
#[derive(Debug)]
pub(super) enum Closed {
    /// There is no medium, or no device any more: not worth a word.
    Absent,
    /// All else.
    Failed(BuiltinError),
}

impl From<Closed> for BuiltinError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Absent => BuiltinError::Failed("there is no medium, or no device any more".into()),
            Closed::Failed(error) => error,
        }
    }
}

impl Context<'_> {
    /// Opens the node of `device` for reading.
    pub(super) fn open(&self, device: &Device) -> Result<Medium, Closed> {
        let none = || Closed::Failed(BuiltinError::Failed(format!("{} has no node", device.devpath())));
        let number = device.devnum().ok_or_else(none)?;
        let uevent = self.reader.uevent(device);
        let name = node_name(uevent.get("DEVNAME").ok_or_else(none)?, self.roots);
        let block = number.kind == NodeKind::Block;
        self.open_as(name, Some((block, number.major.into(), number.minor.into())))
    }

    /// Opens what a helper program was told to look at: the node of that path, or without one the device's own.
    pub(super) fn open_path(&self, path: Option<&BString>) -> Result<Medium, Closed> {
        let Some(path) = path else { return self.open(self.device) };
        let name = node_name(path.as_bstr(), self.roots);
        let uevent = self.reader.uevent(self.device);
        if uevent.get("DEVNAME").is_some_and(|own| node_name(own, self.roots) == name) {
            return self.open(self.device);
        }
        self.open_as(name, None)
    }

    fn open_as(&self, name: &[u8], expected: Option<Numbers>) -> Result<Medium, Closed> {
        self.not_recorded().map_err(Closed::Failed)?;
        match open_dir(&self.roots.dev).and_then(|dir| open_node(dir, name, expected)) {
            Ok(file) => Ok(Medium { name: name.into(), file }),
            Err(Errno::ENXIO | Errno::ENOMEDIUM) => Err(Closed::Absent),
            Err(errno) => {
                let text = format!("node `{}` can't be opened: {errno}", name.as_bstr());
                Err(Closed::Failed(BuiltinError::Failed(text)))
            }
        }
    }

    /// Error: the devices are those of a recording. What has the same name and number here is another machine's.
    pub(super) fn not_recorded(&self) -> Result<(), BuiltinError> {
        match self.reader.tree().source() {
            Source::Recording(_) => Err(BuiltinError::Failed("a recording holds no media".into())),
            Source::Live(_) => Ok(()),
        }
    }

    /// Asks a probe about an open medium. `Err` in `Ok`: the probe is well, but there is no answer.
    pub(super) fn try_ask(
        &self,
        request: &Request,
        medium: &Medium,
    ) -> Result<Result<Answer, Refusal>, BuiltinError> {
        let until = self.deadline.min(Instant::now() + LONGEST);
        match self.shared.probes().ask(request, medium.file.as_fd(), until) {
            Ok(Answer::Refused(why)) => {
                if why == Refusal::NoLibrary && self.shared.is_first_without_library() {
                    tracing::error!("{why}: no file system and no partition is recognised without it");
                }
                Ok(Err(why))
            }
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => {
                let path = self.device.devpath();
                tracing::error!(DEVPATH = %path, %error, "`{}` was not read", medium.name);
                Err(BuiltinError::Failed(format!("`{}` was not read: {error}", medium.name)))
            }
        }
    }

    /// As [`Context::try_ask`]; an answer that is none is an error.
    pub(super) fn ask(&self, request: &Request, medium: &Medium) -> Result<Answer, BuiltinError> {
        self.try_ask(request, medium)?
            .map_err(|why| BuiltinError::Failed(format!("`{}` was not read: {why}", medium.name)))
    }
}

/// What answers questions about a drive: the probe, or a test.
pub(super) trait Drive {
    /// Asks. Error: the drive can't say, and why; a helper then tries another way, or says less.
    fn ask(&self, request: Request) -> Result<Answer, BuiltinError>;

    /// Sends a SCSI command and takes at most `room` bytes.
    fn scsi(&self, command: &[u8], room: u16) -> Result<Reply, BuiltinError> {
        match self.ask(Request::Scsi { command: command.into(), room, timeout: COMMAND_MS })? {
            Answer::Reply(reply) => Ok(reply),
            _ => Ok(Reply::default()),
        }
    }

    /// The data of a command that went well.
    fn data(&self, command: &[u8], room: u16) -> Result<Vec<u8>, BuiltinError> {
        match self.scsi(command, room)? {
            Reply { data, status: 0, transport: 0, .. } => Ok(data),
            Reply { status, transport, sense, .. } => Err(BuiltinError::Failed(format!(
                "command {:#04x} failed: status {status:#x}, transport {transport:#x}, sense {}",
                command.first().copied().unwrap_or_default(),
                sense.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            ))),
        }
    }

    /// A structure, or plain bytes.
    fn bytes(&self, request: Request) -> Result<Vec<u8>, BuiltinError> {
        match self.ask(request)? {
            Answer::Bytes(bytes) => Ok(bytes),
            _ => Ok(Vec::new()),
        }
    }
}

/// How long one command may take, in milliseconds.
const COMMAND_MS: u32 = 30_000;

/// An open drive, asked through a probe.
#[derive(Debug)]
pub(super) struct Probed<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) medium: Medium,
}

impl Drive for Probed<'_> {
    fn ask(&self, request: Request) -> Result<Answer, BuiltinError> {
        self.context.ask(&request, &self.medium)
    }
}

/// A node's name below the device directory: the kernel gives it so, others with the directory in front.
fn node_name<'n>(name: &'n BStr, roots: &Roots) -> &'n [u8] {
    let below = |dir: &[u8]| name.strip_prefix(dir).and_then(|rest| rest.strip_prefix(b"/"));
    below(roots.dev.as_os_str().as_encoded_bytes())
        .or_else(|| below(Roots::system().dev.as_os_str().as_encoded_bytes()))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes() {
        let roots = Roots::below(std::path::Path::new("/tmp/x"));
        for (name, expected) in [
            ("sda", "sda"),
            ("/dev/sda", "sda"),
            ("/tmp/x/dev/mapper/a", "mapper/a"),
            ("cpu/0/msr", "cpu/0/msr"),
            ("/devices", "/devices"),
        ] {
            assert_eq!(node_name(name.into(), &roots).as_bstr(), expected);
        }
    }
}
