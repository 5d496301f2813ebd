//! Who is expected in a window (M5): the spans of an inventory, which only grow and never change the past.

use crate::protocol::InventorySpan;
use map::protocol::HostTarget;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The hosts of one version of an inventory, by place and by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Roll {
    /// From windows that start here on.
    pub from_ns: i64,
    /// Version of the inventory.
    pub version: u64,
    /// The hosts; a host table lists states in this order.
    pub hosts: Vec<HostTarget>,
    places: BTreeMap<String, usize>,
    /// Places of hosts whose address a host before them has too, and that one's place.
    duplicates: BTreeMap<usize, usize>,
}

impl Roll {
    /// The roll of a span.
    pub fn new(span: &InventorySpan) -> Self {
        let mut first_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut duplicates = BTreeMap::new();
        for (place, host) in span.hosts.iter().enumerate() {
            let first = *first_of.entry(&host.address).or_insert(place);
            if first != place {
                duplicates.insert(place, first);
            }
        }
        let names = span.hosts.iter().enumerate();
        Self {
            from_ns: span.from_ns,
            version: span.version,
            places: names.map(|(place, host)| (host.host.clone(), place)).collect(),
            duplicates,
            hosts: span.hosts.clone(),
        }
    }

    /// The place of a host.
    pub fn place(&self, host: &str) -> Option<usize> {
        self.places.get(host).copied()
    }

    /// The host before this one that has the same address.
    pub fn duplicate_of(&self, place: usize) -> Option<&HostTarget> {
        self.duplicates.get(&place).and_then(|first| self.hosts.get(*first))
    }
}

/// The history of an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    rolls: Vec<Arc<Roll>>,
}

impl Inventory {
    /// The history of these spans.
    pub fn new(spans: &[InventorySpan]) -> Self {
        let mut rolls: Vec<Arc<Roll>> = spans.iter().map(|span| Arc::new(Roll::new(span))).collect();
        rolls.sort_by_key(|roll| (roll.from_ns, roll.version));
        Self { rolls }
    }

    /// Who is expected in the window that starts here; `None` before history begins.
    pub fn at(&self, start_ns: i64) -> Option<&Arc<Roll>> {
        let after = self.rolls.partition_point(|roll| roll.from_ns <= start_ns);
        after.checked_sub(1).map(|last| &self.rolls[last])
    }

    /// The roll of a version.
    pub fn version(&self, version: u64) -> Option<&Arc<Roll>> {
        self.rolls.iter().find(|roll| roll.version == version)
    }

    /// Whether a host that is expected in a window is dropped by a span that begins inside of it.
    pub fn has_left(&self, host: &str, window: &Range<i64>) -> bool {
        let inside = self
            .rolls
            .iter()
            .filter(|roll| window.start < roll.from_ns && roll.from_ns < window.end);
        inside.into_iter().any(|roll| roll.place(host).is_none())
    }

    /// All rolls, oldest first.
    pub fn rolls(&self) -> impl Iterator<Item = &Arc<Roll>> {
        self.rolls.iter()
    }

    /// Where this history begins to say other things than another one; `None` if it never does.
    pub fn differs_from(&self, other: &Self) -> Option<i64> {
        let (mut ours, mut theirs) = (self.rolls.iter(), other.rolls.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(our), Some(their)) if our == their => {}
                (None, None) => return None,
                (our, their) => return our.into_iter().chain(their).map(|roll| roll.from_ns).min(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from_ns: i64, version: u64, hosts: &[&str]) -> InventorySpan {
        let target = |name: &&str| {
            let (host, address) = name.split_once('@').unwrap_or((name, name));
            HostTarget {
                host: host.to_owned(),
                address: address.to_owned(),
                labels: BTreeMap::new(),
            }
        };
        InventorySpan {
            from_ns,
            version,
            hosts: hosts.iter().map(target).collect(),
        }
    }

    #[test]
    fn the_span_in_force_is_the_last_that_began() {
        let inventory = Inventory::new(&[span(10, 1, &["a"]), span(20, 2, &["a", "b"])]);
        let version = |start| inventory.at(start).map(|roll| roll.version);
        assert_eq!(
            [version(9), version(10), version(19), version(20), version(99)],
            [None, Some(1), Some(1), Some(2), Some(2)]
        );
    }

    #[test]
    fn a_host_has_left_in_the_window_that_a_span_without_it_begins_in() {
        let inventory = Inventory::new(&[span(0, 1, &["a", "b"]), span(25, 2, &["a"])]);
        let left = |host: &str, start| inventory.has_left(host, &(start..start + 10));
        assert!(left("b", 20));
        assert!(!left("b", 10) && !left("b", 30) && !left("a", 20));
        let at_the_edge = Inventory::new(&[span(0, 1, &["a", "b"]), span(20, 2, &["a"])]);
        assert!(!at_the_edge.has_left("b", &(10..20)) && !at_the_edge.has_left("b", &(20..30)));
    }

    #[test]
    fn the_second_of_an_address_is_the_duplicate() {
        let roll = Roll::new(&span(0, 1, &["a@x", "b@y", "c@x"]));
        let of = |place| roll.duplicate_of(place).map(|host| host.host.as_str());
        assert_eq!([of(0), of(1), of(2)], [None, None, Some("a")]);
    }

    #[test]
    fn histories_are_told_apart_where_they_part() {
        let old = Inventory::new(&[span(0, 1, &["a"])]);
        let new = Inventory::new(&[span(0, 1, &["a"]), span(30, 2, &["a", "b"])]);
        assert_eq!(old.differs_from(&old), None);
        assert_eq!(new.differs_from(&old), Some(30));
        assert_eq!(Inventory::default().differs_from(&new), Some(0));
    }
}
