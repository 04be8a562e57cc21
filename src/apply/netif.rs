//! Owns the names of network interfaces, given by index through rtnetlink, so that a name that moved meanwhile can't be
//! hit. Interfaces that exchange their names are in `exchange.rs`, all other settings in `setup.rs`.

pub mod exchange;
pub mod setup;

use bstr::BString;
use nix::errno::Errno;

use crate::ids::IfIndex;
use crate::sys::rtnetlink::{Attributes, Route, attribute};

/// Longest name of an interface (`IFNAMSIZ - 1`).
const NAME_MAX: usize = 15;

/// What a rename came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// The interface has the name.
    Done,
    /// Another interface has it.
    Taken,
    /// The kernel does not rename it now: before 6.2 one that is up.
    Busy,
    /// There is no interface of this index.
    Gone,
}

/// An interface could not be renamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The kernel takes no such name, or would take it for something else.
    #[error("`{0}` is no name for an interface: 1 to 15 bytes without white space, `/`, `:` and `%`")]
    Name(BString),
    /// What the kernel said.
    #[error("can't rename interface {index} to `{name}`: {errno}")]
    Kernel {
        /// Which one.
        index: IfIndex,
        /// The name.
        name: BString,
        /// What the kernel said.
        errno: Errno,
    },
}

impl RenameError {
    /// The error as the kernel says it.
    pub fn errno(&self) -> Errno {
        match self {
            RenameError::Name(_) => Errno::EINVAL,
            RenameError::Kernel { errno, .. } => *errno,
        }
    }
}

/// Gives interface `index` the name `name`. An interface that has it already keeps it ([`Renamed::Done`]); one that has it
/// beside its first name has it as its first then.
pub fn rename(index: IfIndex, name: &[u8]) -> Result<Renamed, RenameError> {
    check_name(name)?;
    match request(index, name) {
        Ok(()) => Ok(Renamed::Done),
        Err(Errno::EEXIST) => Ok(Renamed::Taken),
        Err(Errno::EBUSY) => Ok(Renamed::Busy),
        Err(Errno::ENODEV) => Ok(Renamed::Gone),
        Err(errno) => Err(RenameError::Kernel { index, name: name.into(), errno }),
    }
}

/// `%` would be a pattern to the kernel (`eth%d`), `:` an alias to old tools.
fn check_name(name: &[u8]) -> Result<(), RenameError> {
    let odd = |b: &u8| b.is_ascii_control() || b.is_ascii_whitespace() || matches!(b, b'/' | b':' | b'%');
    if name.is_empty() || name.len() > NAME_MAX || name.iter().any(odd) || matches!(name, b"." | b"..") {
        return Err(RenameError::Name(name.into()));
    }
    Ok(())
}

fn request(index: IfIndex, name: &[u8]) -> Result<(), Errno> {
    let route = Route::open()?;
    let wanted = Attributes::new().with_text(attribute::NAME, name);
    match route.set(index.get(), &wanted) {
        // the name may be one of the interface's own others: that one makes room
        Err(Errno::EEXIST) if has_alternative_name(&route, index, name) => {
            route.drop_names(index.get(), [name])?;
            route.set(index.get(), &wanted).inspect_err(|_| {
                let _as_it_was = route.add_names(index.get(), [name]);
            })
        }
        done => done,
    }
}

fn has_alternative_name(route: &Route, index: IfIndex, name: &[u8]) -> bool {
    route.link(index.get()).is_ok_and(|link| link.alternative_names.iter().any(|other| *other == name))
}

/// Gives an interface one more name. One that it has already it keeps. Errors: [`RenameError`].
pub fn add_name(index: IfIndex, name: &[u8]) -> Result<(), RenameError> {
    let failed = |errno| RenameError::Kernel { index, name: name.into(), errno };
    let route = Route::open().map_err(failed)?;
    match route.add_names(index.get(), [name]) {
        Err(Errno::EEXIST) if has_alternative_name(&route, index, name) => Ok(()),
        done => done.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_misread() {
        for name in ["", "a b", "a/b", "eth%d", "a:1", ".", "..", "a\n", "x123456789012345"] {
            assert_eq!(check_name(name.as_bytes()), Err(RenameError::Name(name.into())), "{name}");
        }
        for name in ["lan0", "x12345678901234", "..x"] {
            assert_eq!(check_name(name.as_bytes()), Ok(()), "{name}");
        }
    }

    #[test]
    fn no_such_interface() {
        let last = IfIndex::new(i32::MAX as u32).unwrap();
        let result = rename(last, b"np-none");
        // without the right to change interfaces the kernel says so first
        let refused = matches!(result, Err(RenameError::Kernel { errno: Errno::EPERM, .. }));
        assert!(result == Ok(Renamed::Gone) || refused, "{result:?}");
    }

    /// In a network namespace of the test's own thread, where only `lo` is, down.
    #[test]
    fn a_real_interface() {
        use nix::net::if_::if_nametoindex;
        let renamed = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
            let index = IfIndex::new(if_nametoindex("lo").unwrap()).unwrap();
            assert_eq!(rename(index, b"lan0"), Ok(Renamed::Done));
            assert_eq!(rename(index, b"lan0"), Ok(Renamed::Done));
            assert_eq!(if_nametoindex("lan0"), Ok(index.get()));
            assert!(if_nametoindex("lo").is_err());
            // a further name, its becoming the first, and the first name's return
            assert_eq!(add_name(index, b"lan1"), Ok(()));
            assert_eq!(add_name(index, b"lan1"), Ok(()));
            assert_eq!(if_nametoindex("lan1"), Ok(index.get()));
            assert_eq!(rename(index, b"lan1"), Ok(Renamed::Done));
            let link = Route::open().unwrap().link(index.get()).unwrap();
            assert_eq!((link.name, link.alternative_names), ("lan1".into(), vec![]));
            Some(())
        });
        if renamed.join().unwrap().is_none() {
            crate::skipping::skip("a network namespace needs root");
        }
    }
}
