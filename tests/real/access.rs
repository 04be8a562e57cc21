//! The user in front of a seat may use its devices: by udev's rules and by ours, on the nodes of loop devices. logind is
//! played by files below the daemon's own `/run`.

use std::fs;

use nameplate::sys::xattr;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::daemon::{World, eventually};
use crate::devices::{Loops, synthesize};
use crate::need_devices;

/// The access list of a node as the kernel keeps it.
fn list(node: &str) -> Option<Vec<u8>> {
    let node = open(node, OFlag::O_PATH, Mode::empty()).unwrap();
    xattr::get(&node, c"system.posix_acl_access").unwrap()
}

/// Version 2; owner rw, `user` rw, group rw, mask rw, others nothing.
fn given(user: u32) -> Option<Vec<u8>> {
    let entry = |kind: u16, permissions: u16, id: u32| {
        [&kind.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let entries =
        [entry(1, 6, none), entry(2, 6, user), entry(4, 6, none), entry(16, 6, none), entry(32, 0, none)];
    Some([&2_u32.to_le_bytes()[..], &entries.concat()].concat())
}

#[test]
fn the_user_in_front_may_use_the_node() {
    need_devices!();
    let toml = "[[rule]]\nmatch = { kernel = \"loop476000\" }\nmode = \"0660\"\naccess = \"active-user\"\n";
    let udev = "KERNEL==\"loop476001\", MODE=\"0660\", TAG+=\"uaccess\", ENV{ID_SEAT}=\"seat-side\"\n\
                TAG==\"uaccess\", ENV{MAJOR}!=\"\", RUN{builtin}+=\"uaccess\"\n";
    let world = World::new(&[("50-test.toml", toml), ("73-late.rules", udev)]).standalone();
    fs::remove_dir(world.links_dir()).unwrap();
    std::os::unix::fs::symlink("/dev", world.links_dir()).unwrap();
    let seats = world.path("root/run/systemd/seats");
    fs::create_dir_all(&seats).unwrap();
    let front = |seat: &str, user: u32| {
        fs::write(seats.join(seat), format!("IS_SEAT0=1\nACTIVE=1\nACTIVE_UID={user}\n")).unwrap();
    };
    front("seat0", 12345);
    front("seat-side", 12346);
    let daemon = world.start();
    let _loops = Loops::add(476_000, 2);
    let [first, side] = ["/dev/loop476000", "/dev/loop476001"];
    eventually("both are given", || {
        daemon.settle();
        (list(first) == given(12345) && list(side) == given(12346)).then_some(())
    });

    // another comes to the front, then nobody is: the next event of the device sees it
    front("seat0", 12347);
    synthesize("/sys/devices/virtual/block/loop476000", "change");
    eventually("the other has it", || (list(first) == given(12347)).then_some(()));
    fs::write(seats.join("seat0"), "IS_SEAT0=1\n").unwrap();
    synthesize("/sys/devices/virtual/block/loop476000", "change");
    eventually("nobody has it", || list(first).is_none().then_some(()));
    assert_eq!(list(side), given(12346), "another seat's device stays");
}
