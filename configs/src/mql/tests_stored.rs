//! Questions about stored points: good ones with what they say, bad ones with what is said of them.

use super::tests::tree;
use super::*;
use crate::query::Select;

/// All that a question says, without spans.
fn summary(query: &Query) -> String {
    let select = match &query.select {
        Select::All => "*".to_owned(),
        Select::Outputs(outputs) => {
            let outputs: Vec<_> = (outputs.iter())
                .map(|output| format!("{}: {}", output.name, tree(&output.expr)))
                .collect();
            outputs.join(", ")
        }
    };
    let filter = query.filter.as_ref().map_or("-".to_owned(), tree);
    let groups = query.group_by.as_ref().map_or("-".to_owned(), |groups| {
        let names: Vec<_> = groups.iter().map(|group| group.value.name.as_str()).collect();
        names.join(",")
    });
    let every = query.every_ms.as_ref().map(|every| every.value);
    let range = &query.range;
    let times = [&range.since, &range.from, &range.to].map(|time| time.as_deref().unwrap_or("-").to_owned());
    let limit = query.shaping.limit;
    format!(
        "{select} | {} | {filter} | {groups} | {every:?} | {} | {limit:?}",
        query.source.value,
        times.join(" ")
    )
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let query = parse_query(text).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    assert_eq!(summary(&query), expected, "{text}");
    assert!(
        text[query.source.span.clone()].contains(query.source.value.as_str()),
        "{text}: the source's place"
    );
}

#[test]
fn stored_points_are_asked_by_name() {
    check(
        "select sum(requests), max(p99_ms) from sunfire_http where status >= '500' and host = 'a' group by path every \
         1m since 30m limit 20",
        "sum(requests): sum(requests), max(p99_ms): max(p99_ms) | sunfire_http | (and (>= status '500') (= @host 'a')) \
         | path | Some(60000) | 30m - - | Some(20)",
    );
    check("select * from M since 1h", "* | M | - | - | None | 1h - - | None");
    check(
        "select * from sunfire.1005_SM_13 since 30m",
        "* | sunfire.1005_SM_13 | - | - | None | 30m - - | None",
    );
    check(
        "select avg(cpu.util), max(load.load1) from system where app='AppTest' since 30m",
        "avg(cpu.util): avg(cpu.util), max(load.load1): max(load.load1) | system | (= @app 'AppTest') | - | None | 30m \
         - - | None",
    );
    check(
        "select * from spring filter class='classA' and method='methodB' where ip='192.168.1.1' since 1h",
        "* | spring | (and (and (= class 'classA') (= method 'methodB')) (= @ip '192.168.1.1')) | - | None | 1h - - | \
         None",
    );
}

#[test]
fn names_ranges_and_arithmetic() {
    check(
        "select a from trade-center-2 since 5m",
        "a: a | trade-center-2 | - | - | None | 5m - - | None",
    );
    check(
        "select `a b`, \"c\" from `log` since 5m",
        "a b: a b, c: c | log | - | - | None | 5m - - | None",
    );
    check(
        "select 100 * sum(errors) / sum(requests) as share from m from 2026-11-23T07:00:00Z to 2026-11-23T08:00:00Z",
        "share: (/ (* 100 sum(errors)) sum(requests)) | m | - | - | None | - 2026-11-23T07:00:00Z 2026-11-23T08:00:00Z \
         | None",
    );
    check("select a since 1h from m", "a: a | m | - | - | None | 1h - - | None");
    check(
        "select sum(n where status = '500') from m from 30m to 5m",
        "sum(n where status = '500'): sum(n if (= status '500')) | m | - | - | None | - 30m 5m | None",
    );
}

#[track_caller]
fn check_mistake(text: &str, expected: &str) {
    let diagnostic = parse_query(text).expect_err(text);
    let hint = diagnostic
        .hint
        .as_ref()
        .map_or(String::new(), |hint| format!(" ({hint})"));
    let said = format!(
        "{}: {}: {}{hint}",
        diagnostic.column, diagnostic.text, diagnostic.message
    );
    assert_eq!(said, expected, "{text}");
}

#[test]
fn mistakes_about_stored_points() {
    check_mistake(
        "select *, a from m",
        "9: ,: `*` stands alone in `select` (it means every column; name the columns, or leave the others out)",
    );
    check_mistake(
        "select sum(a + b) from m",
        "12: a + b: over stored points an aggregate takes one stored column (compute outside of it, as in 100 * \
         sum(errors) / sum(requests))",
    );
    check_mistake(
        "select 1 from m",
        "8: 1: an output needs a stored column (such as sum(requests))",
    );
    check_mistake(
        "select a > 1 from m",
        "8: a > 1: an output is a number, this is a condition (to count by a condition, write count(…) around it)",
    );
    check_mistake(
        "select a from m where sum(a) > 1",
        "23: sum(a): an aggregate can't stand in `where` (aggregates are computed in `select`; put the condition \
         inside: count(cost > 5))",
    );
    check_mistake(
        "select a from m parse json",
        "17: parse json: `parse` belongs to a monitor, not to a question about stored points (leave it out: the points \
         were stored with it)",
    );
    check_mistake(
        "select a from m app x",
        "21: x: `app` belongs to a monitor, not to a question about stored points (write it as a condition: where app \
         = '…')",
    );
    check_mistake(
        "select a from m from n",
        "22: n: `from` is given twice (keep one of them)",
    );
    check_mistake(
        "select a from m every 7s",
        "23: 7s: a window must divide a day evenly, or be whole days (the nearest usual window is 5s)",
    );
    check_mistake(
        "select a from m since 5m from 5m",
        "23: 5m: `since` and `from … to` are both given (keep one of them)",
    );
    check_mistake(
        "select * since 5m",
        "8: *: everything of which monitor? (name it: select * from <monitor> since 30m)",
    );
    check_mistake(
        "select count() since 5m",
        "1: select count() since 5m: the query names no monitor to ask (write: select … from <monitor> since 30m)",
    );
    check_mistake(
        "select count() from log '/x'",
        "1: select count() from log '/x': this asks a log, and no stored points (ask a monitor's stored points: \
         select … from <monitor>)",
    );
    check_mistake(
        "select * from log '/x'",
        "1: select * from log '/x': this asks for the records of a log, and no stored points (ask a monitor's stored \
         points: select … from <monitor>)",
    );
}

#[test]
fn one_grammar_reads_both_kinds() {
    let is_stored = |text: &str| matches!(parse_question(text), Ok(Question::Stored(_)));
    assert!(is_stored("select a from m") && !is_stored("select count() from log '/x'"));
    assert!(matches!(parse_question("select count()"), Ok(Question::Raw(_))));
    assert!(
        parse_question("select a").is_err(),
        "a monitor's column stands in an aggregate"
    );
}
