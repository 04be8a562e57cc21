//! `net_id` on the cards of `tests/trees/cards.umockdev`: by hand for each naming scheme, and as udevadm 252 answered.

use std::fs;
use std::process::Command;

use nameplate::builtin::Known;
use nameplate::device::{Device, Source, Tree};
use nameplate::ids::Action;
use nameplate::properties::Properties;
use nameplate::recording::Recording;
use nameplate::roots::Roots;

use crate::tree::{FakeTree, recordings};
use crate::{Answer, answer, ask_knowing, common, lines, write};

/// The cards, laid out as files or read from the recording.
struct Cards {
    fake: FakeTree,
    devices: Tree,
}

impl Cards {
    fn laid_out() -> Self {
        let fake = FakeTree::of("cards");
        let devices = Tree::new(Source::Live(fake.sys()));
        devices.walk();
        Self { fake, devices }
    }

    fn recorded() -> Self {
        let text = fs::read(recordings().join("cards.umockdev")).unwrap();
        let devices = Tree::new(Source::Recording(Recording::parse(&text).unwrap()));
        devices.walk();
        Self { fake: FakeTree::new(), devices }
    }

    /// The devpaths of the interfaces.
    fn interfaces() -> Vec<String> {
        let text = fs::read_to_string(recordings().join("cards.umockdev")).unwrap();
        let paths = text.lines().filter_map(|line| line.strip_prefix("P: "));
        paths.filter(|path| path.contains("/net/")).map(str::to_owned).collect()
    }

    fn names(&self, scheme: &str, path: &str, properties: &Properties) -> Answer {
        self.names_knowing(scheme, path, properties, Known::default())
    }

    fn names_knowing(&self, scheme: &str, path: &str, properties: &Properties, known: Known<'_>) -> Answer {
        write(&self.fake.root().join("proc/cmdline"), &format!("quiet net.naming_scheme={scheme}\n"));
        let roots = Roots::below(self.fake.root());
        let found = ask_knowing(&self.devices, &roots, "net_id", path, Action::Add, properties, known);
        let found = found.unwrap();
        let mut answer = answer(&found.properties);
        if let Some(said) = answer.remove("ID_NET_NAMING_SCHEME") {
            assert_eq!(said, scheme);
        }
        answer
    }
}

/// Scheme, interface, what is expected: `o` on board, `l` label, `s` slot, `p` path, `m` address; `-` where there is none.
const CASES: &[(&str, &str, &str)] = &[
    ("v257", "plain0", "p=enp0s3 m=enx525400000002"),
    // firmware: an index, and which of two; a label; 0 and absurd indexes
    ("v257", "board0", "o=eno7 l=Port_1 p=enp0s4 m=enx525400000003"),
    ("v241", "board0", "o=eno7 l=enPort_1 p=enp0s4 m=enx525400000003"),
    ("v257", "board1", "o=eno0 p=enp0s5 m=enx525400000004"),
    ("v239", "board1", "p=enp0s5 m=enx525400000004"),
    ("v257", "board2", "o=eno20000 p=enp0s6 m=enx525400000005"),
    ("v247", "board2", "p=enp0s6 m=enx525400000005"),
    ("v257", "board3", "p=enp0s7 m=enx525400000006"),
    // ports
    ("v257", "port0", "p=enp0s8f0 m=enx525400000007"),
    ("v257", "port1", "p=enp0s8f0d1 m=enx525400000008"),
    ("v257", "port2", "p=enp0s8f1np1 m=enx525400000009"),
    ("v257", "rep0", "p=enp0s9f72r3 m=enx52540000000a"),
    ("v253", "rep0", "p=enp0s9f72npf0vf3 m=enx52540000000a"),
    ("v257", "rep1", "m=enx52540000000b"),
    ("v257", "ari0", "p=enp0s9f73 m=enx52540000000c"),
    ("v238", "ari0", "p=enp0s9f1 m=enx52540000000c"),
    // slots
    ("v257", "slot0", "s=ens3 p=enp5s0 m=enx52540000000d"),
    ("v257", "bridged0", "p=enp6s0 m=enx52540000000e"),
    ("v243", "bridged0", "s=ens4 p=enp6s0 m=enx52540000000e"),
    ("v257", "bridged1", "p=enp6s1f0 m=enx52540000000f"),
    ("v252", "bridged1", "s=ens4f0 p=enp6s1f0 m=enx52540000000f"),
    ("v247", "bridged1", "p=enp6s1f0 m=enx52540000000f"),
    ("v257", "sun0", "s=ens9 p=enp7s0 m=enx525400000010"),
    ("v255", "sun0", "p=enp7s0 m=enx525400000010"),
    ("v257", "sun1", "s=ens11 p=enp0s10 m=enx525400000011"),
    // virtual functions
    ("v257", "pf0", "p=enp0s29 m=enx525400000012"),
    ("v257", "vf0", "p=enp0s29v0 m=enx525400000013"),
    ("v257", "vf12", "p=enp0s29v12 m=enx525400000014"),
    ("v238", "vf0", "o=eno5 p=enp0s29f4 m=enx525400000013"),
    // another domain, virtio
    ("v257", "virt0", "p=enP1p0s2 m=enx525400000015"),
    // kinds
    ("v257", "wlan0", "p=wlp0s11 m=wlx525400000016"),
    ("v257", "ib0", "p=ibp0s12d1"),
    ("v239", "ib0", "-"),
    ("v257", "sl0", ""),
    ("v257", "tun0", "-"),
    ("v257", "top0", "-"),
    ("v257", "rand0", ""),
    // USB
    ("v257", "usb0", "p=enp0s20u2u4 m=enx525400000018"),
    ("v257", "wwan0", "p=wwp0s20u3c2i1 m=wwx525400000019"),
    ("v257", "host0", "p=enu1 m=enx52540000001a"),
    ("v252", "host0", "m=enx52540000001a"),
    // other buses
    ("v257", "bcma0", "p=enp0s13b1 m=enx52540000001b"),
    ("v257", "bcma1", "p=enp0s14 m=enx52540000001c"),
    ("v257", "ccw0", "p=enc600 m=enx52540000001d"),
    ("v257", "ccw1", "p=encf5f0 m=enx52540000001e"),
    ("v257", "eth10", "s=env2 m=enx52540000001f"),
    ("v257", "vio1", "m=enx525400000020"),
    ("v257", "zpci0", "s=ens2748 p=enp3s0 m=enx525400000021"),
    ("v247", "zpci0", "p=enp3s0 m=enx525400000021"),
    ("v257", "eth12", "p=enahisic2i0 m=enx525400000022"),
    ("v257", "eth13", "p=enaapmc0d0i0 m=enx525400000023"),
    ("v257", "tree0", "o=end0 m=enx525400000024"),
    ("v251", "tree0", "m=enx525400000024"),
    ("v257", "tree1", "o=end1 m=enx525400000025"),
    ("v255", "tree1", "m=enx525400000025"),
    ("v257", "sim0", "p=eni10np3 m=enx525400000026"),
    ("v241", "sim0", "m=enx525400000026"),
    ("v257", "eth11", "s=enX2 m=enx525400000027"),
    ("v249", "eth11", "m=enx525400000027"),
    ("v257", "xen1", "m=enx525400000028"),
];

