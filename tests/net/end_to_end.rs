//! The daemon as the device manager of a network namespace: names by `.link` files and rules, other names, exchanges.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::daemon::World;
use crate::namespace::{inside, ip, link};
use crate::write;

/// What the device manager has told listeners by now, a message after the other.
fn heard(listener: &OwnedFd) -> Vec<String> {
    let mut out = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len) = recv(listener.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        out.push(String::from_utf8_lossy(&buffer[..len]).replace('\0', "\n"));
    }
    out
}

fn listen() -> OwnedFd {
    let kind = SockProtocol::NetlinkKObjectUEvent;
    let listener = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, kind).unwrap();
    bind(listener.as_raw_fd(), &NetlinkAddr::new(0, 2)).unwrap();
    listener
}

/// What systemd's shipped rule does.
const RULE: &str = "SUBSYSTEM!=\"net\", GOTO=\"end\"\n\
    IMPORT{builtin}=\"net_id\"\nIMPORT{builtin}=\"net_driver\"\nIMPORT{builtin}=\"net_setup_link\"\n\
    NAME==\"\", ENV{ID_NET_NAME}!=\"\", NAME=\"$env{ID_NET_NAME}\"\nLABEL=\"end\"\n";

fn index(name: &str) -> u64 {
    link(name)["ifindex"].as_u64().unwrap()
}

#[test]
fn a_link_file_names_an_interface() {
    inside(|| {
        let world = World::new(&[("80-net.rules", RULE), ("10-set.rules", "ENV{GONE}=\"1\"\n")]).standalone();
        let file = world.path("root/etc/systemd/network/10-lan.link");
        let world_file = file.to_str().unwrap().to_owned();
        write(
            &file,
            "[Match]\nMACAddress=02:00:00:00:00:0a\n[Link]\nName=lan0\nAlternativeName=the-lan mast\nMTUBytes=1400\nProperty=MINE=%o\nUnsetProperty=GONE\n",
        );
        write(&world.path("root/etc/os-release"), "ID=mast\n");
        let daemon = world.start();
        ip(&[
            "link",
            "add",
            "np0",
            "address",
            "02:00:00:00:00:0a",
            "type",
            "veth",
            "peer",
            "name",
            "peer-np0",
        ]);
        let peer = index("peer-np0");
        daemon.settle();
        let (lan, other) = (link("lan0"), link("peer-np0"));
        assert_eq!(lan["mtu"], 1400, "{}", daemon.log());
        assert_eq!(lan["altnames"], serde_json::json!(["mast", "the-lan"]));
        // no file is for the other end
        assert_eq!(
            (&other["ifindex"], &other["link"], &other["mtu"]),
            (&peer.into(), &"lan0".into(), &1500.into())
        );
        let facts = daemon.json("info", &["/sys/class/net/lan0"]);
        let property = |key: &str| facts["properties"][key].as_str().map(str::to_owned);
        for (key, expected) in [
            ("ID_NET_DRIVER", "veth"),
            ("ID_NET_NAME", "lan0"),
            ("INTERFACE", "lan0"),
            ("MINE", "mast"),
            ("ID_NET_LINK_FILE", world_file.as_str()),
        ] {
            assert_eq!(property(key).as_deref(), Some(expected), "{facts:#}");
        }
        assert_eq!(property("GONE"), None, "{facts:#}");
        drop(daemon);
    });
}

