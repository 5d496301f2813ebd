//! What is made of values: by hand, and against a naive model over the points that are shown without it.

use super::tests_world::{SECOND_NS, Window, World};
use super::*;
use map::verdict::HostState;
use proptest::prelude::*;
use reduce::point::display_text;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

const BOTH: &[HostState] = &[HostState::Ok, HostState::Ok];
const HALF: &[HostState] = &[HostState::Ok, HostState::Unreachable];
const MQL: &str = "select count() as n, sum(b) as bytes, avg(b) as mean, max(b) as most, count(s = 'x') as xs parse \
                   logfmt group by g, s every 10s";

fn ask_at(world: &World, text: &str, now_s: i64) -> Result<Answer, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(run(world, text, now_s * SECOND_NS))
}

/// The answer's points as JSON, and its warnings.
fn ask(world: &World, text: &str) -> (Vec<Value>, Vec<String>) {
    let text = format!("{text} from 1970-01-01 to 1970-01-01T00:01:00Z");
    let answer = ask_at(world, &text, 100_000).unwrap_or_else(|error| panic!("{text}: {error}"));
    let points = answer
        .points
        .iter()
        .map(|point| serde_json::to_value(point).expect("json"));
    (points.collect(), answer.warnings)
}

/// `second group values filled`, of each point.
#[track_caller]
fn check(world: &World, text: &str, expected: &[&str]) -> Vec<String> {
    let (points, warnings) = ask(world, text);
    let brief = |point: &Value| {
        let second = &point["window"].as_str().expect("a time")[17..19];
        let list = |part: &Value| -> String {
            let parts = part
                .as_object()
                .map(|object| object.values().cloned().collect::<Vec<_>>());
            let texts = parts.unwrap_or_default();
            let texts = texts.iter().map(|value| value.to_string().replace('"', ""));
            texts.collect::<Vec<_>>().join(" ")
        };
        let filled = match &point["filled"] {
            Value::Null => String::new(),
            filled => format!(" filled {filled}").replace('"', ""),
        };
        format!(
            "{second} [{}] {}{filled}",
            list(&point["group"]),
            list(&point["values"])
        )
    };
    let points: Vec<String> = points.iter().map(brief).collect();
    assert_eq!(points, expected, "{text}: {warnings:?}");
    warnings
}

/// Four windows of ten seconds: the first two and the last are stored, the second with one host of two.
fn world() -> World {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    for (start_s, hosts, lines) in [
        (
            0,
            BOTH,
            &["g=a s=x b=5", "g=b s=x b=2", "g=b s=y b=3", "g=c s=y b=1"][..],
        ),
        (10, HALF, &["g=a s=x b=1", "g=c s=y b=9"][..]),
        (30, BOTH, &["g=b s=x b=4"][..]),
    ] {
        world.store(&Window {
            start_s,
            hosts,
            lines,
            ..Window::default()
        });
    }
    world
}

#[test]
fn having_hides_groups_and_never_makes_zeros() {
    let world = world();
    let warnings = check(
        &world,
        "select bytes from m group by g having bytes >= 5",
        &["00 [a] 5", "00 [b] 5", "10 [c] 9", "30 [] null"],
    );
    assert!(
        warnings
            .iter()
            .any(|warning| warning.starts_with("in 1 of 3 steps `having` judged")),
        "{warnings:?}"
    );
    // What it judges need not be shown; a group column is judged as text, an aggregate by its groups.
    check(
        &world,
        "select n from m group by g having sum(bytes where s = 'x') > 1 and g in ('a', 'b')",
        &["00 [a] 1", "00 [b] 2", "10 [] null", "30 [b] 1"],
    );
    let text = "select n from m group by g having n > 1 since 1d";
    let answer = ask_at(&world, text, 100).expect("a good question");
    assert_eq!(answer.absent[0].1, AbsentValue::Null, "a hidden group is no zero");
    // A total of everything is judged too, and an average of nothing is neither.
    check(
        &world,
        "select n from m having n < 4 every 20s",
        &["00 [] null", "20 [] 1"],
    );
    check(
        &world,
        "select n from m where g = 'z' having n = 0",
        &["00 [] 0", "10 [] null", "30 [] 0"],
    );
}

