//! Who is counted where: labels, second names, shards that move, epochs.

use super::*;
use crate::definition::compile;
use crate::node::tests::profile;

const PAY: &str = "kind: monitor\nname: pay\napp: shop\nlog: /logs/pay.log\nwindow: 5s\nselect: { total: count() }\n";

fn id(shard: u32) -> TaskId {
    TaskId {
        monitor: "pay".to_owned(),
        version: 1,
        shard,
    }
}

fn target(host: &str, address: &str) -> InputTarget {
    InputTarget {
        target: HostTarget {
            host: host.to_owned(),
            address: address.to_owned(),
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        },
        from_ns: 12_000_000_000,
        proved_ns: 12_000_000_000,
        profiles: Vec::new(),
    }
}

fn install(registry: &mut Registry, shard: u32, epoch: u64, hosts: &[(&str, &str)]) -> Result<(), Refused> {
    let definition = Definition::Yaml(PAY.to_owned());
    let compiled = compile(&definition).expect("good");
    let task = ShardTask {
        id: id(shard),
        epoch,
        definition,
        inputs: hosts.iter().map(|(host, address)| target(host, address)).collect(),
        until_ns: None,
        tenant: None,
    };
    registry.install(task, compiled, (3, 1))
}

/// Who is counted, by address: `a:1=h1/0`.
fn counted(registry: &Registry) -> String {
    let mut all = Vec::new();
    for source in registry.sources() {
        for (id, wanted) in source.wanted().iter() {
            let host = &wanted.subscription.host;
            all.push(format!("{}={host}/{}", source.key.address(), id.shard));
        }
    }
    all.join(" ")
}

