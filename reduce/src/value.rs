//! Values of outputs: states read exactly, arithmetic in fractions, rounded once at the end.
//!
//! A sum is exact to its last digit. Averages, quotients and deviations are rounded half-even to 9 fraction digits from
//! the exact result, so they too depend on nothing but the counted values.

use configs::expr::BinaryOp;
use map::arithmetic::divide_half_even;
use map::plan::{OutputNode, Reading};
use map::state::State;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

/// Fraction digits of a value.
const FRACTION_DIGITS: usize = 9;
const NANOS: i64 = 1_000_000_000;

/// A value of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputValue {
    /// Nothing to say: no values, or a division by zero.
    Null,
    /// A number as exact decimal text.
    Number(String),
    /// A text, for `first` and `last`.
    Text(Vec<u8>),
}

/// A value while it is computed.
enum Term {
    Null,
    Number(BigRational),
    Text(Vec<u8>),
}

/// Computes an output from the states of one group; `window_ns` is for rates.
pub fn evaluate(node: &OutputNode, states: &[State], window_ns: i64) -> OutputValue {
    match term(node, states, window_ns) {
        Term::Null => OutputValue::Null,
        Term::Text(text) => OutputValue::Text(text),
        Term::Number(number) => OutputValue::Number(decimal_text(&number)),
    }
}

fn term(node: &OutputNode, states: &[State], window_ns: i64) -> Term {
    match node {
        OutputNode::Number(number) => Term::Number(nanos(number.nanos())),
        OutputNode::State(index, reading) => read(&states[*index], reading, window_ns),
        OutputNode::Negate(inner) => match term(inner, states, window_ns) {
            Term::Number(number) => Term::Number(-number),
            _ => Term::Null,
        },
        OutputNode::Arithmetic(op, left, right) => {
            match (term(left, states, window_ns), term(right, states, window_ns)) {
                (Term::Number(left), Term::Number(right)) => arithmetic(*op, left, right),
                _ => Term::Null,
            }
        }
    }
}

fn arithmetic(op: BinaryOp, left: BigRational, right: BigRational) -> Term {
    Term::Number(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide | BinaryOp::Modulo if right.is_zero() => return Term::Null,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        _ => return Term::Null,
    })
}

fn read(state: &State, reading: &Reading, window_ns: i64) -> Term {
    let whole = |number: u64| BigRational::from_integer(BigInt::from(number));
    let per_second = |number: BigRational| number * BigInt::from(NANOS) / BigInt::from(window_ns);
    let optional = |number: Option<BigRational>| number.map_or(Term::Null, Term::Number);
    match (state, reading) {
        (State::Count(count), Reading::PerSecond) => Term::Number(per_second(whole(*count))),
        (State::Count(count), _) => Term::Number(whole(*count)),
        (State::Sum { sum_nanos, .. }, Reading::PerSecond) => Term::Number(per_second(nanos(*sum_nanos))),
        (State::Sum { count: 0, .. }, Reading::Avg) => Term::Null,
        (State::Sum { count, sum_nanos }, Reading::Avg) => Term::Number(nanos(*sum_nanos) / BigInt::from(*count)),
        (State::Sum { sum_nanos, .. }, _) => Term::Number(nanos(*sum_nanos)),
        (State::Min(extreme) | State::Max(extreme), _) => optional(extreme.map(|value| nanos(value.nanos()))),
        (State::Moments(moments), _) => optional(deviation(moments)),
        (State::Quantiles(quantiles), Reading::Quantile(fraction)) => {
            optional(quantiles.quantile(*fraction).map(|value| nanos(value.nanos())))
        }
        (State::Distinct(distinct), _) => Term::Number(whole(distinct.estimate())),
        (State::First(first), _) => first.text().map_or(Term::Null, |text| Term::Text(text.to_vec())),
        (State::Last(last), _) => last.text().map_or(Term::Null, |text| Term::Text(text.to_vec())),
        (State::Quantiles(_) | State::Records(_), _) => Term::Null,
    }
}

/// Population standard deviation √((n·Σx² − (Σx)²)) / n, correctly rounded half-even to 9 fraction digits.
fn deviation(moments: &map::state::Moments) -> Option<BigRational> {
    if moments.count == 0 {
        return None;
    }
    let count = BigInt::from(moments.count);
    let sum = BigInt::from(moments.sum_nanos);
    let squares = BigInt::from_bytes_be(num_bigint::Sign::Plus, &moments.squares.to_be_bytes());
    // In 10⁻⁹ units the deviation is √radicand / n. Round to the nearest whole such unit: q = ⌊√radicand / n⌋, then
    // compare the radicand with ((q + ½)·n)².
    let radicand: BigInt = &count * squares - &sum * &sum;
    let floor: BigInt = radicand.sqrt() / &count;
    let middle: BigInt = (&floor * 2i32 + 1i32) * &count;
    let rounded = match (radicand * 4i32).cmp(&(&middle * &middle)) {
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal if (&floor % 2i32).is_zero() => floor,
        std::cmp::Ordering::Equal => floor + 1,
        std::cmp::Ordering::Less => floor,
    };
    Some(BigRational::new(rounded, BigInt::from(NANOS)))
}

fn nanos(nanos: i128) -> BigRational {
    BigRational::new(BigInt::from(nanos), BigInt::from(NANOS))
}

/// Decimal text with at most 9 fraction digits, rounded half-even, without trailing zeros or exponent.
fn decimal_text(number: &BigRational) -> String {
    let nanos = divide_half_even(&(number.numer() * BigInt::from(NANOS)), number.denom());
    let digits = format!("{:0>width$}", nanos.abs(), width = FRACTION_DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - FRACTION_DIGITS);
    let fraction = fraction.trim_end_matches('0');
    let sign = if nanos.is_negative() { "-" } else { "" };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numerator: i128, denominator: i128, expected: &str) {
        let number = BigRational::new(BigInt::from(numerator), BigInt::from(denominator));
        assert_eq!(decimal_text(&number), expected);
    }

    #[test]
    fn decimal_text_is_exact_and_short() {
        check(0, 1, "0");
        check(42, 1, "42");
        check(54558, 10, "5455.8");
        check(-1, 8, "-0.125");
        check(1, 3, "0.333333333");
        check(2, 3, "0.666666667");
        check(1, 2_000_000_000, "0");
        check(3, 2_000_000_000, "0.000000002");
        check(-1, 2_000_000_000, "0");
        check(10i128.pow(27) + 1, 1_000_000_000, "1000000000000000000.000000001");
    }

    fn deviation_of(values: &[i64]) -> String {
        let mut state = State::new(map::state::StateKind::Moments);
        for value in values {
            state.add_decimal(map::number::Decimal::from_nanos(i128::from(*value) * i128::from(NANOS)));
        }
        match evaluate(&OutputNode::State(0, Reading::Stddev), &[state], 1) {
            OutputValue::Number(text) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn deviation_is_of_the_population() {
        assert_eq!(deviation_of(&[]), "Null");
        assert_eq!(deviation_of(&[7]), "0");
        assert_eq!(deviation_of(&[2, 4, 4, 4, 5, 5, 7, 9]), "2");
        assert_eq!(deviation_of(&[1, 2]), "0.5");
        assert_eq!(deviation_of(&[1, 2, 4]), "1.247219129");
    }
}
