//! Owns what is true of the whole machine and not of a device: the kernel's command line, architecture, kind of
//! virtual machine or container, kernel release, host name, machine id.
//!
//! Everything is read below the given roots, when it is asked for. Never caches: such questions are rare.

use std::fs;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use nix::time::ClockId;

use crate::roots::Roots;
use crate::sys::cpu;
use crate::text::split_command;

/// The value of a key on the kernel's command line. The last one counts; a key that has no value anywhere is `1`.
pub fn command_line(text: &[u8], key: &[u8]) -> Option<BString> {
    let mut found = None;
    for (_, value) in command_line_words(text).filter(|(name, _)| is_same_key(name, key)) {
        match value {
            Some(value) => found = Some(value),
            None => drop(found.get_or_insert_with(|| "1".into())),
        }
    }
    found
}

/// The words of a kernel command line: keys, with their values where they have one.
pub fn command_line_words(text: &[u8]) -> impl Iterator<Item = (BString, Option<BString>)> {
    split_command(text).into_iter().map(|word| match word.split_once_str(b"=") {
        Some((name, value)) => (name.into(), Some(value.into())),
        None => (word, None),
    })
}

/// True for two spellings of one key of the kernel's command line: `-` and `_` are the same there.
pub fn is_same_key(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    one.iter().map(plain).eq(other.iter().map(plain))
}

/// The processor's architecture, in systemd's words (`x86-64`, `arm64`).
pub fn architecture(roots: &Roots) -> String {
    // The kernel's own machine name (Linux 6.1); before that what this program was built for.
    let machine = fs::read(roots.proc.join("sys/kernel/arch")).unwrap_or_default();
    let machine = machine.trim().to_str().unwrap_or_default().to_owned();
    architecture_of(if machine.is_empty() { std::env::consts::ARCH } else { &machine }).to_owned()
}

/// The kernel's command line as it stands in `/proc/cmdline`; empty if it can't be read.
pub fn kernel_command_line(roots: &Roots) -> BString {
    fs::read(roots.proc.join("cmdline")).unwrap_or_default().into()
}

/// What `uname -r` says.
pub fn kernel_release(roots: &Roots) -> BString {
    trimmed(roots.proc.join("sys/kernel/osrelease"))
}

/// What `hostname` says.
pub fn host_name(roots: &Roots) -> BString {
    trimmed(roots.proc.join("sys/kernel/hostname"))
}

/// The machine's id (`machine-id(5)`); `None` while it has none.
pub fn machine_id(roots: &Roots) -> Option<[u8; 16]> {
    let text = trimmed(roots.etc.join("machine-id"));
    // `from_str_radix` would take a sign
    let is_id = text.len() == 32 && text.iter().all(u8::is_ascii_hexdigit);
    let id = u128::from_str_radix(text.to_str().ok().filter(|_| is_id)?, 16).ok()?;
    (id != 0).then(|| id.to_be_bytes())
}

/// Microseconds since the system's start, without those of suspend; as the record has them.
pub fn uptime_usec() -> Option<u64> {
    let now = ClockId::CLOCK_MONOTONIC.now().ok()?;
    u64::try_from(std::time::Duration::from(now).as_micros()).ok()
}

fn trimmed(file: PathBuf) -> BString {
    fs::read(file).unwrap_or_default().trim().into()
}

fn architecture_of(machine: &str) -> &str {
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
const VENDORS: [(&str, &str); 16] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
];

/// Machines that are told by their firmware, whatever the processor says: they are built on another's hypervisor.
const BY_FIRMWARE: [&str; 5] = ["oracle", "xen", "amazon", "parallels", "google"];

/// Signatures of hypervisors, and the machines that have them.
const SIGNATURES: [(&[u8], &str); 11] = [
    (b"XenVMMXenVMM", "xen"),
    (b"KVMKVMKVM\0\0\0", "kvm"),
    (b"Linux KVM Hv", "kvm"),
    (b"TCGTCGTCGTCG", "qemu"),
    (b"VMwareVMware", "vmware"),
    (b"Microsoft Hv", "microsoft"),
    (b"bhyve bhyve ", "bhyve"),
    (b"QNXQVMBSQG\0\0", "qnx"),
    (b"ACRNACRNACRN", "acrn"),
    (b"SRESRESRESRE", "sre"),
    (b"Apple VZ\0\0\0\0", "apple"),
];