#[test]
fn hosts_that_must_prove_who_they_are_share_nothing() {
    let hosts = [("h2", "a:1"), ("h1", "a:1")];
    let of = |by_host: bool| {
        let mut registry = Registry::new(by_host);
        assert_eq!(install(&mut registry, 0, 1, &hosts), Ok(()));
        let keys = registry.sources().map(|source| source.key.clone());
        keys.map(|key| format!("{} {:?}", key.address(), key.host()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(false), ["a:1 None"]);
    assert_eq!(of(true), ["a:1 Some(\"h1\")", "a:1 Some(\"h2\")"]);
}

#[test]
fn a_host_under_two_names_is_counted_once() {
    let mut registry = Registry::default();
    assert_eq!(
        install(&mut registry, 0, 1, &[("h2", "a:1"), ("h1", "a:1"), ("h3", "b:1")]),
        Ok(())
    );
    assert_eq!(counted(&registry), "a:1=h1/0 b:1=h3/0");
    assert!(registry.fill_duplicates(60_000_000_000));
    let request = CollectRequest {
        id: id(0),
        epoch: 1,
        acked: 0,
        wait_ms: 0,
        bytes_max: 1 << 20,
    };
    let (collector, _) = registry.begin_collect(&request).expect("it is there");
    let handed = registry.hand_out(&request, collector).expect("it is there").flatten();
    let reports: Vec<HostReport> = handed
        .expect("news")
        .parts
        .into_iter()
        .map(super::super::outbox::Part::into_report)
        .collect();
    assert_eq!((reports.len(), reports[0].host.as_str()), (1, "h2"));
    let run = &reports[0].verdicts[0];
    // From the aligned first window to the last that has ended, its second of grace past.
    assert_eq!(
        (run.state, run.from_ns, run.to_ns),
        (HostState::Duplicate, 10_000_000_000, 55_000_000_000)
    );
    // The first name leaves: the second is counted.
    assert_eq!(install(&mut registry, 0, 1, &[("h2", "a:1")]), Ok(()));
    assert_eq!(counted(&registry), "a:1=h2/0");
    assert!(!registry.fill_duplicates(60_000_000_000));
}

#[test]
fn a_host_that_moves_between_shards_is_counted_by_the_newer() {
    let mut registry = Registry::default();
    assert_eq!(install(&mut registry, 0, 1, &[("h1", "a:1")]), Ok(()));
    assert_eq!(install(&mut registry, 1, 2, &[("h1", "a:1")]), Ok(()));
    assert_eq!(counted(&registry), "a:1=h1/1");
    assert!(!registry.fill_duplicates(60_000_000_000));
    assert_eq!(registry.remove(&id(1), 2), Ok(()));
    assert_eq!(counted(&registry), "a:1=h1/0");
    assert_eq!(registry.remove(&id(0), 2), Ok(()));
    assert_eq!((counted(&registry).as_str(), registry.sources().count()), ("", 0));
}

#[test]
fn old_topologies_are_refused_also_after_a_removal() {
    let mut registry = Registry::default();
    assert_eq!(registry.remove(&id(0), 1), Err(Refused::Unknown));
    assert_eq!(install(&mut registry, 0, 5, &[("h1", "a:1")]), Ok(()));
    assert_eq!(install(&mut registry, 0, 4, &[]), Err(Refused::Stale(5)));
    assert_eq!(registry.remove(&id(0), 4), Err(Refused::Stale(5)));
    assert_eq!(registry.remove(&id(0), 6), Ok(()));
    assert_eq!(install(&mut registry, 0, 5, &[("h1", "a:1")]), Err(Refused::Stale(6)));
    assert_eq!(install(&mut registry, 0, 6, &[("h1", "a:1")]), Ok(()));
}

#[test]
fn inputs_are_bounded() {
    let mut registry = Registry::default();
    assert_eq!(
        install(&mut registry, 0, 1, &[("h1", "a:1"), ("h2", "b:1"), ("h3", "c:1")]),
        Ok(())
    );
    assert_eq!(install(&mut registry, 1, 1, &[("h1", "a:1")]), Ok(()));
    assert!(matches!(
        install(&mut registry, 2, 1, &[("h4", "d:1")]),
        Err(Refused::Full(_))
    ));
    assert_eq!(registry.totals().tasks, 2);
}

#[test]
fn a_report_for_an_earlier_life_of_a_shard_is_dropped() {
    let mut registry = Registry::default();
    assert_eq!(install(&mut registry, 0, 1, &[("h1", "a:1")]), Ok(()));
    // Another shard keeps the source alive meanwhile.
    assert_eq!(install(&mut registry, 1, 1, &[("h0", "a:1")]), Ok(()));
    let source = registry.sources().next().cloned().expect("one");
    let wanted = |shard: u32| source.wanted().get(&id(shard)).map(|wanted| wanted.incarnation);
    let before = wanted(1).expect("h0 is first");
    assert_eq!(wanted(0), None);
    assert_eq!(registry.remove(&id(1), 1), Ok(()));
    assert_eq!(install(&mut registry, 1, 1, &[("h0", "a:1")]), Ok(()));
    let after = wanted(1).expect("again");
    assert_ne!(before, after);
    let report = || HostReport {
        host: "h0".to_owned(),
        origin: 0,
        t_ns: 1,
        delay_ns: 0,
        profile_version: 0,
        cells: Vec::new(),
        verdicts: Vec::new(),
        profiles: vec![profile(1, 100, 0)],
    };
    let request = CollectRequest {
        id: id(1),
        epoch: 1,
        acked: 0,
        wait_ms: 0,
        bytes_max: 1,
    };
    let (collector, _) = registry.begin_collect(&request).expect("it is there");
    for (incarnation, is_taken) in [(before, false), (after, true)] {
        let (id, report) = (id(1), report());
        registry.absorb(
            &source,
            vec![Found {
                id,
                incarnation,
                report,
            }],
        );
        assert_eq!(registry.is_ready(&request, collector), is_taken);
        // A reader that takes this one's place knows what it learned.
        let known = source
            .wanted()
            .get(&request.id)
            .map(|wanted| wanted.subscription.profiles.len());
        assert_eq!(known, Some(usize::from(is_taken)));
    }
}

#[test]
fn labels_are_the_inventorys_and_what_follows_from_the_target() {
    let check = |address: &str, ip: &str| {
        let target = target("h1", address).target;
        let expected = [("app", "shop"), ("host", "h1"), ("ip", ip), ("zone", "a")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(labels(&target, Some("shop")), BTreeMap::from(expected));
    };
    check("10.0.0.1:7801", "10.0.0.1");
    check("[::1]:7801", "::1");
    check("web1", "web1");
}
