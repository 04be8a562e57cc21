//! Benchmark: what an event costs with 10,000 more rules, and how long rules take to load.
//!
//! Three parts, all in one run so that they can be compared:
//!
//! 1. `decide` for the `add` of a serial adapter's tty, with some rules and with these and 10,000 others. Exits with 1
//!    when rules that can't match cost more than 1.2 times, or a list of which one matches more than 3 times.
//! 2. The same by criterion, for the curve over time (`cargo bench --bench rules -- --save-baseline NAME`).
//! 3. `rules-udevadm` beside this file: the command line tool next to `udevadm test`, if that is installed.

// a benchmark ends as loudly as a test, and prints
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use criterion::Criterion;
use nameplate::decide::{Dry, Event, EventHost, Plan, Records, SkippedPrograms, Surroundings, decide};
use nameplate::device::{Device, Reader, Source, Tree};
use nameplate::ids::{Action, DevPath, DeviceId, SeqNum};
use nameplate::roots::Roots;
use nameplate::rules::compile::Compiled;
use nameplate::rules::load::load;
use nameplate::rules::toml::{AccountFiles, Known};
use nameplate::rules::trace::Unobserved;
use nameplate::store::index::Indexes;
use nameplate::store::record::Record;
use nameplate::uevent::Uevent;

/// So many rules are added.
const ADDED: usize = 10_000;
/// Each figure is the best of so many rounds, between which the rule sets take turns.
const ROUNDS: usize = 200;
/// Events in a round.
const EVENTS: u32 = 10;
/// What rules that can't match may cost, and a list of which one line matches.
const BOUNDS: [f64; 2] = [1.2, 3.0];

const TTY: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";

/// A few rules as machines have them.
const BASE: &str = r#"
SUBSYSTEM=="tty", KERNEL=="tty[A-Z]*[0-9]", GROUP="dialout", MODE="0660"
SUBSYSTEM=="tty", SUBSYSTEMS=="usb-serial", ENV{ID_PORT}="$attr{port_number}"
ACTION=="remove", GOTO="end"
SUBSYSTEM!="tty", GOTO="end"
SUBSYSTEMS=="usb", ATTRS{idVendor}=="?*", ENV{ID_USB_VENDOR_ID}="$attr{idVendor}", ENV{ID_USB_MODEL_ID}="$attr{idProduct}"
ATTRS{serial}=="?*", ENV{ID_USB_SERIAL}="$attr{serial}"
ENV{ID_USB_SERIAL}=="?*", SYMLINK+="serial/by-id/usb-$env{ID_USB_SERIAL}-port$env{ID_PORT}"
KERNELS=="1-2", SYMLINK+="serial/by-port/$id"
LABEL="end"
ENV{ID_USB_VENDOR_ID}=="1546", TAG+="gps"
"#;

