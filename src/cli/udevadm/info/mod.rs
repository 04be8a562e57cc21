//! `udevadm info`: what is known of devices.

mod cleanup;
mod show;
mod walk;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::device::{Known, Machine, Order};
use super::locate::{self, Below, Missing};
use super::select::{Filters, Kind};
use super::{Ended, Refused};
use crate::cli::context::Context;
use show::{Form, Json};

/// What is asked of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    Name,
    Symlink,
    Path,
    Property,
    All,
}

/// Show what is known of devices
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What to show: name, symlink, path, property or all
    #[arg(long, short, value_name = "TYPE")]
    query: Option<String>,
    /// Only these properties
    #[arg(long, value_name = "NAME")]
    property: Vec<String>,
    /// Values only, without the names of properties
    #[arg(long)]
    value: bool,
    /// The device at this path below /sys
    #[arg(long, short, value_name = "SYSPATH")]
    path: Vec<OsString>,
    /// The device of this node or link
    #[arg(long, short, value_name = "NAME")]
    name: Vec<OsString>,
    /// Names with the device directory in front
    #[arg(long, short)]
    root: bool,
    /// What rules can match of the device and of those above it
    #[arg(long, short)]
    attribute_walk: bool,
    /// The device and what is below it as a tree
    #[arg(long, short)]
    tree: bool,
    /// MAJOR:MINOR of the file system that holds this file
    #[arg(long, short, value_name = "FILE")]
    device_id_of_file: Option<OsString>,
    /// Values in quotes, as a shell reads them
    #[arg(long, short = 'x')]
    export: bool,
    /// The same, with this in front of each name
    #[arg(long, short = 'P', value_name = "NAME")]
    export_prefix: Option<String>,
    /// The whole database
    #[arg(long, short)]
    export_db: bool,
    /// Delete the database, but for what is to be kept
    #[arg(long, short)]
    cleanup_db: bool,
    /// Wait until the device manager has handled the device
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, require_equals = false, default_missing_value = "")]
    wait_for_initialization: Option<String>,
    /// Accepted: the output never goes through a pager
    #[arg(long)]
    no_pager: bool,
    /// JSON: pretty, short or off
    #[arg(long, value_name = "FORM", default_value = "off")]
    json: Json,
    #[command(flatten)]
    filters: Filters,
    /// Device: below /dev or /sys, a unit's name, or a device id
    #[arg(value_name = "DEVICE")]
    devices: Vec<OsString>,
}

/// Runs the verb.
pub(super) fn run(options: &Options, context: &Context, out: &mut dyn Write) -> Ended {
    let query = query(options)?;
    let form = Form {
        root: options.root,
        only: options.property.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect(),
        value: options.value,
        prefix: (options.export || options.export_prefix.is_some())
            .then(|| options.export_prefix.clone().unwrap_or_default()),
        json: options.json,
    };
    if form.prefix.is_some() && form.value {
        return Err(Refused::new("-x/--export or -P/--export-prefix cannot be used with --value"));
    }
    let machine = Machine::new(context);
    if let Some(file) = &options.device_id_of_file {
        return device_of_file(file, options, out);
    }
    if options.cleanup_db {
        cleanup::run(&machine);
        return Ok(0);
    }
    let tops = options.filters.tops(context, &machine)?;
    if options.export_db {
        for known in options.filters.select(&machine, Kind::Devices, &tops) {
            show::record(out, &machine, &known, Order::SubsystemFirst, &form)?;
        }
        return Ok(0);
    }
    if is_bare(options) {
        if options.tree {
            return show::tree(out, &machine, None).map(|()| 0);
        }
        return Err(Refused::new("A device name or path is required"));
    }
    if options.attribute_walk && options.devices.len() + options.name.len() + options.path.len() > 1 {
        return Err(Refused::new("Only one device may be specified with -a/--attribute-walk and -t/--tree"));
    }
    each(options, query, &form, context, &machine, out)
}

fn is_bare(options: &Options) -> bool {
    options.devices.is_empty() && options.name.is_empty() && options.path.is_empty()
}

