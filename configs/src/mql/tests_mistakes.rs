//! Bad texts with what is said of them.

use super::*;

/// The mistake as `column: offending text: message (hint)`.
fn brief(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        column,
        text,
        message,
        hint,
        ..
    } = diagnostic;
    let hint = hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    format!("{column}: {text}: {message}{hint}")
}

#[track_caller]
fn check_mistake(text: &str, expected: &str) {
    let diagnostic = parse_expr(text).expect_err(text);
    assert_eq!(brief(&diagnostic), expected, "{text}");
}

#[track_caller]
fn check_query_mistake(text: &str, expected: &str) {
    let diagnostic = parse_mql(text).expect_err(text);
    assert_eq!(brief(&diagnostic), expected, "{text}");
}

#[test]
fn mistakes_of_grammar() {
    check_mistake("", "1: : expected a value or a column, but the text ends");
    check_mistake("a =", "4: : expected a value or a column, but the text ends");
    check_mistake("a = 1 b", "7: b: expected the end of the expression, found `b`");
    check_mistake("a = b = c", "7: =: comparisons can't be chained (join them with `and`)");
    check_mistake(
        "(a = 1",
        "7: : expected `)` after the expression in parentheses, but the text ends",
    );
    check_mistake("a in 'x'", "6: 'x': expected `(` after `in`, found `'x'`");
    check_mistake(
        "a in (b)",
        "7: b: expected a text in single quotes or a number, found `b`",
    );
    let hint = "text is written in single quotes: 'b'";
    check_mistake(
        "a in (\"b\")",
        &format!("7: \"b\": expected a text in single quotes or a number, found `\"b\"` ({hint})"),
    );
    check_mistake("a is 1", "6: 1: expected `null` after `is`, found `1`");
    check_mistake(
        "a matches '(b'",
        "11: '(b': the regular expression can't be used: unclosed group",
    );
    check_mistake("a like b", "8: b: expected a pattern in single quotes, found `b`");
    let hint = "'pay' is the text; `pay` in backticks is the column";
    check_mistake(
        "op = \"pay\"",
        &format!("6: \"pay\": text is written in single quotes ({hint})"),
    );
    check_mistake(
        "a > 5s",
        "5: 5s: expected a value, found `5s` (a number has no unit here: write it in the field's unit)",
    );
    let hint = "a column of that name is written in backticks: `from`";
    check_mistake(
        "from = 1",
        &format!("1: from: expected a value or a column, found `from` ({hint})"),
    );
    let message = "`$status` is not a column: only `$1`, `$2`, … begin with $";
    check_mistake(
        "$status = 1",
        &format!("1: $status: {message} (did you mean `status`?)"),
    );
    check_mistake("a == 1", "3: ==: unknown operator `==` (write `=`)");
    check_mistake(
        "field(host)",
        "7: host: expected the field's name in single quotes, found `host`",
    );
    check_mistake(&"(".repeat(100), "66: (: nested deeper than 64 levels");
    let many = vec!["a = 1"; 600].join(" or ");
    let diagnostic = parse_expr(&many).expect_err("too many operators");
    assert_eq!(diagnostic.message, "more than 500 operators");
    assert!(parse_expr(&"a".repeat(MQL_BYTES_MAX + 1)).is_err());
}

