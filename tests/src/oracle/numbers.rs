//! M7 with big integers: decimals as whole numbers of 10⁻⁹, exact sums, and results rounded once, at the very end.

use bigdecimal::BigDecimal;
use num_bigint::{BigInt, Sign};

/// Fraction digits that are kept.
const FRACTION_DIGITS: i64 = 9;

/// Why a text is no usable number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDecimal {
    /// Not written as a decimal.
    NotANumber,
    /// Beyond ±10¹⁵ (after rounding).
    TooLarge,
}

/// M7: "decimals parse once to fixed point, 9 fraction digits, half-even, |x| ≤ 10¹⁵ (beyond: `bad_value`)". The result
/// is in 10⁻⁹. Written: blanks around, a sign, digits with at most one point and at least one digit, an exponent.
pub fn nanos(text: &[u8]) -> Result<BigInt, NoDecimal> {
    let text = std::str::from_utf8(text)
        .map_err(|_| NoDecimal::NotANumber)?
        .trim_matches([' ', '\t']);
    let (negative, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !digits_only(whole) || !digits_only(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(NoDecimal::NotANumber);
    }
    let exponent = exponent.map_or(Ok(0), exponent_value)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| NoDecimal::NotANumber)?;
    let magnitude = shifted(digits, exponent - fraction_len + FRACTION_DIGITS)?;
    if magnitude > power_of_ten(15 + FRACTION_DIGITS) {
        return Err(NoDecimal::TooLarge);
    }
    Ok(if negative { -magnitude } else { magnitude })
}

fn sign(text: &str) -> (bool, &str) {
    match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => (false, text),
    }
}

fn digits_only(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent; those of more than nine digits are as good as 10⁹ for any mantissa that fits in memory.
fn exponent_value(text: &str) -> Result<i64, NoDecimal> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits_only(digits) {
        return Err(NoDecimal::NotANumber);
    }
    let magnitude = digits.trim_start_matches('0');
    let value = if magnitude.len() > 9 {
        1_000_000_000
    } else {
        magnitude.parse().unwrap_or(0)
    };
    Ok(if negative { -value } else { value })
}

/// `digits` (no leading zeros) × 10^`shift`, rounded half-even to a whole number.
fn shifted(digits: &str, shift: i64) -> Result<BigInt, NoDecimal> {
    let len = i64::try_from(digits.len()).map_err(|_| NoDecimal::NotANumber)?;
    if digits.is_empty() || len + shift < 0 {
        return Ok(BigInt::ZERO);
    }
    if len + shift > 30 {
        return Err(NoDecimal::TooLarge);
    }
    let number = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or(NoDecimal::NotANumber)?;
    Ok(if shift >= 0 {
        number * power_of_ten(shift)
    } else {
        divide_half_even(&number, &power_of_ten(-shift))
    })
}

fn power_of_ten(exponent: i64) -> BigInt {
    let exponent = u32::try_from(exponent).expect("exponents were bounded by the number of digits before");
    BigInt::from(10).pow(exponent)
}

/// `numerator / denominator` rounded to the nearest whole number, ties to the even one. The denominator is positive.
pub fn divide_half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let magnitude = if numerator.sign() == Sign::Minus {
        -numerator
    } else {
        numerator.clone()
    };
    let floor = &magnitude / denominator;
    let twice_rest: BigInt = (&magnitude - &floor * denominator) * 2;
    let odd = &floor % 2 == BigInt::from(1);
    let up = twice_rest > *denominator || (twice_rest == *denominator && odd);
    let rounded = if up { floor + 1 } else { floor };
    if numerator.sign() == Sign::Minus {
        -rounded
    } else {
        rounded
    }
}

/// The mean, in 10⁻⁹, half-even.
pub fn mean(values: &[BigInt]) -> Option<BigInt> {
    let sum: BigInt = values.iter().sum();
    (!values.is_empty()).then(|| divide_half_even(&sum, &BigInt::from(values.len())))
}

/// M7: "population stddev from n, Σx, Σx²": √(n·Σx² − (Σx)²) / n, in 10⁻⁹, half-even.
pub fn population_stddev(values: &[BigInt]) -> Option<BigInt> {
    if values.is_empty() {
        return None;
    }
    let n = BigInt::from(values.len());
    let sum: BigInt = values.iter().sum();
    let sum_of_squares: BigInt = values.iter().map(|value| value * value).sum();
    let radicand: BigInt = &n * sum_of_squares - &sum * &sum;
    let floor = (&radicand / (&n * &n)).sqrt();
    // Twice the root against the odd number in the middle, both squared and times n: no rounding on the way.
    let middle: BigInt = (&floor * 2 + 1) * &n;
    let (twice_root_squared, middle_squared) = (radicand * 4, &middle * &middle);
    let odd = &floor % 2 == BigInt::from(1);
    let up = twice_root_squared > middle_squared || (twice_root_squared == middle_squared && odd);
    Some(if up { floor + 1 } else { floor })
}

