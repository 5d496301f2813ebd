//! The checker itself: a right answer passes, and each way of being wrong has its name.

use super::*;
use serde_json::json;
use sunfire_tests::live::ledger::Fate;

const BY_HOST: Watched = Watched {
    name: "by_host",
    length_ns: 5 * SECOND_NS,
    groups: Groups::Host,
};
const START_NS: i64 = 1_000 * SECOND_NS;

/// Two hosts that wrote two records each into the window, the last of b a minute later.
fn ledger() -> Ledger {
    let ledger = Ledger::default();
    for (host, after_s) in [("a", 0), ("a", 0), ("b", 0), ("b", 60)] {
        let written_ns = START_NS + (1 + after_s) * SECOND_NS;
        ledger.note(Entry {
            host: host.to_owned(),
            stamp_ns: START_NS + SECOND_NS,
            op: "pay",
            value_milli: 1_500,
            lines: 1,
            fate: Fate::Counts,
            written_ns,
            begun_ns: written_ns,
        });
    }
    ledger
}

fn point(host: &str, records: u64, revision: u64, (ok, missing): (u64, &[(&str, u64)])) -> Point {
    let expected = ok + missing.iter().map(|(_, hosts)| hosts).sum::<u64>();
    Point {
        window_ns: START_NS,
        group: json!({ "host": host }),
        values: json!({ "records": records, "lines": records, "value": 1.5 * records as f64 }),
        percent: (100 * ok).checked_div(expected),
        hosts: (ok, expected),
        late: 0,
        lost: 0,
        state: "settled".to_owned(),
        revision,
        missing: missing
            .iter()
            .map(|(state, hosts)| ((*state).to_owned(), *hosts))
            .collect(),
    }
}

fn answer(points: Vec<Point>, states: &[(&str, &str)]) -> Answer {
    let states = states
        .iter()
        .map(|(host, state)| ((*host).to_owned(), (*state).to_owned()));
    Answer {
        start_ns: START_NS,
        points,
        hosts: Some(states.collect()),
        answered_ns: START_NS + 10 * SECOND_NS,
    }
}

const BOTH: &[(&str, &str)] = &[("a", "ok"), ("b", "ok")];

/// Complete: two records of a, so many of b.
fn complete(of_b: u64, revision: u64) -> Answer {
    let ok = (2, &[][..]);
    answer(vec![point("a", 2, revision, ok), point("b", of_b, revision, ok)], BOTH)
}

/// Only a is there.
fn half(state: &str, of_a: u64, revision: u64) -> Answer {
    answer(
        vec![point("a", of_a, revision, (1, &[(state, 1)]))],
        &[("a", "ok"), ("b", state)],
    )
}

/// Checks answers one after the other; the promises that were broken.
#[track_caller]
fn check(answers: &[Answer], expected: &[&str]) -> Marks {
    let (ledger, strokes) = (ledger(), Strokes::default());
    let mut members = Members::default();
    members.list(0, BOTH.iter().map(|(host, _)| (*host).to_owned()).collect());
    let mut checker = Checker::new(&ledger, &strokes);
    for answer in answers {
        let is_over = answer.answered_ns > START_NS + 100 * SECOND_NS;
        checker.check(BY_HOST, answer, &members, is_over);
    }
    let ids: Vec<&str> = checker.violations.iter().map(|violation| violation.id).collect();
    assert_eq!(ids, expected, "{:#?}", checker.violations);
    checker.marks
}

fn later(mut answer: Answer) -> Answer {
    answer.answered_ns = START_NS + 200 * SECOND_NS;
    answer
}

#[test]
fn right_answers_pass() {
    check(&[complete(1, 1)], &[]);
    check(&[half("unreachable", 2, 1), complete(1, 2)], &[]);
    let marks = check(&[complete(1, 1), later(complete(2, 2))], &[]);
    assert!(marks.has(Mark::HeldBack));
}

#[test]
fn wrong_values_are_named_by_what_they_claim() {
    check(&[complete(0, 1)], &["C1-complete"]);
    check(&[complete(3, 1)], &["C1-complete"]);
    check(&[half("timeout", 1, 1)], &["C1-partial"]);
    // What was not written when it was answered cannot be in it, and at the end all is.
    check(&[complete(2, 1)], &["C1-complete"]);
    check(&[later(complete(1, 1))], &["C1-complete"]);
    let mut decimal = complete(1, 1);
    decimal.points[0].values["value"] = json!(3.001);
    check(&[decimal], &["C1-complete"]);
}

#[test]
fn what_was_said_before_binds() {
    check(&[complete(1, 2), complete(1, 1)], &["C7-revision"]);
    check(&[half("timeout", 2, 1), half("unreachable", 2, 1)], &[]);
    let mut silent = later(complete(2, 1));
    silent.points[0].values["records"] = json!(2);
    check(&[complete(1, 1), silent], &["C7-silent"]);
    check(&[complete(1, 1), half("unreachable", 2, 2)], &["M1-shrank"]);
    check(&[complete(1, 1), half("left", 2, 2)], &[]);
}

#[test]
fn completeness_must_agree_with_itself_and_with_who_is_listed() {
    let mut percent = half("timeout", 2, 1);
    percent.points[0].percent = Some(100);
    check(&[percent], &["C2-percent"]);
    let mut stranger = complete(1, 1);
    stranger.hosts = Some(
        [("a", "ok"), ("x", "ok")]
            .map(|(host, state)| (host.to_owned(), state.to_owned()))
            .into(),
    );
    check(&[stranger], &["C2-expected"]);
    check(&[half("bytes_lost", 2, 1)], &["F7-unfounded"]);
    check(&[half("behind", 2, 1)], &["P4-state"]);
    let mut torn = complete(1, 1);
    torn.points[1].revision = 2;
    check(&[torn], &["M3-header"]);
}
