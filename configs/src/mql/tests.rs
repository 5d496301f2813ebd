//! Good texts with their trees, bad texts with what is said of them.

use super::*;
use crate::expr::{Aggregate, BinaryOp, Column, Expr, ExprKind, Function, TextMatchOp, UnaryOp};
use proptest::prelude::*;

/// An expression without its spans, as an S-expression.
pub(crate) fn tree(expr: &Expr) -> String {
    let negation = |negated: bool| if negated { "not-" } else { "" };
    match &expr.kind {
        ExprKind::Text(text) => format!("'{text}'"),
        ExprKind::Number(number) => number.clone(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Null => "null".to_owned(),
        ExprKind::Column(Column::Field(name)) => name.clone(),
        ExprKind::Column(Column::Label(name)) => format!("@{name}"),
        ExprKind::Column(Column::Line) => "LINE".to_owned(),
        ExprKind::Unary(UnaryOp::Not, operand) => format!("(not {})", tree(operand)),
        ExprKind::Unary(UnaryOp::Negate, operand) => format!("(neg {})", tree(operand)),
        ExprKind::Binary(op, left, right) => format!("({} {} {})", operator(*op), tree(left), tree(right)),
        ExprKind::In { value, list, negated } => {
            let list: Vec<String> = list.iter().map(tree).collect();
            format!("({}in {} [{}])", negation(*negated), tree(value), list.join(" "))
        }
        ExprKind::TextMatch {
            op,
            value,
            pattern,
            negated,
        } => {
            let op = match op {
                TextMatchOp::Like => "like",
                TextMatchOp::Contains => "contains",
                TextMatchOp::Matches => "matches",
            };
            format!("({}{op} {} '{pattern}')", negation(*negated), tree(value))
        }
        ExprKind::IsNull { value, negated } => format!("({}null {})", negation(*negated), tree(value)),
        ExprKind::Aggregate(aggregate) => aggregate_tree(aggregate),
    }
}

fn aggregate_tree(
    Aggregate {
        function,
        argument,
        condition,
    }: &Aggregate,
) -> String {
    let name = match function {
        Function::Quantile(fraction) => format!("q{fraction}"),
        other => format!("{other:?}").to_lowercase(),
    };
    let argument = argument.as_ref().map_or(String::new(), tree);
    let condition = condition
        .as_ref()
        .map_or(String::new(), |condition| format!(" if {}", tree(condition)));
    format!("{name}({argument}{condition})")
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Equal => "=",
        BinaryOp::NotEqual => "!=",
        BinaryOp::Less => "<",
        BinaryOp::LessOrEqual => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterOrEqual => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
    }
}

/// All that a monitor says, without spans: what YAML and MQL must agree on.
pub(crate) fn summary(monitor: &Monitor) -> String {
    let filter = monitor.filter.as_ref().map(tree);
    let select: Vec<String> = monitor
        .select
        .iter()
        .map(|output| format!("{}: {}", output.name, tree(&output.expr)))
        .collect();
    let parse = monitor.parse.as_ref().map(logline::fields::Rule::name);
    let records = monitor.records.as_ref();
    let records = records.map_or(String::new(), |records| format!("records {records} "));
    let Monitor {
        app,
        log,
        group_by,
        window_ms,
        lateness_ms,
        delay_ms,
        grace_ms,
        ..
    } = monitor;
    let Monitor {
        timezone,
        timestamp,
        encoding: _,
        absent,
        limits,
        range,
        ..
    } = monitor;
    format!(
        "{app:?} {log:?} {records}{parse:?} {filter:?} {group_by:?} {select:?} {window_ms} {lateness_ms:?} \
         {delay_ms:?} {grace_ms} {timezone:?} {timestamp:?} {absent:?} {limits:?} {range:?}"
    )
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let expr = parse_expr(text).unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
    assert_eq!(tree(&expr), expected, "{text}");
    assert_eq!(expr.span, 0..text.len(), "{text}: the span of the whole");
}

