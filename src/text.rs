//! Owns text as rules and devices use it: glob patterns, udev's character replacement and escapes. Pure functions on bytes.

mod escape;
mod glob;
pub mod number;
mod set;
pub mod space;

pub use escape::{SafeExtra, collapse_whitespace, encode_node_name, replace_unsafe};
pub use glob::{Case, GlobError, Pattern, check_glob};
