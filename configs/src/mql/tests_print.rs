//! What is printed is read as the same: expressions, questions, and monitors as documents.

use super::tests::{summary, tree};
use super::*;
use crate::expr::{Aggregate, BinaryOp, Expr, ExprKind, Function, TextMatchOp, UnaryOp};
use proptest::prelude::*;

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: 0..0 }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "op", "a.b", "limit", "order", "not", "desc", "x y", "`", "Host", "from", "1a", "é"
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
    ]
}

fn any_column() -> impl Strategy<Value = Column> {
    prop_oneof![
        any_name().prop_map(Column::Field),
        any_name().prop_map(Column::Label),
        prop::sample::select(vec!["host", "zone"]).prop_map(|name| Column::Label(name.to_owned())),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![Just("it's".to_owned()), Just(String::new()), "[ -~é\n]{0,5}"]
}

fn any_value() -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        any_column().prop_map(|column| expr(ExprKind::Column(column))),
        (0..100_u32).prop_map(|number| expr(ExprKind::Number(format!("{number}.5")))),
    ];
    let leaf = prop_oneof![3 => leaf, 1 => any_column().prop_map(|column| expr(ExprKind::Aggregate(Box::new(Aggregate {
        function: Function::Quantile("0.99".to_owned()),
        argument: Some(expr(ExprKind::Column(column))),
        condition: None,
    }))))];
    let arithmetic = prop::sample::select(vec![
        BinaryOp::Add,
        BinaryOp::Subtract,
        BinaryOp::Multiply,
        BinaryOp::Divide,
        BinaryOp::Modulo,
    ]);
    leaf.prop_recursive(4, 16, 2, move |inner| {
        prop_oneof![
            (arithmetic.clone(), inner.clone(), inner.clone()).prop_map(|(op, left, right)| expr(ExprKind::Binary(
                op,
                Box::new(left),
                Box::new(right)
            ))),
            inner.prop_map(|inner| expr(ExprKind::Unary(UnaryOp::Negate, Box::new(inner)))),
        ]
    })
    .boxed()
}

fn any_condition() -> BoxedStrategy<Expr> {
    let comparison = prop::sample::select(vec![
        BinaryOp::Equal,
        BinaryOp::NotEqual,
        BinaryOp::Less,
        BinaryOp::Greater,
    ]);
    let pattern = prop::sample::select(vec![TextMatchOp::Like, TextMatchOp::Contains]);
    let leaf = prop_oneof![
        (comparison, any_value(), any_value()).prop_map(|(op, left, right)| expr(ExprKind::Binary(
            op,
            Box::new(left),
            Box::new(right)
        ))),
        (any_value(), any_text(), any::<bool>()).prop_map(|(value, text, negated)| expr(ExprKind::In {
            value: Box::new(value),
            list: vec![expr(ExprKind::Text(text)), expr(ExprKind::Number("-4.5".to_owned()))],
            negated,
        })),
        (pattern, any_value(), any_text(), any::<bool>()).prop_map(|(op, value, pattern, negated)| expr(
            ExprKind::TextMatch {
                op,
                value: Box::new(value),
                pattern,
                negated,
            }
        )),
        (any_value(), any::<bool>()).prop_map(|(value, negated)| expr(ExprKind::IsNull {
            value: Box::new(value),
            negated,
        })),
    ];
    let joint = prop::sample::select(vec![BinaryOp::And, BinaryOp::Or]);
    leaf.prop_recursive(4, 16, 2, move |inner| {
        prop_oneof![
            (joint.clone(), inner.clone(), inner.clone()).prop_map(|(op, left, right)| expr(ExprKind::Binary(
                op,
                Box::new(left),
                Box::new(right)
            ))),
            inner.prop_map(|inner| expr(ExprKind::Unary(UnaryOp::Not, Box::new(inner)))),
        ]
    })
    .boxed()
}

/// The tree in which a text and a number are told apart, and a name that is a label from one that is a field.
fn shape(expr: &Expr) -> String {
    tree(expr)
}

