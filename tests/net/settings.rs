//! `.link` files on real interfaces: the same file carried out by udevadm 252 and by us on interfaces of the same names, and
//! the interfaces compared as `ip` and `ethtool` show them.

use std::path::Path;

use nameplate::apply::deed::Deeds;
use nameplate::builtin::Found;
use nameplate::decide::DeedRunner;
use nameplate::device::{Source, Tree};
use nameplate::ids::{Action, DevPath};
use nameplate::properties::Properties;
use nameplate::roots::Roots;
use serde_json::Value;

use crate::namespace::{MACHINE_ID, add_veth, devpath, inside, ip, link, run};
use crate::{Answer, answer, ask, common, lines, write};

/// The interfaces that every case has.
const NAMES: [&str; 3] = ["np0", "br0", "tp0"];

fn add_interfaces() {
    add_veth("np0");
    ip(&["link", "add", "br0", "type", "bridge"]);
    ip(&["tuntap", "add", "tp0", "mode", "tap"]);
}

/// What is seen of the interfaces afterwards, and what the builtin said.
#[derive(Debug, PartialEq)]
struct Seen {
    said: Vec<Answer>,
    links: Vec<Value>,
    features: Vec<String>,
}

fn look(said: Vec<Answer>) -> Seen {
    let mut links: Vec<Value> = NAMES.iter().map(|name| link(name)).collect();
    for link in &mut links {
        let link = link.as_object_mut().unwrap();
        // what differs from one interface of a kind to the next
        for key in ["ifindex", "link_index", "linkinfo"] {
            link.remove(key);
        }
    }
    let feature_list = |name: &&str| {
        let output = run("ethtool", &["-k", name]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    Seen { said, links, features: NAMES.iter().map(feature_list).collect() }
}

fn by_udevadm(file: &str) -> Option<Seen> {
    std::process::Command::new("udevadm").arg("--version").output().ok()?;
    let mut seen = None;
    inside(|| {
        add_interfaces();
        write(Path::new("/run/systemd/network/10-x.link"), file);
        let said = NAMES.map(|name| {
            let output =
                run("udevadm", &["test-builtin", "net_setup_link", &format!("/sys/class/net/{name}")]);
            lines(&String::from_utf8_lossy(&output.stdout))
        });
        seen = Some(look(said.into()));
    });
    seen
}

/// Runs the builtin and carries out what it asks for.
fn set_up(roots: &Roots, name: &str, action: Action) -> Found {
    let tree = Tree::new(Source::Live("/sys".into()));
    let device = tree.load(&DevPath::new(devpath(name).as_bytes()).unwrap()).unwrap();
    let found = ask(&tree, roots, "net_setup_link", &devpath(name), action, &Properties::new()).unwrap();
    let deeds = Deeds::new(roots);
    for deed in &found.deeds {
        deeds.carry_out(&device, deed).unwrap();
    }
    found
}

fn system(root: &Path) -> Roots {
    write(&root.join("etc/machine-id"), &format!("{MACHINE_ID}\n"));
    Roots { sys: "/sys".into(), run: "/run".into(), proc: "/proc".into(), ..Roots::below(root) }
}

fn by_us(file: &str) -> Seen {
    let mut seen = None;
    inside(|| {
        let root = tempfile::tempdir().unwrap();
        add_interfaces();
        write(Path::new("/run/systemd/network/10-x.link"), file);
        let roots = Roots { usr_lib: "/usr/lib".into(), ..system(root.path()) };
        let said = NAMES.map(|name| {
            let mut said = answer(&set_up(&roots, name, Action::Add).properties);
            // as lines of a record would have it
            said.retain(|_, value| !value.is_empty());
            said
        });
        seen = Some(look(said.into()));
    });
    seen.unwrap()
}

/// Settings of every kind that these interfaces have.
const FILES: [&str; 5] = [
    "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=persistent\nMTUBytes=1400\nAlias=for people\n\
     TransmitQueueLength=77\nGenericSegmentOffloadMaxBytes=32K\nGenericSegmentOffloadMaxSegments=20\n\
     AlternativeName=b-long-name-of-an-interface\n[Match]\nKind=!bridge\n",
    "[Match]\nDriver=bridge\n[Link]\nMACAddress=02:00:00:00:00:07\nName=lan0\nNamePolicy=keep\nMACAddressPolicy=none\n",
    "[Match]\nType=ether\nDriver=veth tun\n[Link]\nMACAddressPolicy=persistent\nName=lan0\nAlternativeName=a b\n\
     AlternativeName=c\nTransmitChecksumOffload=no\nGenericReceiveOffload=no\nTCPSegmentationOffload=no\n",
    "[Match]\nOriginalName=tp*\n[Link]\nBitsPerSecond=100M\nDuplex=full\nAutoNegotiation=no\nRxBufferSize=max\n\
     CombinedChannels=1\nRxFlowControl=yes\nWakeOnLan=magic\n",
    "[Match]\nOriginalName=none\n[Link]\nMTUBytes=1000\n",
];

#[test]
fn interfaces_are_as_udevadm_makes_them() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    for file in FILES {
        // both write a random address where nothing else is asked for
        let fixed = |seen: &mut Seen| {
            for (link, said) in seen.links.iter_mut().zip(&seen.said) {
                if !said.contains_key("ID_NET_LINK_FILE") || !file.contains("MACAddress") {
                    link.as_object_mut().unwrap().remove("address");
                }
            }
        };
        let Some(mut theirs) = by_udevadm(file) else { return common::skip("no udevadm") };
        let mut ours = by_us(file);
        fixed(&mut theirs);
        fixed(&mut ours);
        assert_eq!(ours.said, theirs.said, "{file}");
        for (ours, theirs) in ours.links.iter().zip(&theirs.links) {
            assert_eq!(ours, theirs, "{file}");
        }
        for (ours, theirs) in ours.features.iter().zip(&theirs.features) {
            assert_eq!(ours, theirs, "{file}");
        }
    }
}

/// Read back with the kernel's own words, not compared with anybody.
#[test]
fn settings_are_read_back() {
    inside(|| {
        let root = tempfile::tempdir().unwrap();
        let roots = system(root.path());
        let file = roots.etc.join("systemd/network/10-x.link");
        add_interfaces();
        let cases: [(&str, &str, &str, Value); 9] = [
            ("np0", "MTUBytes=1400", "/mtu", 1400.into()),
            ("np0", "Alias=on the mast", "/ifalias", "on the mast".into()),
            ("np0", "TransmitQueueLength=7", "/txqlen", 7.into()),
            ("np0", "MACAddress=02:00:00:00:00:07", "/address", "02:00:00:00:00:07".into()),
            ("np0", "AlternativeName=one two", "/altnames", vec!["one", "two"].into()),
            ("np0", "AlternativeName=two three", "/altnames", vec!["one", "two", "three"].into()),
            ("np0", "GenericSegmentOffloadMaxSegments=20", "/gso_max_segs", 20.into()),
            ("np0", "GenericSegmentOffloadMaxBytes=8K", "/gso_max_size", 8192.into()),
            // what fails costs itself alone: too small for the card, and then a good one
            ("br0", "MTUBytes=1\nTransmitQueueLength=5", "/txqlen", 5.into()),
        ];
        for (name, link_section, pointer, expected) in cases {
            write(&file, &format!("[Match]\nOriginalName={name}\n[Link]\n{link_section}\n"));
            set_up(&roots, name, Action::Add);
            assert_eq!(link(name).pointer(pointer), Some(&expected), "{link_section}");
        }
        let features = |name: &str| String::from_utf8(run("ethtool", &["-k", name]).stdout).unwrap();
        assert!(features("np0").contains("\ntcp-segmentation-offload: on\n"), "{}", features("np0"));
        write(
            &file,
            "[Match]\nOriginalName=np0\n[Link]\nTransmitChecksumOffload=no\nGenericReceiveOffload=yes\n",
        );
        set_up(&roots, "np0", Action::Add);
        assert!(features("np0").contains("\ntx-checksumming: off\n"), "{}", features("np0"));
        assert!(features("np0").contains("\ngeneric-receive-offload: on\n"), "{}", features("np0"));
        // only when the interface comes: later it is in use
        write(&file, "[Match]\nOriginalName=np0\n[Link]\nMTUBytes=1300\nName=lan0\n");
        let changed = set_up(&roots, "np0", Action::Change);
        assert_eq!(
            (changed.deeds, changed.properties.get("ID_NET_NAME").unwrap().to_string()),
            (vec![], "np0".into())
        );
        let moved = set_up(&roots, "np0", Action::Move);
        assert_eq!(
            (link("np0")["mtu"].clone(), moved.properties.get("ID_NET_NAME").unwrap().to_string()),
            (1300.into(), "np0".into())
        );
    });
}

#[test]
fn properties_of_a_file() {
    inside(|| {
        let root = tempfile::tempdir().unwrap();
        let roots = system(root.path());
        add_veth("np0");
        let index = link("np0")["ifindex"].as_u64().unwrap();
        write(
            &roots.run.join(format!("udev/data/n{index}")),
            "E:OLD=kept\nE:OTHER=x\nE:ID_NET_LINK_FILE=/old.link\nV:1\n",
        );
        write(
            &roots.etc.join("systemd/network/10-x.link"),
            "[Match]\nDriver=veth\n[Link]\nProperty=ID_NET_MANAGED_BY=me \"B=a b\" M=%m\nImportProperty=OLD NONE\n\
             UnsetProperty=GONE\n",
        );
        write(&roots.etc.join("systemd/network/10-x.link.d/y.conf"), "[Link]\nProperty=C=1\n");
        let said = answer(&set_up(&roots, "np0", Action::Add).properties);
        for (key, expected) in [
            ("ID_NET_MANAGED_BY", Some("me")),
            ("B", Some("a b")),
            ("C", Some("1")),
            ("M", Some(MACHINE_ID)),
            ("OLD", Some("kept")),
            ("OTHER", None),
            ("GONE", Some("")),
            ("ID_NET_DRIVER", Some("veth")),
        ] {
            assert_eq!(said.get(key).map(String::as_str), expected, "{key}");
        }
        assert!(said["ID_NET_LINK_FILE"].ends_with("/10-x.link"));
        assert!(said["ID_NET_LINK_FILE_DROPINS"].ends_with("/10-x.link.d/y.conf"));
    });
}

/// As systemd 257 does it: names are given when the interface comes, and later events hear what was done then.
#[test]
fn later_events() {
    inside(|| {
        let root = tempfile::tempdir().unwrap();
        let roots = system(root.path());
        add_veth("np0");
        let index = link("np0")["ifindex"].as_u64().unwrap();
        write(
            &roots.etc.join("systemd/network/10-x.link"),
            "[Match]\nOriginalName=np0\n[Link]\nName=zz0\nAlternativeName=yy0\nProperty=A=1\nMTUBytes=1400\n",
        );
        write(
            &roots.run.join(format!("udev/data/n{index}")),
            "E:ID_NET_LINK_FILE=/x.link\nE:ID_NET_LINK_FILE_DROPINS=/y.conf\nE:ID_NET_NAME=qq\nE:A=0\nV:1\n",
        );
        let shown = |action| {
            let found = set_up(&roots, "np0", action);
            let said = answer(&found.properties);
            let value = |key: &str| said.get(key).cloned().unwrap_or("-".into());
            let file = value("ID_NET_LINK_FILE").replace(root.path().to_str().unwrap(), "");
            format!(
                "{} {file} {} {} {}",
                value("ID_NET_NAME"),
                value("ID_NET_LINK_FILE_DROPINS"),
                value("A"),
                found.deeds.len()
            )
        };
        let etc = "/etc/systemd/network/10-x.link";
        for (action, expected) in [
            (Action::Bind, format!("np0 {etc}  1 1")),
            (Action::Move, format!("np0 {etc}  1 1")),
            (Action::Change, "np0 /x.link /y.conf - 0".into()),
            (Action::Online, "np0 /x.link /y.conf - 0".into()),
            (Action::Remove, "np0 - - - 0".into()),
            (Action::Add, format!("zz0 {etc}  1 1")),
        ] {
            assert_eq!(shown(action), expected, "{action:?}");
        }
        assert_eq!(link("np0")["altnames"], serde_json::json!(["yy0"]));
    });
}

/// Whoever asks what a file comes to hears what is wrong with it.
#[test]
fn what_is_wrong_is_said_to_who_asks() {
    inside(|| {
        add_veth("np0");
        write(
            Path::new("/run/systemd/network/00-x.link"),
            "[Match]\nOriginalName=np0\n[Link]\nMtuBytes=1400\nDuplex=Full\nName=lan0\n",
        );
        let said = run(
            env!("CARGO_BIN_EXE_nameplate"),
            &["udevadm", "test-builtin", "net_setup_link", "/sys/class/net/np0"],
        );
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(out.contains("\nID_NET_NAME=lan0\n"), "{out}");
        let file = "/run/systemd/network/00-x.link";
        for line in [
            format!("{file}:4: no key `MtuBytes` is known here: passed over (write `MTUBytes=`)"),
            format!("{file}:5: `Duplex=`: `Full` is none of its words; passed over (write `full`)"),
        ] {
            assert!(err.contains(&line), "{err}");
        }
    });
}
