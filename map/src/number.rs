//! Exact decimals: how a number in a log becomes a value, once, so that sums never depend on their order (M7).
//!
//! Binary floating point is not associative: the same records added in another order, or on more nodes, would give
//! another sum. A [`Decimal`] is fixed point with 9 fraction digits, rounded half to even where the text has more.

use std::fmt;

/// Fraction digits of a [`Decimal`].
pub const FRACTION_DIGITS: usize = 9;

/// The greatest magnitude of a parsed [`Decimal`] in nano-units: 10¹⁵ units. It bounds every sum and sum of squares.
pub const MAGNITUDE_MAX_NANOS: u128 = 1_000_000_000_000_000 * NANOS_PER_UNIT;

/// Nano-units in a unit.
const NANOS_PER_UNIT: u128 = 1_000_000_000;

/// Decimal digits of [`MAGNITUDE_MAX_NANOS`]; anything with more is too large before it is added up.
const MAGNITUDE_MAX_DIGITS: i64 = 25;

/// Exponents are cut here: beyond it the answer is the same for any text that fits in memory, and sums of it with
/// lengths of texts can't overflow.
const EXPONENT_MAX: i64 = 1_000_000_000_000_000;

/// 10⁰ to 10⁹: from a number of missing fraction digits to its factor.
const POWERS_OF_TEN: [u64; FRACTION_DIGITS + 1] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// A number in units of 10⁻⁹ ("nano-units"), exact.
///
/// What [`Decimal::parse`] gives lies within ±10¹⁵ units; [`Decimal::from_nanos`] takes any `i128`, so that a sum can
/// be printed by the same code.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct Decimal(i128);

/// Why a text is not a value. The record it stands in is then a `bad_value` of that aggregate (C5).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum BadValue {
    /// Not a decimal number: `NaN`, `0x1f`, `1_000`, `12ms`, an empty text.
    #[error("not a decimal number: expected digits with an optional sign, point and exponent, such as -12.5 or 3e6")]
    NotANumber,
    /// A decimal number beyond ±10¹⁵.
    #[error("number too large: the magnitude must not be over 10^15, use a larger unit")]
    TooLarge,
}

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self(0);

    /// Reads `[+-] digits [. digits] [e [+-] digits]` with at least one digit before the exponent (`.5` and `5.` are
    /// numbers) and ASCII blanks around it.
    ///
    /// Fraction digits beyond the ninth are rounded half to even over all digits of the text, however many; the limit
    /// of 10¹⁵ holds for the rounded value. What an empty field or `-` means is the caller's business: here they are
    /// [`BadValue::NotANumber`].
    ///
    /// Cost: about 6 ns up to 8 bytes and 9 ns up to 16, sign aside; beyond, and with blanks or an exponent, some 25 to
    /// 50 ns; linear in the length of the text.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, BadValue> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let magnitude = match unsigned.len() {
            1..=8 => parse_within_word(unsigned),
            9..=16 => parse_within_two_words(unsigned),
            _ => None,
        };
        match magnitude {
            Some(nanos) if negative => Ok(Self(-nanos)),
            Some(nanos) => Ok(Self(nanos)),
            None => parse_any(text),
        }
    }

    /// The number as a count of nano-units.
    #[inline]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// The number of so many nano-units; not held to the limit of [`Decimal::parse`].
    #[inline]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }
}

impl fmt::Display for Decimal {
    /// The shortest decimal text that parses to the same number: no exponent, no trailing zeros, no negative zero.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        if self.0 < 0 {
            formatter.write_str("-")?;
        }
        write!(formatter, "{}", magnitude / NANOS_PER_UNIT)?;
        let mut fraction = magnitude % NANOS_PER_UNIT;
        if fraction == 0 {
            return Ok(());
        }
        let mut width = FRACTION_DIGITS;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(formatter, ".{fraction:0width$}")
    }
}

/// A byte repeated in all eight bytes of a word: constants, computed once.
const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

const ONES: u64 = repeated(0x01);
const SIXES: u64 = repeated(0x06);
const HIGH_BITS: u64 = repeated(0x80);
const HIGH_NIBBLES: u64 = repeated(0xf0);
const POINTS: u64 = repeated(b'.');
const DIGIT_ZEROS: u64 = repeated(b'0');
const THREES: u64 = repeated(0x33);

