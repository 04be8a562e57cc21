//! Owns the tests of claims: tables of steps, and a plain model that random steps are compared with.

use proptest::prelude::*;

use super::*;
use crate::ids::{DevNum, NodeKind};

fn link(name: &str) -> LinkName {
    LinkName::new(name.as_bytes()).unwrap()
}

fn disk(minor: u32) -> DeviceId {
    DeviceId::Node(DevNum { kind: NodeKind::Block, major: 8, minor })
}

fn node(minor: u32) -> LinkName {
    link(&format!("sd{minor}"))
}

/// Minor of the holder before and after.
fn minors(change: &LinkChange) -> (Option<u32>, Option<u32>) {
    let minor = |holder: &Option<Holder>| match holder.as_ref()?.device {
        DeviceId::Node(n) => Some(n.minor),
        _ => None,
    };
    (minor(&change.old), minor(&change.new))
}

#[test]
fn priority_then_holder_then_age() {
    // (minor, Some(priority) claims or None releases, holder before, holder after)
    let steps = [
        (1, Some(0), None, Some(1)),
        (2, Some(0), Some(1), Some(1)),
        (3, Some(0), Some(1), Some(1)),
        (4, Some(5), Some(1), Some(4)),
        (3, Some(5), Some(4), Some(4)),
        (4, Some(0), Some(4), Some(3)),
        (3, Some(0), Some(3), Some(3)),
        (3, None, Some(3), Some(1)),
        (1, None, Some(1), Some(2)),
        (4, None, Some(2), Some(2)),
        (2, None, Some(2), None),
    ];
    let mut claims = Claims::new();
    for (at, (minor, priority, old, new)) in steps.into_iter().enumerate() {
        let change = match priority {
            Some(p) => claims.claim(&disk(minor), &node(minor), &link("x"), p),
            None => claims.release(&disk(minor), &link("x")),
        };
        assert_eq!(minors(&change.unwrap()), (old, new), "step {at}");
    }
    assert!(claims.is_empty());
}

#[test]
fn a_set_replaces_the_set_before() {
    let mut claims = Claims::new();
    let set = |claims: &mut Claims, links: &[(&str, i32)]| -> Vec<String> {
        let links: Vec<_> = links.iter().map(|(l, p)| (link(l), *p)).collect();
        claims.set_links(&disk(1), &node(1), &links).iter().map(|c| c.link.to_string()).collect()
    };
    assert_eq!(set(&mut claims, &[("b", 0), ("a", 0), ("a", 3)]), ["a", "b"]);
    assert_eq!(claims.claimants(&link("a"))[0].priority, 3);
    assert!(set(&mut claims, &[("a", 3), ("b", 0)]).is_empty());
    assert_eq!(set(&mut claims, &[("c", 0), ("a", 3)]), ["b", "c"]);
    assert_eq!(set(&mut claims, &[]), ["a", "c"]);
    assert!(claims.is_empty());
    assert_eq!(claims.devices.len(), 0);
}

#[test]
fn another_node_name_moves_what_the_device_holds() {
    let mut claims = Claims::new();
    let links = [(link("a"), 0), (link("b"), 0)];
    claims.claim(&disk(2), &node(2), &link("b"), 1);
    claims.set_links(&disk(1), &node(1), &links);
    let changes = claims.set_links(&disk(1), &link("new"), &links);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].link.clone(), changes[0].moved()), (link("a"), true));
    assert_eq!(claims.holder(&link("a")).unwrap().node, link("new"));
}

#[test]
fn collisions_are_listed() {
    let mut claims = Claims::new();
    for (minor, name, priority) in [(1, "z", 0), (2, "z", 0), (3, "z", 9), (1, "alone", 0), (2, "a", 0)] {
        claims.claim(&disk(minor), &node(minor), &link(name), priority);
    }
    let collisions = claims.collisions();
    assert_eq!(collisions.len(), 1);
    assert_eq!(collisions[0].holder.device, disk(3));
    assert_eq!(collisions[0].others.iter().map(|c| &c.device).collect::<Vec<_>>(), [&disk(1), &disk(2)]);
    let of_1: Vec<_> = claims.claims_of(&disk(1)).into_iter().map(|(c, has)| (c.link, has)).collect();
    assert_eq!(of_1, [(link("alone"), true), (link("z"), false)]);
    let has = [1, 2, 3, 4].map(|minor| claims.is_claimants_node(&link("z"), &node(minor)));
    assert_eq!(has, [true, true, true, false]);
}

/// The rule written down plainly: a list of claims and who has which name.
#[derive(Default)]
struct Model {
    claims: Vec<(u32, u32, i32)>,
    holder: BTreeMap<u32, u32>,
}

impl Model {
    fn set(&mut self, device: u32, wanted: &BTreeMap<u32, i32>) {
        self.claims.retain(|(d, l, _)| *d != device || wanted.contains_key(l));
        for (&l, &p) in wanted {
            match self.claims.iter_mut().find(|(d, l2, _)| (*d, *l2) == (device, l)) {
                Some(claim) => claim.2 = p,
                None => self.claims.push((device, l, p)),
            }
        }
        for l in 0..4 {
            let of: Vec<_> = self.claims.iter().filter(|c| c.1 == l).collect();
            let Some(best) = of.iter().map(|c| c.2).max() else {
                self.holder.remove(&l);
                continue;
            };
            let stays = self.holder.get(&l).is_some_and(|h| of.iter().any(|c| c.0 == *h && c.2 == best));
            if !stays {
                let oldest = of.iter().find(|c| c.2 == best).unwrap();
                self.holder.insert(l, oldest.0);
            }
        }
    }
}

proptest! {
    #[test]
    fn same_as_the_plain_model(
        steps in prop::collection::vec((0u32..6, prop::collection::btree_map(0u32..4, -1i32..2, 0..4)), 1..60)
    ) {
        let mut claims = Claims::new();
        let mut model = Model::default();
        for (device, wanted) in steps {
            let before: Vec<_> = (0..4).map(|l| claims.holder(&link(&format!("l{l}")))).collect();
            let links: Vec<_> = wanted.iter().map(|(l, p)| (link(&format!("l{l}")), *p)).collect();
            let changes = claims.set_links(&disk(device), &node(device), &links);
            model.set(device, &wanted);
            for l in 0..4u32 {
                let name = link(&format!("l{l}"));
                let now = claims.holder(&name);
                prop_assert_eq!(now.as_ref().map(|h| h.device.clone()), model.holder.get(&l).map(|d| disk(*d)));
                // no claim is lost, none is left over
                let mut have: Vec<_> = claims.claimants(&name).into_iter().map(|c| (c.device, c.priority)).collect();
                let mut want: Vec<_> = model.claims.iter().filter(|c| c.1 == l).map(|c| (disk(c.0), c.2)).collect();
                have.sort();
                want.sort();
                prop_assert_eq!(have, want);
                // what is returned is what changed
                let moved = changes.iter().find(|c| c.link == name && c.moved());
                prop_assert_eq!(moved.is_some(), before[l as usize] != now);
                if let Some(change) = moved {
                    prop_assert_eq!(&change.old, &before[l as usize]);
                    prop_assert_eq!(&change.new, &now);
                }
            }
        }
    }
}
