//! Owns the naming schemes: which version of the rules for names of interfaces knows what, and which one is asked for.
//!
//! A scheme never changes once a version has it: machines that name one keep their names when the program is updated
//! (`systemd.net-naming-scheme(7)`). Never makes a name.

use bstr::{BStr, BString, ByteSlice};

use crate::machine;
use crate::roots::Roots;

/// What a scheme may know. The order has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtin) enum Feature {
    /// A virtual function is named after its physical function, with `v` and its number.
    VirtualFunction,
    /// With ARI the slot belongs to the function's number.
    AriFunction,
    /// InfiniBand interfaces have names.
    Infiniband,
    /// 0 is an index of an on-board device.
    ZeroIndex,
    /// Interfaces that user space has named are named again.
    NamedAgain,
    /// An address can be made from the interface's name where nothing better is there.
    AddressFromName,
    /// Simulated devices (`netdevsim`) have names.
    Simulated,
    /// The label of an on-board device stands alone, without the prefix of the kind.
    PlainLabel,
    /// A slot that belongs to a bridge names nothing.
    NoBridgeSlot,
    /// The slot of an IBM Z device is its function id.
    SlotOfFunctionId,
    /// Indexes of on-board devices go up to 65,535.
    WideIndex,
    /// Xen's virtual interfaces have names.
    XenVif,
    /// A slot that belongs to a bridge names a device of many functions all the same.
    BridgeSlotOfMany,
    /// Aliases of the device tree give names.
    TreeAliases,
    /// USB devices on a bus that is not on PCI have names.
    UsbHost,
    /// The representor of a virtual function has `r` and its number.
    Representor,
    /// The slot is what the firmware's node says (`_SUN`).
    FirmwareSlot,
    /// The interface's own node of the device tree counts before its parent's.
    OwnTreeNode,
}

/// One version of the rules for names.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::builtin) struct Scheme {
    /// How it is asked for: `v252`.
    pub(in crate::builtin) name: &'static str,
    features: u32,
}

impl Scheme {
    pub(in crate::builtin) fn has(&self, feature: Feature) -> bool {
        self.features & bit(feature) != 0
    }
}

const fn bit(feature: Feature) -> u32 {
    1 << feature as u32
}

const fn and<const N: usize>(mut features: u32, more: [Feature; N]) -> u32 {
    let mut rest: &[Feature] = &more;
    while let [first, others @ ..] = rest {
        features |= bit(*first);
        rest = others;
    }
    features
}

use Feature as F;

const V238: u32 = 0;
const V239: u32 = and(V238, [F::VirtualFunction, F::AriFunction]);
const V240: u32 = and(V239, [F::Infiniband, F::ZeroIndex, F::NamedAgain]);
const V241: u32 = and(V240, [F::AddressFromName]);
const V243: u32 = and(V241, [F::Simulated, F::PlainLabel]);
const V247: u32 = and(V243, [F::NoBridgeSlot]);
const V249: u32 = and(V247, [F::SlotOfFunctionId, F::WideIndex]);
const V250: u32 = and(V249, [F::XenVif]);
const V251: u32 = and(V250, [F::BridgeSlotOfMany]);
const V252: u32 = and(V251, [F::TreeAliases]);
const V253: u32 = and(V252, [F::UsbHost]);
const V254: u32 = and(V253, [F::Representor]);
const V255: u32 = V254 & !bit(F::BridgeSlotOfMany);
const V257: u32 = and(V255, [F::FirmwareSlot, F::OwnTreeNode]);

const RHEL_8_4: u32 = and(V239, [F::NoBridgeSlot]);
const RHEL_8_7: u32 = and(RHEL_8_4, [F::SlotOfFunctionId, F::WideIndex]);
const RHEL_9_3: u32 = and(V251, [F::Representor]);
const RHEL_9_5: u32 = RHEL_9_3 & !bit(F::BridgeSlotOfMany);

const fn scheme(name: &'static str, features: u32) -> Scheme {
    Scheme { name, features }
}

/// All schemes: systemd's, then those of distributions. v245 changed only what container managers do.
static SCHEMES: &[Scheme] = &[
    scheme("v238", V238),
    scheme("v239", V239),
    scheme("v240", V240),
    scheme("v241", V241),
    scheme("v243", V243),
    scheme("v245", V243),
    scheme("v247", V247),
    scheme("v249", V249),
    scheme("v250", V250),
    scheme("v251", V251),
    scheme("v252", V252),
    scheme("v253", V253),
    scheme("v254", V254),
    scheme("v255", V255),
    LATEST,
    scheme("rhel-8.0", V239),
    scheme("rhel-8.1", V239),
    scheme("rhel-8.2", V239),
    scheme("rhel-8.3", V239),
    scheme("rhel-8.4", RHEL_8_4),
    scheme("rhel-8.5", RHEL_8_4),
    scheme("rhel-8.6", RHEL_8_4),
    scheme("rhel-8.7", RHEL_8_7),
    scheme("rhel-8.8", RHEL_8_7),
    scheme("rhel-8.9", RHEL_8_7),
    scheme("rhel-8.10", RHEL_8_7),
    scheme("rhel-9.0", V251),
    scheme("rhel-9.1", V251),
    scheme("rhel-9.2", V251),
    scheme("rhel-9.3", RHEL_9_3),
    scheme("rhel-9.4", RHEL_9_3),
    scheme("rhel-9.5", RHEL_9_5),
    scheme("rhel-9.6", RHEL_9_5),
    scheme("rhel-9.7", RHEL_9_5),
    scheme("rhel-10.0-beta", V255),
    scheme("rhel-10.0", V257),
    scheme("rhel-10.1", V257),
];