/// Nano-units of 1 to 8 bytes of digits with at most one point; `None` leaves anything else to [`parse_any`].
///
/// All bytes at once in one word, without a loop to mispredict. Checking and adding up eight digits is Lemire's
/// (simdjson, `is_made_of_eight_digits_fast` and `parse_eight_digits_unrolled`).
#[inline]
fn parse_within_word(text: &[u8]) -> Option<i128> {
    let (word, fraction_digits) = squeeze_point(load_right_aligned(text));
    let only_a_point = text.len() == 1 && fraction_digits.is_some();
    if only_a_point || !is_eight_digits(word) {
        return None;
    }
    let missing_fraction_digits = FRACTION_DIGITS - fraction_digits.unwrap_or(0);
    Some(i128::from(eight_digits(word) * POWERS_OF_TEN[missing_fraction_digits]))
}

/// The same for 9 to 16 bytes, in two words.
#[inline]
fn parse_within_two_words(text: &[u8]) -> Option<i128> {
    let (first, last) = text.split_at(text.len() - 8);
    let (first, after_first_point) = squeeze_point(load_right_aligned(first));
    let (last, after_last_point) = squeeze_point(load_right_aligned(last));
    let (last_digits, fraction_digits) = match (after_first_point, after_last_point) {
        (None, None) => (8, 0),
        (Some(after), None) => (8, after + 8),
        (None, Some(after)) => (7, after),
        (Some(_), Some(_)) => return None,
    };
    if !is_eight_digits(first) || !is_eight_digits(last) {
        return None;
    }
    let value = eight_digits(first) * POWERS_OF_TEN[last_digits] + eight_digits(last);
    let missing_fraction_digits = FRACTION_DIGITS.checked_sub(fraction_digits)?;
    let nanos = u128::from(value) * u128::from(POWERS_OF_TEN[missing_fraction_digits]);
    (nanos <= MAGNITUDE_MAX_NANOS).then_some(nanos as i128)
}

/// Takes the first point out of a right-aligned word, and says how many bytes stand behind it.
///
/// The point is found by Mycroft's test for a zero byte; the bytes before it move up by one, a `0` fills their place.
#[inline]
fn squeeze_point(word: u64) -> (u64, Option<usize>) {
    let difference = word ^ POINTS;
    let marks = difference.wrapping_sub(ONES) & !difference & HIGH_BITS;
    if marks == 0 {
        return (word, None);
    }
    // The lowest mark is always a true one: borrows only disturb bytes above it.
    let point = marks.trailing_zeros() / 8;
    let before = (1_u64 << (point * 8)) - 1;
    let at_or_before = before << 8 | 0xff;
    let squeezed = word & !at_or_before | (word & before) << 8 | u64::from(b'0');
    (squeezed, Some(7 - point as usize))
}

/// Whether all bytes of a word are ASCII digits.
#[inline]
fn is_eight_digits(word: u64) -> bool {
    let of_six_more = word.wrapping_add(SIXES) & HIGH_NIBBLES;
    word & HIGH_NIBBLES | of_six_more >> 4 == THREES
}

/// 1 to 8 bytes as a word whose *low* bytes hold the first digits, filled up with leading `0` digits.
#[inline]
fn load_right_aligned(digits: &[u8]) -> u64 {
    let missing_bytes = 8 - digits.len();
    let shift = missing_bytes as u32 * 8;
    let bytes = if let (Some(first), Some(last)) = (digits.first_chunk::<4>(), digits.last_chunk::<4>()) {
        // The two halves may overlap; they then hold the same bytes at the same places.
        u64::from(u32::from_le_bytes(*first)) << shift | u64::from(u32::from_le_bytes(*last)) << 32
    } else {
        let middle = digits.len() / 2;
        u64::from(digits[0]) << shift
            | u64::from(digits[middle]) << (shift + middle as u32 * 8)
            | u64::from(digits[digits.len() - 1]) << 56
    };
    bytes | DIGIT_ZEROS & ((1_u64 << shift) - 1)
}

/// The value of eight ASCII digits, the first in the lowest byte.
#[inline]
fn eight_digits(word: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    const FIRST_AND_THIRD: u64 = 100 + (1_000_000 << 32);
    const SECOND_AND_FOURTH: u64 = 1 + (10_000 << 32);
    let digits = word - DIGIT_ZEROS;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first_and_third = (pairs & PAIRS).wrapping_mul(FIRST_AND_THIRD);
    let second_and_fourth = (pairs >> 16 & PAIRS).wrapping_mul(SECOND_AND_FOURTH);
    first_and_third.wrapping_add(second_and_fourth) >> 32
}

