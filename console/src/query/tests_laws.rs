//! Laws: a question answered from stored windows says what a monitor of that question would have counted.
//!
//! The engine is the oracle. The same lines are counted twice: by a monitor with short windows and many groups, which
//! is asked for long steps and few groups; and by a monitor that has those to begin with.

use super::run;
use super::tests_world::{SECOND_NS, Window, World};
use map::verdict::HostState;
use proptest::prelude::*;
use serde_json::Value;

const BOTH: &[HostState] = &[HostState::Ok, HostState::Ok];
/// Everything that merges, but for `first` and `last`, whose order is by stamps that are not made here.
const COLUMNS: &str = "count() as n, sum(x) as total, avg(x) as mean, min(x) as least, max(x) as most, stddev(x) as \
                       deviation, p50(x) as p50, p99(x) as p99, distinct(y) as users, rate() as per_s, rate(x) as \
                       x_per_s, 100 * count(y = 'u1') / count() as share, sum(x) - 2 * count() as odd";

/// A line: in which window, its groups and values.
type Line = (i64, u8, u8, i64, u8);

fn text(line: &Line) -> String {
    let (_, a, b, x, y) = line;
    format!("a=a{a} b=b{b} x={x}.25 y=u{y}")
}

/// Counts the lines of windows that are so long, with and without the groups.
fn world(lines: &[Line], windows: i64, length_s: i64, group_by: &str, merged: i64) -> World {
    let mut world = World::default();
    let group_by = if group_by.is_empty() {
        String::new()
    } else {
        format!("group by {group_by}")
    };
    world.monitor(
        "m",
        1,
        &format!("select {COLUMNS} parse logfmt {group_by} every {length_s}s"),
    );
    for window in 0..windows {
        let mine = lines.iter().filter(|line| line.0 / merged == window);
        let texts: Vec<String> = mine.map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.store(&Window {
            start_s: window * length_s,
            lines: &texts,
            hosts: BOTH,
            ..Window::default()
        });
    }
    world
}

/// Window, group and values of each point.
fn points(world: &World, text: &str) -> Vec<[Value; 3]> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let text = format!("{text} from 1970-01-01 to 1970-01-01T00:01:00Z");
    let answer = runtime
        .block_on(run(world, &text, 10_000 * SECOND_NS))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((answer.is_partial, answer.warnings.len()), (false, 0), "{text}");
    let points = answer
        .points
        .iter()
        .map(|point| serde_json::to_value(point).expect("json"));
    let parts = points.map(|point| ["window", "group", "values"].map(|part| point[part].clone()));
    parts.collect()
}

fn any_line() -> impl Strategy<Value = Line> {
    (0..6_i64, 0..3_u8, 0..3_u8, -50..50_i64, 0..4_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn steps_and_groups_say_what_a_monitor_of_them_would(lines in prop::collection::vec(any_line(), 0..60)) {
        let fine = world(&lines, 6, 10, "a, b", 1);
        let question = |names: &str, rest: &str| format!("select {names} from m {rest}");
        let names = "n, total, mean, least, most, deviation, p50, p99, users, per_s, x_per_s, share, odd";
        for (rest, length_s, group_by, merged) in [
            ("group by a, b every 10s", 10, "a, b", 1),
            ("group by a every 10s", 10, "a", 1),
            ("every 10s", 10, "", 1),
            ("group by b, a every 30s", 30, "b, a", 3),
            ("group by b every 30s", 30, "b", 3),
            ("every 1m", 60, "", 6),
        ] {
            let coarse = world(&lines, 6 / merged, length_s, group_by, merged);
            prop_assert_eq!(points(&fine, &question(names, rest)), points(&coarse, "select * from m"), "{}", rest);
        }
    }

    #[test]
    fn a_filter_says_what_a_filtered_monitor_would(lines in prop::collection::vec(any_line(), 0..60)) {
        let fine = world(&lines, 6, 10, "a, b", 1);
        let selected: Vec<Line> = lines.iter().copied().filter(|line| line.1 != 1 && line.2 >= 1).collect();
        let coarse = world(&selected, 2, 30, "", 3);
        let asked = points(&fine, "select n, total, p50, users from m where a <> 'a1' and b >= 'b1' every 30s");
        let counted = points(&coarse, "select n, total, p50, users from m");
        prop_assert_eq!(asked, counted);
    }

    #[test]
    fn aggregates_of_columns_are_those_of_the_points(lines in prop::collection::vec(any_line(), 1..60)) {
        let fine = world(&lines, 6, 10, "a, b", 1);
        let each = points(&fine, "select n, most, p50 from m group by a, b every 10s");
        let all = points(&fine, "select sum(n) as n, max(most) as most, max(p50) as p50 from m every 1m");
        let numbers = |name: &str| -> Vec<f64> { each.iter().filter_map(|point| point[2][name].as_f64()).collect() };
        let greatest = |name: &str| numbers(name).into_iter().fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(all[0][2]["n"].as_f64(), Some(numbers("n").iter().sum()));
        prop_assert_eq!(all[0][2]["most"].as_f64(), Some(greatest("most")));
        prop_assert_eq!(all[0][2]["p50"].as_f64(), Some(greatest("p50")));
    }

    /// The limit keeps totals.
    #[test]
    fn a_limit_folds_and_loses_nothing(lines in prop::collection::vec(any_line(), 0..60), limit in 1..10_usize) {
        let fine = world(&lines, 6, 10, "a, b", 1);
        let totals = |points: &[[Value; 3]]| -> Vec<f64> {
            points.iter().filter_map(|point| point[2]["total"].as_f64()).collect()
        };
        let total = |points: &[[Value; 3]]| -> f64 { totals(points).iter().sum() };
        let all = points(&fine, "select n, total from m group by a, b every 30s");
        let some = points(&fine, &format!("select n, total from m group by a, b every 30s limit {limit}"));
        prop_assert!((total(&all) - total(&some)).abs() < 1e-6);
        let mut groups: Vec<&Value> = some.iter().map(|point| &point[1]).collect();
        groups.sort_by_key(|group| group.to_string());
        groups.dedup();
        groups.retain(|group| **group != serde_json::json!({}));
        prop_assert!(groups.len() <= limit + 1, "{:?}", groups);
    }
}
