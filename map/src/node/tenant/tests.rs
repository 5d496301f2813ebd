//! Who is suspended for a tenant: no more than needed, none without need, the dearest, always the same.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn key(name: &str) -> Key {
    (name.to_owned(), 1)
}

fn cost((cpu_ms, mib): (u64, u64)) -> Cost {
    Cost {
        cpu_ns: cpu_ms * 1_000_000,
        bytes: mib << 20,
    }
}

fn most(cpu_ms: Option<u64>, mib: Option<u64>) -> Most {
    Most {
        cpu_ns: cpu_ms.map(|ms| ms * 1_000_000),
        bytes: mib.map(|mib| mib << 20),
    }
}

#[track_caller]
fn check(costs: &[(&str, u64, u64)], most: Most, expected: &[(&str, Measure)]) {
    let costs = costs
        .iter()
        .map(|(name, cpu_ms, mib)| (key(name), cost((*cpu_ms, *mib))));
    let expected: Vec<(Key, Measure)> = expected.iter().map(|(name, measure)| (key(name), *measure)).collect();
    assert_eq!(choose(&costs.collect(), most), expected);
}

#[test]
fn the_dearest_go_first_and_no_more_than_needed() {
    use Measure::{Bytes, Cpu};
    let costs = [("a", 100, 1), ("b", 300, 1), ("c", 200, 9), ("d", 20, 1)];
    check(&costs, most(Some(620), Some(12)), &[]);
    check(&costs, most(None, None), &[]);
    check(&costs, most(Some(500), None), &[("b", Cpu)]);
    check(&costs, most(Some(310), None), &[("b", Cpu), ("c", Cpu)]);
    check(&costs, most(None, Some(3)), &[("c", Bytes)]);
    // The one that goes for its bytes is enough for both.
    let costs = [("a", 300, 1), ("b", 290, 9)];
    check(&costs, most(Some(300), Some(5)), &[("b", Bytes)]);
    // Ties by name.
    let costs = [("z", 100, 0), ("y", 100, 0), ("x", 100, 0)];
    check(&costs, most(Some(200), None), &[("x", Cpu)]);
}

/// The fewest that have to go, by trying all.
fn fewest(costs: &BTreeMap<Key, Cost>, most: Most) -> u32 {
    let all: Vec<Cost> = costs.values().copied().collect();
    let admits = |gone: &u32| {
        let rest = all.iter().enumerate().filter(|(at, _)| gone & (1 << at) == 0);
        most.admits(Cost::sum(rest.map(|(_, cost)| cost)))
    };
    let sets = (0..1_u32 << all.len()).filter(admits);
    sets.map(u32::count_ones).min().expect("nobody is within any limit")
}

proptest! {
    #[test]
    fn the_rest_are_within_the_limits_and_nobody_goes_for_nothing(
        costs in prop::collection::btree_map("[a-e]{1,2}", (0_u64..9, 0_u64..9), 0..9),
        cpu_ms in prop::option::of(0_u64..30),
        mib in prop::option::of(0_u64..30),
    ) {
        let costs: BTreeMap<Key, Cost> = costs.iter().map(|(name, one)| (key(name), cost(*one))).collect();
        let most = most(cpu_ms, mib);
        let chosen = choose(&costs, most);
        let is_chosen = |key: &Key| chosen.iter().any(|(one, _)| one == key);
        let rest = || costs.iter().filter(|(key, _)| !is_chosen(key)).map(|(_, cost)| cost);
        prop_assert!(most.admits(Cost::sum(rest())));
        for (key, measure) in &chosen {
            let back = Cost::sum(rest().chain([&costs[key]]));
            prop_assert!(!most.admits(back), "{:?} could stay", key);
            // Whoever stays is no dearer, by what it went for: if only that is limited.
            if cpu_ms.is_none() || mib.is_none() {
                let cheaper = costs.iter().filter(|(other, _)| !is_chosen(other));
                let bound = costs[key].by(*measure);
                prop_assert!(cheaper.map(|(_, cost)| cost.by(*measure)).all(|other| other <= bound));
            }
        }
        if cpu_ms.is_none() || mib.is_none() {
            prop_assert_eq!(chosen.len(), fewest(&costs, most) as usize);
        }
    }
}