#[test]
fn mistakes_of_where_records_begin() {
    let usage = "write records start '^\\d{4}-', or records continue '^\\s'";
    check_query_mistake(
        "select count() records '^a'",
        &format!("24: '^a': expected `start` or `continue` after `records`, found `'^a'` ({usage})"),
    );
    check_query_mistake(
        "select count() records start a",
        "30: a: expected a pattern in single quotes, found `a`",
    );
    let hint = "as in '^MainThread::'";
    check_query_mistake(
        "select count() records start ''",
        &format!("30: '': the pattern of `records` is empty (say what a line begins with, {hint})"),
    );
    let linear = "a regular expression of linear time, without look-around and back references";
    check_query_mistake(
        "select count() records continue '(b' every 1m",
        &format!("33: '(b': the regular expression can't be used: unclosed group ({linear}, {hint})"),
    );
    let long = "x".repeat(1025);
    let message = "the pattern of `records` has 1025 bytes, at most 1024 are allowed";
    check_query_mistake(
        &format!("select count() records start '{long}'"),
        &format!("30: '{long}': {message} (match only what a line begins with, {hint})"),
    );
    check_query_mistake(
        "select count() records start 'a' records continue 'b'",
        "34: records continue 'b': `records` is given twice (keep one of them)",
    );
    check_query_mistake(
        "select count() recrods start 'a'",
        "16: recrods: unknown clause `recrods` (did you mean `records`?)",
    );
}

#[test]
fn mistakes_of_calls() {
    check_mistake("cuont()", "1: cuont: unknown function `cuont` (did you mean `count`?)");
    check_mistake(
        "median(x)",
        "1: median: unknown function `median` (did you mean `p50(x)`?)",
    );
    check_mistake(
        "p101(x)",
        "1: p101: `p101` is not a percentile (percentiles go from p0 to p100, such as p50, p99, p99.9)",
    );
    let known = "count, lines, bytes, sum, avg, min, max, stddev, p50 … p99.9, quantile, distinct, first, last, rate";
    check_mistake(
        "foobar(x)",
        &format!("1: foobar: unknown function `foobar` (known: {known})"),
    );
    check_mistake("sum()", "5: ): `sum` needs a value (write sum(column))");
    check_mistake("sum(where a = 1)", "4: (: `sum` needs a value (write sum(column))");
    let hint = "aggregates don't nest: compute with them outside, as in sum(a) / count()";
    check_mistake(
        "sum(avg(x))",
        &format!("5: avg: `avg` stands inside another aggregate ({hint})"),
    );
    check_mistake(
        "count(distinct x)",
        "7: distinct: `count` takes no `distinct` (write distinct(x))",
    );
    let hint = "join conditions with `and`";
    check_mistake(
        "count(a = 1, b = 2)",
        &format!("12: ,: `count` takes a condition and nothing more ({hint})"),
    );
    check_mistake(
        "sum(a, b = 2, c = 3)",
        &format!("13: ,: `sum` takes a value and a condition, nothing more ({hint})"),
    );
    check_mistake("sum(a", "6: : expected `)` at the end of `sum(`, but the text ends");
    let hint = "write the fraction first, from 0 to 1: quantile(0.99, cost)";
    check_mistake("quantile(99, x)", &format!("10: 99: the fraction is beyond 1 ({hint})"));
    check_mistake(
        "quantile(x)",
        &format!("10: x: expected a fraction, found `x` ({hint})"),
    );
    check_mistake(
        "topk(x)",
        "1: topk: `topk` is a clause of a question, not a function (write: select … from <monitor> topk 10 by \
         sum(errors))",
    );
    check_mistake("label('')", "7: '': the label's name is empty");
}

#[test]
fn mistakes_of_types() {
    check_mistake(
        "a = null",
        "5: null: a comparison with `null` is never true (write `is null` or `is not null`)",
    );
    let hint = "compare it: a = 'true', a > 0, a is not null";
    check_mistake(
        "a and b = 1",
        &format!("1: a: expected a condition in `and`, found a column ({hint})"),
    );
    check_mistake("not 1", "5: 1: expected a condition in `not`, found a number");
    check_mistake(
        "(a = 1) + 1",
        "1: (a = 1): expected a number in arithmetic, found a condition",
    );
    check_mistake(
        "'a' * 2",
        "1: 'a': expected a number in arithmetic, found a text (a column is written without quotes: a)",
    );
    check_mistake("(a = 1) = 2", "1: (a = 1): a condition can't be compared");
    check_mistake("a > true", "5: true: a condition can't be compared");
    check_mistake(
        "sum('x')",
        "5: 'x': expected a number in an aggregate, found a text (a column is written without quotes: x)",
    );
    check_mistake(
        "count(amount)",
        "7: amount: expected a condition in an aggregate, found a column (compare it: amount = 'true', amount > \
         0, amount is not null)",
    );
    check_mistake(
        "first(a + 1)",
        "7: a + 1: expected a column (distinct, first and last look at the text of one column)",
    );
    check_mistake(
        "first(a) + 1",
        "1: first(a): expected a number in arithmetic, found a text",
    );
    check_mistake(
        "max(line)",
        "1: max(line): `line` is the record's whole text, not a number (name a field; to count records write count())",
    );
}