/// The kind of container or machine, as `systemd-detect-virt(1)` calls it. The processor is asked on the running machine
/// alone; of another there are only files.
pub fn virtualisation(roots: &Roots) -> String {
    let read = |path: PathBuf| fs::read(path).map(|text| text.trim().to_str_lossy().into_owned()).ok();
    if let Some(container) = read(roots.run.join("systemd/container")).filter(|name| !name.is_empty()) {
        return container;
    }
    let hypervisor = read(roots.sys.join("hypervisor/type")).filter(|name| !name.is_empty());
    let is_this_machine = roots.proc == Roots::system().proc;
    let signature = is_this_machine.then(cpu::hypervisor).flatten();
    let firmware = hypervisor.or_else(|| {
        let files = ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"];
        files.iter().find_map(|file| vendor(&read(roots.sys.join("class/dmi/id").join(file))?))
    });
    let hypervised = || {
        let text = fs::read(roots.proc.join("cpuinfo")).unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with(b"flags")).unwrap_or_default();
        flags.fields().any(|flag| flag == b"hypervisor")
    };
    match machine_kind(firmware.as_deref(), signature) {
        "none" if hypervised() => "vm-other".into(),
        kind => kind.to_owned(),
    }
}

fn vendor(text: &str) -> Option<String> {
    VENDORS.iter().find(|(vendor, _)| text.starts_with(vendor)).map(|(_, kind)| (*kind).to_owned())
}

/// The kind by what firmware and processor say.
fn machine_kind(firmware: Option<&str>, signature: Option<[u8; 12]>) -> &str {
    let signed = signature.and_then(|signature| SIGNATURES.iter().find(|(known, _)| *known == signature));
    match (firmware, signed) {
        (Some(kind), _) if BY_FIRMWARE.contains(&kind) => kind,
        (_, Some((_, kind))) => kind,
        (Some(kind), None) => kind,
        (None, None) if signature.is_some() => "vm-other",
        (None, None) => "none",
    }
}

/// The kind of confidential machine, by the device that the kernel gives its guest.
pub fn confidential(roots: &Roots) -> &'static str {
    let guests = [("sev_guest", "sev-snp"), ("tdx_guest", "tdx")];
    let found = guests.iter().find(|(device, _)| roots.sys.join("class/misc").join(device).exists());
    found.map_or("none", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_words() {
        let line = b"ro quiet net.ifnames=0 name=\"a b\" x=1 x=2 x empty= -- quietly y y=1 a-b=3 \"q=c d\" s='e f' g=h\"i j\"\n";
        for (key, expected) in [
            ("quiet", Some("1")),
            ("net.ifnames", Some("0")),
            ("name", Some("a b")),
            ("x", Some("2")),
            ("empty", Some("")),
            ("y", Some("1")),
            ("a_b", Some("3")),
            ("q", Some("c d")),
            ("s", Some("e f")),
            ("g", Some("hi j")),
            ("qui", None),
            ("b", None),
        ] {
            assert_eq!(command_line(line, key.as_bytes()), expected.map(BString::from), "{key}");
        }
    }

    #[test]
    fn kinds_of_machines() {
        let kvm = Some(*b"KVMKVMKVM\0\0\0");
        for (firmware, signature, expected) in [
            (None, None, "none"),
            (None, kvm, "kvm"),
            (Some("qemu"), kvm, "kvm"),
            (Some("qemu"), None, "qemu"),
            (Some("google"), kvm, "google"),
            (Some("amazon"), kvm, "amazon"),
            (Some("microsoft"), Some(*b"Microsoft Hv"), "microsoft"),
            (None, Some(*b"somebodyelse"), "vm-other"),
            (Some("bochs"), Some(*b"somebodyelse"), "bochs"),
        ] {
            assert_eq!(machine_kind(firmware, signature), expected, "{firmware:?} {signature:?}");
        }
        assert_eq!(vendor("Google Compute Engine"), Some("google".into()));
        assert_eq!(vendor("ACME"), None);
    }

    /// Beside systemd's own program, where it says of a machine (not of a container).
    #[test]
    fn this_machine() {
        let Ok(asked) = std::process::Command::new("systemd-detect-virt").arg("--vm").output() else {
            return crate::skipping::skip("no systemd-detect-virt");
        };
        let ours = virtualisation(&Roots { run: "/nowhere".into(), ..Roots::system() });
        assert_eq!(ours, String::from_utf8_lossy(&asked.stdout).trim());
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
            assert_eq!(architecture_of(machine), expected);
        }
    }

    #[test]
    fn machine_ids() {
        let etc = tempfile::tempdir().unwrap();
        let mut roots = Roots::system();
        roots.etc = etc.path().into();
        assert_eq!(machine_id(&roots), None);
        for (text, known) in [
            ("0123456789abcdef0123456789abcdef\n", true),
            ("uninitialized\n", false),
            ("00000000000000000000000000000000\n", false),
            ("+123456789abcdef0123456789abcdef\n", false),
            ("", false),
        ] {
            fs::write(etc.path().join("machine-id"), text).unwrap();
            let id = machine_id(&roots);
            assert_eq!(id.is_some(), known, "{text:?}");
            assert!(id.is_none_or(|id| id.starts_with(&[0x01, 0x23, 0x45])));
        }
    }
}
