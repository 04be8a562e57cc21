//! Owns the order in which devices can be switched off.
//!
//! Only reads: the tree, and the `consumer:BUS:NAME` and `supplier:BUS:NAME` entries that the driver core puts into the
//! directories of devices which depend on each other beside the tree.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bstr::ByteSlice;

use super::{Device, Tree};

/// What has to leave before a device can, by place in the list of devices.
#[derive(Debug, Default, Clone)]
struct Needs {
    /// Children that are still there.
    children: usize,
    /// Consumers that are still there.
    consumers: usize,
}

/// A device that may leave before others: its parent, and those that supply it.
#[derive(Debug, Default, Clone)]
struct Frees {
    parent: Option<usize>,
    suppliers: Vec<usize>,
}

impl Tree {
    /// All live devices in an order in which they can be switched off: children before parents always, and consumers
    /// before their suppliers as far as these do not go round in circles. The same tree gives the same order.
    pub fn power_off_order(&self) -> Vec<Device> {
        let mut all = self.devices();
        all.reverse();
        let links = self.device_links(&all);
        let order = order(&parents(&all), &links);
        order.into_iter().filter_map(|at| all.get(at).cloned()).collect()
    }

    /// Pairs of consumer and supplier, by place in `all`.
    fn device_links(&self, all: &[Device]) -> Vec<(usize, usize)> {
        let places = places(all);
        let place = |device: &Device| places.get(&key(device)).copied();
        let mut out = Vec::new();
        for (at, device) in all.iter().enumerate() {
            for entry in self.reading().list(device.devpath().relative()) {
                let Some((role, bus, name)) = device_link(&entry.name) else { continue };
                let Some(other) = self.find(bus, name).as_ref().and_then(place) else { continue };
                out.push(if role == Role::Consumer { (other, at) } else { (at, other) });
            }
        }
        // Each link stands in both directories.
        out.sort_unstable();
        out.dedup();
        out.retain(|(consumer, supplier)| consumer != supplier);
        out
    }
}

/// What the device that an entry names is to the one whose directory holds the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Consumer,
    Supplier,
}

/// Reads `consumer:BUS:NAME` or `supplier:BUS:NAME`.
fn device_link(entry: &[u8]) -> Option<(Role, &[u8], &[u8])> {
    let (role, device) = entry.split_once_str(b":")?;
    let role = match role {
        b"consumer" => Role::Consumer,
        b"supplier" => Role::Supplier,
        _ => return None,
    };
    let (bus, name) = device.split_once_str(b":")?;
    Some((role, bus, name))
}

/// Tells live nodes apart.
fn key(device: &Device) -> *const () {
    Arc::as_ptr(&device.0).cast()
}

fn places(all: &[Device]) -> HashMap<*const (), usize> {
    all.iter().enumerate().map(|(at, device)| (key(device), at)).collect()
}

fn parents(all: &[Device]) -> Vec<Option<usize>> {
    let places = places(all);
    all.iter().map(|device| places.get(&key(&device.parent()?)).copied()).collect()
}

/// Takes away, one after the other, what nothing needs any more. When only circles of links are left, the first that has
/// no children goes all the same: the tree itself has no circles, so there is always one.
fn order(parents: &[Option<usize>], links: &[(usize, usize)]) -> Vec<usize> {
    let mut needs = vec![Needs::default(); parents.len()];
    let mut frees: Vec<Frees> =
        parents.iter().map(|&parent| Frees { parent, suppliers: Vec::new() }).collect();
    for &parent in parents.iter().flatten() {
        if let Some(need) = needs.get_mut(parent) {
            need.children += 1;
        }
    }
    for &(consumer, supplier) in links {
        if let (Some(need), Some(free)) = (needs.get_mut(supplier), frees.get_mut(consumer)) {
            need.consumers += 1;
            free.suppliers.push(supplier);
        }
    }
    let mut ready: VecDeque<usize> = VecDeque::new();
    let mut left: BTreeSet<usize> = (0..parents.len()).collect();
    let is_ready = |need: Option<&Needs>| need.is_some_and(|n| n.children == 0 && n.consumers == 0);
    ready.extend(left.iter().copied().filter(|&at| is_ready(needs.get(at))));
    let mut out = Vec::with_capacity(parents.len());
    loop {
        let next = ready.pop_front().or_else(|| {
            left.iter().copied().find(|&at| needs.get(at).is_some_and(|need| need.children == 0))
        });
        let Some(at) = next else { return out };
        if !left.remove(&at) {
            continue;
        }
        out.push(at);
        let Frees { parent, suppliers } = frees.get(at).cloned().unwrap_or_default();
        for (other, is_child) in
            parent.into_iter().map(|p| (p, true)).chain(suppliers.into_iter().map(|s| (s, false)))
        {
            if let Some(need) = needs.get_mut(other) {
                if is_child { need.children -= 1 } else { need.consumers -= 1 }
            }
            if is_ready(needs.get(other)) {
                ready.push_back(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries() {
        type Case = (&'static str, Option<(Role, &'static str, &'static str)>);
        let cases: &[Case] = &[
            ("consumer:platform:gpio.0", Some((Role::Consumer, "platform", "gpio.0"))),
            ("supplier:pci:0000:00:1f.0", Some((Role::Supplier, "pci", "0000:00:1f.0"))),
            ("consumers", None),
            ("consumer:x", None),
            ("uevent", None),
        ];
        for (entry, expected) in cases {
            let expected = expected.map(|(role, bus, name)| (role, bus.as_bytes(), name.as_bytes()));
            assert_eq!(device_link(entry.as_bytes()), expected, "{entry}");
        }
    }

    #[test]
    fn orders() {
        /// Parents by place, (consumer, supplier) pairs, the order.
        type Case = (&'static [Option<usize>], &'static [(usize, usize)], &'static [usize]);
        let cases: &[Case] = &[
            (&[], &[], &[]),
            (&[Some(1), None, None], &[], &[0, 2, 1]),
            (&[None, None], &[(1, 0)], &[1, 0]),
            (&[None, None], &[(1, 0), (0, 1)], &[0, 1]),
            // 0 is 1's child and supplies it: the tree wins.
            (&[Some(1), None], &[(1, 0)], &[0, 1]),
        ];
        for (parents, links, expected) in cases {
            assert_eq!(order(parents, links), *expected, "{parents:?} {links:?}");
        }
    }

    proptest! {
        #[test]
        fn children_leave_first_and_every_device_once(
            ups in prop::collection::vec(prop::option::of(0_usize..20), 1..20),
            links in prop::collection::vec((0_usize..20, 0_usize..20), 0..30),
        ) {
            let parents: Vec<Option<usize>> =
                ups.iter().enumerate().map(|(at, up)| up.map(|up| at + 1 + up).filter(|&p| p < ups.len())).collect();
            let links: Vec<_> = links.into_iter().filter(|&(a, b)| a != b && a.max(b) < ups.len()).collect();
            let order = order(&parents, &links);
            let place = |at: usize| order.iter().position(|&other| other == at);
            prop_assert_eq!(order.len(), parents.len());
            for (child, parent) in parents.iter().enumerate() {
                prop_assert!(parent.is_none_or(|parent| place(child) < place(parent)));
            }
            // Links that only go one way round are kept.
            if parents.iter().all(Option::is_none) && links.iter().all(|(consumer, supplier)| consumer < supplier) {
                prop_assert!(links.iter().all(|&(consumer, supplier)| place(consumer) < place(supplier)));
            }
        }
    }
}
