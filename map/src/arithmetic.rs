//! Arithmetic on the decimals of one record, exact to 9 fraction digits.
//!
//! Sums and differences are exact; products and quotients are rounded half-even to 9 fraction digits from the exact
//! result. A result beyond 10¹⁵ is `Bad`, as such a field would be; a division by zero is null.

use crate::condition::Value;
use crate::number::Decimal;
use configs::expr::BinaryOp;
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{ToPrimitive, Zero};

const NANOS: i128 = 1_000_000_000;
const GREATEST_NANOS: i128 = 1_000_000_000_000_000 * NANOS;

/// `left op right`.
pub fn apply(op: BinaryOp, left: Decimal, right: Decimal) -> Value<'static> {
    let (left, right) = (left.nanos(), right.nanos());
    let nanos = match op {
        BinaryOp::Add => Some(left + right),
        BinaryOp::Subtract => Some(left - right),
        BinaryOp::Multiply => divide(&(BigInt::from(left) * right), &BigInt::from(NANOS)),
        BinaryOp::Divide | BinaryOp::Modulo if right == 0 => return Value::Null,
        BinaryOp::Divide => divide(&(BigInt::from(left) * NANOS), &BigInt::from(right)),
        BinaryOp::Modulo => Some(left % right),
        _ => None,
    };
    match nanos {
        Some(nanos) if nanos.abs() <= GREATEST_NANOS => Value::Number(Decimal::from_nanos(nanos)),
        _ => Value::Bad,
    }
}

fn divide(numerator: &BigInt, denominator: &BigInt) -> Option<i128> {
    divide_half_even(numerator, denominator).to_i128()
}

/// `numerator / denominator` rounded half-even to a whole number. The denominator must not be zero.
pub fn divide_half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let (floor, rest) = numerator.div_mod_floor(denominator);
    let doubled = (rest * 2i32).magnitude().cmp(denominator.magnitude());
    let up = doubled.is_gt() || (doubled.is_eq() && !(&floor % 2i32).is_zero());
    if up { floor + 1 } else { floor }
}
