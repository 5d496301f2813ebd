//! What an expression may say: conditions where conditions are needed, numbers where numbers are, aggregates in
//! `select` alone. All of it is known before any log is read, and each mistake would otherwise be a wrong value.

use crate::diagnostic::Mistake;
use crate::expr::{Aggregate, BinaryOp, Column, Expr, ExprKind, Function, UnaryOp};

/// What an expression yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Yield {
    Condition,
    Number,
    Text,
    /// A column: text that may be a number.
    Either,
    Null,
}

/// Whether an expression is a condition by its outermost operator.
pub(super) fn is_condition(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Bool(_) | ExprKind::In { .. } | ExprKind::TextMatch { .. } | ExprKind::IsNull { .. } => true,
        ExprKind::Unary(op, _) => *op == UnaryOp::Not,
        ExprKind::Binary(op, ..) => !is_arithmetic(*op),
        _ => false,
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo)
}

/// Checks that every operator has operands it can work on.
pub(super) fn check_types(expr: &Expr) -> Result<(), Mistake> {
    yield_of(expr).map(drop)
}

/// Checks a `where`: a condition without aggregates.
pub(super) fn check_condition(expr: &Expr, place: &str) -> Result<(), Mistake> {
    if let Some(found) = find(expr, &|expr| matches!(expr.kind, ExprKind::Aggregate(_))) {
        let mistake = Mistake::new(found.span.clone(), format!("an aggregate can't stand in {place}"));
        return Err(mistake.hint("aggregates are computed in `select`; put the condition inside: count(cost > 5)"));
    }
    expect_condition(expr, place)
}

/// Checks a `having`: a condition, in which aggregates may stand.
pub(super) fn check_having(expr: &Expr) -> Result<(), Mistake> {
    expect_condition(expr, "`having`")
}

/// Checks a key of an order: a value.
pub(super) fn check_key(expr: &Expr) -> Result<(), Mistake> {
    let names_something = |expr: &Expr| matches!(expr.kind, ExprKind::Aggregate(_) | ExprKind::Column(_));
    match yield_of(expr)? {
        Yield::Condition | Yield::Null => {
            let mistake = Mistake::new(expr.span.clone(), "expected a value to order by");
            Err(mistake.hint("name an output or a group column: order by total desc"))
        }
        _ if find(expr, &names_something).is_none() => {
            let mistake = Mistake::new(expr.span.clone(), "everything is equal in such an order");
            Err(mistake.hint("name an output or a group column: order by total desc"))
        }
        _ => Ok(()),
    }
}

/// Checks an output of `select`: arithmetic over aggregates and literals.
pub(super) fn check_output(expr: &Expr) -> Result<(), Mistake> {
    if let Some(found) = find_outside_aggregates(expr) {
        let ExprKind::Column(column) = &found.kind else {
            return Ok(());
        };
        let name = column_name(column);
        let mistake = Mistake::new(
            found.span.clone(),
            format!("the column `{name}` stands outside of an aggregate"),
        );
        return Err(mistake.hint(format!("write an aggregate such as sum({name}), or `group by {name}`")));
    }
    check_number(expr)?;
    if find(expr, &|expr| matches!(expr.kind, ExprKind::Aggregate(_))).is_none() {
        let mistake = Mistake::new(expr.span.clone(), "an output needs an aggregate");
        return Err(mistake.hint("such as count() or sum(column)"));
    }
    Ok(())
}

/// Checks that an output is no condition.
pub(super) fn check_number(expr: &Expr) -> Result<(), Mistake> {
    if yield_of(expr)? == Yield::Condition {
        let mistake = Mistake::new(expr.span.clone(), "an output is a number, this is a condition");
        return Err(mistake.hint("to count by a condition, write count(…) around it"));
    }
    Ok(())
}

/// The name of a column as it would be written in a query.
pub(crate) fn column_name(column: &Column) -> String {
    match column {
        Column::Field(name) | Column::Label(name) => name.clone(),
        Column::Line => "line".to_owned(),
    }
}

/// Calls `visit` for `expr` and every node below it, aggregates' arguments and conditions included.
pub(crate) fn walk<'e>(expr: &'e Expr, visit: &mut impl FnMut(&'e Expr)) {
    visit(expr);
    for child in children(expr) {
        walk(child, visit);
    }
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Unary(_, operand) => vec![operand],
        ExprKind::Binary(_, left, right) => vec![left, right],
        ExprKind::In { value, list, .. } => std::iter::once(&**value).chain(list).collect(),
        ExprKind::TextMatch { value, .. } | ExprKind::IsNull { value, .. } => vec![value],
        ExprKind::Aggregate(aggregate) => aggregate.argument.iter().chain(&aggregate.condition).collect(),
        ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Column(_) => vec![],
    }
}

/// The first node that is `wanted`.
fn find<'e>(expr: &'e Expr, wanted: &impl Fn(&Expr) -> bool) -> Option<&'e Expr> {
    if wanted(expr) {
        return Some(expr);
    }
    children(expr).into_iter().find_map(|child| find(child, wanted))
}

/// The first column that no aggregate encloses.
fn find_outside_aggregates(expr: &Expr) -> Option<&Expr> {
    match expr.kind {
        ExprKind::Column(_) => Some(expr),
        ExprKind::Aggregate(_) => None,
        _ => children(expr).into_iter().find_map(find_outside_aggregates),
    }
}

