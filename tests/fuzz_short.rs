//! The fuzz targets of `contrib/fuzz` with a few thousand inputs each: the seeds, and the same changed at random in the
//! same way in every run. Long runs are `contrib/fuzz/run`'s.

#![cfg(test)]

#[path = "../contrib/fuzz/targets/mod.rs"]
#[allow(unreachable_pub, reason = "the same files are a library in contrib/fuzz")]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use targets::TARGETS;

/// Changed inputs for each target.
const INPUTS: usize = 3_000;
/// No input is longer.
const LONGEST: usize = 2_048;

/// Bytes that mean something to one of the languages.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\\",
    b"\"",
    b"=",
    b"==",
    b"!=",
    b"+=",
    b":=",
    b"[",
    b"]",
    b"{",
    b"}",
    b"|",
    b"*",
    b"?",
    b"$",
    b"%",
    b"#",
    b"'",
    b",",
    b":",
    b"@",
    b"/",
    b"..",
    b"-",
    b"\xff",
    b"\xc3\xa9",
    b"\xef\xbf\xbd",
    b"\r\n",
    b"\t",
    b"0x",
    b"99999999999999999999",
    b"[:",
    b":]",
    b"[.",
    b".]",
    b"[=",
    b"\"\"\"",
    b"[[rule]]\n",
    b"$attr{",
    b"%s{",
    b"e\"",
];

/// A generator of numbers (xorshift): the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(16) + 1)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that a target begins with, as in `contrib/fuzz/run`.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dirs: &[&str] = match target {
        "builtins" | "recording" => &["contrib/fuzz/seeds/recording", "tests/trees", "rules/recordings"],
        "toml_rules" => &["contrib/fuzz/seeds/toml_rules", "rules"],
        other => &[&format!("contrib/fuzz/seeds/{other}")],
    };
    let mut paths: Vec<PathBuf> = dirs
        .iter()
        .flat_map(|dir| fs::read_dir(root().join(dir)).expect(dir))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One to four changes: bytes overwritten, put in, taken out, repeated, or taken from another seed.
fn change(input: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let range = numbers.range(input.len());
        match numbers.below(6) {
            0 => input.get_mut(range.start).into_iter().for_each(|byte| *byte ^= 1 << numbers.below(8)),
            1 => drop(input.splice(range, PIECES[numbers.below(PIECES.len())].iter().copied())),
            2 => drop(
                input.splice(range.start..range.start, PIECES[numbers.below(PIECES.len())].iter().copied()),
            ),
            3 => drop(input.drain(range)),
            4 => {
                let again = input[range.clone()].to_vec();
                input.splice(range.end..range.end, again);
            }
            _ => {
                let from = other[numbers.range(other.len())].to_vec();
                input.splice(range, from);
            }
        }
    }
    input.truncate(LONGEST);
}

fn run(name: &str) {
    let (_, check) = TARGETS.iter().find(|(target, _)| *target == name).expect(name);
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let try_one = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
            panic!("{name} fails on the input `{}`", input.escape_ascii());
        }
    };
    seeds.iter().for_each(|seed| try_one(seed));
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for at in 0..INPUTS {
        let seed = &seeds[at % seeds.len()];
        // A piece of a long seed: what is changed should matter.
        let start = if seed.len() > LONGEST { numbers.below(seed.len()) } else { 0 };
        let start = seed[..start].iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        let mut input: Vec<u8> = seed[start..].iter().copied().take(LONGEST).collect();
        change(&mut input, &seeds[numbers.below(seeds.len())], &mut numbers);
        try_one(&input);
    }
}

/// One test for each target.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_here_and_has_its_program() {
            let here = [$(stringify!($name)),*];
            let table: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(table, here);
            for name in here {
                assert!(root().join(format!("contrib/fuzz/bin/{name}.rs")).is_file(), "{name}");
            }
        }
    };
}

targets! { builtins config control_frame glob hwdb monitor names record recording template toml_rules udev_rules uevent }
