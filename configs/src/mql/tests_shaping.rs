//! What is made of values, questions about logs and for records: good ones printed back, bad ones with what is said.

use super::tests::{summary, tree};
use super::*;
use crate::query::{Direction, RECORDS_DEFAULT, RecordsSource};

#[track_caller]
fn check(text: &str, expected: &str) {
    let query = parse_query(text).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    assert_eq!(query.to_string(), expected, "{text}");
}

#[track_caller]
fn check_mistake(text: &str, expected: &str) {
    let diagnostic = parse_question(text).expect_err(text);
    let hint = (diagnostic.hint.as_ref()).map_or(String::new(), |hint| format!(" ({hint})"));
    let said = format!(
        "{}: {}: {}{hint}",
        diagnostic.column, diagnostic.text, diagnostic.message
    );
    assert_eq!(said, expected, "{text}");
}

#[test]
fn values_are_shaped() {
    check(
        "select sum(n) as total from m group by op having total > 5 and op <> 'x' order by total desc, op asc limit 3",
        "select sum(n) as total from m group by op having total > 5 and op != 'x' order by total desc, op limit 3",
    );
    check(
        "select sum(n) from m topk 5 by sum(errors) / sum(n) since 5m",
        "select sum(n) as `sum(n)` from m order by sum(errors) / sum(n) desc limit 5 since '5m'",
    );
    check("select n from m topk 5", "select n from m limit 5");
    check(
        "select n from m fill PREVIOUS every 60s",
        "select n from m every 1m fill previous",
    );
    check(
        "select n from m fill null having n > 1",
        "select n from m having n > 1 fill null",
    );
}

#[test]
fn a_monitor_is_asked_at_several_times() {
    check("select n from m offset 7d", "select n from m offset 7d");
    check("select n offset 7d from m", "select n from m offset 7d");
    check(
        "select n from trade-center, trade-center offset 168h as last_week",
        "select n from `trade-center`, `trade-center` offset 7d as last_week",
    );
    check_mistake(
        "select n from m, m offset 7d",
        "18: m: two sources are named `m` (name one of them with `as`, as in: m offset 7d as last_week)",
    );
    check_mistake(
        "select n from m, other",
        "18: other: a question asks one monitor, at one time or at several (such as: from m, m offset 7d as before)",
    );
    check_mistake(
        "select n from m, m as b offset 7d",
        "25: offset: `offset` of which source? (write it behind its name: from m offset 7d)",
    );
    check_mistake(
        "select n from m offset 7",
        "24: 7: expected how long before, after `offset`, found `7` (write such as offset 7d, for the week before)",
    );
    check_mistake(
        "select n from m, m as a, m as b, m as c, m as d",
        "42: m: more than 4 sources",
    );
}

#[test]
fn mistakes_of_shaping() {
    check_mistake(
        "select n from m having n",
        "24: n: expected a condition in `having`, found a column (compare it: n = 'true', n > 0, n is not null)",
    );
    check_mistake(
        "select n from m order n",
        "23: n: expected `by` after `order`, found `n`",
    );
    check_mistake(
        "select n from m order by 1",
        "26: 1: everything is equal in such an order (name an output or a group column: order by total desc)",
    );
    check_mistake(
        "select n from m order by n > 1",
        "26: n > 1: expected a value to order by (name an output or a group column: order by total desc)",
    );
    check_mistake(
        "select n from m order by n limit 5 topk 3",
        "36: topk: `topk` and `limit` are both given (`topk n by x` is `order by x desc limit n`: keep one of them)",
    );
    check_mistake(
        "select n from m topk n",
        "22: n: expected a whole number from 1 on after `topk`, found `n` (write such as topk 10 by sum(errors), or \
         topk 10 for those with most records)",
    );
    check_mistake(
        "select n from m fill 1",
        "22: 1: `fill 1` would make up values (`fill 0` puts a zero where it is known to be one; else write null or \
         previous)",
    );
    check_mistake(
        "select n from m fill prevous",
        "22: prevous: expected `null`, `0` or `previous` after `fill`, found `prevous` (did you mean `previous`?)",
    );
    check_mistake(
        "select n from m having n > 1 fill previous",
        "30: fill previous: a group that `having` hides has a value, so none can be put in its place (write `fill \
         null`, or leave one of the two out)",
    );
    check_mistake(
        "select n from m hvaing n > 1",
        "17: hvaing: unknown clause `hvaing` (did you mean `having`?)",
    );
    check_mistake(
        "select n from m ordre by n",
        "17: ordre: unknown clause `ordre` (did you mean `order by`?)",
    );
}

