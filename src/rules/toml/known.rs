//! Owns what a rule file is checked against: the accounts and the builtins of the system.
//!
//! Names are looked up when a file is read; never kept.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use crate::config::ResolveNames;
use crate::roots::Roots;

/// The users and groups that names in rules stand for.
pub trait Accounts: fmt::Debug {
    /// The id of a user.
    fn user(&self, name: &str) -> Option<u32>;
    /// The id of a group.
    fn group(&self, name: &str) -> Option<u32>;
    /// When rules may ask.
    fn when(&self) -> ResolveNames {
        ResolveNames::Early
    }
}

/// Accounts that rules ask at a time of the administrator's choice.
#[derive(Debug)]
pub struct Timed<A>(pub A, pub ResolveNames);

impl<A: Accounts> Accounts for Timed<A> {
    fn user(&self, name: &str) -> Option<u32> {
        self.0.user(name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.0.group(name)
    }

    fn when(&self) -> ResolveNames {
        self.1
    }
}

/// What a rule file is checked against.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Users and groups.
    pub accounts: &'a dyn Accounts,
    /// Names of the builtins.
    pub builtins: &'a [&'a str],
}

impl fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("builtins", &self.builtins).finish_non_exhaustive()
    }
}

/// Accounts as the name service of the running system has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn user(&self, name: &str) -> Option<u32> {
        nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
    }

    fn group(&self, name: &str) -> Option<u32> {
        nix::unistd::Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }
}

/// Accounts of another tree (`--root`): the texts of its `passwd` and `group` files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFiles {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl AccountFiles {
    /// Reads both texts; a line that is no `name:…:id:…` counts for nothing, the first of two equal names wins.
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self { users: names(passwd), groups: names(group) }
    }
}

impl Accounts for AccountFiles {
    fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }
}

fn names(text: &str) -> BTreeMap<String, u32> {
    let mut out = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(id)) = (fields.next(), fields.nth(1).and_then(|id| id.parse().ok())) {
            out.entry(name.to_owned()).or_insert(id);
        }
    }
    out
}

/// The accounts of the system that `roots` belong to: the running one's, or those of another tree's `passwd` and `group`.
/// A tree without either file takes those of the running system.
pub fn accounts_of(roots: &Roots, when: ResolveNames) -> Box<dyn Accounts + Send + Sync> {
    let text = |name| fs::read(roots.etc.join(name)).ok().map(|b| String::from_utf8_lossy(&b).into_owned());
    if *roots == Roots::system() {
        return Box::new(Timed(SystemAccounts, when));
    }
    match (text("passwd"), text("group")) {
        (None, None) => Box::new(Timed(SystemAccounts, when)),
        (passwd, group) => {
            let files = AccountFiles::parse(&passwd.unwrap_or_default(), &group.unwrap_or_default());
            Box::new(Timed(files, when))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_files() {
        let files = AccountFiles::parse(
            "root:x:0:0:root\nbad\nann:x:1000:100::\nann:x:7:7::\n",
            "dialout:x:20:ann\n",
        );
        for (user, id) in [("root", Some(0)), ("ann", Some(1000)), ("bad", None), ("dialout", None)] {
            assert_eq!(files.user(user), id, "{user}");
        }
        assert_eq!(files.group("dialout"), Some(20));
    }
}