/// The kinds of lines that are added, and which of [`BOUNDS`] they keep to.
const KINDS: [(&str, &str, usize); 7] = [
    ("another action", r#"ACTION=="remove", ATTRS{idProduct}=="PRODUCT", ENV{X}="1""#, 0),
    ("another subsystem", r#"SUBSYSTEM=="usb", ATTR{idProduct}=="PRODUCT", ENV{X}="1""#, 0),
    ("other kernel names", r#"SUBSYSTEM=="tty", KERNEL=="ttyPRODUCT", SYMLINK+="x""#, 0),
    ("another devtype", r#"ENV{DEVTYPE}=="usb_device", ATTR{idProduct}=="PRODUCT", ENV{X}="1""#, 0),
    ("another kind of device", r#"KERNEL=="tty*", NAME="nPRODUCT""#, 0),
    ("a list, none matches", r#"ATTRS{idVendor}=="f00d", ATTRS{idProduct}=="PRODUCT", MODE="0666""#, 1),
    ("a list, one matches", r#"ATTRS{idVendor}=="VENDOR", ATTRS{idProduct}=="PRODUCT", MODE="0666""#, 1),
];

fn main() -> ExitCode {
    let machine = Machine::new();
    let base = machine.rules(BASE);
    let sets: Vec<Compiled> =
        KINDS.iter().map(|(_, line, _)| machine.rules(&(BASE.to_owned() + &added(line)))).collect();
    let within = ratios(&machine, &base, &sets);
    curves(&machine, &base, &sets);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/bench/rules-udevadm");
    let beside = Command::new(script).arg(env!("CARGO_BIN_EXE_nameplate")).status();
    match (within, beside) {
        (true, Ok(status)) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The lines of one kind; the adapter's numbers stand in the middle of those that have both.
fn added(line: &str) -> String {
    let mut text = String::new();
    for n in 0..ADDED {
        let (vendor, product) = match n == ADDED / 2 && line.contains("VENDOR") {
            true => ("1546".to_owned(), "01a7".to_owned()),
            false => (format!("{:04x}", 0x2000 + n / 8), format!("{n:04x}")),
        };
        let line = line.replace("VENDOR", &vendor).replace("PRODUCT", &product);
        writeln!(text, "{line}").expect("memory");
    }
    text
}

/// Prints what each rule set costs beside the first; true if all are within their bounds.
fn ratios(machine: &Machine, base: &Compiled, sets: &[Compiled]) -> bool {
    let mut best = vec![Duration::MAX; sets.len() + 1];
    for _ in 0..ROUNDS {
        for (rules, best) in std::iter::once(base).chain(sets).zip(&mut best) {
            let begin = Instant::now();
            for _ in 0..EVENTS {
                black_box(machine.event(rules));
            }
            *best = (begin.elapsed() / EVENTS).min(*best);
        }
    }
    let Some((base, best)) = best.split_first() else { return false };
    println!("an event with {} rules           {:>8.1} us", BASE.lines().count() - 2, micros(*base));
    let mut within = true;
    for ((name, _, bound), time) in KINDS.iter().zip(best) {
        let ratio = micros(*time) / micros(*base);
        let bound = BOUNDS.get(*bound).copied().unwrap_or_default();
        within &= ratio <= bound;
        println!("  and {ADDED} of {name:<22} {:>8.1} us   {ratio:.2} x, at most {bound}", micros(*time));
    }
    within
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn curves(machine: &Machine, base: &Compiled, sets: &[Compiled]) {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    criterion.bench_function("event, few rules", |b| b.iter(|| machine.event(base)));
    for ((name, ..), rules) in KINDS.iter().zip(sets) {
        criterion
            .bench_function(&format!("event, {ADDED} more: {name}"), |b| b.iter(|| machine.event(rules)));
    }
    let text = BASE.to_owned() + &KINDS.last().map(|(_, line, _)| added(line)).unwrap_or_default();
    criterion.bench_function(&format!("load and compile {ADDED} rules"), |b| b.iter(|| machine.rules(&text)));
    criterion.final_summary();
}

/// A serial adapter below a directory that goes with it.
struct Machine {
    dir: tempfile::TempDir,
    roots: Roots,
    tree: Tree,
    device: Device,
    programs: SkippedPrograms,
    numbers: Indexes,
    accounts: AccountFiles,
}

#[derive(Debug)]
struct NoRecords;

impl Records for NoRecords {
    fn record(&self, _: &DeviceId) -> Option<Record> {
        None
    }
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let roots = Roots::below(dir.path());
        let add = |path: &str, subsystem: &str, files: &[(&str, &str)]| {
            let at = roots.sys.join(path.trim_start_matches('/'));
            let class = roots.sys.join("class").join(subsystem);
            fs::create_dir_all(&at).and_then(|()| fs::create_dir_all(&class)).expect("directory");
            symlink(class, at.join("subsystem")).expect("link");
            for (name, text) in files {
                fs::write(at.join(name), text).expect("file");
            }
        };
        let above = |count: usize| {
            Path::new(TTY).ancestors().nth(count).and_then(Path::to_str).expect("a path above the tty")
        };
        add(above(7), "pci", &[("uevent", "")]);
        add(above(6), "pci", &[("uevent", "DRIVER=xhci_hcd\n"), ("vendor", "0x8086\n")]);
        let hub = [("idVendor", "1d6b\n"), ("idProduct", "0002\n")];
        add(above(5), "usb", &[&[("uevent", "DEVTYPE=usb_device\n")], &hub[..]].concat());
        let adapter = [("idVendor", "1546\n"), ("idProduct", "01a7\n"), ("serial", "A50285BI\n")];
        add(above(4), "usb", &[&[("uevent", "DEVTYPE=usb_device\n")], &adapter[..]].concat());
        add(above(3), "usb", &[("uevent", "DEVTYPE=usb_interface\n"), ("bInterfaceNumber", "00\n")]);
        add(above(2), "usb-serial", &[("uevent", ""), ("port_number", "0\n")]);
        add(TTY, "tty", &[("uevent", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n")]);
        let tree = Tree::new(Source::Live(roots.sys.clone()));
        tree.walk();
        let device = DevPath::new(TTY.as_bytes()).ok().and_then(|path| tree.get(&path)).expect("the tty");
        let numbers = Indexes::new(dir.path());
        let accounts = AccountFiles::parse("", "dialout:x:20:\n");
        Self { dir, roots, tree, device, programs: SkippedPrograms::default(), numbers, accounts }
    }

    /// Reads and compiles a text.
    fn rules(&self, text: &str) -> Compiled {
        let rules = self.dir.path().join("rules.d");
        fs::create_dir_all(&rules)
            .and_then(|()| fs::write(rules.join("50-bench.rules"), text))
            .expect("rules");
        let known = Known { accounts: &self.accounts, builtins: nameplate::builtin::NAMES };
        let loaded = load(&[rules], &known);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics.first());
        Compiled::new(&loaded.files)
    }

    /// The tty is added.
    fn event(&self, rules: &Compiled) -> Plan {
        let properties = (*Reader::new(&self.tree).uevent(&self.device)).clone();
        let devpath = self.device.devpath();
        let uevent = Uevent::from_facts(Action::Add, devpath, "tty".into(), SeqNum(1), properties);
        let event = Event { uevent: &uevent, device: Some(&self.device), record: None };
        let globals = nameplate::decide::Globals::default();
        let around = Surroundings {
            tree: &self.tree,
            roots: &self.roots,
            records: &NoRecords,
            accounts: &self.accounts,
            shared: &nameplate::builtin::Shared::new(&self.roots),
            others: None,
            globals: &globals,
        };
        let effects = Dry::new(&self.programs, &self.numbers);
        let mut host = EventHost::new(around, &event, Instant::now(), effects);
        decide(rules, &event, &self.roots, &mut host, &mut Unobserved)
    }
}
