//! Placement: the same whatever the order, every host once, and a node that goes moves only what it had.

use super::*;
use crate::protocol::NodeAddress;
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
        is_drained: false,
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

fn place(hosts: &[HostTarget], maps: &[MapNode]) -> Vec<ShardPlan> {
    let place = Place {
        app: "shop".to_owned(),
        path: "/l".to_owned(),
        maps: Vec::new(),
    };
    shards(&place, hosts, &maps.iter().collect::<Vec<_>>())
}

/// Which Map has which host.
fn owners(placement: &[ShardPlan]) -> BTreeMap<&str, &str> {
    let shards = placement.iter();
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
        let sorted = hosts(&host_zones);
        let planned = place(&sorted, &maps(&map_zones));
        prop_assert_eq!(&place(&mixed_hosts, &mixed_maps), &planned);
        let placed: Vec<&String> = planned.iter().flat_map(|shard| &shard.hosts).collect();
        prop_assert_eq!(placed.len(), sorted.len(), "every host in exactly one shard");
        prop_assert_eq!(owners(&planned).len(), sorted.len());
        let numbers: BTreeSet<u32> = planned.iter().map(|shard| shard.shard).collect();
        prop_assert_eq!(numbers.len(), planned.len());
    }

    #[test]
    fn a_node_that_goes_moves_only_what_it_had(map_zones in zones(8), host_zones in zones(60), gone in 0usize..8) {
        let (all_maps, all_hosts) = (maps(&map_zones), hosts(&host_zones));
        let gone = gone % all_maps.len();
        let mut fewer = all_maps.clone();
        let lost = fewer.remove(gone).node.node;
        let before = place(&all_hosts, &all_maps);
        let after = place(&all_hosts, &fewer);
        let (before_owners, after_owners) = (owners(&before), owners(&after));
        for (host, owner) in &before_owners {
            if *owner == lost {
                prop_assert!(after_owners.get(host).is_none_or(|after| *after != lost));
            } else {
                prop_assert_eq!(after_owners.get(host), Some(owner));
            }
        }
        let numbers = |placement: &[ShardPlan]| -> BTreeMap<String, u32> {
            placement.iter().map(|shard| (shard.map.node.clone(), shard.shard)).collect()
        };
        let after_numbers = numbers(&after);
        for (map, number) in numbers(&before) {
            prop_assert!(after_numbers.get(&map).is_none_or(|after| *after == number));
        }
    }

    #[test]
    fn a_host_goes_to_its_zone_while_that_has_a_map(map_zones in zones(8), host_zones in zones(60)) {
        let (all_maps, all_hosts) = (maps(&map_zones), hosts(&host_zones));
        let planned = place(&all_hosts, &all_maps);
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
    // A monitor's name is no part of it: that every monitor on the log gets the same is given.
    for shard in &place(&all_hosts, &all_maps) {
        assert!((500..1500).contains(&shard.hosts.len()), "{}", shard.hosts.len());
    }
}

#[test]
fn without_nodes_nothing_is_placed_and_a_shard_is_bounded() {
    let all_hosts = hosts(&vec![None; INPUTS_MAX + 1]);
    assert_eq!(place(&all_hosts, &[]), []);
    let two = place(&all_hosts, &maps(&[None]));
    let mut sizes: Vec<usize> = two.iter().map(|shard| shard.hosts.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, INPUTS_MAX]);
}