/// The whole grammar, for what the short cuts left over.
#[cold]
fn parse_any(text: &[u8]) -> Result<Decimal, BadValue> {
    let text = text.trim_ascii();
    let (negative, unsigned) = split_sign(text);
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if !all_digits || (whole.is_empty() && fraction.is_empty()) {
        return Err(BadValue::NotANumber);
    }
    let nanos = round_to_nanos(whole, fraction, exponent)? as i128;
    Ok(Decimal(if negative { -nanos } else { nanos }))
}

/// Takes one sign off: whether it was a minus, and the rest.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// The digits after an `e`, cut to ±[`EXPONENT_MAX`].
fn parse_exponent(text: &[u8]) -> Result<i64, BadValue> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadValue::NotANumber);
    }
    let magnitude = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Ok(if negative { -magnitude } else { magnitude })
}

/// Nano-units of `whole.fraction × 10^exponent`, all digits considered, rounded half to even.
fn round_to_nanos(whole: &[u8], fraction: &[u8], exponent: i64) -> Result<u128, BadValue> {
    let leading_zeros = whole.iter().chain(fraction).take_while(|&&digit| digit == b'0').count();
    let mut digits = whole
        .iter()
        .chain(fraction)
        .skip(leading_zeros)
        .map(|digit| digit - b'0')
        .peekable();
    if digits.peek().is_none() {
        return Ok(0);
    }
    // How many digits, from the first that is not 0, stand before the rounding place.
    let kept = whole.len() as i64 - leading_zeros as i64 + exponent + FRACTION_DIGITS as i64;
    if kept > MAGNITUDE_MAX_DIGITS {
        return Err(BadValue::TooLarge);
    }
    if kept < 0 {
        return Ok(0);
    }
    let mut nanos = 0_u128;
    for _ in 0..kept {
        nanos = nanos * 10 + u128::from(digits.next().unwrap_or(0));
    }
    let next_digit = digits.next().unwrap_or(0);
    let beyond_half = next_digit > 5 || next_digit == 5 && digits.any(|digit| digit != 0);
    if beyond_half || next_digit == 5 && nanos % 2 == 1 {
        nanos += 1;
    }
    if nanos > MAGNITUDE_MAX_NANOS {
        Err(BadValue::TooLarge)
    } else {
        Ok(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, BadValue>) {
        let parsed = Decimal::parse(text.as_bytes());
        assert_eq!(
            parsed.map(|value| value.to_string()),
            expected.map(str::to_owned),
            "{text:?}"
        );
        let padded = format!(" \t{text}\r\n");
        assert_eq!(Decimal::parse(padded.as_bytes()), parsed, "{padded:?}");
    }

    #[test]
    fn plain_numbers() {
        for same in [
            "0",
            "7",
            "10",
            "5123",
            "12.345",
            "-3",
            "99999999",
            "123456789",
            "0.000000001",
            "-0.5",
        ] {
            check(same, Ok(same));
        }
        for same in [
            "1000000000000000",
            "-1000000000000000",
            "999999999999999.999999999",
            "123456789012.345678",
        ] {
            check(same, Ok(same));
        }
        check("+5", Ok("5"));
        check("-0", Ok("0"));
        check("-0.0000000001", Ok("0"));
        check(".5", Ok("0.5"));
        check("5.", Ok("5"));
        check("-.25", Ok("-0.25"));
        check("0001", Ok("1"));
        check("000000000000000000000000000000000012.50", Ok("12.5"));
        check("12.500000000000000000000000000000000000", Ok("12.5"));
    }

    #[test]
    fn exponents() {
        check("1e3", Ok("1000"));
        check("1E+3", Ok("1000"));
        check("25e-1", Ok("2.5"));
        check("5.e2", Ok("500"));
        check(".5e1", Ok("5"));
        check("1e15", Ok("1000000000000000"));
        check("1e-9", Ok("0.000000001"));
        check("1e-99999999999999999999999999", Ok("0"));
        check("0e99999999999999999999999999", Ok("0"));
        check("1e99999999999999999999999999", Err(BadValue::TooLarge));
        check("0.00000000000000000001e35", Ok("1000000000000000"));
        check("100000000000000000000e-20", Ok("1"));
    }

    #[test]
    fn rounds_half_to_even_over_all_digits() {
        check("0.0000000005", Ok("0"));
        check("0.0000000015", Ok("0.000000002"));
        check("0.0000000025", Ok("0.000000002"));
        check("-0.0000000015", Ok("-0.000000002"));
        check("0.00000000050000000000000000000000000000000001", Ok("0.000000001"));
        check("0.00000000149999999999999999999999999999999999", Ok("0.000000001"));
        check("0.9999999995", Ok("1"));
        check("5e-10", Ok("0"));
        check("15e-10", Ok("0.000000002"));
        check("50.000001e-11", Ok("0.000000001"));
        check("9e-11", Ok("0"));
        check(&format!("0.{}5", "0".repeat(9)), Ok("0"));
        check(&format!("1.{}5{}1", "0".repeat(9), "0".repeat(5000)), Ok("1.000000001"));
    }

    #[test]
    fn limit() {
        check("1000000000000000.000000001", Err(BadValue::TooLarge));
        check("-1000000000000000.000000001", Err(BadValue::TooLarge));
        check("1000000000000000.0000000004", Ok("1000000000000000"));
        check("999999999999999.9999999996", Ok("1000000000000000"));
        check("1000000000000001", Err(BadValue::TooLarge));
        check("9999999999999999999", Err(BadValue::TooLarge));
        check("99999999999999999999999999999999999999999999", Err(BadValue::TooLarge));
        check("1.1e15", Err(BadValue::TooLarge));
        check("2e400", Err(BadValue::TooLarge));
    }

    #[test]
    fn other_texts_are_not_numbers() {
        let texts = [
            "", "-", "+", ".", "-.", "e5", ".e5", "1e", "1e+", "1e5.0", "1.2.3", "1..2", "--1", "+-1", "- 1",
        ];
        for text in texts {
            check(text, Err(BadValue::NotANumber));
        }
        let texts = [
            "NaN",
            "inf",
            "-Infinity",
            "0x1f",
            "1_000",
            "1,000",
            "12ms",
            "1 2",
            "١",
            "5/",
            "5:",
            "1e400x",
        ];
        for text in texts {
            check(text, Err(BadValue::NotANumber));
        }
        let long = [
            "123456789012.3.4",
            "12345678901234567x",
            "1234567:",
            "/2345678",
            "\u{0}",
            "12345678\u{0}",
        ];
        for text in long {
            check(text, Err(BadValue::NotANumber));
        }
    }

    #[test]
    fn every_short_text_over_a_small_alphabet_agrees_with_the_grammar() {
        let alphabet = b"09.-+e/:";
        for length in 0..=6_u32 {
            for number in 0..(alphabet.len() as u32).pow(length) {
                let text: Vec<u8> = (0..length)
                    .map(|place| alphabet[(number >> (3 * place)) as usize % alphabet.len()])
                    .collect();
                let expected = parse_any(&text);
                assert_eq!(Decimal::parse(&text), expected, "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(nanos in -(MAGNITUDE_MAX_NANOS as i128)..=MAGNITUDE_MAX_NANOS as i128) {
            let value = Decimal::from_nanos(nanos);
            prop_assert_eq!(Decimal::parse(value.to_string().as_bytes()), Ok(value));
        }

        #[test]
        fn short_cuts_agree_with_the_grammar(text in "[-+]?[0-9]{0,12}[.]?[0-9]{0,12}([e/x:.][0-9]{0,2})?") {
            prop_assert_eq!(Decimal::parse(text.as_bytes()), parse_any(text.as_bytes()));
        }

        #[test]
        fn any_bytes_agree_with_the_grammar(text in prop::collection::vec(any::<u8>(), 0..24)) {
            prop_assert_eq!(Decimal::parse(&text), parse_any(&text));
        }

        #[test]
        fn an_exponent_moves_the_point(digits in 1_u64..1_000_000, exponent in -9_i32..9) {
            let nanos = if exponent < 0 {
                i128::from(digits) * 10_i128.pow((9 + exponent) as u32)
            } else {
                i128::from(digits) * 10_i128.pow(9 + exponent as u32)
            };
            let expected = Ok(Decimal::from_nanos(nanos)).filter_within();
            prop_assert_eq!(Decimal::parse(format!("{digits}e{exponent}").as_bytes()), expected);
        }
    }

    trait FilterWithin {
        fn filter_within(self) -> Self;
    }

    impl FilterWithin for Result<Decimal, BadValue> {
        fn filter_within(self) -> Self {
            self.and_then(|value| {
                if value.nanos().unsigned_abs() > MAGNITUDE_MAX_NANOS {
                    Err(BadValue::TooLarge)
                } else {
                    Ok(value)
                }
            })
        }
    }
}
