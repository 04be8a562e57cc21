//! Owns what this program does when it is not a person who calls it: the probe that the daemon starts, and udev's helper
//! programs, whose names it may be called by (links in the helper directory, for scripts that call them).
//!
//! Looked at before the command table is made, since it has to be fast.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};
use nix::sys::stat::{major, minor};

use super::exit::Exit;
use crate::apply::deed::Deeds;
use crate::builtin::{Context, Shared, helper};
use crate::decide::DeedRunner;
use crate::device::{Device, Reader, Source, Tree};
use crate::ids::{Action, DevPath};
use crate::probe::{self, Role};
use crate::properties::Properties;
use crate::roots::Roots;

/// A name of this program under which it has a command table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Called {
    /// Its own.
    Nameplate,
    /// That of systemd's tool.
    Udevadm,
}

impl Called {
    /// The table.
    pub(super) fn command(self) -> clap::Command {
        match self {
            Called::Nameplate => super::command(),
            Called::Udevadm => super::udevadm::command(),
        }
    }

    /// The section of the manual: programs, or those of the administrator.
    pub(super) fn section(self) -> &'static str {
        match self {
            Called::Nameplate => "1",
            Called::Udevadm => "8",
        }
    }
}

/// As long as udev gives an event.
const LONGEST: Duration = Duration::from_secs(180);

/// Runs what was called, if it is none of the verbs.
pub(super) fn run(args: &[OsString]) -> Option<ExitCode> {
    if let [_, verb, role] = args
        && verb == probe::VERB
    {
        return Some(probe::inside::run(Role::of(role.as_bytes())?));
    }
    let name = helper::named(args.first()?.as_bytes())?;
    let arguments: Vec<BString> = args.iter().skip(1).map(|arg| arg.clone().into_vec().into()).collect();
    match arguments.first().map(|first| first.as_slice()) {
        Some(b"--help" | b"-h") => {
            let _nobody_reads =
                writeln!(io::stdout(), "{name} [OPTION]... [NODE]\n\nSee nameplate-rules(5).");
            return Some(Exit::Ok.into());
        }
        Some(b"--version") => {
            let _nobody_reads = writeln!(io::stdout(), "nameplate {}", env!("CARGO_PKG_VERSION"));
            return Some(Exit::Ok.into());
        }
        _ => {}
    }
    Some(match as_helper(name, &arguments) {
        Ok(()) => Exit::Ok.into(),
        Err(why) => {
            let _nobody_reads = writeln!(io::stderr(), "{name}: {why}");
            // what scripts and rules know as failure
            ExitCode::FAILURE
        }
    })
}

/// Says what the helper program of that name says. Error: why it has nothing to say.
fn as_helper(name: &str, arguments: &[BString]) -> Result<(), String> {
    let roots = Roots::system();
    let tree = Tree::new(Source::Live(roots.sys.clone()));
    let device = device(&tree, &roots, name, arguments).ok_or("no device is named, or it is not there")?;
    let (reader, shared) = (Reader::new(&tree), Shared::new(&roots));
    let context = Context {
        device: &device,
        reader: &reader,
        action: Action::Change,
        properties: &Properties::new(),
        known: Default::default(),
        roots: &roots,
        shared: &shared,
        deadline: Instant::now() + LONGEST,
    };
    let arguments: &[BString] = if name == "fido_id" { &[] } else { arguments };
    let said = helper::say(name, arguments, &context).map_err(|error| error.to_string())?;
    io::stdout().write_all(&said.stdout()).map_err(|error| error.to_string())?;
    let deeds = Deeds::new(&roots);
    said.deeds.iter().try_for_each(|deed| deeds.carry_out(&device, deed)).map_err(|error| error.to_string())
}

/// The device that is meant: that of the node or the path in sysfs that an argument names. A helper that reads no node may do
/// without: then it is that of an event's environment, or the null device, which stands for none.
fn device(tree: &Tree, roots: &Roots, name: &str, arguments: &[BString]) -> Option<Device> {
    // behind an option or alone
    let paths = arguments.iter().filter_map(|argument| argument.get(argument.find_byte(b'/')?..));
    let named = paths.filter_map(|path| in_sysfs(roots, Path::new(std::ffi::OsStr::from_bytes(path)))).next();
    let other = || {
        let of_event = std::env::var_os("DEVPATH").map(|path| roots.sys.join(strip(path.as_bytes())));
        let reads_none = matches!(name, "dmi_memory_id" | "fido_id");
        of_event.or_else(|| in_sysfs(roots, &roots.dev.join("null"))).filter(|_| reads_none)
    };
    let path = named.or_else(other)?.canonicalize().ok()?;
    let below = path.strip_prefix(roots.sys.canonicalize().ok()?).ok()?;
    tree.load(&DevPath::new(&[b"/", below.as_os_str().as_bytes()].concat()).ok()?)
}

fn strip(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
}

/// The directory in sysfs of a node's device, or a path that is there already.
fn in_sysfs(roots: &Roots, path: &Path) -> Option<PathBuf> {
    if path.starts_with(&roots.sys) {
        return Some(path.to_owned());
    }
    let meta = path.metadata().ok()?;
    let kind = meta.file_type();
    let place = match (kind.is_block_device(), kind.is_char_device()) {
        (true, _) => "dev/block",
        (_, true) => "dev/char",
        _ => return None,
    };
    let number = meta.rdev();
    Some(roots.sys.join(place).join(format!("{}:{}", major(number), minor(number))))
}