#[test]
fn logs_are_asked_by_a_monitor_for_one_time() {
    let text = "select count() as n, p99(cost) from log '/logs/pay.log' parse kv('|', '=') where app = 'shop' and op = \
                'pay' group by zone, label('unit') every 10s since 1h having n > 5 order by n desc limit 3 fill 0";
    // A zero cannot be told from a hidden group.
    assert!(parse_question(text).is_err());
    let question = parse_question(&text.replace(" fill 0", "")).expect("a good question");
    let Question::Raw(query) = question else {
        panic!("it counts in logs")
    };
    assert_eq!(query.shaping.having.as_ref().map(tree).as_deref(), Some("(> n 5)"));
    assert_eq!((query.shaping.order_by.len(), query.shaping.limit), (1, Some(3)));
    assert_eq!(query.monitor.range.since.as_deref(), Some("1h"));
    assert_eq!(
        (query.monitor.window_ms, query.monitor.limits.groups),
        (10_000, crate::GROUPS_DEFAULT)
    );
    assert_eq!(query.monitor.app.as_deref(), Some("shop"));
    check_mistake(
        "select count() from log '/x' offset 7d",
        "30: offset: `offset` belongs to a question about stored points (of a log, write the times themselves: from … \
         to …)",
    );
}

#[test]
fn records_are_asked_for() {
    let text = "select * from log '/logs/pay.log' parse json where level = 'ERROR' and app = 'shop' since 10m";
    for (clause, limit, direction) in [
        ("", RECORDS_DEFAULT, Direction::Ascending),
        (" limit 50", 50, Direction::Ascending),
        (" order by time limit 1000", 1000, Direction::Ascending),
        (" order by time desc limit 1", 1, Direction::Descending),
    ] {
        let question = parse_question(&format!("{text}{clause}")).expect("a good question");
        let Question::Records(query) = question else {
            panic!("it asks for records")
        };
        assert_eq!((query.limit, query.direction), (limit, direction));
        assert_eq!(query.range.since.as_deref(), Some("10m"));
        let RecordsSource::Log { monitor, definition } = &query.source else {
            panic!("it names a log")
        };
        assert_eq!(
            monitor.filter.as_ref().map(tree).as_deref(),
            Some("(and (= level 'ERROR') (= @app 'shop'))")
        );
        let documents = crate::load_str("it", definition).expect("a good document");
        let [crate::Document::Monitor(read)] = documents.as_slice() else {
            panic!("one monitor")
        };
        let without_range = summary(monitor).replace("Some(\"10m\")", "None");
        assert_eq!(summary(read), without_range);
    }
    check_mistake(
        "select * from log '/x' group by host",
        "33: host: `group by` belongs to a question that computes values; `*` asks for the records (write what to \
         compute instead of `*`: select count() from log …)",
    );
    check_mistake(
        "select * from log '/x' order by a",
        "33: a: records stand in the order of their times (write order by time, or order by time desc for the latest \
         first)",
    );
    check_mistake(
        "select * from log '/x' limit 1001",
        "30: 1001: more than 1000 records (to count so many, write count() instead of `*`)",
    );
    let diagnostic = parse_mql("select * from log '/x'").expect_err("no monitor");
    assert_eq!(diagnostic.message, "`select *` belongs to a question, not to a monitor");
}

