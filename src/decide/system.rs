//! Owns what rules ask of the system beside devices: the kernel's command line, constants, numbers as accounts.
//!
//! Everything is read below the given roots, when it is asked for. Never caches: such questions are rare.

use std::fs;

use bstr::{BString, ByteSlice};

use crate::roots::Roots;
use crate::rules::ir::ConstKey;

/// The id behind a name; a decimal number is itself.
pub(super) fn account(name: &[u8], look_up: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
    decimal(name).or_else(|| look_up(name.to_str().ok()?))
}

fn decimal(text: &[u8]) -> Option<u32> {
    // `parse` would take a sign.
    text.first().filter(|b| b.is_ascii_digit())?;
    text.to_str().ok()?.parse().ok()
}

/// The value of a key on the kernel's command line; the last one counts, a key alone is `1`.
pub(super) fn command_line(text: &[u8], key: &[u8]) -> Option<BString> {
    let mut found = None;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = word_end(rest);
        let (word, after) = rest.split_at(end);
        match word.strip_prefix(key) {
            Some(b"") => found = Some(BString::from("1")),
            Some([b'=', value @ ..]) => found = Some(value.replace(b"\"", b"").into()),
            _ => {}
        }
        rest = after.trim_start();
    }
    found
}

/// Where a word of the command line ends: white space between quotes belongs to it.
fn word_end(text: &[u8]) -> usize {
    let mut quoted = false;
    text.iter()
        .position(|b| {
            quoted ^= *b == b'"';
            !quoted && b.is_ascii_whitespace()
        })
        .unwrap_or(text.len())
}

/// A constant of the system, in systemd's words.
pub(super) fn constant(roots: &Roots, key: ConstKey) -> Option<BString> {
    match key {
        ConstKey::Arch => {
            // The kernel's own machine name (Linux 6.1); before that what this program was built for.
            let machine = fs::read(roots.proc.join("sys/kernel/arch")).unwrap_or_default();
            let machine = machine.trim().to_str().unwrap_or_default().to_owned();
            Some(architecture(if machine.is_empty() { std::env::consts::ARCH } else { &machine }).into())
        }
        ConstKey::Virt => Some(virtualisation(roots).into()),
        ConstKey::Cvm => Some(confidential(roots).into()),
    }
}

fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "x86-64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "aarch64" => "arm64",
        "aarch64_be" => "arm64-be",
        "ppc64" | "powerpc64" => "ppc64",
        "ppc64le" => "ppc64-le",
        "ppc" | "powerpc" => "ppc",
        "loong64" => "loongarch64",
        _ if machine.starts_with("arm") && machine.ends_with('b') => "arm-be",
        _ if machine.starts_with("arm") => "arm",
        other => other,
    }
}

/// Vendor strings of firmware, and the machines that have them.
const VENDORS: [(&str, &str); 11] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Parallels", "parallels"),
    ("Bochs", "bochs"),
];

/// The kind of container or machine. Coarser than systemd's: no CPU instruction is asked.
fn virtualisation(roots: &Roots) -> String {
    let read =
        |path: std::path::PathBuf| fs::read(path).map(|text| text.trim().to_str_lossy().into_owned()).ok();
    if let Some(container) = read(roots.run.join("systemd/container")).filter(|name| !name.is_empty()) {
        return container;
    }
    if let Some(hypervisor) = read(roots.sys.join("hypervisor/type")).filter(|name| !name.is_empty()) {
        return hypervisor;
    }
    let firmware = ["product_name", "sys_vendor", "board_vendor", "bios_vendor"];
    let named = firmware.iter().find_map(|file| {
        let text = read(roots.sys.join("class/dmi/id").join(file))?;
        VENDORS.iter().find(|(vendor, _)| text.starts_with(vendor)).map(|(_, kind)| (*kind).to_owned())
    });
    let hypervised = || {
        let text = fs::read(roots.proc.join("cpuinfo")).unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with(b"flags")).unwrap_or_default();
        flags.fields().any(|flag| flag == b"hypervisor").then(|| "vm-other".to_owned())
    };
    named.or_else(hypervised).unwrap_or_else(|| "none".into())
}

/// The kind of confidential machine, by the device that the kernel gives its guest.
fn confidential(roots: &Roots) -> &'static str {
    let guests = [("sev_guest", "sev-snp"), ("tdx_guest", "tdx")];
    let found = guests.iter().find(|(device, _)| roots.sys.join("class/misc").join(device).exists());
    found.map_or("none", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_words() {
        let line = b"ro quiet net.ifnames=0 name=\"a b\" x=1 x=2 empty= -- quietly\n";
        for (key, expected) in [
            ("quiet", Some("1")),
            ("net.ifnames", Some("0")),
            ("name", Some("a b")),
            ("x", Some("2")),
            ("empty", Some("")),
            ("qui", None),
            ("b", None),
        ] {
            assert_eq!(command_line(line, key.as_bytes()), expected.map(BString::from), "{key}");
        }
    }

    #[test]
    fn accounts() {
        let known = |name: &str| (name == "dialout" || name == "20x").then_some(20);
        let cases = [
            ("dialout", Some(20)),
            ("1234", Some(1234)),
            ("20x", Some(20)),
            ("none", None),
            ("", None),
            ("+5", None),
            ("99999999999", None),
        ];
        for (name, expected) in cases {
            assert_eq!(account(name.as_bytes(), known), expected, "{name}");
        }
        assert_eq!(account(b"\xff", known), None);
    }

    #[test]
    fn architectures() {
        for (machine, expected) in [
            ("x86_64", "x86-64"),
            ("i686", "x86"),
            ("aarch64", "arm64"),
            ("armv7l", "arm"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(architecture(machine), expected);
        }
    }
}