#[test]
fn two_interfaces_exchange_their_names() {
    inside(|| {
        for (name, address) in
            [("eth0", "02:00:00:00:00:0a"), ("eth1", "02:00:00:00:00:0b"), ("eth2", "02:00:00:00:00:0c")]
        {
            ip(&["link", "add", name, "address", address, "type", "bridge"]);
        }
        let before = [index("eth0"), index("eth1"), index("eth2")];
        let by_address = |pairs: [(&str, &str); 3]| -> String {
            let rule = |(last, name)| {
                format!("SUBSYSTEM==\"net\", ATTR{{address}}==\"02:00:00:00:00:{last}\", NAME=\"{name}\"\n")
            };
            pairs.map(rule).concat()
        };
        // a circle of two that are there at the start, and one that is content
        let world =
            World::new(&[("70-names.rules", &by_address([("0a", "eth1"), ("0b", "eth0"), ("0c", "eth2")]))]);
        let daemon = world.standalone().start();
        daemon.settle();
        assert_eq!([index("eth1"), index("eth0"), index("eth2")], before, "{}", daemon.log());
        // a circle of three, asked for again
        daemon.write_rule("70-names.rules", &by_address([("0a", "eth0"), ("0b", "eth2"), ("0c", "eth1")]));
        daemon.ask("reload", &[]);
        for name in ["eth0", "eth1", "eth2"] {
            crate::write(std::path::Path::new(&format!("/sys/class/net/{name}/uevent")), "add");
        }
        daemon.settle();
        assert_eq!([index("eth0"), index("eth2"), index("eth1")], before, "{}", daemon.log());
        drop(daemon);
    });
}

#[test]
fn a_name_is_given_when_it_becomes_free() {
    inside(|| {
        ip(&["link", "add", "br0", "address", "02:00:00:00:00:0a", "type", "bridge"]);
        ip(&["link", "add", "br1", "address", "02:00:00:00:00:0b", "type", "bridge"]);
        let before = [index("br0"), index("br1")];
        let rules = "SUBSYSTEM==\"net\", ATTR{address}==\"02:00:00:00:00:0a\", NAME=\"br1\"\n";
        let daemon = World::new(&[("70-names.rules", rules)]).standalone().start();
        daemon.settle();
        assert_eq!([index("br0"), index("br1")], before, "the name is another's");
        // listeners are told as udevd tells them: errno 17 is EEXIST
        let listener = listen();
        crate::write(std::path::Path::new("/sys/class/net/br0/uevent"), "add");
        daemon.settle();
        let said = heard(&listener);
        let failures = said.iter().filter(|event| event.contains("\nUDEV_WORKER_FAILED=1\n"));
        let told: Vec<bool> = failures.map(|event| event.contains("\nUDEV_WORKER_ERRNO=17\n")).collect();
        assert_eq!(told, [true], "{said:#?}");
        assert!(daemon.log().contains("keeps its name until it is free"), "{}", daemon.log());
        let more = "SUBSYSTEM==\"net\", ATTR{address}==\"02:00:00:00:00:0b\", NAME=\"lan0\"\n";
        daemon.write_rule("70-names.rules", &format!("{rules}{more}"));
        daemon.ask("reload", &[]);
        crate::write(std::path::Path::new("/sys/class/net/br1/uevent"), "add");
        daemon.settle();
        assert_eq!([index("br1"), index("lan0")], before, "{}", daemon.log());
        let said = heard(&listener);
        assert!(said.iter().any(|event| event.contains("\nACTION=move\n")), "{said:#?}");
        assert!(!said.iter().any(|event| event.contains("UDEV_WORKER_FAILED")), "{said:#?}");
        drop(daemon);
    });
}

#[test]
fn a_restart_leaves_alone_what_people_have_changed() {
    inside(|| {
        let world = World::new(&[("80-net.rules", RULE)]).standalone();
        write(
            &world.path("root/etc/systemd/network/10-lan.link"),
            "[Match]\nDriver=bridge\n[Link]\nName=lan0\nMTUBytes=1400\n",
        );
        ip(&["link", "add", "br0", "type", "bridge"]);
        let daemon = world.start();
        daemon.settle();
        assert_eq!(link("lan0")["mtu"], 1400, "{}", daemon.log());
        ip(&["link", "set", "lan0", "mtu", "1300"]);
        ip(&["link", "set", "lan0", "name", "mine"]);
        daemon.settle();
        // the kernel's `move` has the file's settings made, as udevd does; what is changed after it stays
        ip(&["link", "set", "mine", "mtu", "1200"]);
        let daemon = daemon.stop().start();
        daemon.settle();
        assert_eq!(link("mine")["mtu"], 1200, "{}", daemon.log());
        drop(daemon);
    });
}
