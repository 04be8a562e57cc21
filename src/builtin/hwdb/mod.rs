//! Owns `hwdb`: what the hardware database knows of a device, asked by its modalias; and the database itself, which is
//! read from `hwdb.bin` and compiled of `hwdb.d/*.hwdb`.
//!
//! Source: `hwdb(7)`, `systemd-hwdb(8)`. Never writes.

mod arguments;
pub mod compile;
mod lookup;
mod pages;
mod reader;
mod strings;
mod trie;

#[cfg(test)]
mod tests;

pub(super) use self::lookup::run;
pub use self::reader::{Hwdb, HwdbError};