/// What applies where nothing is asked for.
const LATEST: Scheme = scheme("v257", V257);
static DEFAULT: Scheme = LATEST;

/// The scheme of that name; `latest` is the newest.
fn find(name: &[u8]) -> Option<&'static Scheme> {
    if name == b"latest" {
        return Some(&DEFAULT);
    }
    SCHEMES.iter().find(|scheme| scheme.name.as_bytes() == name)
}

/// The scheme of a name that there is.
#[cfg(test)]
pub(in crate::builtin) fn named(name: &str) -> &'static Scheme {
    find(name.as_bytes()).unwrap()
}

/// The scheme that this system asks for: `net.naming_scheme=` on the kernel's command line, or `$NET_NAMING_SCHEME`.
pub(in crate::builtin) fn chosen(roots: &Roots) -> &'static Scheme {
    let line = machine::kernel_command_line(roots);
    let environment = std::env::var_os("NET_NAMING_SCHEME")
        .map(|value| BString::from(std::os::unix::ffi::OsStringExt::into_vec(value)));
    choose(&line, environment.as_ref().map(|value| value.as_bstr()))
}

/// The environment counts before the command line; with `:` in front of the value it counts behind it.
fn choose(line: &[u8], environment: Option<&BStr>) -> &'static Scheme {
    let from_kernel = machine::command_line(line, b"net.naming_scheme");
    let asked = match environment.map(|value| value.as_bytes()) {
        Some([b':', value @ ..]) => Some(from_kernel.unwrap_or_else(|| value.into())),
        Some(value) => Some(value.into()),
        None => from_kernel,
    };
    let Some(asked) = asked else { return &DEFAULT };
    find(&asked).unwrap_or_else(|| {
        tracing::warn!("no naming scheme `{}` is known: names of interfaces follow {}", asked, DEFAULT.name);
        &DEFAULT
    })
}

/// False where `net.ifnames=0` on the kernel's command line says that interfaces keep the kernel's names.
pub(in crate::builtin) fn names_wanted(line: &[u8]) -> bool {
    let said = machine::command_line(line, b"net.ifnames").unwrap_or_default().to_ascii_lowercase();
    !matches!(said.as_slice(), b"0" | b"no" | b"n" | b"false" | b"f" | b"off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        for (line, environment, expected) in [
            ("ro quiet", None, "v257"),
            ("ro net.naming_scheme=v238", None, "v238"),
            ("net.naming_scheme=v238 net.naming_scheme=v240", None, "v240"),
            ("net.naming_scheme=v237", None, "v257"),
            ("net.naming_scheme=latest", None, "v257"),
            ("net.naming_scheme", None, "v257"),
            ("net.naming_scheme=rhel-8.10", None, "rhel-8.10"),
            ("net.naming_scheme=v238", Some("v252"), "v252"),
            ("net.naming_scheme=v238", Some(":v252"), "v238"),
            ("", Some(":v252"), "v252"),
        ] {
            let chosen = choose(line.as_bytes(), environment.map(BStr::new));
            assert_eq!(chosen.name, expected, "{line} {environment:?}");
        }
        assert!(names_wanted(b"ro quiet"));
        assert!(names_wanted(b"net.ifnames=1"));
        assert!(!names_wanted(b"ro net.ifnames=0 quiet"));
    }

    /// One line for each feature: the first scheme that has it, and one that has lost it again.
    #[test]
    fn since_when() {
        for (feature, since, lost) in [
            (F::VirtualFunction, "v239", None),
            (F::AriFunction, "v239", None),
            (F::Infiniband, "v240", None),
            (F::ZeroIndex, "v240", None),
            (F::NamedAgain, "v240", None),
            (F::AddressFromName, "v241", None),
            (F::Simulated, "v243", None),
            (F::PlainLabel, "v243", None),
            (F::NoBridgeSlot, "v247", None),
            (F::SlotOfFunctionId, "v249", None),
            (F::WideIndex, "v249", None),
            (F::XenVif, "v250", None),
            (F::BridgeSlotOfMany, "v251", Some("v255")),
            (F::TreeAliases, "v252", None),
            (F::UsbHost, "v253", None),
            (F::Representor, "v254", None),
            (F::FirmwareSlot, "v257", None),
            (F::OwnTreeNode, "v257", None),
        ] {
            let systemd = || SCHEMES.iter().filter(|scheme| scheme.name.starts_with('v'));
            let first = systemd().find(|scheme| scheme.has(feature)).unwrap();
            let after =
                systemd().skip_while(|scheme| scheme.name != since).find(|scheme| !scheme.has(feature));
            assert_eq!(first.name, since, "{feature:?}");
            assert_eq!(after.map(|scheme| scheme.name), lost, "{feature:?}");
        }
        for (name, feature, has) in [
            ("rhel-8.3", F::NoBridgeSlot, false),
            ("rhel-8.4", F::NoBridgeSlot, true),
            ("rhel-8.7", F::WideIndex, true),
            ("rhel-8.10", F::ZeroIndex, false),
            ("rhel-9.0", F::BridgeSlotOfMany, true),
            ("rhel-9.3", F::Representor, true),
            ("rhel-9.5", F::BridgeSlotOfMany, false),
            ("rhel-10.0-beta", F::FirmwareSlot, false),
        ] {
            assert_eq!(find(name.as_bytes()).unwrap().has(feature), has, "{name} {feature:?}");
        }
    }
}
