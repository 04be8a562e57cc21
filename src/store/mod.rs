//! Owns what is known of devices beyond the kernel's facts: their records on disk, who claims which link, and the
//! numbers given for ever.
//!
//! Deciding who wins and reading or writing a record's text is pure; [`database`] (with its [`files`] and [`tags`]),
//! [`index`] and [`stacks`] are the only parts that touch a file system, and never below the device directory (that is `apply`).

pub mod claims;
pub mod database;
pub mod files;
pub mod index;
pub mod record;
pub mod stacks;
mod table;
pub mod tags;
