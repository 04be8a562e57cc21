//! Owns the property that holds the tree to a naive model: a map of paths, through any sequence of changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::NodeKind;

#[derive(Debug, Clone)]
enum Step {
    Add(String, u32),
    Remove(String),
    Rename(String, String, u32),
    Hold(String),
    Release(usize),
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]", 1..5).prop_map(|parts| format!("/devices/{}", parts.join("/")))
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_path(), 0_u32..9).prop_map(|(path, n)| Step::Add(path, n)),
        2 => any_path().prop_map(Step::Remove),
        1 => (any_path(), any_path(), 0_u32..9).prop_map(|(old, new, n)| Step::Rename(old, new, n)),
        2 => any_path().prop_map(Step::Hold),
        1 => (0_usize..9).prop_map(Step::Release),
    ]
}

fn facts(n: u32) -> Facts {
    Facts {
        subsystem: (n > 2).then(|| format!("s{}", n % 2).into()),
        devnum: (n > 5).then_some(DevNum { kind: NodeKind::Char, major: 1, minor: n }),
        ifindex: (n == 4).then(|| IfIndex::MIN.saturating_add(n)),
    }
}

fn path(text: &str) -> DevPath {
    DevPath::new(text.as_bytes()).unwrap()
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path == top || path.starts_with(&format!("{top}/"))
}

/// What the tree should hold.
#[derive(Debug, Default)]
struct Model(BTreeMap<String, u32>);

impl Model {
    fn take(&mut self, top: &str) -> Vec<(String, u32)> {
        let all = std::mem::take(&mut self.0).into_iter();
        let (out, kept): (Vec<_>, Vec<_>) = all.partition(|(path, _)| is_at_or_below(path, top));
        self.0 = kept.into_iter().collect();
        out
    }

    fn rename(&mut self, old: &str, new: &str, n: u32) {
        // What lies below a path without a device of its own is not the old device's.
        let moved = if self.0.contains_key(old) { self.take(old) } else { Vec::new() };
        if self.0.contains_key(new) {
            self.take(new);
        }
        for (path, n) in moved {
            self.0.insert(path.replacen(old, new, 1), n);
        }
        self.0.insert(new.into(), n);
    }

    fn parent(&self, path: &str) -> Option<String> {
        let above = self.0.keys().filter(|other| *other != path && is_at_or_below(path, other));
        above.max_by_key(|other| other.len()).cloned()
    }
}

fn take(tree: &Tree, model: &mut Model, held: &mut Vec<(Device, String)>, step: Step) {
    match step {
        Step::Add(at, n) => {
            let known = model.0.insert(at.clone(), n).is_some();
            let added = tree.add(&path(&at), &facts(n));
            assert_eq!(matches!(added, Added::Known(_)), known);
        }
        Step::Remove(at) => {
            let there = model.0.contains_key(&at);
            let removed = tree.remove(&path(&at));
            assert_eq!(removed.as_ref().is_some_and(Device::is_gone), there);
            if there {
                model.take(&at);
            }
        }
        Step::Rename(old, new, n) => {
            model.rename(&old, &new, n);
            assert_eq!(tree.rename(&path(&old), &path(&new), &facts(n)).devpath(), path(&new));
        }
        Step::Hold(at) => held.extend(tree.get(&path(&at)).map(|device| (device, at))),
        Step::Release(at) => {
            if at < held.len() {
                held.swap_remove(at);
            }
        }
    }
}

fn compare(tree: &Tree, model: &Model, held: &[(Device, String)]) {
    let devices = tree.devices();
    assert_eq!(devices.len(), model.0.len());
    assert_eq!(tree.stats().live, model.0.len());
    let mut seen = Vec::new();
    for device in &devices {
        let at = device.devpath().to_string();
        let n = *model.0.get(&at).unwrap();
        assert!(!device.is_gone());
        assert_eq!(device.facts(), facts(n));
        assert!(tree.get(&device.devpath()).unwrap().same_as(device));
        let parent = device.parent().map(|parent| parent.devpath().to_string());
        assert_eq!(parent, model.parent(&at));
        assert!(parent.is_none_or(|parent| seen.contains(&parent)), "parents come first");
        if let Some(id) = device.id() {
            assert_eq!(tree.by_id(&id).unwrap().id(), Some(id));
        }
        let children: Vec<String> = tree.children(device).iter().map(|c| c.devpath().to_string()).collect();
        assert!(children.iter().all(|child| model.parent(child).as_ref() == Some(&at)));
        seen.push(at);
    }
    for (device, at) in held {
        assert_eq!(device.devpath().to_string(), *at);
        assert_eq!(device.is_gone(), !tree.get(&path(at)).is_some_and(|live| live.same_as(device)));
    }
}

proptest! {
    #[test]
    fn the_tree_is_the_model(steps in prop::collection::vec(any_step(), 0..60)) {
        let tree = Tree::new(Source::Live("no such directory".into()));
        let (mut model, mut held) = (Model::default(), Vec::new());
        for step in steps {
            take(&tree, &mut model, &mut held, step);
            compare(&tree, &model, &held);
        }
        for device in tree.devices().iter().rev() {
            tree.remove(&device.devpath());
        }
        prop_assert_eq!(tree.stats().live, 0);
        drop(held);
        let stats = tree.stats();
        prop_assert_eq!((stats.live, stats.gone_but_held), (0, 0));
    }
}
