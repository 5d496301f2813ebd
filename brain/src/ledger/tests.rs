//! Orders of a ledger in a time of its own.

use super::*;

const S: i64 = 1_000_000_000;

struct Stage {
    ledger: Ledger,
    randomness: Randomness,
    key: TaskKey,
    now_ns: i64,
}

impl Stage {
    fn new() -> Stage {
        let monitor = "m".to_owned();
        Stage {
            ledger: Ledger::default(),
            randomness: Randomness::seeded(1),
            key: TaskKey { monitor, version: 1 },
            now_ns: 10_000 * S,
        }
    }

    fn below(&mut self, windows: &[BelowWindow]) {
        self.ledger.below(&self.key, windows, self.now_ns, &self.randomness);
    }

    fn audited(&mut self, audit: Audit) -> usize {
        self.ledger.audited(&self.key, &audit, self.now_ns, &self.randomness)
    }

    /// Windows ordered when so much time has passed, in seconds.
    fn orders_after(&mut self, wait_s: i64) -> Vec<i64> {
        self.now_ns += wait_s * S;
        let orders = self
            .ledger
            .orders(|_| true, self.now_ns, self.now_ns - 86_400 * S, &self.randomness);
        orders
            .into_iter()
            .flat_map(|order| order.windows)
            .map(|window_ns| window_ns / S)
            .collect()
    }
}

fn window(window_s: i64, state: HostState) -> BelowWindow {
    BelowWindow {
        window_ns: window_s * S,
        ok: 1,
        expected: 2,
        missing: BTreeMap::from([(state, 1)]),
        is_settled: false,
    }
}

fn nothing() -> Audit {
    Audit {
        below: Vec::new(),
        covered: i64::MIN..i64::MAX,
        undone: 0,
        missing: Vec::new(),
        found: Vec::new(),
        audited_to_ns: 0,
    }
}

#[test]
fn orders_come_at_growing_distances_until_the_window_is_complete() {
    let mut stage = Stage::new();
    stage.below(&[window(9_000, HostState::Timeout)]);
    let mut gaps_s = Vec::new();
    let mut last_s = 0;
    for second in 1..=7_200 {
        if !stage.orders_after(1).is_empty() {
            gaps_s.push(second - last_s);
            last_s = second;
        }
        // That a Reduce goes on saying so changes nothing.
        stage.below(&[window(9_000, HostState::Timeout)]);
    }
    let bounds = [30, 60, 120, 240, 480, 900, 900, 900];
    assert!(gaps_s.len() >= bounds.len(), "{gaps_s:?}");
    for (gap_s, bound_s) in gaps_s.iter().zip(bounds) {
        assert!((bound_s / 2..=bound_s + 1).contains(gap_s), "{gaps_s:?}");
    }
    assert_eq!(stage.audited(nothing()), 1);
    assert_eq!(
        (stage.ledger.count(&stage.key), stage.orders_after(3_600).len()),
        (0, 0)
    );
}

#[test]
fn what_is_gone_for_good_or_behind_the_horizon_is_not_ordered() {
    let mut stage = Stage::new();
    let unknown = BelowWindow {
        expected: 0,
        ..window(9_001, HostState::Timeout)
    };
    stage.below(&[window(9_000, HostState::BytesLost), unknown]);
    assert_eq!(stage.orders_after(3_600), [0; 0]);
    let mut both = window(9_000, HostState::BytesLost);
    both.missing.insert(HostState::Denied, 1);
    stage.below(&[both]);
    assert_eq!(stage.orders_after(3_600), [9_000]);
    assert_eq!(stage.orders_after(86_400), [0; 0]);
    assert_eq!(stage.ledger.count(&stage.key), 0);
}

