//! Placement: the same whatever the order, every host once, and a node that goes moves only what it had.

use super::*;
use proptest::prelude::*;

fn node(index: usize) -> NodeAddress {
    NodeAddress {
        node: format!("n{index}"),
        address: format!("10.0.0.{index}:1"),
    }
}

fn labels(zone: Option<u8>) -> BTreeMap<String, String> {
    zone.map(|zone| (ZONE.to_owned(), format!("z{zone}")))
        .into_iter()
        .collect()
}

fn maps(zones: &[Option<u8>]) -> Vec<MapNode> {
    let map = |(index, zone): (usize, &Option<u8>)| MapNode {
        node: node(index),
        labels: labels(*zone),
    };
    zones.iter().enumerate().map(map).collect()
}

fn hosts(zones: &[Option<u8>]) -> Vec<HostTarget> {
    let host = |(index, zone): (usize, &Option<u8>)| HostTarget {
        host: format!("h{index:04}"),
        address: format!("h{index}:1"),
        labels: labels(*zone),
    };
    zones.iter().enumerate().map(host).collect()
}

fn spec<'a>(monitor: &'a str, hosts: &'a [HostTarget]) -> Spec<'a> {
    Spec {
        monitor,
        app: "shop",
        path: "/l",
        hosts,
    }
}

/// Which Map has which host.
fn owners(placement: &Placement) -> BTreeMap<&str, &str> {
    let shards = placement.shards.iter();
    shards
        .flat_map(|shard| shard.hosts.iter().map(|host| (host.as_str(), shard.map.node.as_str())))
        .collect()
}

fn zones(most: usize) -> impl Strategy<Value = Vec<Option<u8>>> {
    prop::collection::vec(prop::option::of(0u8..3), 1..most)
}

/// Zones, and what they make in any order.
fn mixed<T: Clone + std::fmt::Debug + 'static>(
    most: usize,
    make: fn(&[Option<u8>]) -> Vec<T>,
) -> impl Strategy<Value = (Vec<Option<u8>>, Vec<T>)> {
    zones(most).prop_flat_map(move |zones| (Just(zones.clone()), Just(make(&zones)).prop_shuffle()))
}

proptest! {
    #[test]
    fn a_plan_depends_on_nobodys_order(
        (map_zones, mixed_maps) in mixed(8, maps),
        (host_zones, mixed_hosts) in mixed(40, hosts),
    ) {
        let reduces: Vec<NodeAddress> = (0..5).map(node).collect();
        let mixed_reduces: Vec<NodeAddress> = reduces.iter().rev().cloned().collect();
        let sorted = hosts(&host_zones);
        let planned = place(&spec("m", &sorted), &reduces, &maps(&map_zones));
        prop_assert_eq!(&place(&spec("m", &mixed_hosts), &mixed_reduces, &mixed_maps), &planned);
        let placed: Vec<&String> = planned.shards.iter().flat_map(|shard| &shard.hosts).collect();
        prop_assert_eq!(placed.len(), sorted.len(), "every host in exactly one shard");
        prop_assert_eq!(owners(&planned).len(), sorted.len());
        let numbers: BTreeSet<u32> = planned.shards.iter().map(|shard| shard.shard).collect();
        prop_assert_eq!(numbers.len(), planned.shards.len());
    }

    #[test]
    fn a_node_that_goes_moves_only_what_it_had(map_zones in zones(8), host_zones in zones(60), gone in 0usize..8) {
        let (all_maps, all_hosts) = (maps(&map_zones), hosts(&host_zones));
        let gone = gone % all_maps.len();
        let mut fewer = all_maps.clone();
        let lost = fewer.remove(gone).node.node;
        let before = place(&spec("m", &all_hosts), &[], &all_maps);
        let after = place(&spec("m", &all_hosts), &[], &fewer);
        let (before_owners, after_owners) = (owners(&before), owners(&after));
        for (host, owner) in &before_owners {
            if *owner == lost {
                prop_assert!(after_owners.get(host).is_none_or(|after| *after != lost));
            } else {
                prop_assert_eq!(after_owners.get(host), Some(owner));
            }
        }
        let numbers = |placement: &Placement| -> BTreeMap<String, u32> {
            placement.shards.iter().map(|shard| (shard.map.node.clone(), shard.shard)).collect()
        };
        let after_numbers = numbers(&after);
        for (map, number) in numbers(&before) {
            prop_assert!(after_numbers.get(&map).is_none_or(|after| *after == number));
        }
        let reduces: Vec<NodeAddress> = (0..8).map(node).collect();
        let mut fewer = reduces.clone();
        fewer.remove(gone);
        for monitor in ["a", "b", "c", "d", "e", "f"] {
            let before = place(&spec(monitor, &[]), &reduces, &[]).reduce;
            let after = place(&spec(monitor, &[]), &fewer, &[]).reduce;
            prop_assert!(after == before || before == Some(node(gone)));
        }
    }

    #[test]
    fn a_host_goes_to_its_zone_while_that_has_a_map(map_zones in zones(8), host_zones in zones(60)) {
        let (all_maps, all_hosts) = (maps(&map_zones), hosts(&host_zones));
        let planned = place(&spec("m", &all_hosts), &[], &all_maps);
        for (host, owner) in owners(&planned) {
            let zone = all_hosts.iter().find(|target| target.host == host).and_then(|target| target.labels.get(ZONE));
            let owner = all_maps.iter().find(|map| map.node.node == owner).expect("a map");
            let has_map = |zone: &String| all_maps.iter().any(|map| map.labels.get(ZONE) == Some(zone));
            if zone.is_some_and(has_map) {
                prop_assert_eq!(owner.labels.get(ZONE), zone);
            }
        }
    }
}

#[test]
fn monitors_on_one_log_meet_on_one_map_and_shares_are_alike() {
    let (all_maps, all_hosts) = (maps(&[None; 4]), hosts(&vec![None; 4000]));
    let (one, other) = (
        place(&spec("a", &all_hosts), &[], &all_maps),
        place(&spec("b", &all_hosts), &[], &all_maps),
    );
    assert_eq!(one.shards, other.shards);
    for shard in &one.shards {
        assert!((500..1500).contains(&shard.hosts.len()), "{}", shard.hosts.len());
    }
}

#[test]
fn without_nodes_nothing_is_placed_and_a_shard_is_bounded() {
    let all_hosts = hosts(&vec![None; INPUTS_MAX + 1]);
    let nowhere = place(&spec("m", &all_hosts), &[], &[]);
    assert_eq!((nowhere.reduce, nowhere.shards.len()), (None, 0));
    let two = place(&spec("m", &all_hosts), &[], &maps(&[None])).shards;
    let mut sizes: Vec<usize> = two.iter().map(|shard| shard.hosts.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, INPUTS_MAX]);
}

#[test]
fn every_host_is_there_once_by_address_and_by_name() {
    let target = |host: &str, address: &str| HostTarget {
        host: host.to_owned(),
        address: address.to_owned(),
        labels: BTreeMap::new(),
    };
    let (a, b) = (
        [target("h1", "x:1"), target("h2", "y:1")],
        [target("h1", "z:1"), target("other", "x:1")],
    );
    let every = every_host([("a", a.iter().collect()), ("b", b.iter().collect())]);
    let brief: Vec<String> = every
        .iter()
        .map(|target| format!("{}={} {}", target.host, target.address, target.labels["app"]))
        .collect();
    assert_eq!(brief, ["b/h1=z:1 b", "h1=x:1 a", "h2=y:1 a"]);
}
