//! The history against a plain list of what was said when.

use super::*;
use proptest::prelude::*;

const S: i64 = 1_000_000_000;
const DAY: i64 = BEGINNING_NS;

fn target(host: &str, address: &str) -> HostTarget {
    HostTarget {
        host: host.to_owned(),
        address: format!("{address}:1"),
        labels: BTreeMap::new(),
    }
}

/// Polls an application `a` and keeps what follows.
fn poll(history: &mut History, now_ns: i64, hosts: &[HostTarget], wholeness: Wholeness) -> Option<Change> {
    let change = history.change(&Found {
        app: "a",
        hosts,
        wholeness,
        now_ns,
        back_ns: 0,
    });
    if let Some(change) = &change {
        history.apply(change.clone());
    }
    if wholeness == Wholeness::Whole {
        history.polled("a", now_ns);
    }
    change
}

/// Versions and hosts expected in the window that starts at a time.
fn expected(history: &History, window_ns: i64) -> Option<(u64, Vec<String>)> {
    let spans = history.spans("a", window_ns, usize::MAX);
    let span = spans.iter().rev().find(|span| span.from_ns <= window_ns)?;
    Some((
        span.version,
        span.hosts.iter().map(|target| target.host.clone()).collect(),
    ))
}

#[track_caller]
fn check(history: &History, window_ns: i64, version: u64, hosts: &[&str]) {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    assert_eq!(
        expected(history, window_ns),
        Some((version, hosts)),
        "at {}",
        window_ns / S
    );
}

#[test]
fn a_host_joins_and_leaves_from_the_poll_before() {
    let mut history = History::default();
    let start = 3 * DAY + 500 * S;
    let (h1, h2) = (target("h1", "x"), target("h2", "y"));
    poll(&mut history, start, std::slice::from_ref(&h1), Wholeness::Whole);
    assert_eq!(expected(&history, 3 * DAY - 1), None);
    check(&history, 3 * DAY, 1, &["h1"]);
    poll(&mut history, start + S, std::slice::from_ref(&h1), Wholeness::Whole);
    poll(&mut history, start + 2 * S, &[h1.clone(), h2.clone()], Wholeness::Whole);
    check(&history, start + S - 1, 1, &["h1"]);
    check(&history, start + S, 2, &["h1", "h2"]);
    poll(&mut history, start + 3 * S, std::slice::from_ref(&h2), Wholeness::Whole);
    check(&history, start + 2 * S - 1, 2, &["h1", "h2"]);
    check(&history, start + 2 * S, 3, &["h2"]);
}

#[test]
fn a_partial_poll_lets_nobody_go_and_a_new_address_is_no_new_host() {
    let mut history = History::default();
    let (h1, h2) = (target("h1", "x"), target("h2", "y"));
    poll(&mut history, DAY, &[h1.clone(), h2.clone()], Wholeness::Whole);
    assert_eq!(
        poll(&mut history, DAY + S, std::slice::from_ref(&h1), Wholeness::Partial),
        None
    );
    let moved = [target("h1", "z"), h2];
    let change = poll(&mut history, DAY + 2 * S, &moved, Wholeness::Whole).expect("a change");
    assert_eq!((change.version, change.left.len(), change.joined.len()), (2, 0, 1));
    let hosts: Vec<&HostTarget> = history.hosts("a").collect();
    assert_eq!(hosts, [&moved[0], &moved[1]]);
}

#[test]
fn a_host_found_after_a_restart_joins_from_the_last_poll_before_it() {
    let mut history = History::default();
    let (h1, h2) = (target("h1", "x"), target("h2", "y"));
    poll(&mut history, DAY, std::slice::from_ref(&h1), Wholeness::Whole);
    let polls = history.polls().clone();
    let mut restarted = History::of(history.folded(0));
    restarted.set_polls(polls);
    poll(&mut restarted, DAY + 100 * S, &[h1, h2], Wholeness::Whole);
    check(&restarted, DAY, 2, &["h1", "h2"]);
}

#[test]
fn a_clock_stepped_back_does_not_change_the_past() {
    let mut history = History::default();
    let (h1, h2) = (target("h1", "x"), target("h2", "y"));
    poll(&mut history, DAY + 100 * S, std::slice::from_ref(&h1), Wholeness::Whole);
    poll(&mut history, DAY + 200 * S, &[h1.clone(), h2.clone()], Wholeness::Whole);
    let change = poll(&mut history, DAY + 50 * S, std::slice::from_ref(&h2), Wholeness::Whole).expect("a change");
    assert_eq!(change.from_ns, DAY + 100 * S);
}

#[test]
fn spans_over_the_bound_go_oldest_first_and_the_newest_stays() {
    let mut history = History::default();
    for count in 1..5 {
        let hosts: Vec<HostTarget> = (0..count).map(|index| target(&format!("h{index}"), "x")).collect();
        poll(&mut history, DAY + i64::from(count) * S, &hosts, Wholeness::Whole);
    }
    let versions = |hosts_max| -> Vec<u64> {
        let spans = history.spans("a", 0, hosts_max);
        spans.iter().map(|span| span.version).collect()
    };
    assert_eq!(versions(100), [1, 2, 3, 4]);
    assert_eq!(versions(7), [3, 4]);
    assert_eq!(versions(1), [4]);
}

proptest! {
    #[test]
    fn the_history_says_of_every_window_what_was_said_at_its_poll(
        polls in prop::collection::vec((1i64..100, prop::collection::btree_set(0u8..6, 0..5)), 1..20),
        fold_at in 0i64..1500,
    ) {
        let mut history = History::default();
        let mut now_ns = DAY;
        // From when on which hosts are expected, by the rule: from the poll before.
        let mut said: Vec<(i64, BTreeSet<u8>)> = Vec::new();
        let mut before_ns = DAY;
        for (step, hosts) in &polls {
            now_ns += step * S;
            let targets: Vec<HostTarget> = hosts.iter().map(|host| target(&format!("h{host}"), "x")).collect();
            poll(&mut history, now_ns, &targets, Wholeness::Whole);
            let is_change = said.last().map_or(!hosts.is_empty(), |(_, last)| last != hosts);
            if is_change {
                let from_ns = if said.is_empty() { DAY } else { before_ns };
                said.push((from_ns, hosts.clone()));
            }
            before_ns = now_ns;
        }
        let folded_ns = DAY + fold_at * S;
        let folded = History::of(history.folded(folded_ns));
        let mut versions = BTreeSet::new();
        for window_ns in (DAY..now_ns + 10 * S).step_by(7 * S as usize) {
            let model = said.iter().rev().find(|(from_ns, _)| *from_ns <= window_ns);
            let model = model.map(|(_, hosts)| hosts.iter().map(|host| format!("h{host}")).collect::<Vec<_>>());
            let found = expected(&history, window_ns);
            prop_assert_eq!(found.clone().map(|(_, hosts)| hosts), model);
            versions.extend(found.clone().map(|(version, _)| version));
            if window_ns >= folded_ns {
                prop_assert_eq!(expected(&folded, window_ns), found);
            }
        }
        prop_assert!(versions.len() <= said.len());
    }
}
