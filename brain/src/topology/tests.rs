//! A Reduce that goes moves only what it had; every host is there once.

use super::*;

#[test]
fn a_reduce_that_goes_moves_only_what_it_had() {
    let node = |index: usize| NodeAddress {
        node: format!("n{index}"),
        address: format!("10.0.0.{index}:1"),
    };
    let reduces: Vec<NodeAddress> = (0..8).map(node).collect();
    let mut owners = BTreeSet::new();
    for gone in 0..8 {
        let mut fewer = reduces.clone();
        fewer.remove(gone);
        for monitor in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let (before, after) = (reduce_of(monitor, &reduces), reduce_of(monitor, &fewer));
            assert!(after == before || before == Some(&node(gone)));
            owners.extend(before.map(|owner| owner.node.clone()));
        }
    }
    assert!(owners.len() > 3, "{owners:?}");
    assert_eq!(reduce_of("a", &[]), None);
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
