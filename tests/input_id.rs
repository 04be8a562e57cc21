//! `input_id` on devices of every kind: against answers by hand, and against udevadm's, which is shown the same devices and
//! hundreds more whose abilities are drawn at random from those that matter.

#![cfg(test)]

mod common;
#[path = "common/tree.rs"]
mod tree;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nameplate::builtin::{self, Context, Shared};
use nameplate::device::{Reader, Source, Tree};
use nameplate::ids::{Action, DevPath};
use nameplate::properties::Properties;
use nameplate::roots::Roots;
use tree::FakeTree;

/// What a device can do.
#[derive(Debug, Clone, Default)]
struct Input {
    ev: Vec<usize>,
    key: Vec<usize>,
    rel: Vec<usize>,
    abs: Vec<usize>,
    properties: Vec<usize>,
    bus: u16,
}

impl Input {
    fn attributes(&self) -> String {
        let bits = [
            ("properties", &self.properties),
            ("capabilities/ev", &self.ev),
            ("capabilities/key", &self.key),
            ("capabilities/rel", &self.rel),
            ("capabilities/abs", &self.abs),
        ];
        let mut out = format!("A: id/bustype={:04x}\\n\n", self.bus);
        for (name, bits) in bits {
            writeln!(out, "A: {name}={}\\n", words(bits)).unwrap();
        }
        out
    }
}

/// As the kernel prints a bit set.
fn words(bits: &[usize]) -> String {
    let size = usize::BITS as usize;
    let mut words = vec![0_usize; bits.iter().max().map_or(1, |top| top / size + 1)];
    bits.iter().for_each(|bit| words[bit / size] |= 1 << (bit % size));
    words.iter().rev().map(|word| format!("{word:x}")).collect::<Vec<_>>().join(" ")
}

/// Devices `input0`, `input1` … each with its event node.
fn machine(inputs: &[Input]) -> FakeTree {
    let mut fake = FakeTree::new();
    for (at, input) in inputs.iter().enumerate() {
        let path = format!("/devices/virtual/input/input{at}");
        fake.add(&format!("P: {path}\nE: SUBSYSTEM=input\n{}", input.attributes()));
        fake.add(&format!("P: {path}/event{at}\nE: SUBSYSTEM=input\nE: KIND=event\n"));
    }
    fake
}