/// A tenant that may take 500 ms/s and 100 MiB/s.
fn budget() -> TenantBudget {
    TenantBudget::new(Tenant {
        name: "trade".to_owned(),
        cpu_us_per_s: Some(500_000),
        bytes_per_s: Some(100 << 20),
    })
}

/// Lets so many seconds go by, in which monitors cost so many milliseconds and MiB a second: who is suspended when.
fn run(budget: &mut TenantBudget, from_s: u64, seconds: u64, costs: &[(&str, u64, u64)]) -> Vec<(u64, Vec<Chosen>)> {
    let mut all = Vec::new();
    for second in from_s + 1..=from_s + seconds {
        for (name, cpu_ms, mib) in costs {
            let used = Usage {
                cpu_ns: cpu_ms * 1_000_000,
                bytes: mib << 20,
                advanced_ns: 0,
            };
            budget.charge(key(name), used);
        }
        let chosen = budget.judge(second * SECOND, |_| true);
        if !chosen.is_empty() {
            all.push((second, chosen));
        }
    }
    all
}

#[test]
fn three_periods_in_a_row_suspend_and_fewer_do_not() {
    let mut budget = budget();
    assert_eq!(budget.judge(0, |_| true), []);
    let (dear, cheap) = (
        [("a", 20, 1), ("b", 320, 1), ("c", 280, 1)],
        [("a", 20, 1), ("b", 320, 1)],
    );
    assert_eq!(run(&mut budget, 0, 20, &dear), []);
    assert_eq!(run(&mut budget, 20, 10, &cheap), []);
    assert_eq!(run(&mut budget, 30, 20, &dear), []);
    assert_eq!(run(&mut budget, 50, 10, &cheap), []);
    let suspended = run(&mut budget, 60, 30, &dear);
    let why = "suspended for the cost of its tenant `trade`: its monitors took 620.0 ms of CPU a second here, its \
               limit is 500.0";
    let expected = Chosen {
        key: key("b"),
        why: why.to_owned(),
    };
    assert_eq!(suspended, [(90, vec![expected])]);
    let rate = budget.rate();
    assert_eq!((rate.cpu_us, rate.bytes), (620_000, 3 << 20));
    // The rest are within the limit.
    assert_eq!(run(&mut budget, 90, 300, &[("a", 20, 1), ("c", 280, 1)]), []);
}

#[test]
fn bytes_are_limited_as_well() {
    let mut budget = budget();
    assert_eq!(budget.judge(0, |_| true), []);
    let suspended = run(&mut budget, 0, 30, &[("a", 1, 60), ("b", 1, 50)]);
    let [(30, chosen)] = suspended.as_slice() else {
        panic!("{suspended:?}")
    };
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].key, key("a"));
    let why = "its monitors read 110.0 MiB of log a second here, its limit is 100.0";
    assert!(chosen[0].why.ends_with(why), "{}", chosen[0].why);
}

/// What was suspended for a limit of its own while a tenant was over is the tenant's no longer.
#[test]
fn who_is_suspended_already_is_not_counted_in() {
    let mut budget = budget();
    assert_eq!(budget.judge(0, |_| true), []);
    let costs = [("a", 300, 1), ("b", 400, 1)];
    assert_eq!(run(&mut budget, 0, 29, &costs), []);
    assert_eq!(budget.judge(30 * SECOND, |counted| *counted != key("b")), []);
    assert_eq!(run(&mut budget, 30, 100, &costs[..1]), []);
}

#[test]
fn other_limits_begin_anew() {
    let mut budget = budget();
    assert_eq!(budget.judge(0, |_| true), []);
    let costs = [("a", 300, 1), ("b", 300, 1)];
    assert_eq!(run(&mut budget, 0, 29, &costs), []);
    let same = budget.tenant.clone();
    assert!(!budget.change(&same));
    let lower = Tenant {
        cpu_us_per_s: Some(100_000),
        ..same
    };
    assert!(budget.change(&lower));
    assert_eq!(run(&mut budget, 29, 30, &costs), []);
    let suspended = run(&mut budget, 59, 10, &costs);
    assert_eq!(suspended.len(), 1);
    assert_eq!(suspended[0].1.len(), 2);
}