#[test]
fn by_hand() {
    for cards in [Cards::laid_out(), Cards::recorded()] {
        for (scheme, name, expected) in CASES {
            let path =
                Cards::interfaces().into_iter().find(|path| path.ends_with(&format!("/{name}"))).expect(name);
            let expected: Answer = expected
                .split(' ')
                .filter_map(|part| part.split_once('='))
                .map(|(kind, value)| {
                    let key = match kind {
                        "o" => "ID_NET_NAME_ONBOARD",
                        "l" => "ID_NET_LABEL_ONBOARD",
                        "s" => "ID_NET_NAME_SLOT",
                        "p" => "ID_NET_NAME_PATH",
                        _ => "ID_NET_NAME_MAC",
                    };
                    (key.to_owned(), value.replace("Port_", "Port "))
                })
                .collect();
            assert_eq!(cards.names(scheme, &path, &Properties::new()), expected, "{scheme} {name}");
        }
    }
}

#[test]
fn attributes_that_are_not_to_be_used() {
    let cards = Cards::laid_out();
    let path = Cards::interfaces().into_iter().find(|path| path.ends_with("/port2")).unwrap();
    for (property, value, expected) in [
        ("ID_NET_NAME_ALLOW_PHYS_PORT_NAME", "0", Some("enp0s8f1")),
        ("ID_NET_NAME_ALLOW_PHYS_PORT_NAME", "1", Some("enp0s8f1np1")),
        ("ID_NET_NAME_ALLOW_OTHER", "0", Some("enp0s8f1np1")),
    ] {
        let properties: Properties = [(property, value)].into_iter().collect();
        let found = cards.names("v257", &path, &properties);
        assert_eq!(found.get("ID_NET_NAME_PATH").map(String::as_str), expected, "{property}={value}");
    }
}

/// Each attribute is asked for with the properties of the device that has it.
#[test]
fn attributes_of_the_card_that_are_not_to_be_used() {
    let cards = Cards::laid_out();
    let path = Cards::interfaces().into_iter().find(|path| path.ends_with("/board0")).unwrap();
    let no: Properties = [("ID_NET_NAME_ALLOW_ACPI_INDEX", "0")].into_iter().collect();
    let on_card = |device: &Device| {
        if device.subsystem().is_some_and(|subsystem| subsystem == "pci") {
            no.clone()
        } else {
            Properties::new()
        }
    };
    let onboard = |properties: &Properties, known: Known<'_>| {
        cards.names_knowing("v257", &path, properties, known).get("ID_NET_NAME_ONBOARD").cloned()
    };
    let none = Properties::new();
    assert_eq!(onboard(&none, Known::default()).as_deref(), Some("eno7"));
    assert_eq!(onboard(&no, Known::default()).as_deref(), Some("eno7"), "not the interface's attribute");
    assert_eq!(onboard(&none, Known(&on_card)).as_deref(), Some("eno2"), "the other index");
}

