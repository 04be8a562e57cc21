//! Real devices for tests, made through the kernel's own interfaces and removed again when dropped, also on failure.
#![allow(unsafe_code)] // two ioctls of the loop driver, each with its proof

use std::fs;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

mod ioctl {
    //! The loop driver's control calls (`linux/loop.h`).
    nix::ioctl_write_int_bad!(loop_add, 0x4C80);
    nix::ioctl_write_int_bad!(loop_remove, 0x4C81);
}

/// How many threads remove devices: each removal waits for the kernel's grace periods, not for a processor.
const REMOVERS: usize = 64;

/// Loop devices of consecutive numbers.
pub(crate) struct Loops {
    numbers: Vec<i32>,
}

impl Loops {
    /// Adds `count` loop devices from number `first` on. Tests use ranges of their own, so that they can run side by side;
    /// what a killed run has left in this one is removed first.
    pub(crate) fn add(first: i32, count: i32) -> Self {
        let control = control();
        let numbers: Vec<i32> = (first..first + count).collect();
        let left: Vec<i32> = numbers
            .iter()
            .copied()
            .filter(|n| fs::exists(format!("/sys/block/loop{n}")).unwrap_or(false))
            .collect();
        remove_all(left);
        let mut made = Self { numbers: Vec::new() };
        for number in numbers {
            // SAFETY: the call takes an integer and an open descriptor of /dev/loop-control.
            let add = || unsafe { ioctl::loop_add(control.as_raw_fd(), number) };
            let added = add().or_else(|errno| {
                // a run that was killed may have left it
                remove_all(vec![number]);
                if errno == nix::errno::Errno::EEXIST { add() } else { Err(errno) }
            });
            added.expect("LOOP_CTL_ADD");
            made.numbers.push(number);
        }
        made
    }

    /// Removes the device of that number now.
    pub(crate) fn remove(&mut self, number: i32) {
        self.numbers.retain(|n| *n != number);
        remove_all(vec![number]);
    }

    /// Removes all now.
    pub(crate) fn remove_rest(&mut self) {
        remove_all(std::mem::take(&mut self.numbers));
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        self.remove_rest();
    }
}

fn control() -> fs::File {
    fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control").expect("/dev/loop-control")
}

fn remove_all(numbers: Vec<i32>) {
    let share = numbers.len().div_ceil(REMOVERS).max(1);
    std::thread::scope(|scope| {
        for part in numbers.chunks(share) {
            scope.spawn(move || {
                let control = control();
                for number in part {
                    remove(&control, *number);
                }
            });
        }
    });
}

/// A device that has gone already is no failure. One that somebody looks at just now (a daemon of another test hears of
/// every disk) is tried again until he has done.
fn remove(control: &fs::File, number: i32) {
    for _ in 0..500 {
        // SAFETY: the call takes an integer and an open descriptor of /dev/loop-control.
        let removed = unsafe { ioctl::loop_remove(control.as_raw_fd(), number) };
        if removed != Err(nix::errno::Errno::EBUSY) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A compressed RAM disk.
pub(crate) struct Zram {
    /// Its number, as the kernel chose it.
    pub(crate) number: String,
}

impl Zram {
    /// Adds one by reading `hot_add`.
    pub(crate) fn add() -> Self {
        let number =
            fs::read_to_string("/sys/class/zram-control/hot_add").expect("zram hot_add").trim().to_owned();
        Self { number }
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        let _gone = fs::write("/sys/class/zram-control/hot_remove", &self.number);
    }
}

/// A network interface made by `ip link`.
pub(crate) struct Interface {
    name: String,
}

impl Interface {
    /// `ip link add NAME ARGS…`.
    pub(crate) fn add(name: &str, arguments: &[&str]) -> Self {
        let made = Self { name: name.to_owned() };
        ip(&[&["link", "add", name], arguments].concat());
        made
    }

    /// One that is there, or will be, under that name: it is removed too.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// `ip tuntap add NAME mode tun`.
    pub(crate) fn tun(name: &str) -> Self {
        let made = Self { name: name.to_owned() };
        ip(&["tuntap", "add", name, "mode", "tun"]);
        made
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: &str) {
        ip(&["link", "set", &self.name, "name", name]);
        self.name = name.to_owned();
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["link", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip(8) of iproute2");
    assert!(status.success(), "ip {}", arguments.join(" "));
}

/// Asks the kernel for an event of a device that is there.
pub(crate) fn synthesize(syspath: &str, action: &str) {
    fs::write(format!("{syspath}/uevent"), action).unwrap_or_else(|e| panic!("{syspath}/uevent: {e}"));
}
