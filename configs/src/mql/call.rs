//! Calls: the aggregates, `field('…')` and `label('…')`.

use super::lexer::TokenKind;
use super::parser::Parser;
use crate::diagnostic::Mistake;
use crate::expr::{Aggregate, Column, Expr, ExprKind, Function};
use crate::nearest::nearest;
use std::ops::Range;

/// The arguments that an aggregate takes before its optional condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// None: `count()`.
    Bare,
    /// A value: `sum(x)`.
    Value,
    /// A value or none: `rate()`, `rate(x)`.
    MaybeValue,
    /// A fraction and a value: `quantile(0.5, x)`.
    FractionAndValue,
}

/// Aggregates by name; percentiles are `p` and a number besides.
static AGGREGATES: [(&str, Function, Shape); 13] = [
    ("count", Function::Count, Shape::Bare),
    ("lines", Function::Lines, Shape::Bare),
    ("bytes", Function::Bytes, Shape::Bare),
    ("sum", Function::Sum, Shape::Value),
    ("avg", Function::Avg, Shape::Value),
    ("min", Function::Min, Shape::Value),
    ("max", Function::Max, Shape::Value),
    ("stddev", Function::Stddev, Shape::Value),
    ("quantile", Function::Quantile(String::new()), Shape::FractionAndValue),
    ("distinct", Function::Distinct, Shape::Value),
    ("first", Function::First, Shape::Value),
    ("last", Function::Last, Shape::Value),
    ("rate", Function::Rate, Shape::MaybeValue),
];

/// What other languages call them.
const FOREIGN_NAMES: [(&str, &str); 12] = [
    ("average", "avg(x)"),
    ("mean", "avg(x)"),
    ("median", "p50(x)"),
    ("percentile", "p99(x) or quantile(0.99, x)"),
    ("maximum", "max(x)"),
    ("minimum", "min(x)"),
    ("stdev", "stddev(x)"),
    ("stddev_pop", "stddev(x)"),
    ("count_distinct", "distinct(x)"),
    ("uniq", "distinct(x)"),
    ("cardinality", "distinct(x)"),
    ("size", "bytes()"),
];

/// A call, from its name on.
pub(super) fn call(parser: &mut Parser) -> Result<Expr, Mistake> {
    let name_token = parser.advance();
    let name = parser.text_of(&name_token).to_ascii_lowercase();
    parser.advance(); // the parenthesis that made it a call
    if name == "field" {
        return named(parser, name_token.span.start, "the field's name", Column::Field);
    }
    if name == "label" {
        return named(parser, name_token.span.start, "the label's name", Column::Label);
    }
    if name == "topk" {
        let mistake = Mistake::new(name_token.span, "`topk` is a clause of a question, not a function");
        return Err(mistake.hint("write: select … from <monitor> topk 10 by sum(errors)"));
    }
    let (function, shape) = aggregate_named(&name, &name_token.span)?;
    if parser.inside_aggregate {
        let mistake = Mistake::new(name_token.span, format!("`{name}` stands inside another aggregate"));
        return Err(mistake.hint("aggregates don't nest: compute with them outside, as in sum(a) / count()"));
    }
    parser.inside_aggregate = true;
    let aggregate = parser.nested(|parser| arguments(parser, &name, function, shape));
    parser.inside_aggregate = false;
    let kind = ExprKind::Aggregate(Box::new(aggregate?));
    Ok(Expr {
        kind,
        span: name_token.span.start..parser.last_end(),
    })
}

/// `field('host')` or `label('unit')`, behind its opening parenthesis.
fn named(parser: &mut Parser, start: usize, what: &str, column: fn(String) -> Column) -> Result<Expr, Mistake> {
    let span = parser.peek().span.clone();
    let name = parser.text_literal(&format!("{what} in single quotes"))?;
    if name.is_empty() {
        return Err(Mistake::new(span, format!("{what} is empty")));
    }
    parser.expect_symbol(")", what)?;
    Ok(Expr {
        kind: ExprKind::Column(column(name)),
        span: start..parser.last_end(),
    })
}

fn aggregate_named(name: &str, span: &Range<usize>) -> Result<(Function, Shape), Mistake> {
    if let Some((_, function, shape)) = AGGREGATES.iter().find(|(known, ..)| *known == name) {
        return Ok((function.clone(), *shape));
    }
    if let Some(percent) = name
        .strip_prefix('p')
        .filter(|percent| percent.starts_with(|c: char| c.is_ascii_digit()))
    {
        let fraction = fraction_of_percent(percent).ok_or_else(|| {
            let mistake = Mistake::new(span.clone(), format!("`{name}` is not a percentile"));
            mistake.hint("percentiles go from p0 to p100, such as p50, p99, p99.9")
        })?;
        return Ok((Function::Quantile(fraction), Shape::Value));
    }
    let mistake = Mistake::new(span.clone(), format!("unknown function `{name}`"));
    if let Some((_, own)) = FOREIGN_NAMES.iter().find(|(foreign, _)| *foreign == name) {
        return Err(mistake.hint(format!("did you mean `{own}`?")));
    }
    const KNOWN: &str = "count, lines, bytes, sum, avg, min, max, stddev, p50 … p99.9, quantile, distinct, first, \
                         last, rate";
    let names = AGGREGATES.iter().map(|(known, ..)| *known).chain(["field", "label"]);
    Err(match nearest(name, names) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake.hint(format!("known: {KNOWN}")),
    })
}