#[test]
fn mistakes_of_queries() {
    let hint = "a query looks like: select count() from log '/var/log/x.log' where op = 'pay' every 5s";
    check_query_mistake("", &format!("1: : expected `select`, but the text ends ({hint})"));
    check_query_mistake(
        "count()",
        &format!("1: count: expected `select`, found `count` ({hint})"),
    );
    let hint = "name what to compute: select count(), sum(cost)";
    check_query_mistake(
        "select *",
        &format!("8: *: `select *` belongs to a question, not to a monitor ({hint})"),
    );
    let hint = "write an aggregate such as sum(op), or `group by op`";
    check_query_mistake(
        "select op",
        &format!("8: op: the column `op` stands outside of an aggregate ({hint})"),
    );
    check_query_mistake(
        "select 1 + 2",
        "8: 1 + 2: an output needs an aggregate (such as count() or sum(column))",
    );
    let hint = "to count by a condition, write count(…) around it";
    check_query_mistake(
        "select count() > 5",
        &format!("8: count() > 5: an output is a number, this is a condition ({hint})"),
    );
    let hint = "give one of them another name with `as`";
    check_query_mistake(
        "select count(), count()",
        &format!("17: count(): two outputs are named `count()` ({hint})"),
    );
    check_query_mistake(
        "select count() as a, sum(x) as a",
        &format!("22: sum(x) as a: two outputs are named `a` ({hint})"),
    );
    check_query_mistake(
        "select count() gropu by a",
        "16: gropu: unknown clause `gropu` (did you mean `group by`?)",
    );
    check_query_mistake(
        "select count() wehre a = 1",
        "16: wehre: unknown clause `wehre` (did you mean `where`?)",
    );
    for (clause, name, example) in [
        ("order by a", "order by", "order by total desc"),
        ("having x > 1", "having", "having total > 5"),
        ("offset 5d", "offset", "offset 7d"),
        ("fill 0", "fill", "fill null"),
        ("topk 5", "topk", "topk 10 by total"),
    ] {
        let diagnostic = parse_mql(&format!("select count() {clause}")).expect_err(clause);
        assert_eq!(
            (
                diagnostic.column,
                name.starts_with(&diagnostic.text) || diagnostic.text == clause
            ),
            (16, true)
        );
        let message = format!("`{name}` belongs to a question about stored points, not to a monitor");
        let hint = format!("a monitor stores all it counts; ask it: select … from <monitor> {example}");
        assert_eq!((diagnostic.message, diagnostic.hint), (message, Some(hint)));
    }
}