/// The value of nearest rank ⌈q·n⌉ (the least for q = 0); `fraction` is written in decimals, from 0 to 1.
pub fn quantile(values: &[BigInt], fraction: &str) -> Option<BigInt> {
    let q = nanos(fraction.as_bytes()).ok()?;
    let mut sorted = values.to_vec();
    sorted.sort();
    let one = power_of_ten(FRACTION_DIGITS);
    let rank: BigInt = (q * BigInt::from(sorted.len()) + &one - 1) / &one;
    let index = usize::try_from(rank).ok()?.saturating_sub(1);
    sorted.get(index).cloned()
}

/// A number of 10⁻⁹ as a decimal without trailing zeros.
pub fn decimal(nanos: &BigInt) -> BigDecimal {
    BigDecimal::new(nanos.clone(), FRACTION_DIGITS).normalized()
}

#[cfg(test)]
mod tests {
    use super::NoDecimal::{NotANumber, TooLarge};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i128, NoDecimal>) {
        assert_eq!(nanos(text.as_bytes()), expected.map(BigInt::from), "{text}");
    }

    #[test]
    fn decimals() {
        check("0", Ok(0));
        check("-0", Ok(0));
        check("12.5", Ok(12_500_000_000));
        check("+5", Ok(5_000_000_000));
        check(".5", Ok(500_000_000));
        check("5.", Ok(5_000_000_000));
        check("007", Ok(7_000_000_000));
        check(" 7\t", Ok(7_000_000_000));
        check("-1.000000001", Ok(-1_000_000_001));
        check("1e3", Ok(1_000_000_000_000));
        check("1E-3", Ok(1_000_000));
        check("25e-10", Ok(2));
        check("1e-999999999999999999999", Ok(0));
        check("0e999999999999999999999", Ok(0));
        check("0.000000000000000000000000000000000001e36", Ok(1_000_000_000));
    }

    #[test]
    fn ties_go_to_even() {
        check("0.0000000005", Ok(0));
        check("0.0000000015", Ok(2));
        check("0.0000000025", Ok(2));
        check("-0.0000000015", Ok(-2));
        check("0.00000000050000000000000000000001", Ok(1));
        check("0.0000000025000000000", Ok(2));
        check("0.00000000249999999999999999999999", Ok(2));
    }

    #[test]
    fn magnitudes() {
        let limit = 1_000_000_000_000_000_000_000_000;
        check("1000000000000000", Ok(limit));
        check("-1e15", Ok(-limit));
        check("1000000000000000.0000000004", Ok(limit));
        check("1000000000000000.000000001", Err(TooLarge));
        check("-1000000000000000.000000001", Err(TooLarge));
        check("1e16", Err(TooLarge));
        check("1e999999999999999999999", Err(TooLarge));
        check("123456789012345678901234567890", Err(TooLarge));
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", " ", "-", "+", ".", "-.", "e5", "1e", "1e+", "--1", "1-", "NaN", "inf", "0x10", "1_000", "1,5", "12ms",
        ] {
            check(text, Err(NotANumber));
        }
        assert_eq!(nanos(b"1\xff"), Err(NotANumber));
        assert_eq!(nanos("١".as_bytes()), Err(NotANumber));
    }

    fn numbers(values: &[i64]) -> Vec<BigInt> {
        values.iter().map(|value| BigInt::from(*value)).collect()
    }

    #[test]
    fn means_round_half_even() {
        for (values, expected) in [
            (&[1, 2][..], 2),
            (&[2, 3], 2),
            (&[-1, -2], -2),
            (&[-2, -3], -2),
            (&[1, 1, 2], 1),
            (&[1, 2, 2], 2),
            (&[7], 7),
        ] {
            assert_eq!(mean(&numbers(values)), Some(BigInt::from(expected)), "{values:?}");
        }
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn standard_deviations() {
        // {2,4,4,4,5,5,7,9} has exactly 2; {1,2} has 0.5, a tie; {0,3} has 1.5; {0,0,1} has √2/3 = 0.47.
        for (values, expected) in [
            (&[2, 4, 4, 4, 5, 5, 7, 9][..], 2),
            (&[1, 2], 0),
            (&[0, 3], 2),
            (&[0, 5], 2),
            (&[0, 0, 1], 0),
            (&[0, 0, 2], 1),
            (&[5, 5, 5], 0),
        ] {
            assert_eq!(
                population_stddev(&numbers(values)),
                Some(BigInt::from(expected)),
                "{values:?}"
            );
        }
        assert_eq!(population_stddev(&[]), None);
    }

    #[test]
    fn quantiles_are_of_nearest_rank() {
        for (q, expected) in [("0", 1), ("0.2", 1), ("0.21", 2), ("0.5", 3), ("0.99", 5), ("1", 5)] {
            assert_eq!(
                quantile(&numbers(&[5, 1, 4, 2, 3]), q),
                Some(BigInt::from(expected)),
                "{q}"
            );
        }
        assert_eq!(quantile(&[], "0.5"), None);
    }

    #[test]
    fn shown_without_trailing_zeros() {
        assert_eq!(decimal(&BigInt::from(12_500_000_000_i64)).to_plain_string(), "12.5");
        assert_eq!(decimal(&BigInt::from(-1)).to_plain_string(), "-0.000000001");
    }
}