fn yield_of(expr: &Expr) -> Result<Yield, Mistake> {
    match &expr.kind {
        ExprKind::Text(_) => Ok(Yield::Text),
        ExprKind::Number(_) => Ok(Yield::Number),
        ExprKind::Bool(_) => Ok(Yield::Condition),
        ExprKind::Null => Ok(Yield::Null),
        ExprKind::Column(_) => Ok(Yield::Either),
        ExprKind::Unary(UnaryOp::Not, operand) => expect_condition(operand, "`not`").map(|()| Yield::Condition),
        ExprKind::Unary(UnaryOp::Negate, operand) => expect_number(operand, "`-`").map(|()| Yield::Number),
        ExprKind::Binary(op, left, right) => yield_of_binary(*op, left, right),
        ExprKind::In { value, .. } | ExprKind::IsNull { value, .. } | ExprKind::TextMatch { value, .. } => {
            match yield_of(value)? {
                Yield::Condition => Err(Mistake::new(value.span.clone(), "expected a value, found a condition")),
                Yield::Null => Err(Mistake::new(value.span.clone(), "expected a column, found `null`")),
                _ => Ok(Yield::Condition),
            }
        }
        ExprKind::Aggregate(aggregate) => yield_of_aggregate(expr, aggregate),
    }
}

fn yield_of_binary(op: BinaryOp, left: &Expr, right: &Expr) -> Result<Yield, Mistake> {
    match op {
        BinaryOp::And | BinaryOp::Or => {
            let name = if op == BinaryOp::And { "`and`" } else { "`or`" };
            expect_condition(left, name)?;
            expect_condition(right, name)?;
            Ok(Yield::Condition)
        }
        _ if is_arithmetic(op) => {
            expect_number(left, "arithmetic")?;
            expect_number(right, "arithmetic")?;
            Ok(Yield::Number)
        }
        _ => {
            expect_comparable(op, left)?;
            expect_comparable(op, right)?;
            Ok(Yield::Condition)
        }
    }
}

fn expect_comparable(op: BinaryOp, operand: &Expr) -> Result<(), Mistake> {
    match yield_of(operand)? {
        Yield::Null => {
            let mistake = Mistake::new(operand.span.clone(), "a comparison with `null` is never true");
            Err(mistake.hint("write `is null` or `is not null`"))
        }
        Yield::Condition => match (&operand.kind, op) {
            (ExprKind::Bool(_), BinaryOp::Equal | BinaryOp::NotEqual) => Ok(()),
            _ => Err(Mistake::new(operand.span.clone(), "a condition can't be compared")),
        },
        Yield::Number | Yield::Text | Yield::Either => Ok(()),
    }
}

fn expect_condition(expr: &Expr, place: &str) -> Result<(), Mistake> {
    let (found, hint) = match yield_of(expr)? {
        Yield::Condition => return Ok(()),
        Yield::Number => ("a number", None),
        Yield::Text => ("a text", None),
        Yield::Null => ("`null`", None),
        Yield::Either => {
            let ExprKind::Column(column) = &expr.kind else {
                return Ok(());
            };
            let name = column_name(column);
            (
                "a column",
                Some(format!("compare it: {name} = 'true', {name} > 0, {name} is not null")),
            )
        }
    };
    let mistake = Mistake::new(
        expr.span.clone(),
        format!("expected a condition in {place}, found {found}"),
    );
    Err(mistake.hint_maybe(hint))
}

fn expect_number(expr: &Expr, place: &str) -> Result<(), Mistake> {
    let (found, hint) = match yield_of(expr)? {
        Yield::Number | Yield::Either => return Ok(()),
        Yield::Condition => ("a condition", None),
        Yield::Null => ("`null`", None),
        Yield::Text => match &expr.kind {
            ExprKind::Text(text) => ("a text", Some(format!("a column is written without quotes: {text}"))),
            _ => ("a text", None),
        },
    };
    let mistake = Mistake::new(
        expr.span.clone(),
        format!("expected a number in {place}, found {found}"),
    );
    Err(mistake.hint_maybe(hint))
}

fn yield_of_aggregate(expr: &Expr, aggregate: &Aggregate) -> Result<Yield, Mistake> {
    if let Some(condition) = &aggregate.condition {
        expect_condition(condition, "an aggregate")?;
    }
    let Some(argument) = &aggregate.argument else {
        return Ok(Yield::Number);
    };
    match aggregate.function {
        Function::First | Function::Last | Function::Distinct if !matches!(argument.kind, ExprKind::Column(_)) => {
            let mistake = Mistake::new(argument.span.clone(), "expected a column");
            Err(mistake.hint("distinct, first and last look at the text of one column"))
        }
        Function::First | Function::Last => Ok(Yield::Text),
        Function::Distinct => Ok(Yield::Number),
        _ if matches!(argument.kind, ExprKind::Column(Column::Line)) => {
            let mistake = Mistake::new(expr.span.clone(), "`line` is the record's whole text, not a number");
            Err(mistake.hint("name a field; to count records write count()"))
        }
        _ => expect_number(argument, "an aggregate").map(|()| Yield::Number),
    }
}
