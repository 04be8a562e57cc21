//! Owns the rules: two languages, one form (`ir`), one evaluator. Asks the world only through the host that it is given.

pub mod compile;
pub mod convert;
pub mod eval;
pub mod host;
pub mod ir;
pub mod lint;
pub mod load;
pub mod prepared;
pub mod static_nodes;
pub mod template;
pub mod toml;
pub mod trace;
pub mod udev;
