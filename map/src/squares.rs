//! Exact sums of squares, for standard deviations that don't depend on the order of records or merges (M7).
//!
//! A value is at most 10²⁴ nano-units, its square at most 10⁴⁸ < 2¹⁶⁰: a `u128` can't hold one, 256 bits hold 2⁹⁶ of
//! the largest. With fewer than 2⁶⁴ records the sum stays below 2²²⁴, so overflow is impossible.

use crate::number::Decimal;
use serde::{Deserialize, Serialize};

/// A sum of squares of nano-units, that is in units of 10⁻¹⁸: 256 bits, unsigned.
///
/// Should it ever be fed numbers beyond the limit of [`Decimal::parse`], it saturates and says so
/// ([`Squares::is_saturated`]) rather than wrap; saturating sums of unsigned numbers don't depend on order either.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Squares {
    /// The upper 128 bits; before `low`, so that the derived order is that of the numbers.
    high: u128,
    /// The lower 128 bits.
    low: u128,
}

impl Squares {
    /// The greatest sum; also what a saturated one holds.
    const MAX: Self = Self {
        high: u128::MAX,
        low: u128::MAX,
    };

    /// Adds the square of a value. Cost: three multiplications.
    #[inline]
    pub fn add(&mut self, value: Decimal) {
        self.merge(&square(value.nanos().unsigned_abs()));
    }

    /// Adds another sum.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self
            .high
            .checked_add(other.high)
            .and_then(|high| high.checked_add(u128::from(carry)));
        *self = high.map_or(Self::MAX, |high| Self { high, low });
    }

    /// Whether the sum was too large to hold; impossible for parsed decimals.
    pub fn is_saturated(&self) -> bool {
        *self == Self::MAX
    }

    /// The sum as four 64-bit limbs, the least significant first.
    pub fn limbs(&self) -> [u64; 4] {
        [
            self.low as u64,
            (self.low >> 64) as u64,
            self.high as u64,
            (self.high >> 64) as u64,
        ]
    }

    /// The sum as 32 bytes, the most significant first.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.high.to_be_bytes());
        bytes[16..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// The inverse of [`Squares::to_be_bytes`].
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut halves = [[0; 16]; 2];
        halves[0].copy_from_slice(&bytes[..16]);
        halves[1].copy_from_slice(&bytes[16..]);
        Self {
            high: u128::from_be_bytes(halves[0]),
            low: u128::from_be_bytes(halves[1]),
        }
    }
}

/// The square of any `u128`, by halves: (h·2⁶⁴ + l)² = h²·2¹²⁸ + 2·h·l·2⁶⁴ + l².
#[inline]
fn square(magnitude: u128) -> Squares {
    let low_half = magnitude & u128::from(u64::MAX);
    let high_half = magnitude >> 64;
    let middle = high_half * low_half;
    // Twice the middle, shifted up by 64 bits: its upper 63 bits belong to the upper word.
    let (low, carry) = (low_half * low_half).overflowing_add(middle << 65);
    let high = high_half * high_half + (middle >> 63) + u128::from(carry);
    Squares { high, low }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::MAGNITUDE_MAX_NANOS;
    use proptest::prelude::*;

    /// Schoolbook arithmetic on bits: slow, and nothing in common with the code above.
    fn slow_sum(values: &[i128]) -> [u64; 4] {
        let mut sum = [false; 256];
        for value in values {
            let magnitude = value.unsigned_abs();
            for shift in (0..128).filter(|shift| magnitude >> shift & 1 == 1) {
                let mut carry = false;
                for (place, digit) in sum[shift..].iter_mut().enumerate() {
                    let bit = place < 128 && magnitude >> place & 1 == 1;
                    let ones = u8::from(*digit) + u8::from(bit) + u8::from(carry);
                    *digit = ones % 2 == 1;
                    carry = ones > 1;
                }
            }
        }
        let limb = |from: usize| (0..64).fold(0_u64, |limb, bit| limb | u64::from(sum[from + bit]) << bit);
        [limb(0), limb(64), limb(128), limb(192)]
    }

    fn sum(values: &[i128]) -> Squares {
        let mut squares = Squares::default();
        values.iter().for_each(|&nanos| squares.add(Decimal::from_nanos(nanos)));
        squares
    }

    #[track_caller]
    fn check(values: &[i128], expected: [u64; 4]) {
        assert_eq!(sum(values).limbs(), expected, "{values:?}");
        assert_eq!(slow_sum(values), expected, "{values:?}");
    }

    #[test]
    fn sums() {
        check(&[], [0; 4]);
        check(&[3, -4], [25, 0, 0, 0]);
        check(&[1 << 32], [0, 1, 0, 0]);
        check(&[1 << 64], [0, 0, 1, 0]);
        check(&[i128::MIN], [0, 0, 0, 1 << 62]);
        check(&[u64::MAX.into(), 1 << 33], [1, 2, 1, 0]);
    }

    #[test]
    fn two_to_the_64_of_the_largest_fit() {
        let mut squares = sum(&[MAGNITUDE_MAX_NANOS as i128]);
        assert!(squares.high < 1 << 32, "one square is below 2^160");
        for _ in 0..64 {
            let same = squares;
            squares.merge(&same);
        }
        assert!(!squares.is_saturated());
        assert!(squares.high < 1 << 96, "the sum is below 2^224");
        let one = sum(&[MAGNITUDE_MAX_NANOS as i128]).limbs();
        assert_eq!(
            squares.limbs(),
            [0, one[0], one[1], one[2]],
            "2^64 times is one limb up"
        );
    }

    #[test]
    fn beyond_the_bound_it_saturates() {
        let mut squares = sum(&[i128::MIN; 4]);
        assert!(squares.is_saturated());
        squares.add(Decimal::from_nanos(1));
        assert!(squares.is_saturated());
        assert!(!sum(&[i128::MIN; 3]).is_saturated());
    }

    proptest! {
        #[test]
        fn agrees_with_schoolbook_arithmetic(values in prop::collection::vec(any::<i128>(), 0..3)) {
            prop_assert_eq!(sum(&values).limbs(), slow_sum(&values));
        }

        #[test]
        fn merging_is_commutative_and_associative(
            a in prop::collection::vec(any::<i128>(), 0..4),
            b in prop::collection::vec(any::<i128>(), 0..4),
            c in prop::collection::vec(any::<i128>(), 0..4),
        ) {
            let whole = sum(&[a.clone(), b.clone(), c.clone()].concat());
            let (a, b, c) = (sum(&a), sum(&b), sum(&c));
            let mut left = a;
            left.merge(&b);
            left.merge(&c);
            let mut right = c;
            right.merge(&b);
            right.merge(&a);
            prop_assert_eq!(left, whole);
            prop_assert_eq!(right, whole);
        }

        #[test]
        fn bytes_and_limbs_hold_the_same_number(values in prop::collection::vec(any::<i128>(), 0..3)) {
            let squares = sum(&values);
            prop_assert_eq!(Squares::from_be_bytes(squares.to_be_bytes()), squares);
            let mut from_limbs = [0; 32];
            for (chunk, limb) in from_limbs.chunks_mut(8).zip(squares.limbs().iter().rev()) {
                chunk.copy_from_slice(&limb.to_be_bytes());
            }
            prop_assert_eq!(squares.to_be_bytes(), from_limbs);
        }
    }
}
