//! Owns the access control list of a node (`acl(5)`): which user may use it beside owner and group.
//!
//! The kernel keeps it in the attribute `system.posix_acl_access`: a version, then entries of kind, permissions and id,
//! ordered by kind and id. Never opens a node by itself.

use std::ffi::CStr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::stat::fstat;

use crate::sys::xattr;

const NAME: &CStr = c"system.posix_acl_access";
const VERSION: u32 = 2;
/// The id of entries that have none.
const NO_ID: u32 = u32::MAX;

/// Kinds of entries.
mod kind {
    pub(super) const OWNER: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const OWNING_GROUP: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// Read and write.
const READ_WRITE: u16 = 6;

/// One entry; ordered as the kernel wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    kind: u16,
    id: u32,
    permissions: u16,
}

/// A whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Acl(Vec<Entry>);

impl Acl {
    /// What a mode says.
    fn of_mode(mode: u32) -> Self {
        let entry = |kind, shift: u32| {
            let permissions = u16::try_from(mode >> shift & 7).unwrap_or(0);
            Entry { kind, id: NO_ID, permissions }
        };
        Self(vec![entry(kind::OWNER, 6), entry(kind::OWNING_GROUP, 3), entry(kind::OTHER, 0)])
    }

    /// `None`: not a list that this knows.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        if u32::from_le_bytes(*version) != VERSION || rest.len() % 8 != 0 {
            return None;
        }
        let entries = rest.chunks_exact(8).map(|entry| match *entry {
            [k0, k1, p0, p1, i0, i1, i2, i3] => Some(Entry {
                kind: u16::from_le_bytes([k0, k1]),
                permissions: u16::from_le_bytes([p0, p1]),
                id: u32::from_le_bytes([i0, i1, i2, i3]),
            }),
            _ => None,
        });
        entries.collect::<Option<_>>().map(Self)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            out.extend(entry.kind.to_le_bytes());
            out.extend(entry.permissions.to_le_bytes());
            out.extend(entry.id.to_le_bytes());
        }
        out
    }

    /// The same with `user` as the only named user. The mask is what is needed for all to have what they are given; a list
    /// that names nobody needs none.
    fn with_user(&self, user: Option<u32>) -> Self {
        let is_kept = |entry: &&Entry| !matches!(entry.kind, kind::USER | kind::MASK);
        let mut entries: Vec<Entry> = self.0.iter().filter(is_kept).copied().collect();
        entries.extend(user.map(|id| Entry { kind: kind::USER, id, permissions: READ_WRITE }));
        if entries.iter().any(|entry| matches!(entry.kind, kind::USER | kind::GROUP)) {
            let masked = |entry: &&Entry| matches!(entry.kind, kind::USER | kind::OWNING_GROUP | kind::GROUP);
            let permissions = entries.iter().filter(masked).fold(0, |sum, entry| sum | entry.permissions);
            entries.push(Entry { kind: kind::MASK, id: NO_ID, permissions });
        }
        entries.sort();
        Self(entries)
    }
}

/// Makes `user` the only one who is named in the list of `node` (opened with `O_PATH`); root needs no entry. True when
/// something changed.
pub fn give(node: impl AsFd, user: Option<u32>) -> Result<bool, Errno> {
    let node = node.as_fd();
    let old = match xattr::get(node, NAME)? {
        Some(bytes) => Acl::decode(&bytes).ok_or(Errno::EINVAL)?,
        None => Acl::of_mode(fstat(node)?.st_mode),
    };
    let new = old.with_user(user.filter(|user| *user != 0));
    if new == old {
        return Ok(false);
    }
    xattr::set(node, NAME, &new.encode()).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u16, u32)]) -> Acl {
        Acl(entries.iter().map(|&(kind, permissions, id)| Entry { kind, id, permissions }).collect())
    }

    #[test]
    fn users_come_and_go() {
        let plain = Acl::of_mode(0o100_640);
        assert_eq!(plain, acl(&[(1, 6, NO_ID), (4, 4, NO_ID), (0x20, 0, NO_ID)]));
        let given = plain.with_user(Some(1000));
        let expected = acl(&[(1, 6, NO_ID), (2, 6, 1000), (4, 4, NO_ID), (0x10, 6, NO_ID), (0x20, 0, NO_ID)]);
        assert_eq!(given, expected);
        assert_eq!(given.with_user(Some(1000)), given);
        let another = given.with_user(Some(7));
        assert_eq!(another.0[1], Entry { kind: 2, id: 7, permissions: 6 });
        assert_eq!(another.0.len(), 5);
        assert_eq!(given.with_user(None), plain);
        // a named group stays
        let group = acl(&[(1, 6, NO_ID), (4, 4, NO_ID), (8, 1, 44), (0x10, 5, NO_ID), (0x20, 0, NO_ID)]);
        assert_eq!(group.with_user(None), group);
        assert_eq!(group.with_user(Some(1)).0[4], Entry { kind: 0x10, id: NO_ID, permissions: 7 });
    }

    #[test]
    fn bytes() {
        let given = Acl::of_mode(0o660).with_user(Some(0x0102));
        let bytes = given.encode();
        let expected: &[u8] = &[
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 2, 1, 0, 0, 4, 0, 6, 0, 255, 255, 255,
            255, 16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ];
        assert_eq!(bytes, expected);
        assert_eq!(Acl::decode(&bytes), Some(given));
        for bad in [&[][..], &[1, 0, 0, 0], &[2, 0, 0], &[2, 0, 0, 0, 1]] {
            assert_eq!(Acl::decode(bad), None);
        }
    }

    #[test]
    fn a_file_is_given_and_taken() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let flags = nix::fcntl::OFlag::O_PATH;
        let file = nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty()).unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        match give(&file, Some(12345)) {
            Err(Errno::EOPNOTSUPP) => return crate::skipping::skip("the file system has no lists"),
            done => assert_eq!(done, Ok(true)),
        }
        assert_eq!((give(&file, Some(12345)), mode()), (Ok(false), 0o660));
        assert_eq!(give(&file, Some(12346)), Ok(true));
        let list = Acl::decode(&xattr::get(&file, NAME).unwrap().unwrap()).unwrap();
        assert_eq!(list, Acl::of_mode(0o640).with_user(Some(12346)));
        assert_eq!((give(&file, None), mode()), (Ok(true), 0o640));
        assert_eq!(xattr::get(&file, NAME), Ok(None));
        assert_eq!(give(&file, Some(0)), Ok(false), "root needs none");
    }
}
