//! Whether a condition holds for a record, with null as SQL has it: a comparison with null is neither true nor false.

use super::numbers;
use super::question::{Col, Comparison, Condition, Literal};
use std::cmp::Ordering;

/// "Empty and `-` are null": the value of a column, or none.
pub fn null_if_empty(text: Option<Vec<u8>>) -> Option<Vec<u8>> {
    text.filter(|text| !text.is_empty() && text != b"-")
}

/// Whether `condition` is true, given the text of each column (`None` is null).
pub fn holds(condition: &Condition, column: &dyn Fn(&Col) -> Option<Vec<u8>>) -> bool {
    truth(condition, column) == Some(true)
}

/// `None` is unknown.
fn truth(condition: &Condition, column: &dyn Fn(&Col) -> Option<Vec<u8>>) -> Option<bool> {
    match condition {
        Condition::And(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, column)).collect();
            if truths.contains(&Some(false)) {
                Some(false)
            } else if truths.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Condition::Or(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, column)).collect();
            if truths.contains(&Some(true)) {
                Some(true)
            } else if truths.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Condition::Not(part) => truth(part, column).map(|truth| !truth),
        Condition::Compare(name, comparison, literal) => {
            order(&column(name)?, literal).map(|order| fits(order, *comparison))
        }
        Condition::In(name, literals) => {
            let equalities = literals
                .iter()
                .map(|literal| Condition::Compare(name.clone(), Comparison::Equal, literal.clone()));
            truth(&Condition::Or(equalities.collect()), column)
        }
        Condition::IsNull(name) => Some(column(name).is_none()),
    }
}

/// "A number literal compares as a decimal, a string as bytes." A text that is no usable number compares to none.
fn order(text: &[u8], literal: &Literal) -> Option<Ordering> {
    match literal {
        Literal::Text(other) => Some(text.cmp(other.as_slice())),
        Literal::Number(other) => {
            let (left, right) = (numbers::nanos(text).ok()?, numbers::nanos(other.as_bytes()).ok()?);
            Some(left.cmp(&right))
        }
    }
}

fn fits(order: Ordering, comparison: Comparison) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Option<&str>, condition: &Condition, expected: Option<bool>) {
        let column = |_: &Col| null_if_empty(value.map(|value| value.as_bytes().to_vec()));
        assert_eq!(truth(condition, &column), expected, "{value:?} {condition:?}");
        assert_eq!(holds(condition, &column), expected == Some(true));
    }

    fn number(comparison: Comparison, literal: &str) -> Condition {
        Condition::Compare(Col::field("x"), comparison, Literal::Number(literal.to_owned()))
    }

    fn text(comparison: Comparison, literal: &str) -> Condition {
        Condition::Compare(Col::field("x"), comparison, Literal::Text(literal.as_bytes().to_vec()))
    }

    #[test]
    fn numbers_compare_as_decimals_and_texts_as_bytes() {
        check(Some("5.0"), &number(Comparison::Equal, "5"), Some(true));
        check(Some("5.0"), &text(Comparison::Equal, "5"), Some(false));
        check(Some("10"), &number(Comparison::Greater, "9"), Some(true));
        check(Some("10"), &text(Comparison::Greater, "9"), Some(false));
        check(Some("10"), &number(Comparison::LessOrEqual, "10"), Some(true));
        check(
            Some("10"),
            &number(Comparison::GreaterOrEqual, "10.000000001"),
            Some(false),
        );
        check(Some("b"), &text(Comparison::NotEqual, "a"), Some(true));
        check(Some("abc"), &number(Comparison::NotEqual, "5"), None);
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        for value in [None, Some(""), Some("-")] {
            check(value, &text(Comparison::Equal, "a"), None);
            check(value, &text(Comparison::NotEqual, "a"), None);
            check(value, &Condition::Not(Box::new(text(Comparison::Equal, "a"))), None);
            check(value, &Condition::IsNull(Col::field("x")), Some(true));
            check(
                value,
                &Condition::In(Col::field("x"), vec![Literal::Text(b"a".to_vec())]),
                None,
            );
            let is_null = Condition::IsNull(Col::field("x"));
            check(
                value,
                &Condition::Or(vec![text(Comparison::Equal, "a"), is_null.clone()]),
                Some(true),
            );
            check(
                value,
                &Condition::And(vec![text(Comparison::Equal, "a"), is_null]),
                None,
            );
        }
        check(Some("a"), &Condition::IsNull(Col::field("x")), Some(false));
        let literals = vec![Literal::Text(b"a".to_vec()), Literal::Number("1".to_owned())];
        check(Some("a"), &Condition::In(Col::field("x"), literals.clone()), Some(true));
        check(Some("1.0"), &Condition::In(Col::field("x"), literals), Some(true));
    }
}