fn query(options: &Options) -> Result<Query, Refused> {
    match options.query.as_deref() {
        None => Ok(Query::All),
        Some("name") => Ok(Query::Name),
        Some("symlink") => Ok(Query::Symlink),
        Some("path") => Ok(Query::Path),
        Some("property" | "env") => Ok(Query::Property),
        Some("all") => Ok(Query::All),
        Some(_) => Err(Refused::new("unknown query type")),
    }
}

/// Every device that is named; what is wrong with one is said, and the others are shown all the same.
fn each(
    options: &Options,
    query: Query,
    form: &Form,
    context: &Context,
    machine: &Machine,
    out: &mut dyn Write,
) -> Ended {
    let mut code = 0;
    let names = options.name.iter().map(|name| (name, Below::Dev));
    let paths = options.path.iter().map(|path| (path, Below::Sys));
    let others = options.devices.iter().map(|device| (device, Below::Nothing));
    for (argument, below) in names.chain(paths).chain(others) {
        let shown = locate::find(context, machine, argument, below)
            .map_err(|missing| unknown(argument, missing))
            .and_then(|known| {
                let known = waited(options, context, machine, known)?;
                let by_node = locate::is_below_dev(context, argument, below);
                one(options, query, form, machine, (&known, by_node), out)
            });
        if let Err(Refused(message)) = shown {
            let _nobody_reads = writeln!(std::io::stderr(), "{message}");
            code = 1;
        }
    }
    Ok(code)
}

fn unknown(argument: &OsString, missing: Missing) -> Refused {
    Refused::new(match missing {
        Missing::BadArgument => format!(
            "Bad argument \"{}\", expected an absolute path in /dev/ or /sys/ or a unit name: Invalid argument",
            argument.to_string_lossy()
        ),
        Missing::Unknown(path) => format!("Unknown device \"{}\": No such device", path.display()),
    })
}

fn waited(options: &Options, context: &Context, machine: &Machine, known: Known) -> Result<Known, Refused> {
    let Some(seconds) = &options.wait_for_initialization else { return Ok(known) };
    let patience = match seconds.as_str() {
        "" => None,
        seconds => Some(
            super::queue::seconds(seconds)
                .ok_or_else(|| Refused::new(format!("Failed to parse timeout value: {seconds}")))?,
        ),
    };
    let end = patience.and_then(|patience: Duration| Instant::now().checked_add(patience));
    let found = super::wait::until(context, end, || {
        let now = machine.known(known.device.clone());
        now.is_initialized().then_some(now)
    })?;
    found.ok_or_else(|| Refused::new("Failed to wait for device to be initialized: Connection timed out"))
}

fn one(
    options: &Options,
    query: Query,
    form: &Form,
    machine: &Machine,
    (known, by_node): (&Known, bool),
    out: &mut dyn Write,
) -> Result<(), Refused> {
    if options.attribute_walk {
        return Ok(walk::run(out, machine, known, form.json)?);
    }
    if options.tree {
        return show::tree(out, machine, Some(known));
    }
    let order = if by_node { Order::FileFirst } else { Order::SubsystemFirst };
    match query {
        Query::Name => {
            let node = known.node_path();
            let node = node.ok_or_else(|| Refused::new("No device node found: No such file or directory"))?;
            show::names(out, &[node], machine, form)?;
        }
        Query::Symlink => {
            let links: Vec<_> = known.links().map(|link| known.link_path(link)).collect();
            show::names(out, &links, machine, form)?;
        }
        Query::Path => show::line(out, known.devpath().as_bytes())?,
        Query::Property => show::properties(out, machine, known, Order::FileFirst, form)?,
        Query::All => show::record(out, machine, known, order, form)?,
    }
    Ok(())
}

fn device_of_file(file: &OsString, options: &Options, out: &mut dyn Write) -> Ended {
    let Ok(meta) = std::fs::metadata(file) else { return Ok(1) };
    let (major, minor) = (nix::sys::stat::major(meta.dev()), nix::sys::stat::minor(meta.dev()));
    if options.export || options.export_prefix.is_some() {
        let prefix = options.export_prefix.as_deref().unwrap_or("INFO_");
        writeln!(out, "{prefix}MAJOR={major}\n{prefix}MINOR={minor}")?;
    } else {
        writeln!(out, "{major}:{minor}")?;
    }
    Ok(0)
}
