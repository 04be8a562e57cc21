//! Owns the conditions of `[Match]` that are about the machine: host, virtual machine, kernel, credentials, architecture,
//! firmware (`systemd.unit(5)`, `Condition…=`).
//!
//! Facts are read by [`Machine`] only; whether a condition holds is a pure question.

use std::cmp::Ordering;
use std::fs;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::values::{self, Quoting};
use crate::builtin::net_id::boolean;
use crate::machine;
use crate::roots::Roots;
use crate::text::space::{is_space, trim, trim_end, trim_start};
use crate::text::{Case, Pattern};

/// What a condition asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Virtualization,
    KernelCommandLine,
    KernelVersion,
    Credential,
    Architecture,
    Firmware,
}

/// One condition; of each kind a file has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: Kind,
    /// A `!` stood in front.
    pub(super) negated: bool,
    pub(super) value: BString,
}

/// The facts that conditions ask for, of one system.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    roots: Roots,
}

/// Kinds of containers; all others are virtual machines.
const CONTAINERS: [&str; 10] = [
    "lxc",
    "lxc-libvirt",
    "systemd-nspawn",
    "docker",
    "podman",
    "rkt",
    "wsl",
    "proot",
    "pouch",
    "container-other",
];

impl Machine {
    pub(super) fn of(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }

    /// One that can't be understood never holds, negated or not.
    pub(super) fn holds(&self, condition: &Condition) -> bool {
        let value = condition.value.as_slice();
        let holds = match condition.kind {
            Kind::Host => Some(self.is_host(value)),
            Kind::Virtualization => Some(is_virtualization(value, &machine::virtualisation(&self.roots))),
            Kind::KernelCommandLine => Some(has_word(&machine::kernel_command_line(&self.roots), value)),
            Kind::KernelVersion => is_version(value, &machine::kernel_release(&self.roots)),
            Kind::Credential => Some(credential(value).is_some()),
            Kind::Architecture => {
                Some(value == b"native" || value == machine::architecture(&self.roots).as_bytes())
            }
            Kind::Firmware => self.is_firmware(value),
        };
        holds.is_some_and(|holds| holds != condition.negated)
    }

    fn is_host(&self, value: &[u8]) -> bool {
        let id = machine::machine_id(&self.roots).map(|id| format!("{:032x}", u128::from_be_bytes(id)));
        let plain = value.replace(b"-", b"").to_ascii_lowercase();
        if plain.len() == 32 && plain.iter().all(u8::is_ascii_hexdigit) {
            return id.is_some_and(|id| id.as_bytes() == plain);
        }
        Pattern::single(value, Case::Fold).matches(&machine::host_name(&self.roots))
    }

    fn is_firmware(&self, value: &[u8]) -> Option<bool> {
        let sys = &self.roots.sys;
        let argument = |function: &[u8]| value.strip_prefix(function)?.strip_prefix(b"(")?.strip_suffix(b")");
        if let Some(name) = argument(b"device-tree-compatible") {
            let all = fs::read(self.roots.proc.join("device-tree/compatible")).unwrap_or_default();
            return Some(all.split(|&b| b == 0).any(|one| one == name));
        }
        if let Some(comparison) = argument(b"smbios-field") {
            return self.has_field(comparison);
        }
        Some(match value {
            b"uefi" => sys.join("firmware/efi").exists(),
            b"device-tree" => sys.join("firmware/devicetree").exists(),
            _ => false,
        })
    }

    /// `FIELD OPERATOR VALUE`, where the fields are those that the kernel shows of the machine.
    fn has_field(&self, comparison: &[u8]) -> Option<bool> {
        let end = comparison.iter().position(|b| b"=!<>$".contains(b) || is_space(*b))?;
        let (field, rest) = comparison.split_at(end);
        let (operator, rest) = Operator::of(trim_start(rest))?;
        let value = match unquoted(rest).as_deref() {
            Some([value]) => value.clone(),
            _ => return None,
        };
        let field = field.to_str().ok().filter(|field| !field.is_empty() && !field.contains('/'))?;
        let actual = fs::read(self.roots.sys.join("class/dmi/id").join(field)).ok();
        Some(actual.is_some_and(|actual| operator.holds(trim_end(&actual), &value)))
    }
}

/// The contents of a credential that this program was given.
pub(super) fn credential(name: &[u8]) -> Option<BString> {
    let name = name
        .to_str()
        .ok()
        .filter(|name| !name.is_empty() && !name.contains('/') && !matches!(*name, "." | ".."))?;
    let directory = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?);
    fs::read(directory.join(name)).ok().map(BString::from)
}