#[track_caller]
fn query(text: &str) -> Monitor {
    parse_mql(text).unwrap_or_else(|diagnostic| panic!("{diagnostic}"))
}

#[test]
fn operators_bind_as_they_should() {
    check("a = 1 or b = 2 and c = 3", "(or (= a 1) (and (= b 2) (= c 3)))");
    check("(a = 1 or b = 2) and c = 3", "(and (or (= a 1) (= b 2)) (= c 3))");
    check("not a = 1 and b = 2", "(and (not (= a 1)) (= b 2))");
    check("NOT (a = 1 AND b <> 2)", "(not (and (= a 1) (!= b 2)))");
    check("a + b * c - d", "(- (+ a (* b c)) d)");
    check("a - b - c", "(- (- a b) c)");
    check("-a * b", "(* (neg a) b)");
    check("a % 2 = 1", "(= (% a 2) 1)");
    check("a + 1 > b / 2", "(> (+ a 1) (/ b 2))");
    check("a < -1", "(< a (neg 1))");
    check("1-2", "(- 1 2)");
    check("not not a = 1", "(not (not (= a 1)))");
}

#[test]
fn predicates() {
    check(
        "op in ('pay', 'refund', 3, -4.5, true)",
        "(in op ['pay' 'refund' 3 -4.5 true])",
    );
    check("op not in ('x')", "(not-in op ['x'])");
    check("url like '/a%'", "(like url '/a%')");
    check(
        "url not like '/a%' and b contains 'x'",
        "(and (not-like url '/a%') (contains b 'x'))",
    );
    check(
        "line matches 'a.*b' or x not matches '^c'",
        "(or (matches LINE 'a.*b') (not-matches x '^c'))",
    );
    check("a is null and b is not null", "(and (null a) (not-null b))");
    check("a + 1 in (2)", "(in (+ a 1) [2])");
    check("ok = true", "(= ok true)");
}

#[test]
fn columns() {
    check("a.b[0].c", "a.b[0].c");
    check("$1", "$1");
    check("\"a b\"", "a b");
    check("`select`", "select");
    check("field('host') = host", "(= host @host)");
    check(
        "label('unit') = 'x' and label('zone') = zone",
        "(and (= @unit 'x') (= @zone @zone))",
    );
    check("app = 'x' and zone = 'y'", "(and (= @app 'x') (= @zone 'y'))");
    check("limit > every", "(> limit every)");
    check("Host = 'x'", "(= Host 'x')");
    check("it = 'it''s'", "(= it 'it's')");
}

#[test]
fn aggregates() {
    check("count()", "count()");
    check("COUNT(*)", "count()");
    check("count(result = 'success')", "count( if (= result 'success'))");
    check("count(where op = 'a')", "count( if (= op 'a'))");
    check("lines() + bytes()", "(+ lines() bytes())");
    check("sum(amount, op = 'pay')", "sum(amount if (= op 'pay'))");
    check("sum(amount where op = 'pay')", "sum(amount if (= op 'pay'))");
    check("sum(a * b + 1)", "sum((+ (* a b) 1))");
    check(
        "100 * count(a = 'b') / count()",
        "(/ (* 100 count( if (= a 'b'))) count())",
    );
    check("p50(x) + p99.9(x)", "(+ q0.5(x) q0.999(x))");
    check("quantile(0.50, x, y > 1)", "q0.5(x if (> y 1))");
    check("distinct(user)", "distinct(user)");
    check("first(line)", "first(LINE)");
    check("last(host where a = 1)", "last(@host if (= a 1))");
    check("rate()", "rate()");
    check("rate(bytes)", "rate(bytes)");
    check("rate(a = 'b')", "rate( if (= a 'b'))");
    check("rate(x, a = 'b')", "rate(x if (= a 'b'))");
    check(
        "avg(x) - min(x) * max(x) / stddev(x)",
        "(- avg(x) (/ (* min(x) max(x)) stddev(x)))",
    );
}

