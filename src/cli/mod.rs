//! Owns the command line: one file for each verb, one table (clap's) for parser, help, completions and man pages.
//!
//! Arguments go through two shapes: what was typed ([`Cli`], [`context::Common`], each verb's `Options`), which is only
//! checked, and what is needed ([`context::Context`]), made once after parsing. The exit code is a type, set in one place.
//! Verbs write facts to the writer that they are given and never decide anything about devices themselves.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod client;
pub mod context;
pub mod device_arg;
pub mod exit;
pub mod output;

mod apply;
mod called_as;
mod check;
mod completions;
mod convert;
mod daemon;
mod dry;
mod explain;
mod hwdb;
mod info;
mod list;
mod man;
mod monitor;
mod reload;
mod settle;
mod site;
mod status;
mod test;
mod tree;
mod trigger;
mod udevadm;
mod wait;

use context::{Common, Context};
use exit::{Exit, Failure};

/// nameplate gives devices names that stay.
///
/// It is a device manager for Linux: it hears the kernel's uevents, keeps the tree of devices, runs the rules that people
/// wrote, and makes links, permissions, properties and tags from them.
///
/// Called by the name udevadm (packages put a link of that name beside it) it takes the verbs and options of systemd's
/// udevadm, and answers as that does.
#[derive(Debug, Parser)]
#[command(name = "nameplate", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Daemon(daemon::Options),
    Status(status::Options),
    List(list::Options),
    Info(info::Options),
    Tree(tree::Options),
    Monitor(monitor::Options),
    Test(test::Options),
    Explain(explain::Options),
    Check(check::Options),
    Convert(convert::Options),
    Apply(apply::Options),
    Reload(reload::Options),
    Trigger(trigger::Options),
    Settle(settle::Options),
    Wait(wait::Options),
    Hwdb(hwdb::Options),
    #[command(hide = true)]
    Udevadm(udevadm::Options),
    #[command(hide = true)]
    Completions(completions::Options),
    #[command(hide = true)]
    Man(man::Options),
}

/// The whole command table, with the exit codes at the end of every help.
pub fn command() -> clap::Command {
    let footer = exit::footer();
    let command = Cli::command().after_help(footer.clone());
    command.mut_subcommands(|verb| {
        let own = verb.get_after_help().map(|own| format!("{own}\n\n")).unwrap_or_default();
        verb.after_help(format!("{own}{footer}"))
    })
}

/// Runs what was typed, `args[0]` included, and says with what to exit.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(ended) = called_as::run(&args) {
        return ended;
    }
    if udevadm::is_called(args.first()) {
        return udevadm::main(Common::default(), args.into_iter().skip(1));
    }
    let args = if daemon::is_called(args.first()) {
        if args.iter().skip(1).any(|arg| arg == "--version" || arg == "-V") {
            // scripts compare it with systemd's
            return udevadm::version();
        }
        daemon::as_verb(args.into_iter().skip(1))
    } else {
        args
    };
    let parsed = command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _broken_pipe = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    if let Verb::Udevadm(options) = cli.verb {
        return udevadm::run(options, cli.common);
    }
    let mut out = io::stdout().lock();
    let ended = Context::new(cli.common)
        .and_then(|context| dispatch(&cli.verb, &context, &mut out))
        .and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match ended {
        Ok(exit) => exit.into(),
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok.into(),
        Err(failure) => {
            let _nobody_reads = writeln!(io::stderr(), "nameplate: {failure}");
            failure.exit().into()
        }
    }
}

fn dispatch(verb: &Verb, context: &Context, out: &mut dyn Write) -> Result<Exit, Failure> {
    match verb {
        Verb::Daemon(options) => daemon::run(options, context, out),
        Verb::Status(options) => status::run(options, context, out),
        Verb::List(options) => list::run(options, context, out),
        Verb::Info(options) => info::run(options, context, out),
        Verb::Tree(options) => tree::run(options, context, out),
        Verb::Monitor(options) => monitor::run(options, context, out),
        Verb::Test(options) => test::run(options, context, out),
        Verb::Explain(options) => explain::run(options, context, out),
        Verb::Check(options) => check::run(options, context, out),
        Verb::Convert(options) => convert::run(options, context, out),
        Verb::Apply(options) => apply::run(options, context, out),
        Verb::Reload(options) => reload::run(options, context, out),
        Verb::Trigger(options) => trigger::run(options, context, out),
        Verb::Settle(options) => settle::run(options, context, out),
        Verb::Wait(options) => wait::run(options, context, out),
        Verb::Hwdb(options) => hwdb::run(options, context, out),
        Verb::Udevadm(_) => Ok(Exit::Failed),
        Verb::Completions(options) => completions::run(options, out),
        Verb::Man(options) => man::run(options, out),
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
    fn every_verb_and_option_says_what_it_does() {
        for verb in command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }
}
