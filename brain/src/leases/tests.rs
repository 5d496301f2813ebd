//! Versions of a monitor as an editor changes it: whatever the order, no window has two, and the past stays.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const S: i64 = 1_000_000_000;

fn wanted(text: &str, window_s: i64) -> Wanted {
    Wanted::of_text(text, window_s * S)
}

/// Has a monitor `m` be what is wanted.
fn want(leases: &mut Leases, text: &str, window_s: i64, now_s: i64, back_s: i64) {
    if let Some(turn) = leases.turn("m", &wanted(text, window_s), now_s * S, back_s * S) {
        leases.apply(turn);
    }
}

fn end(leases: &mut Leases, now_s: i64) {
    if let Some(turn) = leases.end("m", now_s * S) {
        leases.apply(turn);
    }
}

/// Leases as (text, from, until) in seconds.
#[track_caller]
fn check(leases: &Leases, expected: &[(&str, i64, Option<i64>)]) {
    let brief = |lease: &Lease| {
        let Definition::Yaml(text) = &lease.definition else {
            panic!("{lease:?}");
        };
        (
            text.clone(),
            lease.from_ns / S,
            lease.until_ns.map(|until_ns| until_ns / S),
        )
    };
    let found: Vec<(String, i64, Option<i64>)> = leases.of_monitor("m").iter().map(brief).collect();
    let expected: Vec<(String, i64, Option<i64>)> = expected
        .iter()
        .map(|(text, from, until)| ((*text).to_owned(), *from, *until))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_new_monitor_begins_as_far_back_as_is_asked() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 5, 1003, 600);
    check(&leases, &[("a", 400, None)]);
    want(&mut leases, "a", 5, 2000, 600);
    check(&leases, &[("a", 400, None)]);
}

#[test]
fn versions_meet_at_an_edge_of_both_their_windows() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 10, 0, 0);
    want(&mut leases, "b", 15, 1000, 0);
    check(&leases, &[("a", 0, Some(1020)), ("b", 1020, None)]);
}

#[test]
fn what_never_began_never_does_and_a_change_taken_back_changes_nothing() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 5, 0, 0);
    want(&mut leases, "b", 60, 1000, 0);
    check(&leases, &[("a", 0, Some(1020)), ("b", 1020, None)]);
    want(&mut leases, "c", 5, 1001, 0);
    check(
        &leases,
        &[("a", 0, Some(1020)), ("b", 1020, Some(1020)), ("c", 1020, None)][..1]
            .iter()
            .chain(&[("c", 1020, None)])
            .copied()
            .collect::<Vec<_>>(),
    );
    want(&mut leases, "a", 5, 1002, 0);
    check(&leases, &[("a", 0, None)]);
}

#[test]
fn a_version_that_answered_before_comes_back_under_another_number() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 5, 0, 0);
    want(&mut leases, "b", 5, 100, 0);
    want(&mut leases, "a", 5, 200, 0);
    check(&leases, &[("a", 0, Some(105)), ("b", 105, Some(205)), ("a", 205, None)]);
    let versions: BTreeSet<u64> = leases.of_monitor("m").iter().map(|lease| lease.version).collect();
    assert_eq!(versions.len(), 3);
}

#[test]
fn a_monitor_that_was_removed_goes_on_later_without_overlap() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 5, 0, 0);
    end(&mut leases, 102);
    check(&leases, &[("a", 0, Some(105))]);
    assert_eq!(leases.standing().count(), 0);
    want(&mut leases, "a", 5, 103, 600);
    check(&leases, &[("a", 0, None)]);
    end(&mut leases, 200);
    want(&mut leases, "a", 5, 1000, 100);
    check(&leases, &[("a", 0, Some(200)), ("a", 900, None)]);
}

#[test]
fn old_leases_are_folded_away() {
    let mut leases = Leases::default();
    want(&mut leases, "a", 5, 0, 0);
    want(&mut leases, "b", 5, 100, 0);
    want(&mut leases, "c", 5, 200, 0);
    check(
        &Leases::of(leases.folded(150 * S)),
        &[("b", 105, Some(205)), ("c", 205, None)],
    );
    check(
        &Leases::of(leases.folded(0)),
        &[("a", 0, Some(105)), ("b", 105, Some(205)), ("c", 205, None)],
    );
}

/// Another text with another window, or that the monitor is removed.
fn change() -> impl Strategy<Value = Option<(u8, i64)>> {
    prop::option::of((0u8..3, prop::sample::select(vec![1i64, 5, 10, 60])))
}

proptest! {
    #[test]
    fn no_window_has_two_versions_and_the_past_stays(
        steps in prop::collection::vec((0i64..400, change()), 1..24),
        back_s in 0i64..100,
    ) {
        let (mut leases, mut turns, mut now_s) = (Leases::default(), Vec::new(), 10_000);
        for (step_s, what) in &steps {
            now_s += step_s;
            let before = leases.clone();
            let turn = match what {
                Some((text, window_s)) => {
                    let wanted = wanted(&format!("{text} {window_s}"), *window_s);
                    leases.turn("m", &wanted, now_s * S, back_s * S)
                }
                None => leases.end("m", now_s * S),
            };
            if let Some(turn) = turn {
                turns.push(turn.clone());
                leases.apply(turn);
            }
            let all = leases.of_monitor("m");
            let versions: BTreeSet<u64> = all.iter().map(|lease| lease.version).collect();
            prop_assert_eq!(versions.len(), all.len());
            for pair in all.windows(2) {
                prop_assert!(pair[0].until_ns.is_some_and(|until_ns| until_ns <= pair[1].from_ns), "{:?}", pair);
                let until_ns = pair[0].until_ns.unwrap_or_default();
                prop_assert_eq!(until_ns % pair[0].window_ns, 0);
            }
            prop_assert!(all.iter().all(|lease| lease.from_ns % lease.window_ns == 0));
            if let Some((text, window_s)) = what {
                let last = all.last().expect("a lease");
                prop_assert_eq!(last.fingerprint, wanted(&format!("{text} {window_s}"), *window_s).fingerprint);
                prop_assert_eq!(last.until_ns, None);
            }
            let at = |leases: &Leases, time_ns: i64| leases
                .of_monitor("m")
                .iter()
                .find(|lease| lease.from_ns <= time_ns && lease.until_ns.is_none_or(|until_ns| time_ns < until_ns))
                .map(|lease| lease.version);
            for time_s in (9_800..now_s).step_by(13) {
                let was = at(&before, time_s * S);
                prop_assert!(was.is_none() || at(&leases, time_s * S) == was, "the version at {} changed", time_s);
            }
        }
        let replayed = Leases::of(turns);
        prop_assert_eq!(replayed.of_monitor("m"), leases.of_monitor("m"));
    }
}
