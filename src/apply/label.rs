//! Owns the security labels that nodes have where no rule says one: those of SELinux' policy, where SELinux is on.
//!
//! Links and directories take the label of the directory that they are made in, which is the kernel's work. Never looks at
//! what rules say.

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use bstr::{BString, ByteSlice};

use crate::ids::{DevNum, LinkName, NodeKind};
use crate::roots::Roots;
use crate::sys::selinux::FileLabels;

/// The attribute that SELinux keeps a label in.
pub const SELINUX: &CStr = c"security.selinux";

/// `S_IFBLK` and `S_IFCHR` of stat(2).
const BLOCK: u32 = 0o060_000;
const CHARACTER: u32 = 0o020_000;

/// The label of what is at a path and is of that kind (the upper bits of `st_mode`).
type Policy = dyn Fn(&[u8], u32) -> Option<BString> + Send + Sync;

/// What the policy says of nodes.
pub struct Labels {
    /// The device directory.
    devices: BString,
    policy: Option<Box<Policy>>,
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labels").field("devices", &self.devices).finish_non_exhaustive()
    }
}

impl Labels {
    /// Those of the system's policy; none where SELinux is off. The policy is read once.
    pub fn of_system(roots: &Roots) -> Self {
        // its file system is not there, or empty, where the kernel has it off
        if !roots.sys.join("fs/selinux/enforce").exists() {
            return Self::of_policy(roots, None);
        }
        let policy = FileLabels::open().unwrap_or_else(|error| {
            tracing::warn!(%error, "SELinux is on: nodes keep the labels that the kernel gives them");
            None
        });
        let policy = policy.map(|labels| {
            let labels = Mutex::new(labels);
            let of: Box<Policy> = Box::new(move |path, mode| {
                labels.lock().unwrap_or_else(PoisonError::into_inner).of(path, mode)
            });
            of
        });
        Self::of_policy(roots, policy)
    }

    fn of_policy(roots: &Roots, policy: Option<Box<Policy>>) -> Self {
        Self { devices: roots.dev.as_os_str().as_encoded_bytes().into(), policy }
    }

    /// The label of a node; `None` where SELinux is off or the policy has none.
    pub fn of_node(&self, node: &LinkName, number: DevNum) -> Option<BString> {
        let policy = self.policy.as_ref()?;
        let kind = match number.kind {
            NodeKind::Block => BLOCK,
            NodeKind::Char => CHARACTER,
        };
        policy(&bstr::join("/", [self.devices.as_bytes(), node.as_bytes()]), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_looked_up_by_its_path_and_its_kind() {
        let policy: Box<Policy> = Box::new(|path, kind| match (path, kind) {
            (b"/dev/sda", BLOCK) => Some("fixed_disk".into()),
            (b"/dev/input/event0", CHARACTER) => Some("event".into()),
            _ => None,
        });
        let labels = Labels::of_policy(&Roots::system(), Some(policy));
        let number = |kind| DevNum { kind, major: 1, minor: 2 };
        let of = |name: &str, kind| {
            labels.of_node(&LinkName::new(name.as_bytes()).unwrap(), number(kind)).map(|l| l.to_string())
        };
        assert_eq!(of("sda", NodeKind::Block).as_deref(), Some("fixed_disk"));
        assert_eq!(of("sda", NodeKind::Char), None);
        assert_eq!(of("input/event0", NodeKind::Char).as_deref(), Some("event"));
        assert_eq!(of("null", NodeKind::Char), None);
        let off = Labels::of_policy(&Roots::system(), None);
        assert_eq!(off.of_node(&LinkName::new(b"sda").unwrap(), number(NodeKind::Block)), None);
    }
}