/// The arguments, behind the opening parenthesis, up to and with the closing one.
fn arguments(parser: &mut Parser, name: &str, function: Function, shape: Shape) -> Result<Aggregate, Mistake> {
    if shape == Shape::Bare && parser.take_symbol("*") {
        // SQL's `count(*)` says the same as `count()`.
        parser.expect_symbol(")", "`*`")?;
        return Ok(Aggregate {
            function,
            argument: None,
            condition: None,
        });
    }
    refuse_distinct(parser, name)?;
    let function = match shape {
        Shape::FractionAndValue => Function::Quantile(fraction_argument(parser)?),
        _ => function,
    };
    let mut aggregate = Aggregate {
        function,
        argument: None,
        condition: None,
    };
    if parser.take_symbol(")") {
        return match shape {
            Shape::Bare | Shape::MaybeValue => Ok(aggregate),
            _ => Err(missing_value(parser, name)),
        };
    }
    if !parser.is_word("where") {
        let first = parser.expression()?;
        let is_condition = shape == Shape::Bare || (shape == Shape::MaybeValue && super::check::is_condition(&first));
        if is_condition {
            aggregate.condition = Some(first);
        } else {
            aggregate.argument = Some(first);
        }
    } else if !matches!(shape, Shape::Bare | Shape::MaybeValue) {
        return Err(missing_value(parser, name));
    }
    if aggregate.condition.is_none() && (parser.take_word("where") || parser.take_symbol(",")) {
        aggregate.condition = Some(parser.expression()?);
    }
    if parser.take_symbol(")") {
        Ok(aggregate)
    } else {
        Err(closing_mistake(parser, name, &aggregate))
    }
}

fn refuse_distinct(parser: &Parser, name: &str) -> Result<(), Mistake> {
    // `distinct` as a word before another word or name is SQL's; a column may be called distinct.
    let next_is_operand = matches!(parser.peek_at(1).kind, TokenKind::Word | TokenKind::QuotedName(..));
    if !(parser.is_word("distinct") && next_is_operand) {
        return Ok(());
    }
    let column = parser.text_of(parser.peek_at(1));
    let mistake = Mistake::new(parser.peek().span.clone(), format!("`{name}` takes no `distinct`"));
    Err(mistake.hint(format!("write distinct({column})")))
}

fn missing_value(parser: &Parser, name: &str) -> Mistake {
    let at = parser.last_end().saturating_sub(1)..parser.last_end();
    Mistake::new(at, format!("`{name}` needs a value")).hint(format!("write {name}(column)"))
}

fn closing_mistake(parser: &Parser, name: &str, aggregate: &Aggregate) -> Mistake {
    let too_many = parser.is_symbol_at(0, ",") && aggregate.condition.is_some();
    if too_many && aggregate.argument.is_none() {
        let message = format!("`{name}` takes a condition and nothing more");
        return Mistake::new(parser.peek().span.clone(), message).hint("join conditions with `and`");
    }
    if too_many {
        let message = format!("`{name}` takes a value and a condition, nothing more");
        return Mistake::new(parser.peek().span.clone(), message).hint("join conditions with `and`");
    }
    parser.unexpected(&format!("`)` at the end of `{name}(`"))
}

/// `0.5,` of `quantile(0.5, x)`, normalised.
fn fraction_argument(parser: &mut Parser) -> Result<String, Mistake> {
    let token = parser.peek().clone();
    let hint = "write the fraction first, from 0 to 1: quantile(0.99, cost)";
    if token.kind != TokenKind::Number {
        return Err(parser.unexpected("a fraction").hint(hint));
    }
    let fraction = fraction(parser.text_of(&token))
        .ok_or_else(|| Mistake::new(token.span.clone(), "the fraction is beyond 1").hint(hint))?;
    parser.advance();
    parser.expect_symbol(",", "the fraction")?;
    Ok(fraction)
}

/// `99.9` percent as the fraction `0.999`; `None` beyond 100.
fn fraction_of_percent(percent: &str) -> Option<String> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let is_number = [whole, decimals].concat().bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || whole.len() > 3 || decimals.len() > 6 {
        return None;
    }
    let padded = format!("{whole:0>3}");
    let (ones, hundredths) = padded.split_at(1);
    fraction(&format!("{ones}.{hundredths}{decimals}"))
}

/// A decimal from 0 to 1 in its shortest form, so that `p50` and `quantile(0.50, …)` are the same function.
fn fraction(text: &str) -> Option<String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
    match (whole, decimals) {
        ("", "") => Some("0".to_owned()),
        ("1", "") => Some("1".to_owned()),
        ("", decimals) => Some(format!("0.{decimals}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_fractions() {
        for (percent, expected) in [
            ("50", Some("0.5")),
            ("5", Some("0.05")),
            ("99.9", Some("0.999")),
            ("100", Some("1")),
            ("100.0", Some("1")),
            ("0", Some("0")),
            ("100.1", None),
            ("101", None),
            ("1000", None),
            ("9a", None),
            ("9.9.9", None),
            ("9[0]", None),
        ] {
            assert_eq!(fraction_of_percent(percent).as_deref(), expected, "{percent}");
        }
    }
}