proptest! {
    #[test]
    fn a_printed_expression_is_read_as_the_same(written in prop_oneof![any_condition(), any_value()]) {
        let text = written.to_string();
        let read = whole(&text, Parser::expression).map_err(|mistake| format!("{text}: {mistake:?}"));
        let read = read.map_err(TestCaseError::fail)?;
        prop_assert_eq!(shape(&read), shape(&written), "{}", text);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn a_printed_question_is_read_as_the_same(
        outputs in prop::collection::btree_map(any_name(), any_value(), 1..4),
        filter in prop::option::of(any_name()),
        having in prop::option::of(any_condition()),
        order in prop::collection::vec((any_value(), any::<bool>()), 0..3),
        (limit, offset) in (prop::option::of(1..50_usize), prop::option::of(1..9_u32)),
        fill in prop::sample::select(vec!["", "fill null"]),
    ) {
        let names: Vec<&String> = outputs.keys().collect();
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let select: Vec<String> = (names.iter().enumerate())
            .map(|(number, name)| format!("sum({}) * {number} as {}", quoted(name), quoted(name)))
            .collect();
        let mut text = format!("select {} from m", select.join(", "));
        text += &offset.map_or(String::new(), |days| format!(", m offset {days}d as before"));
        text += &filter.map_or(String::new(), |name| format!(" where {} = 'x'", quoted(&name)));
        text += &having.map_or(String::new(), |having| format!(" having {having}"));
        let keys: Vec<String> = (order.iter())
            .map(|(key, descending)| format!("{key}{}", if *descending { " desc" } else { "" }))
            .collect();
        if !keys.is_empty() {
            text += &format!(" order by {}", keys.join(", "));
        }
        text += &limit.map_or(String::new(), |limit| format!(" limit {limit}"));
        text = format!("{text} {fill} since 30m");
        // An order by what is always the same is refused; all else is good.
        if let Ok(query) = parse_query(&text) {
            let printed = query.to_string();
            let again = parse_query(&printed).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(again.to_string(), printed);
            prop_assert_eq!(again.shaping.limit, query.shaping.limit);
            prop_assert_eq!(again.parts.len(), query.parts.len());
            prop_assert_eq!(again.shaping.having.as_ref().map(shape), query.shaping.having.as_ref().map(shape));
        } else {
            prop_assert!(!keys.is_empty(), "{}", text);
        }
    }

    #[test]
    fn a_definition_is_read_as_the_monitor(filter in any_text(), by in any_name(), path in "[a-z\" \\\\é]{0,6}") {
        let text = format!(
            "select count() as `it's`, p99(cost where op = '{0}') + 1 as b from log '/x{path}.log' parse kv('|', '=') \
             records start '^a\"' app shop where op like '{0}' group by `{1}` as g, label('unit'), host every 5s \
             lateness 90s grace 0s timezone '+08:00'",
            filter.replace('\'', "''"),
            by.replace('`', "``"),
        );
        let Ok(Question::Raw(query)) = parse_question(&text) else {
            return Ok(());
        };
        let documents = crate::load_str("it", &query.definition);
        let told = |mistakes| TestCaseError::fail(format!("{mistakes:?}\n{}", query.definition));
        let documents = documents.map_err(told)?;
        let [crate::Document::Monitor(monitor)] = documents.as_slice() else {
            return Err(TestCaseError::fail("one monitor"));
        };
        prop_assert_eq!(summary(monitor), summary(&query.monitor));
    }
}

#[test]
fn every_form_of_parse_is_in_the_definition() {
    for form in [
        "auto",
        "json",
        "logfmt",
        "clf",
        "nginx",
        "nginx('$remote_addr $status')",
        "kv('|', '=', ' - ')",
        "split('\\t')",
        "split('|', op, `a b`)",
        "between(cost: 'cost=','ms', op: '[',']')",
        "regex('(?<op>\\w+) \"(?<cost>\\d+)')",
        "grok('%{WORD:op} %{NUMBER:cost}')",
    ] {
        let question = parse_question(&format!("select count() from log '/x' parse {form}")).expect(form);
        let Question::Raw(query) = question else {
            panic!("{form}")
        };
        let documents = crate::load_str("it", &query.definition).unwrap_or_else(|why| panic!("{form}: {why:?}"));
        let [crate::Document::Monitor(monitor)] = documents.as_slice() else {
            panic!("{form}: one monitor")
        };
        assert_eq!(summary(monitor), summary(&query.monitor), "{form}");
    }
}
