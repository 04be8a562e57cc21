//! `net_id` and `net_driver` on real interfaces, beside udevadm.

use std::path::Path;

use nameplate::builtin::BuiltinError;
use nameplate::device::{Source, Tree};
use nameplate::ids::Action;
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;

use crate::namespace::{add_veth, devpath, inside, ip, run};
use crate::{Answer, answer, ask, common, lines, write};

fn add_some() -> Vec<&'static str> {
    add_veth("np0");
    ip(&["link", "add", "br0", "type", "bridge"]);
    ip(&["tuntap", "add", "tn0", "mode", "tun"]);
    ip(&["tuntap", "add", "tp0", "mode", "tap"]);
    vec!["lo", "np0", "peer-np0", "br0", "tn0", "tp0"]
}

/// What udevadm's builtin says; `None` where there is no udevadm.
fn udevadm(builtin: &str, name: &str) -> Option<Answer> {
    std::process::Command::new("udevadm").arg("--version").output().ok()?;
    let output = run("udevadm", &["test-builtin", builtin, &format!("/sys/class/net/{name}")]);
    Some(lines(&String::from_utf8_lossy(&output.stdout)))
}

fn roots(temp: &Path) -> Roots {
    write(&temp.join("proc/cmdline"), "net.naming_scheme=v252\n");
    Roots { sys: "/sys".into(), ..Roots::below(temp) }
}

fn walked() -> Tree {
    let tree = Tree::new(Source::Live("/sys".into()));
    tree.walk();
    tree
}

#[test]
fn names_are_those_of_udevadm() {
    inside(|| {
        let temp = tempfile::tempdir().unwrap();
        let (interfaces, tree, roots) = (add_some(), walked(), roots(temp.path()));
        for name in interfaces {
            let found =
                ask(&tree, &roots, "net_id", &devpath(name), Action::Add, &Properties::new()).unwrap();
            let Some(mut theirs) = udevadm("net_id", name) else { return common::skip("no udevadm") };
            theirs.retain(|key, _| key.starts_with("ID_NET"));
            assert_eq!(answer(&found.properties), theirs, "{name}");
        }
    });
}

/// udevadm 252 has the driver in the answer of `net_setup_link`; with no `.link` file there it sets nothing.
#[test]
fn drivers_are_those_of_udevadm() {
    inside(|| {
        let temp = tempfile::tempdir().unwrap();
        let (interfaces, tree, roots) = (add_some(), walked(), roots(temp.path()));
        write(Path::new("/run/systemd/network/00-all.link"), "[Match]\nOriginalName=*\n");
        for name in interfaces {
            let found =
                ask(&tree, &roots, "net_driver", &devpath(name), Action::Add, &Properties::new()).unwrap();
            let driver = answer(&found.properties).remove("ID_NET_DRIVER");
            let Some(mut theirs) = udevadm("net_setup_link", name) else { return common::skip("no udevadm") };
            assert_eq!(driver, theirs.remove("ID_NET_DRIVER"), "{name}");
        }
    });
}

#[test]
fn only_a_live_interface_has_a_driver() {
    let text = b"P: /devices/virtual/net/lo\nE: IFINDEX=1\nE: SUBSYSTEM=net\n";
    let tree = Tree::new(Source::Recording(Recording::parse(text).unwrap()));
    tree.walk();
    let roots = Roots::system();
    let found = ask(&tree, &roots, "net_driver", &devpath("lo"), Action::Add, &Properties::new());
    assert_eq!(found, Err(BuiltinError::NotLive));
    // a directory that looks like sysfs
    let mut fake = crate::tree::FakeTree::new();
    fake.add(std::str::from_utf8(text).unwrap());
    let tree = Tree::new(Source::Live(fake.sys()));
    tree.walk();
    let found = ask(&tree, &roots, "net_driver", &devpath("lo"), Action::Add, &Properties::new());
    assert_eq!(found, Err(BuiltinError::NotLive));
}