/// The answer for each event node, as `KEY` words.
fn ours(fake: &FakeTree, count: usize) -> Vec<String> {
    let devices = Tree::new(Source::Live(fake.sys()));
    devices.walk();
    let roots = Roots::below(fake.root());
    let shared = Shared::new(&roots);
    let answer = |at: usize| {
        let path = DevPath::new(format!("/devices/virtual/input/input{at}/event{at}").as_bytes()).unwrap();
        let device = devices.get(&path).unwrap();
        let context = Context {
            device: &device,
            reader: &Reader::new(&devices),
            action: Action::Add,
            properties: &Properties::new(),
            known: Default::default(),
            roots: &roots,
            shared: &shared,
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let found = builtin::run(b"input_id", &[], &context).unwrap().properties;
        assert!(found.iter().all(|(_, value)| value == "1"), "{found:?}");
        found.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(answer).collect()
}

/// The same of this machine's udevadm, in a mount namespace where the tree stands for `/sys`.
fn theirs(fake: &FakeTree, count: usize) -> Option<Vec<String>> {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", ASK, "sh"])
        .arg(fake.sys())
        .arg(count.to_string())
        .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
        .output()
        .ok()?;
    output.status.success().then(|| {
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
    })
}

/// `$1` is the tree for `/sys`, `$2` how many devices there are. One line each.
const ASK: &str = r#"
command -v udevadm >/dev/null || exit 1
mount --bind "$1" /sys || exit 1
i=0
while [ $i -lt $2 ]; do
    udevadm test-builtin input_id /sys/devices/virtual/input/input$i/event$i 2>/dev/null |
        sed -n 's/^\(ID_INPUT[A-Z_]*\)=1$/\1/p' | LC_ALL=C sort -u | tr '\n' ' '
    echo
    i=$((i + 1))
done
"#;

const DIRECT: usize = 1;
const STICK: usize = 5;
const TILT: usize = 6;

/// Devices of every kind, with the answer by hand.
fn kinds() -> Vec<(&'static str, Input, &'static str)> {
    let input = |ev: &[usize], key: &[usize], rel: &[usize], abs: &[usize], properties: &[usize]| Input {
        ev: ev.into(),
        key: key.into(),
        rel: rel.into(),
        abs: abs.into(),
        properties: properties.into(),
        bus: 3,
    };
    let letters: Vec<usize> = (1..=88).collect();
    let mouse = input(&[0, 1, 2], &[0x110, 0x111, 0x112], &[0, 1, 8], &[], &[0]);
    let fingers = [0, 1, 0x2f, 0x35, 0x36, 0x39];
    vec![
        ("keyboard", input(&[0, 1, 4, 17, 20], &letters, &[], &[], &[]), "KEY KEYBOARD"),
        ("media keys", input(&[0, 1], &[113, 114, 115], &[], &[], &[]), "KEY"),
        ("remote control", input(&[0, 1], &[0x160], &[], &[], &[]), "KEY"),
        ("power button", input(&[0, 1], &[116], &[], &[], &[]), "KEY"),
        ("lid", input(&[0, 5], &[], &[], &[], &[]), "SWITCH"),
        ("mouse", mouse.clone(), "MOUSE"),
        (
            "mouse with many buttons",
            input(&[0, 1, 2], &(0x110..0x130).collect::<Vec<_>>(), &[0, 1], &[], &[]),
            "MOUSE",
        ),
        ("mouse on I2C", Input { bus: 0x18, ..mouse }, "MOUSE POINTINGSTICK"),
        ("trackpoint", input(&[0, 1, 2], &[0x110, 0x111], &[0, 1], &[], &[0, STICK]), "MOUSE POINTINGSTICK"),
        ("virtual machine's tablet", input(&[0, 1, 2, 3], &[0x110, 0x111], &[8], &[0, 1], &[]), "MOUSE"),
        ("touchpad", input(&[0, 1, 3], &[0x110, 0x145, 0x14a], &[], &fingers, &[0, 2]), "TOUCHPAD"),
        ("touchscreen", input(&[0, 1, 3], &[0x14a], &[], &fingers, &[DIRECT]), "TOUCHSCREEN"),
        ("pen tablet", input(&[0, 1, 3], &[0x140, 0x14a, 0x14b], &[], &[0, 1, 0x18], &[]), "TABLET"),
        ("tablet's pad", input(&[0, 1, 2, 3], &[0x100, 0x101, 0x102], &[8], &[], &[]), "TABLET TABLET_PAD"),
        ("gamepad", input(&[0, 1, 3], &[0x130, 0x131, 0x133], &[], &[0, 1, 3, 4], &[]), "JOYSTICK"),
        ("pedals", input(&[0, 3], &[], &[], &[0, 1, 5, 6], &[]), "JOYSTICK"),
        ("accelerometer", input(&[0, 3], &[], &[], &[0, 1, 2], &[TILT]), "ACCELEROMETER"),
        ("tilt without keys", input(&[0, 3], &[], &[], &[0, 1, 2], &[]), "ACCELEROMETER"),
        ("wheel alone", input(&[0, 2], &[], &[8], &[], &[]), "KEY"),
        (
            "keyboard with a joystick's button",
            input(&[0, 1], &[letters, (0x70..0xff).collect(), vec![0x120, 0x121]].concat(), &[], &[], &[]),
            "KEY KEYBOARD",
        ),
        ("nothing", input(&[0], &[], &[], &[], &[]), ""),
    ]
}

#[test]
fn every_kind_by_hand() {
    let kinds = kinds();
    let inputs: Vec<Input> = kinds.iter().map(|(_, input, _)| input.clone()).collect();
    let answers = ours(&machine(&inputs), inputs.len());
    for ((what, _, expected), answer) in kinds.iter().zip(answers) {
        let mut words: Vec<String> =
            expected.split(' ').filter(|w| !w.is_empty()).map(|w| format!("ID_INPUT_{w}")).collect();
        words.insert(0, "ID_INPUT".into());
        assert_eq!(answer, words.join(" "), "{what}");
    }
}

/// A generator of numbers (xorshift): the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    /// Each of `from` with a chance of one in `of`.
    fn some(&mut self, from: &[usize], of: u64) -> Vec<usize> {
        from.iter().copied().filter(|_| self.below(of) == 0).collect()
    }
}

/// A device with some of the abilities that some question is about.
fn random(numbers: &mut Numbers) -> Input {
    const KEYS: [usize; 44] = [
        0, 1, 29, 31, 58, 69, 110, 113, 140, 144, 155, 164, 224, 255, 0x100, 0x101, 0x102, 0x110, 0x111,
        0x112, 0x118, 0x11f, 0x120, 0x121, 0x130, 0x13f, 0x140, 0x141, 0x145, 0x14a, 0x14b, 0x15f, 0x160,
        0x21f, 0x220, 0x221, 0x223, 0x224, 0x230, 0x2bf, 0x2c0, 0x2c1, 0x2e7, 0x2e8,
    ];
    const AXES: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 0x17, 0x18, 0x19, 0x2e, 0x2f, 0x30, 0x35, 0x36, 0x39];
    let of = 1 + numbers.below(12);
    let mut key = numbers.some(&KEYS, of);
    if numbers.below(6) == 0 {
        key.extend(1..32);
    }
    if numbers.below(3) == 0 {
        key.retain(|key| *key >= 0x100);
    }
    let mut abs = numbers.some(&AXES, 1 + of / 3);
    if numbers.below(2) == 0 {
        abs.extend([0, 1]);
    }
    let rel_of = 1 + numbers.below(4);
    let rel = numbers.some(&[0, 1, 6, 8], rel_of);
    let mut ev = numbers.some(&[0, 4, 5], 4);
    ev.extend(
        [(1, key.is_empty()), (2, rel.is_empty()), (3, abs.is_empty())]
            .iter()
            .filter(|(_, none)| !none)
            .map(|(ev, _)| ev),
    );
    if numbers.below(8) == 0 {
        ev.retain(|ev| *ev != 1);
    }
    let bus = if numbers.below(4) == 0 { 0x18 } else { 3 };
    Input { ev, key, rel, abs, properties: numbers.some(&[0, 1, 2, 5, 6], 5), bus }
}