#[test]
fn having_leaves_out_what_it_cannot_judge_and_says_so() {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    world.store(&Window {
        lines: &["g=a s=x b=5", "g=b s=y b=2"],
        hosts: BOTH,
        fold: &["b"],
        ..Window::default()
    });
    let warnings = check(&world, "select n from m group by g having n >= 1", &["00 [] null"]);
    assert!(
        warnings
            .iter()
            .any(|warning| warning.starts_with("1 times the values of a group are unknown"))
    );
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("`having` cannot judge: they are left out"))
    );
}

#[test]
fn groups_stand_in_order_and_ties_by_group() {
    let world = world();
    check(
        &world,
        "select bytes, mean from m group by g order by bytes desc",
        &[
            "00 [a] 5 5",
            "00 [b] 5 2.5",
            "00 [c] 1 1",
            "10 [c] 9 9",
            "10 [a] 1 1",
            "30 [b] 4 4",
        ],
    );
    check(
        &world,
        "select n from m group by g order by bytes / n, g desc",
        &["00 [c] 1", "00 [b] 2", "00 [a] 1", "10 [a] 1", "10 [c] 1", "30 [b] 1"],
    );
}

#[test]
fn the_first_groups_are_chosen_for_the_whole_answer() {
    let world = world();
    // Bytes of all steps: a 6, b 9, c 10. Most records: b 3.
    let warnings = check(
        &world,
        "select bytes from m group by g topk 1 by bytes",
        &[
            "00 [c] 1",
            "00 [__other__] 10",
            "10 [c] 9",
            "10 [__other__] 1",
            "30 [__other__] 4",
        ],
    );
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("chosen by values that are not complete in 1 of 3 steps")),
        "{warnings:?}"
    );
    check(
        &world,
        "select bytes from m group by g order by bytes limit 2",
        &[
            "00 [a] 5",
            "00 [b] 5",
            "00 [__other__] 1",
            "10 [a] 1",
            "10 [__other__] 9",
            "30 [b] 4",
        ],
    );
    check(
        &world,
        "select n from m group by g topk 1",
        &["00 [b] 2", "00 [__other__] 2", "10 [__other__] 2", "30 [b] 1"],
    );
}

#[test]
fn what_is_filled_never_looks_measured() {
    let world = world();
    // At 30 s a is known to be zero; at 10 s b is not known, and nothing is stored at 20 s.
    check(
        &world,
        "select bytes, mean from m where g <> 'c' group by g fill 0",
        &[
            "00 [a] 5 5",
            "00 [b] 5 2.5",
            "10 [a] 1 1",
            "10 [b] null null",
            "20 [a] null null",
            "20 [b] null null",
            "30 [b] 4 4",
            "30 [a] 0 null",
            "40 [a] null null",
            "40 [b] null null",
            "50 [a] null null",
            "50 [b] null null",
        ],
    );
    check(
        &world,
        "select bytes, mean from m where g = 'a' group by g fill previous",
        &[
            "00 [a] 5 5",
            "10 [a] 1 1",
            "20 [a] null null filled {bytes:1,mean:1}",
            "30 [a] 0 null filled {mean:1}",
            "40 [a] null null filled {bytes:0,mean:1}",
            "50 [a] null null filled {bytes:0,mean:1}",
        ],
    );
    check(
        &world,
        "select n from m every 20s fill null",
        &["00 [] 6", "20 [] 1", "40 [] null"],
    );
    let (points, _) = ask(&world, "select n from m fill null");
    assert_eq!(points[2]["completeness"]["missing"], json!({ "not_stored": 2 }));
    assert_eq!(points[2]["completeness"]["percent"], json!(0));
}