#[test]
fn records_of_a_monitor_are_asked_for() {
    for (source, name) in [
        ("log pay", "pay"),
        ("log trade-center", "trade-center"),
        ("log `my pay`", "my pay"),
        ("log app", "app"),
        ("log `where`", "where"),
        ("log sunfire.1005_SM_13", "sunfire.1005_SM_13"),
    ] {
        let text = format!("select * from {source} where op = 'pay' and line contains 'x' from 10m to 5m limit 7");
        let Question::Records(query) = parse_question(&text).expect("a good question") else {
            panic!("it asks for records")
        };
        let RecordsSource::Monitor {
            name: placed,
            condition,
        } = &query.source
        else {
            panic!("it names a monitor")
        };
        let condition = condition.as_ref().map(tree);
        assert_eq!((placed.value.as_str(), query.limit), (name, 7));
        assert_eq!(condition.as_deref(), Some("(and (= op 'pay') (contains LINE 'x'))"));
        assert_eq!(query.range.to.as_deref(), Some("5m"));
    }
    // Stored points are asked for as ever.
    let stored = parse_question("select * from pay where op = 'pay' limit 7").expect("a good question");
    assert!(matches!(stored, Question::Stored(_)));
    check_mistake(
        "select * from log pay parse json",
        "23: parse json: `parse` is the monitor's: its records are asked for as it counts them (leave it out, or name \
         the log itself: from log '/…')",
    );
    check_mistake(
        "select * from log where app = 'shop'",
        "19: where: expected the log's path in single quotes, found `where`",
    );
    check_mistake(
        "select count() from log pay",
        "25: pay: of a monitor's log, only the records can be asked for (write `select *`; what it counts are its \
         points: select … from <monitor>)",
    );
    check_mistake(
        "select * from log pay from log '/x'",
        "23: from log '/x': `from log` is given twice (keep one of them)",
    );
    let diagnostic = parse_mql("select count() from log pay").expect_err("no monitor");
    assert_eq!(diagnostic.message, "a monitor names its log by the path");
}

/// What a monitor groups by is meant by the name that it has there; what it filters, it goes on to filter.
#[test]
fn a_monitors_records_are_narrowed_by_its_groups() {
    let monitor = parse_mql(
        "select sum(cost) as c from log '/x' parse logfmt where op <> 'ask' and label('kind') = 'web' group by \
         field('path') as path, label('unit') as unit, zone every 5s lateness 3s",
    );
    let narrow = parse_condition("path = '/a' and unit in ('u', 'v') and zone is null and not (cost > 5)");
    let narrowed = monitor.expect("a monitor").of_records(narrow.as_ref().ok(), 60_000);
    assert_eq!(
        narrowed.filter.as_ref().map(tree).as_deref(),
        Some(
            "(and (and (!= op 'ask') (= @kind 'web')) (and (and (and (= path '/a') (in @unit ['u' 'v'])) (null \
             @zone)) (not (> cost 5))))"
        )
    );
    assert_eq!((narrowed.window_ms, narrowed.lateness_ms), (60_000, Some(3_000)));
    assert!(narrowed.group_by.is_empty() && narrowed.select.len() == 1);
}

#[test]
fn a_slip_in_a_narrowing_condition_is_told() {
    let monitor = parse_mql("select count() from log '/x' parse split('|', op, cost) group by op as what every 5s");
    let monitor = monitor.expect("a monitor");
    let text = "cots > 5 and what = 'a'";
    let condition = parse_condition(text).expect("a condition");
    let mistake = crate::check_narrowing(text, &monitor, &condition).expect_err("a slip");
    assert_eq!(
        (mistake.column, mistake.hint.as_deref()),
        (1, Some("did you mean `cost`?"))
    );
    let text = "cost > 5 and what = 'a' and unit = 'u'";
    let condition = parse_condition(text).expect("a condition");
    assert!(crate::check_narrowing(text, &monitor, &condition).is_ok());
}

#[test]
fn files_named_beside_a_question_are_asked_for_records_too() {
    let local = |text| crate::parse_local(text).expect("a good question");
    assert!(matches!(local("select * where line contains 'x' limit 5"), Local::Records(query) if query.limit == 5));
    assert!(matches!(local("select count() every 1m"), Local::Monitor(_)));
    let message = |text| crate::parse_local(text).expect_err("a mistake").message;
    assert!(message("select * from pay").contains("stored points"));
    assert!(message("select * from log pay").contains("by the path"));
}