#[test]
fn queries() {
    let monitor = query(
        "select count() as total, sum(amount), p99(cost), 100*count(result='success')/count() as success_rate
         from log '/home/admin/logs/pay.log' parse kv('|', '=')
         where app = 'trade-center' and op in ('pay', 'refund')
         group by op, zone every 5s since 30m",
    );
    let names: Vec<&str> = monitor.select.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["total", "sum(amount)", "p99(cost)", "success_rate"]);
    assert_eq!(monitor.name, "query");
    let expected = "Some(\"trade-center\") Some(\"/home/admin/logs/pay.log\") Some(\"kv('|', '=')\") \
        Some(\"(and (= @app 'trade-center') (in op ['pay' 'refund']))\") \
        [GroupColumn { name: \"op\", column: Field(\"op\") }, GroupColumn { name: \"zone\", column: Label(\"zone\") }] \
        [\"total: count()\", \"sum(amount): sum(amount)\", \"p99(cost): q0.99(cost)\", \
        \"success_rate: (/ (* 100 count( if (= result 'success'))) count())\"] 5000 None None 1000 None None Missing \
        Limits { groups: 100000, cpu_us_per_s: None, bytes_per_s: None } \
        TimeRange { from: None, to: None, since: Some(\"30m\") }";
    assert_eq!(summary(&monitor), expected);
}

#[test]
fn clauses_stand_in_any_order() {
    let one =
        query("select count() as n where a = 1 filter b = 2 group by `c d` as e every 10s limit 7 delay 1m grace 2s");
    let other = query(
        "SELECT count() AS 'n' GRACE 2s LIMIT 7 FILTER a = 1 DELAY 1m EVERY 10s GROUP BY \"c d\" AS e WHERE b = 2",
    );
    assert_eq!(summary(&one), summary(&other));
    assert_eq!(one.filter.as_ref().map(tree).as_deref(), Some("(and (= a 1) (= b 2))"));
    assert_eq!(
        (one.limits.groups, one.delay_ms, one.grace_ms, one.window_ms),
        (7, Some(60_000), 2_000, 10_000)
    );
}

#[test]
fn output_names_are_the_text_as_written() {
    let monitor = query("select  100 *  count( ) , (count()) as \"a b\",p99.9(x)every 1m");
    let names: Vec<&str> = monitor.select.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["100 *  count( )", "a b", "p99.9(x)"]);
}

#[test]
fn ranges_zones_and_apps() {
    let range = |text: &str| query(&format!("select count() {text}")).range;
    let times = (Some("2026-11-23T07:00:00Z".to_owned()), Some("30m".to_owned()));
    let found = range("from 2026-11-23T07:00:00Z to 30m");
    assert_eq!((found.from, found.to), times);
    let found = range("from '2026-11-23T07:00:00Z' to '30m'");
    assert_eq!((found.from, found.to), times);
    assert_eq!(range("since '2h'").since.as_deref(), Some("2h"));
    let app = |text: &str| query(&format!("select count() {text}")).app;
    assert_eq!(app("app trade-center-2 every 1m").as_deref(), Some("trade-center-2"));
    assert_eq!(app("app 'a b'").as_deref(), Some("a b"));
    assert_eq!(app("where a = 1 and (b = 2 and 'x' = app)").as_deref(), Some("x"));
    assert_eq!(app("where app = 'x' or a = 1"), None);
    assert_eq!(app("where not app = 'x'"), None);
    assert_eq!(app("where field('app') = 'x'"), None);
    assert_eq!(
        query("select count() timezone '+08:00' timestamp '%d'")
            .timezone
            .as_deref(),
        Some("+08:00")
    );
}