#[test]
fn another_time_stands_beside_with_its_own_completeness() {
    let mut world = world();
    world.store(&Window {
        start_s: 86_400,
        hosts: BOTH,
        lines: &["g=a s=x b=7"],
        ..Window::default()
    });
    let text =
        "select n, bytes from m, m offset 1d as yesterday group by g every 1m from 1970-01-02 to 1970-01-02T00:01";
    let answer = ask_at(&world, text, 200_000).expect("a good question");
    let points = answer
        .points
        .iter()
        .map(|point| serde_json::to_value(point).expect("json"));
    let brief = |point: Value| {
        let parts = ["window", "group", "values", "offset_ms"].map(|part| point[part].to_string().replace('"', ""));
        format!("{} {}", parts.join(" "), point["completeness"]["percent"])
    };
    assert_eq!(
        points.map(brief).collect::<Vec<_>>(),
        [
            "1970-01-02T00:00:00Z {g:a,source:m} {bytes:7,n:1} null 16",
            "1970-01-02T00:00:00Z {g:a,source:yesterday} {bytes:6,n:2} 86400000 41",
            "1970-01-02T00:00:00Z {g:b,source:yesterday} {bytes:9,n:3} 86400000 41",
            "1970-01-02T00:00:00Z {g:c,source:yesterday} {bytes:10,n:2} 86400000 41",
        ]
    );
    assert_eq!(answer.group_by, ["source", "g"]);
    assert!(answer.warnings.iter().any(|warning| warning.starts_with("yesterday: ")));
    // The groups that the first source has chosen are those of all.
    let text = text
        .replace("from 1970", "topk 1 from 1970")
        .replace("group by g", "group by g, s");
    let answer = ask_at(&world, &text, 200_000).expect("a good question");
    let groups = answer.points.iter().map(|point| {
        let texts = point
            .group()
            .iter()
            .map(|(_, text)| display_text(text.as_deref().unwrap_or_default()));
        texts.collect::<Vec<_>>().join(",")
    });
    let expected = ["m,a,x", "yesterday,a,x", "yesterday,__other__,__other__"];
    assert_eq!(groups.collect::<Vec<_>>(), expected);
    let error = ask_at(&world, "select n from m offset 5s since 1h", 200_000).expect_err("steps between");
    assert_eq!(
        error.to_string(),
        "the steps of 10000 ms do not lie beside those so long before"
    );
}

#[test]
fn a_plan_says_what_is_read_and_how_it_merges() {
    let world = world();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let text = "select bytes, max(n), sum(xs) / sum(n) as share from m where s = 'x' group by g every 1m from \
                1970-01-01 to 1970-01-01T00:10:00Z having share > 0.5 topk 5 by bytes fill null";
    let explanation = runtime
        .block_on(explain(&world, text, 100_000 * SECOND_NS))
        .expect("a good question");
    let lines: Vec<String> = (explanation.plan.iter())
        .map(|line| format!("{}: {}", line.name, line.text))
        .collect();
    assert_eq!(
        lines,
        [
            "source: stored points of `m`",
            "read: at most 60 windows of 10000 ms, starts in [1970-01-01T00:00:00Z, 1970-01-01T00:10:00Z); of each, 3 \
             of 4 states",
            "filter: s = 'x': groups that do not meet it are left out of each window as it is read",
            "steps: 60000 ms, each merged of 6 windows",
            "groups: by g (the monitor keeps 2 columns apart)",
            "output: bytes: a count or a sum; adds",
            "output: max(n): the greatest of the stored points, each computed for itself",
            "output: share = sum(xs) / sum(n): computed from 2 states after they are merged",
            "having: share > 0.5: judged for each group of each step by its values",
            "limit: the 5 groups that are first by bytes desc in the whole answer; the rest are `__other__`",
            "order: in each step by bytes desc, null last, ties by group",
            "fill: null: a point for every group in every step",
        ]
    );
}

