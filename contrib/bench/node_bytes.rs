//! Measures what a device costs in the tree: heap bytes a node over 20,000 devices, names and indexes included.
//!
//! A counting allocator does the measuring, so that nothing can be forgotten. Exits with 1 over the budget.
//! `cargo bench --bench node_bytes`.
// A global allocator can't be written without `unsafe`.
#![allow(unsafe_code)]
// Printing the figure is what a benchmark is for.
#![allow(clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use nameplate::device::{Facts, Source, Tree};
use nameplate::ids::{DevNum, DevPath, NodeKind};

/// Devices in the tree.
pub(crate) const DEVICES: usize = 20_000;
/// Most heap bytes that each may cost.
pub(crate) const BUDGET: usize = 160;

/// What was asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// What a usual malloc takes for it: a word of its own, rounded up to 16, at least 32.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn taken(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

// SAFETY: hands everything to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size(), Ordering::Relaxed);
        TAKEN.fetch_add(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `alloc`, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ASKED.fetch_sub(layout.size(), Ordering::Relaxed);
        TAKEN.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: the pointer came from `System.alloc` with this layout, as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Heap bytes a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// As asked for.
    pub(crate) asked: usize,
    /// With malloc's rounding.
    pub(crate) taken: usize,
    /// As the tree itself says.
    pub(crate) reported: usize,
    /// What is left of the bytes asked for when the tree has been dropped, in all.
    pub(crate) leaked: usize,
}

/// Builds the tree and drops it.
pub(crate) fn measure() -> Cost {
    let devices = devices();
    assert_eq!(devices.len(), DEVICES);
    let before = (ASKED.load(Ordering::Relaxed), TAKEN.load(Ordering::Relaxed));
    let tree = Tree::new(Source::Live(PathBuf::from("no such directory")));
    for (path, facts) in &devices {
        tree.add(path, facts);
    }
    let after = (ASKED.load(Ordering::Relaxed), TAKEN.load(Ordering::Relaxed));
    let stats = tree.stats();
    assert_eq!(stats.live, DEVICES);
    drop(tree);
    Cost {
        asked: (after.0 - before.0).div_ceil(DEVICES),
        taken: (after.1 - before.1).div_ceil(DEVICES),
        reported: stats.bytes.div_ceil(DEVICES),
        leaked: ASKED.load(Ordering::Relaxed).saturating_sub(before.0),
    }
}

/// A made-up machine: loop devices with their bdi, consoles, USB serial adapters, network interfaces, disks.
fn devices() -> Vec<(DevPath, Facts)> {
    let mut out = Vec::with_capacity(DEVICES);
    for n in 0..5_000 {
        add(&mut out, &format!("virtual/bdi/7:{n}"), "bdi", None);
        add(&mut out, &format!("virtual/block/loop{n}"), "block", Some((7, n)));
    }
    for n in 0..1_000 {
        add(&mut out, &format!("virtual/tty/tty{n}"), "tty", Some((4, n)));
        add(&mut out, &format!("virtual/net/veth{n}"), "net", None);
    }
    for bus in 0..8 {
        let root = format!("pci0000:00/0000:00:14.{bus}");
        add(&mut out, &root, "pci", None);
        let hub = format!("{root}/usb{bus}");
        add(&mut out, &hub, "usb", Some((189, bus * 1024)));
        for port in 0..200 {
            let adapter = format!("{hub}/{bus}-{port}");
            add(&mut out, &adapter, "usb", Some((189, bus * 1024 + port)));
            let interface = format!("{adapter}/{bus}-{port}:1.0");
            add(&mut out, &interface, "usb", None);
            add(&mut out, &format!("{interface}/ttyUSB{port}"), "usb-serial", None);
            let tty = format!("{interface}/ttyUSB{port}/tty/ttyUSB{port}");
            add(&mut out, &tty, "tty", Some((188, bus * 1024 + port)));
        }
    }
    let mut n = 0;
    while out.len() < DEVICES {
        let disk = format!("pci0000:00/0000:00:1f.2/ata{n}/host{n}/target{n}:0:0/{n}:0:0:0/block/sd{n}");
        add(&mut out, &disk, "block", Some((8, n)));
        n += 1;
    }
    out
}

fn add(out: &mut Vec<(DevPath, Facts)>, path: &str, subsystem: &str, number: Option<(u32, u32)>) {
    let kind = if subsystem == "block" { NodeKind::Block } else { NodeKind::Char };
    let index = u32::try_from(out.len()).ok().and_then(NonZeroU32::new);
    let facts = Facts {
        subsystem: Some(subsystem.into()),
        devnum: number.map(|(major, minor)| DevNum { kind, major, minor }),
        ifindex: index.filter(|_| subsystem == "net"),
    };
    out.extend(DevPath::new(format!("/devices/{path}").as_bytes()).ok().map(|path| (path, facts)));
}

fn main() -> ExitCode {
    let cost = measure();
    println!(
        "{} bytes a node ({} with malloc's rounding, {} by the tree's own count) over {DEVICES} devices; budget {BUDGET}; \
         {} bytes in all left when the tree was dropped",
        cost.asked, cost.taken, cost.reported, cost.leaked
    );
    ExitCode::from(u8::from(cost.asked > BUDGET))
}
