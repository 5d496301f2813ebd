//! Questions with answers computed by hand.

use super::tests_world::{SECOND_NS, Window, World};
use super::*;
use map::verdict::HostState;
use reduce::point::{Flag, WindowState, display_text};
use reduce::value::OutputValue;

const BOTH: &[HostState] = &[HostState::Ok, HostState::Ok];
const HALF: &[HostState] = &[HostState::Ok, HostState::Unreachable];
/// Long after everything: no window is open any more.
const LATER_S: i64 = 100_000;

fn ask_at(world: &World, text: &str, now_s: i64) -> Result<Answer, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(run(world, text, now_s * SECOND_NS))
}

/// Asks about the first two minutes of 1970.
pub(super) fn ask(world: &World, text: &str) -> Answer {
    let text = format!("{text} from 1970-01-01T00:00:00Z to 1970-01-01T00:02:00Z");
    ask_at(world, &text, LATER_S).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(value: &OutputValue) -> String {
    match value {
        OutputValue::Null => "null".to_owned(),
        OutputValue::Number(text) => text.clone(),
        OutputValue::Text(text) => format!("'{}'", display_text(text)),
    }
}

/// A point as `second group: values percent%`.
fn brief(point: &QueryPoint) -> String {
    let group = point
        .group()
        .iter()
        .map(|(_, text)| text.as_deref().map_or("-".to_owned(), display_text));
    let group: Vec<String> = group.collect();
    let values: Vec<String> = point.values().iter().map(|(_, value)| shown(value)).collect();
    let percent = point
        .completeness()
        .percent()
        .map_or("?".to_owned(), |percent| percent.to_string());
    let second = point.start_ns() / SECOND_NS;
    format!("{second} {}: {} {percent}%", group.join(","), values.join(" "))
}

#[track_caller]
pub(super) fn check(world: &World, text: &str, expected: &[&str]) -> Answer {
    let answer = ask(world, text);
    let points: Vec<String> = answer.points.iter().map(brief).collect();
    assert_eq!(points, expected, "{text}: {:?}", answer.warnings);
    answer
}

pub(super) const MQL: &str = "select count() as n, sum(b) as bytes, p50(ms) as p50_ms, max(ms) as max_ms, \
                              avg(ms) as avg_ms, 100 * count(s = '500') / count() as errors_percent, \
                              rate() as per_s, distinct(u) as users, first(u) as who, count(s = '500') as errors \
                              parse logfmt group by field('path'), s every 10s";

/// Two windows of ten seconds: /a with 200 and 500, /b with 200 in the second only.
fn two_windows() -> World {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    let first = [
        "path=/a s=200 ms=1 b=10 u=x",
        "path=/a s=200 ms=3 b=0.5 u=y",
        "path=/a s=500 ms=9 b=1 u=x",
    ];
    let second = ["path=/a s=200 ms=2 b=10 u=x", "path=/b s=200 ms=7 b=100 u=z"];
    for (start_s, lines) in [(0, &first[..]), (10, &second[..])] {
        world.store(&Window {
            start_s,
            lines,
            hosts: BOTH,
            ..Window::default()
        });
    }
    world
}

#[test]
fn a_star_gives_the_points_as_they_are() {
    let answer = check(
        &two_windows(),
        "select * from m",
        &[
            "0 /a,200: 2 10.5 1 3 2 0 0.2 2 'x' 0 100%",
            "0 /a,500: 1 1 9 9 9 100 0.1 1 'x' 1 100%",
            "10 /a,200: 1 10 2 2 2 0 0.1 1 'x' 0 100%",
            "10 /b,200: 1 100 7 7 7 0 0.1 1 'z' 0 100%",
        ],
    );
    assert_eq!(answer.group_by, ["path", "s"]);
    assert_eq!(answer.outputs[..3], ["n", "bytes", "p50_ms"]);
    assert_eq!(answer.window_ms, 10_000);
}

#[test]
fn bare_columns_merge_by_their_own_aggregate() {
    let world = two_windows();
    check(
        &world,
        "select n, bytes, p50_ms, max_ms, avg_ms, errors_percent, per_s, users from m",
        &[
            "0 : 3 11.5 3 9 4.333333333 33.333333333 0.3 2 100%",
            "10 : 2 110 2 7 4.5 0 0.2 2 100%",
        ],
    );
    // The step is of six windows, of which two are stored: the rate is by the seconds that were covered.
    check(
        &world,
        "select n, p50_ms, avg_ms, errors_percent, per_s, users from m every 1m",
        &["0 : 5 3 4.4 20 0.25 3 33%"],
    );
    check(
        &world,
        "select p50_ms, errors_percent from m group by path every 1m",
        &["0 /a: 2 25 33%", "0 /b: 7 0 33%"],
    );
}

#[test]
fn aggregates_are_exact_or_refused() {
    let world = two_windows();
    check(
        &world,
        "select sum(n), max(max_ms), min(max_ms), max(n), max(p50_ms), min(p50_ms), avg(avg_ms), rate(n) from m every \
         20s",
        &["0 : 5 9 2 2 9 1 4.4 0.25 100%"],
    );
    check(
        &world,
        "select 100 * sum(errors) / sum(n) as share, -sum(n) + 1, max(n) / sum(n), 7 % n from m",
        &["0 : 33.333333333 -2 0.666666667 1 100%", "10 : 0 -1 0.5 1 100%"],
    );
    let refused = [
        (
            "avg(p50_ms)",
            "`p50_ms` is a percentile: an average of such values is no value of the whole",
            "write `p50_ms`: it is merged by its own aggregate, over windows and groups",
        ),
        (
            "sum(p50_ms)",
            "`p50_ms` is a percentile: a sum of such values is no value of the whole",
            "write `p50_ms`: it is merged by its own aggregate, over windows and groups",
        ),
        (
            "sum(users)",
            "`users` is a number of different values: a sum of such values is no value of the whole",
            "write `users`: it is merged by its own aggregate, over windows and groups",
        ),
        (
            "avg(n)",
            "`n` is a count or a sum: an average of its points would leave out the windows in which a group is absent",
            "write sum(n), or rate(n) for a second's share",
        ),
        (
            "max(who)",
            "`who` is a text: texts have no least or greatest",
            "write `who`: it is merged by its own aggregate, over windows and groups",
        ),
        (
            "p99(n)",
            "`n` is a count or a sum: this cannot be computed of stored points",
            "write `n`: it is merged by its own aggregate, over windows and groups",
        ),
        (
            "count()",
            "it counts records, and stored points are none",
            "name a stored column: sum(requests)",
        ),
        ("byts", "`m` has no column `byts`", "did you mean `bytes`?"),
        (
            "path",
            "`path` is a group column of `m`, not a value",
            "write `group by path`",
        ),
        (
            "sum(n where host = 'a')",
            "`m` keeps no `host` apart, so its points cannot be filtered by it",
            "its group columns are: path, s; add `host` to its group_by",
        ),
    ];
    for (output, message, hint) in refused {
        let error = ask_at(&world, &format!("select {output} from m since 30m"), 60).expect_err(output);
        assert_eq!(error.to_string(), message, "{output}");
        let diagnostic = error.diagnostic().expect(output);
        assert_eq!(diagnostic.hint.as_deref(), Some(hint), "{output}");
        assert!(diagnostic.column >= 8, "{output}: at its place");
    }
}

#[test]
fn groups_and_conditions() {
    let world = two_windows();
    check(
        &world,
        "select n from m where s >= '500'",
        &["0 : 1 100%", "10 : 0 100%"],
    );
    check(
        &world,
        "select path, n from m where path = '/b' group by path",
        &["0 : 0 100%", "10 /b: 1 100%"],
    );
    check(
        &world,
        "select n from m where path like '/%' and s in ('200') group by s as status, path",
        &["0 200,/a: 2 100%", "10 200,/a: 1 100%", "10 200,/b: 1 100%"],
    );
    check(
        &world,
        "select sum(n where s = '500') as bad, sum(n), max(max_ms, s = '200') from m group by path",
        &["0 /a: 1 3 3 100%", "10 /a: 0 1 2 100%", "10 /b: 0 1 7 100%"],
    );
    let mistakes = [
        (
            "select n from m group by paht",
            "`m` keeps no `paht` apart",
            Some("did you mean `path`?"),
        ),
        (
            "select n from m every 5s",
            "the points of `m` are of 10000 ms, which do not fill these steps",
            None,
        ),
        (
            "select n from mm",
            "there is no monitor `mm` with stored points",
            Some("monitors with points are: m"),
        ),
    ];
    for (text, message, hint) in mistakes {
        let error = ask_at(&world, text, 60).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
        let given = error.diagnostic().and_then(|diagnostic| diagnostic.hint.clone());
        assert!(hint.is_none() || given.as_deref() == hint, "{text}: {given:?}");
    }
}

/// C3: what is not known is null.
#[test]
fn absence_is_zero_only_where_that_is_known() {
    let mut world = two_windows();
    for (start_s, hosts) in [(20, BOTH), (30, HALF), (40, &[HostState::Unreachable; 2]), (50, &[])] {
        world.store(&Window {
            start_s,
            hosts,
            ..Window::default()
        });
    }
    let tail = |text: &str| -> Vec<String> {
        ask(&world, text)
            .points
            .iter()
            .map(brief)
            .filter(|point| point > &"2".to_owned())
            .collect()
    };
    let grouped = tail("select n, avg_ms from m group by path");
    assert_eq!(
        grouped,
        [
            "20 : 0 null 100%",
            "30 : null null 50%",
            "40 : null null 0%",
            "50 : null null ?%"
        ]
    );
    let total = tail("select n, max_ms from m");
    assert_eq!(
        total,
        [
            "20 : 0 null 100%",
            "30 : 0 null 50%",
            "40 : null null 0%",
            "50 : null null ?%"
        ]
    );
    let filtered = tail("select n from m where path = '/a'");
    assert_eq!(
        filtered,
        ["20 : 0 100%", "30 : null 50%", "40 : null 0%", "50 : null ?%"]
    );
    let conditional = tail("select sum(n where path = '/a') from m");
    assert_eq!(
        conditional,
        ["20 : 0 100%", "30 : null 50%", "40 : null 0%", "50 : null ?%"]
    );
}

/// What a group is that a whole window does not name.
#[test]
fn absent_groups_are_zero_or_nothing() {
    #[track_caller]
    fn check(world: &World, select: &str, expected: &str) {
        let answer = ask(world, &format!("select {select} from m"));
        let shown = |(name, value): &(std::sync::Arc<str>, AbsentValue)| match value {
            AbsentValue::Zero => format!("{name}: 0"),
            AbsentValue::Null => format!("{name}: null"),
        };
        let absent: Vec<String> = answer.absent.iter().map(shown).collect();
        assert_eq!(absent.join(", "), expected);
    }
    let mut world = two_windows();
    check(
        &world,
        "*",
        "n: 0, bytes: 0, p50_ms: null, max_ms: null, avg_ms: null, errors_percent: null, per_s: 0, users: 0, who: \
         null, errors: 0",
    );
    check(
        &world,
        "sum(n) as a, max(n) as b, min(p50_ms) as c, 2 * sum(n) - n as d, sum(n) + 1 as e, sum(n where s = '500') as f",
        "a: 0, b: 0, c: null, d: 0, e: null, f: 0",
    );
    // Nothing is stored under this version: what it means has no weight.
    let other =
        "select count() as n, avg(b) as bytes, count() as late parse logfmt group by field('path'), s every 10s";
    world.monitor("m", 2, other);
    check(&world, "n, bytes", "n: 0, bytes: 0");
    // An output is a zero only where all versions in the range say so: one did not have `late`, the other averaged.
    world.monitor("m", 3, other);
    world.store(&Window {
        start_s: 20,
        version: 3,
        lines: &["path=/a s=200 b=1"],
        hosts: BOTH,
        ..Window::default()
    });
    check(&world, "n, bytes, late", "n: 0, bytes: null, late: null");
}

#[test]
fn nothing_stored_is_no_gap() {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    let answer = ask(&world, "select n from m");
    assert_eq!(answer.warnings, ["no window of `m` is stored yet"]);
    assert_eq!((answer.points.len(), answer.is_partial), (0, true));
    assert_eq!((answer.from_ns, answer.to_ns), (0, 120 * SECOND_NS));
}

/// A group that is absent at 100 % was zero there, and that is a least value too.
#[test]
fn least_values_know_of_zeros() {
    let world = two_windows();
    check(
        &world,
        "select min(n), max(n), min(p50_ms) from m group by path every 20s",
        &["0 /a: 0 2 1 100%", "0 /b: 0 1 7 100%"],
    );
    let mut half = two_windows();
    half.store(&Window {
        start_s: 0,
        lines: &["path=/a s=200 ms=1", "path=/a s=500 ms=1"],
        hosts: HALF,
        ..Window::default()
    });
    check(
        &half,
        "select min(n) from m group by path every 20s",
        &["0 /a: 0 75%", "0 /b: 1 75%"],
    );
}

#[test]
fn a_monitor_without_groups_averages_over_windows() {
    let mut world = World::default();
    world.monitor("m", 1, "select count() as n, rate() as per_s parse logfmt every 10s");
    let lines: [&[&str]; 4] = [&["a=1", "a=1", "a=1"], &[], &["a=1"], &[]];
    for (index, (lines, hosts)) in lines
        .into_iter()
        .zip([BOTH, BOTH, HALF, &[HostState::Denied]])
        .enumerate()
    {
        world.store(&Window {
            start_s: index as i64 * 10,
            lines,
            hosts,
            ..Window::default()
        });
    }
    check(
        &world,
        "select n, avg(n), min(n), per_s from m",
        &[
            "0 : 3 3 3 0.3 100%",
            "10 : 0 0 0 0 100%",
            "20 : 1 1 1 0.1 50%",
            "30 : null null null null 0%",
        ],
    );
    check(
        &world,
        "select n, avg(n), min(n), max(n) from m every 30s",
        &["0 : 4 1.333333333 0 3 83%", "30 : null null null null 0%"],
    );
}

#[test]
fn completeness_of_steps_is_never_more_than_that_of_their_windows() {
    let mut world = two_windows();
    world.store(&Window {
        start_s: 20,
        hosts: HALF,
        late: 3,
        state: WindowState::Provisional,
        ..Window::default()
    });
    let answer = check(&world, "select n from m every 30s", &["0 : 5 83%"]);
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    let expected = serde_json::json!({
        "monitor": "m", "window": "1970-01-01T00:00:00Z", "window_ms": 30_000, "group": {}, "values": {"n": 5},
        "completeness": {
            "percent": 83, "ok": 5, "expected": 6, "missing": {"unreachable": 1}, "records": 5, "lost": {"late": 3},
            "records_percent": 62.5, "min_percent": 50, "windows": 3, "windows_expected": 3,
        },
        "state": "provisional", "revision": 9,
    });
    assert_eq!(json, expected);
    assert!(answer.is_partial);
    // Of a window nothing is known to be expected: the step is not at 100 %.
    let mut unknown = two_windows();
    unknown.store(&Window {
        start_s: 20,
        hosts: &[],
        ..Window::default()
    });
    let answer = check(&unknown, "select n from m every 30s", &["0 : 5 99%"]);
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    assert_eq!(json["completeness"]["min_percent"], serde_json::Value::Null);
}

#[test]
fn windows_that_are_not_stored_are_said() {
    let mut world = two_windows();
    world.store(&Window {
        start_s: 60,
        lines: &["path=/a s=200 ms=1"],
        ..Window::default()
    });
    let answer = check(&world, "select n from m every 1m", &["0 : 5 33%", "60 : 1 16%"]);
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    assert_eq!(json["completeness"]["missing"], serde_json::json!({"not_stored": 8}));
    assert_eq!(json["state"], "open");
    let named = "1970-01-01T00:00:20Z to 1970-01-01T00:01:00Z, 1970-01-01T00:01:10Z to 1970-01-01T00:02:00Z";
    let warning = format!("9 windows are not stored, and are gaps, not zeros: {named}");
    assert_eq!(answer.warnings, [warning.as_str()]);
    assert!(answer.is_partial);
    let answer = check(&world, "select n from m", &["0 : 3 100%", "10 : 2 100%", "60 : 1 100%"]);
    assert_eq!(answer.warnings, [warning.as_str()]);
    assert!(answer.is_partial);
}

/// Before a monitor's first window nothing can be missing; between its windows it can.
#[test]
fn the_beginning_of_a_monitor_is_said() {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    let window = |start_s| Window {
        start_s,
        hosts: BOTH,
        ..Window::default()
    };
    (80..120).step_by(10).for_each(|start_s| world.store(&window(start_s)));
    let answer = ask(&world, "select n from m");
    assert_eq!(
        (answer.points.len(), answer.is_partial),
        (4, false),
        "{:?}",
        answer.warnings
    );
    let warning = "there are no windows of `m` before 1970-01-01T00:01:20Z: it began then, or older ones were removed \
                   by age; they are gaps, not zeros";
    assert_eq!(answer.warnings, [warning]);
    // A step that begins before the monitor did is not whole.
    assert!(ask(&world, "select n from m every 1m").is_partial);
    world.store(&window(-10));
    let answer = ask(&world, "select n from m");
    assert!(
        answer.is_partial && answer.warnings[0].starts_with("8 windows are not stored"),
        "{:?}",
        answer.warnings
    );
}

/// What is not over yet is open, and no reason to call the answer incomplete.
#[test]
fn the_present_step_is_open() {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    for start_s in [60, 70, 80] {
        world.store(&Window {
            start_s,
            state: if start_s == 80 {
                WindowState::Open
            } else {
                WindowState::Settled
            },
            hosts: if start_s == 80 {
                &[HostState::Open, HostState::Open]
            } else {
                BOTH
            },
            ..Window::default()
        });
    }
    let answer = ask_at(&world, "select n from m from 1970-01-01T00:01:00Z every 1m", 87).expect("an answer");
    assert_eq!(answer.points.iter().map(brief).collect::<Vec<_>>(), ["60 : 0 33%"]);
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    assert_eq!(json["completeness"]["missing"], serde_json::json!({"open": 8}));
    assert_eq!(json["state"], "open");
    assert_eq!((answer.is_partial, answer.warnings.as_slice()), (false, &[][..]));
    let answer = ask_at(&world, "select n from m since 27s", 87).expect("an answer");
    assert_eq!(
        answer.points.iter().map(brief).collect::<Vec<_>>(),
        ["60 : 0 100%", "70 : 0 100%", "80 : null 0%"]
    );
    assert!(!answer.is_partial);
    // A window that is due and has no header is missed after a while.
    let answer = ask_at(&world, "select n from m from 1970-01-01T00:01:00Z", 110).expect("an answer");
    assert!(
        answer.is_partial && answer.warnings[0].starts_with("1 windows are not stored"),
        "{:?}",
        answer.warnings
    );
}

#[test]
fn limits_keep_the_groups_with_most_records_and_fold_the_rest() {
    let world = two_windows();
    let answer = check(
        &world,
        "select n, max(max_ms) from m group by path, s limit 1",
        &[
            "0 /a,200: 2 3 100%",
            "0 __other__,__other__: 1 9 100%",
            "10 /a,200: 1 2 100%",
            "10 __other__,__other__: 1 7 100%",
        ],
    );
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    assert_eq!(json["completeness"]["flags"], serde_json::json!(["groups_folded"]));
    let answer = check(
        &world,
        "select n from m group by path limit 2",
        &["0 /a: 3 100%", "10 /a: 1 100%", "10 /b: 1 100%"],
    );
    let json = serde_json::to_value(&answer.points[0]).expect("json");
    assert!(json["completeness"].get("flags").is_none(), "nothing was folded");
}

#[test]
fn versions_that_mean_the_same_merge_and_others_are_gaps() {
    let mut world = two_windows();
    world.monitor(
        "m",
        2,
        "select sum(b) as bytes, count() as n parse logfmt group by field('path'), s every 10s",
    );
    world.monitor(
        "m",
        3,
        "select count() as n parse logfmt group by field('path') every 10s",
    );
    for (start_s, version) in [(20, 2), (30, 3)] {
        world.store(&Window {
            start_s,
            version,
            lines: &["path=/a s=200 b=4"],
            hosts: BOTH,
            ..Window::default()
        });
    }
    let answer = check(
        &world,
        "select n, bytes from m where s = '200'",
        &[
            "0 : 2 10.5 100%",
            "10 : 2 110 100%",
            "20 : 1 4 100%",
            "30 : null null 0%",
        ],
    );
    let warning = "another version of the monitor is in force in part of the range, and is a gap: `m` keeps no `s` \
                   apart, so its points cannot be filtered by it";
    assert!(
        answer.warnings.iter().any(|said| said == warning),
        "{:?}",
        answer.warnings
    );
    // The newest version has no `bytes`, so the one before it answers.
    check(
        &world,
        "select n, bytes from m every 20s",
        &["0 : 5 121.5 100%", "20 : 1 4 50%"],
    );
    // Counts of both versions mean the same, but the groups of the third do not: its part of the step is missing.
    let answer = check(&world, "select n from m every 20s", &["0 : 5 100%", "20 : 1 50%"]);
    let json = serde_json::to_value(&answer.points[1]).expect("json");
    assert_eq!(json["completeness"]["missing"], serde_json::json!({"other_version": 2}));
}

#[test]
fn what_broke_a_promise_or_cannot_be_read_has_no_value() {
    let mut world = two_windows();
    world.store(&Window {
        start_s: 10,
        lines: &["path=/a s=200"],
        flags: vec![Flag::Poisoned],
        ..Window::default()
    });
    let answer = check(&world, "select n from m", &["0 : 3 100%", "10 : null 0%"]);
    assert!(answer.is_partial);
    check(&world, "select n from m every 20s", &["0 : 3 50%"]);
}

#[test]
fn questions_are_bounded() {
    let world = two_windows();
    let error = ask_at(&world, "select n from m since 3000d", LATER_S).expect_err("too long");
    let message = "windows would be over 100000: ask for a shorter range, a longer `every`, or fewer groups";
    assert_eq!(error.to_string(), message);
    let mut failing = two_windows();
    failing.fails = true;
    let error = ask_at(&failing, "select n from m", 60).expect_err("no store");
    assert!(matches!(error, QueryError::Store(_)), "{error}");
    assert!(matches!(ask_at(&world, "selekt n", 60), Err(QueryError::Text(_))));
}