/// A group's name and its records and bytes in a step.
type Cells = BTreeMap<(i64, String), (i64, i64)>;

fn cells(points: &[Value]) -> Cells {
    let cell = |point: &Value| {
        let second: i64 = point["window"].as_str()?[17..19].parse().ok()?;
        let group = point["group"]["g"].as_str()?.to_owned();
        Some((
            (second, group),
            (point["values"]["n"].as_i64()?, point["values"]["bytes"].as_i64()?),
        ))
    };
    points.iter().filter_map(cell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The model works on the points of the same question without any shaping.
    #[test]
    fn shaping_is_what_a_naive_model_makes_of_the_points(
        lines in prop::collection::vec((0..6_i64, 0..5_u8, 0..6_i64), 0..40),
        (least, limit) in (0..8_i64, 1..5_usize),
        descending in any::<bool>(),
    ) {
        let mut world = World::default();
        world.monitor("m", 1, MQL);
        for window in 0..6 {
            let mine = lines.iter().filter(|line| line.0 == window);
            let texts: Vec<String> = mine.map(|(_, group, bytes)| format!("g=g{group} s=x b={bytes}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            world.store(&Window { start_s: window * 10, hosts: BOTH, lines: &texts, ..Window::default() });
        }
        let question = "select n, bytes from m group by g";
        let all = cells(&ask(&world, question).0);

        let (shown, _) = ask(&world, &format!("{question} having bytes >= {least}"));
        let mut expected = all.clone();
        expected.retain(|_, (_, bytes)| *bytes >= least);
        prop_assert_eq!(cells(&shown), expected);
        let empty = shown.iter().filter(|point| point["group"] == json!({}));
        for point in empty {
            prop_assert_eq!(&point["values"], &json!({ "n": null, "bytes": null }));
        }

        let direction = if descending { "desc" } else { "asc" };
        let by = |left: i64, right: i64| if descending { right.cmp(&left) } else { left.cmp(&right) };
        let (ordered, warnings) = ask(&world, &format!("{question} order by bytes {direction} limit {limit}"));
        prop_assert!(warnings.is_empty(), "{:?}", warnings);
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for ((_, group), (_, bytes)) in &all {
            *totals.entry(group).or_default() += bytes;
        }
        let mut ranked: Vec<(&str, i64)> = totals.into_iter().collect();
        ranked.sort_by(|left, right| by(left.1, right.1).then(left.0.cmp(right.0)));
        let kept: BTreeSet<&str> = ranked.iter().take(limit).map(|(group, _)| *group).collect();
        for second in (0..60).step_by(10) {
            let here = |group: &str| all.get(&(second, group.to_owned())).copied();
            let mut expected: Vec<(String, (i64, i64))> = kept.iter()
                .filter_map(|group| Some(((*group).to_owned(), here(group)?)))
                .collect();
            expected.sort_by(|left, right| match by(left.1.1, right.1.1) {
                Ordering::Equal => left.0.cmp(&right.0),
                order => order,
            });
            let beyond = all.iter().filter(|((at, group), _)| *at == second && !kept.contains(group.as_str()));
            let beyond: Vec<&(i64, i64)> = beyond.map(|(_, values)| values).collect();
            if !beyond.is_empty() {
                let sum = beyond.iter().fold((0, 0), |sum, values| (sum.0 + values.0, sum.1 + values.1));
                expected.push(("__other__".to_owned(), sum));
            }
            let shown: Vec<(String, (i64, i64))> = ordered.iter()
                .filter(|point| point["window"].as_str().is_some_and(|window| window[17..19].parse() == Ok(second)))
                .filter_map(|point| {
                    let values = (point["values"]["n"].as_i64()?, point["values"]["bytes"].as_i64()?);
                    Some((point["group"]["g"].as_str()?.to_owned(), values))
                })
                .collect();
            prop_assert_eq!(shown, expected);
        }
    }

    /// Every group has a point in every step; zeros stand where the step is whole, and nothing measured changes.
    #[test]
    fn filling_is_what_a_naive_model_makes_of_the_points(
        lines in prop::collection::vec((0..6_i64, 0..4_u8, 0..6_i64), 1..30),
        stored in prop::collection::vec(0..3_u8, 6),
        offset in 0..2_i64,
    ) {
        let mut world = World::default();
        world.monitor("m", 1, MQL);
        for window in 0..6 {
            let hosts = match stored[window as usize] {
                0 => continue,
                1 => HALF,
                _ => BOTH,
            };
            let mine = lines.iter().filter(|line| line.0 == window);
            let texts: Vec<String> = mine.map(|(_, group, bytes)| format!("g=g{group} s=x b={bytes}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            world.store(&Window { start_s: window * 10, hosts, lines: &texts, ..Window::default() });
        }
        if stored.iter().all(|kind| *kind == 0) {
            return Ok(());
        }
        let all = cells(&ask(&world, "select n, bytes from m group by g").0);
        let groups: BTreeSet<&String> = all.keys().map(|(_, group)| group).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let source = if offset == 0 { String::new() } else { format!(" offset {offset}m") };
        for fill in ["null", "0", "previous"] {
            let text = format!("select n, bytes from m{source} group by g fill {fill} from 1970-01-01T00:0{offset} to \
                                1970-01-01T00:0{offset}:59");
            let answer = ask_at(&world, &text, 100_000).unwrap_or_else(|error| panic!("{text}: {error}"));
            prop_assert_eq!(answer.points.len(), 6 * groups.len());
            let mut before: BTreeMap<String, i64> = BTreeMap::new();
            for point in answer.points.iter().map(|point| serde_json::to_value(point).expect("json")) {
                let second: i64 = point["window"].as_str().expect("a time")[17..19].parse().expect("a number");
                let group = point["group"]["g"].as_str().expect("a group").to_owned();
                let measured = all.get(&(second, group.clone())).map(|(n, _)| *n);
                let is_zero = stored[(second / 10) as usize] == 2 && fill != "null";
                let expected = measured.or(is_zero.then_some(0));
                prop_assert_eq!(point["values"]["n"].as_i64(), expected, "{} at {}", &text, second);
                let filled = match expected {
                    None if fill == "previous" => before.get(&group).copied(),
                    _ => None,
                };
                prop_assert_eq!(point["filled"]["n"].as_i64(), filled);
                before.extend(expected.map(|n| (group, n)));
            }
        }
    }

    /// Clauses of all kinds together: answered or refused, and never more than the groups that were asked for.
    #[test]
    fn any_clauses_together_are_answered_or_refused(
        clauses in prop::collection::vec(prop::sample::select(vec![
            "group by g", "group by s, g", "having n > 1", "having g is null or mean < 3",
            "having sum(n where s = 'x') = 0",
            "order by bytes desc", "order by g, n", "order by most / n", "limit 1", "limit 2", "topk 1 by most",
            "fill null", "fill 0", "fill previous", "every 20s", "every 1m", "offset 20s", "where s = 'x'",
        ]), 0..6),
        select in prop::sample::select(vec!["*", "n, mean", "max(n), min(bytes), rate(n)", "n / xs as n, s, g"]),
    ) {
        let text = format!("select {select} from m {} from 1970-01-01 to 1970-01-01T00:01:20Z", clauses.join(" "));
        let Ok(answer) = ask_at(&world(), &text, 100_000) else { return Ok(()) };
        let mut last_ns = i64::MIN;
        for point in &answer.points {
            prop_assert!(point.start_ns() >= last_ns, "{}", text);
            last_ns = point.start_ns();
            prop_assert_eq!(point.values().len(), answer.outputs.len());
            let measured = |name: &str| point.values().iter().any(|(known, value)| {
                **known == *name && *value != reduce::value::OutputValue::Null
            });
            prop_assert!(point.filled().iter().all(|(name, _)| !measured(name)), "{}", text);
        }
    }
}
