//! `udevadm info`: what is known of devices.

mod cleanup;
mod named;
mod show;
mod walk;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use bstr::ByteSlice;

use super::device::{Known, Machine, Order};
use super::json::{self, Json};
use super::locate::{self, Below, Missing};
use super::look::Look;
use super::select::{Filters, Kind, Wanted};
use super::{Ended, Refused};
use crate::cli::context::Context;
use crate::text::time_span;
use show::Form;

/// What is asked of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    Name,
    Symlink,
    Path,
    Property,
    All,
}

/// What can be asked for; of several the last counts.
const OTHERS: [&str; 6] = ["query", "attribute_walk", "tree", "export_db", "cleanup_db", "device_id_of_file"];

/// Show what is known of devices
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What to show: name, symlink, path, property or all
    #[arg(long, short, value_name = "TYPE", overrides_with_all = OTHERS)]
    query: Option<String>,
    /// Only these properties
    #[arg(long, value_name = "NAME")]
    property: Vec<String>,
    /// Values only, without the names of properties
    #[arg(long)]
    value: bool,
    #[command(flatten)]
    named: named::Named,
    /// Names with the device directory in front
    #[arg(long, short)]
    root: bool,
    /// What rules can match of the device and of those above it
    #[arg(long, short, overrides_with_all = OTHERS)]
    attribute_walk: bool,
    /// The device and what is below it as a tree
    #[arg(long, short, overrides_with_all = OTHERS)]
    tree: bool,
    /// MAJOR:MINOR of the file system that holds this file
    #[arg(long, short, value_name = "FILE", overrides_with_all = OTHERS)]
    device_id_of_file: Option<OsString>,
    /// Values in quotes, as a shell reads them
    #[arg(long, short = 'x')]
    export: bool,
    /// The same, with this in front of each name
    #[arg(long, short = 'P', value_name = "NAME")]
    export_prefix: Option<String>,
    /// The whole database
    #[arg(long, short, overrides_with_all = OTHERS)]
    export_db: bool,
    /// Delete the database, but for what is to be kept
    #[arg(long, short, overrides_with_all = OTHERS)]
    cleanup_db: bool,
    /// Wait until the device manager has handled the device
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "infinity")]
    wait_for_initialization: Option<String>,
    /// Accepted: the output never goes through a pager
    #[arg(long)]
    no_pager: bool,
    /// JSON: pretty, short or off, or `help` for these names
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
    if options.json == Json::Help {
        write!(out, "{}", json::HELP)?;
        return Ok(0);
    }
    let query = query(options)?;
    well_formed(&options.filters)?;
    let form = Form {
        root: options.root,
        only: names(&options.property),
        value: options.value,
        prefix: (options.export || options.export_prefix.is_some())
            .then(|| options.export_prefix.clone().unwrap_or_default()),
        json: options.json,
        look: Look::of_stdout(),
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
        options.filters.tags_are_names()?;
        for known in options.filters.select(&machine, Kind::Devices, &tops, Wanted::All) {
            // what was looked up by its number
            let by_number = !options.filters.tag_match.is_empty() && known.has_number();
            let order = if by_number { Order::FileFirst } else { Order::SubsystemFirst };
            show::record(out, &machine, &known, order, &form)?;
        }
        return Ok(0);
    }
    if is_bare(options) {
        if options.tree {
            return show::tree(out, &machine, None, form.look).map(|()| 0);
        }
        return Err(Refused::new("A device name or path is required"));
    }
    let one_alone = options.attribute_walk || options.tree;
    if one_alone && options.devices.len() + options.named.0.len() > 1 {
        return Err(Refused::new("Only one device may be specified with -a/--attribute-walk and -t/--tree"));
    }
    each(options, query, &form, context, &machine, out)
}

fn is_bare(options: &Options) -> bool {
    options.devices.is_empty() && options.named.0.is_empty()
}

/// The names of a list that commas separate.
fn names(lists: &[String]) -> Vec<String> {
    // nothing at all is a name that nothing has, nothing between commas is no name
    let names = |list: &'_ String| -> Vec<String> {
        let names = list.split(',').filter(|name| !name.is_empty() || list.is_empty());
        names.map(str::to_owned).collect()
    };
    lists.iter().flat_map(names).collect()
}

/// What `trigger` takes in these filters `info` does not.
fn well_formed(filters: &Filters) -> Result<(), Refused> {
    let pairs = filters.attr_match.iter().chain(&filters.attr_nomatch).chain(&filters.property_match);
    for pair in pairs {
        if pair.as_bytes().find_byte(b'=').is_none_or(|at| at == 0) {
            return Err(Refused::new(format!("Failed to parse '{}', expected KEY=VALUE", pair.display())));
        }
    }
    Ok(())
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

/// Every device that is named; what is wrong with one is said, and the others are shown all the same, unless it was waited for in vain.
fn each(
    options: &Options,
    query: Query,
    form: &Form,
    context: &Context,
    machine: &Machine,
    out: &mut dyn Write,
) -> Ended {
    let mut code = 0;
    let named = options.named.0.iter().map(|(argument, below)| (argument, *below));
    let others = options.devices.iter().map(|device| (device, Below::Nothing));
    for (argument, below) in named.chain(others) {
        let known = match locate::find(context, machine, argument, below) {
            Ok(known) => waited(options, machine, known)?,
            Err(missing) => {
                complain(&unknown(argument, missing));
                code = 1;
                continue;
            }
        };
        let by_node = locate::is_below_dev(context, argument, below);
        if let Err(refused) = one(options, query, form, machine, (&known, by_node), out) {
            complain(&refused);
            code = 1;
        }
    }
    Ok(code)
}

fn complain(refused: &Refused) {
    if !refused.0.is_empty() {
        let _nobody_reads = writeln!(std::io::stderr(), "{}", refused.0);
    }
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

fn waited(options: &Options, machine: &Machine, known: Known) -> Result<Known, Refused> {
    let Some(seconds) = &options.wait_for_initialization else { return Ok(known) };
    let patience = time_span(seconds)
        .ok_or_else(|| Refused::new(format!("Failed to parse timeout value: {seconds}")))?;
    if patience.is_zero() {
        return Ok(known);
    }
    let end = Instant::now().checked_add(patience);
    let found = super::wait::until(end, || {
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
        return Ok(walk::run(out, machine, known, form)?);
    }
    if options.tree {
        return show::tree(out, machine, Some(known), form.look);
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
