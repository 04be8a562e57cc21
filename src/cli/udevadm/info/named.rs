//! Owns `--name` and `--path` of `udevadm info`: both may be given several times, and devices are shown in the order in
//! which they are named, whichever of the two names them.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use super::super::locate::Below;

/// What was named, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(pub(super) Vec<(OsString, Below)>);

const OPTIONS: [(&str, char, &str, &str, Below); 2] = [
    ("path", 'p', "SYSPATH", "The device at this path below /sys", Below::Sys),
    ("name", 'n', "NAME", "The device of this node or link", Below::Dev),
];

impl FromArgMatches for Named {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut found = Vec::new();
        for (id, .., below) in OPTIONS {
            let places = matches.indices_of(id).into_iter().flatten();
            let values = matches.get_many::<OsString>(id).into_iter().flatten();
            found.extend(places.zip(values).map(|(place, value)| (place, value.clone(), below)));
        }
        found.sort_by_key(|(place, ..)| *place);
        Ok(Self(found.into_iter().map(|(_, value, below)| (value, below)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Named {
    fn augment_args(command: Command) -> Command {
        OPTIONS.iter().fold(command, |command, (id, short, value, about, _)| {
            let option = Arg::new(*id).long(*id).short(*short).value_name(*value).help(*about);
            command.arg(option.action(ArgAction::Append).value_parser(value_parser!(OsString)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