/// Words with their quotes taken away; `None` if a quote does not end.
fn unquoted(text: &[u8]) -> Option<Vec<BString>> {
    values::words(text, Quoting::Patterns).into_iter().collect::<Result<_, _>>().ok()
}

fn is_virtualization(value: &[u8], kind: &str) -> bool {
    let is_container = CONTAINERS.contains(&kind);
    match (boolean(value), value) {
        (Some(wanted), _) => wanted == (kind != "none"),
        (None, b"vm") => kind != "none" && !is_container,
        (None, b"container") => is_container,
        (None, value) => value == kind.as_bytes(),
    }
}

/// `key=value` asks for that very word, `key` for the key with any value or none.
fn has_word(line: &[u8], wanted: &[u8]) -> bool {
    line.fields().any(|word| {
        let word = word.replace(b"\"", b"");
        word == wanted
            || (!wanted.contains(&b'=') && word.strip_prefix(wanted).is_some_and(|r| r.starts_with(b"=")))
    })
}

/// All expressions have to hold: `>=6.1 <7`, or a pattern. Behind the first operator there may be white space.
fn is_version(value: &[u8], release: &[u8]) -> Option<bool> {
    let mut expressions = unquoted(value)?.into_iter();
    let mut is_first = true;
    while let Some(expression) = expressions.next() {
        let holds = match Operator::of(trim(&expression)) {
            None => Pattern::single(trim(&expression), Case::Sensitive).matches(release),
            Some((operator, rest)) => {
                let rest = BString::from(trim_start(rest));
                let version = if rest.is_empty() && is_first { expressions.next()? } else { rest };
                if version.is_empty() {
                    return None;
                }
                operator.holds(release, &version)
            }
        };
        if !holds {
            return Some(false);
        }
        is_first = false;
    }
    Some(true)
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy)]
enum Operator {
    /// As patterns: whether the value is one that fits.
    Pattern(bool),
    /// As texts: whether they are the same.
    Text(bool),
    /// As versions.
    Version(fn(Ordering) -> bool),
}

impl Operator {
    /// The operator that the text begins with, and the rest.
    fn of(text: &[u8]) -> Option<(Self, &[u8])> {
        let known: [(&[u8], Self); 10] = [
            (b"!$=", Self::Pattern(false)),
            (b"$=", Self::Pattern(true)),
            (b"<=", Self::Version(Ordering::is_le)),
            (b"<>", Self::Version(Ordering::is_ne)),
            (b"<", Self::Version(Ordering::is_lt)),
            (b">=", Self::Version(Ordering::is_ge)),
            (b">", Self::Version(Ordering::is_gt)),
            (b"==", Self::Version(Ordering::is_eq)),
            (b"=", Self::Text(true)),
            (b"!=", Self::Text(false)),
        ];
        known.into_iter().find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    }

    fn holds(self, actual: &[u8], value: &[u8]) -> bool {
        match self {
            Self::Pattern(fits) => Pattern::single(value, Case::Sensitive).matches(actual) == fits,
            Self::Text(same) => (actual == value) == same,
            Self::Version(holds) => holds(compare_versions(actual, value)),
        }
    }
}

/// The order of versions: numbers as numbers, letters as letters, `~` before the end, `-`, `^` and `.` after it.
fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
        a = a.trim_start_with(|c| !is_part(&u8::try_from(c).unwrap_or(b'a')));
        b = b.trim_start_with(|c| !is_part(&u8::try_from(c).unwrap_or(b'a')));
        for mark in b"~" {
            match (a.first() == Some(mark), b.first() == Some(mark)) {
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                _ => {}
            }
        }
        match (a.is_empty(), b.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        for mark in b"-^." {
            match (a.first() == Some(mark), b.first() == Some(mark)) {
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                _ => {}
            }
        }
        if a.first().is_some_and(|byte| b"~-^.".contains(byte)) {
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
            continue;
        }
        let (first, rest) = segment(a);
        let (other, other_rest) = segment(b);
        match compare_segments(first, other) {
            Ordering::Equal => (a, b) = (rest, other_rest),
            unequal => return unequal,
        }
    }
}

/// The digits, or the letters, that the text begins with.
fn segment(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let same = |b: &&u8| if digits { b.is_ascii_digit() } else { b.is_ascii_alphabetic() };
    text.split_at(text.iter().take_while(same).count())
}

