//! The oracle against answers worked out by hand, one rule at a time.

use super::answer::{Answer, Folding, Key, Lost, Unplaced, Value, Window, answer, percent};
use super::{Aggregate, Col, Comparison, Condition, Function, HostFile, Literal, ParseForm, Question, StampForm};
use std::collections::BTreeMap;

/// 2026-11-23 07:31:00 UTC in milliseconds.
const T0: i64 = 1_795_419_060_000;

fn kv() -> ParseForm {
    ParseForm::Kv {
        pair: b'|',
        assign: b'=',
    }
}

fn by_minute() -> Question {
    Question::counting(60_000, 10_000, kv())
}

fn file(host: &str, text: &str) -> HostFile {
    HostFile {
        host: host.to_owned(),
        file: "app.log".to_owned(),
        bytes: text.into(),
        stamp: StampForm::Iso,
    }
}

/// Lines at `mm:ss` of 2026-11-23 07 h, each with its text.
fn lines(lines: &[(&str, &str)]) -> String {
    lines
        .iter()
        .map(|(clock, text)| format!("2026-11-23 07:{clock}|{text}\n"))
        .collect()
}

fn key(columns: &[&str]) -> Key {
    columns
        .iter()
        .map(|column| (*column != "null").then(|| column.as_bytes().to_vec()))
        .collect()
}

