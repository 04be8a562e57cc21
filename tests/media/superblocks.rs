//! `blkid` on file systems that this machine need not have tools for: their superblocks stand in `superblocks.txt`. Whole, and with
//! bytes of them changed, so that sizes, counts and sums lie; always what this machine's udevadm says.

use super::blkid::same;
use super::disk::{Image, no_disks};
use super::{Answer, Machine};
use crate::common::skip;
use crate::numbers::Numbers;

/// One image: its name, its size, and what is in it.
struct Superblock {
    name: String,
    size: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

fn read() -> Vec<Superblock> {
    let text = include_str!("superblocks.txt");
    let mut out: Vec<Superblock> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [first, second] = words[..] else { panic!("{line}") };
        if line.starts_with(' ') {
            let pairs = second.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            out.last_mut().expect(line).parts.push((first.parse().unwrap(), bytes));
        } else {
            out.push(Superblock { name: first.into(), size: second.parse().unwrap(), parts: vec![] });
        }
    }
    out
}

impl Superblock {
    fn ask(&self, machine: &Machine, what: &str) -> Answer {
        let image =
            self.parts.iter().fold(Image::new(self.size), |image, (at, bytes)| image.write(*at, bytes));
        same(machine, &image.attach().name, "blkid", what)
    }
}

#[test]
fn superblocks_whole_and_spoiled() {
    if let Some(why) = no_disks() {
        return skip(why);
    }
    let machine = Machine::new();
    let mut numbers = Numbers(0x0dd0_5eed_0dd0_5eed);
    let types = [
        ("bcache", "bcache"),
        ("hibernated", "swsuspend"),
        ("jbd", "jbd"),
        ("lvm", "LVM2_member"),
        ("md", "linux_raid_member"),
    ];
    for mut superblock in read() {
        let name = superblock.name.clone();
        let answer = superblock.ask(&machine, &name);
        let kind = types.iter().find(|(of, _)| *of == name).map_or(name.as_str(), |(_, kind)| kind);
        assert_eq!(answer.get("ID_FS_TYPE").map(String::as_str), Some(kind), "{answer:?}");
        let whole = superblock.parts.clone();
        for round in 0..3 {
            superblock.parts.clone_from(&whole);
            for _ in 0..=round {
                let part = numbers.below(superblock.parts.len());
                let (_, bytes) = &mut superblock.parts[part];
                let at = numbers.below(bytes.len());
                bytes[at] = numbers.one(&[0, 0xff, 0x80, 0x7f, 1]);
            }
            superblock.ask(&machine, &format!("{name}, round {round}: {:02x?}", superblock.parts));
        }
    }
    assert_eq!(machine.shared.probes().at_rest().len(), 1, "one probe read them all");
}
