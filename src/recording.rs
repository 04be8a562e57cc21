//! Owns the recording format: a machine's devices as text paragraphs (`P: E: A: H: L: N: S:`), umockdev's and a superset.
//!
//! A pure codec: bytes in, devices out. Never touches the file system.

/// A machine's devices, as recorded.
#[derive(Debug)]
pub struct Recording {}