/// A window that a Map left out for its cost is settled without its hosts: nobody reads them again, so an order would
/// come to nothing.
#[test]
fn what_was_suspended_is_not_ordered_once_its_window_is_settled() {
    let settled = |state| BelowWindow {
        is_settled: true,
        ..window(9_000, state)
    };
    let check = |below: BelowWindow, is_ordered: bool| {
        let mut stage = Stage::new();
        stage.below(std::slice::from_ref(&below));
        assert_eq!(!stage.orders_after(3_600).is_empty(), is_ordered, "{below:?}");
    };
    check(settled(HostState::OverBudget), false);
    check(window(9_000, HostState::OverBudget), true);
    // A host that left the inventory as it was unreachable lets its window settle, and may come back.
    check(settled(HostState::Unreachable), true);
    let and = |mut below: BelowWindow, state| {
        below.missing.insert(state, 1);
        below
    };
    check(and(settled(HostState::OverBudget), HostState::BytesLost), false);
    check(and(settled(HostState::OverBudget), HostState::Unreachable), true);
    check(and(window(9_000, HostState::OverBudget), HostState::BytesLost), true);
}

#[test]
fn fresh_windows_come_first_and_not_all_at_once() {
    let mut stage = Stage::new();
    let windows: Vec<BelowWindow> = (0..40).map(|index| window(9_000 + index, HostState::Timeout)).collect();
    stage.below(&windows);
    let newest: Vec<i64> = (9_024..9_040).rev().collect();
    assert_eq!(stage.orders_after(60), newest);
    let next: Vec<i64> = (9_008..9_024).rev().collect();
    assert_eq!(stage.orders_after(1), next);
    assert_eq!(stage.orders_after(0).len(), 8);
    let version = 2;
    for monitor in ["a", "b", "c", "d", "e", "f"] {
        let monitor = monitor.to_owned();
        stage
            .ledger
            .below(&TaskKey { monitor, version }, &windows, stage.now_ns, &stage.randomness);
    }
    stage.now_ns += 60 * S;
    let orders = stage
        .ledger
        .orders(|key| key.monitor != "m", stage.now_ns, 0, &stage.randomness);
    assert_eq!(
        orders.iter().map(|order| order.windows.len()).sum::<usize>(),
        TICK_WINDOWS_MAX
    );
    assert!(orders.iter().all(|order| order.key.monitor != "m"));
}

#[test]
fn the_store_says_what_is_complete_only_where_it_was_looked() {
    let mut stage = Stage::new();
    stage.below(&[window(9_000, HostState::Timeout), window(9_100, HostState::Timeout)]);
    assert_eq!(stage.orders_after(60).len(), 2);
    let cut = Audit {
        covered: i64::MIN..9_050 * S,
        ..nothing()
    };
    assert_eq!((stage.audited(cut), stage.ledger.count(&stage.key)), (1, 1));
    let still = Audit {
        below: vec![window(9_100, HostState::Timeout)],
        ..nothing()
    };
    assert_eq!((stage.audited(still), stage.ledger.count(&stage.key)), (0, 1));
    assert_eq!((stage.audited(nothing()), stage.ledger.count(&stage.key)), (1, 0));
}

#[test]
fn missing_windows_are_ordered_until_they_are_found() {
    let mut stage = Stage::new();
    let missing = Audit {
        missing: vec![9_000 * S, 9_001 * S],
        ..nothing()
    };
    assert_eq!(stage.audited(missing), 0);
    assert_eq!(stage.orders_after(60), [9_001, 9_000]);
    assert_eq!(stage.audited(nothing()), 0);
    assert_eq!(
        stage.ledger.missing_of(&stage.key).collect::<Vec<_>>(),
        [9_000 * S, 9_001 * S]
    );
    let found = Audit {
        found: vec![9_000 * S],
        ..nothing()
    };
    assert_eq!((stage.audited(found), stage.ledger.count(&stage.key)), (1, 1));
    stage.ledger.forget(&stage.key.clone());
    assert_eq!(stage.ledger.count(&stage.key), 0);
}
