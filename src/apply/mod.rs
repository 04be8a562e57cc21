//! Owns every change that is made to the machine: links, nodes, sysfs, network interfaces, programs. The only writer.
//!
//! Never decides: each part is told what to do and returns what it did.

pub mod acl;
pub mod deed;
pub mod disk;
pub mod event;
pub mod input;
pub mod label;
pub mod links;
pub mod modules;
pub mod names;
pub mod netif;
pub mod node;
pub mod program;
pub mod sysfs;
