//! Owns system calls as safe functions, `nix` first and `libc` for its gaps. The only room with `unsafe`.
#![allow(unsafe_code)]

pub mod blkid;
pub mod block;
pub mod confine;
pub mod fs;
pub mod medium;
pub mod netlink;
pub mod process;
pub mod seqpacket;
