//! Owns text as rules and devices use it: glob patterns, udev's character replacement and escapes. Pure functions on bytes.

mod escape;
mod glob;
mod set;
pub mod space;
mod time_span;
mod words;

pub use escape::{
    SafeExtra, c_escape, collapse_whitespace, encode_node_name, encode_node_name_within, replace_unsafe,
};
pub use glob::{Case, GlobError, Pattern, check_glob};
pub use time_span::{FOREVER, time_span};
pub use words::{c_integer, nearest, split_command};
