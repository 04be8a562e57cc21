//! Owns system calls as safe functions, `nix` first and `libc` for its gaps. The only room with `unsafe`.
#![allow(unsafe_code)]

pub mod activation;
pub mod blkid;
pub mod block;
pub mod btrfs;
pub mod confine;
pub mod cpu;
pub mod ethtool;
pub mod evdev;
pub mod fs;
pub mod kmod;
pub mod medium;
pub mod netlink;
mod oom;
pub mod process;
pub mod random;
pub mod rtnetlink;
pub mod selinux;
pub mod seqpacket;
pub mod userns;
pub mod xattr;
