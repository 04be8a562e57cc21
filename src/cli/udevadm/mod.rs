//! Owns `udevadm`: the program answers as systemd's does when it is called by that name, so that scripts and units need not
//! know which device manager runs.
//!
//! Output, messages on failure and exit codes are those of systemd 257, which takes all that 252 takes. What it reads is the
//! database in `/run/udev` of whichever device manager runs. One file for each verb.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::context::{Common, Context};
use super::exit::Failure;
use crate::config::ResolveNames;
use crate::sys::process;

mod cat;
mod connection;
mod control;
mod credentials;
mod device;
mod hwdb;
mod info;
mod json;
mod listen;
mod locate;
mod lock;
mod look;
mod monitor;
mod queue;
mod select;
mod settle;
mod test;
mod test_builtin;
mod trigger;
mod verify;
mod wait;

/// The version of systemd's udevadm whose output this is: what `--version` says, which scripts compare.
const VERSION: &str = "257";
/// The name that makes the program answer as udevadm.
const NAME: &str = "udevadm";

/// Ask devices and the device manager, as udevadm does.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version = VERSION,
    propagate_version = true,
    max_term_width = 110,
    infer_long_args = true,
    args_override_self = true,
    arg_required_else_help = false
)]
struct Cli {
    /// Accepted and without effect
    #[arg(long, short)]
    debug: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Info(info::Options),
    Trigger(trigger::Options),
    Settle(settle::Options),
    Control(control::Options),
    Monitor(monitor::Options),
    Test(test::Options),
    TestBuiltin(test_builtin::Options),
    Verify(verify::Options),
    Wait(wait::Options),
    Lock(lock::Options),
    #[command(hide = true)]
    Hwdb(hwdb::Options),
    Cat(cat::Options),
}

/// Why a verb did not do what was asked: the message for stderr, and the exit code 1. No message: it is said already.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused(String);

impl Refused {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<io::Error> for Refused {
    /// Writing the output failed. Where nobody reads any more this ends as other programs do, whose exit code scripts
    /// with `pipefail` know.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            process::end_by_sigpipe();
        }
        Self(reason(&error))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// What a verb hands back: the exit code.
type Ended = Result<u8, Refused>;

/// Systemd's words for an error of the kernel's.
fn reason(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |raw| nix::errno::Errno::from_raw(raw).desc().into())
}

/// A yes or no as systemd reads it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// When users and groups are looked up.
fn resolve_names(text: &str) -> Option<ResolveNames> {
    ResolveNames::WORDS.iter().find(|(word, _)| *word == text).map(|(_, when)| *when)
}

/// True when the program was called by the name.
pub(super) fn is_called(program: Option<&OsString>) -> bool {
    program.and_then(|path| Path::new(path).file_name()) == Some(OsStr::new(NAME))
}

/// Options of `nameplate udevadm`, which are udevadm's own.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct Options {
    /// A verb of udevadm's with its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB")]
    arguments: Vec<OsString>,
}

/// The command table.
pub(super) fn command() -> clap::Command {
    // what stands behind an option that wants a value is that value, whatever it begins with
    let with_value = |arg: clap::Arg| {
        let takes = arg.get_action().takes_values() && !arg.is_positional();
        if takes { arg.allow_hyphen_values(true) } else { arg }
    };
    let overriding =
        |verb: clap::Command| verb.args_override_self(true).infer_long_args(true).mut_args(with_value);
    // the filters of `trigger` have letters of their own, which mean something else to `info`
    let letters = [
        ("subsystem_match", 's'),
        ("subsystem_nomatch", 'S'),
        ("attr_match", 'a'),
        ("attr_nomatch", 'A'),
        ("property_match", 'p'),
        ("tag_match", 'g'),
        ("sysname_match", 'y'),
        ("parent_match", 'b'),
    ];
    let lettered = |verb: clap::Command| {
        letters.iter().fold(verb, |verb, (name, letter)| verb.mut_arg(name, |arg| arg.short(*letter)))
    };
    Cli::command()
        .mut_subcommands(overriding)
        .mut_subcommand("trigger", lettered)
        .mut_subcommand("test-builtin", |verb| {
            verb.after_help(format!("Builtins:\n{}", test_builtin::names()))
        })
}

/// Writes `info -w5` as `info -w=5`: a value that may be missing stands right behind its letter for udevadm, and behind an
/// equals sign for the parser here.
fn with_equals(arguments: impl IntoIterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut is_info = None;
    arguments.into_iter().map(move |argument| {
        let bytes = argument.as_bytes();
        if is_info.is_none() && !bytes.starts_with(b"-") {
            is_info = Some(bytes == b"info");
        }
        match bytes.strip_prefix(b"-w") {
            Some(value) if is_info == Some(true) && !value.is_empty() => {
                OsString::from_vec([b"-w=", value].concat())
            }
            _ => argument,
        }
    })
}

/// Says which systemd's programs these stand in for.
pub(super) fn version() -> ExitCode {
    let _nobody_reads = writeln!(io::stdout(), "{VERSION}");
    ExitCode::SUCCESS
}

/// Answers as udevadm: `arguments` begin behind the program's name.
pub(super) fn main(common: Common, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = std::iter::once(OsString::from(NAME)).chain(with_equals(arguments));
    let parsed =
        command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => return version(),
        Err(error) => {
            let _nobody_reads = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let ended = Context::new(common)
        .map_err(Refused::from)
        .and_then(|context| dispatch(cli.verb, &context, &mut out));
    let flushed = out.flush();
    match ended.and_then(|code| Ok(flushed.map(|()| code)?)) {
        Ok(code) => code.into(),
        Err(Refused(message)) => {
            if !message.is_empty() {
                let _nobody_reads = writeln!(io::stderr(), "{message}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The same as a verb of nameplate's.
pub(super) fn run(options: Options, common: Common) -> ExitCode {
    main(common, options.arguments)
}

fn dispatch(verb: Option<Verb>, context: &Context, out: &mut dyn Write) -> Ended {
    match verb {
        None => Err(Refused::new("Command verb required.")),
        Some(Verb::Info(options)) => info::run(&options, context, out),
        Some(Verb::Trigger(options)) => trigger::run(&options, context, out),
        Some(Verb::Settle(options)) => settle::run(&options, context),
        Some(Verb::Control(options)) => control::run(&options, context),
        Some(Verb::Monitor(options)) => monitor::run(&options, context, out),
        Some(Verb::Test(options)) => test::run(&options, context, out),
        Some(Verb::TestBuiltin(options)) => test_builtin::run(&options, context, out),
        Some(Verb::Verify(options)) => verify::run(&options, context, out),
        Some(Verb::Wait(options)) => wait::run(&options, context),
        Some(Verb::Lock(options)) => lock::run(&options, context, out),
        Some(Verb::Hwdb(options)) => hwdb::run(&options, context, out),
        Some(Verb::Cat(options)) => cat::run(&options, context, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_name_is_what_counts() {
        for (program, expected) in
            [("/sbin/udevadm", true), ("udevadm", true), ("nameplate", false), ("/udevadm/x", false)]
        {
            assert_eq!(is_called(Some(&program.into())), expected, "{program}");
        }
        assert!(!is_called(None));
    }
}