fn shown(values: &[Option<Value>]) -> String {
    let show = |value: &Option<Value>| match value {
        None => "null".to_owned(),
        Some(Value::Number(number)) => number.to_plain_string(),
        Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
    };
    values.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// Points as (minutes after T0, group, values).
#[track_caller]
fn check_points(question: &Question, files: &[HostFile], expected: &[(i64, &[&str], &str)]) -> Answer {
    let answer = answer(question, files);
    let points: BTreeMap<(i64, Key), String> = answer
        .points
        .iter()
        .map(|(point, values)| (point.clone(), shown(values)))
        .collect();
    let expected: BTreeMap<(i64, Key), String> = expected
        .iter()
        .map(|(minute, group, values)| ((T0 + minute * 60_000, key(group)), (*values).to_owned()))
        .collect();
    assert_eq!(points, expected);
    answer
}

/// Headers as (minutes after T0, records, [late, bad_timestamp, unparsable, too_long], head lines).
#[track_caller]
fn check_headers(question: &Question, files: &[HostFile], expected: &[(i64, u64, [u64; 4], u64)]) {
    let found: Vec<_> = answer(question, files)
        .windows
        .iter()
        .map(
            |(
                start,
                Window {
                    records,
                    lost,
                    head_lines,
                    ..
                },
            )| {
                let lost = [lost.late, lost.bad_timestamp, lost.unparsable, lost.too_long];
                ((start - T0) / 60_000, *records, lost, *head_lines)
            },
        )
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn records_count_in_the_half_open_window_of_their_stamp() {
    let text = lines(&[
        ("30:59.999", "a"),
        ("31:00.000", "b"),
        ("31:59.999", "c"),
        ("32:00.000", "d"),
    ]);
    check_points(
        &by_minute(),
        &[file("h", &text)],
        &[(-1, &[], "1"), (0, &[], "2"), (1, &[], "1")],
    );
}

#[test]
fn files_are_judged_each_by_its_own_stamps_f2() {
    let (one, two) = (lines(&[("35:00", "a")]), lines(&[("31:00", "a")]));
    check_headers(
        &by_minute(),
        &[file("h", &one), file("h", &two)],
        &[(0, 1, [0; 4], 0), (4, 1, [0; 4], 0)],
    );
    let together = format!("{one}{two}");
    check_headers(&by_minute(), &[file("h", &together)], &[(4, 1, [1, 0, 0, 0], 0)]);
}

#[test]
fn a_loss_is_charged_to_the_window_of_the_greatest_good_stamp_before_it_c5() {
    // Late by 11 s across a window's edge: lost in the later window. At the bound of 10 s: counted in its own.
    let text = lines(&[("32:05", "a"), ("31:54", "late"), ("31:55", "at the bound")]);
    check_headers(
        &by_minute(),
        &[file("h", &text)],
        &[(0, 1, [0; 4], 0), (1, 1, [1, 0, 0, 0], 0)],
    );
}

#[test]
fn a_wild_stamp_at_the_start_is_charged_to_the_first_good_one_after_it_f3() {
    let mut text = "2027-01-01 00:00:00|wild\n".to_owned();
    text += &lines(&[
        ("31:50", "a"),
        ("32:00", "b"),
        ("32:01", "c"),
        ("32:02", "d"),
        ("32:03", "e"),
    ]);
    check_headers(
        &by_minute(),
        &[file("h", &text)],
        &[(0, 1, [0, 1, 0, 0], 0), (1, 4, [0; 4], 0)],
    );
    // With four successors it is good, and they are late.
    let fewer = &text[..text.len() - "2026-11-23 07:32:03|e\n".len()];
    let of_2027 = (1_798_761_600_000 - T0) / 60_000;
    check_headers(&by_minute(), &[file("h", fewer)], &[(of_2027, 1, [4, 0, 0, 0], 0)]);
}

#[test]
fn an_unstamped_head_is_shown_beside_f1() {
    let text = format!("# opened\n\n{}", lines(&[("31:00", "a")]));
    check_headers(&by_minute(), &[file("h", &text)], &[(0, 1, [0; 4], 2)]);
    let none = answer(&by_minute(), &[file("h", "# opened\n\nno stamp")]);
    assert_eq!(
        none.unplaced,
        Unplaced {
            lost: Lost::default(),
            head_lines: 3
        }
    );
    assert!(none.windows.is_empty() && none.points.is_empty());
}

#[test]
fn lines_and_bytes_are_those_of_counted_records() {
    let question = Question {
        aggregates: vec![
            Aggregate::new("lines", Function::Lines),
            Aggregate::new("bytes", Function::Bytes),
        ],
        ..by_minute()
    };
    // 22 bytes with CRLF, 2 and 4 of continuation lines, 21 without newline; the late one and the head are not counted.
    let text = "head\n2026-11-23 07:31:30|\r\n\r\n\tat\n2026-11-23 07:31:10|late\n2026-11-23 07:31:40|z";
    check_points(&question, &[file("h", text)], &[(0, &[], "4 49")]);
}

#[test]
fn unparsable_arises_only_where_fields_are_used() {
    let text = lines(&[("31:00", "op=pay"), ("31:01", "nothing")]);
    check_headers(&by_minute(), &[file("h", &text)], &[(0, 2, [0; 4], 0)]);
    let by_op = Question {
        group_by: vec![Col::field("op")],
        ..by_minute()
    };
    check_headers(&by_op, &[file("h", &text)], &[(0, 1, [0, 0, 1, 0], 0)]);
    // Even if another part of the filter rules the record out.
    let elsewhere = Question {
        filter: Some(Condition::equals(Col::Host, "other")),
        ..by_op
    };
    check_headers(&elsewhere, &[file("h", &text)], &[(0, 1, [0, 0, 1, 0], 0)]);
}

#[test]
fn a_record_over_the_limit_is_lost_only_where_fields_are_used() {
    // Texts of 27 and 28 bytes; a carriage return counts as text, the newline does not.
    let text = lines(&[("31:00", "op=a"), ("31:01", "op=bbbb"), ("31:02", "op=bbb\r")]);
    let limited = Question {
        record_limit_bytes: 26,
        ..by_minute()
    };
    check_headers(&limited, &[file("h", &text)], &[(0, 3, [0; 4], 0)]);
    let by_op = Question {
        group_by: vec![Col::field("op")],
        ..limited
    };
    check_headers(&by_op, &[file("h", &text)], &[(0, 1, [0, 0, 0, 2], 0)]);
    let at_limit = Question {
        record_limit_bytes: 27,
        ..by_op
    };
    check_headers(&at_limit, &[file("h", &text)], &[(0, 3, [0; 4], 0)]);
}

#[test]
fn filters_select_and_headers_count_all() {
    let text = lines(&[
        ("31:00", "op=pay|cost=5"),
        ("31:01", "op=refund|cost=50"),
        ("31:02", "op=-|cost=500"),
    ]);
    let question = Question {
        filter: Some(Condition::Not(Box::new(Condition::equals(Col::field("op"), "pay")))),
        aggregates: vec![
            Aggregate::new("n", Function::Count),
            Aggregate::when(
                "costly",
                Function::Count,
                Condition::Compare(
                    Col::field("cost"),
                    Comparison::Greater,
                    Literal::Number("40".to_owned()),
                ),
            ),
        ],
        ..by_minute()
    };
    let answer = check_points(&question, &[file("h", &text)], &[(0, &[], "1 1")]);
    assert_eq!(answer.windows[&T0].records, 3);
    // Nothing selected: an ungrouped question answers with nothing, a grouped one has no group (C3).
    let none = Question {
        filter: Some(Condition::equals(Col::field("op"), "x")),
        ..question
    };
    check_points(&none, &[file("h", &text)], &[(0, &[], "0 0")]);
    let grouped = Question {
        group_by: vec![Col::field("op")],
        ..none
    };
    check_points(&grouped, &[file("h", &text)], &[]);
}

#[test]
fn groups_are_texts_as_written_and_null_is_a_group() {
    let text = lines(&[
        ("31:00", "op=1"),
        ("31:01", "op=1.0"),
        ("31:02", "op="),
        ("31:03", "op=-"),
        ("31:04", "x=y"),
    ]);
    let question = Question {
        group_by: vec![Col::field("op"), Col::Host],
        ..by_minute()
    };
    let expected: [(i64, &[&str], &str); 4] = [
        (0, &["1", "a"], "1"),
        (0, &["1.0", "a"], "1"),
        (0, &["null", "a"], "3"),
        (0, &["1", "b"], "1"),
    ];
    let other = lines(&[("31:00", "op=1")]);
    check_points(&question, &[file("a", &text), file("b", &other)], &expected);
}

#[test]
fn the_groups_with_most_records_are_kept_ties_by_key_m6() {
    let ops = ["d", "d", "c", "b", "a", "d", "c", "-"];
    let text: String = ops
        .iter()
        .map(|op| format!("2026-11-23 07:31:00|op={op}|cost=1\n"))
        .collect();
    let question = Question {
        group_by: vec![Col::field("op"), Col::Host],
        aggregates: vec![Aggregate::new("cost", Function::Sum(Col::field("cost")))],
        group_limit: 3,
        ..by_minute()
    };
    let expected: [(i64, &[&str], &str); 4] = [
        (0, &["d", "h"], "3"),
        (0, &["c", "h"], "2"),
        (0, &["null", "h"], "1"),
        (0, &["__other__", "__other__"], "2"),
    ];
    let answer = check_points(&question, &[file("h", &text)], &expected);
    assert_eq!(answer.windows[&T0].folding, Folding::Folded(2));
    let roomy = Question {
        group_limit: 5,
        ..question
    };
    let answer = super::answer(&roomy, &[file("h", &text)]);
    assert_eq!((answer.points.len(), answer.windows[&T0].folding), (5, Folding::None));
}

#[test]
fn folding_ranks_by_selected_records_only() {
    let text = lines(&[("31:00", "op=a|r=x"), ("31:01", "op=a|r=x"), ("31:02", "op=b|r=y")]);
    let question = Question {
        filter: Some(Condition::equals(Col::field("r"), "y")),
        group_by: vec![Col::field("op")],
        group_limit: 1,
        ..by_minute()
    };
    let answer = check_points(&question, &[file("h", &text)], &[(0, &["b"], "1")]);
    assert_eq!(answer.windows[&T0].folding, Folding::None);
}

fn of_cost() -> Question {
    let cost = || Col::field("cost");
    let functions = [
        Function::Sum(cost()),
        Function::Avg(cost()),
        Function::Min(cost()),
        Function::Max(cost()),
        Function::Stddev(cost()),
        Function::Quantile("0.5".to_owned(), cost()),
        Function::Distinct(cost()),
        Function::First(cost()),
        Function::Last(cost()),
    ];
    let aggregates = functions
        .into_iter()
        .map(|function| Aggregate::new("x", function))
        .collect();
    Question {
        aggregates,
        ..by_minute()
    }
}

#[test]
fn aggregates_of_numbers() {
    let text = lines(&[
        ("31:01", "cost=2.0"),
        ("31:00", "cost=1"),
        ("31:02", "cost=2"),
        ("31:00", "cost=-3.5"),
    ]);
    // Mean 1.5 / 4; Σx² = 21.25, so the variance is 5.3125 − 0.140625 = 5.171875, whose root is 2.274175675…
    let expected = "1.5 0.375 -3.5 2 2.274175675 1 4 1 2";
    check_points(&of_cost(), &[file("h", &text)], &[(0, &[], expected)]);
}

#[test]
fn aggregates_of_nothing() {
    let text = lines(&[("31:00", "op=pay"), ("31:01", "cost="), ("31:02", "cost=-")]);
    let answer = check_points(
        &of_cost(),
        &[file("h", &text)],
        &[(0, &[], "0 null null null null null 0 null null")],
    );
    assert_eq!(answer.windows[&T0].bad_values, [0; 9]);
}

#[test]
fn bad_values_are_counted_by_aggregate_and_cost_no_other_value_m7() {
    let text = lines(&[
        ("31:00", "cost=12ms|op=a"),
        ("31:01", "cost=1000000000000000.000000001|op=b"),
        ("31:02", "cost=1000000000000000|op=a"),
        ("31:03", "cost=0.0000000015|op=a"),
    ]);
    let question = Question {
        aggregates: vec![
            Aggregate::new("n", Function::Count),
            Aggregate::new("sum", Function::Sum(Col::field("cost"))),
            Aggregate::new("distinct", Function::Distinct(Col::field("cost"))),
            Aggregate::when(
                "max_b",
                Function::Max(Col::field("cost")),
                Condition::equals(Col::field("op"), "b"),
            ),
        ],
        ..by_minute()
    };
    let expected = "4 1000000000000000.000000002 4 null";
    let answer = check_points(&question, &[file("h", &text)], &[(0, &[], expected)]);
    assert_eq!(answer.windows[&T0].bad_values, [0, 2, 0, 1]);
}

#[test]
fn sums_of_decimals_are_exact_c1() {
    let text: String = (0..10).map(|_| "2026-11-23 07:31:00|cost=0.1\n").collect();
    let question = Question {
        aggregates: vec![Aggregate::new("sum", Function::Sum(Col::field("cost")))],
        ..by_minute()
    };
    check_points(&question, &[file("h", &text)], &[(0, &[], "1")]);
}

#[test]
fn first_and_last_go_by_stamp_then_host_then_offset_m7() {
    let a = lines(&[("31:05", "op=a1"), ("31:01", "op=a2"), ("31:05", "op=a3")]);
    let b = lines(&[("31:01", "op=b1"), ("31:05", "op=b2")]);
    let question = Question {
        aggregates: vec![
            Aggregate::new("first", Function::First(Col::field("op"))),
            Aggregate::new("last", Function::Last(Col::field("op"))),
        ],
        ..by_minute()
    };
    check_points(&question, &[file("b", &b), file("a", &a)], &[(0, &[], "a2 b2")]);
}

#[test]
fn percentages_are_floors_c2_c5() {
    for (ok, expected, value) in [
        (10, 10, Some(100)),
        (999, 1000, Some(99)),
        (0, 3, Some(0)),
        (0, 0, None),
    ] {
        assert_eq!(percent(ok, expected), value);
    }
    for (records, late, value) in [
        (3, 0, Some(10_000)),
        (2, 1, Some(6_666)),
        (99_999, 1, Some(9_999)),
        (0, 0, None),
    ] {
        let window = Window {
            records,
            lost: Lost {
                late,
                ..Lost::default()
            },
            ..Window::default()
        };
        assert_eq!(window.records_percent_hundredths(), value, "{records} {late}");
    }
}