/// `P: DEVPATH`, then `E: KEY=VALUE`.
fn read_answers(text: &str) -> Vec<(String, Answer)> {
    let mut out: Vec<(String, Answer)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("P: "), line.strip_prefix("E: "), out.last_mut()) {
            (Some(path), _, _) => out.push((path.into(), Answer::new())),
            (_, Some(pair), Some((_, answer))) => answer.extend(lines(pair)),
            _ => panic!("unknown line {line:?}"),
        }
    }
    out
}

fn compare(cards: &Cards, answers: &[(String, Answer)]) {
    assert_eq!(answers.len(), Cards::interfaces().len());
    for (path, theirs) in answers {
        let mut theirs = theirs.clone();
        theirs.remove("ID_NET_NAMING_SCHEME");
        // 252 takes the bytes of a port's name as they are, and reads no hexadecimal dev_id
        if path.ends_with("/rep1") || path.ends_with("/ib0") {
            continue;
        }
        // udevadm was shown no /proc/device-tree
        let mut ours = cards.names("v252", path, &Properties::new());
        if path.contains("/tree") {
            ours.remove("ID_NET_NAME_ONBOARD");
        }
        assert_eq!(ours, theirs, "{path}");
    }
}

#[test]
fn recorded_answers_of_udevadm() {
    let text = fs::read_to_string(recordings().join("cards.answers")).unwrap();
    for cards in [Cards::laid_out(), Cards::recorded()] {
        compare(&cards, &read_answers(&text));
    }
}

/// For each interface and scheme what udevadm 257 said: `P: DEVPATH`, then `S: SCHEME…` and the properties that it has in
/// each of these.
#[test]
fn every_scheme_is_that_of_systemd_257() {
    let text = fs::read_to_string(recordings().join("cards.schemes")).unwrap();
    for cards in [Cards::laid_out(), Cards::recorded()] {
        let mut asked = 0;
        for part in text.split("P: ").skip(1) {
            let mut answers = part.split("S: ");
            let path = answers.next().unwrap().trim();
            for answer in answers {
                let (schemes, properties) = answer.split_once('\n').unwrap();
                let theirs = lines(&properties.replace("E: ", ""));
                for scheme in schemes.split(' ') {
                    asked += 1;
                    assert_eq!(cards.names(scheme, path, &Properties::new()), theirs, "{scheme} {path}");
                }
            }
        }
        assert_eq!(asked, Cards::interfaces().len() * 15);
    }
}

/// A whole machine as `contrib/qemu/record` leaves it, where `NAMEPLATE_RECORDED` names one.
#[test]
fn every_card_of_a_recorded_machine() {
    let Some(directory) = std::env::var_os("NAMEPLATE_RECORDED").map(std::path::PathBuf::from) else {
        return;
    };
    let devices = Tree::new(Source::Live(directory.join("sys")));
    devices.walk();
    let cards = Cards { fake: FakeTree::new(), devices };
    let text = fs::read_to_string(directory.join("answers")).unwrap();
    let of_cards = text.split("P: ").filter(|part| part.contains("\nB: net_id\n"));
    let answers: Vec<(&str, Answer)> =
        of_cards.map(|part| (part.lines().next().unwrap(), lines(&part.replace("E: ", "")))).collect();
    assert!(answers.len() >= 5, "{answers:?}");
    for (path, mut theirs) in answers {
        theirs.remove("ID_NET_NAMING_SCHEME");
        theirs.retain(|key, _| key.starts_with("ID_NET_"));
        assert_eq!(cards.names("v252", path, &Properties::new()), theirs, "{path}");
    }
}

/// Puts the laid-out tree in the place of `/sys`, in a mount namespace of its own, and asks the udevadm of this machine.
#[test]
fn live_answers_of_udevadm() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let cards = Cards::laid_out();
    let asked = Command::new("unshare")
        .args(["--mount", "sh", "-c", ASK, "sh"])
        .arg(cards.fake.sys())
        .args(Cards::interfaces())
        .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
        .env("NET_NAMING_SCHEME", "v252")
        .output();
    match asked {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            if let Some(keep) = std::env::var_os("NAMEPLATE_KEEP_ANSWERS") {
                fs::write(std::path::Path::new(&keep).join("cards.answers"), text.as_bytes()).unwrap();
            }
            compare(&cards, &read_answers(&text));
        }
        _ => common::skip("needs unshare and udevadm"),
    }
}

/// `$1` is the tree for `/sys`, the rest are devpaths.
const ASK: &str = r#"
command -v udevadm >/dev/null || exit 1
sys=$1; shift
mount --bind "$sys" /sys || exit 1
for path; do
    echo "P: $path"
    udevadm test-builtin net_id "/sys$path" 2>/dev/null | grep '^ID_NET' | LC_ALL=C sort | sed 's/^/E: /'
done
"#;
