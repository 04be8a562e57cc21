//! Owns the security labels that nodes have where no rule says one: those of SELinux' policy where SELinux is on, and SMACK's
//! where that is.
//!
//! Links and directories take the label of the directory that they are made in, which is the kernel's work. Never looks at
//! what rules say.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bstr::{BString, ByteSlice};

use crate::ids::{DevNum, LinkName, NodeKind};
use crate::roots::Roots;
use crate::sys::selinux::FileLabels;

/// The attribute that a module keeps a label in (`SECLABEL{module}`).
pub fn attribute(module: &str) -> &'static CStr {
    if module == "smack" { c"security.SMACK64" } else { c"security.selinux" }
}

/// `S_IFBLK` and `S_IFCHR` of stat(2).
const BLOCK: u32 = 0o060_000;
const CHARACTER: u32 = 0o020_000;

/// What SMACK lets everybody use: the label of every character device, whose permissions decide then.
const EVERYBODY: &str = "*";

/// The label of what is at a path and is of that kind (the upper bits of `st_mode`).
type Policy = dyn Fn(&[u8], u32) -> Option<BString> + Send + Sync;

/// What nodes are labelled with.
pub struct Labels {
    /// The device directory.
    devices: BString,
    selinux: Option<Box<Policy>>,
    smack: bool,
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labels")
            .field("devices", &self.devices)
            .field("smack", &self.smack)
            .finish_non_exhaustive()
    }
}

impl Labels {
    /// Those of the system; none where neither module is on. SELinux' policy is read now, and again when another was loaded.
    pub fn of_system(roots: &Roots) -> Self {
        let modules = roots.sys.join("fs");
        // the file systems are not there, or empty, where the kernel has them off
        let selinux = modules.join("selinux/enforce").exists().then(|| {
            let loaded = Loaded::new(modules.join("selinux/status"));
            let loaded = Mutex::new(loaded);
            let of: Box<Policy> = Box::new(move |path, mode| {
                loaded.lock().unwrap_or_else(PoisonError::into_inner).of(path, mode)
            });
            of
        });
        Self::of_policy(roots, selinux, modules.join("smackfs/load2").exists())
    }

    fn of_policy(roots: &Roots, selinux: Option<Box<Policy>>, smack: bool) -> Self {
        Self { devices: roots.dev.as_os_str().as_encoded_bytes().into(), selinux, smack }
    }

    /// The labels of a node, each with its module.
    pub fn of_node(&self, node: &LinkName, number: DevNum) -> Vec<(&'static str, BString)> {
        let kind = match number.kind {
            NodeKind::Block => BLOCK,
            NodeKind::Char => CHARACTER,
        };
        let path = bstr::join("/", [self.devices.as_bytes(), node.as_bytes()]);
        let selinux = self.selinux.as_ref().and_then(|policy| policy(&path, kind));
        let smack = (self.smack && kind == CHARACTER).then(|| EVERYBODY.into());
        selinux
            .map(|label| ("selinux", label))
            .into_iter()
            .chain(smack.map(|label| ("smack", label)))
            .collect()
    }
}

/// The policy that is loaded.
struct Loaded {
    /// The kernel's page that says which one is.
    status: PathBuf,
    number: Option<u32>,
    labels: Option<FileLabels>,
}

impl Loaded {
    fn new(status: PathBuf) -> Self {
        let mut loaded = Self { number: None, labels: None, status };
        loaded.number = policy_number(&loaded.status);
        loaded.open();
        loaded
    }

    /// What was there before stays where the new one can't be read.
    fn open(&mut self) {
        match FileLabels::open() {
            Ok(labels) => self.labels = labels,
            Err(error) => {
                tracing::warn!(%error, "SELinux is on: nodes keep the labels that the kernel gives them");
            }
        }
    }

    fn of(&mut self, path: &[u8], mode: u32) -> Option<BString> {
        let number = policy_number(&self.status);
        if number != self.number {
            tracing::debug!("another policy of SELinux was loaded");
            self.number = number;
            self.open();
        }
        self.labels.as_ref()?.of(path, mode)
    }
}

/// How often a policy was loaded: the fourth word of `struct selinux_kernel_status` (`security/selinux/include/security.h`). `None`:
/// the kernel does not say.
fn policy_number(status: &std::path::Path) -> Option<u32> {
    let mut words = [0; 16];
    File::open(status).and_then(|mut file| file.read_exact(&mut words)).ok()?;
    words.last_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: NodeKind) -> DevNum {
        DevNum { kind, major: 1, minor: 2 }
    }

    fn of(labels: &Labels, name: &str, kind: NodeKind) -> String {
        let found = labels.of_node(&LinkName::new(name.as_bytes()).unwrap(), number(kind));
        found.iter().map(|(module, label)| format!("{module}={label}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_node_is_looked_up_by_its_path_and_its_kind() {
        let policy = || -> Option<Box<Policy>> {
            Some(Box::new(|path, kind| match (path, kind) {
                (b"/dev/sda", BLOCK) => Some("fixed_disk".into()),
                (b"/dev/input/event0", CHARACTER) => Some("event".into()),
                _ => None,
            }))
        };
        for (policy, smack, name, kind, expected) in [
            (policy(), false, "sda", NodeKind::Block, "selinux=fixed_disk"),
            (policy(), false, "sda", NodeKind::Char, ""),
            (policy(), false, "input/event0", NodeKind::Char, "selinux=event"),
            (policy(), false, "null", NodeKind::Char, ""),
            (None, false, "sda", NodeKind::Block, ""),
            // SMACK says nothing of disks
            (None, true, "sda", NodeKind::Block, ""),
            (None, true, "null", NodeKind::Char, "smack=*"),
            (policy(), true, "input/event0", NodeKind::Char, "selinux=event smack=*"),
        ] {
            let labels = Labels::of_policy(&Roots::system(), policy, smack);
            assert_eq!(of(&labels, name, kind), expected, "{name} {kind:?}");
        }
    }

    #[test]
    fn which_policy_is_loaded_is_asked_of_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let status = dir.path().join("status");
        assert_eq!(policy_number(&status), None);
        let page = |words: [u32; 5]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        // version, sequence, enforcing, how often a policy was loaded, deny unknown
        std::fs::write(&status, page([1, 4, 1, 2, 0])).unwrap();
        assert_eq!(policy_number(&status), Some(2));
        std::fs::write(&status, "short").unwrap();
        assert_eq!(policy_number(&status), None);
    }

    #[test]
    fn smack_is_where_its_file_system_is() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        assert_eq!(of(&Labels::of_system(&roots), "null", NodeKind::Char), "");
        std::fs::create_dir_all(roots.sys.join("fs/smackfs")).unwrap();
        assert_eq!(of(&Labels::of_system(&roots), "null", NodeKind::Char), "", "not mounted");
        std::fs::write(roots.sys.join("fs/smackfs/load2"), "").unwrap();
        assert_eq!(of(&Labels::of_system(&roots), "null", NodeKind::Char), "smack=*");
    }
}