#[test]
fn parse_forms() {
    let name = |form: &str| {
        query(&format!("select count() parse {form}"))
            .parse
            .map(|rule| rule.name())
    };
    assert_eq!(name("auto"), None);
    assert_eq!(name("JSON").as_deref(), Some("json"));
    assert_eq!(name("logfmt()").as_deref(), Some("logfmt"));
    assert_eq!(name("clf").as_deref(), Some("clf"));
    assert_eq!(name("nginx").as_deref(), name("nginx()").as_deref());
    assert!(name("nginx('$remote_addr $status')").is_some_and(|name| name.contains("$remote_addr $status")));
    assert_eq!(name("kv('|','=',' - ')").as_deref(), Some("kv('|', '=', ' - ')"));
    let fields = |form: &str| {
        query(&format!("select count() parse {form}"))
            .parse
            .and_then(|rule| rule.fields())
    };
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(fields("split('|')"), None);
    assert_eq!(fields("split('|', op, \"a b\")"), names(&["op", "a b"]));
    assert_eq!(fields("split(whitespace, op)"), names(&["op"]));
    assert_eq!(
        fields("between(cost: 'cost=','ms', op: '[',']')"),
        names(&["cost", "op"])
    );
    assert_eq!(fields("regex('(?<op>\\w+) (?<cost>\\d+)')"), names(&["op", "cost"]));
    let tab = name("split('\\t')");
    assert_eq!(tab, name("split('\t')"), "a tab may be written as \\t");
}

/// Words, signs and texts of MQL in no order: far more of them get through the lexer than of random characters.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "select",
        "count()",
        "sum(",
        ")",
        "(",
        "a",
        "b.c[0]",
        "$1",
        "'x'",
        "\"y\"",
        "`z`",
        "1",
        "2.5",
        "5s",
        ",",
        "=",
        "<",
        "and",
        "or",
        "not",
        "in",
        "like",
        "is",
        "null",
        "where",
        "group by",
        "every",
        "from",
        "log",
        "'/l'",
        "parse",
        "kv(",
        "between(",
        ":",
        "as",
        "-",
        "*",
        "/",
        "p99(",
        "quantile(",
        "to",
        "since",
        "app",
        "2026-11-23T00:00:00Z",
        "é",
        "limit",
        "having",
        "order by",
        "desc",
        "topk",
        "fill",
        "previous",
        "offset",
        "from m",
        "label('u')",
        "*",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        soup(),
        any::<String>(),
        soup().prop_map(|text| format!("select {text}")),
        "[ -~é\n]{0,60}"
    ]
}

proptest! {
    #[test]
    fn no_text_panics_and_mistakes_lie_within_it(text in any_text()) {
        let mistakes = [parse_expr(&text).err(), parse_mql(&text).err(), parse_query(&text).err()];
        for diagnostic in mistakes.into_iter().flatten() {
            let (row, column) = (diagnostic.line as usize, diagnostic.column as usize);
            let length = diagnostic.length as usize;
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(row >= 1 && row <= lines.len());
            let line = lines[row - 1].trim_end_matches('\r');
            let shown: String = line.chars().skip(column - 1).take(length).collect();
            prop_assert_eq!(shown, diagnostic.text.clone());
            prop_assert!(!diagnostic.to_string().is_empty());
        }
    }

    /// What a question is printed as is a question that says the same.
    #[test]
    fn a_question_of_any_words_is_printed_as_it_is_read(text in soup()) {
        if let Ok(query) = parse_query(&format!("select a {text} from m")) {
            let printed = query.to_string();
            let again = parse_query(&printed).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn spans_nest_within_the_text(text in any_text()) {
        if let Ok(expr) = parse_expr(&text) {
            prop_assert!(text.get(expr.span.clone()).is_some());
            let mut inside = true;
            let outer = expr.span.clone();
            check::walk(&expr, &mut |node| inside &= node.span.start >= outer.start && node.span.end <= outer.end);
            prop_assert!(inside);
        }
    }
}
