//! Owns the running daemon: its state and its sources of events.

pub mod control;
