//! 370 `.link` files on one interface: whether each is taken for it, and what properties come of it, as systemd 257 said.
//!
//! `link-files.txt` holds each file on one line (`<`, with `\n`, `\r` and `\\` written so), and below it `>none`, or `>file` with the
//! properties that are not those of every interface. The interface is a veth called np0 with the record [`RECORD`].

use std::path::Path;

use nameplate::device::{Source, Tree};
use nameplate::ids::Action;
use nameplate::properties::Properties;
use nameplate::roots::Roots;

use crate::namespace::{MACHINE_ID, devpath, inside, ip, link};
use crate::{answer, ask, write};

const FILES: &str = include_str!("link-files.txt");

const RECORD: [(&str, &str); 9] = [
    ("ID_PATH", "pci-0000:00:03.0"),
    ("V", "vendor name"),
    ("X", "a*b"),
    ("UN", "ä"),
    ("ID_NET_DRIVER", "drv"),
    ("ID_NET_NAME_SLOT", "ens1"),
    ("ID_NET_NAME_PATH", "enp0s3verylongname"),
    ("ID_NET_NAME_MAC", "enx020000000001"),
    ("ID_NET_NAME_FROM_DATABASE", "bad/name"),
];

fn unescaped(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        out.push(match c {
            '\\' => match rest.next().expect("an escape") {
                'n' => '\n',
                'r' => '\r',
                other => other,
            },
            c => c,
        });
    }
    out
}

/// What the builtin says, as the table has it.
fn said(tree: &Tree, roots: &Roots, properties: &Properties) -> String {
    let found = ask(tree, roots, "net_setup_link", &devpath("np0"), Action::Add, properties).unwrap();
    let mut said = answer(&found.properties);
    if said.remove("ID_NET_LINK_FILE").is_none() {
        return "none".into();
    }
    // the driver is said whatever the file
    said.retain(|key, value| {
        !value.is_empty() && (key.as_str(), value.as_str()) != ("ID_NET_DRIVER", "veth") && *value != "np0"
    });
    let pairs: Vec<String> = said.iter().map(|(key, value)| format!("|{key}={value}")).collect();
    format!("file{}", pairs.concat())
}

#[test]
fn files_are_taken_as_by_systemd_257() {
    inside(|| {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots { sys: "/sys".into(), ..Roots::below(root.path()) };
        ip(&["link", "add", "np0", "address", "02:00:00:00:00:0e", "type", "veth", "peer", "name", "np1"]);
        let index = link("np0")["ifindex"].as_u64().unwrap();
        let record: Vec<String> = RECORD.iter().map(|(key, value)| format!("E:{key}={value}\n")).collect();
        write(&roots.run.join(format!("udev/data/n{index}")), &format!("{}V:1\n", record.concat()));
        write(&roots.etc.join("machine-id"), &format!("{MACHINE_ID}\n"));
        let mut properties: Properties = RECORD.into_iter().collect();
        for (key, value) in
            [("SUBSYSTEM", "net"), ("INTERFACE", "np0"), ("DEVPATH", "/devices/virtual/net/np0")]
        {
            properties.set(key, value).unwrap();
        }
        properties.set("IFINDEX", index.to_string()).unwrap();
        let tree = Tree::new(Source::Live("/sys".into()));
        tree.walk();
        let mut asked = 0;
        let mut lines = FILES.lines();
        while let (Some(file), Some(expected)) = (lines.next(), lines.next()) {
            let text = unescaped(file.strip_prefix('<').unwrap());
            write(Path::new(&roots.etc.join("systemd/network/10-x.link")), &text);
            assert_eq!(said(&tree, &roots, &properties), expected.strip_prefix('>').unwrap(), "{text}");
            asked += 1;
        }
        assert_eq!(asked, 370);
    });
}
