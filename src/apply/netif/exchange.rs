//! Owns names that are wanted by one interface while another still has them: chains and circles of renames.
//!
//! Who wants a name that is taken waits, without a thread: whoever frees the name hands it on. Where all in a circle wait
//! for each other (two that exchange their names), one of them steps aside under a name of its own for a moment. Never
//! decides who wants which name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bstr::BString;
use nix::net::if_::if_nametoindex;

use super::{RenameError, Renamed, rename};
use crate::ids::IfIndex;
use crate::sys::rtnetlink::Route;

/// Who waits for which name.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Held during a whole rename: two at a time could each see the other's name as taken.
    waiting: Mutex<Waiting>,
}

type Waiting = BTreeMap<IfIndex, BString>;

/// What came of a rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// The interface itself. After [`Renamed::Taken`] it waits for the name.
    pub renamed: Renamed,
    /// Others that got the names that they were waiting for.
    pub others: Vec<(IfIndex, BString)>,
}

impl Exchange {
    /// Gives interface `index` the name `name`, now or when the interface that has it gets another.
    pub fn rename(&self, index: IfIndex, name: &[u8]) -> Result<Exchanged, RenameError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // what it waited for is not wanted any more
        waiting.remove(&index);
        let old = name_of(index);
        let renamed = rename(index, name)?;
        match (renamed, old) {
            (Renamed::Done, Some(old)) => {
                let others = hand_on(&mut waiting, old);
                Ok(Exchanged { renamed, others })
            }
            (Renamed::Taken, Some(old)) => match circle(&waiting, index, name, index_of) {
                Some(others) => turn(&mut waiting, index, &old, name, others),
                None => {
                    waiting.insert(index, name.into());
                    Ok(Exchanged { renamed, others: Vec::new() })
                }
            },
            _ => Ok(Exchanged { renamed, others: Vec::new() }),
        }
    }
}

fn name_of(index: IfIndex) -> Option<BString> {
    Route::open().and_then(|route| route.link(index.get())).ok().map(|link| link.name)
}

/// Who has a name, as its first or as another.
fn index_of(name: &[u8]) -> Option<IfIndex> {
    if_nametoindex(name).ok().and_then(IfIndex::new)
}

/// The interfaces that would have to be renamed so that `index` can have `name`, if each of them waits for the name of the
/// next and the last for that of `index`; none if somebody on the way is content.
fn circle(
    waiting: &Waiting,
    index: IfIndex,
    name: &[u8],
    holder: impl Fn(&[u8]) -> Option<IfIndex>,
) -> Option<Vec<(IfIndex, BString)>> {
    let mut others = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = holder(name)?;
    while next != index {
        if !seen.insert(next) {
            return None;
        }
        let wanted = waiting.get(&next)?;
        others.push((next, wanted.clone()));
        next = holder(wanted)?;
    }
    Some(others).filter(|others| !others.is_empty())
}

/// Lets `index` step aside, gives the others their names, last first, and then `index` its own.
fn turn(
    waiting: &mut Waiting,
    index: IfIndex,
    old: &[u8],
    name: &[u8],
    others: Vec<(IfIndex, BString)>,
) -> Result<Exchanged, RenameError> {
    let aside = rename(index, format!("rename{index}").as_bytes())?;
    let mut done = Vec::new();
    if aside == Renamed::Done {
        for (other, wanted) in others.into_iter().rev() {
            if !matches!(rename(other, &wanted), Ok(Renamed::Done)) {
                break;
            }
            waiting.remove(&other);
            done.push((other, wanted));
        }
    }
    match rename(index, name) {
        Ok(Renamed::Done) => Ok(Exchanged { renamed: Renamed::Done, others: done }),
        // somebody in the circle can't be renamed now: back, if the old name is still free
        failed => {
            let _free = rename(index, old);
            let renamed = if aside == Renamed::Done { failed? } else { aside };
            Ok(Exchanged { renamed, others: done })
        }
    }
}

/// Gives a name that has become free to who waits for it, and so on with the name that this frees.
fn hand_on(waiting: &mut Waiting, freed: BString) -> Vec<(IfIndex, BString)> {
    let mut done = Vec::new();
    let mut free = Some(freed);
    while let Some(name) = free.take() {
        let Some(index) = waiting.iter().find(|(_, wanted)| **wanted == name).map(|(index, _)| *index) else {
            break;
        };
        waiting.remove(&index);
        let old = name_of(index);
        if matches!(rename(index, &name), Ok(Renamed::Done)) {
            done.push((index, name));
            free = old;
        } else {
            // it has gone, or can't be renamed: another may wait for the same name
            free = Some(name);
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(n: u32) -> IfIndex {
        IfIndex::new(n).unwrap()
    }

    #[test]
    fn circles() {
        // interface N is called eN
        let holder = |name: &[u8]| name.strip_prefix(b"e").map(|n| index(u32::from(n[0] - b'0')));
        let waits = |list: &[(u32, &str)]| -> Waiting {
            list.iter().map(|(n, name)| (index(*n), BString::from(*name))).collect()
        };
        for (waiting, wants, expected) in [
            (waits(&[]), "e2", None),
            (waits(&[(2, "e1")]), "e2", Some(vec![2])),
            (waits(&[(2, "e3"), (3, "e1")]), "e2", Some(vec![2, 3])),
            (waits(&[(2, "e3"), (3, "e4")]), "e2", None),
            (waits(&[(2, "e3"), (3, "e2")]), "e2", None),
            (waits(&[(2, "e1")]), "x", None),
            (waits(&[(2, "e1")]), "e1", None),
        ] {
            let found = circle(&waiting, index(1), wants.as_bytes(), holder);
            let found = found.map(|others| others.iter().map(|(index, _)| index.get()).collect::<Vec<_>>());
            assert_eq!(found, expected, "{waiting:?} {wants}");
        }
    }
}