fn compare_segments(a: &[u8], b: &[u8]) -> Ordering {
    let is_number = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    match (is_number(a), is_number(b)) {
        (true, true) => {
            let plain =
                |text: &[u8]| -> Vec<u8> { text.iter().copied().skip_while(|&b| b == b'0').collect() };
            let (a, b) = (plain(a), plain(b));
            a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
        }
        // numbers are newer than letters
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (a, order, b) in [
            ("6.1.0", Ordering::Less, "6.10.0"),
            ("6.1.0-49-amd64", Ordering::Greater, "6.1"),
            ("6.1", Ordering::Equal, "6.1"),
            ("6.1~rc1", Ordering::Less, "6.1"),
            ("6.01", Ordering::Equal, "6.1"),
            ("6.a", Ordering::Less, "6.1"),
            ("6.1-rc1", Ordering::Less, "6.1.1"),
        ] {
            assert_eq!(compare_versions(a.as_bytes(), b.as_bytes()), order, "{a} {b}");
            assert_eq!(compare_versions(b.as_bytes(), a.as_bytes()), order.reverse(), "{b} {a}");
        }
        // as systemd 257 says
        for (expression, holds) in [
            (">=6.1", Some(true)),
            (">= 6.1", Some(true)),
            (">= 6.1 <7", Some(true)),
            (">= 6.1 < 7", None),
            (">=6.1 <", None),
            (">=", None),
            ("<", None),
            ("\">=5 <7\"", Some(true)),
            ("\">=6.1", None),
            ("<6", Some(false)),
            ("6.1.*", Some(true)),
            ("6.1.* 7.*", Some(false)),
            ("!$=6.*", Some(false)),
            ("$=6.*", Some(true)),
            ("=6.1.0-49-amd64", Some(true)),
            ("!=6.1.0-49-amd64", Some(false)),
            ("=6.01.0-49-amd64", Some(false)),
            ("==6.01.0-49-amd64", Some(true)),
            ("<>6", Some(true)),
            ("", Some(true)),
        ] {
            assert_eq!(is_version(expression.as_bytes(), b"6.1.0-49-amd64"), holds, "{expression}");
        }
    }

    #[test]
    fn words_of_the_kernel() {
        for (wanted, holds) in [
            ("quiet", true),
            ("net.ifnames", true),
            ("net.ifnames=0", true),
            ("net.ifnames=1", false),
            ("net", false),
            ("name=a", false),
        ] {
            assert_eq!(has_word(b"ro quiet net.ifnames=0 name=ab\n", wanted.as_bytes()), holds, "{wanted}");
        }
    }

    #[test]
    fn kinds_of_machines() {
        for (value, kind, holds) in [
            ("yes", "kvm", true),
            ("no", "none", true),
            ("vm", "kvm", true),
            ("vm", "docker", false),
            ("container", "docker", true),
            ("kvm", "kvm", true),
            ("kvm", "qemu", false),
        ] {
            assert_eq!(is_virtualization(value.as_bytes(), kind), holds, "{value} {kind}");
        }
    }

    #[test]
    fn a_machine() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        for (file, text) in [
            ("proc/sys/kernel/hostname", "Mast-1\n"),
            ("proc/sys/kernel/arch", "aarch64\n"),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("proc/device-tree/compatible", "acme,board\0acme,soc\0"),
            ("sys/class/dmi/id/board_name", "Deck 3\n"),
            ("sys/firmware/efi/x", ""),
        ] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let machine = Machine::of(&roots);
        for (kind, value, holds) in [
            (Kind::Host, "mast-*", true),
            (Kind::Host, "01234567-89ab-cdef-0123-456789abcdef", true),
            (Kind::Host, "11234567-89ab-cdef-0123-456789abcdef", false),
            (Kind::Architecture, "arm64", true),
            (Kind::Architecture, "native", true),
            (Kind::Architecture, "x86-64", false),
            (Kind::Firmware, "uefi", true),
            (Kind::Firmware, "device-tree", false),
            (Kind::Firmware, "device-tree-compatible(acme,soc)", true),
            (Kind::Firmware, "device-tree-compatible(acme)", false),
            (Kind::Firmware, "smbios-field(board_name $= Deck*)", true),
            (Kind::Firmware, "smbios-field(board_name = \"Deck 3\")", true),
            (Kind::Firmware, "smbios-field(board_name=\"Deck 4\")", false),
            (Kind::Firmware, "smbios-field(none = *)", false),
            (Kind::KernelVersion, "6.*", false),
        ] {
            for negated in [false, true] {
                let condition = Condition { kind, negated, value: value.into() };
                assert_eq!(machine.holds(&condition), holds != negated, "{condition:?}");
            }
        }
        for (kind, value) in [
            (Kind::KernelVersion, ">="),
            (Kind::Firmware, "smbios-field(board_name)"),
            (Kind::Firmware, "smbios-field(board_name = Deck 3)"),
            (Kind::Firmware, "smbios-field()"),
        ] {
            for negated in [false, true] {
                let condition = Condition { kind, negated, value: value.into() };
                assert!(!machine.holds(&condition), "{condition:?}");
            }
        }
    }
}