#[test]
fn mistakes_of_clauses() {
    check_query_mistake(
        "select count() group a",
        "22: a: expected `by` after `group`, found `a`",
    );
    check_query_mistake(
        "select count() every 7s",
        "22: 7s: a window must divide a day evenly, or be whole days (the nearest usual window is 5s)",
    );
    check_query_mistake(
        "select count() every 50ms",
        "22: 50ms: a window is at least 100ms long (the nearest usual window is 100ms)",
    );
    let hint = "write a whole number and a unit: 500ms, 5s, 1m, 1h, 1d";
    check_query_mistake(
        "select count() every 5",
        &format!("22: 5: expected a duration after `every`, found `5` ({hint})"),
    );
    check_query_mistake(
        "select count() every 5s every 6s",
        "31: 6s: `every` is given twice (keep one of them)",
    );
    check_query_mistake(
        "select count() where count() > 1",
        "22: count(): an aggregate can't stand in `where` (aggregates are computed in `select`; put the \
         condition inside: count(cost > 5))",
    );
    check_query_mistake(
        "select count() filter a",
        "23: a: expected a condition in `filter`, found a column (compare it: a = 'true', a > 0, a is not null)",
    );
    check_query_mistake(
        "select count() group by a, a",
        "28: a: two group columns are named `a` (drop one, or give it another name with `as`)",
    );
    check_query_mistake("select count() group by 1", "25: 1: expected a column");
    check_query_mistake(
        "select count() limit 0",
        "22: 0: expected a whole number from 1 on after `limit`, found `0`",
    );
}

#[test]
fn mistakes_of_sources_and_ranges() {
    let hint = "a monitor reads a log: from log '/var/log/x.log'";
    check_query_mistake(
        "select count() from spring",
        &format!("21: spring: `from spring` asks for stored points, which no monitor reads ({hint})"),
    );
    check_query_mistake(
        "select count() from log 'x.log'",
        "25: 'x.log': a log's path is absolute (begin it with /, as it is on the hosts)",
    );
    check_query_mistake(
        "select count() from log",
        "24: : expected the log's path in single quotes, but the text ends",
    );
    let hint = crate::zone::TIME_HINT;
    check_query_mistake(
        "select count() from 2026-13-23 to 5m",
        &format!("21: 2026-13-23: `2026-13-23` is not a time ({hint})"),
    );
    check_query_mistake(
        "select count() since 5m from 10m",
        "22: 5m: `since` and `from … to` are both given (keep one of them)",
    );
    check_query_mistake(
        "select count() since 2026-11-23T00:00:00Z",
        "22: 2026-11-23T00:00:00Z: expected a duration after `since`, found `2026-11-23T00:00:00Z` (a time is \
         given with `from`)",
    );
    check_query_mistake(
        "select count() timezone 'Asia/Shangai'",
        "25: 'Asia/Shangai': unknown time zone `Asia/Shangai` (did you mean `Asia/Shanghai`?)",
    );
}

#[test]
fn mistakes_of_rules() {
    check_query_mistake(
        "select count() parse jsno",
        "22: jsno: unknown parse form `jsno` (did you mean `json`?)",
    );
    check_query_mistake(
        "select count() parse grok('%{NUMBR:x}')",
        "16: parse grok('%{NUMBR:x}'): there is no grok pattern `NUMBR`; did you mean `NUMBER`?",
    );
    check_query_mistake(
        "select count() parse kv",
        "24: : expected `(` after `kv`, but the text ends (write kv('|', '='), or kv('|', '=', ' - ') to begin \
         after ` - `)",
    );
    check_query_mistake(
        "select count() parse kv('|')",
        "28: ): expected `,` after the pairs' separator, found `)` (write kv('|', '='), or kv('|', '=', ' - ') \
         to begin after ` - `)",
    );
    check_query_mistake(
        "select count() parse json('x')",
        "27: 'x': expected `)`, found `'x'` (`json` takes no arguments)",
    );
    check_query_mistake(
        "select sum(a) parse regex('(?<a>')",
        "15: parse regex('(?<a>'): the regular expression can't be used: unclosed group",
    );
    check_query_mistake(
        "select sum(a) parse kv('', '=')",
        "15: parse kv('', '='): `pair` is empty; give it at least one character",
    );
    let message = "the rule nginx gives no column `statsu` (did you mean `status`?)";
    check_query_mistake(
        "select count() parse nginx group by statsu",
        &format!("37: statsu: {message}"),
    );
    check_query_mistake(
        "select count(statsu > 499) parse nginx",
        &format!("14: statsu: {message}"),
    );
    assert!(
        parse_mql("select count() parse nginx group by rack").is_ok(),
        "it may be a label of the inventory"
    );
}