/// Where systemd 257 answers another than 252: a tablet's pad has buttons 0 and 1 and needs no stylus, and may be nothing
/// but buttons and a wheel. We answer as 257.
fn differs_since_252(input: &Input) -> bool {
    let key = |code: usize| input.key.contains(&code);
    let rel = |code: usize| input.rel.contains(&code);
    let wheel_alone = (rel(6) || rel(8)) && !(rel(0) && rel(1));
    key(0x100) && !key(0x140) && (key(0x101) != key(0x14b) || (key(0x101) && wheel_alone))
}

#[test]
fn udevadm_says_the_same() {
    if let Some(why) = common::no_private_mounts() {
        return common::skip(why);
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut inputs: Vec<Input> = kinds().into_iter().map(|(_, input, _)| input).collect();
    inputs.extend((0..180).map(|_| random(&mut numbers)));
    let fake = machine(&inputs);
    let Some(theirs) = theirs(&fake, inputs.len()) else {
        return common::skip("needs unshare and udevadm");
    };
    assert_eq!(theirs.len(), inputs.len());
    let ours = ours(&fake, inputs.len());
    let differ: Vec<String> = (0..inputs.len())
        .filter(|at| ours[*at] != theirs[*at] && !differs_since_252(&inputs[*at]))
        .map(|at| format!("{:?}\n  udevadm: {}\n  we:      {}\n", inputs[at], theirs[at], ours[at]))
        .collect();
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        inputs.len(),
        differ[..differ.len().min(8)].concat()
    );
    let kinds: std::collections::BTreeSet<&str> =
        theirs.iter().flat_map(|answer| answer.split(' ')).collect();
    assert_eq!(kinds.len(), 12, "every kind comes up: {kinds:?}");
}
